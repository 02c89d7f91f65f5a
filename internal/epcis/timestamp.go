package epcis

import (
	"strings"
	"time"
)

// Timestamp is an instant, in UTC and rounded to milliseconds (half up, as the event hash wants it), and the text it came as.
type Timestamp struct {
	Time time.Time
	Text string
}

// IsZero says that there is no time.
func (t Timestamp) IsZero() bool { return t.Text == "" }

// appendUTC writes the time as the event hash has it: 2020-03-04T10:00:30.000Z.
func (t Timestamp) appendUTC(b []byte) []byte {
	return t.Time.AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// The years that an event may be of. Events are about goods now on the market; what lies outside is a clock that was never set
// or a placeholder such as 9999-12-31.
const firstYear, lastYear = 1970, 2199

// parseTime reads an xsd:dateTimeStamp with seconds and offset. bad says in words what is wrong, "" for nothing; code is the
// stable code for it.
func parseTime(text string) (t Timestamp, code, bad string) {
	const form = "write the time as 2026-07-22T06:45:00.000+08:00, with seconds and offset"
	if len(text) < len("2006-01-02T15:04:05Z") || len(text) > 40 || text[10] != 'T' || strings.Contains(text, ",") {
		return t, "bad_time", form
	}
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, "bad_time", form + "; day, hour and minute must exist"
	}
	if _, offset := v.Zone(); offset < -14*3600 || offset > 14*3600 {
		return t, "bad_time", "no offset from UTC is greater than 14:00"
	}
	v = v.UTC().Add(500 * time.Microsecond).Truncate(time.Millisecond)
	if y := v.Year(); y < firstYear || y > lastYear {
		return t, "time_out_of_range", "the year must be from 1970 to 2199; leave out a time that is not known"
	}
	return Timestamp{v, text}, "", ""
}

// validOffset checks an eventTimeZoneOffset: +hh:mm or -hh:mm up to 14:00 (EPCIS 2.0, section 7.4.1).
func validOffset(s string) bool {
	if len(s) != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':' || !onlyDigits(s[1:3]) || !onlyDigits(s[4:]) {
		return false
	}
	return s[1:] <= "14:00" && s[4:] < "60"
}

// validDate checks an xsd:date without time zone: 2026-07-22.
func validDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}
