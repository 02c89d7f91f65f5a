package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

type bundle struct {
	*Vault
	eng   store.Engine
	file  string
	clock *clocktest.Clock
}

func setup(t testing.TB) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{file: filepath.Join(dir, "keys.json"), clock: clocktest.New(time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC))}
	var err error
	b.eng, err = sqlite.Open(t.Context(), filepath.Join(dir, "t.db"), sqlite.WithClock(b.clock.Now))
	must(t, err)
	t.Cleanup(func() { must(t, b.eng.Close()) })
	b.Vault = b.replica(t)
	return b
}

// replica opens a vault as another process would.
func (b *bundle) replica(t testing.TB) *Vault {
	t.Helper()
	box, err := secret.OpenFile(b.file, true)
	must(t, err)
	v, err := Open(t.Context(), b.eng, box, b.clock.Now)
	must(t, err)
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) seal(t testing.TB, record, field, plain string) string {
	t.Helper()
	s, err := b.Seal(t.Context(), record, field, []byte(plain))
	must(t, err)
	if len(plain) > 3 && strings.Contains(s, plain) {
		t.Fatal("in clear")
	}
	return s
}

func wantText(t *testing.T, v *Vault, record, field, sealed, want string) {
	t.Helper()
	if got, err := v.Open(t.Context(), record, field, sealed); err != nil || string(got) != want {
		t.Fatalf("%s %s: %q, %v", record, field, got, err)
	}
}

func wantErased(t *testing.T, v *Vault, record, field, sealed string) {
	t.Helper()
	if got, err := v.Open(t.Context(), record, field, sealed); !errors.Is(err, ErrErased) || fault.KindOf(err) != fault.NotFound {
		t.Fatalf("%s %s: %q, %v", record, field, got, err)
	}
}

func TestASealedFieldOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.seal(t, "case/1", "texts.name", "王小明")
	other := b.seal(t, "case/2", "texts.name", "Li Lei")
	wantText(t, b.replica(t), "case/1", "texts.name", s, "王小明")
	if s == b.seal(t, "case/1", "texts.name", "王小明") {
		t.Error("the same text is sealed to the same")
	}
	for _, c := range []struct{ record, field, sealed string }{
		{"case/1", "texts.phone", s}, {"case/1", "texts.name", s[:len(s)-2] + "AA"}, {"case/1", "texts.name", "王小明"}, {"case/1", "texts.name", "s1.AAAA"},
	} {
		if got, err := b.Vault.Open(t.Context(), c.record, c.field, c.sealed); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%v opens: %q, %v", c, got, err)
		}
	}
	wantErased(t, b.Vault, "case/1", "texts.name", other) // of another key
	wantErased(t, b.Vault, "case/3", "texts.name", s)     // of no key
}

func TestWhatTheMapDoesNotKnowIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ record, field string }{
		{"case/1", "texts.birthday"}, {"case/1", "push_token"}, {"device/1", "hash"}, {"device/1", "texts.name"}, {"operator/x", "password"},
		{"case", "texts.name"}, {"case/", "texts.name"}, {"case/a\x00b", "texts.name"}, {"case/" + strings.Repeat("x", 200), "texts.name"}, {"", ""},
	} {
		if _, err := b.Seal(t.Context(), c.record, c.field, nil); err == nil {
			t.Errorf("%q %q was sealed", c.record, c.field)
		}
		if _, err := b.Vault.Open(t.Context(), c.record, c.field, "s1."); err == nil || errors.Is(err, ErrErased) {
			t.Errorf("%q %q: %v", c.record, c.field, err)
		}
	}
	if n := len(b.records(t)); n != 0 {
		t.Errorf("%d data keys were made", n)
	}
}

func (b *bundle) records(t testing.TB) []store.Record {
	t.Helper()
	recs, err := b.eng.All(t.Context(), Collection, "", store.MaxBatch)
	must(t, err)
	return recs
}

func TestOfManyFirstSealsOneMakesTheKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sealed := make([]string, 8)
	var wg sync.WaitGroup
	for i := range sealed {
		v := b.replica(t)
		wg.Go(func() {
			var err error
			if sealed[i], err = v.Seal(t.Context(), "device/d", "push_token", fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, s := range sealed {
		wantText(t, b.Vault, "device/d", "push_token", s, fmt.Sprint(i))
	}
}

func TestAnErasureIsFinalAndReachesOtherReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.replica(t)
	s := b.seal(t, "case/1", "texts.what", "a long story")
	wantText(t, other, "case/1", "texts.what", s, "a long story") // now it has the key in its cache
	must(t, b.Erase(t.Context(), "case/1"))
	must(t, b.Erase(t.Context(), "case/1"))
	wantErased(t, b.Vault, "case/1", "texts.what", s)
	b.clock.Advance(cacheFor)
	wantErased(t, other, "case/1", "texts.what", s)
	if cacheFor >= 2*time.Second {
		t.Error("an erasure may be unseen for too long")
	}
	if _, err := other.Seal(t.Context(), "case/1", "texts.what", nil); !errors.Is(err, ErrErased) {
		t.Fatalf("an erased record got a new key: %v", err)
	}
	must(t, b.Retain(t.Context(), "case/1", b.clock.Now())) // the tombstone stays
	must(t, b.Erase(t.Context(), "case/never-used"))
	if _, err := b.Seal(t.Context(), "case/never-used", "texts.what", nil); !errors.Is(err, ErrErased) {
		t.Fatal(err)
	}
	for _, r := range b.records(t) {
		if strings.Contains(string(r.Body), "wrapped") {
			t.Errorf("a tombstone with a key: %s", r.Body)
		}
	}
}

func TestTheKeysTimeRunsOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.seal(t, "case/1", "texts.name", "x")
	until := CaseClosed.Until(b.clock.Now())
	if want := time.Date(2029, 11, 24, 2, 0, 0, 0, time.UTC); !until.Equal(want) {
		t.Fatalf("until %v", until)
	}
	must(t, b.Retain(t.Context(), "case/1", until))
	must(t, b.Retain(t.Context(), "case/none", until))
	b.clock.Advance(until.Sub(b.clock.Now()) - 100*time.Millisecond)
	wantText(t, b.Vault, "case/1", "texts.name", s, "x")
	b.clock.Advance(100 * time.Millisecond) // the key is in the cache, and over all the same
	wantErased(t, b.Vault, "case/1", "texts.name", s)
	young := b.seal(t, "case/1", "texts.name", "y") // a record that is used again
	wantErased(t, b.Vault, "case/1", "texts.name", s)
	wantText(t, b.Vault, "case/1", "texts.name", young, "y")
	must(t, b.Retain(t.Context(), "case/1", b.clock.Now()))
	if n, err := b.Sweep(t.Context(), 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n := len(b.records(t)); n != 0 {
		t.Fatalf("%d data keys left", n)
	}
}

func TestOpenMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var items []Item
	for i := range 5 {
		record := fmt.Sprintf("device/%d", i)
		items = append(items, Item{record, "push_token", b.seal(t, record, "push_token", fmt.Sprintf("token-%d", i))})
	}
	must(t, b.Erase(t.Context(), "device/2"))
	items[3].Sealed = items[4].Sealed
	items = append(items, Item{"device/0", "city", ""}, items[0])
	got, err := b.replica(t).OpenMany(t.Context(), items)
	must(t, err)
	for i, want := range map[int]string{0: "token-0", 1: "token-1", 4: "token-4", 6: "token-0"} {
		if got[i].Err != nil || string(got[i].Plain) != want {
			t.Errorf("%d: %q, %v", i, got[i].Plain, got[i].Err)
		}
	}
	for i, erased := range map[int]bool{2: true, 3: true, 5: false} {
		if got[i].Err == nil || errors.Is(got[i].Err, ErrErased) != erased {
			t.Errorf("%d: %v", i, got[i].Err)
		}
	}
}

// operators are declared here as internal/access does: they have a field that the keyset seals itself.
func TestRotation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	sealed := map[string]string{}
	for i := range 40 {
		record := fmt.Sprintf("case/%02d", i)
		sealed[record] = b.seal(t, record, "texts.name", record)
	}
	must(t, b.Erase(ctx, "case/00"))
	other := b.replica(t)
	first := b.box.Primary()
	must(t, secret.RotateFile(b.file, b.clock.Now()))

	// A run that is killed half-way, and one that goes on.
	killed := &dying{Engine: b.eng, left: 10}
	half, err := Open(ctx, killed, b.box, b.clock.Now)
	must(t, err)
	if _, err := half.Rewrap(ctx, nil); !errors.Is(err, errDead) {
		t.Fatalf("the run was not killed: %v", err)
	}
	seen := 0
	n, err := b.Rewrap(ctx, func(s int) { seen = s })
	if err != nil || n == 0 || n > 39 || seen != 40 {
		t.Fatalf("%d rewrapped, %d seen, %v", n, seen, err)
	}
	if n, err := b.Rewrap(ctx, nil); err != nil || n != 0 {
		t.Fatalf("a repetition rewrapped %d, %v", n, err)
	}
	used, err := b.KeysInUse(ctx)
	if err != nil || used[b.box.Primary()] != 39 || len(used) != 1 {
		t.Fatalf("in use: %v, %v", used, err)
	}
	used[first] = 1 // somebody else's
	retire := func() (int, int, error) {
		return secret.RetireFile(b.file, b.clock.Now().Add(secret.SettleTime), func() (map[uint32]int, error) { return used, nil })
	}
	if dropped, left, err := retire(); err != nil || dropped != 0 || left != 1 {
		t.Fatalf("a key in use was dropped: %d dropped, %v", dropped, err)
	}
	delete(used, first)
	if dropped, _, err := retire(); err != nil || dropped != 1 {
		t.Fatal(dropped, err)
	}
	for record, s := range sealed {
		for _, v := range []*Vault{b.replica(t), other} { // the other process noticed nothing of it
			if record == "case/00" {
				wantErased(t, v, record, "texts.name", s)
				continue
			}
			wantText(t, v, record, "texts.name", s, record)
		}
	}
}

// dying is an engine whose process dies after some replaces.
type dying struct {
	store.Engine
	mu   sync.Mutex
	left int
}

var errDead = errors.New("killed")

func (d *dying) Replace(ctx context.Context, coll string, rec store.Record) error {
	d.mu.Lock()
	dead := d.left == 0
	d.left = max(d.left-1, 0)
	d.mu.Unlock()
	if dead {
		return errDead
	}
	return d.Engine.Replace(ctx, coll, rec)
}

// With an old copy of the data, and without the data keys, nothing opens: not even for whoever has the keys file.
func TestAnOldCopyWithoutDataKeysIsNoise(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.seal(t, "case/1", "texts.name", "王小明")
	elsewhere := setup(t)
	box, err := secret.OpenFile(b.file, false)
	must(t, err)
	v, err := Open(t.Context(), elsewhere.eng, box, b.clock.Now)
	must(t, err)
	wantErased(t, v, "case/1", "texts.name", s)
	if _, err := box.Open("data_key/case/1", s); err == nil {
		t.Fatal("the keyset opens it")
	}
}

func TestASealedFieldIsNeverWrittenInClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type doc struct {
		Name Sealed `json:"name,omitempty"`
	}
	c, err := store.Open(t.Context(), b.eng, store.Def[doc]{Name: "cases"})
	must(t, err)
	for _, plain := range []Sealed{"王小明", "s1.", "s1.!!!!", "s1.AAAA"} {
		if err := c.Insert(t.Context(), "x", doc{plain}); err == nil {
			t.Errorf("%q was written", plain)
		}
	}
	s := Sealed(b.seal(t, "case/1", "texts.name", "x"))
	must(t, c.Insert(t.Context(), "x", doc{s}))
	must(t, c.Insert(t.Context(), "empty", doc{}))
	if d, err := c.Get(t.Context(), "x"); err != nil || d.V.Name != s {
		t.Fatal(d.V, err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newCache(10)
	now := time.Now()
	for i := range 1000 {
		c.put(fmt.Sprint(i), &key{}, now.Add(cacheFor))
		if n := len(c.young) + len(c.old); n > 10 {
			t.Fatalf("%d entries", n)
		}
	}
	if c.get("999", now) == nil || c.get("995", now) == nil || c.get("0", now) != nil {
		t.Error("not the newest are kept")
	}
	if c.get("999", now.Add(cacheFor)) != nil {
		t.Error("used after its time")
	}
	c.drop("999")
	if c.get("999", now) != nil {
		t.Error("dropped and there")
	}
}

func TestMarkdownHasEveryLineOfTheMap(t *testing.T) {
	t.Parallel()
	md := Markdown()
	for i := range Fields {
		if f := &Fields[i]; !strings.Contains(md, fmt.Sprintf("| `%s` `%s` | %s | %s | %s | %s | %s |\n", f.Collection, f.Name, f.Data, f.Purpose, f.Basis, f.Keep, f.Protection)) {
			t.Errorf("%s %s is missing", f.Collection, f.Name)
		}
	}
	for line := range strings.SplitSeq(md, "\n") {
		if strings.HasPrefix(line, "| `") && strings.Count(line, "|") != 7 && strings.Count(line, "|") != 3 {
			t.Errorf("a broken row: %s", line)
		}
	}
	if !strings.Contains(md, "36 months after the case was closed") {
		t.Error("the retention of cases is missing")
	}
}

func TestValuesWalkThroughLists(t *testing.T) {
	t.Parallel()
	f := Field{Name: "a.b"}
	got, err := f.Values([]byte(`{"a":[{"b":"1"},{"c":"2"},{"b":["3","4"]},5],"b":"6"}`))
	if err != nil || strings.Join(got, "") != "134" {
		t.Fatal(got, err)
	}
	if _, err := f.Values([]byte("{")); err == nil {
		t.Fatal("half a document was read")
	}
}

func FuzzSealedText(f *testing.F) {
	k, err := parseKey(bytes.Repeat([]byte{7}, keyBytes))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.seal("case/1", "texts.name", []byte("x")))
	f.Add("s1.AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		_, err := k.open("case/1", "texts.name", s)
		out, merr := json.Marshal(Sealed(s))
		if err == nil && merr != nil {
			t.Fatalf("%q opens and cannot be written: %v", s, merr)
		}
		if merr == nil && s != "" {
			var back Sealed
			if json.Unmarshal(out, &back) != nil || string(back) != s {
				t.Fatalf("%q is read back as %q", s, back)
			}
		}
	})
}
