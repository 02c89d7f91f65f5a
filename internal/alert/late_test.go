package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Milk went into powder and powder into cake. The edge from milk to powder is captured last, after the warning about the milk.
func TestALateEdgeReachesAllThatWasMadeBehindIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const gtinC = gs1.GTIN("06901234567915")
	milk, powder, cake := gs1.Ref{GTIN: gtinA, Lot: "L1"}, gs1.Ref{GTIN: gtinB, Lot: "P"}, gs1.Ref{GTIN: gtinC, Lot: "C"}
	b.graph.made[cake] = powder
	b.holds(b.device("cake"), gtinC, "C")
	b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.wantTold("before the edge")
	b.graph.mu.Lock()
	b.graph.made[powder] = milk
	b.graph.news = []gs1.Ref{powder}
	b.graph.mu.Unlock()
	b.rounds()
	b.wantTold("after it", "1 cake holding true")
}

// Something was made of the milk, and nobody recorded into which lot it went: its holders are to check the package.
func TestAProductMadeWithoutALotIsOnlyPossible(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.graph.made[gs1.Ref{GTIN: gtinB}] = gs1.Ref{GTIN: gtinA, Lot: "L1"}
	b.holds(b.device("holder"), gtinB, "SOME")
	b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.wantTold("alert", "1 holder holding false")
}

func TestTheReasonThatMattersMostIsKept(t *testing.T) {
	t.Parallel()
	var list []Reason
	for i := range maxReasons + 5 {
		list = addReason(list, Reason{Code: ReasonScan, Serial: fmt.Sprint(i)})
	}
	holding := Reason{Code: ReasonHolding, Certain: true}
	if list = addReason(list, holding); len(list) != maxReasons || list[0] != holding {
		t.Fatalf("%d reasons, first %+v", len(list), list[0])
	}
}

// A chunk that does not fit into a document would stop the fan-out for everybody behind it.
func TestAChunkOfLongReasonsFitsIntoADocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.publish(content(warning.Blue))
	var entries []entry
	for device := range chunkSize {
		for i := range maxReasons {
			lot := "L1" + strings.Repeat("&", 78) // six bytes each in JSON
			entries = append(entries, entry{fmt.Sprintf("d%04d", device), Reason{Code: ReasonHolding, GTIN: string(gtinA), Lot: lot, Serial: fmt.Sprint(i)}})
		}
	}
	walk := &merged{sources: []*source{{fetch: func(context.Context, string) ([]entry, string, error) { return entries, "", nil }}}}
	total := 0
	for n := 0; ; n++ {
		c, err := b.gather(ctx, &m, walk)
		must(t, err)
		if len(c.Deliveries) == 0 {
			break
		}
		total += len(c.Deliveries)
		b.clock.Advance(time.Minute)
		stored, mine, err := b.put(ctx, fmt.Sprint(n), c)
		must(t, err)
		if !mine || !stored.Created.Equal(b.clock.Now()) {
			t.Fatalf("stored at %v, it says %v", b.clock.Now(), stored.Created)
		}
	}
	if total != chunkSize {
		t.Fatalf("%d deliveries", total)
	}
}

func TestAFeedThatForgotItsPlaceIsReadFromTheBeginning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(content(warning.Orange, "L1"))
	b.rounds()
	must(t, b.marks.Insert(t.Context(), "holdings", mark{Token: "forgotten"}))
	b.holds(b.device("late"), gtinA, "L1")
	b.rounds()
	b.wantTold("late", "1 late holding true")
}

func TestAnIdleFeedCostsNoWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.rounds()
	leases, err := store.Open(t.Context(), b.engine, store.Def[store.Lease]{Name: "leases"})
	must(t, err)
	if _, err := leases.Get(t.Context(), "late/holdings"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a lease was taken: %v", err)
	}
}

// busySender holds every message until it is let go.
type busySender struct {
	begun chan struct{}
	done  chan struct{}
}

func (s *busySender) Send(_ context.Context, _ Outgoing, to []Address) []Sent {
	s.begun <- struct{}{}
	<-s.done
	res := make([]Sent, len(to))
	for i := range res {
		res[i].State = StateSent
	}
	return res
}

// A push service that is slow for one message does not hold up the fan-out of the next.
func TestExpansionGoesOnWhileAMessageIsSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow := &busySender{begun: make(chan struct{}, 10), done: make(chan struct{})}
	b.Sender = slow
	b.holds(b.device("holder"), gtinA, "L1")
	wake := b.warnings.Wake()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	b.publish(content(warning.Orange, "L1"))
	<-slow.begun
	second := b.publish(content(warning.Red, "L1"))
	for {
		m, err := b.warnings.Message(ctx, second.ID())
		must(t, err)
		if m.Fanout.Told == 1 {
			break
		}
		<-wake
	}
	close(slow.done)
	cancel()
	must(t, <-ended)
}
