package bulk

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/sheet"
)

// wrong is what is wrong with one cell.
type wrong struct {
	code   string
	args   []string
	detail string // in English, of the domain; "" when code has a text of its own
}

func bad(code string, args ...string) *wrong { return &wrong{code: code, args: args} }

// scientific is how a program shows a number that has more digits than fit: the others are gone.
var scientific = regexp.MustCompile(`^[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+$`)

// maxDigits is how many digits an office program keeps of a number.
const maxDigits = 15

// broken is what makes a cell useless whatever it is for.
func broken(c sheet.Cell) *wrong {
	switch c.Kind {
	case sheet.Formula:
		return bad("formula")
	case sheet.Failed:
		return bad("cell_error")
	}
	if strings.ContainsRune(c.Text, utf8.RuneError) {
		return bad("mojibake")
	}
	if strings.ContainsFunc(c.Text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' }) {
		return bad("control_characters")
	}
	return nil
}

// prose reads a cell of words.
func prose(c sheet.Cell) (string, *wrong) {
	if w := broken(c); w != nil {
		return "", w
	}
	if c.Kind == sheet.Number {
		return decimal(c.Text), nil
	}
	return c.Text, nil
}

// decimal writes a number as an office program shows it in a wide cell.
func decimal(number string) string {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.Abs(f) >= 1e15 || math.Abs(f) < 1e-9 {
		return number
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// code reads a cell that holds a code or a number that is a name, as it is printed: not a calculated number, nor what a program took for a
// date.
func code(c sheet.Cell) (string, *wrong) {
	if w := broken(c); w != nil {
		return "", w
	}
	s := width.Narrow.String(c.Text)
	switch c.Kind {
	case sheet.Date:
		return "", bad("became_date")
	case sheet.Number:
		s = decimal(c.Text)
		if scientific.MatchString(s) || significant(s) > maxDigits {
			return "", bad("digits_lost")
		}
	case sheet.Text:
		if scientific.MatchString(s) && strings.ContainsAny(s, "+.,") { // 12E3 may be a lot
			return "", bad("scientific")
		}
	}
	return s, nil
}

// significant counts the digits of a decimal behind the zeros in front.
func significant(s string) int {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
	return len(strings.TrimLeft(digits, "0"))
}

// gtin reads a GTIN. Zeros that a program dropped in front are put back where the check digit, which they do not change, is right; repaired says
// so.
func gtin(c sheet.Cell) (g gs1.GTIN, repaired bool, w *wrong) {
	if c.Kind == sheet.Text && scientific.MatchString(width.Narrow.String(c.Text)) {
		return "", false, bad("gtin_scientific")
	}
	s, w := code(c)
	if w != nil {
		if w.code == "digits_lost" {
			w.code = "gtin_scientific"
		}
		return "", false, w
	}
	digits := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, s)
	if strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return "", false, bad("gtin_digits")
	}
	switch n := len(digits); {
	case n >= 12 && n <= 14 && strings.HasSuffix(digits, "0000000"):
		return "", false, bad("gtin_rounded")
	case n >= 9 && n <= 11:
		digits, repaired = strings.Repeat("0", 14-n)+digits, true
	case n != 8 && (n < 12 || n > 14):
		return "", false, bad("gtin_length", strconv.Itoa(n))
	}
	g, err := gs1.ParseGTINLenient(digits)
	if err != nil {
		if repaired {
			return "", false, bad("gtin_length", strconv.Itoa(len(strings.TrimLeft(digits, "0"))))
		}
		digit := gs1.CheckDigit(digits[:len(digits)-1])
		return "", false, bad("gtin_check_digit", string(digit))
	}
	return g, repaired, nil
}

var grouped = regexp.MustCompile(`^[0-9]{1,3}(?:[,'\x{00A0} ][0-9]{3})+$`)

// whole reads a whole number that is not negative.
func whole(c sheet.Cell) (int64, *wrong) {
	s, w := amount(c)
	if w != nil {
		return 0, w
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, bad("whole_number")
	}
	return n, nil
}

var plain = regexp.MustCompile(`^[0-9]{1,15}(?:\.[0-9]{1,6})?$`)

// amount reads a decimal that is not negative: 1200, 1,200, 0.75.
func amount(c sheet.Cell) (string, *wrong) {
	if w := broken(c); w != nil {
		return "", w
	}
	s := width.Narrow.String(c.Text)
	switch {
	case c.Kind == sheet.Number:
		s = decimal(c.Text)
	case c.Kind != sheet.Text:
		return "", bad("number")
	case grouped.MatchString(s):
		s = strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
	}
	if !plain.MatchString(s) {
		return "", bad("number")
	}
	return s, nil
}

// Dates as people and programs write them. The day must exist, so 2025-02-30 is refused rather than read as 2 March.
var (
	dateForm = regexp.MustCompile(`^([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|\.([0-9]{1,2})\.([0-9]{1,2})|([0-9]{2})([0-9]{2})|年([0-9]{1,2})月([0-9]{1,2})日)$`)
	timeForm = regexp.MustCompile(`^([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?|[时点]([0-9]{1,2})分(?:([0-9]{1,2})秒)?)$`)
	zoneForm = regexp.MustCompile(`(?:Z|[+-][0-9]{2}:?[0-9]{2})$`)
)

// The serials that are taken for dates where a cell has no format of one: from 1990 to 2099.
const firstSerial, lastSerial = 32874, 73050

// dateText gives a cell that is about a date as people write one. Serials become dates.
func dateText(c sheet.Cell, date1904 bool) (string, *wrong) {
	if w := broken(c); w != nil {
		return "", w
	}
	s := sheet.Trim(width.Narrow.String(c.Text))
	switch c.Kind {
	case sheet.Bool:
		return "", bad("date")
	case sheet.Number, sheet.Text:
		if c.Kind == sheet.Number {
			s = decimal(s)
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f >= 1e7 || c.Kind == sheet.Text && strings.ContainsAny(s, "eExX") {
			return s, nil
		}
		shown := f
		if date1904 {
			shown += 1462
		}
		t, ok := sheet.SerialTime(f, date1904)
		if !ok || shown < firstSerial || shown > lastSerial {
			return "", bad("date")
		}
		if s = t.Format("2006-01-02T15:04:05"); strings.HasSuffix(s, "T00:00:00") {
			s = s[:10]
		}
	}
	return s, nil
}

// day reads a date as YYYY-MM-DD. A time of day behind it must be midnight, as programs write that export dates as times.
func day(c sheet.Cell, date1904 bool) (string, *wrong) {
	s, w := dateText(c, date1904)
	if w != nil {
		return "", w
	}
	date, rest := cutDate(s)
	if rest != "" {
		if t, ok := clockOf(rest); !ok || t != 0 {
			return "", bad("date")
		}
	}
	return parseDay(date)
}

// cutDate parts a date from what follows it.
func cutDate(s string) (date, rest string) {
	i := strings.IndexAny(s, "T \t")
	if j := strings.Index(s, "日"); j >= 0 && (i < 0 || j < i) {
		i = j + len("日")
	}
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(strings.TrimPrefix(s[i:], "T"))
}

func parseDay(s string) (string, *wrong) {
	m := dateForm.FindStringSubmatch(s)
	if m == nil {
		return "", bad("date")
	}
	parts := make([]int, 0, 3)
	for _, group := range m[1:] {
		if group != "" {
			n, err := strconv.Atoi(group)
			if err != nil {
				return "", bad("date")
			}
			parts = append(parts, n)
		}
	}
	t := time.Date(parts[0], time.Month(parts[1]), parts[2], 0, 0, 0, 0, time.UTC)
	if t.Year() != parts[0] || int(t.Month()) != parts[1] || t.Day() != parts[2] {
		return "", bad("date_missing")
	}
	if parts[0] < 1970 || parts[0] > 2199 {
		return "", bad("date_range")
	}
	return t.Format(time.DateOnly), nil
}

// clockOf reads a time of day.
func clockOf(s string) (time.Duration, bool) {
	m := timeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	var parts [3]int
	for i, groups := range [3][]string{{m[1]}, {m[2], m[5]}, {m[3], m[6]}} {
		for _, g := range groups {
			if g != "" {
				n, err := strconv.Atoi(g)
				if err != nil {
					return 0, false
				}
				parts[i] = n
			}
		}
	}
	if parts[0] > 23 || parts[1] > 59 || parts[2] > 59 {
		return 0, false
	}
	d := time.Duration(parts[0])*time.Hour + time.Duration(parts[1])*time.Minute + time.Duration(parts[2])*time.Second
	if m[4] != "" {
		fraction, err := strconv.ParseFloat("0"+m[4], 64)
		if err != nil {
			return 0, false
		}
		d += time.Duration(fraction * float64(time.Second)).Truncate(time.Millisecond)
	}
	return d, true
}

// defaultZone is the time that counts in China, which has had no summer time since 1991.
const defaultZone = "+08:00"

// instant reads a time of an event: a date, a time of day, and an offset behind it or in a cell of its own, else that of Beijing. It gives the
// time as EPCIS writes it, and the offset.
func instant(c, zone sheet.Cell, date1904 bool) (at, offset string, w *wrong) {
	s, w := dateText(c, date1904)
	if w != nil {
		return "", "", w
	}
	offset = defaultZone
	if zone.Kind != sheet.Empty {
		if offset, w = zoneOf(zone); w != nil {
			return "", "", w
		}
	}
	date, rest := cutDate(s)
	if i := zoneForm.FindStringIndex(rest); i != nil {
		own, wrong := zoneOf(sheet.Cell{Kind: sheet.Text, Text: rest[i[0]:]})
		if wrong != nil {
			return "", "", wrong
		}
		if zone.Kind != sheet.Empty && own != offset {
			return "", "", bad("zone_differs")
		}
		offset, rest = own, strings.TrimSpace(rest[:i[0]])
	}
	date, w = parseDay(date)
	if w != nil {
		return "", "", w
	}
	if rest == "" && c.Kind != sheet.Date && !strings.Contains(s, "T") {
		return "", "", bad("time_missing")
	}
	if rest == "" {
		rest = "0:00"
	}
	d, ok := clockOf(rest)
	if !ok {
		return "", "", bad("time")
	}
	return date + "T" + time.Time{}.Add(d).Format("15:04:05.000") + offset, offset, nil
}

// zoneOf reads an offset from UTC, or a name of the few zones that have had one offset for long.
func zoneOf(c sheet.Cell) (string, *wrong) {
	s, w := prose(c)
	if w != nil {
		return "", w
	}
	switch strings.ToLower(s) {
	case "z", "utc", "gmt":
		return "+00:00", nil
	case "asia/shanghai", "北京时间", "中国标准时间", "cst", "china", "asia/hong_kong", "prc":
		return defaultZone, nil
	case "asia/tokyo", "asia/seoul":
		return "+09:00", nil
	}
	s = strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(s), "UTC"), "GMT")
	for _, layout := range [...]string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, s); err == nil {
			_, seconds := t.Zone()
			if seconds < -14*3600 || seconds > 14*3600 {
				break
			}
			return t.Format("-07:00"), nil
		}
	}
	return "", bad("zone")
}

// clip cuts a value for a report to 120 characters.
func clip(s string) string {
	n := 0
	for i := range s {
		if n++; n > 120 {
			return s[:i] + "…"
		}
	}
	return s
}
