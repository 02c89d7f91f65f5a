package epcis

import (
	"errors"
	"slices"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// refusedAt checks the kind of an error and all the places that it names.
func refusedAt(t *testing.T, err error, kind fault.Kind, want ...place) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("error %v is no fault", err)
	}
	if f.Kind != kind {
		t.Errorf("kind %d, want %d: %v", f.Kind, kind, err)
	}
	var got []place
	for _, field := range f.Fields {
		got = append(got, place{field.Pointer, field.Code})
		if field.Detail == "" {
			t.Errorf("%s has no detail", field.Pointer)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("refused at\n%v\nwant\n%v\n%v", got, want, err)
	}
}

// event makes one event on its own from its members, with a context that declares ex.
func event(members string) []byte {
	return []byte(`{"@context":["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",{"ex":"https://ns.example.com/x/"}],` +
		`"eventTime":"2026-07-22T06:45:00+08:00","eventTimeZoneOffset":"+08:00",` + members + `}`)
}

const (
	bottle1 = `"https://id.gs1.org/01/09521141012345/21/1"`
	bottle2 = `"https://id.gs1.org/01/09521141012345/21/2"`
	crate   = `"https://id.gs1.org/00/340123451111111111"`
	lot     = `"https://id.gs1.org/01/09521141012345/10/L1"`

	objectEvent = `"type":"ObjectEvent","action":"ADD","epcList":[` + bottle1 + `]`
)

func decodeEvent(t testing.TB, members string) *Event {
	t.Helper()
	e, err := DecodeEvent(event(members), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
