package alert

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"github.com/haisu-trace/haisu/internal/consumer"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

const (
	gtinA = gs1.GTIN("06901234567892")
	gtinB = gs1.GTIN("06901234567908")
)

// fakeGraph knows what is made of what, and the brand of every product.
type fakeGraph struct {
	mu   sync.Mutex
	made map[gs1.Ref]gs1.Ref // output → input
	news []gs1.Ref

	strange bool // the product is a firm's that has no right to its number
}

func (g *fakeGraph) Descendants(_ context.Context, sc *warning.Scope) ([]gs1.Ref, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []gs1.Ref
	for o, in := range g.made {
		for ok := true; ok; in, ok = g.made[in] {
			if affected, _ := warning.Affects(sc, warning.Subject{GTIN: in.GTIN, Lot: in.Lot}); affected {
				out = append(out, o)
				break
			}
		}
	}
	return out, nil
}

func (g *fakeGraph) Subject(_ context.Context, ref gs1.Ref) (warning.Subject, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := warning.Subject{GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial}
	for in, ok := g.made[gs1.Ref{GTIN: ref.GTIN, Lot: ref.Lot}]; ok; in, ok = g.made[in] {
		s.Ancestors = append(s.Ancestors, in)
	}
	return s, nil
}

func (g *fakeGraph) Product(_ context.Context, p gs1.GTIN) (*trace.ProductView, error) {
	if p == gtinA {
		own := trace.Fact{Status: trace.ProvClaimed, Own: !g.strange}
		return &trace.ProductView{Brand: lang.ZhEn("海星", "Sea Star"), Origin: "FR", Facts: trace.ProductFacts{Brand: own, Origin: own}}, nil
	}
	return nil, fault.New(fault.NotFound, "product_not_found", "none")
}

func (g *fakeGraph) MadeChanges(_ context.Context, token string, _ int) ([]gs1.Ref, string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	_, _ = fmt.Sscan(token, &n)
	return g.news[n:], fmt.Sprint(len(g.news)), nil
}

// fakeSender remembers what was sent, and answers as told.
type fakeSender struct {
	mu     sync.Mutex
	sent   []string // "{message} {device} {reason} {certain}"
	answer map[string]Sent
}

func (f *fakeSender) Send(_ context.Context, out Outgoing, to []Address) []Sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	res := make([]Sent, len(to))
	for i, a := range to {
		f.sent = append(f.sent, fmt.Sprintf("%s %s %s %t", out.Message.ID(), a.Device, out.Reason, out.Certain))
		res[i] = Sent{State: StateSent}
		if r, ok := f.answer[a.Token]; ok {
			res[i] = r
		}
	}
	return res
}

func (f *fakeSender) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := f.sent
	f.sent = nil
	slices.Sort(out)
	return out
}

type bundle struct {
	*Service
	t         testing.TB
	engine    store.Engine
	clock     *clocktest.Clock
	warnings  *warning.Service
	consumers *consumer.Service
	graph     *fakeGraph
	sender    *fakeSender
	by        warning.Author
	names     map[string]string // device ID → name in the test
}

func setup(t testing.TB) *bundle {
	t.Helper()
	ctx := t.Context()
	dir := t.TempDir()
	eng, err := sqlite.Open(ctx, filepath.Join(dir, "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	b := &bundle{
		t: t, engine: eng, clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)), names: map[string]string{},
		graph: &fakeGraph{made: map[gs1.Ref]gs1.Ref{}}, sender: &fakeSender{answer: map[string]Sent{}},
		by: warning.Author{ID: "o", Name: "Officer", Authority: "hainan", May: warning.Anything},
	}
	log := slog.New(slog.DiscardHandler)
	b.warnings, err = warning.Open(ctx, eng, warning.Options{Now: b.clock.Now, Log: log})
	must(t, err)
	vault, err := privacy.Open(ctx, eng, box, b.clock.Now)
	must(t, err)
	b.consumers, err = consumer.Open(ctx, consumer.Deps{Engine: eng, Hasher: box, Vault: vault, Now: b.clock.Now})
	must(t, err)
	b.Service = b.open("one")
	return b
}

// open opens a fan-out as another process would.
func (b *bundle) open(owner string) *Service {
	b.t.Helper()
	leases, err := store.OpenLeases(b.t.Context(), b.engine, owner, 10*time.Second, b.clock.Now)
	must(b.t, err)
	s, err := Open(b.t.Context(), Deps{
		Engine: b.engine, Warnings: b.warnings, InForce: b.warnings.Matcher(), Consumers: b.consumers, Graph: b.graph, Sender: b.sender,
		Leases: leases, Now: b.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	must(b.t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) device(name string) string {
	b.t.Helper()
	d, _, err := b.consumers.Register(b.t.Context(), consumer.NewDevice{Platform: consumer.IOS, Lang: lang.En})
	must(b.t, err)
	must(b.t, b.consumers.SetPushToken(b.t.Context(), d.ID, "token-"+name))
	b.names[d.ID] = name
	return d.ID
}

func (b *bundle) holds(device string, g gs1.GTIN, lot string) {
	b.t.Helper()
	_, err := b.consumers.AddHolding(b.t.Context(), device, consumer.Holding{GTIN: g, Lot: lot})
	must(b.t, err)
}

func (b *bundle) scans(device string, ref gs1.Ref) {
	b.t.Helper()
	must(b.t, b.consumers.RecordExposure(b.t.Context(), device, ref, b.clock.Now()))
}

func (b *bundle) subscribes(device string, subs ...consumer.Subscription) {
	b.t.Helper()
	_, err := b.consumers.SetSubscriptions(b.t.Context(), device, subs)
	must(b.t, err)
}

func content(level warning.Level, lots ...string) warning.Content {
	return warning.Content{
		Level: level, Regime: "food", Hazard: "biological", Category: "spirits", Title: lang.ZhEn("预警", "Warning"), Advice: lang.ZhEn("勿饮", "Do not drink"),
		Issuer: lang.ZhEn("局", "Bureau"), Scope: warning.Scope{Clauses: []warning.Clause{{GTINs: []string{string(gtinA)}, Lots: lots}}},
	}
}

func (b *bundle) publish(c warning.Content) warning.Message {
	b.t.Helper()
	d, err := b.warnings.Create(b.t.Context(), b.by, c)
	must(b.t, err)
	m, err := b.warnings.Publish(b.t.Context(), b.by, d.No)
	must(b.t, err)
	return m
}

// round does what Run does, once and one after the other.
func (b *bundle) round(ctx context.Context, feeds map[string]feed) {
	b.t.Helper()
	must(b.t, b.expandOpen(ctx))
	for name, f := range feeds {
		must(b.t, b.catchUp(ctx, name, f))
	}
	for lane := range lanes {
		must(b.t, b.sendLane(ctx, lane))
	}
}

// rounds runs the background work until the closing pass is over.
func (b *bundle) rounds() {
	b.t.Helper()
	feeds := b.feeds()
	b.round(b.t.Context(), feeds)
	b.clock.Advance(closingDelay + time.Second)
	b.round(b.t.Context(), feeds)
	b.round(b.t.Context(), feeds)
}

// told gives what was sent since the last call, with the names of devices.
func (b *bundle) told() []string {
	var out []string
	for _, s := range b.sender.take() {
		for id, name := range b.names {
			s = strings.Replace(s, id, name, 1)
		}
		_, s, _ = strings.Cut(s, "/")
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (b *bundle) wantTold(what string, want ...string) {
	b.t.Helper()
	if got := b.told(); !slices.Equal(got, want) {
		b.t.Errorf("%s: told\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestExactlyThoseConcernedAreToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.holds(b.device("holder"), gtinA, "L1")
	b.holds(b.device("other-lot"), gtinA, "L2")
	b.holds(b.device("no-lot"), gtinA, "")
	b.holds(b.device("typed-like"), gtinA, "l 1")
	b.holds(b.device("other-product"), gtinB, "L1")
	b.scans(b.device("scanner"), gs1.Ref{GTIN: gtinA, Lot: "L1", Serial: "S1"})
	b.scans(b.device("scanned-other"), gs1.Ref{GTIN: gtinA, Lot: "L2", Serial: "S2"})
	b.subscribes(b.device("category"), consumer.Subscription{Kind: consumer.SubCategory, Value: "spirits"})
	b.subscribes(b.device("brand"), consumer.Subscription{Kind: consumer.SubBrand, Value: " sea  STAR"})
	b.subscribes(b.device("origin"), consumer.Subscription{Kind: consumer.SubOrigin, Value: "fr"})
	b.subscribes(b.device("only-red"), consumer.Subscription{Kind: consumer.SubAll, MinLevel: warning.Red})
	b.subscribes(b.device("other-category"), consumer.Subscription{Kind: consumer.SubCategory, Value: "perfume"})
	many := b.device("five-ways")
	b.holds(many, gtinA, "L1")
	b.scans(many, gs1.Ref{GTIN: gtinA, Lot: "L1"})
	b.subscribes(many, consumer.Subscription{Kind: consumer.SubAll}, consumer.Subscription{Kind: consumer.SubGTIN, Value: string(gtinA)},
		consumer.Subscription{Kind: consumer.SubHazard, Value: "biological"})
	b.device("nobody")

	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.wantTold("alert", "1 brand subscription true", "1 category subscription true", "1 five-ways holding true", "1 holder holding true",
		"1 no-lot holding false", "1 origin subscription true", "1 scanner scan true", "1 typed-like holding false")
	items, next, err := b.Inbox(t.Context(), many, time.Time{}, "", 10)
	must(t, err)
	if len(items) != 1 || next != "" || len(items[0].Reasons) != 5 || items[0].ID != m.ID() {
		t.Fatalf("inbox %+v", items)
	}
	stored, err := b.warnings.Message(t.Context(), m.ID())
	must(t, err)
	if f := stored.Fanout; f.Phase != warning.FanoutDone || f.Told != 8 || f.Chunks != 1 {
		t.Fatalf("fan-out %+v", f)
	}
	b.rounds()
	b.wantTold("once more")
}

func TestAStrangersBrandAndOriginSteerNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.graph.strange = true
	b.holds(b.device("holder"), gtinA, "L1")
	b.subscribes(b.device("brand"), consumer.Subscription{Kind: consumer.SubBrand, Value: "Sea Star"})
	b.subscribes(b.device("origin"), consumer.Subscription{Kind: consumer.SubOrigin, Value: "FR"})
	b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.wantTold("alert", "1 holder holding true")
}

func TestTheSamePeopleHearOfTheLift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.holds(b.device("holder"), gtinA, "L1")
	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.told()
	late := b.device("late")
	b.holds(late, gtinA, "L1")
	b.rounds()
	b.wantTold("late", "1 late holding true")
	b.holds(b.device("second-lot"), gtinA, "L2")
	wider := content(warning.Red, "L1", "L2")
	_, err := b.warnings.Amend(ctx, b.by, m.No, warning.Amendment{Change: warning.Change{Reason: lang.ZhEn("扩大", "Wider")}, Content: &wider})
	must(t, err)
	b.rounds()
	b.wantTold("update", "2 holder holding true", "2 late holding true", "2 second-lot holding true")
	b.holds(b.device("too-late"), gtinB, "L1")
	_, err = b.warnings.Lift(ctx, b.by, m.No, warning.Change{Reason: lang.ZhEn("解除", "Over")})
	must(t, err)
	b.rounds()
	b.wantTold("lift", "3 holder told_before true", "3 late told_before true", "3 second-lot told_before true")
	b.holds(b.device("after"), gtinA, "L1")
	b.rounds()
	b.wantTold("after the lift")
}

func TestWhoWasToldIsWalkedInOrderOverManyChunks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const n = 3*chunkSize + 17
	for i := range n {
		b.subscribes(b.device(fmt.Sprintf("d%04d", i)), consumer.Subscription{Kind: consumer.SubAll})
	}
	m := b.publish(content(warning.Blue))
	b.round(t.Context(), b.feeds())
	for i := range 20 {
		b.holds(b.device(fmt.Sprintf("late%02d", i)), gtinA, "X")
	}
	b.clock.Advance(closingDelay + time.Second)
	b.rounds()
	if got := b.told(); len(got) != n+20 {
		t.Fatalf("told %d", len(got))
	}
	_, err := b.warnings.Retract(t.Context(), b.by, m.No, warning.Change{Reason: lang.ZhEn("更正", "Wrong")})
	must(t, err)
	b.rounds()
	got := b.told()
	if len(got) != n+20 || len(slices.Compact(slices.Clone(got))) != n+20 {
		t.Fatalf("the retraction went to %d, %d different", len(got), len(slices.Compact(got)))
	}
}

// A process may die at any instruction: here between writing a chunk and moving the cursor, and between sending and storing.
func TestACrashRepeatsAChunkAndLosesNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	const n = 2*chunkSize + 5
	for i := range n {
		b.subscribes(b.device(fmt.Sprintf("d%04d", i)), consumer.Subscription{Kind: consumer.SubAll})
	}
	m := b.publish(content(warning.Blue))
	a, err := b.newAudience(ctx, &m)
	must(t, err)
	c, err := b.gather(ctx, &m, a.after(""))
	must(t, err)
	_, _, err = b.put(ctx, chunkID(&m, ""), c)
	must(t, err)
	held, ok, err := b.Leases.Try(ctx, "expand/"+m.ID())
	must(t, err)
	if !ok || held == nil {
		t.Fatal("no lease")
	}
	// Now the process is gone, with its lease. Another one waits for the term, and goes on.
	b.Service = b.open("two")
	feeds := b.feeds()
	b.round(ctx, feeds)
	if got := b.told(); len(got) != chunkSize {
		t.Fatalf("%d told while the dead process's lease lasts", len(got))
	}
	for range 5 {
		b.clock.Advance(6 * time.Second)
		b.round(ctx, feeds)
	}
	if got := b.told(); len(got) != n-chunkSize {
		t.Fatalf("then %d, want %d", len(got), n-chunkSize)
	}
	stored, err := b.warnings.Message(ctx, m.ID())
	must(t, err)
	if stored.Fanout.Phase != warning.FanoutDone || stored.Fanout.Told != n {
		t.Fatalf("fan-out %+v", stored.Fanout)
	}
}

func TestAnUnpublishedCursorIsNotMovedByAnOldHolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.publish(content(warning.Blue))
	old, ok, err := b.Leases.Try(ctx, "expand/"+m.ID())
	must(t, err)
	if !ok {
		t.Fatal("no lease")
	}
	two := b.open("two")
	if _, ok, err := two.Leases.Try(ctx, "expand/"+m.ID()); err != nil || ok {
		t.Fatalf("two holders: %v", err)
	}
	b.clock.Advance(11 * time.Second)
	held, ok, err := two.Leases.Try(ctx, "expand/"+m.ID())
	must(t, err)
	if !ok {
		t.Fatal("not stolen after the term")
	}
	must(t, two.setFanout(ctx, &m, held, func(f *warning.Fanout) { f.Cursor = "new" }))
	if err := b.setFanout(ctx, &m, old, func(f *warning.Fanout) { f.Cursor = "old" }); err == nil {
		t.Fatal("the old holder moved the cursor")
	}
}

func TestResultsOfThePushService(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ids := map[string]string{}
	for _, name := range []string{"gone", "busy", "bad", "fine"} {
		ids[name] = b.device(name)
		b.holds(ids[name], gtinA, "L1")
	}
	silent, _, err := b.consumers.Register(ctx, consumer.NewDevice{Platform: consumer.Android, Lang: lang.ZhHans})
	must(t, err)
	b.holds(silent.ID, gtinA, "L1")
	b.sender.answer = map[string]Sent{
		"token-gone": {State: StateUnreachable}, "token-bad": {State: StateFailed}, "token-busy": {State: StatePending, RetryAfter: time.Minute},
	}
	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	if got := b.told(); len(got) != 4 {
		t.Fatalf("sent %v", got)
	}
	devices, err := b.consumers.Devices(ctx, slices.Collect(maps.Values(ids)))
	must(t, err)
	if devices[ids["gone"]].PushToken != "" || devices[ids["bad"]].PushToken == "" {
		t.Error("exactly the dead token is to be dropped")
	}
	b.sender.answer = nil
	b.clock.Advance(30 * time.Second)
	b.round(ctx, b.feeds())
	b.wantTold("before its time")
	b.clock.Advance(31 * time.Second)
	b.round(ctx, b.feeds())
	b.wantTold("after its time", "1 busy holding true")
	if items, _, err := b.Inbox(ctx, silent.ID, time.Time{}, "", 10); err != nil || len(items) != 1 || items[0].ID != m.ID() {
		t.Errorf("the inbox of a device without a token: %+v, %v", items, err)
	}
}

func TestAStaleMessageIsNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.holds(b.device("busy"), gtinA, "L1")
	b.sender.answer = map[string]Sent{"token-busy": {State: StatePending, RetryAfter: time.Hour}}
	m := b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.told()
	b.sender.answer = nil
	_, err := b.warnings.Retract(ctx, b.by, m.No, warning.Change{Reason: lang.ZhEn("更正", "Wrong")})
	must(t, err)
	b.clock.Advance(2 * time.Hour)
	b.rounds()
	b.wantTold("only the newest", "2 busy told_before true")
}

func TestWarningsAboutAnInputReachHoldersOfWhatWasMade(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	in := gs1.Ref{GTIN: gtinA, Lot: "L1"}
	b.graph.made[gs1.Ref{GTIN: gtinB, Lot: "OUT"}] = in
	b.holds(b.device("made"), gtinB, "OUT")
	b.holds(b.device("made-otherwise"), gtinB, "ELSE")
	b.holds(b.device("made-later"), gtinB, "OUT2")
	b.publish(content(warning.Orange, "L1"))
	b.rounds()
	b.wantTold("alert", "1 made holding true")
	b.graph.mu.Lock()
	b.graph.made[gs1.Ref{GTIN: gtinB, Lot: "OUT2"}] = in
	b.graph.news = []gs1.Ref{{GTIN: gtinB, Lot: "OUT2"}}
	b.graph.mu.Unlock()
	b.round(ctx, b.feeds())
	b.wantTold("a later capture", "1 made-later holding true")
}

func TestALateSubscriptionIsNotFloodedWithOldWarnings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(content(warning.Orange, "L1"))
	b.clock.Advance(time.Second)
	b.subscribes(b.device("at-once"), consumer.Subscription{Kind: consumer.SubAll})
	b.rounds()
	b.wantTold("at the moment of publication", "1 at-once subscription true")
	b.clock.Advance(time.Hour)
	b.subscribes(b.device("an-hour-later"), consumer.Subscription{Kind: consumer.SubAll})
	b.rounds()
	b.wantTold("an hour later")
}
