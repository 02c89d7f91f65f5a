package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
)

func TestAnActionLeavesAttemptAndOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	act, err := b.Begin(t.Context(), Entry{
		Actor: "operator:chen.yu", Authority: "hn-amr", Action: "warning.publish", Subject: "warning/draft-1", Why: "甲醇超标", RequestID: "req1",
		Phase: Done, Outcome: "is not kept", Attempt: 99,
	})
	must(t, err)
	if act.Seq != 1 || !act.At.Equal(start) {
		t.Fatalf("got %d at %v", act.Seq, act.At)
	}
	if got := b.list(Filter{}, 0); len(got) != 1 || got[0].Outcome != Unknown || got[0].Phase != Attempt || got[0].Attempt != 0 {
		t.Fatalf("an attempt without outcome is shown as %+v", got)
	}
	b.clock.Advance(time.Second)
	type doc struct {
		State string `json:"state"`
	}
	must(t, act.Done(t.Context(), Change{Subject: "warning/HN-2026-0007", Before: doc{"draft"}, After: &doc{"published"}}))
	got := b.list(Filter{}, 0)
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	done := got[0]
	hash := done.Hash
	done.Hash = ""
	want := Entry{
		Seq: 2, At: start.Add(time.Second), Actor: "operator:chen.yu", Authority: "hn-amr", Action: "warning.publish", Subject: "warning/HN-2026-0007",
		Phase: Done, RequestID: "req1", Attempt: 1, Before: json.RawMessage(`{"state":"draft"}`), After: json.RawMessage(`{"state":"published"}`),
	}
	if asText(t, done) != asText(t, want) || len(hash) != 64 {
		t.Fatalf("got  %s\nwant %s, hash %q", asText(t, done), asText(t, want), hash)
	}
	if got[1].Outcome != Done || got[1].Why != "甲醇超标" || got[1].Subject != "warning/draft-1" {
		t.Fatalf("the attempt is shown as %+v", got[1])
	}
	b.inOrder(2)
}

func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

func TestTheFirstOutcomeCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	act, err := b.Begin(t.Context(), fact(1))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the client has gone away, and the outcome is recorded all the same
	must(t, act.Failed(ctx, "four_eyes"))
	must(t, act.Done(ctx, Change{}))
	must(t, act.Failed(ctx, "late"))
	got := b.list(Filter{}, 0)
	if len(got) != 2 || got[0].Phase != Failed || got[0].Outcome != "four_eyes" || got[0].Subject != "case/1" || got[1].Outcome != Failed {
		t.Fatalf("got %+v", got)
	}
}

func TestRecordIsARead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	must(t, b.Record(t.Context(), fact(1)))
	if got := b.list(Filter{}, 0); len(got) != 1 || got[0].Phase != Read || got[0].Outcome != "" {
		t.Fatalf("got %+v", got)
	}
	for _, e := range []Entry{{Actor: "operator:a"}, {Action: "case.read"}, {Actor: "a", Action: "b", Before: json.RawMessage(`{`)}} {
		if err := b.Record(t.Context(), e); err == nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%+v: got %v", e, err)
		}
	}
	b.inOrder(1)
}

// What was given comes back: numbers as they were written, members in the order of their names, and no null.
func TestStatesAreCanonical(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for in, want := range map[string]string{
		` { "b" : 12345678901234567890.1200 , "a":[1e400,-0, 1.0] }`: `{"a":[1e400,-0,1.0],"b":12345678901234567890.1200}`,
		`{"z":{"y":"<&>\u2028é甲\u0041"},"a":1,"a":2}`:                `{"a":2,"z":{"y":"\u003c\u0026\u003e\u2028é甲A"}}`,
		`"text"`:   `"text"`,
		` null `:   ``,
		``:         ``,
		"\"\xff\"": "\"\uFFFD\"",
	} {
		e := fact(1)
		e.Before, e.After = json.RawMessage(in), json.RawMessage(in)
		must(t, b.Record(t.Context(), e))
		got, _, err := b.List(t.Context(), Filter{}, "", 1)
		must(t, err)
		if string(got[0].Before) != want || string(got[0].After) != want || got[0].BeforeDigest != nil {
			t.Errorf("%s\ngot  %s\nwant %s", in, got[0].Before, want)
		}
	}
	b.inOrder(6)
	e := fact(1)
	e.Before = json.RawMessage(`{} {}`)
	if err := b.Record(t.Context(), e); err == nil {
		t.Error("two values passed for one document")
	}
}

func TestLargeStatesAreKeptAsDigests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fits := `"` + strings.Repeat("a", MaxState-2) + `"`
	over := `"` + strings.Repeat("a", MaxState-1) + `"`
	e := fact(1)
	e.Before, e.After = json.RawMessage(fits), json.RawMessage(over)
	must(t, b.Record(t.Context(), e))
	got := b.list(Filter{}, 0)[0]
	sum := sha256.Sum256([]byte(over))
	if string(got.Before) != fits || got.BeforeDigest != nil || got.After != nil || got.AfterDigest == nil || *got.AfterDigest != (Digest{len(over), hex.EncodeToString(sum[:])}) {
		t.Fatalf("got %d bytes, %+v, %d bytes, %+v", len(got.Before), got.BeforeDigest, len(got.After), got.AfterDigest)
	}
	b.inOrder(1)
}

// The largest entries that can be stay in batches under the limit of the store.
func TestTheLargestBatchFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	worst := strings.Repeat("\x01", 5000)
	e := Entry{Actor: worst, Authority: worst, Action: worst, Subject: worst, Why: worst, RequestID: worst, From: worst, Outcome: worst}
	e.Before = json.RawMessage(`"` + strings.Repeat("a", MaxState-2) + `"`)
	e.After = e.Before
	entries := make([]Entry, 20)
	for i := range entries {
		entries[i] = e
	}
	b.batch(entries...)
	b.inOrder(20)
	if n := b.Stats().Batches; n < 3 || n > 5 {
		t.Errorf("20 of the largest entries took %d batches", n)
	}
}

func TestTextsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, n := range []int{3, 4, 5, 6, 7, 8, 20} {
		got := cut("甲乙丙丁\xff戊", n)
		if len(got) > n || !utf8.ValidString(got) {
			t.Errorf("%d: got %q", n, got)
		}
	}
	if got := cut("abcdef", 5); got != "ab…" {
		t.Errorf("got %q", got)
	}
	b := setup(t)
	must(t, b.Record(t.Context(), Entry{Actor: strings.Repeat("甲", 500), Action: "a\xffb\x00"}))
	got := b.list(Filter{Actor: strings.Repeat("甲", 500)}, 0)
	if len(got) != 1 || len(got[0].Actor) > MaxText || got[0].Action != "a\uFFFDb\x00" {
		t.Fatalf("got %+v", got)
	}
	b.inOrder(1)
}

// An address is sealed under the month's record, which gets a term of six months after its end; so does the month before, should a
// process have ended between the two.
func TestAddressesAreSealedByTheMonth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := fact(1)
	e.From = "203.0.113.7"
	must(t, b.Record(t.Context(), e))
	act, err := b.Begin(t.Context(), e)
	must(t, err)
	must(t, act.Done(t.Context(), Change{}))
	got := b.list(Filter{}, 0)
	record, sealed, ok := Address(got[2].From)
	want, _ := newVault().Seal(t.Context(), "audit/2026-11", AddressField, []byte("203.0.113.7"))
	if !ok || record != "audit/2026-11" || sealed != want || got[0].From != "" {
		t.Fatalf("got %q, %q, %v; of the outcome %q", record, sealed, ok, got[0].From)
	}
	if _, _, ok := Address(got[0].From); ok {
		t.Error("an address where none was kept")
	}
	terms := b.vault.copy()
	month := func(m time.Month) time.Time { return time.Date(2027, m, 1, 0, 0, 0, 0, time.UTC) }
	if len(terms) != 2 || !terms["audit/2026-11"].Equal(month(6)) || !terms["audit/2026-10"].Equal(month(5)) {
		t.Fatalf("got %v", terms)
	}
	b.clock.Advance(14 * 24 * time.Hour)
	must(t, b.Record(t.Context(), e))
	if terms = b.vault.copy(); !terms["audit/2026-12"].Equal(month(7)) {
		t.Fatalf("got %v", terms)
	}
	b.vault.mu.Lock()
	b.vault.broken = errors.New("no key")
	b.vault.mu.Unlock()
	if _, err := b.Begin(t.Context(), e); !errors.Is(err, b.vault.broken) {
		t.Fatalf("got %v", err)
	}
	b.inOrder(4)
}

func TestWithoutAVaultAddressesAreNotKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s, err := Open(t.Context(), Deps{Engine: b.eng, Keys: b.box, Now: b.clock.Now})
	must(t, err)
	e := fact(1)
	e.From = "203.0.113.7"
	must(t, s.Record(t.Context(), e))
	must(t, s.Close())
	if got := b.list(Filter{}, 0); got[0].From != "" {
		t.Fatalf("got %q", got[0].From)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":1,"a":[1e400,"é\ud800"]}`, `null`, `"<"`, `[[[]]]`, `-0.0`, `{"a":{}} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := canonical(doc)
		if err != nil {
			return
		}
		again, err := canonical(c)
		if err != nil || string(again) != string(c) {
			t.Fatalf("%q: %q is %q the second time, %v", doc, c, again, err)
		}
		// As a member of an entry it must come through encoding/json as it is: hashes are over these bytes.
		wrapped, err := json.Marshal(line{Entry: c})
		if err != nil || !strings.Contains(string(wrapped), `"entry":`+string(c)+`}`) {
			t.Fatalf("%q became %q, %v", c, wrapped, err)
		}
	})
}
