package trace

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// follower is how far a worker has come in a feed. Its fence is that of the lease under which it was written last: a worker that lost its
// lease and does not know it yet cannot set the position back.
type follower struct {
	Token string    `json:"position"`
	Fence int64     `json:"fence"`
	As    time.Time `json:"as"` // everything recorded before is in the projection
}

const (
	flowFollower = "flow"
	followBatch  = 200
	scansAtOnce  = 8 // index scans of one request or worker
	maxFirst     = 8 // how many of a unit's first events are searched for its commissioning
)

// RunFlow keeps the flows of lots in step with the events, in one process at a time, until ctx ends. It may be killed at any moment: what it
// wrote since it last noted its position is written again, and counts once.
func (s *Service) RunFlow(ctx context.Context, leases *store.Leases) error {
	return leases.Follow(ctx, store.Following{Lease: "trace/flow", Wake: s.events.Wake(), Log: s.deps.Log, Step: s.followEvents})
}

// position reads how far a follower has come.
func (s *Service) position(ctx context.Context, name string) (follower, error) {
	d, err := s.followers.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return follower{}, nil
	}
	return d.V, err
}

func (s *Service) advance(ctx context.Context, name string, to follower) error {
	_, err := s.followers.Upsert(ctx, name, func(v *follower) error {
		if v.Fence > to.Fence {
			return store.ErrLeaseLost
		}
		*v = to
		return nil
	})
	return err
}

// followEvents takes the next events into the flows, and says whether there may be more.
func (s *Service) followEvents(ctx context.Context, fence int64) (more bool, err error) {
	at, err := s.position(ctx, flowFollower)
	if err != nil {
		return false, err
	}
	changes, next, err := s.events.Changes(ctx, at.Token, followBatch)
	if errors.Is(err, store.ErrBadCursor) { // a restored store's feeds start anew
		return true, s.advance(ctx, flowFollower, follower{Fence: fence})
	}
	if err != nil {
		return false, err
	}
	docs := make([]store.Doc[eventDoc], 0, len(changes))
	for _, ch := range changes {
		if !ch.Deleted {
			docs = append(docs, ch.Doc)
		}
	}
	visible, err := s.visible(ctx, docs)
	if err != nil || len(visible) < len(docs) {
		return false, err // wait for the capture: it completes or is completed by Recover
	}
	if err := s.addToFlows(ctx, visible); err != nil {
		return false, err
	}
	if next == at.Token {
		return false, nil
	}
	for _, d := range visible {
		at.As = later(at.As, d.V.Recorded)
	}
	at.Token, at.Fence = next, fence
	// Where nobody else follows, the feed may hold nothing for long and then something; see store.Part.
	return len(changes) == followBatch || s.deps.Unattended, s.advance(ctx, flowFollower, at)
}

// addToFlows adds what events say to the flows of the lots that they are about. An event that tells the lot of units also brings in the
// events of these units that came before it, whose lot nobody knew.
func (s *Service) addToFlows(ctx context.Context, docs []store.Doc[eventDoc]) error {
	docs = slices.DeleteFunc(docs, func(d store.Doc[eventDoc]) bool { return !d.V.Confirmed })
	if err := s.writeFlows(ctx, docs); err != nil {
		return err
	}
	have := make(map[string]bool, len(docs))
	var told []string
	for i := range docs {
		have[docs[i].ID] = true
		told = append(told, lotTold(&docs[i].V)...)
	}
	hits, err := s.eventKeys(ctx, told, store.Query{Limit: maxNodeFacts})
	if err != nil {
		return err
	}
	var earlier []string
	for _, keys := range hits {
		for _, k := range keys {
			if !have[k.ID] {
				have[k.ID] = true
				earlier = append(earlier, k.ID)
			}
		}
	}
	for ids := range slices.Chunk(earlier, followBatch) {
		found, err := s.events.GetMany(ctx, ids)
		if err != nil {
			return err
		}
		// What is not visible yet comes with the feed.
		seen, err := s.visible(ctx, slices.Collect(maps.Values(found)))
		if err != nil {
			return err
		}
		if err := s.writeFlows(ctx, seen); err != nil {
			return err
		}
	}
	return nil
}

// lotTold lists the units whose lot an event tells.
func lotTold(e *eventDoc) (nodes []string) {
	if e.Lot == "" || e.Declares {
		return nil
	}
	for _, t := range e.Things {
		if makes(e, t.Role) && isTradeItem(t.EPC) {
			nodes = append(nodes, t.EPC)
		}
	}
	return nodes
}

// makes says whether what an event names in a role comes into being by it.
func makes(e *eventDoc, role string) bool {
	return role == roleOutput || role == roleSubject && e.Type == "ObjectEvent" && e.Action == "ADD"
}

func (s *Service) writeFlows(ctx context.Context, docs []store.Doc[eventDoc]) error {
	lots, err := s.lotsOf(ctx, docs)
	if err != nil {
		return err
	}
	type page struct {
		lotKey
		day int64
	}
	pages := map[page][]move{}
	var order []page
	for i := range docs {
		d := &docs[i]
		for k, ms := range movesOf(d.ID, &d.V, func(r gs1.Ref) string { return lots[r] }) {
			if k.Lot == "" {
				continue // of a unit without a lot only its own events can be asked for
			}
			p := page{k, floorDay(d.V.Time.UnixMilli())}
			if pages[p] == nil {
				order = append(order, p)
			}
			pages[p] = append(pages[p], ms...)
		}
	}
	for _, p := range order {
		if err := s.addMoves(ctx, p.lotKey, p.day, pages[p]); err != nil {
			return err
		}
	}
	return nil
}

// floorDay is the day of a time, also before 1970.
func floorDay(ms int64) int64 {
	d := ms / dayMillis
	if ms%dayMillis < 0 {
		d--
	}
	return d
}

// lotsOf tells the lots of the units that events name: as they were issued here, else as they were commissioned.
func (s *Service) lotsOf(ctx context.Context, docs []store.Doc[eventDoc]) (map[gs1.Ref]string, error) {
	lots := map[gs1.Ref]string{}
	var refs []gs1.Ref
	for i := range docs {
		e := &docs[i].V
		for _, n := range e.nodes() {
			if ref, ok := refOf(n); ok && ref.Serial != "" {
				if _, have := lots[ref]; !have {
					lots[ref] = ""
					refs = append(refs, ref)
				}
			}
		}
	}
	return lots, s.tellLots(ctx, refs, lots, docs)
}

// tellLots fills in the lots of units. docs are events at hand, which are not read again.
func (s *Service) tellLots(ctx context.Context, refs []gs1.Ref, lots map[gs1.Ref]string, docs []store.Doc[eventDoc]) error {
	for chunk := range slices.Chunk(refs, store.MaxBatch) {
		named := slices.Clone(chunk)
		if err := s.fillLots(ctx, named); err != nil {
			return err
		}
		for i, r := range named {
			lots[chunk[i]] = r.Lot
		}
	}
	tell := func(e *eventDoc) {
		for _, n := range lotTold(e) {
			if ref, ok := refOf(n); ok && ref.Serial != "" {
				if lot, wanted := lots[ref]; wanted && lot == "" {
					lots[ref] = e.Lot
				}
			}
		}
	}
	at := map[string]bool{}
	wrong := map[string]bool{}
	for i := range docs {
		at[docs[i].ID] = true
		wrong[baseOf(docs[i].ID)] = wrong[baseOf(docs[i].ID)] || docs[i].V.Declares
	}
	for i := range docs {
		if !wrong[baseOf(docs[i].ID)] {
			tell(&docs[i].V)
		}
	}
	var open []string
	for _, r := range refs {
		if lots[r] == "" {
			open = append(open, node(r))
		}
	}
	hits, err := s.eventKeys(ctx, open, store.Query{Limit: maxFirst})
	if err != nil {
		return err
	}
	var ids []string
	for _, keys := range hits {
		for _, k := range keys {
			if !at[k.ID] {
				at[k.ID] = true
				ids = append(ids, k.ID)
			}
		}
	}
	for chunk := range slices.Chunk(ids, followBatch) {
		found, err := s.events.GetMany(ctx, chunk)
		if err != nil {
			return err
		}
		for id, d := range found {
			wrong[baseOf(id)] = wrong[baseOf(id)] || d.V.Declares
		}
		for _, id := range chunk {
			if d, ok := found[id]; ok && !wrong[baseOf(id)] {
				tell(&d.V)
			}
		}
	}
	return nil
}

// eventKeys gives for each node the first entries of its events, in the order of event times, without reading an event. q has the range
// and the limit.
func (s *Service) eventKeys(ctx context.Context, nodes []string, q store.Query) ([][]store.Position, error) {
	out := make([][]store.Position, len(nodes))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(scansAtOnce)
	q.Index = byEPC
	for i, n := range nodes {
		g.Go(func() error {
			own := q
			own.Eq = store.K(n)
			var err error
			out[i], _, err = s.events.Keys(ctx, own)
			return err
		})
	}
	return out, g.Wait()
}
