package trace

import (
	"context"
	"slices"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// maxDescendants bounds what one warning reaches through transformations: products and lots, not units.
const maxDescendants = 10_000

// Descendants gives the units, lots and products that were made of goods in a scope, or contain them, directly or over several
// steps. The goods of the scope itself are not among them. At most maxDescendants.
func (s *Service) Descendants(ctx context.Context, sc *warning.Scope) ([]gs1.Ref, error) {
	var out []gs1.Ref
	reached := *sc
	looked, found := map[string]bool{}, map[gs1.Ref]bool{}
	todo := sc.GTINs()
	for len(todo) > 0 && len(out) < maxDescendants {
		g := todo[0]
		todo = todo[1:]
		if looked[g] {
			continue
		}
		looked[g] = true
		fresh, err := s.madeOf(ctx, g, &reached)
		if err != nil {
			return nil, err
		}
		for _, ref := range fresh {
			if found[ref] {
				continue
			}
			found[ref] = true
			out = append(out, ref)
			reached.Clauses = append(reached.Clauses, ClauseOf(ref))
			// What was reached later may be an input of a product that was looked at before.
			delete(looked, string(ref.GTIN))
			todo = append(todo, string(ref.GTIN))
		}
	}
	return out, nil
}

// ClauseOf is the scope of exactly one unit, lot or product.
func ClauseOf(ref gs1.Ref) warning.Clause {
	c := warning.Clause{GTINs: []string{string(ref.GTIN)}}
	switch {
	case ref.Serial != "":
		c.SerialFrom, c.SerialTo = ref.Serial, ref.Serial
	case ref.Lot != "":
		c.Lots = []string{ref.Lot}
	}
	return c
}

// madeOf gives the outputs of confirmed transformations, and the trade items, into which goods of a product and of the scope went.
// What was declared an error does not count.
func (s *Service) madeOf(ctx context.Context, gtin string, sc *warning.Scope) ([]gs1.Ref, error) {
	made := map[[2]string][]gs1.Ref{} // by event ID and firm, as in eventsOf
	wrong := map[[2]string]bool{}
	var order [][2]string
	q := store.Query{Index: byInput, Eq: store.K(gtin), Limit: 200}
	for more := true; more && len(order) < maxDescendants; more = q.Cursor != "" {
		page, err := s.events.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		visible, err := s.visible(ctx, page.Items)
		if err != nil {
			return nil, err
		}
		affected, err := s.useAffected(ctx, visible, gtin, sc)
		if err != nil {
			return nil, err
		}
		for i, d := range visible {
			key := [2]string{d.V.ID, d.V.Firm}
			switch {
			case d.V.Declares:
				wrong[key] = true
			case affected[i]:
				order = append(order, key)
				made[key] = append(made[key], products(&d.V)...)
			}
		}
		q.Cursor = page.Next
	}
	var out []gs1.Ref
	for _, key := range order {
		if !wrong[key] {
			out = append(out, made[key]...)
		}
		delete(made, key) // an event in several parts stands in order once for each
	}
	return out, nil
}

// useAffected says of each event whether goods of one product that are certainly in the scope went in.
func (s *Service) useAffected(ctx context.Context, docs []store.Doc[eventDoc], gtin string, sc *warning.Scope) ([]bool, error) {
	var refs []gs1.Ref
	ends := make([]int, len(docs))
	for i, d := range docs {
		for _, t := range d.V.Things {
			if ref, ok := refOf(t.EPC); ok && string(ref.GTIN) == gtin && (t.Role == roleInput || t.Role == roleChild) {
				refs = append(refs, ref)
			}
		}
		ends[i] = len(refs)
	}
	if err := s.fillLots(ctx, refs); err != nil {
		return nil, err
	}
	out := make([]bool, len(docs))
	begin := 0
	for i, end := range ends {
		out[i] = slices.ContainsFunc(refs[begin:end], func(r gs1.Ref) bool {
			affected, certain := warning.Affects(sc, warning.Subject{GTIN: r.GTIN, Lot: r.Lot, Serial: r.Serial})
			return affected && certain
		})
		begin = end
	}
	return out, nil
}

// products gives what an event made: outputs, or the trade item that contains the children.
func products(e *eventDoc) []gs1.Ref {
	var out []gs1.Ref
	for _, t := range e.Things {
		if ref, ok := refOf(t.EPC); ok && t.Role == roleOutput {
			out = append(out, ref)
		}
	}
	if ref, ok := refOf(e.Parent); ok && e.Action != "DELETE" {
		out = append(out, ref)
	}
	return out
}

// Subject is what the warnings are asked about for a reference: with its lot, production date and ancestors, as the records have
// them.
func (s *Service) Subject(ctx context.Context, ref gs1.Ref) (warning.Subject, error) {
	c, err := s.chain(ctx, ref)
	if err != nil {
		return warning.Subject{}, err
	}
	return c.subject(ref), nil
}

// MadeChanges follows new edges of the graph: it gives what was made of something, or contains something, in confirmed events
// since token. See store.Feeder for its guarantees; an event of a capture that is not complete yet is given when it is.
func (s *Service) MadeChanges(ctx context.Context, token string, limit int) (made []gs1.Ref, next string, err error) {
	changes, next, err := s.events.Changes(ctx, token, limit)
	if err != nil {
		return nil, token, err
	}
	docs := make([]store.Doc[eventDoc], 0, len(changes))
	for _, ch := range changes {
		if !ch.Deleted {
			docs = append(docs, ch.Doc)
		}
	}
	visible, err := s.visible(ctx, docs)
	if err != nil {
		return nil, token, err
	}
	if len(visible) < len(docs) {
		return nil, token, nil // wait for the capture: it completes or is completed by Recover
	}
	for _, d := range visible {
		s.chains.touch(d.V.nodes()...) // whoever looks at what was made must see this edge, whichever process captured it
		if d.V.Confirmed && !d.V.Declares {
			made = append(made, products(&d.V)...)
		}
	}
	return made, next, nil
}
