package firm_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

func setup(t *testing.T) *firm.Service {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	s, err := firm.Open(t.Context(), eng, time.Now)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOwnsAndNamed(t *testing.T) {
	t.Parallel()
	f := firm.Firm{Prefixes: []string{"4012345"}, Grants: []string{"0614141"}, GLNs: []string{"6901234000009"}}
	for digits, want := range map[string]bool{"4012345011122": true, "0614141077777": true, "4012346": false, "401234": false, "": false} {
		if got := f.Owns(digits); got != want {
			t.Errorf("Owns(%q) = %t", digits, got)
		}
	}
	for uri, want := range map[string]bool{
		"urn:epc:id:pgln:4012345.00000":        true,
		"urn:epc:id:sgln:4012345.00001.0":      true,
		"https://id.gs1.org/417/6901234000009": true,
		"https://id.gs1.org/414/6901234000009": true,
		"https://id.gs1.org/417/6901234000016": false,
		"urn:epc:id:pgln:0614141.00000":        false, // a grant is for products
		"https://example.com/parties/4012345":  false,
		"not a URI":                            false,
		"":                                     false,
	} {
		if got := f.Named(uri); got != want {
			t.Errorf("Named(%q) = %t", uri, got)
		}
	}
	if (firm.Firm{Prefixes: []string{""}}).Owns("4012345") {
		t.Error("an empty prefix owns everything")
	}
}

func TestFirmsAndPlaces(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	f := firm.Firm{ID: "maker", Name: lang.ZhEn("酒厂", "Distillery"), Kind: firm.Producer, Prefixes: []string{"4012345"}}
	must(t, s.Put(ctx, f))
	must(t, s.Put(ctx, f))
	must(t, s.Grant(ctx, "maker", "0614141", "0614141"))
	got, err := s.Get(ctx, "maker")
	must(t, err)
	if len(got.Grants) != 1 || got.Name[lang.En] != "Distillery" {
		t.Fatalf("%+v", got)
	}
	if _, err := s.Get(ctx, "nobody"); fault.CodeOf(err) != "firm_not_found" {
		t.Errorf("unknown: %v", err)
	}
	if err := s.Grant(ctx, "nobody", "0614141"); fault.CodeOf(err) != "firm_not_found" {
		t.Errorf("grant to an unknown firm: %v", err)
	}
	err = s.Put(ctx, firm.Firm{ID: "A", Kind: "x", GLNs: []string{"6901234000008"}, Prefixes: []string{"12"}})
	for _, pointer := range []string{"/id", "/name", "/kind", "/glns/0", "/prefixes/0"} {
		if err == nil || !strings.Contains(err.Error(), pointer) {
			t.Errorf("%s is not in %v", pointer, err)
		}
	}
	must(t, s.PutPlace(ctx, firm.Place{URI: "urn:epc:id:sgln:4012345.00001.0", Name: lang.ZhEn("厂", "Plant"), Kind: "plant", Firm: "maker"}))
	places, err := s.Places(ctx, []string{"https://id.gs1.org/414/4012345000016", "https://id.gs1.org/414/4012345000023"})
	must(t, err)
	if len(places) != 1 {
		t.Fatalf("%v", places)
	}
}

func wantField(t *testing.T, err error, pointer, code string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Invalid || !slices.ContainsFunc(f.Fields, func(x fault.Field) bool { return x.Pointer == pointer && x.Code == code }) {
		t.Errorf("error %v, want %s at %s", err, code, pointer)
	}
}

func TestCrossBorderFirmsNameAgentAndPlatform(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	name := lang.ZhEn("公司", "Firm")
	agent := firm.Firm{ID: "agent", Name: name, Kind: firm.Agent, Country: "CN"}
	platform := firm.Firm{ID: "platform", Name: name, Kind: firm.Platform, Country: "CN"}
	must(t, s.Put(ctx, agent))
	must(t, s.Put(ctx, platform))
	must(t, s.Put(ctx, firm.Firm{ID: "agent-abroad", Name: name, Kind: firm.Agent, Country: "HK"}))
	seller := firm.Firm{ID: "seller", Name: name, Kind: firm.CrossEcom, Country: "KR", Agent: "agent", Platform: "platform"}
	for _, c := range []struct {
		change        func(f *firm.Firm)
		pointer, code string
	}{
		{func(f *firm.Firm) { f.Agent = "" }, "/agent", "required"},
		{func(f *firm.Firm) { f.Platform = "" }, "/platform", "required"},
		{func(f *firm.Firm) { f.Country, f.Agent = "HK", "" }, "/agent", "required"},
		{func(f *firm.Firm) { f.Country = "" }, "/country", "required"},
		{func(f *firm.Firm) { f.Country = "Korea" }, "/country", "country"},
		{func(f *firm.Firm) { f.Agent = "nobody" }, "/agent", "firm_kind"},
		{func(f *firm.Firm) { f.Agent = "platform" }, "/agent", "firm_kind"},
		{func(f *firm.Firm) { f.Agent = "seller" }, "/agent", "firm_kind"},
		{func(f *firm.Firm) { f.Agent = "agent-abroad" }, "/agent", "firm_kind"},
		{func(f *firm.Firm) { f.Platform = "agent" }, "/platform", "firm_kind"},
		{func(f *firm.Firm) { f.Kind = firm.Importer }, "/agent", "exclusive"},
		{func(f *firm.Firm) { f.Kind = firm.Importer }, "/platform", "exclusive"},
	} {
		f := seller
		c.change(&f)
		wantField(t, s.Put(ctx, f), c.pointer, c.code)
	}
	must(t, s.Put(ctx, seller))
	must(t, s.Put(ctx, firm.Firm{ID: "at-home", Name: name, Kind: firm.CrossEcom, Country: "CN"}))

	// Whoever others rest on stays what it is; everything else about it may change.
	for _, f := range []firm.Firm{agent, platform} {
		f.Kind = firm.Importer
		if err := s.Put(ctx, f); fault.CodeOf(err) != "firm_in_use" {
			t.Errorf("%s: %v", f.ID, err)
		}
	}
	moved := agent
	moved.Country = "HK"
	if err := s.Put(ctx, moved); fault.CodeOf(err) != "firm_in_use" {
		t.Error(err)
	}
	agent.Name = lang.ZhEn("新名", "New name")
	must(t, s.Put(ctx, agent))
	seller.Country, seller.Agent, seller.Platform = "CN", "", ""
	must(t, s.Put(ctx, seller))
	must(t, s.Put(ctx, moved))
}

func TestList(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx := t.Context()
	var all, makers []string
	for i := range 23 {
		f := firm.Firm{ID: fmt.Sprintf("f%02d", i), Name: lang.ZhEn("公司", "Firm"), Kind: firm.Importer}
		if i%3 == 0 {
			f.Kind = firm.Producer
			makers = append(makers, f.ID)
		}
		all = append(all, f.ID)
		must(t, s.Put(ctx, f))
	}
	for kind, want := range map[string][]string{"": all, firm.Producer: makers, firm.Carrier: nil} {
		var got []string
		for cursor := ""; ; {
			page, next, err := s.List(ctx, kind, cursor, 5)
			must(t, err)
			for _, f := range page {
				got = append(got, f.ID)
			}
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", kind, got, want)
		}
	}
	_, _, err := s.List(ctx, "guild", "", 5)
	wantField(t, err, "/kind", "firm_kind")
	if _, _, err := s.List(ctx, "", "!", 5); fault.CodeOf(err) != "bad_cursor" {
		t.Error(err)
	}
}

// A mark changes with the firm, and not with the time at which the same was said again.
func TestMarks(t *testing.T) {
	t.Parallel()
	s := setup(t)
	f := firm.Firm{ID: "haikou-df", Name: lang.ZhEn("海口免税", "Haikou DF"), Kind: firm.DutyFree, Prefixes: []string{"690123456"}}
	mark := func() string {
		t.Helper()
		must(t, s.Put(t.Context(), f))
		m, err := s.Mark(t.Context(), f.ID)
		must(t, err)
		return m
	}
	first := mark()
	before, err := s.Get(t.Context(), f.ID)
	must(t, err)
	again := mark()
	after, err := s.Get(t.Context(), f.ID)
	must(t, err)
	if again != first || after.Updated.Equal(before.Updated) {
		t.Errorf("the same firm, written at %v and %v, has the marks %s and %s", before.Updated, after.Updated, first, again)
	}
	f.Prefixes = append(f.Prefixes, "690123457")
	if mark() == first {
		t.Error("a changed firm has the same mark")
	}
	_, err = s.Mark(t.Context(), "nobody")
	if fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}
