package deadline

import (
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
)

//go:embed rules.json
var builtInRules []byte

// The units of a rule's amount.
const (
	WorkingDays = "working_days" // the day of the start does not count; due at the end of the last day
	Hours       = "hours"        // by the clock, holidays or not
)

// Rule is one statutory clock, in force for matters whose ChosenBy event falls into [From, To).
type Rule struct {
	Code       string    `json:"code"`
	Matter     string    `json:"matter"`              // complaint, tip, …
	Authority  string    `json:"authority,omitempty"` // ID of the authority that it binds; "" is any, and gives way to a rule for one
	Name       lang.Text `json:"name"`
	Start      []string  `json:"start"` // events that start it, each time anew: the last one counts
	End        []string  `json:"end"`   // events that meet it
	Amount     int       `json:"amount"`
	Unit       string    `json:"unit"`
	ExtendedBy string    `json:"extended_by,omitempty"` // event that adds Extension, if it comes before the clock is over
	Extension  int       `json:"extension,omitempty"`   // in Unit
	ChosenBy   string    `json:"chosen_by"`             // event whose date says which rule is in force
	From       string    `json:"from"`                  // YYYY-MM-DD in China, inclusive
	To         string    `json:"to,omitempty"`          // exclusive; "" is open
	Basis      string    `json:"basis"`
}

// Set is rules with the calendar that they count by.
type Set struct {
	rules    []Rule
	calendar *Calendar
}

// BuiltIn is the set that the program carries.
func BuiltIn() (*Set, error) {
	c, err := BuiltInCalendar()
	if err != nil {
		return nil, err
	}
	return ParseRules(builtInRules, c)
}

// ParseRules reads a rules file. Unknown keys, incomplete rules, and two rules of one code, matter and authority that are in force
// on one day are refused.
func ParseRules(data []byte, c *Calendar) (*Set, error) {
	s := &Set{calendar: c}
	if err := decodeStrict(data, &s.rules); err != nil {
		return nil, fmt.Errorf("deadline rules: %w", err)
	}
	for i := range s.rules {
		r := &s.rules[i]
		if wrong := r.wrong(); wrong != "" {
			return nil, fmt.Errorf("deadline rules: rule %d (%s of %s): %s", i, r.Code, r.Matter, wrong)
		}
		for j := range s.rules[:i] {
			if r.overlaps(&s.rules[j]) {
				return nil, fmt.Errorf("deadline rules: rules %d and %d (%s of %s) are in force on the same days", j, i, r.Code, r.Matter)
			}
		}
	}
	return s, nil
}

// Authorities gives the IDs of the authorities that rules name, each once, in order.
func (s *Set) Authorities() []string {
	var ids []string
	for i := range s.rules {
		if id := s.rules[i].Authority; id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (r *Rule) wrong() string {
	isDay := func(s string) bool {
		_, err := time.Parse(time.DateOnly, s)
		return err == nil
	}
	switch {
	case r.Code == "" || r.Matter == "" || len(r.Start) == 0 || len(r.End) == 0 || r.ChosenBy == "":
		return "code, matter, start, end and chosen_by are required"
	case r.Name[lang.ZhHans] == "" || r.Name[lang.En] == "" || r.Basis == "":
		return "a name in both languages and a legal basis are required"
	case r.Amount < 1 || r.Unit != WorkingDays && r.Unit != Hours:
		return "amount must be at least 1 and unit working_days or hours"
	case (r.ExtendedBy == "") != (r.Extension == 0) || r.Extension < 0:
		return "extended_by and extension go together"
	case !isDay(r.From) || r.To != "" && (!isDay(r.To) || r.To <= r.From):
		return "from and to must be days, to after from"
	}
	return ""
}

func (r *Rule) overlaps(o *Rule) bool {
	return r.Code == o.Code && r.Matter == o.Matter && r.Authority == o.Authority &&
		(r.To == "" || o.From < r.To) && (o.To == "" || r.From < o.To)
}

func (r *Rule) inForce(day string) bool { return r.From <= day && (r.To == "" || day < r.To) }

// Event is something that happened to a matter.
type Event struct {
	Kind string
	At   time.Time
}

// The states of a clock.
const (
	Running = "running"
	Met     = "met"
	MetLate = "met_late"
	Overdue = "overdue"
)

// Clock is one rule at work on one matter.
type Clock struct {
	Code        string     `json:"code"`
	Name        lang.Text  `json:"name"`
	Start       time.Time  `json:"start"`
	Due         time.Time  `json:"due"` // the last second in time
	State       string     `json:"state"`
	Ended       *time.Time `json:"ended,omitempty"`
	Provisional bool       `json:"provisional,omitempty"` // the holidays of a year it runs through are not announced yet
	Basis       string     `json:"basis"`
}

// Clocks gives the clocks that have started on a matter, in the order of the rules. events may be in any order.
func (s *Set) Clocks(matter, authority string, events []Event, now time.Time) []Clock {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	var out []Clock
	for i := range s.rules {
		r := &s.rules[i]
		if r.Matter != matter || !s.chosen(r, authority, events) {
			continue
		}
		start, ok := last(events, r.Start)
		if !ok {
			continue
		}
		out = append(out, s.clock(r, start, events, now))
	}
	return out
}

// chosen says whether r is the rule for this authority on the day that the rule names.
func (s *Set) chosen(r *Rule, authority string, events []Event) bool {
	i := slices.IndexFunc(events, func(e Event) bool { return e.Kind == r.ChosenBy })
	if i < 0 || r.Authority != "" && r.Authority != authority {
		return false
	}
	day := events[i].At.In(Beijing).Format(time.DateOnly)
	if !r.inForce(day) {
		return false
	}
	if r.Authority != "" {
		return true
	}
	return authority == "" || !slices.ContainsFunc(s.rules, func(o Rule) bool {
		return o.Code == r.Code && o.Matter == r.Matter && o.Authority == authority && o.inForce(day)
	})
}

func last(events []Event, kinds []string) (time.Time, bool) {
	for _, e := range slices.Backward(events) {
		if slices.Contains(kinds, e.Kind) {
			return e.At, true
		}
	}
	return time.Time{}, false
}

func (s *Set) clock(r *Rule, start time.Time, events []Event, now time.Time) Clock {
	c := Clock{Code: r.Code, Name: r.Name, Start: start, Basis: r.Basis}
	due, exact := s.due(r, start, r.Amount)
	c.Due = due
	for _, e := range events {
		if e.At.Before(start) {
			continue
		}
		if e.Kind == r.ExtendedBy && r.Extension > 0 && !after(e.At, c.Due) {
			c.Due, exact = s.due(r, start, r.Amount+r.Extension)
		}
		if slices.Contains(r.End, e.Kind) {
			at := e.At
			c.Ended = &at
			break
		}
	}
	c.Provisional = !exact
	switch {
	case c.Ended != nil && after(*c.Ended, c.Due):
		c.State = MetLate
	case c.Ended != nil:
		c.State = Met
	case after(now, c.Due):
		c.State = Overdue
	default:
		c.State = Running
	}
	return c
}

// after says whether an instant is too late for a due time whose whole second still counts.
func after(at, due time.Time) bool { return at.Truncate(time.Second).After(due) }

func (s *Set) due(r *Rule, start time.Time, amount int) (time.Time, bool) {
	if r.Unit == Hours {
		return start.Add(time.Duration(amount) * time.Hour), true
	}
	return s.calendar.AddWorkingDays(start, amount)
}
