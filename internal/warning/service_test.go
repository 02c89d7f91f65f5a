package warning

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

var officer = Author{ID: "o-1", Name: "陈警官", Authority: "hnamr", May: Anything}

var colleague = Author{ID: "o-2", Name: "Lin", Authority: "hnamr", May: Anything}

// bundle is a service on a fresh database with a clock that moves a second at each look.
type bundle struct {
	*Service
	eng store.Engine
	now func() time.Time
}

func setup(t *testing.T) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	var mu sync.Mutex
	at := day1
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
	return replica(t, eng, now)
}

// replica is another process on the same store.
func replica(t *testing.T, eng store.Engine, now func() time.Time) *bundle {
	t.Helper()
	s, err := Open(t.Context(), eng, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &bundle{Service: s, eng: eng, now: now}
}

func sampleContent() Content {
	return Content{
		Level: Yellow, Regime: "food", Hazard: "biological", Category: "infant_formula",
		Title:  lang.ZhEn("某批次婴儿配方乳粉检出阪崎肠杆菌", "Cronobacter found in a lot of infant formula"),
		Advice: lang.ZhEn("请立即停止食用，凭小票到原购买门店退货。", "Stop feeding it now and return it to the shop with the receipt."),
		Scope:  Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}, Lots: []string{"L1"}}}},
	}
}

var why = lang.ZhEn("经复检", "After a second test")

func (b *bundle) mustPublish(t *testing.T, c Content) Message {
	t.Helper()
	d, err := b.Create(t.Context(), officer, c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Publish(t.Context(), officer, d.No)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantFault(t *testing.T, err error, kind fault.Kind, code string) fault.Error {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != kind || f.Code != code {
		t.Fatalf("error %v, want kind %d code %s", err, kind, code)
	}
	return *f
}

func TestLifeOfAWarning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	subject := Subject{GTIN: gtin(1), Lot: "L1"}

	d, err := b.Create(ctx, officer, sampleContent())
	if err != nil {
		t.Fatal(err)
	}
	if d.No != "HN-2026-000001" || d.Revision != 1 {
		t.Fatalf("draft %s revision %d", d.No, d.Revision)
	}
	if _, err := b.Get(ctx, d.No); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("a draft is public: %v", err)
	}
	if got := b.Matcher().Match(nil, subject); len(got) != 0 {
		t.Fatal("a draft matches")
	}
	_, err = b.Lift(ctx, officer, d.No, Change{Reason: why})
	if f := wantFault(t, err, fault.Conflict, "illegal_move"); !strings.HasSuffix(f.Detail, "possible now: alert") {
		t.Fatal(f.Detail)
	}

	m, err := b.Publish(ctx, officer, d.No)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID() != "HN-2026-000001/1" || m.Kind != KindAlert || m.By != officer.ID || m.Fanout.Phase != FanoutPending {
		t.Fatalf("%+v", m)
	}
	if got := b.Matcher().Match(nil, subject); len(got) != 1 || !got[0].Certain || got[0].Warning.Level != Yellow {
		t.Fatalf("after Publish: %+v", got)
	}

	raised, err := b.Amend(ctx, colleague, d.No, Amendment{Change: Change{Reason: why}, Level: Red})
	if err != nil {
		t.Fatal(err)
	}
	if raised.Rev != 2 || raised.References != m.ID() || raised.Level != Red || !reflect.DeepEqual(raised.Title, m.Title) {
		t.Fatalf("%+v", raised)
	}
	if got := b.Matcher().Match(nil, subject); len(got) != 1 || got[0].Warning.Level != Red {
		t.Fatal("the matcher does not know of the higher level")
	}
	wider := sampleContent()
	wider.Scope.Clauses[0].Lots = []string{"L1", "L2"}
	if _, err := b.Amend(ctx, officer, d.No, Amendment{Change: Change{Reason: why}, Content: &wider}); err != nil {
		t.Fatal(err)
	}
	if got := b.Matcher().Match(nil, Subject{GTIN: gtin(1), Lot: "L2"}); len(got) != 1 {
		t.Fatal("the matcher does not know of the wider scope")
	}

	if _, err := b.Lift(ctx, officer, d.No, Change{Reason: why}); err != nil {
		t.Fatal(err)
	}
	if got := b.Matcher().Match(nil, subject); len(got) != 0 {
		t.Fatal("a lifted warning matches")
	}
	_, err = b.Amend(ctx, officer, d.No, Amendment{Change: Change{Reason: why}, Level: Red})
	if f := wantFault(t, err, fault.Conflict, "illegal_move"); !strings.HasSuffix(f.Detail, "possible now: retract") {
		t.Fatal(f.Detail)
	}
	if _, err := b.Retract(ctx, officer, d.No, Change{Reason: why}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Retract(ctx, officer, d.No, Change{Reason: why})
	if f := wantFault(t, err, fault.Conflict, "illegal_move"); !strings.HasSuffix(f.Detail, "possible now: nothing") {
		t.Fatal(f.Detail)
	}
	checkHistory(t, b, d.No)
}

func checkHistory(t *testing.T, b *bundle, no string) {
	t.Helper()
	st, err := b.Get(t.Context(), no)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []MessageKind
	for _, m := range st.History {
		kinds = append(kinds, m.Kind)
	}
	if want := []MessageKind{KindAlert, KindUpdate, KindUpdate, KindLift, KindRetract}; !slices.Equal(kinds, want) || st.Status != StatusRetracted {
		t.Fatalf("%v, %s", kinds, st.Status)
	}
}

func TestPublishingTwicePublishesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := replica(t, b.eng, b.now)
	for range 5 {
		d, err := b.Create(t.Context(), officer, sampleContent())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]Message, 8)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				s, by := b, officer
				if i%2 == 1 {
					s, by = other, colleague
				}
				var err error
				if got[i], err = s.Publish(t.Context(), by, d.No); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, m := range got[1:] {
			if m.Key != got[0].Key || m.By != got[0].By || !m.Published.Equal(got[0].Published) {
				t.Fatalf("two publications: %+v and %+v", got[0], m)
			}
		}
		for _, s := range []*bundle{b, other} {
			found := slices.ContainsFunc(s.Matcher().InForce(), func(m *Message) bool { return m.No == d.No })
			if !found {
				t.Fatal("a matcher does not know what its own process published")
			}
		}
	}
}

func TestTwoOfficersMoveAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 10 {
		m := b.mustPublish(t, sampleContent())
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = b.Lift(t.Context(), []Author{officer, colleague}[i%2], m.No, Change{Reason: why, Key: fmt.Sprint("k", i)})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if fault.KindOf(err) != fault.Conflict {
				t.Fatal(err)
			}
		}
		st, err := b.Get(t.Context(), m.No)
		if err != nil {
			t.Fatal(err)
		}
		if won != 1 || len(st.History) != 2 {
			t.Fatalf("%d won, %d messages", won, len(st.History))
		}
	}
}

func TestARetryKnowsItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	a := Amendment{Change: Change{Reason: why, Key: "req-1", Seen: 1}, Level: Orange}
	first, err := b.Amend(ctx, officer, m.No, a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Lift(ctx, officer, m.No, Change{Reason: why, Key: "req-2"}); err != nil {
		t.Fatal(err)
	}
	again, err := b.Amend(ctx, officer, m.No, a)
	if err != nil || !reflect.DeepEqual(first.Content, again.Content) || again.Rev != first.Rev {
		t.Fatalf("%+v, %v", again, err)
	}
	a.Level = Red
	_, err = b.Amend(ctx, officer, m.No, a)
	wantFault(t, err, fault.Conflict, "idempotency_key_reused")
	_, err = b.Retract(ctx, officer, m.No, Change{Reason: why, Key: "req-2"})
	wantFault(t, err, fault.Conflict, "idempotency_key_reused")
	_, err = b.Retract(ctx, officer, m.No, Change{Reason: why, Seen: 2})
	wantFault(t, err, fault.Conflict, "warning_changed")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	stranger := Author{ID: "o-9", Authority: "customs", May: Anything}

	_, err := b.Lift(ctx, stranger, m.No, Change{Reason: why})
	wantFault(t, err, fault.Forbidden, "other_authority")
	_, err = b.Publish(ctx, stranger, m.No) // its draft
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Create(ctx, Author{ID: "o-1"}, sampleContent())
	wantFault(t, err, fault.Forbidden, "no_authority")
	_, err = b.Publish(ctx, officer, "HN-2026-000777")
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Get(ctx, "../etc")
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Retract(ctx, officer, m.No, Change{Reason: lang.Text{lang.En: "Wrong."}})
	f := wantFault(t, err, fault.Invalid, "invalid")
	if len(f.Fields) != 1 || f.Fields[0].Pointer != "/reason/zh-Hans" {
		t.Fatalf("%+v", f.Fields)
	}
	_, err = b.Amend(ctx, officer, m.No, Amendment{Change: Change{Reason: why}, Level: Yellow})
	if f := wantFault(t, err, fault.Invalid, "invalid"); f.Fields[0].Code != "nothing_changed" {
		t.Fatalf("%+v", f.Fields)
	}
	_, err = b.Amend(ctx, officer, m.No, Amendment{Change: Change{Reason: why}})
	if f := wantFault(t, err, fault.Invalid, "invalid"); f.Fields[0].Pointer != "/level" {
		t.Fatalf("%+v", f.Fields)
	}
}

func TestDrafts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	d, err := b.Create(ctx, officer, sampleContent())
	if err != nil {
		t.Fatal(err)
	}
	c := sampleContent()
	c.Level = Orange
	d2, err := b.UpdateDraft(ctx, colleague, d.No, d.Revision, c)
	if err != nil || d2.Revision != d.Revision+1 {
		t.Fatal(d2.Revision, err)
	}
	_, err = b.UpdateDraft(ctx, officer, d.No, d.Revision, sampleContent())
	if f := wantFault(t, err, fault.Conflict, "draft_changed"); !strings.Contains(f.Detail, colleague.Name) {
		t.Fatal(f.Detail)
	}
	_, err = b.PublishRevision(ctx, officer, d.No, d.Revision)
	wantFault(t, err, fault.Conflict, "draft_changed")
	list, _, err := b.Drafts(ctx, officer.Authority, "", 10)
	if err != nil || len(list) != 1 || list[0].Level != Orange || list[0].Revision != d2.Revision {
		t.Fatalf("%+v %v", list, err)
	}
	m, err := b.PublishRevision(ctx, officer, d.No, d2.Revision)
	if err != nil || m.Level != Orange {
		t.Fatal(m.Level, err)
	}
	_, err = b.UpdateDraft(ctx, officer, d.No, d2.Revision+1, c)
	wantFault(t, err, fault.Conflict, "draft_published")
	list, _, err = b.Drafts(ctx, officer.Authority, "", 10)
	if err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestNumbersAreUniqueAcrossReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := replica(t, b.eng, b.now)
	var mu sync.Mutex
	var nos []string
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			s := b
			if i%2 == 1 {
				s = other
			}
			d, err := s.Create(t.Context(), officer, sampleContent())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			nos = append(nos, d.No)
		})
	}
	wg.Wait()
	slices.Sort(nos)
	for i, no := range nos {
		if no != numbers.Format(2026, i+1) {
			t.Fatalf("number %d is %s", i+1, no)
		}
	}
}

func TestTheYearIsTheOneInChina(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := replica(t, b.eng, func() time.Time { return time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC) })
	d, err := s.Create(t.Context(), officer, sampleContent())
	if err != nil || d.No != "HN-2027-000001" {
		t.Fatal(d.No, err)
	}
}

func TestFanout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m1, m2 := b.mustPublish(t, sampleContent()), b.mustPublish(t, sampleContent())
	open, _, err := b.Unfinished(ctx, "", 10)
	if err != nil || len(open) != 2 || open[0].No != m1.No {
		t.Fatalf("%+v %v", open, err)
	}
	f, err := b.SetFanout(ctx, m1.ID(), func(f *Fanout) error {
		f.Phase, f.Cursor, f.Fence = FanoutExpanding, "d-7", 3
		return nil
	})
	if err != nil || f.Cursor != "d-7" {
		t.Fatal(f, err)
	}
	stale := errors.New("stale fence")
	if _, err := b.SetFanout(ctx, m1.ID(), func(f *Fanout) error {
		f.Cursor = "d-1"
		return stale
	}); !errors.Is(err, stale) {
		t.Fatal(err)
	}
	if _, err := b.SetFanout(ctx, m2.ID(), func(f *Fanout) error { f.Phase = FanoutDone; return nil }); err != nil {
		t.Fatal(err)
	}
	open, _, err = b.Unfinished(ctx, "", 10)
	if err != nil || len(open) != 1 || open[0].Fanout.Cursor != "d-7" {
		t.Fatalf("%+v %v", open, err)
	}
	got := open[0]
	got.Fanout = m1.Fanout
	if !reflect.DeepEqual(got, m1) {
		t.Fatalf("the fan-out changed the content:\n%+v\n%+v", got, m1)
	}
	_, err = b.SetFanout(ctx, "HN-2026-000777/1", func(*Fanout) error { return nil })
	wantFault(t, err, fault.NotFound, "message_unknown")
}

func TestAnotherReplicaSeesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := replica(t, b.eng, b.now)
	m := b.mustPublish(t, sampleContent())
	if err := other.Matcher().Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := other.Matcher().Match(nil, Subject{GTIN: gtin(1), Lot: "L1"}); len(got) != 1 || got[0].Warning.No != m.No {
		t.Fatalf("%+v", got)
	}
	fresh := replica(t, b.eng, b.now)
	if n := len(fresh.Matcher().InForce()); n != 1 {
		t.Fatalf("a new process knows %d warnings", n)
	}
	if !fresh.Matcher().Confirm(t.Context()) {
		t.Fatal("not confirmed after Open")
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	first := b.mustPublish(t, sampleContent())
	for i := range 11 { // so that "/10" sorts before "/2"
		if _, err := b.Amend(ctx, officer, first.No, Amendment{Change: Change{Reason: why}, Level: []Level{Red, Blue}[i%2]}); err != nil {
			t.Fatal(err)
		}
	}
	second := b.mustPublish(t, sampleContent())
	got := map[string]int{}
	if err := b.All(ctx, func(st State) error { got[st.No] = st.Current.Rev; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[first.No] != 12 || got[second.No] != 1 {
		t.Fatalf("%v", got)
	}
	stop := errors.New("stop")
	if err := b.All(ctx, func(State) error { return stop }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
}
