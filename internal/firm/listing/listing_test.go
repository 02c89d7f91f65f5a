package listing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

var (
	day1    = time.Date(2026, 3, 2, 1, 30, 0, 0, time.UTC)
	officer = Author{ID: "chen.yu", Name: "陈宇", Authority: "hn-amr"}
	second  = Author{ID: "wu.min", Name: "吴敏", Authority: "hn-amr"}
	note    = lang.ZhEn("说明", "Note")
)

func sample() Content {
	return Content{
		Name: lang.ZhEn("海口某食品有限公司", ""), CreditCode: "91460000MA5T00001F", Reason: lang.ZhEn("掺假", "Adulteration"),
		LegalBasis: "办法第五条", DecisionNo: "琼市监列〔2026〕3号", Decided: "2026-03-01",
	}
}

type bundle struct {
	*Service
	eng   store.Engine
	clock *clocktest.Clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	c := clocktest.New(day1)
	firms, err := firm.Open(t.Context(), eng, c.Now)
	must(t, err)
	must(t, firms.Put(t.Context(), firm.Firm{ID: "importer", Name: lang.ZhEn("进口商", ""), Kind: firm.Importer}))
	s, err := Open(t.Context(), eng, Options{Firms: firms, Now: c.Now})
	must(t, err)
	return &bundle{s, eng, c}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func (b *bundle) publish(t *testing.T, c Content) Listing {
	t.Helper()
	l, _, err := b.Publish(t.Context(), officer, c)
	must(t, err)
	return l
}

func (b *bundle) listed(t *testing.T) string {
	t.Helper()
	var nos []string
	for cursor := ""; ; {
		page, next, err := b.List(t.Context(), cursor, 2)
		must(t, err)
		for i := range page {
			nos = append(nos, page[i].No)
		}
		if cursor = next; next == "" {
			return strings.Join(nos, " ")
		}
	}
}

// The codes of well-known firms and the standard's own example are right; no other check character is, and no character may change.
func TestCreditCode(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"91350100M000100Y43", "9144030071526726XG", "914403001922038216", "91330100799655058B"} {
		if !validCreditCode(code) {
			t.Errorf("%s refused", code)
		}
		for i := range code {
			for _, ch := range creditDigits {
				if other := code[:i] + string(ch) + code[i+1:]; other != code && validCreditCode(other) {
					t.Errorf("%s accepted beside %s", other, code)
				}
			}
		}
	}
	for _, code := range []string{"", "91350100M000100Y4", "91350100M000100Y433", "91350100I000100Y43", "９1350100M000100Y4", "91350100m000100y43"} {
		if validCreditCode(code) {
			t.Errorf("%q accepted", code)
		}
	}
}

func TestTheLifeOfAListing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.publish(t, sample())
	if l.No != "SX-2026-000001" || l.Rev != 1 || l.Until != "2029-02-28" || l.Ended || l.Appeal {
		t.Fatalf("got %+v", l)
	}
	step := func(ch Change) Listing {
		t.Helper()
		ch.Note = note
		l, err := b.Change(t.Context(), officer, l.No, ch)
		must(t, err)
		return l
	}
	refuse := func(code string, ch Change) {
		t.Helper()
		ch.Note = note
		_, err := b.Change(t.Context(), officer, l.No, ch)
		wantCode(t, err, code)
	}
	refuse("illegal_move", Change{Kind: Upheld, Seen: 1})
	if l := step(Change{Kind: Appealed, Seen: 1}); !l.Appeal || l.Ended || l.Rev != 2 {
		t.Errorf("appealed: %+v", l)
	}
	refuse("illegal_move", Change{Kind: Appealed, Seen: 2})
	fix := Correction{Firm: "importer", Name: lang.ZhEn("海口另一食品有限公司", "Another"), Reason: sample().Reason, LegalBasis: sample().LegalBasis}
	if l := step(Change{Kind: Corrected, Seen: 2, Correction: &fix}); !l.Appeal || l.Name["en"] != "Another" || l.Firm != "importer" || l.CreditCode != sample().CreditCode {
		t.Errorf("corrected: %+v", l)
	}
	if l := step(Change{Kind: Upheld, Seen: 3}); l.Appeal || l.Name["en"] != "Another" {
		t.Errorf("upheld: %+v", l)
	}
	refuse("listing_changed", Change{Kind: Lifted, Ground: Repaired, Seen: 3})
	refuse("listing_changed", Change{Kind: Lifted, Ground: Repaired, Seen: 9})
	refuse("invalid", Change{Kind: Lifted, Seen: 4})
	refuse("invalid", Change{Kind: Appealed, Ground: Revoked, Seen: 4})
	refuse("invalid", Change{Kind: Listed, Seen: 4})
	refuse("invalid", Change{Kind: Corrected, Seen: 4})
	refuse("invalid", Change{Kind: Corrected, Seen: 4, Correction: &fix}) // says it already
	bad := fix
	bad.Firm = "nobody"
	refuse("invalid", Change{Kind: Corrected, Seen: 4, Correction: &bad})
	if got := b.listed(t); got != l.No {
		t.Errorf("listed: %q", got)
	}
	l = step(Change{Kind: Lifted, Ground: Repaired, Seen: 4})
	if !l.Ended || len(l.History) != 5 || b.listed(t) != "" {
		t.Errorf("lifted: %+v", l)
	}
	refuse("listing_ended", Change{Kind: Appealed, Seen: 5})
	again := step(Change{Kind: Lifted, Ground: Repaired, Seen: 4}) // its retry
	if again.Rev != 5 {
		t.Errorf("a retry published %d", again.Rev)
	}
	_, err := b.Get(t.Context(), "SX-2026-000002")
	wantCode(t, err, "listing_unknown")
	_, err = b.Get(t.Context(), "SX-2026-000001/1")
	wantCode(t, err, "listing_unknown")
}

// A listing may always be lifted, however often it was changed, and its entries are bounded.
func TestEntriesAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.publish(t, sample())
	for seen := 1; seen < maxEntries-1; seen++ {
		_, err := b.Change(t.Context(), officer, l.No, Change{Kind: []Kind{Upheld, Appealed}[seen%2], Seen: seen, Note: note})
		must(t, err)
	}
	_, err := b.Change(t.Context(), officer, l.No, Change{Kind: Appealed, Seen: maxEntries - 1, Note: note})
	wantCode(t, err, "too_many_updates")
	l, err = b.Change(t.Context(), officer, l.No, Change{Kind: Lifted, Ground: Revoked, Seen: maxEntries - 1, Note: note})
	if err != nil || l.Rev != maxEntries || !l.Ended {
		t.Errorf("got %+v, %v", l, err)
	}
}

// The publication period ends at midnight in Beijing after its last day; the list is in its order, and pages show each once.
func TestThePublicationPeriod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, until := range []string{"2026-03-02", "2026-03-04", "2026-03-03", "2026-03-05", ""} {
		c := sample()
		c.Until, c.DecisionNo = until, fmt.Sprint(i)
		b.publish(t, c)
	}
	l, err := b.Get(t.Context(), "SX-2026-000002")
	must(t, err)
	_, err = b.Change(t.Context(), officer, l.No, Change{Kind: Lifted, Ground: Revoked, Seen: 1, Note: note})
	must(t, err)
	if got, want := b.listed(t), "SX-2026-000005 SX-2026-000004 SX-2026-000003 SX-2026-000001"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.clock.Advance(time.Date(2026, 3, 2, 16, 0, 0, 0, time.UTC).Sub(day1) - time.Millisecond)
	if got := b.listed(t); !strings.HasSuffix(got, "SX-2026-000001") {
		t.Errorf("at the last moment: %s", got)
	}
	b.clock.Advance(time.Millisecond)
	if got, want := b.listed(t), "SX-2026-000005 SX-2026-000004 SX-2026-000003"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if l, err := b.Get(t.Context(), "SX-2026-000001"); err != nil || !l.Ended {
		t.Errorf("got %+v, %v", l, err)
	}
	_, _, err = b.List(t.Context(), "nonsense!", 2)
	wantCode(t, err, "bad_cursor")
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for pointer, spoil := range map[string]func(*Content){
		"/name/zh-Hans":   func(c *Content) { c.Name = lang.Text{"en": "x"} },
		"/name/en":        func(c *Content) { c.Name = lang.ZhEn("x", "a\u202eb") },
		"/reason/en":      func(c *Content) { c.Reason = lang.Text{"zh-Hans": "x"} },
		"/reason/zh-Hans": func(c *Content) { c.Reason = lang.ZhEn(strings.Repeat("长", maxText+1), "x") },
		"/legal_basis":    func(c *Content) { c.LegalBasis = " " },
		"/decision_no":    func(c *Content) { c.DecisionNo = "a\x00" },
		"/credit_code":    func(c *Content) { c.CreditCode = "91460000MA5T00001J" },
		"/firm":           func(c *Content) { c.Firm = "nobody" },
		"/decided":        func(c *Content) { c.Decided = "2026-03-03" },
		"/until":          func(c *Content) { c.Until = "2029-03-01" },
	} {
		c := sample()
		spoil(&c)
		_, _, err := b.Publish(t.Context(), officer, c)
		if fault.CodeOf(err) != "invalid" || !strings.Contains(err.Error(), pointer+" ") {
			t.Errorf("%s: %v", pointer, err)
		}
	}
	for _, until := range []string{"2026-03-01", "2026-02-30", "2025-01-01"} {
		c := sample()
		c.Until = until
		_, _, err := b.Publish(t.Context(), officer, c)
		wantCode(t, err, "invalid")
	}
	if got := b.listed(t); got != "" {
		t.Errorf("listed: %s", got)
	}
	b.o.Years = 5
	c := sample()
	c.Until = "2031-02-28"
	if l := b.publish(t, c); l.Until != c.Until {
		t.Errorf("until %s", l.Until)
	}
}

// A decision about a firm has one listing, however often, by whom and at what moment it is published, and numbers have no gaps.
func TestPublishingTwicePublishesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const decisions, tries = 5, 4
	nos := make([][tries]string, decisions)
	var created [decisions]int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range decisions {
		for j := range tries {
			wg.Go(func() {
				c := sample()
				c.DecisionNo = fmt.Sprint(i)
				l, fresh, err := b.Publish(t.Context(), []Author{officer, second}[j%2], c)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				nos[i][j] = l.No
				if fresh {
					created[i]++
				}
			})
		}
	}
	wg.Wait()
	all := map[string]bool{}
	for i := range nos {
		for _, no := range nos[i] {
			all[no] = true
			if no != nos[i][0] {
				t.Errorf("decision %d: %v", i, nos[i])
			}
		}
		if created[i] != 1 {
			t.Errorf("decision %d was new %d times", i, created[i])
		}
	}
	for seq := range decisions {
		if !all[series.Format(2026, seq+1)] {
			t.Errorf("no number %d in %v", seq+1, all)
		}
	}
	c := sample()
	c.DecisionNo, c.LegalBasis = "0", "another"
	_, _, err := b.Publish(t.Context(), officer, c)
	wantCode(t, err, "already_listed")
	other := Author{ID: "x", Authority: "hk-customs"}
	c.LegalBasis = sample().LegalBasis
	if l, fresh, err := b.Publish(t.Context(), other, c); err != nil || !fresh || l.No != series.Format(2026, decisions+1) {
		t.Errorf("another authority: %+v, %v, %v", l, fresh, err)
	}
}

// dying is a store whose inserts of entries fail, as for a process that was killed in between.
type dying struct{ store.Engine }

func (d dying) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if coll == entriesCollection {
		return nil, store.ErrUnavailable
	}
	return d.Engine.Insert(ctx, coll, recs)
}

// A claim without its entry takes no number from others, and its retry goes on.
func TestDeathBetweenClaimAndEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, err := Open(t.Context(), dying{b.eng}, b.o)
	must(t, err)
	if _, _, err := dead.Publish(t.Context(), officer, sample()); err == nil {
		t.Fatal("published")
	}
	c := sample()
	c.DecisionNo = "another"
	if l := b.publish(t, c); l.No != "SX-2026-000001" {
		t.Errorf("the other decision is %s", l.No)
	}
	if l := b.publish(t, sample()); l.No != "SX-2026-000002" {
		t.Errorf("the retry is %s", l.No)
	}
	if got := len(strings.Fields(b.listed(t))); got != 2 {
		t.Errorf("%d listings", got)
	}
}

// Of two officers who act on what they both saw, one wins and the other is told.
func TestTwoOfficersAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := b.publish(t, sample())
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, who := range []Author{officer, second} {
		wg.Go(func() {
			_, errs[i] = b.Change(t.Context(), who, l.No, Change{Kind: Appealed, Seen: 1, Note: note})
		})
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("got %v", errs)
	}
	loser := errs[0]
	if loser == nil {
		loser = errs[1]
	}
	wantCode(t, loser, "listing_changed")
	if l, err := b.Get(t.Context(), l.No); err != nil || l.Rev != 2 {
		t.Errorf("got %+v, %v", l, err)
	}
}

type logKey struct{ ed25519.PrivateKey }

func (k logKey) SigningKey(string) ed25519.PrivateKey { return k.PrivateKey }

// Each entry has one leaf, whose public part names neither the firm nor the officer.
func TestTheLogOfEntries(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	leases, err := store.OpenLeases(ctx, b.eng, "test", 5*time.Second, time.Now)
	must(t, err)
	log, err := ledger.Open(ctx, ledger.Deps{Engine: b.eng, Keys: logKey{private}, Leases: leases, Name: "log.example", Rand: rand.Reader, Now: time.Now})
	must(t, err)
	must(t, log.Follow(b.EntryLog(b.eng)))
	l := b.publish(t, sample())
	b.publish(t, sample())
	must(t, log.CatchUp(ctx))
	_, err = b.Change(ctx, officer, l.No, Change{Kind: Lifted, Ground: Revoked, Seen: 1, Note: note})
	must(t, err)
	must(t, log.CatchUp(ctx))
	if h, err := log.Head(ctx); err != nil || h.Size != 2 {
		t.Fatalf("got %+v, %v", h, err)
	}
	for i, want := range []string{
		`{"no":"SX-2026-000001","rev":1,"kind":"listed","decided":"2026-03-01","until":"2029-02-28","authority":"hn-amr","published":"2026-03-02T01:30:00Z"}`,
		`{"no":"SX-2026-000001","rev":2,"kind":"lifted","decided":"2026-03-01","until":"2029-02-28","authority":"hn-amr","published":"2026-03-02T01:30:00Z"}`,
	} {
		leaf, err := log.Leaf(ctx, int64(i))
		must(t, err)
		if string(leaf.Public) != want || leaf.Key != fmt.Sprintf("%s/%d", l.No, i+1) {
			t.Errorf("%s: got %s, want %s", leaf.Key, leaf.Public, want)
		}
	}
}
