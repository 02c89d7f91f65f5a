package gs1

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
)

const tin = GTIN("06901234567892")

// code is the stable code of an error, "" for none. Every error must be a *fault.Error of kind Malformed.
func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Malformed || e.Detail == "" {
		t.Errorf("%v is not a Malformed fault with a reason", err)
		return "?"
	}
	return e.Code
}

func TestCheckDigit(t *testing.T) {
	t.Parallel()
	for digits, want := range map[string]byte{
		"0690123456789":     '2', // GTIN-14
		"629104150021":      '3', // the example of the GS1 General Specifications
		"37610425002123456": '9', // SSCC, likewise
		"9638507":           '4', // EAN-8
		"00000000":          '0',
		"":                  '0',
		"12a":               0,
		"１２":                0,
	} {
		if got := CheckDigit(digits); got != want {
			t.Errorf("CheckDigit(%q) is %q, want %q", digits, got, want)
		}
	}
}

func TestGTIN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in            string
		strict        string // code
		lenient, want string // code, number
	}{
		{"06901234567892", "", "", "06901234567892"},
		{"6901234567892", "gtin_length", "", "06901234567892"},
		{"6 901234 567892", "gtin_length", "", "06901234567892"},
		{"690-1234-5678-92", "gtin_length", "", "06901234567892"},
		{"６９０１２３４５６７８９２", "gtin_length", "", "06901234567892"},
		{"036000291452", "gtin_length", "", "00036000291452"},
		{"96385074", "gtin_length", "", "00000096385074"},
		{"06901234567893", "gtin_check_digit", "gtin_check_digit", ""},
		{"6901234567829", "gtin_length", "gtin_check_digit", ""}, // two digits swapped
		{"0690123456789O", "gtin_digits", "gtin_digits", ""},
		{"690123456789", "gtin_length", "gtin_check_digit", ""},
		{"1234567890", "gtin_length", "gtin_length", ""},
		{"00000000000000", "gtin_zero", "gtin_zero", ""},
		{"", "gtin_length", "gtin_digits", ""},
		{strings.Repeat("0", 3000), "gtin_length", "code_too_long", ""},
	} {
		g, err := ParseGTIN(c.in)
		if got := code(t, err); got != c.strict || (err == nil && string(g) != c.in) {
			t.Errorf("ParseGTIN(%.20q): %q %q, want %q", c.in, g, got, c.strict)
		}
		g, err = ParseGTINLenient(c.in)
		if got := code(t, err); got != c.lenient || string(g) != c.want {
			t.Errorf("ParseGTINLenient(%.20q): %q %q, want %q %q", c.in, g, got, c.want, c.lenient)
		}
	}
	if got := tin.CompanyDigits(); got != "690123456789" {
		t.Errorf("company digits %s", got)
	}
	if got := GTIN("").CompanyDigits(); got != "" {
		t.Errorf("company digits of nothing: %s", got)
	}
}

func TestRefPrintsCanonically(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ref   Ref
		level string
		path  string
		epc   string
	}{
		{Ref{GTIN: tin}, "product", "/01/06901234567892", "/01/06901234567892"},
		{Ref{GTIN: tin, Lot: "L2026A"}, "lot", "/01/06901234567892/10/L2026A", "/01/06901234567892/10/L2026A"},
		{Ref{GTIN: tin, Serial: "abc"}, "unit", "/01/06901234567892/21/abc", "/01/06901234567892/21/abc"},
		{Ref{tin, "L/1", "a+b"}, "unit", "/01/06901234567892/10/L%2F1/21/a%2Bb", "/01/06901234567892/21/a%2Bb"},
		{Ref{GTIN: tin, Lot: `!"%&'()*+,-./`}, "lot", "/01/06901234567892/10/%21%22%25%26'%28%29%2A%2B%2C-.%2F",
			"/01/06901234567892/10/%21%22%25%26'%28%29%2A%2B%2C-.%2F"},
		{Ref{GTIN: tin, Lot: `:;<=>?_`}, "lot", "/01/06901234567892/10/%3A;%3C=%3E%3F_", "/01/06901234567892/10/%3A;%3C=%3E%3F_"},
	} {
		if got := c.ref.Path(); got != c.path {
			t.Errorf("path %s, want %s", got, c.path)
		}
		if got := c.ref.Level().String(); got != c.level {
			t.Errorf("%s: level %s, want %s", c.path, got, c.level)
		}
		if got, want := c.ref.URI(), "https://id.gs1.org"+c.path; got != want {
			t.Errorf("URI %s, want %s", got, want)
		}
		if got, want := c.ref.Link("https://haisu.example/"), "https://haisu.example"+c.path; got != want {
			t.Errorf("link %s, want %s", got, want)
		}
		if got := c.ref.EPC().String(); got != "https://id.gs1.org"+c.epc {
			t.Errorf("EPC %s, want %s", got, c.epc)
		}
		if back, err := ParsePath(c.path); err != nil || back != c.ref {
			t.Errorf("%s reads back as %+v, %v", c.path, back, err)
		}
		if err := c.ref.Valid(); err != nil {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	for want, ref := range map[string]Ref{
		"gtin_length":       {},
		"gtin_check_digit":  {GTIN: "06901234567890"},
		"lot_length":        {GTIN: tin, Lot: strings.Repeat("x", 21)},
		"lot_characters":    {GTIN: tin, Lot: "批1"},
		"serial_characters": {GTIN: tin, Serial: "a b"},
	} {
		if got := code(t, ref.Valid()); got != want {
			t.Errorf("%+v: %q, want %q", ref, got, want)
		}
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	const p = "/01/06901234567892"
	for _, c := range []struct {
		path string
		want Ref
		code string
	}{
		{p, Ref{GTIN: tin}, ""},
		{p + "/", Ref{GTIN: tin}, ""},
		{p + "/10/L1/21/s1/", Ref{tin, "L1", "s1"}, ""},
		{p + "/22/2A/10/L1/21/s1", Ref{tin, "L1", "s1"}, ""},
		{p + "/22/2A", Ref{GTIN: tin}, ""},
		{p + "/10/a%2fb/21/%41", Ref{tin, "a/b", "A"}, ""},
		{p + "/10/10/21/21", Ref{tin, "10", "21"}, ""},
		{p + "/10/a+b", Ref{GTIN: tin, Lot: "a+b"}, ""},
		{"/01/6901234567892/21/x", Ref{GTIN: tin, Serial: "x"}, ""},
		{"/01/036000291452", Ref{GTIN: "00036000291452"}, ""},
		{"/01/96385074", Ref{GTIN: "00000096385074"}, ""},
		{"/01/%30%36901234567892", Ref{GTIN: tin}, ""},
		{"", Ref{}, "path_syntax"},
		{"/", Ref{}, "path_syntax"},
		{"/gtin/06901234567892", Ref{}, "path_syntax"},
		{"/01/", Ref{}, "gtin_digits"},
		{"/01//10/L", Ref{}, "gtin_digits"},
		{"/01/12345", Ref{}, "gtin_length"},
		{"/01/06901234567891", Ref{}, "gtin_check_digit"},
		{p + "//", Ref{}, "path_syntax"},
		{p + "/10", Ref{}, "lot_length"},
		{p + "/10/", Ref{}, "lot_length"},
		{p + "/21//10/x", Ref{}, "serial_length"},
		{p + "/21/s/10/L", Ref{}, "path_syntax"},
		{p + "/10/L/10/L", Ref{}, "path_syntax"},
		{p + "/99/x", Ref{}, "path_syntax"},
		{p + "/235/x", Ref{}, "path_syntax"},
		{p + "/22/" + strings.Repeat("v", 21), Ref{}, "variant_length"},
		{p + "/10/a%2", Ref{}, "path_escape"},
		{p + "/10/a%zz", Ref{}, "path_escape"},
		{p + "/10/a%00", Ref{}, "path_escape"},
		{p + "/10/a%20b", Ref{}, "lot_characters"},
		{p + "/10/a?b=c#d", Ref{}, "lot_characters"},
		{p + "/21/" + strings.Repeat("9", 21), Ref{}, "serial_length"},
		{p + "/21/" + strings.Repeat("%41", 20), Ref{GTIN: tin, Serial: strings.Repeat("A", 20)}, ""},
		{p + "/10/" + strings.Repeat("/", 3000), Ref{}, "code_too_long"},
	} {
		got, err := ParsePath(c.path)
		if got != c.want || code(t, err) != c.code {
			t.Errorf("ParsePath(%.60q): %+v %v, want %+v %s", c.path, got, err, c.want, c.code)
		}
	}
}

func TestParsePathDoesNotAllocate(t *testing.T) { //nolint:paralleltest // AllocsPerRun refuses to run in parallel
	for _, path := range []string{"/01/06901234567892", "/01/06901234567892/10/L2026A/21/abcdefgh12345678/", "/01/06901234567892/22/2A/21/x"} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := ParsePath(path); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func TestDigitalLink(t *testing.T) {
	t.Parallel()
	link, err := ParseDigitalLink("HTTPS://Brand.example/x/y/01/06901234567892/22/2A/10/L%2F1/21/s?17=261231&lang=zh&3103=000195#top")
	if err != nil {
		t.Fatal(err)
	}
	if ref, ok := link.Ref(); !ok || ref != (Ref{tin, "L/1", "s"}) {
		t.Errorf("ref %+v %t", ref, ok)
	}
	if link.Stem != "HTTPS://Brand.example/x/y" {
		t.Errorf("stem %s", link.Stem)
	}
	if got := link.URI(); got != "https://id.gs1.org/01/06901234567892/22/2A/10/L%2F1/21/s?17=261231&3103=000195" {
		t.Errorf("canonical %s", got)
	}
	if got := link.EPC().String(); got != "https://id.gs1.org/01/06901234567892/21/s" {
		t.Errorf("EPC %s", got)
	}
	if got := link.ElementString(); got != "^0106901234567892222A^10L/1^21s^172612313103000195" {
		t.Errorf("elements %s", got)
	}
	if sscc, err := ParseDigitalLink("https://a/00/006141411234567890"); err != nil {
		t.Error(err)
	} else if _, ok := sscc.Ref(); ok {
		t.Error("an SSCC is no product")
	}
	if (Link{}).Key() != (Element{}) || (Link{}).Qualifiers() != nil || (Link{}).ElementString() != "" {
		t.Error("the zero Link has elements")
	}
	for _, c := range []struct {
		uri   string
		allow Leniency
		code  string
	}{
		{"https://a/gtin/06901234567892/lot/x/ser/y", ShortNames, ""},
		{"https://a/gtin/06901234567892", 0, "link_no_key"},
		{"https://a/01/06901234567892/", TrailingSlash, ""},
		{"https://a/01/06901234567892/", 0, "link_no_key"},
		{"https://a/01/6901234567892", Lenient, ""},
		{"https://a/01/6901234567892", 0, "gtin_length"},
		{"https://a/01/690123456789", Lenient, "gtin_check_digit"},
		{"https://a/01/06901234567892?8888=x", UnknownAIs, ""},
		{"https://a/01/06901234567892?8888=x", 0, "link_attribute"},
		{"https://a/01/06901234567892?88888=x", UnknownAIs, "link_attribute"},
		{"https://a/01/06901234567892?011=x", UnknownAIs, "link_attribute"},
		{"https://a/01/06901234567892?8888=", UnknownAIs, "element_value"},
		{"https://a/01/06901234567892?17=261231&17=261231", 0, "link_attribute"},
		{"https://a/01/06901234567892?01=06901234567892", 0, "link_attribute"},
		{"https://a/01/06901234567892?21=x", 0, "link_attribute"},
		{"https://a/01/06901234567892/10/x?22=y", 0, "link_attribute"},
		{"https://a/01/06901234567892/21/x/10/y", 0, "link_qualifiers"},
		{"https://a/01/06901234567892/235/x/10/y", 0, "link_qualifiers"},
		{"https://a/01/06901234567892?17=261332", 0, "element_value"},
		{"https://a/01/06901234567892?17=260200", 0, ""},
		{"https://a/01/06901234567892?17=260230", 0, "element_value"},
		{"https://a/01/06901234567892?7003=2602281260", 0, "element_value"},
		{"https://a/01/06901234567892?7003=2602281259", 0, ""},
		{"https://a/01/06901234567892?240=a%20b", 0, "element_value"},
		{"https://a/01/06901234567892?240=a+b", 0, "element_value"},
		{"https://a/01/06901234567892?240=a%2Bb", 0, ""},
		{"https://a/01/06901234567892?240=a%2", 0, "link_escape"},
		{"https://a/414/9520123456788/254/x", 0, ""},
		{"https://a/414/9520123456787", 0, "element_check_digit"},
		{"https://a/8003/09520123456788ABC", 0, ""},
		{"https://a/8003/19520123456788ABC", 0, "element_value"},
		{"https://a/8006/069012345678920102/21/x", 0, ""},
		{"https://a/8006/069012345678920302", 0, "element_value"},
		{"https://a/8010/9520A-/8011/12", 0, ""},
		{"https://a/8010/9520a", 0, "element_value"},
		{"https://a/8010/952A", 0, "element_value"},
		{"https://a/8013/1987654Ad4X4bL5ttr2310c2K", 0, ""},
		{"https://a/8013/1987654Ad4X4bL5ttr2310cXK", 0, "element_value"},
		{"https://a/8018/952012345678901234", 0, "element_check_digit"},
		{"https://a/401/123", 0, "element_value"},
		{"https://a/255/9520123456788123", 0, ""},
		{"https://a/255/9520123456788x", 0, "element_value"},
		{"https://a/01/06901234567892?8030=A_b-", 0, ""},
		{"ftp://a/01/06901234567892", Lenient, "link_syntax"},
		{"https://user@a/01/06901234567892", Lenient, "link_syntax"},
		{"https://a/01/0690 1234567892", Lenient, "link_syntax"},
		{"https://a/01/06901234567892/10/批", Lenient, "link_syntax"},
		{"https://a" + strings.Repeat("/10/a", 400) + "?", Lenient, "link_no_key"},
		{"https://a/01/06901234567892?" + strings.Repeat("90=a&", 300), Lenient, "link_syntax"},
		{"https://a/" + strings.Repeat("x", 2100), Lenient, "code_too_long"},
	} {
		if _, err := ParseDigitalLink(c.uri, c.allow); code(t, err) != c.code {
			t.Errorf("%.70s (%b): %v, want %q", c.uri, c.allow, err, c.code)
		}
	}
}

func TestEPC(t *testing.T) {
	t.Parallel()
	const base = "https://id.gs1.org"
	for _, c := range []struct {
		in, want string // want without base when it starts with a slash
		kind     Kind
		company  string
		ref      Ref
	}{
		{"urn:epc:id:sgtin:0614141.107346.2018", "/01/10614141073464/21/2018", Instance, "061414107346", Ref{GTIN: "10614141073464", Serial: "2018"}},
		{"urn:epc:id:sgtin:690123.0456789.a%2Fb", "/01/06901234567892/21/a%2Fb", Instance, "690123456789", Ref{GTIN: tin, Serial: "a/b"}},
		{"urn:epc:id:sgtin:690123456789.0.a.b", "/01/06901234567892/21/a.b", Instance, "690123456789", Ref{GTIN: tin, Serial: "a.b"}},
		{"URN:EPC:id:sgtin:6901234.056789.A", "/01/06901234567892/21/A", Instance, "690123456789", Ref{GTIN: tin, Serial: "A"}},
		{"urn:epc:class:lgtin:6901234.056789.L(1)", "/01/06901234567892/10/L%281%29", Class, "690123456789", Ref{GTIN: tin, Lot: "L(1)"}},
		{"urn:epc:idpat:sgtin:6901234.056789.*", "/01/06901234567892", Class, "690123456789", Ref{GTIN: tin}},
		{"urn:epc:id:sscc:0614141.1234567890", "/00/106141412345678908", Instance, "0614141234567890", Ref{}},
		{"urn:epc:id:sgln:0614141.07346.1234", "/414/0614141073467/254/1234", Instance, "061414107346", Ref{}},
		{"urn:epc:id:sgln:0614141.07346.0", "/414/0614141073467", Instance, "061414107346", Ref{}},
		{"urn:epc:id:sgln:061414107346..0", "/414/0614141073467", Instance, "061414107346", Ref{}},
		{"https://x.example/414/0614141073467/254/0", "/414/0614141073467", Instance, "061414107346", Ref{}},
		{"urn:epc:id:pgln:0614141.07346", "/417/0614141073467", Instance, "061414107346", Ref{}},
		{"urn:epc:id:grai:0614141.07346.A1", "/8003/00614141073467A1", Instance, "061414107346", Ref{}},
		{"urn:epc:idpat:grai:0614141.07346.*", "/8003/00614141073467", Class, "061414107346", Ref{}},
		{"urn:epc:id:giai:0614141.12%2F34", "/8004/061414112%2F34", Instance, "061414112", Ref{}},
		{"urn:epc:id:gsrn:0614141.1234567890", "/8018/061414112345678902", Instance, "06141411234567890", Ref{}},
		{"urn:epc:id:gsrnp:0614141.1234567890", "/8017/061414112345678902", Instance, "06141411234567890", Ref{}},
		{"urn:epc:id:gdti:0614141.07346.D9", "/253/0614141073467D9", Instance, "061414107346", Ref{}},
		{"urn:epc:idpat:gdti:0614141.07346.*", "/253/0614141073467", Class, "061414107346", Ref{}},
		{"urn:epc:id:sgcn:0614141.07346.9", "/255/06141410734679", Instance, "061414107346", Ref{}},
		{"urn:epc:id:cpi:0614141.5A-1.7", "/8010/06141415A-1/8011/7", Instance, "06141415", Ref{}},
		{"urn:epc:idpat:cpi:0614141.5A-1.*", "/8010/06141415A-1", Class, "06141415", Ref{}},
		{"urn:epc:id:itip:6901234.056789.01.02.s", "/8006/069012345678920102/21/s", Instance, "690123456789", Ref{}},
		{"urn:epc:idpat:itip:6901234.056789.01.02.*", "/8006/069012345678920102", Class, "690123456789", Ref{}},
		{"urn:epc:id:upui:6901234.056789.x", "/01/06901234567892/235/x", Instance, "690123456789", Ref{}},
		{"urn:epc:id:ginc:0614141.xyz", "/401/0614141xyz", Instance, "0614141", Ref{}},
		{"urn:epc:id:gsin:0614141.123456789", "/402/06141411234567890", Instance, "0614141123456789", Ref{}},
		{"http://shop.example/p/gtin/6901234567892/lot/L/ser/S?x=1", "/01/06901234567892/21/S", Instance, "690123456789", Ref{GTIN: tin, Serial: "S"}},
		{"https://id.gs1.org/01/06901234567892/22/V", "/01/06901234567892", Class, "690123456789", Ref{GTIN: tin}},
		{"https://id.gs1.org/8013/1987654Ad4X4bL5ttr2310c2K", "/8013/1987654Ad4X4bL5ttr2310c2K", Class, "1987654", Ref{}},
		{"urn:uuid:aaaaaaaa-0000-4000-8000-000000000000", "urn:uuid:aaaaaaaa-0000-4000-8000-000000000000", Opaque, "", Ref{}},
		{"urn:epc:id:bic:CSQU3054383", "urn:epc:id:bic:CSQU3054383", Opaque, "", Ref{}},
		{"https://brand.example/serials/42", "https://brand.example/serials/42", Opaque, "", Ref{}},
		{"https://brand.example/01/page", "https://brand.example/01/page", Opaque, "", Ref{}},
		{"https://例.example/件/1", "https://例.example/件/1", Opaque, "", Ref{}},
		{"ni:///sha-256;00?ver=CBV2.0", "ni:///sha-256;00?ver=CBV2.0", Opaque, "", Ref{}},
	} {
		e, err := ParseEPC(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if c.want[0] == '/' {
			c.want = base + c.want
		}
		if e.String() != c.want || e.Kind() != c.kind {
			t.Errorf("%s: %s (%s), want %s (%s)", c.in, e, e.Kind(), c.want, c.kind)
		}
		if company, ok := e.CompanyDigits(); company != c.company || ok != (c.kind != Opaque) {
			t.Errorf("%s: company digits %q %t, want %q", c.in, company, ok, c.company)
		}
		if ref, ok := e.Ref(); ref != c.ref || ok != (c.ref.GTIN != "") {
			t.Errorf("%s: ref %+v %t, want %+v", c.in, ref, ok, c.ref)
		}
		if again, err := ParseEPC(e.String()); err != nil || again != e {
			t.Errorf("%s reads back as %v, %v", e, again, err)
		}
	}
}

func TestEPCRefusals(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                      "epc_syntax",
		"4711":                                  "epc_syntax",
		"4711:x":                                "epc_syntax",
		"urn:":                                  "epc_syntax",
		"/01/06901234567892":                    "epc_syntax",
		"http://a b":                            "epc_syntax",
		"http://a\nb":                           "epc_syntax",
		"http://a/\xff":                         "epc_syntax",
		"urn:epc:id:sgtin:6901234.056789":       "epc_syntax",
		"urn:epc:id:sgtin:6901234.056789.":      "epc_syntax",
		"urn:epc:id:sgtin:6901234.056789.a/b":   "epc_syntax",
		"urn:epc:id:sgtin:6901234.056789.a%20b": "element_value",
		"urn:epc:id:sgtin:6901234.056789.a%2":   "epc_syntax",
		"urn:epc:id:sgtin:6901234.05678.1":      "epc_prefix",
		"urn:epc:id:sgtin:69012.34056789.1":     "epc_prefix",
		"urn:epc:id:sgtin:6901234567892..1":     "epc_prefix",
		"urn:epc:id:sgtin:69O1234.056789.1":     "epc_prefix",
		"urn:epc:id:sgtin:6901234.O56789.1":     "epc_prefix",
		"urn:epc:id:sgtin:6901234.056789." + longSerial:  "element_value",
		"urn:epc:id:sscc:0614141.123456789":              "epc_prefix",
		"urn:epc:id:cpi:0614141.5a.7":                    "epc_syntax",
		"urn:epc:id:cpi:0614141.5A.07":                   "element_value",
		"urn:epc:id:itip:6901234.056789.1.2.s":           "epc_syntax",
		"urn:epc:id:itip:6901234.056789.03.02.s":         "element_value",
		"urn:epc:id:itip:6901234.056789.01":              "epc_syntax",
		"urn:epc:id:giai:0614141.":                       "epc_syntax",
		"urn:epc:id:lgtin:6901234.056789.L":              "epc_scheme",
		"urn:epc:class:sgtin:6901234.056789.L":           "epc_scheme",
		"urn:epc:id:nonsense:1":                          "epc_scheme",
		"urn:epc:idpat:sgtin:6901234.*.*":                "epc_pattern",
		"urn:epc:idpat:sgtin:6901234.056789.7":           "epc_pattern",
		"urn:epc:idpat:sscc:0614141.*":                   "epc_pattern",
		"https://shop.example/01/06901234567891":         "gtin_check_digit",
		"https://shop.example/414/0614141073460":         "element_check_digit",
		"https://id.gs1.org/01/123":                      "gtin_length",
		"https://id.gs1.org/about":                       "link_no_key",
		"urn:epc:id:sgtin:" + strings.Repeat("1.", 1100): "code_too_long",
	} {
		if e, err := ParseEPC(in); code(t, err) != want || e != (EPC{}) {
			t.Errorf("%.60q: %v %v, want %s", in, e, err, want)
		}
	}
}

const longSerial = "123456789012345678901"

func TestParseScanned(t *testing.T) {
	t.Parallel()
	unit := Ref{tin, "L2026A", "abc"}
	for _, c := range []struct {
		in   string
		want Scanned
		code string
	}{
		{"6901234567892", Scanned{Ref: Ref{GTIN: tin}}, ""},
		{" 6 901234-567892\n", Scanned{Ref: Ref{GTIN: tin}}, ""},
		{"]E06901234567892", Scanned{Ref: Ref{GTIN: tin}}, ""},
		{"96385074", Scanned{Ref: Ref{GTIN: "00000096385074"}}, ""},
		{"04252614", Scanned{Ref: Ref{GTIN: "00042100005264"}}, ""}, // UPC-E
		{"06901234567892", Scanned{Ref: Ref{GTIN: tin}}, ""},
		{"https://shop.example/01/6901234567892/10/L2026A/21/abc/?17=261231&utm=x", Scanned{Ref: unit, Expiry: Date{26, 12, 31}}, ""},
		{"]Q1https://shop.example/01/6901234567892/10/L2026A/21/abc", Scanned{Ref: unit}, ""},
		{"/01/06901234567892/10/L2026A/21/abc?x=1", Scanned{Ref: unit}, ""},
		{"(01)06901234567892(10)L2026A(21)abc", Scanned{Ref: unit}, ""},
		{"（01）06901234567892（10）L2026A（21）abc", Scanned{Ref: unit}, ""},
		{"(01) 0 6901234 567892 (10) L2026A (21) abc", Scanned{Ref: unit}, ""},
		{"(01)06901234567892(10)A(1)(17)260200", Scanned{Ref: Ref{GTIN: tin, Lot: "A(1)"}, Expiry: Date{26, 2, 0}}, ""},
		{"]d2010690123456789210L2026A\x1d21abc", Scanned{Ref: unit}, ""},
		{"]Q3010690123456789210L2026A\x1d21abc", Scanned{Ref: unit}, ""},
		{"\x1d010690123456789210L2026A\x1d21abc\x1d", Scanned{Ref: unit}, ""},
		{"010690123456789210L2026A^21abc", Scanned{Ref: unit}, ""},
		{"0106901234567892112601021526010313260104172601052" + "1abc",
			Scanned{Ref{GTIN: tin, Serial: "abc"}, Date{26, 1, 2}, Date{26, 1, 4}, Date{26, 1, 3}, Date{26, 1, 5}}, ""},
		{"0106901234567892" + "10L2026A21abc", Scanned{Ref: Ref{GTIN: tin, Lot: "L2026A21abc"}}, ""},
		{"]d217261231010690123456789221abc", Scanned{Ref: Ref{GTIN: tin, Serial: "abc"}, Expiry: Date{26, 12, 31}}, ""},
		{"(01)06901234567892(3103)000195(01)06901234567892", Scanned{Ref: Ref{GTIN: tin}}, ""},
		{"(8006)069012345678920102(21)abc", Scanned{Ref: Ref{GTIN: tin, Serial: "abc"}}, ""},
		{"", Scanned{}, "scan_unknown"},
		{"HAINAN-DUTYFREE-0001", Scanned{}, "scan_unknown"},
		{"(hello)", Scanned{}, "scan_unknown"},
		{"123456", Scanned{}, "gtin_length"},
		{"6901234567891", Scanned{}, "gtin_check_digit"},
		{"04252615", Scanned{}, "gtin_check_digit"},
		{"(00)006141411234567890", Scanned{}, "scan_no_product"},
		{"https://a/00/006141411234567890", Scanned{}, "scan_no_product"},
		{"https://shop.example/offers", Scanned{}, "link_no_key"},
		{"(01)06901234567891", Scanned{}, "gtin_check_digit"},
		{"(01)06901234567892(10)", Scanned{}, "element_value"},
		{"(01)06901234567892(21)a(21)b", Scanned{}, "element_twice"},
		{"]d2", Scanned{}, "element_syntax"},
		{"]d2XX", Scanned{}, "element_unknown"},
		{"]d20106901234567892" + "0500", Scanned{}, "element_unknown"},
		{"]d20106901234", Scanned{}, "gtin_length"},
		{"(01)06901234567892" + strings.Repeat("(90)a", 100), Scanned{}, "element_syntax"},
		{"]d2" + strings.Repeat("90a^", 100), Scanned{}, "element_syntax"},
		{strings.Repeat("(", 3000), Scanned{}, "code_too_long"},
	} {
		got, err := ParseScanned(c.in)
		if got != c.want || code(t, err) != c.code {
			t.Errorf("%.60q: %+v %v, want %+v %s", c.in, got, err, c.want, c.code)
		}
	}
}

func TestDateIn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 23, 0, 0, 0, time.UTC)
	for want, d := range map[string]Date{
		"2026-12-31": {26, 12, 31},
		"2026-02-28": {26, 2, 0},
		"2028-02-29": {28, 2, 0},
		"2076-01-01": {76, 1, 1},
		"1977-01-01": {77, 1, 1},
		"2000-02-29": {0, 2, 29},
	} {
		if got := d.In(now).Format(time.DateOnly); got != want {
			t.Errorf("%+v is %s, want %s", d, got, want)
		}
	}
	if got := (Date{5, 3, 1}).In(now.AddDate(64, 0, 0)).Format(time.DateOnly); got != "2105-03-01" {
		t.Errorf("in 2090, year 05 is %s", got)
	}
	if !(Date{}).In(now).IsZero() || !(Date{}).IsZero() || (Date{26, 1, 0}).IsZero() {
		t.Error("only the zero date is no date")
	}
}

func TestFoldLot(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"L2026A":             "L2026A",
		" l2o26-a ":          "L2026A",
		"Ｌ２０２６／Ａ":            "L2026A",
		"L_20.26·A":          "L2026A",
		"L2O26—Ａ　":           "L2026A",
		"I1":                 "I1", // I and 1 stay apart
		"批2026":              "批2026",
		"-- /":               "",
		"":                   "",
		"\xffa\u200bb\ufffd": "AB",
	} {
		if got := FoldLot(in); got != want {
			t.Errorf("FoldLot(%q) is %q, want %q", in, got, want)
		}
	}
	if got := FoldLot(strings.Repeat("a", 5000)); len(got) != maxInput {
		t.Errorf("folded %d bytes of a long input", len(got))
	}
}

// Each AI has one format, no AI begins with another, and predefined lengths are fixed: element strings depend on it.
func TestAITable(t *testing.T) {
	t.Parallel()
	for id, parts := range aiFormats {
		if !allDigits(id) || len(id) < 2 || len(id) > 4 || len(parts) == 0 {
			t.Errorf("(%s) is no AI with a format", id)
		}
		for size := 2; size < len(id); size++ {
			if _, clash := aiFormats[id[:size]]; clash {
				t.Errorf("(%s) begins with another AI", id)
			}
		}
		for i, p := range parts {
			fixed := p.min == p.max && !p.optional
			if i < len(parts)-1 && !fixed {
				t.Errorf("(%s): part %d must have a fixed length", id, i)
			}
			if predefinedLength(id) && !fixed {
				t.Errorf("(%s) needs no FNC1 but has no fixed length", id)
			}
		}
	}
	total := 0
	for _, r := range aiRanges {
		for id := r.first; ; id = nextAI(id) {
			total++
			if id == r.last {
				break
			}
		}
	}
	if total != len(aiFormats) {
		t.Errorf("%d AIs listed, %d distinct", total, len(aiFormats))
	}
}
