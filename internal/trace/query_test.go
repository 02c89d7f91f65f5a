package trace

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// stored is an event in the store, as the test reads it: from the documents, without the code under test.
type stored struct {
	key, firm, id  string
	time, recorded time.Time
	json           map[string]any
}

func (b *bundle) everything() []stored {
	b.t.Helper()
	var out []stored
	must(b.t, b.events.All(b.t.Context(), func(d store.Doc[eventDoc]) error {
		if d.V.Part > 0 {
			return nil
		}
		raw, err := b.raws.Get(b.t.Context(), d.ID)
		must(b.t, err)
		s := stored{key: d.ID, firm: d.V.Firm, id: d.V.ID, time: d.V.Time, recorded: d.V.Recorded}
		must(b.t, json.Unmarshal(raw.V.Event, &s.json))
		out = append(out, s)
		return nil
	}))
	return out
}

func str(v any) string { s, _ := v.(string); return s }

func list(v any) []any { l, _ := v.([]any); return l }

func member(v any, key string) any { m, _ := v.(map[string]any); return m[key] }

func canon(s string) string {
	e, err := gs1.ParseEPC(s)
	if err != nil {
		return s
	}
	return e.String()
}

// word is the end of a term, so that all of its forms are one.
func word(s string) string {
	if i := strings.LastIndexAny(s, ":/"); i >= 0 && strings.Contains(s, "cbv") {
		s = s[i+1:]
		if j := strings.IndexByte(s, '-'); j >= 0 {
			s = s[j+1:]
		}
	}
	return s
}

// values are what an event says to a parameter, read off its JSON by the words of the standard.
func values(name string, ev map[string]any) (out []string) {
	epcs := func(keys ...string) {
		for _, k := range keys {
			for _, v := range list(ev[k]) {
				out = append(out, canon(str(v)))
			}
		}
	}
	classes := func(keys ...string) {
		for _, k := range keys {
			for _, v := range list(ev[k]) {
				out = append(out, canon(str(member(v, "epcClass"))))
			}
		}
	}
	party := func(key, id string) {
		for _, v := range list(ev[key]) {
			out = append(out, canon(str(member(v, id))))
		}
	}
	switch name {
	case "eventType":
		out = append(out, str(ev["type"]))
	case "EQ_action":
		out = append(out, str(ev["action"]))
	case "EQ_bizStep":
		out = append(out, word(str(ev["bizStep"])))
	case "EQ_disposition":
		out = append(out, word(str(ev["disposition"])))
	case "EQ_readPoint", "WD_readPoint":
		out = append(out, canon(str(member(ev["readPoint"], "id"))))
	case "EQ_bizLocation", "WD_bizLocation":
		out = append(out, canon(str(member(ev["bizLocation"], "id"))))
	case "EQ_bizTransaction":
		party("bizTransactionList", "bizTransaction")
	case "EQ_source":
		party("sourceList", "source")
	case "EQ_destination":
		party("destinationList", "destination")
	case "MATCH_epc":
		epcs("epcList", "childEPCs")
	case "MATCH_anyEPC":
		epcs("epcList", "childEPCs", "inputEPCList", "outputEPCList")
		out = append(out, canon(str(ev["parentID"])))
	case "MATCH_parentID":
		out = append(out, canon(str(ev["parentID"])))
	case "MATCH_inputEPC":
		epcs("inputEPCList")
	case "MATCH_outputEPC":
		epcs("outputEPCList")
	case "MATCH_epcClass":
		classes("quantityList", "childQuantityList")
	case "MATCH_anyEPCClass":
		classes("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

var askable = []string{
	"eventType", "EQ_action", "EQ_bizStep", "EQ_disposition", "EQ_readPoint", "WD_readPoint", "EQ_bizLocation", "WD_bizLocation",
	"EQ_bizTransaction", "EQ_source", "EQ_destination", "MATCH_epc", "MATCH_anyEPC", "MATCH_parentID", "MATCH_inputEPC", "MATCH_outputEPC",
	"MATCH_epcClass", "MATCH_anyEPCClass",
}

// says decides a parameter by the JSON.
func says(p epcis.Param, s *stored) bool {
	switch p.Name {
	case "GE_eventTime", "LT_eventTime", "GE_recordTime", "LT_recordTime":
		at, err := time.Parse(time.RFC3339Nano, p.Value)
		if err != nil {
			panic(err)
		}
		is := s.time
		if strings.Contains(p.Name, "record") {
			is = s.recorded
		}
		return is.Before(at) == strings.HasPrefix(p.Name, "LT")
	case "EXISTS_errorDeclaration":
		return (s.json["errorDeclaration"] != nil) == (p.Value == "true")
	case "EQ_eventID":
		return slices.Contains(strings.Split(p.Value, "|"), s.id)
	}
	has := values(p.Name, s.json)
	for v := range strings.SplitSeq(p.Value, "|") {
		if slices.Contains(has, v) {
			return true
		}
		if strings.HasPrefix(p.Name, "WD_") && slices.ContainsFunc(has, func(h string) bool { return strings.HasPrefix(h, v+"/254/") }) {
			return true
		}
	}
	return false
}

// mayRead decides by the JSON whether a firm sees an event.
func mayRead(f *firm.Firm, s *stored) bool {
	if f == nil || s.firm == f.ID {
		return true
	}
	if slices.ContainsFunc(append(values("EQ_source", s.json), values("EQ_destination", s.json)...), f.Named) {
		return true
	}
	goods := values("MATCH_anyEPC", s.json)
	goods = append(goods, values("MATCH_anyEPCClass", s.json)...)
	return slices.ContainsFunc(goods, func(g string) bool {
		e, err := gs1.ParseEPC(g)
		digits, ok := e.CompanyDigits()
		return err == nil && ok && f.Owns(digits)
	})
}

// library captures the real documents as two firms, and events that are long, of one instant, and declared wrong.
func library(t *testing.T) (*bundle, []stored, []*firm.Firm) {
	t.Helper()
	b := setup(t)
	us := b.firm(firm.Firm{ID: "us-firm", Name: lang.ZhEn("美商", "US firm"), Kind: firm.Importer, Prefixes: []string{"0614141", "4012345"}, GLNs: []string{"4012345000009"}})
	short := b.firm(firm.Firm{ID: "short", Name: lang.ZhEn("短", "Short"), Kind: firm.Importer, Prefixes: []string{"40123"}})
	stranger := b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("他", "Other"), Kind: firm.Carrier})
	files, err := filepath.Glob(filepath.Join(sharedData(t, "epcis/valid"), "*.jsonld"))
	must(t, err)
	if len(files) < 40 {
		t.Fatalf("%d documents", len(files))
	}
	for i, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		doc, err := epcis.DecodeDocument(data, CaptureLimits)
		must(t, err)
		_, err = b.Capture(t.Context(), []firm.Firm{us, b.maker, stranger}[i%3], doc)
		must(t, err)
		b.clock.Advance(time.Minute)
	}
	for i := range 3 { // long events of one instant; each is in three parts
		var epcs []string
		for j := range 450 {
			epcs = append(epcs, fmt.Sprintf(`"https://id.gs1.org/01/%s/21/L%d-%d"`, gtinA, i, j))
		}
		b.capture(b.maker, observed(fmt.Sprintf("2026-05-0%dT00:00:00Z", 1+i/2), "ADD", "commissioning", strings.Join(epcs, ",")))
		b.clock.Advance(time.Minute)
	}
	all := b.everything()
	if len(all) < 55 {
		t.Fatalf("%d events", len(all))
	}
	return b, all, []*firm.Firm{nil, &us, &b.maker, &short, &stranger}
}

func observed(at, action, step, epcs string) string {
	return fmt.Sprintf(`{"type":"ObjectEvent","eventTime":%q,"eventTimeZoneOffset":"+00:00","action":%q,"bizStep":%q,"epcList":[%s]}`, at, action, step, epcs)
}

// kindsOfParams is how many kinds of parameters pick knows.
var kindsOfParams = len(askable) + 6

// pick makes the parameters of a query out of what a random event says, so that many queries find something. The first is of a kind.
func pick(r *rand.Rand, all []stored, kind int) []epcis.Param {
	params := map[string]string{}
	for i := range 1 + r.IntN(3) {
		s := &all[r.IntN(len(all))]
		if i > 0 {
			kind = r.IntN(kindsOfParams)
		}
		switch n := kind; {
		case n < len(askable):
			has := values(askable[n], s.json)
			if len(has) == 0 {
				continue
			}
			v := has[r.IntN(len(has))]
			if strings.HasPrefix(askable[n], "WD_") {
				v, _, _ = strings.Cut(v, "/254/")
			}
			if other := values(askable[n], all[r.IntN(len(all))].json); len(other) > 0 && r.IntN(2) == 0 {
				v += "|" + other[0]
			}
			params[askable[n]] = v
		case n == len(askable):
			params["GE_eventTime"] = s.time.Format(time.RFC3339Nano)
		case n == len(askable)+1:
			params["LT_eventTime"] = s.time.Format(time.RFC3339Nano)
		case n == len(askable)+2:
			params["GE_recordTime"] = s.recorded.Format(time.RFC3339Nano)
		case n == len(askable)+3:
			params["LT_recordTime"] = s.recorded.Format(time.RFC3339Nano)
		case n == len(askable)+4:
			params["EXISTS_errorDeclaration"] = []string{"true", "false"}[r.IntN(2)]
		default:
			params["EQ_eventID"] = s.id
		}
	}
	if r.IntN(2) == 0 {
		params["orderBy"] = []string{"eventTime", "recordTime"}[r.IntN(2)]
		params["orderDirection"] = []string{"ASC", "DESC"}[r.IntN(2)]
	}
	params["perPage"] = []string{"1", "3", "3", "30", "30", "1000"}[r.IntN(6)]
	var out []epcis.Param
	for _, k := range slices.Sorted(maps.Keys(params)) {
		out = append(out, epcis.Param{Name: k, Value: params[k]})
	}
	return out
}

// Whatever is asked by whomever, in pages of whatever size: each event that the JSON says is meant is found once, in order, and no other.
func TestQueriesAgainstBruteForce(t *testing.T) {
	t.Parallel()
	b, all, readers := library(t)
	r := rand.New(rand.NewPCG(7, 11))
	found, queries := 0, 4*kindsOfParams
	if testing.Short() { // the race detector makes it fifteen times as slow
		queries = kindsOfParams
	}
	for i := range queries {
		params, f := pick(r, all, i%kindsOfParams), readers[r.IntN(len(readers))]
		var want []string
		for i := range all {
			if s := &all[i]; mayRead(f, s) && !slices.ContainsFunc(params, func(p epcis.Param) bool {
				return p.Name != "orderBy" && p.Name != "orderDirection" && p.Name != "perPage" && !says(p, s)
			}) {
				want = append(want, s.id+" "+s.recorded.Format(time.RFC3339Nano))
			}
		}
		got, times := b.pages(Reader{f}, params)
		q, _ := epcis.ParseQuery(params)
		if !slices.IsSortedFunc(times, func(a, b time.Time) int {
			if q.Ascending {
				return a.Compare(b)
			}
			return b.Compare(a)
		}) {
			t.Errorf("%v: not in order: %v", params, times)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("%v as %+v\ngot  %d %v\nwant %d %v", params, f, len(got), got, len(want), want)
		}
		found += len(got)
	}
	t.Logf("%d events found", found)
	if found < queries*5/3 {
		t.Errorf("the queries found %d events in all: they do not ask for what there is", found)
	}
}

// pages follows a query to its end.
func (b *bundle) pages(r Reader, params []epcis.Param) (ids []string, times []time.Time) {
	b.t.Helper()
	token := ""
	for range 10_000 {
		q, bad := epcis.ParseQuery(append(slices.Clone(params), []epcis.Param{{Name: "nextPageToken", Value: token}}[:min(len(token), 1)]...))
		if bad != nil {
			b.t.Fatalf("%v: %+v", params, bad)
		}
		page, err := b.Events(b.t.Context(), r, q)
		must(b.t, err)
		if len(page.Events) > q.PerPage {
			b.t.Fatalf("%d events on a page of %d", len(page.Events), q.PerPage)
		}
		for _, raw := range page.Events {
			e, err := epcis.DecodeEvent(raw, storedLimits)
			must(b.t, err)
			ids = append(ids, e.ID()+" "+e.RecordTime.Time.Format(time.RFC3339Nano))
			at := e.Time.Time
			if q.ByRecordTime {
				at = e.RecordTime.Time
			}
			times = append(times, at)
		}
		if token = page.Next; token == "" {
			return ids, times
		}
	}
	b.t.Fatal("the query does not end")
	return nil, nil
}

// A token is for one query of one reader.
func TestPageTokensAreSealed(t *testing.T) {
	t.Parallel()
	b, _, readers := library(t)
	ask := func(f *firm.Firm, params ...epcis.Param) (EventPage, error) {
		q, bad := epcis.ParseQuery(params)
		if bad != nil {
			t.Fatal(bad)
		}
		return b.Events(t.Context(), Reader{f}, q)
	}
	two := epcis.Param{Name: "perPage", Value: "2"}
	first, err := ask(nil, two)
	must(t, err)
	token := epcis.Param{Name: "nextPageToken", Value: first.Next}
	if _, err := ask(nil, epcis.Param{Name: "perPage", Value: "5"}, token); err != nil {
		t.Errorf("another size of page: %v", err)
	}
	if strings.Contains(first.Next, "+") || strings.Contains(first.Next, "/") {
		t.Errorf("the token %s has to be escaped in a URL", first.Next)
	}
	for name, err := range map[string]error{
		"another reader": second(ask(readers[1], two, token)),
		"another query":  second(ask(nil, two, token, epcis.Param{Name: "EQ_action", Value: "ADD"})),
		"cut":            second(ask(nil, two, epcis.Param{Name: "nextPageToken", Value: first.Next[:20]})),
		"made up":        second(ask(nil, two, epcis.Param{Name: "nextPageToken", Value: "eyJwIjowfQ"})),
	} {
		if fault.CodeOf(err) != "bad_cursor" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A page examines a bounded number of events, and says that there is more.
func TestPagesAreShortRatherThanSlow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var events []string
	for i := range queryRows + 200 {
		events = append(events, observed(fmt.Sprintf("2026-01-01T%02d:%02d:%02dZ", i/3600, i/60%60, i%60), "OBSERVE", "shipping",
			fmt.Sprintf(`"https://id.gs1.org/01/%s/21/S%d"`, gtinA, i)))
	}
	for part := range slices.Chunk(events, 500) {
		b.capture(b.maker, strings.Join(part, ","))
	}
	q, bad := epcis.ParseQuery([]epcis.Param{{Name: "EQ_source", Value: "https://id.gs1.org/417/6901234567892"}})
	if bad != nil {
		t.Fatal(bad)
	}
	page, err := b.Events(t.Context(), Reader{}, q)
	must(t, err)
	if len(page.Events) != 0 || page.Next == "" {
		t.Errorf("%d events, next %q: everything was examined at once", len(page.Events), page.Next)
	}
	q.PageToken = page.Next
	page, err = b.Events(t.Context(), Reader{}, q)
	must(t, err)
	if len(page.Events) != 0 || page.Next != "" {
		t.Errorf("%d events, next %q", len(page.Events), page.Next)
	}
}

// The events of a capture that is not complete are not there.
func TestQueriesLeaveOutUnfinishedCaptures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res := b.capture(b.maker, observed("2026-01-01T00:00:00Z", "ADD", "commissioning", `"https://id.gs1.org/01/`+string(gtinA)+`/21/A1"`)+","+
		observed("2026-01-02T00:00:00Z", "ADD", "commissioning", `"https://id.gs1.org/01/`+string(gtinA)+`/21/A2"`))
	_, err := b.captures.Update(t.Context(), res.CaptureID, func(d *captureDoc) error { d.State = captureRunning; return nil })
	must(t, err)
	b.done.InvalidateAll()
	if got, _ := b.pages(Reader{}, nil); len(got) != 0 {
		t.Errorf("%v show", got)
	}
	_, err = b.captures.Update(t.Context(), res.CaptureID, func(d *captureDoc) error { d.State = captureDone; return nil })
	must(t, err)
	if got, _ := b.pages(Reader{}, nil); len(got) != 2 {
		t.Errorf("%v show", got)
	}
}

// The values that events have are listed: to a firm those of its own, in pages, each once.
func TestSpoken(t *testing.T) {
	t.Parallel()
	b, all, _ := library(t)
	for _, tt := range []struct {
		aspect epcis.Aspect
		param  string
	}{{epcis.AType, "eventType"}, {epcis.ABizStep, "EQ_bizStep"}, {epcis.ADisposition, "EQ_disposition"}, {epcis.AReadPoint, "EQ_readPoint"}, {epcis.ABizLocation, "EQ_bizLocation"}} {
		for _, who := range []string{"", b.maker.ID} {
			want := map[string]bool{}
			for i := range all {
				if who == "" || all[i].firm == who {
					for _, v := range values(tt.param, all[i].json) {
						want[v] = true
					}
				}
			}
			var got []string
			for cursor, more := "", true; more; more = cursor != "" {
				page, next, err := b.Spoken(t.Context(), who, tt.aspect, cursor, 2)
				must(t, err)
				got, cursor = append(got, page...), next
			}
			if w := slices.Sorted(maps.Keys(want)); !slices.Equal(got, w) {
				t.Errorf("%s of %q\ngot  %q\nwant %q", tt.aspect, who, got, w)
			}
		}
	}
}
