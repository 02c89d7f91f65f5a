package coldchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// record is what a binding says of one product: a function of the readings of the time, the binding and the product's limits.
type record struct {
	Binding  string    `json:"binding"`
	Firm     string    `json:"firm"`
	Logger   string    `json:"logger"`
	Thing    string    `json:"thing"`
	GTIN     gs1.GTIN  `json:"gtin"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to,omitzero"`        // zero: the binding is open
	Vouched  bool      `json:"vouched,omitempty"`  // the firm may speak for the thing, or is an authority
	Accepted bool      `json:"accepted,omitempty"` // it may, or reported events of the thing that count

	Limits   *Set                   `json:"limits,omitempty"` // nil: there are none to judge by
	Measured map[Quantity]Judgement `json:"measured,omitempty"`

	Fence int64 `json:"fence"` // of the lease under which it was derived
}

func (r *record) fence() int64 { return r.Fence }

var recordDef = store.Def[record]{Name: "cold_records", Indexes: []store.Index[record]{
	{Name: byBinding, Version: "1", Keys: func(_ string, r *record) ([]store.Key, store.Key) {
		return []store.Key{store.K(r.Binding)}, store.K(string(r.GTIN))
	}},
	// By firm, and those of firms that may speak for the thing: a stranger's, of whom anybody can be one, are in nobody's way.
	{Name: byThing, Version: "2", Keys: func(_ string, r *record) ([]store.Key, store.Key) {
		keys := []store.Key{store.K(r.Thing, string(r.GTIN), r.Firm)}
		if r.Vouched {
			keys = append(keys, store.K(r.Thing, string(r.GTIN), vouched))
		}
		return keys, store.K(r.From)
	}},
	{Name: byProduct, Version: "1", Keys: func(_ string, r *record) ([]store.Key, store.Key) {
		return []store.Key{store.K(string(r.GTIN))}, store.K(r.From)
	}},
}}

// vouched is in the keys of byThing where a firm's ID is.
const vouched = ""

func recordID(binding string, g gs1.GTIN) string { return binding + "/" + string(g) }

// Excursion is a time in which a product was outside of its limits, as one logger had it.
type Excursion struct {
	Record   string    `json:"record"` // of which it is a part
	Firm     string    `json:"firm"`   // whose logger it was
	Logger   string    `json:"logger"`
	Thing    string    `json:"thing"`
	GTIN     gs1.GTIN  `json:"gtin"`
	Quantity Quantity  `json:"quantity"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Ongoing  bool      `json:"ongoing,omitempty"`
	Peak     float64   `json:"peak"`
	Limit    float64   `json:"limit"` // that it passed
	By       string    `json:"by"`    // who set the limits
	Allowed  int       `json:"allowed"`
	Accepted bool      `json:"accepted,omitempty"`
	Fence    int64     `json:"fence"`
}

func (x *Excursion) fence() int64 { return x.Fence }

// everybody is the first field of the keys of excursions that officers see, who see all.
const everybody = "*"

var excursionDef = store.Def[Excursion]{Name: "cold_excursions", Indexes: []store.Index[Excursion]{
	{Name: byRecord, Version: "1", Keys: func(_ string, x *Excursion) ([]store.Key, store.Key) {
		return []store.Key{store.K(x.Record)}, store.K(x.From)
	}},
	{Name: bySight, Version: "1", Keys: func(_ string, x *Excursion) ([]store.Key, store.Key) {
		sight := []string{everybody, x.Firm}
		if x.Accepted && x.By != x.Firm { // who stands behind the goods hears of it, but not from a stranger
			sight = append(sight, x.By)
		}
		var eq []store.Key
		for _, who := range sight {
			eq = append(eq, store.K(who), store.K(who, string(x.GTIN)))
		}
		return eq, store.K(x.From)
	}},
}}

// Excursions lists excursions, the newest first: a firm's own and those of products that it set the limits of, or for viewer "" all; of one product, if g is
// not "". Malformed for a cursor that it did not give.
func (s *Service) Excursions(ctx context.Context, viewer string, g gs1.GTIN, cursor string, limit int) (list []Excursion, next string, err error) {
	if viewer == "" {
		viewer = everybody
	}
	eq := store.K(viewer)
	if g != "" {
		eq = store.K(viewer, string(g))
	}
	page, err := s.excursions.Find(ctx, store.Query{Index: bySight, Eq: eq, Desc: true, Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", badCursor(err)
	}
	list = make([]Excursion, len(page.Items))
	for i := range page.Items {
		list[i] = page.Items[i].V
	}
	return list, page.Next, nil
}

// Handling is what the trace graph knows of a thing.
type Handling struct {
	GTINs    []gs1.GTIN // what was in a container
	Reported bool       // the firm reported an event of it that counts
}

// derive makes the records of a binding, and their excursions, what follows from everything that is stored.
func (s *Service) derive(ctx context.Context, g Graph, id string, fence int64) error {
	d, err := s.bindings.Get(ctx, id)
	if err != nil {
		return err
	}
	b := &d.V
	know, err := g.Handling(ctx, b.Thing, b.Firm, b.From, b.end())
	if err != nil {
		return err
	}
	if b.GTIN != "" {
		know.GTINs = []gs1.GTIN{b.GTIN}
	}
	if b.Withdrawn {
		know.GTINs = nil
	}
	want, err := s.judged(ctx, id, b, know, fence)
	if err != nil {
		return err
	}
	err = drop(ctx, s.records, store.Query{Index: byBinding, Eq: store.K(id)}, want, func(id string) error { return s.tell(ctx, id, nil) })
	if err != nil {
		return err
	}
	for id, r := range want {
		if err := keep(ctx, s.records, id, *r); err != nil {
			return err
		}
		if err := s.tell(ctx, id, r); err != nil {
			return err
		}
	}
	return nil
}

// judged gives the records that a binding should have. The readings are read once for all its products.
func (s *Service) judged(ctx context.Context, id string, b *Binding, know Handling, fence int64) (map[string]*record, error) {
	out := make(map[string]*record, len(know.GTINs))
	judges := map[Quantity]map[string]*judge{Temperature: {}, Humidity: {}}
	for _, g := range know.GTINs {
		r := &record{
			Binding: id, Firm: b.Firm, Logger: b.Logger, Thing: b.Thing, GTIN: g, From: b.From, To: b.To, Vouched: b.Vouched, Accepted: b.Vouched || know.Reported,
			Fence: fence,
		}
		out[recordID(id, g)] = r
		l, err := s.limits.Get(ctx, string(g))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.Limits = l.V.InForce()
		for _, q := range quantities {
			if r.Limits.of(q) != nil {
				judges[q][recordID(id, g)] = newJudge(&r.Limits.Rules, q, b.From.UnixMilli(), b.end().UnixMilli(), !b.To.IsZero())
			}
		}
	}
	for q, all := range judges {
		if err := s.read(ctx, b, q, all); err != nil {
			return nil, err
		}
		for id, j := range all {
			if out[id].Measured == nil {
				out[id].Measured = map[Quantity]Judgement{}
			}
			out[id].Measured[q] = j.end()
		}
	}
	return out, nil
}

// read has judges look at the readings of a binding, day by day.
func (s *Service) read(ctx context.Context, b *Binding, q Quantity, all map[string]*judge) error {
	if len(all) == 0 {
		return nil
	}
	judges := slices.Collect(maps.Values(all))
	query := store.Query{
		Index: byLogger, Eq: store.K(b.Firm, b.Logger, string(q)), From: store.K(dayOf(b.From.UnixMilli())), To: store.K(dayOf(b.end().UnixMilli()) + 1), Limit: 8,
	}
	for {
		page, err := s.windows.Find(ctx, query)
		if err != nil {
			return err
		}
		for i := range page.Items {
			w := &page.Items[i].V
			points, err := unpack(w.Points, w.Day, 0)
			if err != nil {
				return fmt.Errorf("%s: %w", page.Items[i].ID, err)
			}
			for p, n := range moments(points) {
				for _, j := range judges {
					j.add(p, n)
				}
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Cursor = page.Next
	}
}

// tell makes the excursions of a record those that it has; r nil has none.
func (s *Service) tell(ctx context.Context, id string, r *record) error {
	want := map[string]Excursion{}
	if r != nil {
		for q, j := range r.Measured {
			for _, x := range j.Excursions {
				want[id+"/"+q.letter()+strconv.FormatInt(x.From, 36)] = Excursion{
					Record: id, Firm: r.Firm, Logger: r.Logger, Thing: r.Thing, GTIN: r.GTIN, Quantity: q, From: moment(x.From), To: moment(x.To), Ongoing: x.Ongoing,
					Peak: value(x.Peak), Limit: value(x.Bound), By: r.Limits.By, Allowed: r.Limits.ExcursionMinutes, Accepted: r.Accepted, Fence: r.Fence,
				}
			}
		}
	}
	err := drop(ctx, s.excursions, store.Query{Index: byRecord, Eq: store.K(id)}, want, func(string) error { return nil })
	if err != nil {
		return err
	}
	for id, x := range want {
		if err := keep(ctx, s.excursions, id, x); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes those of the documents which a query finds that are not wanted any more, each after what hangs on it.
func drop[T, W any](ctx context.Context, c *store.Collection[T], q store.Query, want map[string]W, hangs func(id string) error) error {
	var old []string
	if err := c.Each(ctx, q, func(d store.Doc[T]) error {
		if _, ok := want[d.ID]; !ok {
			old = append(old, d.ID)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, id := range old {
		if err := hangs(id); err != nil {
			return err
		}
		if err := c.Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// errSame ends an update that would change nothing.
var errSame = errors.New("coldchain: the same")

// derived is a document that follows from others.
type derived[T any] interface {
	*T
	fence() int64
}

// keep stores v under id unless it is there already, word for word. ErrLeaseLost for a worker that lost its lease, who knows older facts.
func keep[T any, P derived[T]](ctx context.Context, c *store.Collection[T], id string, v T) error {
	return change(ctx, c, id, func(old *T) error {
		if P(old).fence() > P(&v).fence() {
			return store.ErrLeaseLost
		}
		*old = v
		return nil
	})
}

// change is Upsert that writes nothing where edit changes nothing.
func change[T any](ctx context.Context, c *store.Collection[T], id string, edit func(*T) error) error {
	_, err := c.Upsert(ctx, id, func(v *T) error {
		before, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := edit(v); err != nil {
			return err
		}
		after, err := json.Marshal(v)
		if err == nil && bytes.Equal(before, after) {
			err = errSame
		}
		return err
	})
	if errors.Is(err, errSame) {
		return nil
	}
	return err
}
