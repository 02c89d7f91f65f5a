package epcis

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// inPieces reads a document as a stream does.
func inPieces(data []byte, lim Limits) (events []*Event, bad []fault.Field, err error) {
	doc, n, err := ReadFrame(bytes.NewReader(data), lim)
	if err != nil {
		return nil, nil, err
	}
	seen := 0
	err = doc.Each(bytes.NewReader(data), lim, func(i int, e *Event, err error) error {
		if i != seen {
			return fmt.Errorf("event %d after %d", i, seen)
		}
		seen++
		if f, refused := err.(*fault.Error); refused { //nolint:errorlint // exactly this is promised
			bad = append(bad, f.Fields...)
			return nil
		}
		events = append(events, e)
		return err
	})
	if err == nil && seen != n {
		err = fmt.Errorf("%d events were counted and %d read", n, seen)
	}
	return events, bad, err
}

// A document in pieces is what it is as a whole: the same events, byte for byte, and the same refusals at the same places.
func TestStreamsAreDocuments(t *testing.T) {
	t.Parallel()
	files := 0
	for _, pattern := range []string{"valid/*", "invalid/*", "hash/*.jsonld"} {
		paths, err := filepath.Glob(filepath.Join("../../../shared/data/epcis", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files++
			whole, wholeErr := DecodeDocument(data, Limits{})
			events, bad, err := inPieces(data, Limits{})
			if wholeErr != nil {
				want := fmt.Sprint(wholeErr.(*fault.Error).Fields) //nolint:errorlint,forcetypeassert // it is promised
				if err == nil && fmt.Sprint(bad) != want {
					t.Errorf("%s\ngot  %v\nwant %s", path, bad, want)
				}
				continue
			}
			if err != nil || len(bad) > 0 || len(events) != len(whole.Events) {
				t.Fatalf("%s: %d events of %d, %v, %v", path, len(events), len(whole.Events), bad, err)
			}
			for i, e := range events {
				if !bytes.Equal(e.Raw, whole.Events[i].Raw) || e.HashID() != whole.Events[i].HashID() {
					t.Errorf("%s: event %d\ngot  %s\nwant %s", path, i, e.Raw, whole.Events[i].Raw)
				}
			}
		}
	}
	if files == 0 {
		t.Skip("the real data folder shared/data is not beside the project")
	}
}

const streamEvent = `{"type":"ObjectEvent","eventTime":"2026-01-01T00:00:00Z","eventTimeZoneOffset":"+00:00","action":"OBSERVE","epcList":["urn:epc:id:sgtin:690123456.0789.%d"],"x:y":"]}"}`

// The context may come last, and a string may hold brackets.
func TestStreamWithItsContextBehind(t *testing.T) {
	t.Parallel()
	doc := ` {"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-01-01T00:00:00Z","epcisBody" : { "eventList" : [ ` +
		fmt.Sprintf(streamEvent, 1) + " ,\n" + fmt.Sprintf(streamEvent, 2) + ` ] }, "@context":["https://example.org/c.jsonld",{"x":"https://example.org/x/"}]} `
	events, bad, err := inPieces([]byte(doc), Limits{})
	if err != nil || len(bad) > 0 || len(events) != 2 || events[1].Extensions[0].Namespace != "https://example.org/x/" {
		t.Errorf("%v %v %v", events, bad, err)
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	head := `{"@context":{"x":"https://example.org/x/"},"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-01-01T00:00:00Z","epcisBody":{"eventList":[`
	one := fmt.Sprintf(streamEvent, 1)
	for doc, want := range map[string]string{
		"":                             "json_syntax",
		"[]":                           "json_syntax",
		head:                           "json_syntax",
		head + one:                     "json_syntax",
		head + one + "]":               "json_syntax",
		head + one + " " + one + "]}}": "json_syntax",
		head + one + ",]}}":            "json_syntax",
		head + "," + one + "]}}":       "json_syntax",
		head + one + "]}}x":            "json_syntax",
		head + one + "," + one + "]}}": "too_many_events",
		head + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "]}}": "json_depth",
		head + `],"eventList":[` + one + "]}}":                             "duplicate_member",
		`{"x":"` + strings.Repeat("x", maxFrame) + `"}`:                    "capture_too_large",
		`{"type":"EPCISDocument"}`:                                         "invalid",
	} {
		_, bad, err := inPieces([]byte(doc), Limits{Events: 1})
		got := fault.CodeOf(err)
		if err == nil && len(bad) > 0 {
			got = bad[0].Code
		}
		if got != want {
			t.Errorf("%.80q: %v %v, want %s", doc, bad, err, want)
		}
	}
	_, bad, err := inPieces([]byte(head+strings.Replace(one, "]}\"", strings.Repeat("]", 600)+"\"", 1)+"]}}"), Limits{EventBytes: 500})
	if err != nil || len(bad) != 1 || bad[0].Code != "event_too_large" || bad[0].Pointer != "/epcisBody/eventList/0" {
		t.Errorf("%v %v", bad, err)
	}
}
