// Package deadline computes statutory clocks. Which clocks there are, how long they run and which holidays there are is data: rules.json
// and calendar.json, or files in their place. It has no I/O and no clock of its own. Days are those of China Standard Time.
package deadline

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

//go:embed calendar.json
var builtInCalendar []byte

// Beijing is China Standard Time, which has had no summer time since 1991.
var Beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// Calendar knows which days are working days. The years that the State Council's arrangement is known for are exact; in other years
// weekends and the holidays with a fixed date are off and nothing is made up, and results that touch them are marked.
type Calendar struct {
	exact     map[int]bool
	off, work map[string]bool // YYYY-MM-DD
	everyYear map[string]bool // MM-DD
}

// calendarFile is the form of calendar.json.
type calendarFile struct {
	EveryYear []string `json:"every_year"`
	Years     []struct {
		Year   int      `json:"year"`
		Source string   `json:"source"`
		Off    []string `json:"off"`  // public holidays and days off in lieu
		Work   []string `json:"work"` // weekend days that are worked
	} `json:"years"`
}

// BuiltInCalendar is the calendar that the program carries: 2025 and 2026 as announced.
func BuiltInCalendar() (*Calendar, error) { return ParseCalendar(builtInCalendar) }

// ParseCalendar reads a calendar file. Unknown keys, dates that do not exist or lie outside their year, and make-up days that are no
// weekend days are refused.
func ParseCalendar(data []byte) (*Calendar, error) {
	var f calendarFile
	if err := decodeStrict(data, &f); err != nil {
		return nil, fmt.Errorf("working-day calendar: %w", err)
	}
	c := &Calendar{exact: map[int]bool{}, off: map[string]bool{}, work: map[string]bool{}, everyYear: map[string]bool{}}
	for _, d := range f.EveryYear {
		if _, err := time.Parse(time.DateOnly, "2024-"+d); err != nil {
			return nil, fmt.Errorf("working-day calendar: every_year: %w", err)
		}
		c.everyYear[d] = true
	}
	for _, y := range f.Years {
		if c.exact[y.Year] {
			return nil, fmt.Errorf("working-day calendar: %d stands twice", y.Year)
		}
		c.exact[y.Year] = true
		for _, d := range slices.Concat(y.Off, y.Work) {
			day, err := time.ParseInLocation(time.DateOnly, d, Beijing)
			if err != nil || day.Year() != y.Year || c.off[d] || c.work[d] {
				return nil, fmt.Errorf("working-day calendar: %d: %q is no day of that year, or stands twice", y.Year, d)
			}
			if slices.Contains(y.Work, d) {
				if !weekend(day) {
					return nil, fmt.Errorf("working-day calendar: %s is no weekend day to be made up", d)
				}
				c.work[d] = true
			} else {
				c.off[d] = true
			}
		}
	}
	return c, nil
}

func decodeStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the end, at byte %d", dec.InputOffset())
	}
	return nil
}

func weekend(day time.Time) bool {
	return day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
}

// Working says whether the day in China at an instant is a working day, and whether that is known exactly.
func (c *Calendar) Working(at time.Time) (working, exact bool) {
	at = at.In(Beijing)
	day := at.Format(time.DateOnly)
	switch {
	case c.work[day]:
		working = true
	case c.off[day], weekend(at):
	case !c.exact[at.Year()] && c.everyYear[day[5:]]:
	default:
		working = true
	}
	return working, c.exact[at.Year()]
}

// AddWorkingDays gives the n-th working day after the day of start, which itself does not count, at its last second. n is at
// least 1. exact is false if a day in between lies in a year whose arrangement is not known.
func (c *Calendar) AddWorkingDays(start time.Time, n int) (due time.Time, exact bool) {
	s := start.In(Beijing)
	day := time.Date(s.Year(), s.Month(), s.Day(), 23, 59, 59, 0, Beijing)
	exact = true
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		working, known := c.Working(day)
		exact = exact && known
		if working {
			n--
		}
	}
	return day, exact
}
