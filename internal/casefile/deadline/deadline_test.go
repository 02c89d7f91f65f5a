package deadline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func builtIn(t *testing.T) *Set {
	t.Helper()
	s, err := BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is a time of day in China.
func at(s string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, Beijing)
	if err != nil {
		panic(err)
	}
	return t
}

func TestWorkingDays(t *testing.T) {
	t.Parallel()
	c := builtIn(t).calendar
	for day, want := range map[string]bool{
		"2025-01-01": false, "2025-01-26": true, "2025-01-27": true, "2025-01-28": false, "2025-02-04": false, "2025-02-05": true, "2025-02-08": true,
		"2025-04-27": true, "2025-05-05": false, "2025-05-06": true, "2025-09-28": true, "2025-10-08": false, "2025-10-09": true, "2025-10-11": true,
		"2026-01-02": false, "2026-01-04": true, "2026-02-14": true, "2026-02-23": false, "2026-02-24": true, "2026-02-28": true, "2026-04-06": false,
		"2026-05-09": true, "2026-06-19": false, "2026-09-20": true, "2026-09-25": false, "2026-10-07": false, "2026-10-08": true, "2026-10-10": true,
		"2026-11-24": true, "2026-11-28": false,
		"2027-01-01": false, "2027-10-01": false, "2027-01-02": false, "2027-01-04": true,
	} {
		working, exact := c.Working(at(day + " 12:00"))
		if working != want || exact != (day < "2027") {
			t.Errorf("%s: working %v, exact %v", day, working, exact)
		}
	}
	// The day is the one in China: 16:00 UTC on Friday is Saturday there.
	if working, _ := c.Working(time.Date(2026, 11, 27, 16, 0, 0, 0, time.UTC)); working {
		t.Error("Saturday in China is taken for a Friday")
	}
}

func TestAddWorkingDays(t *testing.T) {
	t.Parallel()
	c := builtIn(t).calendar
	for _, tc := range []struct {
		start string
		n     int
		due   string
		exact bool
	}{
		{"2026-11-24 00:00", 1, "2026-11-25", true},
		{"2026-11-24 23:59", 7, "2026-12-03", true},
		{"2026-11-27 18:00", 1, "2026-11-30", true},  // over a weekend
		{"2026-09-30 09:00", 3, "2026-10-10", true},  // over the National Day week; the third day is a Saturday made up
		{"2026-02-13 09:00", 2, "2026-02-24", true},  // 14 February is worked
		{"2025-01-24 09:00", 7, "2025-02-10", true},  // Spring Festival, with 26 January and 8 February made up
		{"2026-12-28 09:00", 5, "2027-01-05", false}, // into a year that is not announced: New Year's Day is off all the same
	} {
		due, exact := c.AddWorkingDays(at(tc.start), tc.n)
		if got := due.Format(time.DateOnly); got != tc.due || exact != tc.exact || due.Format(time.TimeOnly) != "23:59:59" {
			t.Errorf("%s + %d: %s, exact %v; want %s, %v", tc.start, tc.n, due, exact, tc.due, tc.exact)
		}
	}
}

// No deadline falls on a day that is not worked, exactly n working days lie between start and due, and a later start is never
// due earlier.
func TestNoDeadlineOnADayOff(t *testing.T) {
	t.Parallel()
	s := builtIn(t)
	r := rand.New(rand.NewPCG(1, 1))
	begin := at("2024-06-01 00:00")
	for range 3000 {
		start := begin.Add(time.Duration(r.Int64N(int64(4 * 365 * 24 * time.Hour))))
		n := 1 + r.IntN(60)
		due, _ := s.calendar.AddWorkingDays(start, n)
		if working, _ := s.calendar.Working(due); !working {
			t.Fatalf("%s + %d is due on %s, a day off", start, n, due)
		}
		count := 0
		for day := start.AddDate(0, 0, 1); day.Format(time.DateOnly) <= due.Format(time.DateOnly); day = day.AddDate(0, 0, 1) {
			if working, _ := s.calendar.Working(day); working {
				count++
			}
		}
		if count != n {
			t.Fatalf("%s + %d: %d working days until %s", start, n, count, due)
		}
		if later, _ := s.calendar.AddWorkingDays(start.Add(time.Hour), n); later.Before(due) {
			t.Fatalf("an hour after %s is due earlier", start)
		}
	}
	for i := range s.rules {
		rule := &s.rules[i]
		for d := range 3 * 365 {
			start := begin.AddDate(0, 0, d)
			due, _ := s.due(rule, start, rule.Amount+rule.Extension)
			if working, _ := s.calendar.Working(due); rule.Unit == WorkingDays && !working {
				t.Fatalf("%s from %s is due on %s, a day off", rule.Code, start, due)
			}
		}
	}
}

func clockOf(clocks []Clock, code string) string {
	for _, c := range clocks {
		if c.Code == code {
			return fmt.Sprintf("%s %s", c.State, c.Due.Format("2006-01-02"))
		}
	}
	return ""
}

func TestClocks(t *testing.T) {
	t.Parallel()
	s := builtIn(t)
	filed := Event{"filed", at("2026-11-24 10:00")}
	for _, tc := range []struct {
		name   string
		matter string
		events []Event
		now    string
		want   map[string]string
	}{
		{"filed", "complaint", []Event{filed}, "2026-12-03 23:59",
			map[string]string{"complaint_decision": "running 2026-12-03", "complaint_mediation": "", "complaint_told": ""}},
		{"a day late", "complaint", []Event{filed}, "2026-12-04 00:00", map[string]string{"complaint_decision": "overdue 2026-12-03"}},
		{"accepted in time", "complaint", []Event{filed, {"accepted", at("2026-12-03 23:59")}}, "2026-12-04 12:00",
			map[string]string{"complaint_decision": "met 2026-12-03", "complaint_mediation": "running 2027-02-05"}},
		{"refused late", "complaint", []Event{{"refused", at("2026-12-04 00:00")}, filed}, "2026-12-05 12:00",
			map[string]string{"complaint_decision": "met_late 2026-12-03", "complaint_mediation": ""}},
		{"a tip", "tip", []Event{filed}, "2026-11-25 00:00", map[string]string{"tip_decision": "running 2026-12-15"}},
		{"a tip, extended", "tip", []Event{filed, {"extension_approved", at("2026-12-10 00:00")}}, "2026-12-20 00:00",
			map[string]string{"tip_decision": "running 2027-01-06"}},
		{"a tip, extended too late", "tip", []Event{filed, {"extension_approved", at("2026-12-16 00:00")}}, "2026-12-20 00:00",
			map[string]string{"tip_decision": "overdue 2026-12-15"}},
		{"a recall, by the hour", "food_recall_1", []Event{{"risk_known", at("2026-11-27 18:00")}}, "2026-11-28 18:01",
			map[string]string{"recall_start": "overdue 2026-11-28"}},
		{"before the rule", "complaint", []Event{{"filed", at("2019-12-31 10:00")}}, "2026-12-20 00:00", map[string]string{"complaint_decision": ""}},
	} {
		clocks := s.Clocks(tc.matter, "", tc.events, at(tc.now))
		for code, want := range tc.want {
			if got := clockOf(clocks, code); got != want {
				t.Errorf("%s: %s is %q, want %q", tc.name, code, got, want)
			}
		}
	}
	c := s.Clocks("complaint", "", []Event{filed, {"accepted", filed.At}}, filed.At)
	if len(c) != 2 || c[0].Provisional || !c[1].Provisional {
		t.Errorf("%+v: only the clock that runs into 2027 is provisional", c)
	}
}

// testRules has a later rule set, marked TEST, and a rule of one authority.
const testRules = `[
	{"code":"decision","matter":"complaint","name":{"zh-Hans":"旧规则","en":"old"},"start":["filed"],"end":["accepted"],"amount":7,
	 "unit":"working_days","chosen_by":"filed","from":"2020-01-01","to":"2027-01-01","basis":"TEST"},
	{"code":"decision","matter":"complaint","name":{"zh-Hans":"新规则","en":"new"},"start":["filed"],"end":["accepted"],"amount":3,
	 "unit":"working_days","chosen_by":"filed","from":"2027-01-01","basis":"TEST"},
	{"code":"decision","matter":"complaint","authority":"customs","name":{"zh-Hans":"海关","en":"customs"},"start":["filed"],"end":["accepted"],
	 "amount":10,"unit":"working_days","chosen_by":"filed","from":"2026-06-01","to":"2026-12-01","basis":"TEST"}
]`

func TestTheRuleOfTheDayAndTheAuthority(t *testing.T) {
	t.Parallel()
	s, err := ParseRules([]byte(testRules), builtIn(t).calendar)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ filed, authority, rule string }{
		{"2026-12-31 23:59", "", "old"},
		{"2027-01-01 00:00", "", "new"},
		{"2026-11-24 10:00", "hnamr", "old"},
		{"2026-11-24 10:00", "customs", "customs"},
		{"2026-12-01 00:00", "customs", "old"}, // the special rule has ended
	} {
		clocks := s.Clocks("complaint", tc.authority, []Event{{"filed", at(tc.filed)}}, at(tc.filed))
		if len(clocks) != 1 || clocks[0].Name["en"] != tc.rule {
			t.Errorf("%s %s: %+v, want the rule %s", tc.filed, tc.authority, clocks, tc.rule)
		}
	}
}

func TestRefusedRules(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"unknown key":   {`"basis":"TEST"}`, `"basis":"TEST","days":7}`},
		"overlap":       {`,"to":"2027-01-01"`, ``},
		"no amount":     {`"amount":3`, `"amount":0`},
		"unknown unit":  {`"working_days"`, `"days"`},
		"no basis":      {`"basis":"TEST"`, `"basis":""`},
		"no such day":   {`"2027-01-01"`, `"2027-02-30"`},
		"one language":  {`"en":"new"`, `"en":""`},
		"half extended": {`"amount":3`, `"amount":3,"extension":3`},
	} {
		changed := strings.Replace(testRules, change[0], change[1], 1)
		if changed == testRules {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := ParseRules([]byte(changed), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ParseRules([]byte(testRules+"[]"), nil); err == nil {
		t.Error("two documents in one file: accepted")
	}
}

func TestRefusedCalendars(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"unknown key":     `{"holidays":[]}`,
		"no such day":     `{"years":[{"year":2026,"off":["2026-02-30"]}]}`,
		"another year":    `{"years":[{"year":2026,"off":["2027-02-03"]}]}`,
		"twice":           `{"years":[{"year":2026,"off":["2026-02-03"],"work":["2026-02-03"]}]}`,
		"year twice":      `{"years":[{"year":2026},{"year":2026}]}`,
		"made up midweek": `{"years":[{"year":2026,"work":["2026-02-03"]}]}`,
		"not a month day": `{"every_year":["1-1"]}`,
		"cut off":         `{"every_year":[`,
	} {
		if _, err := ParseCalendar([]byte(file)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
