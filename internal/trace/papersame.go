package trace

import (
	"context"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// all is what makes a document another one: whose it is, what it is about, the file, and what is said of it. An ID stands for all of that, so that an
// officer decides on what the officer has read: one that is withdrawn and handed in anew with another number is nowhere to be found.
func (p *Paper) all() string {
	public := ""
	if p.Public {
		public = "public"
	}
	return strings.Join([]string{p.Tenant, p.Firm, p.ref().Path(), p.Received, string(p.Kind), p.Number, p.Issuer, p.Issued, p.From, p.Until, public}, "\x00")
}

// samePaper gives the firm's document about the same goods with the same file, if the firm said the same of it. store.ErrNotFound.
func (s *Service) samePaper(ctx context.Context, p *Paper) (Paper, error) {
	var same, other *Paper
	about := store.Query{Index: byFirm, Eq: store.K(p.Tenant, p.Firm, p.ref().Path())} // maxPapersFor
	err := s.papers.Each(ctx, about, func(d store.Doc[Paper]) error {
		switch {
		case d.V.Received != p.Received:
		case d.V.says(p):
			same = &d.V
		default:
			other = &d.V
		}
		return nil
	})
	switch {
	case err != nil:
		return Paper{}, err
	case same != nil:
		return *same, nil
	case other != nil:
		return Paper{}, fault.New(fault.Conflict, "document_exists", "the same file is document %s already, with something else said of it; withdraw that one first", other.ID)
	}
	return Paper{}, store.ErrNotFound
}

// says compares what two firms' forms said.
func (p *Paper) says(q *Paper) bool {
	return p.Kind == q.Kind && p.Number == q.Number && p.Issuer == q.Issuer && p.Issued == q.Issued && p.From == q.From && p.Until == q.Until && p.Public == q.Public
}
