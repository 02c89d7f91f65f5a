package gs1

import (
	"slices"
	"strings"
	"testing"
)

// hostile are inputs of the greatest length that parsers read, made to trigger the most work.
var hostile = []struct{ in, acceptedBy string }{
	{"/01/06901234567892/10/" + strings.Repeat("%41", 670), ""},
	{"/01/06901234567892" + strings.Repeat("/10/a", 400), ""},
	{"https://a" + strings.Repeat("/10/a", 400), "epc"},
	{"https://a/01/06901234567892" + strings.Repeat("/10/a", 400), "epc"},
	{"https://a/01/06901234567892?" + strings.Repeat("90=a&", 400), "epc"},
	{"https://a/01/06901234567892?" + strings.Repeat("&", 2000), "link epc scanned"},
	{"https://a/01/06901234567892?90=" + strings.Repeat("%2B", 600), "epc"},
	{"urn:epc:id:sgtin:" + strings.Repeat("1.", 1000), ""},
	{"urn:epc:id:giai:0614141." + strings.Repeat("%2F", 600), ""},
	{"urn:epc:idpat:sgtin:" + strings.Repeat("*", 1000) + ".*", ""},
	{"(01)06901234567892" + strings.Repeat("(90)", 500), ""},
	{strings.Repeat("(", 2000), ""},
	{"]d2" + strings.Repeat("90a^", 500), ""},
	{"]d2" + strings.Repeat("^", 2000), ""},
	{strings.Repeat("6 ", 1000), ""},
	{strings.Repeat("（", 600), ""},
}

// Errors carry no more of a hostile input than a person would read.
func TestHostileInputIsRefusedBriefly(t *testing.T) {
	t.Parallel()
	parsers := map[string]func(string) error{
		"path":    func(s string) error { _, err := ParsePath(s); return err },
		"link":    func(s string) error { _, err := ParseDigitalLink(s, Lenient); return err },
		"epc":     func(s string) error { _, err := ParseEPC(s); return err },
		"scanned": func(s string) error { _, err := ParseScanned(s); return err },
		"gtin":    func(s string) error { _, err := ParseGTINLenient(s); return err },
	}
	for _, h := range hostile {
		s := h.in
		if len(s) > maxInput {
			t.Errorf("%.30q… is cut off by its length, not examined", s)
		}
		for name, parse := range parsers {
			err := parse(s)
			if accepted := slices.Contains(strings.Fields(h.acceptedBy), name); accepted != (err == nil) {
				t.Errorf("%s, %.40q…: %v, accepted should be %t", name, s, err, accepted)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("%s: %d bytes of error for %.40q…", name, len(err.Error()), s)
			}
		}
	}
}

// BenchmarkHostile reads all of them, about 30 kB, once with each parser.
func BenchmarkHostile(b *testing.B) {
	for b.Loop() {
		for _, h := range hostile {
			_, pathErr := ParsePath(h.in)
			_, linkErr := ParseDigitalLink(h.in, Lenient)
			_, epcErr := ParseEPC(h.in)
			_, scanErr := ParseScanned(h.in)
			sink = [...]error{pathErr, linkErr, epcErr, scanErr}
		}
	}
}
