package httpapi

import "github.com/haisu-trace/haisu/internal/epcis"

// recordedEvent is an event as the service gives it.
const recordedEvent = `{"@context":["` + epcisContext + `"],"type":"ObjectEvent","eventTime":"2026-01-12T15:00:00.000+13:00",` +
	`"eventTimeZoneOffset":"+13:00","action":"ADD","bizStep":"commissioning","disposition":"active",` +
	`"epcList":["https://id.gs1.org/01/06901234567892/21/7K2M9Q4T6V8X0Z1B"],"readPoint":{"id":"https://id.gs1.org/414/6901234000009"},` +
	`"eventID":"ni:///sha-256;c51176ee1e3f6beff27225efdba5cfeb21bb6f4ce02ab39706d0f4b6f5501d4f?ver=CBV2.0","recordTime":"2026-01-12T02:00:01.250Z"}`

var spoken = map[epcis.Aspect][]string{
	epcis.AType: {"AggregationEvent", "ObjectEvent"}, epcis.ABizStep: {"commissioning", "https://example.com/steps/aging"}, epcis.ADisposition: {"active"},
	epcis.AReadPoint: {"https://id.gs1.org/414/6901234000009"}, epcis.ABizLocation: {"https://id.gs1.org/414/6901234000009"},
}
