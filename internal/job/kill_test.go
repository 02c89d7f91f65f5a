package job

import (
	"fmt"
	"testing"

	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// TestKilledAtEveryWrite kills the process before and after each write that a job takes, from Enqueue to the lease's end. The client asks again,
// another process goes on, and the job is done, with one step repeated at most.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	const steps = 3
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				if lived := killed(t, n, after, steps); lived {
					if n < steps+5 { // job, lease, begun, the steps, ended, lease
						t.Errorf("a job takes %d writes only", n-1)
					}
					return
				}
			}
		})
	}
}

func killed(t *testing.T, n int, after bool, steps int) (lived bool) {
	t.Helper()
	b, l := setup(t), newLedger()
	ctx := t.Context()
	b.Register("count", l.count)
	mortal := storetest.NewMortal(b.disk)
	dying := b.process("dying", mortal)
	dying.Register("count", l.count)
	mortal.DieAt(n, after)
	ask := New{Kind: "count", Owner: firmA, Input: steps, IdempotencyKey: "once"}
	j, err := dying.Enqueue(ctx, ask)
	if err == nil {
		if r, err := dying.next(ctx); err == nil && r != nil {
			dying.execute(ctx, r)
		}
	}
	lived = !mortal.Dead()
	j2 := b.enqueue(ask) // the client does not know
	if err == nil && j.ID != j2.ID {
		t.Fatalf("write %d: two jobs, %s and %s", n, j.ID, j2.ID)
	}
	for range 3 {
		b.drain(b.Service)
		b.clock.Advance(term)
	}
	got := b.is(j2.ID, Success)
	if string(got.Result) != fmt.Sprintf(`"counted to %d"`, steps) || got.Done != int64(steps) || got.Crashes > 1 {
		t.Errorf("write %d: the job is %+v", n, got)
	}
	l.whole(t, j2.ID, steps, 1)
	return lived
}

// TestTheRescuerIsKilledToo kills the process that takes a dead one's job over, at each of its writes.
func TestTheRescuerIsKilledToo(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			b, l := setup(t), newLedger()
			ctx := t.Context()
			b.Register("count", l.count)
			first := storetest.NewMortal(b.disk)
			dead := b.process("dead", first)
			dead.Register("count", l.count)
			j := b.enqueue(New{Kind: "count", Owner: firmA, Input: 2})
			first.DieAt(3, true) // lease, begun, a step
			b.one(dead)
			mortal := storetest.NewMortal(b.disk)
			rescuer := b.process("rescuer", mortal)
			rescuer.Register("count", l.count)
			b.ok(rescuer.recover(ctx))
			b.clock.Advance(term)
			mortal.DieAt(n, after)
			if rescuer.recover(ctx) == nil {
				if r, err := rescuer.next(ctx); err == nil && r != nil {
					rescuer.execute(ctx, r)
				}
			}
			for range 4 {
				b.drain(b.Service)
				b.clock.Advance(term)
			}
			b.is(j.ID, Success)
			l.whole(t, j.ID, 2, 1)
			if !mortal.Dead() {
				if n < 6 {
					t.Errorf("a rescue takes %d writes only", n-1)
				}
				break
			}
		}
	}
}
