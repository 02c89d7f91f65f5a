package trace

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
)

type logKey struct{ ed25519.PrivateKey }

func (k logKey) SigningKey(string) ed25519.PrivateKey { return k.PrivateKey }

// openLog is a transparency log of the bundle's events, which scans then show.
func (b *bundle) openLog() (*ledger.Service, ed25519.PublicKey) {
	b.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(b.t, err)
	leases, err := store.OpenLeases(b.t.Context(), b.engine, "test", 5*time.Second, b.clock.Now)
	must(b.t, err)
	l, err := ledger.Open(b.t.Context(), ledger.Deps{
		Engine: b.engine, Keys: logKey{private}, Leases: leases, Name: "log.example", Rand: rand.Reader, Now: b.clock.Now,
	})
	must(b.t, err)
	must(b.t, l.Follow(b.EventLog()))
	b.deps.Leaves = l
	return l, public
}

func (b *bundle) keysOf(token string) (keys []string, next string) {
	b.t.Helper()
	p, err := b.EventLog().Changes(b.t.Context(), token, 100)
	must(b.t, err)
	slices.Sort(p.Keys)
	return slices.Compact(p.Keys), p.Next
}

func TestTheLogHasEveryVisibleEventOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	body := `"epcList":["` + node(u.Ref()) + `"],"eventID":"urn:uuid:8f0a8d5c-2a53-4d13-8f0c-7d8e5b1f0001"`
	b.capture(b.maker, event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", body))
	keys, token := b.keysOf("")
	if want := []string{"maker|urn:uuid:8f0a8d5c-2a53-4d13-8f0c-7d8e5b1f0001"}; !slices.Equal(keys, want) {
		t.Fatalf("got %v", keys)
	}
	if keys, again := b.keysOf(token); len(keys) != 0 || again != token {
		t.Fatalf("again %v, %q", keys, again)
	}
	// A correction reuses the event's ID, and is another document.
	b.capture(b.maker, event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", body+`,"errorDeclaration":{"declarationTime":"2026-01-07T00:00:00Z"}`))
	keys, token = b.keysOf(token)
	if len(keys) != 1 || !strings.HasSuffix(keys[0], "0001|error-20260107T000000.000Z") {
		t.Fatalf("got %v", keys)
	}
	// A long event has parts, and is one document.
	var serials []string
	for i := range 3*partSize + 7 {
		serials = append(serials, `"`+node(gs1.Ref{GTIN: gtinA, Serial: fmt.Sprintf("S%04d", i)})+`"`)
	}
	res := b.capture(b.maker, event("ObjectEvent", "OBSERVE", "storing", "2026-01-04T00:00:00Z", `"epcList":[`+strings.Join(serials, ",")+`]`))
	keys, token = b.keysOf(token)
	if want := []string{leafKey("maker", res.Events[0].EventID)}; !slices.Equal(keys, want) {
		t.Fatalf("got %v", keys)
	}
	docs, err := b.EventLog().Documents(t.Context(), keys)
	must(t, err)
	for _, s := range serials {
		if n := strings.Count(string(docs[keys[0]].Sealed), s); n != 2 { // as received, and in its part
			t.Fatalf("%s stands in the document %d times", s, n)
		}
	}
	if p := string(docs[keys[0]].Public); strings.Contains(p, "S0001") || !strings.Contains(p, `"step":"storing"`) || docs[keys[0]].Owner != "maker" {
		t.Fatalf("public: %s", p)
	}
	if _, err := b.EventLog().Changes(t.Context(), "nonsense", 10); err == nil {
		t.Error("a token that is none")
	}
	_ = token
}

// A capture that is not complete holds up no other event, and its own come when it is.
func TestTheLogWaitsForACaptureAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	events := event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`) + "," +
		event("ObjectEvent", "OBSERVE", "receiving", "2026-01-06T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)
	doc, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`+events+`]}}`), CaptureLimits)
	must(t, err)
	open := captureDoc{Firm: b.maker.ID, State: captureRunning, Created: b.clock.Now()}
	for _, e := range doc.Events {
		r := rawItem(b.maker, e)
		must(t, b.raws.Insert(t.Context(), r.ID, r.V))
		open.Raws = append(open.Raws, r.ID)
	}
	must(t, b.captures.Insert(t.Context(), "open", open))
	part := document(b.maker, doc.Events[0], b.clock.Now())[0]
	part.V.Capture = "open"
	must(t, b.events.Insert(t.Context(), part.ID, part.V))
	res := b.capture(b.maker, event("ObjectEvent", "OBSERVE", "storing", "2026-01-04T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	keys, token := b.keysOf("")
	if want := []string{leafKey("maker", res.Events[0].EventID)}; !slices.Equal(keys, want) {
		t.Fatalf("got %v, want %v", keys, want)
	}
	b.clock.Advance(recoverAfter + time.Second)
	if n, err := b.Recover(t.Context()); err != nil || n != 1 {
		t.Fatalf("recovered %d, %v", n, err)
	}
	keys, _ = b.keysOf(token)
	want := slices.Sorted(slices.Values(open.Raws))
	if !slices.Equal(keys, want) {
		t.Fatalf("got %v, want %v", keys, want)
	}
}

// What nobody confirms has a leaf, and no word of it is public.
func TestAnUnconfirmedEventIsLoggedWithoutAWord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	f, _ := b.stranger()
	res := b.capture(f, event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	if res.Events[0].Confirmed {
		t.Fatal("the event is confirmed: the test tests nothing")
	}
	l, key := b.openLog()
	must(t, l.CatchUp(t.Context()))
	leaf, err := l.Leaf(t.Context(), 0)
	must(t, err)
	if leaf.Public != nil || leaf.Owner != f.ID || strings.Contains(string(leaf.Present), f.ID) || !strings.HasPrefix(string(leaf.Present), `{"v":1,"kind":"event","sealed":"`) {
		t.Fatalf("got %s of %s", leaf.Present, leaf.Owner)
	}
	if r, err := check.Run(t.Context(), check.Stored(l), check.Options{Key: key}); err != nil || r.Broken != nil || r.Leaves != 1 {
		t.Fatalf("got %+v, %v", r, err)
	}
}

// Each step says where it stands in the log: pending until the log has it, then by its position.
func TestStepsSayWhereTheyStandInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	l, _ := b.openLog()
	b.capture(b.maker, event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	state := func() *StepLog {
		a := b.scan(u.Ref(), "v", "")
		text, err := a.AppendJSON(nil)
		must(t, err)
		for _, s := range a.Chain {
			switch {
			case s.Provenance == ProvMissing && s.Log != nil:
				t.Errorf("a missing step is logged: %+v", s)
			case s.EventID != "":
				if enc, _ := json.Marshal(s.Log); !strings.Contains(string(text), `"log":`+string(enc)) {
					t.Errorf("the answer in JSON lacks %s", enc)
				}
				return s.Log
			}
		}
		t.Fatal("no step")
		return nil
	}
	if got := state(); got == nil || got.State != LogPending || got.Index != nil {
		t.Fatalf("got %+v", got)
	}
	must(t, l.CatchUp(t.Context()))
	b.chains.chains.InvalidateAll() // what its age does
	if got := state(); got == nil || got.State != LogLogged || *got.Index != 0 || got.Proof != "/v1/ledger/leaves/0" {
		t.Fatalf("got %+v", got)
	}
	sum := chain{pending: true}
	b.chains.put("k", &sum)
	if e, ok := b.chains.chains.GetEntry("k"); !ok || e.ExpiresAfter() > pendingMaxAge {
		t.Errorf("a pending chain stays for %v", e.ExpiresAfter())
	}
}

// Whichever member of a stored event is altered or taken away, at any depth, the checker names that event's leaf.
func TestAnAlteredMemberOfAnEventIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	l, key := b.openLog()
	plain := event("ObjectEvent", "OBSERVE", "shipping", "2026-01-03T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`)
	b.capture(b.maker, plain)
	must(t, l.CatchUp(t.Context()))
	res := b.capture(b.maker, `{"type":"TransformationEvent","bizStep":"commissioning","disposition":"active","eventTime":"2025-12-31T00:00:00Z","eventTimeZoneOffset":"+00:00",
		"readPoint":{"id":"urn:epc:id:sgln:690123456.000.0"},"bizLocation":{"id":"urn:epc:id:sgln:690123456.001.0"},
		"inputQuantityList":[{"epcClass":"`+node(gs1.Ref{GTIN: gtinB, Lot: "IN7"})+`","quantity":1}],
		"outputQuantityList":[{"epcClass":"`+node(gs1.Ref{GTIN: gtinA, Lot: "L1"})+`","quantity":10,"uom":"KGM"}]}`)
	must(t, l.CatchUp(t.Context()))
	b.capture(b.maker, strings.Replace(plain, "2026-01-03", "2026-01-05", 1))
	must(t, l.CatchUp(t.Context()))
	id := leafKey("maker", res.Events[0].EventID)
	tried := 0
	for _, coll := range []string{eventDef.Name, rawCollection} {
		recs, err := b.engine.Get(t.Context(), coll, []string{id})
		must(t, err)
		rec := recs[0]
		var whole any
		must(t, json.Unmarshal(rec.Body, &whole))
		for _, altered := range alterations(whole) {
			body, err := json.Marshal(altered.doc)
			must(t, err)
			changed := rec
			changed.Body = body
			must(t, b.engine.Replace(t.Context(), coll, changed))
			r, err := check.Run(t.Context(), check.Stored(l), check.Options{Key: key})
			if err != nil || r.Broken == nil || r.Broken.Index != 1 || r.Broken.Key != id {
				t.Errorf("%s %s: got %v, %v", coll, altered.where, r.Broken, err)
			}
			tried++
			rec.Rev++
			must(t, b.engine.Replace(t.Context(), coll, rec))
			rec.Rev++
		}
	}
	if r, err := check.Run(t.Context(), check.Stored(l), check.Options{Key: key}); err != nil || r.Broken != nil {
		t.Fatalf("as it was again: %v, %v", r.Broken, err)
	}
	if tried < 50 {
		t.Errorf("only %d alterations", tried)
	}
}

type alteration struct {
	where string
	doc   any
}

// alterations gives a document with each of its values altered in turn, and with each of its members left out in turn.
func alterations(doc any) []alteration {
	var out []alteration
	var walk func(v any, path string, set func(any) any)
	walk = func(v any, path string, set func(any) any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				without := maps.Clone(v)
				delete(without, name)
				out = append(out, alteration{path + "/" + name + " left out", set(without)})
				walk(v[name], path+"/"+name, func(to any) any {
					c := maps.Clone(v)
					c[name] = to
					return set(c)
				})
			}
		case []any:
			for i := range v {
				walk(v[i], fmt.Sprintf("%s/%d", path, i), func(to any) any {
					c := slices.Clone(v)
					c[i] = to
					return set(c)
				})
			}
		case string:
			out = append(out, alteration{path, set(v + "x")})
		case float64:
			out = append(out, alteration{path, set(v + 1)})
		case bool:
			out = append(out, alteration{path, set(!v)})
		}
	}
	walk(doc, "", func(v any) any { return v })
	return out
}

// Whoever follows the events while a job captures them finds each of them when the capture is complete.
func TestTheLogHasTheEventsOfALargeCapture(t *testing.T) {
	t.Parallel()
	const n = 50
	b := setupJobs(t)
	b.atOnce = 20
	sent := b.send(large(n), Rollback)
	d, err := b.captures.Get(t.Context(), sent.ID)
	must(t, err)
	token, early := "", 0
	c := &capturing{s: b.Service, f: b.maker, id: sent.ID, doc: d.V, progress: func(context.Context, int, int) error {
		var keys []string
		keys, token = b.keysOf(token)
		early += len(keys)
		return nil
	}}
	must(t, c.run(t.Context()))
	keys, _ := b.keysOf(token)
	if early != 0 || len(keys) != n {
		t.Errorf("%d events before the end and %d at it, of %d", early, len(keys), n)
	}
}
