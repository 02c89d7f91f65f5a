package mongo

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/haisu-trace/haisu/internal/store"
)

func entries() []store.Entry {
	return []store.Entry{
		{Index: "by_firm", Eq: store.Key("b"), Order: store.Key("o")},
		{Index: "by_day", Eq: store.Key("d")},
		{Index: "by_firm", Eq: store.Key("a"), Order: store.Key("o")},
		{Index: "by_firm", Eq: store.Key("b"), Order: store.Key("o")},
	}
}

func TestNewDocument(t *testing.T) {
	t.Parallel()
	d, err := things().newDocument(store.Record{ID: "i", Body: []byte("{}"), Entries: entries(), Expires: noon})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, d, `{"_id":"i","r":{"$numberLong":"1"},"b":{"$binary":{"base64":"e30=","subType":"00"}},`+
		`"e":{"by_day":["O-"],"by_firm":["NV","NF"]},"o":{"by_day":" i","by_firm":"Qk i"},`+
		`"x":{"$date":{"$numberLong":"1772366400000"}},"u":{"$timestamp":{"t":0,"i":0}}}`)
	d, err = things().newDocument(store.Record{ID: "i"})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, d, `{"_id":"i","r":{"$numberLong":"1"},"b":{"$binary":{"base64":"","subType":"00"}},"u":{"$timestamp":{"t":0,"i":0}}}`)
}

func TestOverwriteLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	const now = `"$currentDate":{"u":{"$type":"timestamp"}}`
	u, err := things().overwrite(store.Record{ID: "i", Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, u, `{"$set":{"b":{"$binary":{"base64":"e30=","subType":"00"}},"r":{"$numberLong":"1"}},`+
		`"$unset":{"e":"","o":"","x":"","n":"","d":""},`+now+`}`)
	u, err = things().overwrite(store.Record{ID: "i", Body: []byte("{}"), Entries: entries()[1:2], Expires: noon})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, u, `{"$set":{"b":{"$binary":{"base64":"e30=","subType":"00"}},"e":{"by_day":["O-"]},"o":{"by_day":" i"},`+
		`"x":{"$date":{"$numberLong":"1772366400000"}},"r":{"$numberLong":"1"}},"$unset":{"n":"","d":""},`+now+`}`)
}

func TestBury(t *testing.T) {
	t.Parallel()
	e := &Engine{now: func() time.Time { return noon }}
	wantJSON(t, e.bury(), `{"$set":{"x":{"$date":{"$numberLong":"0"}},"d":{"$date":{"$numberLong":"1772366400000"}}},`+
		`"$unset":{"b":"","n":"","e":"","o":""},"$inc":{"r":{"$numberLong":"1"}},"$currentDate":{"u":{"$type":"timestamp"}}}`)
}

func TestIndexedRefuses(t *testing.T) {
	t.Parallel()
	c := things()
	for what, r := range map[string]store.Record{
		"an index that is not declared": {ID: "i", Entries: []store.Entry{{Index: "by_moon"}}},
		"two orders in one index":       {ID: "i", Entries: []store.Entry{{Index: "by_day", Order: store.Key("a")}, {Index: "by_day", Order: store.Key("b")}}},
	} {
		if _, err := c.newDocument(r); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	r := store.Record{ID: "i"}
	for i := range 9 {
		r.Entries = append(r.Entries, store.Entry{Index: "by_day", Eq: store.Key(strings.Repeat(fmt.Sprint(i), 1<<20))})
	}
	if _, err := c.newDocument(r); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("9 MiB of keys: %v", err)
	}
}

func TestBatchSettlesWhatTheServerNeedNotSee(t *testing.T) {
	t.Parallel()
	c := things()
	b, err := c.batch([]store.Record{
		{ID: "big", Body: make([]byte, store.MaxBody+1)}, {ID: "a"}, {ID: "a"}, {ID: "big"}, {ID: "fits", Body: make([]byte, store.MaxBody)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.at); got != "[1 3 4]" {
		t.Errorf("sent are the records %s", got)
	}
	for i, want := range []error{store.ErrTooLarge, nil, store.ErrExists, nil, nil} {
		if !errors.Is(b.errs[i], want) {
			t.Errorf("record %d: %v, want %v", i, b.errs[i], want)
		}
	}
	for _, id := range []string{"", "\xff", strings.Repeat("x", maxID+1)} {
		if _, err := c.batch([]store.Record{{ID: "fine"}, {ID: id}}); err == nil {
			t.Errorf("ID %.9q was accepted", id)
		}
	}
}

// decoded gives a document as it comes from the server.
func decoded(t *testing.T, d bson.D) *document {
	t.Helper()
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var out document
	if err := bson.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestRecordComesBackByteForByte(t *testing.T) {
	t.Parallel()
	want := store.Record{ID: "i", Rev: 1, Body: []byte("{\"a\": 1.0}\n\xff\x00"), Expires: noon}
	d, err := things().newDocument(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decoded(t, d).record()
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != want.ID || got.Rev != 1 || string(got.Body) != string(want.Body) || !got.Expires.Equal(noon) || got.Expires.Location() != time.UTC {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, err := decoded(t, bson.D{{Key: "_id", Value: "i"}}).record(); err != nil || !got.Expires.IsZero() {
		t.Errorf("a document without expiry gives %v, %v", got, err)
	}
}

func TestCounterBody(t *testing.T) {
	t.Parallel()
	deltas := map[string]int64{"z": 1, "a.b": -2, "": 3, "$x": 4, "100%": 5, "%2E": 6, "a\x00": 7, "海": 1 << 60}
	wantJSON(t, increments("n.", deltas), `{"n.%":{"$numberLong":"3"},"n.%24x":{"$numberLong":"4"},"n.%252E":{"$numberLong":"6"},`+
		`"n.100%25":{"$numberLong":"5"},"n.a%00":{"$numberLong":"7"},"n.a%2Eb":{"$numberLong":"-2"},"n.z":{"$numberLong":"1"},`+
		`"n.海":{"$numberLong":"1152921504606846976"}}`)
	r, err := decoded(t, bson.D{{Key: "_id", Value: "c"}, {Key: "n", Value: increments("", deltas)}}).record()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"":3,"$x":4,"%2E":6,"100%":5,"a\u0000":7,"a.b":-2,"z":1,"海":1152921504606846976}`; string(r.Body) != want {
		t.Errorf("got  %s\nwant %s", r.Body, want)
	}
	r, err = decoded(t, bson.D{{Key: "_id", Value: "c"}, {Key: "n", Value: bson.D{}}}).record()
	if err != nil || string(r.Body) != "{}" {
		t.Errorf("a counter document without counters gives %q, %v", r.Body, err)
	}
	if _, err := counterName("a%zz"); err == nil {
		t.Error("a field that no counter has was accepted")
	}
}

func FuzzCounterField(f *testing.F) {
	for _, s := range []string{"", "%", "a.b", "$", "%25", "\x00", "%2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		field := counterField(name)
		if field == "" || strings.ContainsAny(field, ".$\x00") {
			t.Errorf("counter %q has the field %q", name, field)
		}
		if back, err := counterName(field); err != nil || back != name {
			t.Errorf("counter %q came back as %q, %v", name, back, err)
		}
	})
}

func TestExpired(t *testing.T) {
	t.Parallel()
	x := func(v any) *document { return decoded(t, bson.D{{Key: "_id", Value: "i"}, {Key: "x", Value: v}}) }
	for name, c := range map[string]struct {
		d               *document
		expired, buried bool
	}{
		"never":     {decoded(t, bson.D{{Key: "_id", Value: "i"}}), false, false},
		"later":     {x(expiry(noon.Add(time.Millisecond))), false, false},
		"now":       {x(expiry(noon)), true, false},
		"1970":      {x(expiry(time.Unix(0, 0))), true, false},
		"1969":      {x(expiry(time.Unix(-9, 0))), true, false},
		"tombstone": {x(buried), true, true},
	} {
		if got := c.d.expired(noon); got != c.expired {
			t.Errorf("%s: expired is %v", name, got)
		}
		if got := c.d.buried(); got != c.buried {
			t.Errorf("%s: buried is %v", name, got)
		}
	}
}
