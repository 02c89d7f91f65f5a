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
func (s *Service) madeOf(ctx context.Context, gtin string, sc *warning.Scope) ([]gs1.Ref, error) {
	var out []gs1.Ref
	q := store.Query{Index: byInput, Eq: store.K(gtin), Limit: 200}
	for {
		page, err := s.events.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		visible, err := s.visible(ctx, page.Items)
		if err != nil {
			return nil, err
		}
		for _, d := range visible {
			if e := &d.V; e.Confirmed && !e.Declares && usesAffected(e, sc) {
				out = append(out, products(e)...)
			}
		}
		if page.Next == "" || len(out) >= maxDescendants {
			return out, nil
		}
		q.Cursor = page.Next
	}
}

func usesAffected(e *eventDoc, sc *warning.Scope) bool {
	return slices.ContainsFunc(e.Things, func(t thing) bool {
		if t.Role != roleInput && t.Role != roleChild {
			return false
		}
		ref, ok := refOf(t.EPC)
		if !ok {
			return false
		}
		affected, certain := warning.Affects(sc, warning.Subject{GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial})
		return affected && certain
	})
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
		if d.V.Confirmed && !d.V.Declares {
			made = append(made, products(&d.V)...)
		}
	}
	return made, next, nil
}
