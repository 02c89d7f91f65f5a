package ferretdb

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/mongo"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

const coll = "things"

type bundle struct {
	*testing.T
	p     *proxy
	e     *mongo.Engine
	clock *clocktest.Clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	p, clock := start(t), storetest.NewClock()
	b := &bundle{T: t, p: p, clock: clock, e: open(t, p, "haisu", clock.Now)}
	spec := store.Spec{Name: coll, Indexes: map[string]string{"by_firm": "1"}, Feed: true}
	stale, err := b.e.Declare(t.Context(), spec)
	b.ok(err)
	b.ok(b.e.Rebuilt(t.Context(), spec, stale))
	return b
}

func (b *bundle) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// rec makes a record that is found under 'f', in the order of IDs.
func rec(id string) store.Record {
	return store.Record{ID: id, Rev: 1, Body: []byte(`{}`), Entries: []store.Entry{{Index: "by_firm", Eq: store.K("f"), Order: store.K(id)}}}
}

func (b *bundle) insert(recs ...store.Record) {
	b.Helper()
	errs, err := b.e.Insert(b.Context(), coll, recs)
	b.ok(errors.Join(append(errs, err)...))
}

// sent gives the commands of a kind that do sends, in extended JSON, without what differs between runs.
func (b *bundle) sent(command string, do func()) []string {
	b.Helper()
	b.p.record()
	do()
	var out []string
	for _, cmd := range b.p.recorded(command) {
		cmd = slices.DeleteFunc(cmd, func(e bson.E) bool {
			return slices.Contains([]string{"lsid", "$db", "$clusterTime", "maxTimeMS", "$readPreference"}, e.Key)
		})
		j, err := bson.MarshalExtJSON(cmd, false, false)
		b.ok(err)
		out = append(out, string(j))
	}
	return out
}

func (b *bundle) sends(command string, do func(), want ...string) {
	b.Helper()
	got := b.sent(command, do)
	if !slices.Equal(got, want) {
		b.Errorf("%s:\n got %s\nwant %s", command, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

const (
	confirmed = `"writeConcern":{"w":"majority","j":true}`
	committed = `"readConcern":{"level":"majority"}`
	liveX     = `"x":{"$not":{"$lte":{"$date":"2026-03-01T08:00:00Z"}}}`
	stamped   = `"$currentDate":{"u":{"$type":"timestamp"}}`
	fields    = `"r":1,"b":1,"n":1,"x":1`
)

// TestCommands has the whole commands, as they go over the wire.
func TestCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.sends("insert", func() { b.insert(rec("a")) },
		`{"insert":"things","ordered":false,`+confirmed+`,"documents":[{"_id":"a","r":1,"b":{"$binary":{"base64":"e30=","subType":"00"}},`+
			`"e":{"by_firm":["75N--F"]},"o":{"by_firm":"753--F a"},"u":{"$timestamp":{"t":0,"i":0}}}]}`)
	b.sends("update", func() { b.ok(b.e.Replace(ctx, coll, rec("a"))) },
		`{"update":"things","ordered":true,`+confirmed+`,"updates":[{"q":{"_id":"a","r":1,`+liveX+`},"u":{"$set":{"b":{"$binary":{"base64":"e30=","subType":"00"}},`+
			`"e":{"by_firm":["75N--F"]},"o":{"by_firm":"753--F a"}},"$unset":{"x":"","n":"","d":""},"$inc":{"r":1},`+stamped+`}}]}`)
	b.sends("update", func() { b.ok(b.e.Add(ctx, coll, "c", map[string]int64{"x.y": 2})) },
		`{"update":"things","ordered":true,`+confirmed+`,"updates":[{"q":{"_id":"c",`+liveX+`,"b":{"$exists":false}},"u":{"$inc":{"r":1,"n.x%2Ey":2},`+stamped+`},"upsert":true}]}`)
	b.sends("find", func() { b.get("a") },
		`{"find":"things","batchSize":2,"filter":{"_id":{"$in":["a"]},`+liveX+`},"limit":1,"projection":{`+fields+`},`+committed+`}`)
	scan := store.Scan{Index: "by_firm", Eq: store.K("f"), Limit: 5}
	b.sends("find", func() { b.scan(scan, true) },
		`{"find":"things","batchSize":6,"filter":{"e.by_firm":"75N--F"},"hint":"find_by_firm","limit":5,"projection":{"_id":0,"o.by_firm":1},"sort":{"o.by_firm":1},`+committed+`}`)
	scan.After = &store.Position{Order: store.K("a"), ID: "a"}
	b.sends("find", func() { b.scan(scan, false) },
		`{"find":"things","batchSize":6,"filter":{"e.by_firm":"75N--F","o.by_firm":{"$gt":"753--F a"},`+liveX+`},"hint":"find_by_firm","limit":5,`+
			`"projection":{`+fields+`,"o.by_firm":1},"sort":{"o.by_firm":1},`+committed+`}`)
	b.sends("aggregate", func() {
		_, err := b.e.Count(ctx, coll, scan, 9)
		b.ok(err)
	}, `{"aggregate":"things","hint":"find_by_firm","pipeline":[{"$match":{"e.by_firm":"75N--F"}},{"$limit":9},{"$group":{"_id":1,"n":{"$sum":1}}}],"cursor":{},`+committed+`}`)
	b.sends("update", func() { b.ok(b.e.Delete(ctx, coll, "a", 2)) },
		`{"update":"things","ordered":true,`+confirmed+`,"updates":[{"q":{"_id":"a","r":2,`+liveX+`},"u":{"$set":{"x":{"$date":"1970-01-01T00:00:00Z"},"d":{"$date":"2026-03-01T08:00:00Z"}},`+
			`"$unset":{"b":"","n":"","e":"","o":""},"$inc":{"r":1},`+stamped+`}}]}`)
}

func (b *bundle) get(ids ...string) []store.Record {
	b.Helper()
	recs, err := b.e.Get(b.Context(), coll, ids)
	b.ok(err)
	return recs
}

func (b *bundle) scan(s store.Scan, keysOnly bool) {
	b.Helper()
	_, err := b.e.Scan(b.Context(), coll, s, keysOnly)
	b.ok(err)
}

// TestRoundTrips counts commands: a batch whose IDs are all free is one, one whose IDs are taken is two, whatever their number.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var recs []store.Record
	var ids []string
	for i := range 30 {
		recs = append(recs, rec(fmt.Sprintf("d%02d", i)))
		ids = append(ids, recs[i].ID)
	}
	commands := func(do func()) string {
		b.p.record()
		do()
		b.p.mu.Lock()
		defer b.p.mu.Unlock()
		var names []string
		for _, cmd := range b.p.seen {
			if cmd[0].Key != "hello" {
				names = append(names, cmd[0].Key)
			}
		}
		return strings.Join(names, " ")
	}
	if got := commands(func() { b.insert(recs...) }); got != "insert" {
		t.Errorf("an insert of free IDs sends %q", got)
	}
	got := commands(func() {
		errs, err := b.e.Insert(b.Context(), coll, recs)
		b.ok(err)
		for i, err := range errs {
			if !errors.Is(err, store.ErrExists) {
				t.Errorf("record %d: %v", i, err)
			}
		}
	})
	if got != "insert find" {
		t.Errorf("an insert of taken IDs sends %q", got)
	}
	if got := commands(func() { b.get(ids...) }); got != "find" {
		t.Errorf("a get of 30 documents sends %q", got)
	}
}

// TestLateCommit holds an insert between its stamp and its commit while another one passes and is delivered.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b.p.setHold(func(m *message) {
		m.each("insert", "documents", func(d bson.D) bson.D {
			if d[0].Value == "late" {
				once.Do(func() {
					close(held)
					<-release
				})
			}
			return d
		})
	})
	done := make(chan error, 1)
	go func() {
		_, err := b.e.Insert(b.Context(), coll, []store.Record{rec("late")})
		done <- err
	}()
	<-held
	b.insert(rec("quick"))
	token := b.changes("", "quick")
	token = b.changes(token)
	close(release)
	b.ok(<-done)
	token = b.changes(token, "late")
	b.changes(token)
}

// changes checks which documents come after a token, in any order, and gives the next token.
func (b *bundle) changes(token string, want ...string) string {
	b.Helper()
	chs, next, err := b.e.Changes(b.Context(), coll, token, 100)
	b.ok(err)
	var got []string
	for _, ch := range chs {
		got = append(got, ch.Record.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		b.Fatalf("changes are %q, want %q", got, want)
	}
	return next
}

// TestForgottenDeletions lets a follower stay away until tombstones are removed.
func TestForgottenDeletions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	// The server's clock is not ours to move, so both stand where the server's is at first.
	b.clock.Advance(time.Until(b.clock.Now()) * -1)
	b.insert(rec("a"), rec("b"))
	old := b.changes("", "a", "b")
	b.ok(b.e.Delete(ctx, coll, "a", 1))
	current := b.changes(old, "a")
	b.clock.Advance(31 * 24 * time.Hour)
	b.changes(old, "a")
	n, err := b.e.Sweep(ctx, coll, 10)
	if err != nil || n != 0 {
		t.Fatalf("the sweep of a tombstone gives %d, %v; it is no expired document", n, err)
	}
	if _, _, err := b.e.Changes(ctx, coll, old, 10); !errors.Is(err, store.ErrBadCursor) {
		t.Errorf("a token from before the forgotten deletion gives %v", err)
	}
	b.changes(current)
	b.changes(b.changes("", "b"))
}

// TestLargeFeedPages has more bytes than a page may have.
func TestLargeFeedPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := []byte(`"` + strings.Repeat("x", store.MaxBody-2) + `"`)
	const count = 130
	var recs []store.Record
	for i := range count {
		r := rec(fmt.Sprintf("d%03d", i))
		r.Body = body[:store.MaxBody/7]
		recs = append(recs, r)
	}
	b.insert(recs...)
	seen := map[string]int{}
	token, pages := "", 0
	for {
		chs, next, err := b.e.Changes(b.Context(), coll, token, 1000)
		b.ok(err)
		if len(chs) == 0 {
			break
		}
		for _, ch := range chs {
			seen[ch.Record.ID]++
		}
		token = next
		pages++
	}
	if len(seen) != count || pages != 2 {
		t.Errorf("%d documents in %d pages, want %d in 2", len(seen), pages, count)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type item struct{ Firm, Day string }
	def := func(version string, field func(*item) string) store.Def[item] {
		return store.Def[item]{Name: "items", Indexes: []store.Index[item]{{
			Name: "i", Version: version, Keys: func(_ string, v *item) ([]store.Key, store.Key) { return []store.Key{store.K(field(v))}, nil },
		}}}
	}
	c, err := store.Open(t.Context(), b.e, def("1", func(v *item) string { return v.Firm }))
	b.ok(err)
	for i := range 40 {
		b.ok(c.Insert(t.Context(), fmt.Sprint("d", i), item{Firm: "f", Day: fmt.Sprint(i % 2)}))
	}
	c, err = store.Open(t.Context(), b.e, def("2", func(v *item) string { return v.Day }))
	b.ok(err)
	for eq, want := range map[string]int{"f": 0, "0": 20, "1": 20} {
		n, err := c.Count(t.Context(), store.Query{Index: "i", Eq: store.K(eq)}, 100)
		if err != nil || n != want {
			t.Errorf("%d entries under %q, %v; want %d", n, eq, err, want)
		}
	}
}

// TestSnapshotIsRefused: the server is asked for a snapshot, and where it ignores that, nothing is read.
func TestSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.insert(rec("a"))
	b.p.record()
	err := b.e.Snapshot(t.Context(), func(store.SnapshotReader) error {
		t.Error("a snapshot that is none was given")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "MongoDB 5.0") {
		t.Errorf("a server without snapshots gives %v", err)
	}
	finds := b.p.recorded("find")
	if len(finds) == 0 {
		t.Error("nothing was asked")
	}
	for _, cmd := range finds {
		concern, _ := field(cmd, "readConcern")
		if got := fmt.Sprint(concern); got != `{"level":"snapshot"}` {
			t.Errorf("read concern %s", got)
		}
	}
}

// TestRestoreCommands has what a restore sends: documents with their revisions, counters as such, no entries.
func TestRestoreCommands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.ok(b.e.BeginRestore(ctx, "r", []store.Spec{{Name: "restored"}}))
	recs := []store.Record{{ID: "a", Rev: 7, Body: []byte(`{}x`)}, {ID: "c", Rev: 2, Body: []byte(`{"x.y":2}`), Expires: b.clock.Now()}}
	b.sends("insert", func() { b.ok(b.e.Restore(ctx, "r", "restored", recs)) },
		`{"insert":"restored","ordered":false,`+confirmed+`,"documents":[{"_id":"a","r":7,"b":{"$binary":{"base64":"e314","subType":"00"}},"u":{"$timestamp":{"t":0,"i":0}}},`+
			`{"_id":"c","r":2,"n":{"x%2Ey":2},"x":{"$date":"2026-03-01T08:00:00Z"},"u":{"$timestamp":{"t":0,"i":0}}}]}`)
}

// TestRebuiltMeetsAnotherVersion stands for two releases that start at the same time.
func TestRebuiltMeetsAnotherVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := store.Spec{Name: "items", Indexes: map[string]string{"i": "1"}}
	two := store.Spec{Name: "items", Indexes: map[string]string{"i": "2"}}
	for _, spec := range []store.Spec{one, two} {
		_, err := b.e.Declare(t.Context(), spec)
		b.ok(err)
	}
	if err := b.e.Rebuilt(t.Context(), one, []string{"i"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Rebuilt of the version before gives %v", err)
	}
	b.ok(b.e.Rebuilt(t.Context(), two, []string{"i"}))
}

// TestCutConnections breaks all connections while an insert is on its way.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var once sync.Once
	b.p.setHold(func(m *message) {
		if m.body[0].Key == "insert" {
			once.Do(b.p.cut)
		}
	})
	if _, err := b.e.Insert(t.Context(), coll, []store.Record{rec("a")}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("an insert whose connection breaks gives %v", err)
	}
	b.insert(rec("b"))
	if n := len(b.get("b")); n != 1 {
		t.Errorf("%d documents after the engine reconnected", n)
	}
}
