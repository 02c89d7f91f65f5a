package trace

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/fault"
)

// What a capture refuses for what is stored, or for its size, has a pointer and a code of the table, as what reading refuses.
func TestRefusalsOfCapturesSayWhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	doc := func(events ...string) *epcis.Document {
		d, err := epcis.DecodeDocument([]byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
"type":"EPCISDocument","schemaVersion":"2.0","creationDate":"2026-11-24T00:00:00Z","epcisBody":{"eventList":[`+strings.Join(events, ",")+`]}}`), CaptureLimits)
		must(t, err)
		return d
	}
	named := func(id, step string) string {
		return strings.Replace(observed("2026-01-01T00:00:00Z", "OBSERVE", step, `"`+unitOf("S1")+`"`), `{`, fmt.Sprintf(`{"eventID":%q,`, id), 1)
	}
	_, err := b.Capture(t.Context(), b.maker, doc(named("urn:x:1", "shipping")))
	must(t, err)
	for want, call := range map[string]func(ctx context.Context) error{
		"/epcisBody/eventList empty": func(ctx context.Context) error {
			_, err := b.Capture(ctx, b.maker, doc())
			return err
		},
		"/epcisBody/eventList/1/eventID event_id_taken": func(ctx context.Context) error {
			_, err := b.Capture(ctx, b.maker, doc(named("urn:x:2", "shipping"), named("urn:x:1", "receiving")))
			return err
		},
		"/epcisBody/eventList/7/eventID event_id_taken": func(ctx context.Context) error { // as when another process is faster
			return b.putRaws(ctx, b.maker, []placed{{"/epcisBody/eventList/7", doc(named("urn:x:1", "receiving")).Events[0]}})
		},
		" event_exists": func(ctx context.Context) error {
			_, err := b.CaptureEvent(ctx, b.maker, doc(named("urn:x:1", "shipping")).Events[0])
			return err
		},
		" capture_too_large": func(context.Context) error {
			return fit(b.maker, nil, captureDoc{Raws: []string{strings.Repeat("x", 1<<20)}})
		},
	} {
		f, ok := errors.AsType[*fault.Error](call(t.Context()))
		if !ok || len(f.Fields) != 1 {
			t.Errorf("%s: %v", want, f)
			continue
		}
		if got := f.Fields[0].Pointer + " " + f.Fields[0].Code; got != want || !epcis.IsRule(f.Fields[0].Code) || f.Fields[0].Detail == "" {
			t.Errorf("%+v, want %s", f.Fields[0], want)
		}
		if listed := refusalsOf(f); len(listed) != 1 || listed[0].Status < 400 || listed[0].Pointer+" "+listed[0].Code != want {
			t.Errorf("%s is listed as %+v", want, listed)
		}
	}
}
