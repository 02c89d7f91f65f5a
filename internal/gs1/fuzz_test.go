package gs1

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// seedLinks adds the URIs of the reference cases, where they are beside the project.
func seedLinks(f *testing.F, add func(uri string)) {
	f.Helper()
	text, err := os.ReadFile("../../../shared/data/digital-link/parse.json")
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var cases []struct {
		URI string `json:"uri"`
	}
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range cases {
		add(c.URI)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"/01/06901234567892", "/01/6901234567892/10/L%2f1/21/a%2Bb/", "/01/06901234567892/22/2A/10/L2026A/21/abcdefgh12345678",
		"/01/96385074/21/..", "/01/06901234567892/10/%", "/01/%30/10//21/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		ref, err := ParsePath(path)
		if err != nil {
			code(t, err)
			if ref != (Ref{}) {
				t.Fatalf("%q: %+v with error %v", path, ref, err)
			}
			return
		}
		if err := ref.Valid(); err != nil {
			t.Fatalf("%q gives %+v, which is invalid: %v", path, ref, err)
		}
		if back, err := ParsePath(ref.Path()); err != nil || back != ref {
			t.Fatalf("%q: %+v prints %s, which reads %+v, %v", path, ref, ref.Path(), back, err)
		}
	})
}

// What Ref.Path prints, ParsePath, ParseDigitalLink and ParseScanned read back equal.
func FuzzRefPath(f *testing.F) {
	f.Add("0690123456789", "L2026A", "abcdefgh12345678")
	f.Add("9999999999999", `!"%&'()*+,-./:;<=>?_`, "%2F")
	f.Fuzz(func(t *testing.T, body, lot, serial string) {
		if len(body) != 13 || !allDigits(body) {
			t.Skip()
		}
		ref := Ref{GTIN(body + string(rune(CheckDigit(body)))), lot, serial}
		if ref.Valid() != nil {
			t.Skip()
		}
		if back, err := ParsePath(ref.Path()); err != nil || back != ref {
			t.Fatalf("path %s reads %+v, %v", ref.Path(), back, err)
		}
		link, err := ParseDigitalLink(ref.URI())
		if back, ok := link.Ref(); err != nil || !ok || back != ref || link.URI() != ref.URI() {
			t.Fatalf("link %s reads %+v, %v", ref.URI(), back, err)
		}
		if s, err := ParseScanned(ref.Link("https://haisu.example")); err != nil || s.Ref != ref {
			t.Fatalf("scan of %s reads %+v, %v", ref.URI(), s, err)
		}
		if e, err := ParseEPC(ref.URI()); err != nil || e != ref.EPC() {
			t.Fatalf("EPC of %s is %v, want %v (%v)", ref.URI(), e, ref.EPC(), err)
		}
	})
}

func FuzzParseDigitalLink(f *testing.F) {
	for _, s := range []string{
		"https://id.gs1.org/01/06901234567892/22/2A/10/L%2F1/21/s?17=261231&lang=zh&3103=000195#top",
		"https://a/8004/9520614141234567?01=2112345678900", "https://a/gtin/6901234567892/lot/x/", "http://a/253/1231231231232TEST",
		"https://a/8006/069012345678920102/21/x?8888=y", "https://a/414/9520123456788/254/0",
	} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(Lenient))
	}
	seedLinks(f, func(uri string) { f.Add(uri, uint8(Lenient)) })
	f.Fuzz(func(t *testing.T, uri string, allow uint8) {
		link, err := ParseDigitalLink(uri, Leniency(allow))
		if err != nil {
			code(t, err)
			return
		}
		again, err := ParseDigitalLink(link.URI(), Leniency(allow)&UnknownAIs)
		if err != nil || again.URI() != link.URI() || again.ElementString() != link.ElementString() {
			t.Fatalf("%q prints %s, which reads %+v, %v", uri, link.URI(), again, err)
		}
		if !strings.HasPrefix(link.ElementString(), "^"+link.Key().AI+link.Key().Value) {
			t.Fatalf("%q: element string %s", uri, link.ElementString())
		}
		if e, err := ParseEPC(link.EPC().String()); err != nil || e != link.EPC() {
			t.Fatalf("%q: EPC %s reads %v, %v", uri, link.EPC(), e, err)
		}
	})
}

func FuzzParseEPC(f *testing.F) {
	for _, s := range []string{
		"urn:epc:id:sgtin:0614141.812345.6789%2F%26%25%22!%3F()", "urn:epc:class:lgtin:4012345.012345.Lot987",
		"urn:epc:idpat:sgtin:4012345.066666.*", "urn:epc:id:sscc:4012345.3111111111", "urn:epc:id:sgln:4012345.00005.0",
		"urn:epc:id:grai:4012345.00022.334455", "urn:epc:id:giai:4012345.ABC345", "urn:epc:id:gdti:987659999999..9",
		"urn:epc:id:cpi:0614141.11111111111111-A%23%2F.1234", "urn:epc:id:itip:4012345.011111.01.02.987",
		"urn:epc:id:upui:1234567.098765.51qIgY)%3C%26Jp3*j7'SDB", "urn:epc:id:pgln:999999999999.",
		"https://example.com/gtin/09780345418913/21/765tz?abc=211121", "urn:uuid:1", "https://例.example/件",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEPC(s)
		if err != nil {
			code(t, err)
			if e != (EPC{}) {
				t.Fatalf("%q: %v with error %v", s, e, err)
			}
			return
		}
		if again, err := ParseEPC(e.String()); err != nil || again != e {
			t.Fatalf("%q is printed as %q, which reads %v, %v", s, e, again, err)
		}
		ref, ok := e.Ref()
		if ok && ref.EPC() != e {
			t.Fatalf("%q: ref %+v is EPC %v, not %v", s, ref, ref.EPC(), e)
		}
		if company, ok := e.CompanyDigits(); ok != (e.Kind() != Opaque) || (ok && len(company) < 4) {
			t.Fatalf("%q: company digits %q, %t", s, company, ok)
		}
	})
}

func FuzzParseScanned(f *testing.F) {
	for _, s := range []string{
		"6901234567892", "04252614", "(01)06901234567892(10)A(1)(17)260200", "]d2010690123456789210L2026A\x1d21abc",
		"（01）06901234567892（10）L", "https://a/01/06901234567892/10/L?17=261231", "/01/06901234567892/21/x", "]Q3^01", "(01)((10))",
		"(8006)069012345678920102",
	} {
		f.Add(s)
	}
	seedLinks(f, func(uri string) { f.Add(uri) })
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseScanned(s)
		if err != nil {
			code(t, err)
			if got != (Scanned{}) {
				t.Fatalf("%q: %+v with error %v", s, got, err)
			}
			return
		}
		if err := got.Ref.Valid(); err != nil {
			t.Fatalf("%q gives %+v: %v", s, got, err)
		}
		for _, d := range []Date{got.Production, got.Packaging, got.BestBefore, got.Expiry} {
			if d != (Date{}) && (d.IsZero() || d.Month > 12 || d.Day > 31) {
				t.Fatalf("%q gives the date %+v", s, d)
			}
		}
	})
}

func FuzzFoldLot(f *testing.F) {
	f.Add("L２０２6-o/Ａ")
	f.Add("ŉǆß\xff")
	f.Fuzz(func(t *testing.T, s string) {
		once := FoldLot(s)
		if twice := FoldLot(once); len(once) < maxInput-8 && twice != once {
			t.Fatalf("%q folds to %q and that to %q", s, once, twice)
		}
		if strings.ContainsAny(once, " -/_.oO") {
			t.Fatalf("%q folds to %q", s, once)
		}
	})
}
