package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/firm/listing"
)

// ListSeriousViolations is the serious-violation list.
func (s *server) ListSeriousViolations(ctx context.Context, req ListSeriousViolationsRequestObject) (ListSeriousViolationsResponseObject, error) {
	page, next, err := s.deps.Services.Listings.List(ctx, req.Params.Cursor, req.Params.Limit)
	if err != nil {
		return nil, err
	}
	out := ListSeriousViolations200JSONResponse{Items: make([]SeriousViolation, len(page)), Next: next}
	for i := range page {
		out.Items[i] = listingBody(&page[i])
		out.Items[i].History = nil
	}
	return out, nil
}

// GetSeriousViolation reads a listing.
func (s *server) GetSeriousViolation(ctx context.Context, req GetSeriousViolationRequestObject) (GetSeriousViolationResponseObject, error) {
	l, err := s.deps.Services.Listings.Get(ctx, req.No)
	if err != nil {
		return nil, err
	}
	return GetSeriousViolation200JSONResponse(listingBody(&l)), nil
}

// PublishSeriousViolation puts a firm on the list.
func (s *server) PublishSeriousViolation(ctx context.Context, req PublishSeriousViolationRequestObject) (PublishSeriousViolationResponseObject, error) {
	l, created, err := s.deps.Services.Listings.Publish(ctx, lister(ctx), *req.Body)
	if err != nil {
		return nil, err
	}
	if !created {
		facts := listingFactsOf(&l)
		changed(ctx, "listing/"+l.No, facts, facts)
		return PublishSeriousViolation200JSONResponse(listingBody(&l)), nil
	}
	changed(ctx, "listing/"+l.No, nil, listingFactsOf(&l))
	return PublishSeriousViolation201JSONResponse{
		Body: listingBody(&l), Headers: PublishSeriousViolation201ResponseHeaders{Location: "/v1/serious-violations/" + l.No},
	}, nil
}

// ChangeSeriousViolation publishes the next entry of a listing. One of another authority is NotFound.
func (s *server) ChangeSeriousViolation(ctx context.Context, req ChangeSeriousViolationRequestObject) (ChangeSeriousViolationResponseObject, error) {
	before, err := s.deps.Services.Listings.Get(ctx, req.No)
	if err != nil {
		return nil, unseen(err)
	}
	has, err := s.acting(ctx, before.Authority)
	if err != nil {
		return nil, err
	}
	if err := allow(ctx, access.Target{Authority: has}); err != nil {
		return nil, err
	}
	in := req.Body
	because(ctx, in.Note)
	ch := listing.Change{Kind: listing.Kind(in.Kind), Seen: in.Revision, Note: in.Note, Ground: string(in.Ground)}
	if in.Correction.Name != nil { // which every correction has
		ch.Correction = &in.Correction
	}
	after, err := s.deps.Services.Listings.Change(ctx, lister(ctx), req.No, ch)
	if err != nil {
		return nil, err
	}
	changed(ctx, "listing/"+req.No, listingFactsOf(&before), listingFactsOf(&after))
	return ChangeSeriousViolation200JSONResponse(listingBody(&after)), nil
}

func lister(ctx context.Context) listing.Author {
	p := callFrom(ctx).principal
	return listing.Author{ID: p.ID, Name: p.Name, Authority: p.Authority}
}

// listingFacts are what the audit trail keeps of a listing: all of its last entry but who published it, whom the trail's own entry names.
type listingFacts struct {
	Revision int             `json:"revision"`
	Kind     listing.Kind    `json:"kind"`
	Ground   string          `json:"ground,omitempty"`
	Content  listing.Content `json:"content"`
}

func listingFactsOf(l *listing.Listing) listingFacts {
	return listingFacts{l.Rev, l.Kind, l.Ground, l.Content}
}

// listingBody is what anybody may read of a listing: when it has ended, that alone.
func listingBody(l *listing.Listing) SeriousViolation {
	out := SeriousViolation{No: l.No, Revision: l.Rev, Status: SeriousViolationStatusEnded}
	if l.Ended {
		return out
	}
	out.Status, out.Appeal, out.Content, out.Authority = SeriousViolationStatusInForce, l.Appeal, l.Content, l.Authority
	out.Published, out.Updated = l.Listed, l.Published
	for i := range l.History {
		e := &l.History[i]
		out.History = append(out.History, SeriousViolationEntry{Rev: e.Rev, Kind: SeriousViolationKind(e.Kind), Note: e.Note, Published: e.Published})
	}
	return out
}
