package authority

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
	"github.com/haisu-trace/haisu/internal/warning"
)

// noon is the present of the tests: 2026-11-24 12:00 in Hainan.
var noon = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

// bundle is a service whose process can be killed, with a clock that never jumps under the test's hand.
type bundle struct {
	*Service
	eng    *storetest.Mortal
	disk   store.Engine
	uptime *atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	return replica(t, eng)
}

// replica is another process on the same store.
func replica(t *testing.T, disk store.Engine) *bundle {
	t.Helper()
	b := &bundle{eng: storetest.NewMortal(disk), disk: disk, uptime: &atomic.Int64{}}
	var err error
	b.Service, err = Open(t.Context(), b.eng, Options{
		Now: func() time.Time { return noon }, Mono: func() time.Duration { return time.Duration(b.uptime.Load()) },
	})
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func body(id string, competences ...Competence) Authority {
	return Authority{ID: id, Name: lang.ZhEn("局", "Bureau"), Kind: "market", Competences: competences}
}

func (b *bundle) mustPut(t *testing.T, a Authority, revision int64) Authority {
	t.Helper()
	_, after, err := b.Put(t.Context(), a, revision)
	must(t, err)
	return after
}

func wantField(t *testing.T, err error, pointer, code string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid || !slices.ContainsFunc(f.Fields, func(x fault.Field) bool { return x.Pointer == pointer && x.Code == code }) {
		t.Fatalf("error %v, want %s at %s", err, code, pointer)
	}
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func on(day string) time.Time {
	t, err := time.ParseInLocation(time.DateOnly, day, beijing)
	if err != nil {
		return time.Time{}
	}
	return t
}

func TestBuiltInBodies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	list, err := BuiltIn()
	must(t, err)
	n, err := b.Seed(ctx)
	must(t, err)
	if n != len(list) {
		t.Fatalf("%d of %d were added: the built-in bodies do not fit together", n, len(list))
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Matter: MatterWarning, Class: "spirits", Stage: StageMarket, Place: "46"}, "hn-amr"},
		{Query{Matter: MatterWarning, Class: "spirits", Stage: StagePort, Place: "4601"}, "haikou-customs"},
		{Query{Matter: MatterWarning, Class: "perfume", Stage: StageMarket, Place: "460106"}, "hn-mpa"},
		{Query{Matter: MatterWarning, Class: "perfume", Stage: StagePort, Place: "46"}, "haikou-customs"},
		{Query{Matter: MatterComplaint, Class: "perfume", Stage: StageMarket, Place: "460106"}, "haikou-amr"},
		{Query{Matter: MatterComplaint, Place: "4602"}, "sanya-amr"},
		{Query{Matter: MatterTip, Place: "469002"}, "qionghai-amr"},
		{Query{Matter: MatterComplaint, Place: "469099"}, "hn-amr"},
		{Query{Matter: MatterComplaint}, "hn-amr"},
		{Query{Matter: MatterComplaint, Stage: StagePort, Place: "4601"}, "haikou-customs"},
		{Query{Matter: MatterResale, Class: "spirits", Stage: StageMarket, Place: "4601"}, "haikou-customs-asb"},
	} {
		c.q.On = noon
		if got, err := b.Competent(ctx, c.q); err != nil || got.ID != c.want {
			t.Errorf("%+v: %s, %v; want %s", c.q, got.ID, err, c.want)
		}
	}
	_, err = b.Competent(ctx, Query{Matter: MatterWarning, Place: "1101", On: noon})
	wantCode(t, err, fault.NotFound, "no_competent_authority")
	_, err = b.Competent(ctx, Query{Matter: MatterComplaint, On: on("2018-09-30")})
	wantCode(t, err, fault.NotFound, "no_competent_authority")

	if n, err := b.Seed(ctx); n != 0 || err != nil {
		t.Fatalf("seeding again added %d, %v", n, err)
	}
}

func TestSuccessionOf2018(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, err := b.Seed(ctx)
	must(t, err)
	for _, c := range []struct{ id, day, want string }{
		{"hn-ciq", "2018-04-19", "hn-ciq"},
		{"hn-ciq", "2018-04-20", "haikou-customs"},
		{"hn-aic", "2018-09-30", "hn-aic"},
		{"hn-qts", "2018-10-01", "hn-amr"},
		{"hn-fda", "2026-11-24", "hn-amr"},
		{"hn-amr", "2026-11-24", "hn-amr"},
	} {
		if got, err := b.Acting(ctx, c.id, on(c.day)); err != nil || got.ID != c.want {
			t.Errorf("%s on %s: %s, %v; want %s", c.id, c.day, got.ID, err, c.want)
		}
	}
	_, err = b.Acting(ctx, "hn-amr", on("2018-09-30"))
	wantCode(t, err, fault.NotFound, "authority_not_acting")
	_, err = b.Acting(ctx, "nobody", noon)
	wantCode(t, err, fault.NotFound, "authority_unknown")
	line, err := b.Line(ctx, "hn-amr")
	must(t, err)
	if want := []string{"hn-amr", "hn-aic", "hn-fda", "hn-qts"}; !slices.Equal(line, want) {
		t.Errorf("line %v", line)
	}
	if line, err := b.Line(ctx, "nobody"); err != nil || !slices.Equal(line, []string{"nobody"}) {
		t.Errorf("line of an unknown body: %v, %v", line, err)
	}
}

func TestCompetenceToWarn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, err := b.Seed(ctx)
	must(t, err)
	has := func(id, acting string, want func(classes []string) bool) {
		t.Helper()
		got, classes, err := b.Competence(ctx, id)
		if err != nil || got != acting || !want(classes) {
			t.Errorf("%s: %s, %v, %v", id, got, classes, err)
		}
	}
	market := func(c []string) bool {
		return len(c) == len(warning.Categories)-6 && slices.Contains(c, "spirits") && !slices.Contains(c, "perfume")
	}
	has("hn-amr", "hn-amr", market)
	has("hn-fda", "hn-amr", market)
	has("hn-mpa", "hn-mpa", func(c []string) bool { return len(c) == 6 && slices.Contains(c, "perfume") })
	has("hn-ciq", "haikou-customs", func(c []string) bool { return slices.Equal(c, []string{AllClasses}) })
	has("haikou-amr", "haikou-amr", func(c []string) bool { return len(c) == 0 })
	_, _, err = b.Competence(ctx, "nobody")
	wantCode(t, err, fault.NotFound, "authority_unknown")
}

// Clocks of one authority are found by its ID, so the rules that the program carries may name known ones only.
func TestLegalClocksNameKnownAuthorities(t *testing.T) {
	t.Parallel()
	list, err := BuiltIn()
	must(t, err)
	rules, err := deadline.BuiltIn()
	must(t, err)
	for _, id := range rules.Authorities() {
		if !slices.ContainsFunc(list, func(a Authority) bool { return a.ID == id }) {
			t.Errorf("a legal clock names %q, which is no authority", id)
		}
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ended := body("old")
	ended.To = "2018-01-01"
	b.mustPut(t, ended, 0)
	b.mustPut(t, body("city", Competence{Matters: []string{MatterTip}, Places: []string{"4601", "4602"}}), 0)
	later := body("later")
	later.From = "2030-01-01"
	b.mustPut(t, later, 0)
	for name, c := range map[string]struct {
		change        func(a *Authority)
		pointer, code string
	}{
		"id":                {func(a *Authority) { a.ID = "../x" }, "/id", "authority_id"},
		"kind":              {func(a *Authority) { a.Kind = "guild" }, "/kind", "unknown_code"},
		"no English name":   {func(a *Authority) { delete(a.Name, lang.En) }, "/name/en", "required"},
		"a third language":  {func(a *Authority) { a.Name["fr"] = "Bureau" }, "/name", "unknown_language"},
		"control character": {func(a *Authority) { a.Name[lang.En] = "Bur\x00eau" }, "/name/en", "text"},
		"broken UTF-8":      {func(a *Authority) { a.Basis = "\xff" }, "/basis", "text"},
		"no such day":       {func(a *Authority) { a.From = "2018-02-30" }, "/from", "date"},
		"days in disorder":  {func(a *Authority) { a.From, a.To = "2018-02-01", "2018-02-01" }, "/to", "date_order"},
		"successor, no end": {func(a *Authority) { a.Successor = "city" }, "/to", "required"},
		"own successor":     {func(a *Authority) { a.To, a.Successor = "2020-01-01", "new" }, "/successor", "circle"},
		"unknown successor": {func(a *Authority) { a.To, a.Successor = "2020-01-01", "nobody" }, "/successor", "authority_unknown"},
		"dead successor":    {func(a *Authority) { a.To, a.Successor = "2020-01-01", "old" }, "/successor", "date_order"},
		"unborn successor":  {func(a *Authority) { a.To, a.Successor = "2020-01-01", "later" }, "/successor", "date_order"},
		"unknown class":     {func(a *Authority) { a.Competences = []Competence{{Classes: []string{"gold"}}} }, "/competences/0/classes", "unknown_code"},
		"unknown matter":    {func(a *Authority) { a.Competences = []Competence{{}, {Matters: []string{"x"}}} }, "/competences/1/matters", "unknown_code"},
		"unknown stage":     {func(a *Authority) { a.Competences = []Competence{{Stages: []string{"x"}}} }, "/competences/0/stages", "unknown_code"},
		"a place abroad":    {func(a *Authority) { a.Competences = []Competence{{Places: []string{"9901"}}} }, "/competences/0/places", "place_code"},
		"half a place":      {func(a *Authority) { a.Competences = []Competence{{Places: []string{"460"}}} }, "/competences/0/places", "place_code"},
		"many competences":  {func(a *Authority) { a.Competences = make([]Competence, maxCompetences+1) }, "/competences", "too_many"},
		"a tie": {func(a *Authority) {
			a.Competences = []Competence{{Matters: []string{MatterComplaint, MatterTip}, Places: []string{"4602"}}}
		}, "/competences/0", "equally_competent"},
	} {
		a := body("new")
		c.change(&a)
		_, _, err := b.Put(ctx, a, 0)
		t.Log(name)
		wantField(t, err, c.pointer, c.code)
	}
	// The same competence is no tie before the other exists, nor where it is finer.
	early := body("early", Competence{Matters: []string{MatterTip}, Places: []string{"4601"}})
	early.To = "2018-01-01"
	city := b.get(t, "city")
	city.From = "2018-01-01"
	b.mustPut(t, city, 1)
	b.mustPut(t, early, 0)
	b.mustPut(t, body("district", Competence{Matters: []string{MatterTip}, Places: []string{"460106"}}), 0)
}

func (b *bundle) get(t *testing.T, id string) Authority {
	t.Helper()
	a, err := b.Get(t.Context(), id)
	must(t, err)
	return a
}

func TestChainsOfMergers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.mustPut(t, body("cc"), 0)
	second := body("bb")
	second.From, second.To, second.Successor = "2010-01-01", "2018-01-01", "cc"
	second = b.mustPut(t, second, 0)
	first := body("aa")
	first.To, first.Successor = "2012-01-01", "bb"
	first = b.mustPut(t, first, 0)
	if got, err := b.ActingID(ctx, "aa"); err != nil || got != "cc" {
		t.Fatal(got, err)
	}
	if got, err := b.Acting(ctx, "aa", on("2015-01-01")); err != nil || got.ID != "bb" {
		t.Fatal(got.ID, err)
	}
	// What others rest on cannot be taken away.
	gone := second
	gone.To, gone.Successor = "2011-01-01", ""
	_, _, err := b.Put(ctx, gone, second.Revision)
	wantField(t, err, "/from", "date_order")
	circle := b.get(t, "cc")
	circle.To, circle.Successor = "2030-01-01", "aa"
	_, _, err = b.Put(ctx, circle, circle.Revision)
	wantField(t, err, "/successor", "circle")
	// A body may end without a successor; then nobody acts.
	end := b.get(t, "cc")
	end.To = "2026-11-24"
	b.mustPut(t, end, end.Revision)
	_, err = b.ActingID(ctx, "aa")
	wantCode(t, err, fault.NotFound, "authority_not_acting")
	_, _, err = b.Put(ctx, first, 7)
	wantCode(t, err, fault.Conflict, "authority_changed")
}

func TestPutKnowsItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	before, after, err := b.Put(ctx, body("aa"), 0)
	if err != nil || before.ID != "" || after.Revision != 1 {
		t.Fatalf("%+v %+v %v", before, after, err)
	}
	changed := body("aa", Competence{Stages: []string{StagePort, StagePort}})
	before, after, err = b.Put(ctx, changed, 1)
	if err != nil || before.Revision != 1 || before.Competences != nil || after.Revision != 2 || len(after.Competences[0].Stages) != 1 {
		t.Fatalf("%+v %+v %v", before, after, err)
	}
	if _, again, err := b.Put(ctx, changed, 1); err != nil || !reflect.DeepEqual(again, after) {
		t.Fatalf("a retry: %+v %v", again, err)
	}
	_, _, err = b.Put(ctx, body("aa"), 1)
	wantCode(t, err, fault.Conflict, "authority_changed")
	_, _, err = b.Put(ctx, body("aa"), 0)
	wantCode(t, err, fault.Conflict, "authority_changed")
}

// A rule over several bodies holds although two replicas write at once.
func TestReplicasCannotMakeATie(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := replica(t, b.disk)
	for i := range 10 {
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for j := range errs {
			wg.Go(func() {
				s := []*bundle{b, other}[j%2]
				_, _, errs[j] = s.Put(t.Context(), body(fmt.Sprintf("b%d-%d", i, j), Competence{Places: []string{fmt.Sprintf("46%02d", i)}}), 0)
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else {
				wantField(t, err, "/competences/0", "equally_competent")
			}
		}
		if won != 1 {
			t.Fatalf("%d bodies are equally competent", won)
		}
	}
}

func TestAnswersAreAtMostTwoSecondsOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	other := replica(t, b.disk)
	b.mustPut(t, body("aa"), 0)
	if _, err := other.Get(ctx, "aa"); fault.CodeOf(err) != "authority_unknown" {
		t.Fatalf("a fresh copy was not answered from: %v", err)
	}
	other.uptime.Add(int64(2 * time.Second))
	if _, err := other.Get(ctx, "aa"); fault.CodeOf(err) != "authority_unknown" {
		t.Fatalf("a copy of two seconds was not answered from: %v", err)
	}
	other.uptime.Add(1)
	if _, err := other.Get(ctx, "aa"); err != nil {
		t.Fatalf("an older copy was answered from: %v", err)
	}
	other.eng.DieAt(1, false)
	_, _, err := other.Put(ctx, body("bb"), 0)
	if err == nil || !other.eng.Dead() {
		t.Fatal("the process is not dead")
	}
	if _, err := other.Get(ctx, "aa"); err != nil {
		t.Fatalf("a store that is away silences a fresh copy: %v", err)
	}
	other.uptime.Add(int64(2*time.Second) + 1)
	_, err = other.Get(ctx, "aa")
	wantCode(t, err, fault.Unavailable, "authorities_unconfirmed")
	_, err = other.Line(ctx, "aa")
	wantCode(t, err, fault.Unavailable, "authorities_unconfirmed")
}

// A Put whose process dies has either happened or not, and a retry completes it.
func TestPutSurvivesDeath(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		b := setup(t)
		b.mustPut(t, body("aa"), 0)
		b.eng.DieAt(1, after)
		if _, _, err := b.Put(t.Context(), body("bb"), 0); err == nil {
			t.Fatal("a dead process answered")
		}
		next := replica(t, b.disk)
		_, err := next.Get(t.Context(), "bb")
		if (err == nil) != after {
			t.Fatalf("died after the write: %t; %v", after, err)
		}
		if got := next.mustPut(t, body("bb"), 0); got.Revision != 1 {
			t.Fatalf("%+v", got)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	_, err := b.Seed(ctx)
	must(t, err)
	var ids []string
	for cursor := ""; ; {
		page, next, err := b.List(ctx, cursor, 7)
		must(t, err)
		for _, a := range page {
			ids = append(ids, a.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	all, err := BuiltIn()
	must(t, err)
	if len(ids) != len(all) || !slices.IsSorted(ids) {
		t.Fatalf("%d of %d: %v", len(ids), len(all), ids)
	}
	_, _, err = b.List(ctx, "../", 7)
	wantCode(t, err, fault.Malformed, "bad_cursor")
}

// What was entered stays, even where a built-in body then does not fit.
func TestSeedLeavesWhatWasEntered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	own := body("hn-amr")
	b.mustPut(t, own, 0)
	b.mustPut(t, body("resale-office", Competence{Matters: []string{MatterResale}}), 0)
	_, err := b.Seed(ctx)
	must(t, err)
	if got := b.get(t, "hn-amr"); got.Revision != 1 || got.Competences != nil {
		t.Fatalf("%+v", got)
	}
	_, err = b.Get(ctx, "haikou-customs-asb")
	wantCode(t, err, fault.NotFound, "authority_unknown")
	b.get(t, "haikou-customs")
}

func TestHostileQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Competent(t.Context(), Query{Matter: "x", Class: strings.Repeat("y", 1<<16), Stage: "z", Place: "46\x00"})
	for _, pointer := range []string{"/matter", "/class", "/stage", "/place", "/on"} {
		if err == nil || !strings.Contains(err.Error(), pointer) {
			t.Errorf("%s is not in %v", pointer, err)
		}
	}
	_, err = b.Get(t.Context(), strings.Repeat("aa", 1<<16))
	wantCode(t, err, fault.NotFound, "authority_unknown")
}

// Data that came another way than through Put still have one answer, whatever their order.
func TestTiesAreBroken(t *testing.T) {
	t.Parallel()
	first, second := body("aa", Competence{Stages: []string{StagePort}}), body("bb", Competence{Stages: []string{StagePort}})
	sn := newSnapshot(1, []Authority{first, second})
	for range 2 {
		if got, ok := sn.competent(&Query{Matter: MatterTip, Stage: StagePort}, "2026-11-24"); !ok || got.ID != "aa" {
			t.Fatal(got, ok)
		}
	}
}

func BenchmarkAnswers(b *testing.B) {
	list, err := BuiltIn()
	if err != nil {
		b.Fatal(err)
	}
	slices.SortFunc(list, func(x, y Authority) int { return strings.Compare(x.ID, y.ID) })
	s := &Service{now: func() time.Time { return noon }, mono: func() time.Duration { return 0 }}
	s.snap.Store(newSnapshot(1, list))
	b.Run("competent", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Competent(b.Context(), Query{Matter: MatterComplaint, Class: "wine", Place: "460106", On: noon}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("competence", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Competence(b.Context(), "hn-fda"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
