package httpapi

import (
	"cmp"
	"context"

	"github.com/haisu-trace/haisu/internal/access/authority"
)

// ListAuthorities lists authorities.
func (s *server) ListAuthorities(ctx context.Context, req ListAuthoritiesRequestObject) (ListAuthoritiesResponseObject, error) {
	found, next, err := s.deps.Services.Authorities.List(ctx, req.Params.Cursor, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListAuthorities200JSONResponse{Items: make([]Authority, len(found)), Next: next}
	for i := range found {
		out.Items[i] = authorityBody(&found[i])
	}
	return out, nil
}

// GetAuthority reads an authority.
func (s *server) GetAuthority(ctx context.Context, req GetAuthorityRequestObject) (GetAuthorityResponseObject, error) {
	a, err := s.deps.Services.Authorities.Get(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	callFrom(ctx).etag = entityTagOf(revisionTag, a.Revision)
	return GetAuthority200JSONResponse(authorityBody(&a)), nil
}

// PutAuthority makes an authority, or replaces the one that the administrator has seen.
func (s *server) PutAuthority(ctx context.Context, req PutAuthorityRequestObject) (PutAuthorityResponseObject, error) {
	seen, err := seenRevision(req.Params.IfMatch, revisionTag)
	if err != nil {
		return nil, err
	}
	in := req.Body
	a := authority.Authority{
		ID: req.Id, Name: in.Name, Kind: in.Kind, From: in.From, To: in.To, Successor: in.Successor, Basis: in.Basis,
		Competences: make([]authority.Competence, len(in.Competences)),
	}
	for i, c := range in.Competences {
		a.Competences[i] = authority.Competence{
			Matters: texts(c.Matters), Classes: texts(c.Classes), Stages: texts(c.Stages), Places: c.Places,
		}
	}
	before, after, err := s.deps.Services.Authorities.Put(ctx, a, seen)
	if err != nil {
		return nil, precondition(err)
	}
	tag, body := entityTagOf(revisionTag, after.Revision), authorityBody(&after)
	if before.ID == "" {
		changed(ctx, "authority/"+req.Id, nil, body)
		return PutAuthority201JSONResponse{Body: body, Headers: PutAuthority201ResponseHeaders{ETag: tag}}, nil
	}
	changed(ctx, "authority/"+req.Id, authorityBody(&before), body)
	return PutAuthority200JSONResponse{Body: body, Headers: PutAuthority200ResponseHeaders{ETag: tag}}, nil
}

// GetCompetence finds who is competent.
func (s *server) GetCompetence(ctx context.Context, req GetCompetenceRequestObject) (GetCompetenceResponseObject, error) {
	p := req.Params
	on, err := startOfDay(p.On, 0)
	if err != nil {
		return nil, err
	}
	if on.IsZero() {
		on = s.deps.Now()
	}
	a, err := s.deps.Services.Authorities.Competent(ctx, authority.Query{
		Matter: string(p.Matter), Class: string(p.Class), Stage: string(p.Stage), Place: p.Place, On: on,
	})
	if err != nil {
		return nil, err
	}
	return GetCompetence200JSONResponse(authorityBody(&a)), nil
}

func authorityBody(a *authority.Authority) Authority {
	out := Authority{
		Id: a.ID, Name: a.Name, Kind: a.Kind, From: a.From, To: a.To, Successor: a.Successor, Basis: a.Basis, Competences: make([]Competence, len(a.Competences)),
	}
	for i := range a.Competences {
		c := &a.Competences[i]
		out.Competences[i] = Competence{
			Matters: terms[Matter](c.Matters), Classes: terms[Category](c.Classes), Stages: terms[Stage](c.Stages), Places: c.Places,
		}
	}
	return out
}

// texts writes terms of a vocabulary as texts, and terms the other way; nothing stays nothing.
func texts[T ~string](in []T) []string {
	var out []string
	for _, v := range in {
		out = append(out, string(v))
	}
	return out
}

func terms[T ~string](in []string) []T {
	var out []T
	for _, v := range in {
		out = append(out, T(v))
	}
	return out
}
