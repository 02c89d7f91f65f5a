package alert

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy/privacytest"
	"github.com/haisu-trace/haisu/internal/warning"
)

func TestAnErasedDeviceIsInNoInboxAndHearsNothingMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	gone, stays, late := b.device("gone"), b.device("stays"), b.device("late")
	b.holds(gone, gtinA, "L1")
	b.holds(stays, gtinA, "L1")
	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.holds(late, gtinA, "L1") // has a chunk of its own
	b.rounds()
	b.told()
	told, _, err := b.Told(ctx, gone, "", 10)
	if err != nil || len(told) != 1 || told[0].No != m.No || told[0].State != StateSent || !strings.Contains(string(told[0].Reasons), "holding") {
		t.Fatalf("%+v, %v", told, err)
	}
	for _, id := range []string{gone, late} {
		for range 2 {
			must(t, b.consumers.Erase(ctx, id))
		}
		if told, _, err := b.Told(ctx, id, "", 10); err != nil || len(told) != 0 {
			t.Errorf("still told %+v, %v", told, err)
		}
		if items, _, err := b.Inbox(ctx, id, time.Time{}, "", 10); err != nil || len(items) != 0 {
			t.Errorf("still in the inbox: %+v, %v", items, err)
		}
	}
	stored, err := b.warnings.Message(ctx, m.ID())
	if err != nil || stored.Fanout.Told != 2 {
		t.Fatalf("the count changed: %+v, %v", stored.Fanout, err)
	}
	_, err = b.warnings.Lift(ctx, b.by, m.No, warning.Change{Reason: lang.ZhEn("解除", "Over")})
	must(t, err)
	b.rounds()
	b.wantTold("the lift", "2 stays told_before true")
	recs := privacytest.Check(t, b.engine, []string{"token-"}, "deliveries", "devices", "push_tokens", "data_keys")
	for _, r := range recs["deliveries"] {
		if strings.Count(string(r.Body), `"reasons":[`) != strings.Count(string(r.Body), stays) {
			t.Errorf("a reason of an erased device is left: %s", r.Body)
		}
	}
}

// The device was erased after the chunk was gathered: what the chunk says of it goes when it is sent.
func TestADeviceThatIsErasedWhileItsChunkIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	gone, stays := b.device("gone"), b.device("stays")
	b.holds(gone, gtinA, "L1")
	b.holds(stays, gtinA, "L1")
	m := b.publish(content(warning.Orange, "L1"))
	a, err := b.newAudience(ctx, &m)
	must(t, err)
	c, err := b.gather(ctx, &m, a.after(""))
	must(t, err)
	must(t, b.consumers.Erase(ctx, gone))
	_, _, err = b.put(ctx, chunkID(&m, ""), c)
	must(t, err)
	b.rounds()
	b.wantTold("alert", "1 stays holding true")
	if told, _, err := b.Told(ctx, gone, "", 10); err != nil || len(told) != 0 {
		t.Fatalf("%+v, %v", told, err)
	}
	if told, _, err := b.Told(ctx, stays, "", 10); err != nil || len(told) != 1 {
		t.Fatalf("%+v, %v", told, err)
	}
}

// An erasure in the middle of many chunks leaves the order of devices whole: everybody else hears of the next message.
func TestErasuresKeepTheOrderOfChunks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	const n = 2*chunkSize + 3
	ids := make([]string, n)
	for i := range ids {
		d, _, err := b.consumers.Register(ctx, consumer.NewDevice{Platform: consumer.Android, Lang: lang.En})
		must(t, err)
		must(t, b.consumers.RecordExposure(ctx, d.ID, gs1.Ref{GTIN: gtinA, Lot: "L1"}, b.clock.Now()))
		ids[i] = d.ID
	}
	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	slices.Sort(ids)
	erased := []string{ids[0], ids[chunkSize-1], ids[chunkSize], ids[n-1]} // the edges of chunks
	for _, id := range erased {
		must(t, b.consumers.Erase(ctx, id))
	}
	_, err := b.warnings.Lift(ctx, b.by, m.No, warning.Change{Reason: lang.ZhEn("解除", "Over")})
	must(t, err)
	b.rounds()
	for _, id := range ids {
		told, _, err := b.Told(ctx, id, "", 10)
		must(t, err)
		want := 2
		if slices.Contains(erased, id) {
			want = 0
		}
		if len(told) != want {
			t.Fatalf("%s was told %d times, want %d", id, len(told), want)
		}
	}
}

// BenchmarkAddresses compares looking up the devices of a chunk with looking them up and opening their push tokens; one operation is one
// device. FCM takes 10,000 messages a second, which leaves 100 µs for one.
func BenchmarkAddresses(b *testing.B) {
	s := setup(b)
	ctx := b.Context()
	c := &chunk{}
	ids := make([]string, chunkSize)
	for i := range ids {
		ids[i] = s.device("of-the-usual-length-" + clock.Token(80))
		c.Deliveries = append(c.Deliveries, Delivery{Device: ids[i], Reasons: []Reason{{Code: ReasonHolding}}, State: StatePending})
	}
	m := &warning.Message{}
	b.Run("devices", func(b *testing.B) { // what it cost when tokens stood in clear
		for n := 0; n < b.N; n += chunkSize {
			if _, err := s.consumers.Devices(ctx, ids); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("opened", func(b *testing.B) {
		for n := 0; n < b.N; n += chunkSize {
			if _, to, err := s.addresses(ctx, m, c); err != nil || len(to) == 0 {
				b.Fatal(len(to), err)
			}
		}
	})
}
