package sheet

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The serials that are read as dates: from 1 March 1900, before which Excel counts a day that was not, to the end of 9999.
const minSerial, maxSerial = 61, 2958466

// SerialTime gives the day and time of a serial number (ECMA-376, part 1, 18.17.4), rounded to seconds, as a time in UTC that stands for
// one of no zone.
func SerialTime(serial float64, date1904 bool) (time.Time, bool) {
	if date1904 {
		serial += 1462
	}
	if math.IsNaN(serial) || serial < minSerial || serial >= maxSerial {
		return time.Time{}, false
	}
	day := math.Floor(serial)
	seconds := math.Round((serial - day) * 86400)
	return time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(day)).Add(time.Duration(seconds) * time.Second), true
}

// dateText is the text of a Date cell; false when the number is no date.
func dateText(number string, date1904 bool) (string, bool) {
	serial, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return "", false
	}
	t, ok := SerialTime(serial, date1904)
	switch {
	case !ok:
		return "", false
	case t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0:
		return t.Format(time.DateOnly), true
	}
	return t.Format("2006-01-02T15:04:05"), true
}

// builtinDate says which of the built-in number formats show a date (ECMA-376, part 1, 18.8.30, with those of Chinese and Japanese
// Excel); those that show a time alone are none.
func builtinDate(id int) bool {
	return id >= 14 && id <= 17 || id == 22 || id >= 27 && id <= 31 || id == 36 || id >= 50 && id <= 54 || id == 57 || id == 58
}

// showsDate says whether a number format of the file's own shows a date: it has a year or a day outside of literal text.
func showsDate(format string) bool {
	format, _, _ = strings.Cut(format, ";")
	for i := 0; i < len(format); i++ {
		switch c := format[i]; c {
		case '"':
			end := strings.IndexByte(format[i+1:], '"')
			if end < 0 {
				return false
			}
			i += end + 1
		case '\\', '_', '*':
			i++
		case '[':
			end := strings.IndexByte(format[i:], ']')
			if end < 0 {
				return false
			}
			i += end
		case 'y', 'Y', 'd', 'D', 'e':
			return !strings.EqualFold(format, "general")
		}
	}
	return false
}
