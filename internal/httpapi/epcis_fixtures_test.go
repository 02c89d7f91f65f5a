package httpapi

import (
	"time"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/trace"
)

var captureDone = trace.CaptureJob{
	ID: "31d7bfb1a4a5d8e4c2c9b6a7b1d0e5c3", Created: now, Finished: now.Add(time.Second), Success: true, Behaviour: trace.Rollback, Total: 1, Done: 1, Stored: 1,
}

var captureBad = trace.CaptureJob{
	ID: "8f14e45fceea167a5a36dedd4bea2543", Created: now.Add(-time.Hour), Finished: now.Add(-time.Minute), Behaviour: trace.Proceed,
	Total: 1000, Done: 1000, Stored: 999, Failed: 1, Errors: []trace.CaptureError{{
		Status: 422, Pointer: "/epcisBody/eventList/412/eventTime", Code: "time_out_of_range", Detail: "\"9999-12-31T23:59:59Z\" is no time that can be recorded",
	}},
}

// recordedEvent is an event as the service gives it.
const recordedEvent = `{"@context":["` + epcisContext + `"],"type":"ObjectEvent","eventTime":"2026-01-12T15:00:00.000+13:00",` +
	`"eventTimeZoneOffset":"+13:00","action":"ADD","bizStep":"commissioning","disposition":"active",` +
	`"epcList":["https://id.gs1.org/01/06901234567892/21/7K2M9Q4T6V8X0Z1B"],"readPoint":{"id":"https://id.gs1.org/414/6901234000009"},` +
	`"eventID":"ni:///sha-256;c51176ee1e3f6beff27225efdba5cfeb21bb6f4ce02ab39706d0f4b6f5501d4f?ver=CBV2.0","recordTime":"2026-01-12T02:00:01.250Z"}`

var spoken = map[epcis.Aspect][]string{
	epcis.AType: {"AggregationEvent", "ObjectEvent"}, epcis.ABizStep: {"commissioning", "https://example.com/steps/aging"}, epcis.ADisposition: {"active"},
	epcis.AReadPoint: {"https://id.gs1.org/414/6901234000009"}, epcis.ABizLocation: {"https://id.gs1.org/414/6901234000009"},
}
