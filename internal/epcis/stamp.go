package epcis

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// unlimited is for what was accepted before.
var unlimited = Limits{
	Bytes: math.MaxInt, Values: math.MaxInt, Depth: math.MaxInt, List: math.MaxInt, Text: math.MaxInt,
}

// Stamp gives an event's Raw as a repository answers it: with the time at which it recorded the event in place of any that came with
// it, with an eventID even if none was given, and with one eventID of two. All else is byte for byte as received; the hash stays true.
func Stamp(raw json.RawMessage, id string, recorded time.Time) (json.RawMessage, error) {
	n, err := parse(raw, unlimited)
	if err != nil {
		return nil, fmt.Errorf("stamp event %s: %w", id, err)
	}
	b := make([]byte, 0, len(raw)+len(id)+64)
	b = append(b, '{')
	named := false
	for i := range n.kids {
		m := &n.kids[i]
		if m.key == "recordTime" || m.key == "eventID" && (named || m.text != id) {
			continue
		}
		named = named || m.key == "eventID"
		b = append(append(appendString(b, m.key), ':'), m.src...)
		b = append(b, ',')
	}
	if !named {
		b = append(appendString(append(b, `"eventID":`...), id), ',')
	}
	b = append(b, `"recordTime":"`...)
	b = append(Timestamp{Time: recorded.UTC()}.appendUTC(b), `"}`...)
	return b, nil
}
