package warning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// Head is a published warning as lists show it. It is a projection: the messages are the truth, and the worker brings every head
// up to the newest message, so a process that dies between the two leaves nothing wrong for long.
type Head struct {
	No        string    `json:"no"`
	Rev       int       `json:"rev"` // of the message that it shows
	Status    Status    `json:"status"`
	Level     Level     `json:"level"`
	Recall    bool      `json:"recall,omitempty"`
	Regime    string    `json:"regime"`
	Hazard    string    `json:"hazard"`
	Category  string    `json:"category"`
	Title     lang.Text `json:"title"`
	Advice    lang.Text `json:"advice"`
	Issuer    lang.Text `json:"issuer,omitempty"`
	Authority string    `json:"authority"`
	GTINs     []string  `json:"gtins"`
	Issued    time.Time `json:"issued"`  // of the first message
	Updated   time.Time `json:"updated"` // of the last message
}

func newHead(st *State) Head {
	c := &st.Current
	return Head{
		No: st.No, Rev: c.Rev, Status: st.Status, Level: c.Level, Recall: c.Recall, Regime: c.Regime, Hazard: c.Hazard, Category: c.Category,
		Title: c.Title, Advice: c.Advice, Issuer: c.Issuer, Authority: st.Authority, GTINs: c.Scope.GTINs(),
		Issued: st.Issued, Updated: c.Published,
	}
}

// indexLead finds heads by one criterion, or none, within one status, or any, ordered by their last message. Lists take
// their most selective criterion from it and test the others on what they read.
const indexLead = "lead"

func headsDef() store.Def[Head] {
	return store.Def[Head]{
		Name: "warnings",
		Indexes: []store.Index[Head]{{
			Name: indexLead, Version: "1",
			Keys: func(_ string, h *Head) ([]store.Key, store.Key) {
				var eq []store.Key
				for _, status := range [...]Status{"", h.Status} {
					eq = append(eq, leadKey("", "", status), leadKey("level", string(h.Level), status),
						leadKey("category", h.Category, status), leadKey("hazard", h.Hazard, status))
				}
				for _, g := range h.GTINs { // so selective that the status is not worth another entry for each
					eq = append(eq, leadKey("gtin", g, ""))
				}
				return eq, store.K(h.Updated)
			},
		}},
	}
}

func leadKey(kind, value string, status Status) store.Key {
	return store.K(kind, value, string(status))
}

// errUpToDate stops an update that has nothing to do.
var errUpToDate = errors.New("warning: head is up to date")

// project brings the head of a warning up to its messages. An older state never replaces a newer one.
func (s *Service) project(ctx context.Context, no string) error {
	st, err := s.Get(ctx, no)
	if err != nil {
		return err
	}
	_, err = s.heads.Upsert(ctx, no, func(h *Head) error {
		if h.Rev >= st.Current.Rev {
			return errUpToDate
		}
		*h = newHead(&st)
		return nil
	})
	if err != nil && !errors.Is(err, errUpToDate) {
		return fmt.Errorf("project warning %s: %w", no, err)
	}
	return nil
}

// Filter chooses warnings; empty fields choose all.
type Filter struct {
	Status   Status
	Level    Level
	Category string
	Hazard   string
	GTIN     string
	From, To time.Time // of the last message, From inclusive, To exclusive
}

// Page is one page of a list; Next is "" on the last.
type Page struct {
	Items []Head
	Next  string
}

// maxPage is the largest page.
const maxPage = 100

// maxExamined bounds the heads that one page may look at. A page may therefore be short, even empty, and still have a next one.
const maxExamined = 1000

func pageSize(limit int) int {
	if limit <= 0 {
		return 20
	}
	return min(limit, maxPage)
}

// List gives published warnings, the last message first; a warning that gets a new message moves to the front. limit is 1
// to 100, default 20. Invalid for a filter outside the vocabularies, Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, f Filter, cursor string, limit int) (Page, error) {
	if err := f.check(); err != nil {
		return Page{}, err
	}
	limit = pageSize(limit)
	q := store.Query{Index: indexLead, Eq: f.lead(), Desc: true, Cursor: cursor, Limit: limit}
	if !f.From.IsZero() {
		q.From = store.K(f.From)
	}
	if !f.To.IsZero() {
		q.To = store.K(f.To)
	}
	var page Page
	for examined := 0; ; {
		p, err := s.heads.Find(ctx, q)
		if err != nil {
			return Page{}, listError(err)
		}
		for i := range p.Items {
			if h := &p.Items[i].V; f.chooses(h) {
				page.Items = append(page.Items, *h)
			}
		}
		examined += len(p.Items)
		page.Next = p.Next
		// Half a page is enough: to insist on the last few could mean many small reads.
		if p.Next == "" || 2*len(page.Items) >= limit || examined >= maxExamined {
			return page, nil
		}
		q.Cursor, q.Limit = p.Next, limit-len(page.Items)
	}
}

func (f *Filter) check() error {
	ch := &checker{}
	for _, c := range []struct {
		pointer, code string
		terms         []Term
	}{{"/level", string(f.Level), Levels}, {"/category", f.Category, Categories}, {"/hazard", f.Hazard, Hazards}} {
		if c.code != "" {
			ch.term(c.pointer, c.code, c.terms)
		}
	}
	switch f.Status {
	case "", StatusInForce, StatusLifted, StatusRetracted:
	default:
		ch.add("/status", "unknown_code", "one of: %s, %s, %s", StatusInForce, StatusLifted, StatusRetracted)
	}
	if f.GTIN != "" {
		g, err := gs1.ParseGTINLenient(f.GTIN)
		if err != nil {
			ch.add("/gtin", fault.CodeOf(err), "%s", detail(err))
		}
		f.GTIN = string(g)
	}
	return ch.err()
}

// lead is the most selective criterion.
func (f *Filter) lead() store.Key {
	switch {
	case f.GTIN != "":
		return leadKey("gtin", f.GTIN, "")
	case f.Hazard != "":
		return leadKey("hazard", f.Hazard, f.Status)
	case f.Category != "":
		return leadKey("category", f.Category, f.Status)
	case f.Level != "":
		return leadKey("level", string(f.Level), f.Status)
	}
	return leadKey("", "", f.Status)
}

// chooses tests what the lead criterion does not: all but the GTIN, which always leads.
func (f *Filter) chooses(h *Head) bool {
	return (f.Status == "" || f.Status == h.Status) &&
		(f.Level == "" || f.Level == h.Level) &&
		(f.Category == "" || f.Category == h.Category) &&
		(f.Hazard == "" || f.Hazard == h.Hazard)
}

func listError(err error) error {
	if errors.Is(err, store.ErrBadCursor) {
		return fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
	}
	return fmt.Errorf("list warnings: %w", err)
}

// Heads gives the list entries of warnings by number, for search results; unknown numbers are left out. At most
// store.MaxBatch numbers.
func (s *Service) Heads(ctx context.Context, nos []string) (map[string]Head, error) {
	heads, err := s.heads.Values(ctx, nos)
	if err != nil {
		return nil, fmt.Errorf("read warnings: %w", err)
	}
	return heads, nil
}
