package gs1

import (
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Scanned is what a code on a package says.
type Scanned struct {
	Ref        Ref
	Production Date // (11)
	Packaging  Date // (13)
	BestBefore Date // (15)
	Expiry     Date // (17)
}

// Date is a date of a package as GS1 writes it: two digits of the year, and day 0 when only the month is printed. The zero
// value means that the code gives none.
type Date struct {
	YY, Month, Day int
}

// IsZero says that there is no date.
func (d Date) IsZero() bool { return d.Month == 0 }

// In is the day as midnight UTC: the century is the one that puts the year from 49 years before to 50 years after now's (GS1
// General Specifications, section 7.12), and day 0 is the last of the month. It is the zero time when d is zero.
func (d Date) In(now time.Time) time.Time {
	if d.IsZero() {
		return time.Time{}
	}
	current := now.UTC().Year()
	year := current - current%100 + d.YY
	switch diff := d.YY - current%100; {
	case diff >= 51:
		year -= 100
	case diff <= -50:
		year += 100
	}
	day := d.Day
	if last := daysIn(year, d.Month); day == 0 || day > last {
		day = last
	}
	return time.Date(year, time.Month(d.Month), day, 0, 0, 0, 0, time.UTC)
}

// ParseScanned reads whatever a camera or a keyboard gives for a product's code: a Digital Link (or its path alone), an EAN-8,
// EAN-13, UPC-A, UPC-E or GTIN-14, or a GS1 element string with parentheses, with FNC1 (as ASCII 29, ^, or a symbology identifier such as
// ]d2 or ]Q3 in front), or neither.
//
// The code is scan_unknown when the text is none of these (it may be another scheme's code), scan_no_product when it is a
// GS1 code that names no product; else it is of what is wrong in the text.
func ParseScanned(code string) (Scanned, error) {
	if len(code) > maxInput {
		return Scanned{}, errTooLong("code")
	}
	code = strings.TrimSpace(toASCIIWidth(code))
	element, code := cutSymbology(code)
	if _, web := cutScheme(code); web {
		return scannedLink(code)
	}
	if rest, _, _ := strings.Cut(code, "?"); strings.HasPrefix(rest, "/01/") {
		ref, err := ParsePath(rest)
		return Scanned{Ref: ref}, err
	}
	if !element {
		if number := dropGroups(code); allDigits(number) && len(number) <= 14 {
			g, err := parseRetail(number)
			return Scanned{Ref: Ref{GTIN: g}}, err
		}
	}
	if element || looksLikeElements(code) {
		elements, err := ParseElementString(code)
		if err != nil {
			return Scanned{}, err
		}
		return scannedElements(elements)
	}
	return Scanned{}, fault.New(fault.Malformed, "scan_unknown", "this is neither a product number (EAN, UPC, GTIN) nor a GS1 code nor a GS1 link")
}

// cutSymbology drops an AIM symbology identifier (ISO/IEC 15424), "]" and two characters, and says whether it announces a GS1
// element string.
func cutSymbology(code string) (element bool, rest string) {
	if len(code) < 3 || code[0] != ']' {
		return false, code
	}
	switch code[:3] {
	case "]C1", "]e0", "]e1", "]e2", "]d2", "]Q3", "]J1":
		return true, code[3:]
	}
	return false, code[3:]
}

func scannedLink(uri string) (Scanned, error) {
	link, err := ParseDigitalLink(uri, Lenient)
	if err != nil {
		return Scanned{}, err
	}
	return scannedElements(append(link.Path, link.Attributes...))
}

// parseRetail reads the digits of a retail barcode. Eight digits that fail as EAN-8 may be a UPC-E.
func parseRetail(number string) (GTIN, error) {
	g, err := padGTIN(number)
	if err != nil && len(number) == 8 && number[0] <= '1' {
		if wide, wideErr := padGTIN(expandUPCE(number)); wideErr == nil {
			return wide, nil
		}
	}
	return g, err
}

// expandUPCE gives the UPC-A that eight digits of a UPC-E stand for (GS1 General Specifications, section 5.2.1.3.4).
func expandUPCE(s string) string {
	system, d, check := s[:1], s[1:7], s[7:]
	switch d[5] {
	case '0', '1', '2':
		return system + d[:2] + d[5:] + "0000" + d[2:5] + check
	case '3':
		return system + d[:3] + "00000" + d[3:5] + check
	case '4':
		return system + d[:4] + "00000" + d[4:5] + check
	}
	return system + d[:5] + "0000" + d[5:] + check
}

// scannedElements picks product, lot, serial and dates.
func scannedElements(elements []Element) (Scanned, error) {
	var s Scanned
	for _, e := range elements {
		switch e.AI {
		case "01":
			s.Ref.GTIN = GTIN(e.Value)
		case "8006": // a piece of a trade item; the GTIN is that of the whole
			s.Ref.GTIN = GTIN(e.Value[:14])
		case "10":
			s.Ref.Lot = e.Value
		case "21":
			s.Ref.Serial = e.Value
		case "11":
			s.Production = readDate(e.Value)
		case "13":
			s.Packaging = readDate(e.Value)
		case "15":
			s.BestBefore = readDate(e.Value)
		case "17":
			s.Expiry = readDate(e.Value)
		}
	}
	if s.Ref.GTIN == "" {
		return Scanned{}, fault.New(fault.Malformed, "scan_no_product",
			"this GS1 code names no product; it may be that of a parcel, a place or a document: look for another code on the package")
	}
	return s, nil
}

// readDate reads a YYMMDD that has been checked.
func readDate(s string) Date { return Date{twoDigits(s), twoDigits(s[2:]), twoDigits(s[4:])} }
