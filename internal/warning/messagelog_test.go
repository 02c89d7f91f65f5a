package warning

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store"
)

type logKey struct{ ed25519.PrivateKey }

func (k logKey) SigningKey(string) ed25519.PrivateKey { return k.PrivateKey }

// storedMessage is a message as an installation stores it. Its leaf is made from these very bytes: a program that reads and writes it must
// give them again, or all messages that were logged would pass for altered.
const storedMessage = `{"no":"HN-2026-000001","rev":1,"kind":"alert","level":"yellow","regime":"food","hazard":"biological","category":"infant_formula",` +
	`"title":{"en":"Cronobacter","zh-Hans":"阪崎肠杆菌"},"advice":{"en":"Stop","zh-Hans":"停用"},"scope":{"clauses":[{"gtins":["06900000000014"],"lots":["L1"]}]},` +
	`"by":"op1","authority":"hn-amr","published":"2026-11-24T00:00:00Z","key":"k","fanout":{"phase":"done","told":7}}`

func TestAStoredMessageStaysAsItIs(t *testing.T) {
	t.Parallel()
	var m Message
	if err := json.Unmarshal([]byte(storedMessage), &m); err != nil {
		t.Fatal(err)
	}
	m.Fanout = Fanout{Phase: FanoutExpanding}
	again, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := ledger.Without([]byte(storedMessage), "fanout")
	if got, ok := ledger.Without(again, "fanout"); !ok || string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Each published message has one leaf, however often its fan-out moves; no draft has one; officers' names are not public; and whatever
// of a message is altered but its fan-out, the checker names it.
func TestTheLogOfMessages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	leases, err := store.OpenLeases(ctx, b.eng, "test", 5*time.Second, time.Now)
	must(t, err)
	l, err := ledger.Open(ctx, ledger.Deps{Engine: b.eng, Keys: logKey{private}, Leases: leases, Name: "log.example", Rand: rand.Reader, Now: time.Now})
	must(t, err)
	must(t, l.Follow(b.MessageLog(b.eng)))
	draft, err := b.Create(ctx, officer, sampleContent())
	must(t, err)
	must(t, l.CatchUp(ctx))
	if h, err := l.Head(ctx); err != nil || h.Size != 0 {
		t.Fatalf("a draft has a leaf: %+v, %v", h, err)
	}
	m, err := b.Publish(ctx, officer, draft.No)
	must(t, err)
	must(t, l.CatchUp(ctx))
	for range 3 {
		_, err := b.SetFanout(ctx, m.ID(), func(f *Fanout) error { f.Told++; return nil })
		must(t, err)
		must(t, l.CatchUp(ctx))
	}
	leaf, err := l.Leaf(ctx, 0)
	must(t, err)
	if h, err := l.Head(ctx); err != nil || h.Size != 1 || leaf.Key != m.ID() {
		t.Fatalf("got %+v, %v; %s", h, err, leaf.Key)
	}
	if p := string(leaf.Public); !strings.Contains(p, `"title":`) || strings.Contains(p, officer.ID) || officer.Name != "" && strings.Contains(p, officer.Name) || strings.Contains(p, `"key"`) {
		t.Errorf("public: %s", p)
	}
	recs, err := b.eng.Get(ctx, messagesCollection, []string{m.ID()})
	must(t, err)
	rec := recs[0]
	rec.Entries = nil
	var members map[string]json.RawMessage
	must(t, json.Unmarshal(rec.Body, &members))
	for name := range members {
		altered, _ := ledger.Without(rec.Body, name)
		changed := rec
		changed.Body = altered
		must(t, b.eng.Replace(ctx, messagesCollection, changed))
		r, err := check.Run(ctx, check.Stored(l), check.Options{Key: public})
		must(t, err)
		if named := r.Broken != nil && r.Broken.Index == 0 && r.Broken.Key == m.ID(); named != (name != "fanout") {
			t.Errorf("without %s: %v", name, r.Broken)
		}
		rec.Rev++
		must(t, b.eng.Replace(ctx, messagesCollection, rec))
		rec.Rev++
	}
	if len(members) < 14 {
		t.Errorf("only %d members", len(members))
	}
}
