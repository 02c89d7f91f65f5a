package mongo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/haisu-trace/haisu/internal/store"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func things() *collection {
	return &collection{name: "things", feed: true, indexes: map[string]bool{"by_firm": true, "by_day": true}}
}

// extended gives a document as canonical extended JSON.
func extended(t *testing.T, d any) string {
	t.Helper()
	b, err := bson.MarshalExtJSON(d, true, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantJSON(t *testing.T, got any, want string) {
	t.Helper()
	if g := extended(t, got); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestScanFilter(t *testing.T) {
	t.Parallel()
	eq := store.Key("ab")
	at := func(order, id string) *store.Position { return &store.Position{Order: store.Key(order), ID: id} }
	for name, c := range map[string]struct {
		scan store.Scan
		want string
	}{
		"all":                     {store.Scan{}, `{"e.by_firm":"NL7"}`},
		"from":                    {store.Scan{From: store.Key("b")}, `{"e.by_firm":"NL7","o.by_firm":{"$gte":"NV"}}`},
		"to":                      {store.Scan{To: store.Key("c")}, `{"e.by_firm":"NL7","o.by_firm":{"$lt":"Nk"}}`},
		"empty range":             {store.Scan{To: store.Key{}}, `{"e.by_firm":"NL7","o.by_firm":{"$lt":""}}`},
		"range":                   {store.Scan{From: store.Key("b"), To: store.Key("c")}, `{"e.by_firm":"NL7","o.by_firm":{"$gte":"NV","$lt":"Nk"}}`},
		"after":                   {store.Scan{After: at("b", "x y")}, `{"e.by_firm":"NL7","o.by_firm":{"$gt":"NV x y"}}`},
		"after, in range":         {store.Scan{From: store.Key("b"), To: store.Key("c"), After: at("b", "x")}, `{"e.by_firm":"NL7","o.by_firm":{"$gt":"NV x","$lt":"Nk"}}`},
		"after, below range":      {store.Scan{From: store.Key("b"), After: at("a", "x")}, `{"e.by_firm":"NL7","o.by_firm":{"$gte":"NV"}}`},
		"descending":              {store.Scan{Desc: true, From: store.Key("b")}, `{"e.by_firm":"NL7","o.by_firm":{"$gte":"NV"}}`},
		"descending, after":       {store.Scan{Desc: true, After: at("b", "x")}, `{"e.by_firm":"NL7","o.by_firm":{"$lt":"NV x"}}`},
		"descending, above range": {store.Scan{Desc: true, To: store.Key("c"), After: at("d", "x")}, `{"e.by_firm":"NL7","o.by_firm":{"$lt":"Nk"}}`},
		"descending, in range":    {store.Scan{Desc: true, To: store.Key("c"), After: at("b", "x")}, `{"e.by_firm":"NL7","o.by_firm":{"$lt":"NV x"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.scan.Index, c.scan.Eq = "by_firm", eq
			f, err := scanFilter(c.scan)
			if err != nil {
				t.Fatal(err)
			}
			wantJSON(t, f, c.want)
		})
	}
}

func TestScanFilterRefusesForeignPosition(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"\xff", strings.Repeat("x", maxID+1)} {
		if _, err := scanFilter(store.Scan{After: &store.Position{ID: id}}); !errors.Is(err, store.ErrBadCursor) {
			t.Errorf("position %.9q: %v", id, err)
		}
	}
}

func TestScanShapes(t *testing.T) {
	t.Parallel()
	s := store.Scan{Index: "by_day"}
	wantJSON(t, scanSort(s), `{"o.by_day":{"$numberInt":"1"}}`)
	s.Desc = true
	wantJSON(t, scanSort(s), `{"o.by_day":{"$numberInt":"-1"}}`)
	wantJSON(t, scanProjection(s, true), `{"_id":{"$numberInt":"0"},"o.by_day":{"$numberInt":"1"}}`)
	wantJSON(t, scanProjection(s, false),
		`{"r":{"$numberInt":"1"},"b":{"$numberInt":"1"},"n":{"$numberInt":"1"},"x":{"$numberInt":"1"},"o.by_day":{"$numberInt":"1"}}`)
}

func TestExpiryFilters(t *testing.T) {
	t.Parallel()
	const ms = `{"$date":{"$numberLong":"1772366400000"}}`
	wantJSON(t, live(byID("d"), noon), `{"_id":"d","x":{"$not":{"$lte":`+ms+`}}}`)
	wantJSON(t, dead(byID("d"), noon), `{"_id":"d","x":{"$lte":`+ms+`}}`)
	wantJSON(t, due(nil, noon), `{"x":{"$gt":{"$date":{"$numberLong":"0"}},"$lte":`+ms+`}}`)
	wantJSON(t, deletedBy(bson.D{in([]string{"d", "e"})}, noon), `{"_id":{"$in":["d","e"]},"d":{"$lte":`+ms+`}}`)
	wantJSON(t, atRev("d", 7), `{"_id":"d","r":{"$numberLong":"7"}}`)
	wantJSON(t, atRev("d", 0), `{"_id":"d"}`)
}

func TestFeedFilters(t *testing.T) {
	t.Parallel()
	wantJSON(t, sinceFilter(5<<32|6), `{"u":{"$gte":{"$timestamp":{"t":5,"i":6}}}}`)
	wantJSON(t, betweenFilter(position{stamp: 5<<32 | 6, id: "d"}, 9<<32),
		`{"u":{"$gte":{"$timestamp":{"t":5,"i":6}},"$lte":{"$timestamp":{"t":9,"i":0}}},`+
			`"$or":[{"u":{"$gt":{"$timestamp":{"t":5,"i":6}}}},{"_id":{"$gt":"d"}}]}`)
	if got := timestamp(stampOf(bson.Timestamp{T: 1 << 31, I: 1<<32 - 1})); got != (bson.Timestamp{T: 1 << 31, I: 1<<32 - 1}) {
		t.Errorf("a timestamp came back as %v", got)
	}
}

func TestIndexModels(t *testing.T) {
	t.Parallel()
	models := indexModels(store.Spec{Name: "things", Indexes: map[string]string{"by_firm": "1"}, Feed: true})
	var got []string
	for _, m := range models {
		got = append(got, extended(t, m.Keys))
	}
	want := []string{
		`{"e.by_firm":{"$numberInt":"1"},"o.by_firm":{"$numberInt":"1"}}`,
		`{"x":{"$numberInt":"1"}}`,
		`{"u":{"$numberInt":"1"},"_id":{"$numberInt":"1"},"r":{"$numberInt":"1"}}`,
		`{"d":{"$numberInt":"1"}}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := len(indexModels(store.Spec{Name: "things"})); n != 1 {
		t.Errorf("a collection without indexes and feed gets %d indexes, want 1", n)
	}
}
