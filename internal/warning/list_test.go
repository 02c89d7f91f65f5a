package warning

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

func nosOf(p Page) []string {
	var out []string
	for _, h := range p.Items {
		out = append(out, h.No[len("HN-2026-00000"):])
	}
	return out
}

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for i := range 9 {
		c := sampleContent()
		c.Level = Level(Levels[i%4].Code)
		c.Hazard = []string{"chemical", "allergen"}[i%2]
		c.Category = []string{"chocolate", "perfume", "watch"}[i%3]
		c.Scope.Clauses[0].GTINs = []string{string(gtin(i)), string(gtin(i % 2))}
		b.mustPublish(t, c)
	}
	if _, err := b.Create(ctx, officer, sampleContent()); err != nil { // a draft, which no list may show
		t.Fatal(err)
	}
	if _, err := b.Lift(ctx, officer, "HN-2026-000003", Change{Reason: why}); err != nil {
		t.Fatal(err)
	}
	st, err := b.Get(ctx, "HN-2026-000005")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"all, the last message first", Filter{}, []string{"3", "9", "8", "7", "6", "5", "4", "2", "1"}},
		{"in force", Filter{Status: StatusInForce}, []string{"9", "8", "7", "6", "5", "4", "2", "1"}},
		{"lifted", Filter{Status: StatusLifted}, []string{"3"}},
		{"level", Filter{Level: Red}, []string{"9", "5", "1"}},
		{"level and status", Filter{Level: Yellow, Status: StatusInForce}, []string{"7"}},
		{"category", Filter{Category: "perfume"}, []string{"8", "5", "2"}},
		{"hazard and level", Filter{Hazard: "chemical", Level: Red}, []string{"9", "5", "1"}},
		{"gtin", Filter{GTIN: string(gtin(1))}, []string{"8", "6", "4", "2"}},
		{"gtin as an EAN-13", Filter{GTIN: string(gtin(1))[1:], Category: "perfume"}, []string{"8", "2"}},
		{"since", Filter{From: st.Issued}, []string{"3", "9", "8", "7", "6", "5"}},
		{"until", Filter{To: st.Issued}, []string{"4", "2", "1"}},
		{"none", Filter{Category: "medicine"}, nil},
	} {
		p, err := b.List(ctx, tc.filter, "", 50)
		if err != nil || !slices.Equal(nosOf(p), tc.want) || p.Next != "" {
			t.Errorf("%s: %v, want %v; next %q, %v", tc.name, nosOf(p), tc.want, p.Next, err)
		}
		var paged []string
		for cursor := ""; ; {
			p, err := b.List(ctx, tc.filter, cursor, 2)
			if err != nil || len(p.Items) > 2 {
				t.Fatal(p, err)
			}
			paged = append(paged, nosOf(p)...)
			if cursor = p.Next; cursor == "" {
				break
			}
		}
		if !slices.Equal(paged, tc.want) {
			t.Errorf("%s: in pages %v, want %v", tc.name, paged, tc.want)
		}
	}
	_, err = b.List(ctx, Filter{Level: "purple", GTIN: "123", Status: StatusDraft}, "", 0)
	if f := wantFault(t, err, fault.Invalid, "invalid"); len(f.Fields) != 3 {
		t.Fatalf("%+v", f.Fields)
	}
	_, err = b.List(ctx, Filter{}, "nonsense!", 0)
	wantFault(t, err, fault.Malformed, "bad_cursor")
}

// The process dies between the message and its head, or between the seal and its message: Repair brings both in order.
func TestRepair(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	if err := b.heads.Delete(ctx, m.No); err != nil {
		t.Fatal(err)
	}
	d, err := b.Create(ctx, officer, sampleContent())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.drafts.Update(ctx, d.No, func(v *DraftDoc) error {
		v.Seal = &Seal{By: officer.ID, At: day1, Key: "sealed-by-the-dead"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := b.List(ctx, Filter{}, "", 10); err != nil || len(p.Items) != 0 {
		t.Fatalf("%v %v", p, err)
	}

	other := replica(t, b.eng, b.now)
	if err := other.Repair(ctx); err != nil {
		t.Fatal(err)
	}
	if p, err := b.List(ctx, Filter{}, "", 10); err != nil || !slices.Equal(nosOf(p), []string{"2", "1"}) {
		t.Fatalf("%v %v", nosOf(p), err)
	}
	st, err := b.Get(ctx, d.No)
	if err != nil || st.Current.Key != "sealed-by-the-dead" {
		t.Fatalf("%+v %v", st, err)
	}
	if n := len(other.Matcher().InForce()); n != 2 {
		t.Fatalf("%d in force where it was repaired", n)
	}
	if again, err := b.Publish(ctx, colleague, d.No); err != nil || again.By != officer.ID {
		t.Fatalf("%+v %v", again, err)
	}
	sealed, err := b.drafts.Count(ctx, store.Query{Index: indexSealed, Eq: store.K()}, 10)
	if err != nil || sealed != 0 {
		t.Fatalf("%d drafts are still to be published, %v", sealed, err)
	}
}

// An older state never overwrites a newer head, and a second pass over the feed changes nothing.
func TestProjectionIsIdempotent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	if _, err := b.Lift(ctx, officer, m.No, Change{Reason: why}); err != nil {
		t.Fatal(err)
	}
	before, err := b.heads.Get(ctx, m.No)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Repair(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.marks.Delete(ctx, markHeads); err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if err := b.Repair(ctx); err != nil {
		t.Fatal(err)
	}
	after, err := b.heads.Get(ctx, m.No)
	if err != nil || after.Rev != before.Rev || after.V.Status != StatusLifted {
		t.Fatalf("revision %d, then %d; %s; %v", before.Rev, after.Rev, after.V.Status, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Run goes on")
	}
}

// A damaged warning is unreadable, and nothing else is.
func TestADamagedWarningHoldsUpNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	bad := msg(1, KindLift)
	if err := b.messages.Insert(ctx, bad.ID(), bad); err != nil {
		t.Fatal(err)
	}
	good := msg(1, KindAlert)
	good.No = "HN-2026-000002"
	if err := b.messages.Insert(ctx, good.ID(), good); err != nil {
		t.Fatal(err)
	}
	if err := b.Repair(ctx); err != nil {
		t.Fatal(err)
	}
	if p, err := b.List(ctx, Filter{}, "", 10); err != nil || !slices.Equal(nosOf(p), []string{"2"}) {
		t.Fatalf("%v, %v", nosOf(p), err)
	}
	if _, err := b.Get(ctx, bad.No); err == nil || fault.KindOf(err) != fault.Internal {
		t.Fatalf("%v", err)
	}
	walked := 0
	if err := b.All(ctx, func(State) error { walked++; return nil }); err != nil || walked != 1 {
		t.Fatalf("%d walked, %v", walked, err)
	}
}

// After a restore the mark's token is another feed's: the heads are projected from the beginning.
func TestRepairAfterRestore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	if err := b.heads.Delete(ctx, m.No); err != nil {
		t.Fatal(err)
	}
	if _, err := b.marks.Upsert(ctx, markHeads, func(v *mark) error { v.Token = "of another feed"; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Repair(ctx); err != nil {
		t.Fatal(err)
	}
	if p, err := b.List(ctx, Filter{}, "", 10); err != nil || len(p.Items) != 1 || p.Items[0].No != m.No {
		t.Fatalf("%v %v", nosOf(p), err)
	}
}
