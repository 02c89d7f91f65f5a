package warning

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
)

func TestNormalized(t *testing.T) {
	t.Parallel()
	c := sampleContent()
	c.Title[lang.En] = "  Cronobacter  "
	c.Summary = lang.Text{lang.En: "   "}
	ean := string(gtin(1))[1:]
	c.Scope.Clauses[0].GTINs = []string{ean, string(gtin(1)), ean[:1] + " " + ean[1:7] + " " + ean[7:]}
	c.Scope.Clauses[0].Lots = []string{" L1 ", "L1", "批次 3"}
	got, err := c.Normalized("")
	if err != nil {
		t.Fatal(err)
	}
	if got.Title[lang.En] != "Cronobacter" || got.Summary != nil {
		t.Errorf("%q, %v", got.Title[lang.En], got.Summary)
	}
	cl := got.Scope.Clauses[0]
	if !slices.Equal(cl.GTINs, []string{string(gtin(1))}) || !slices.Equal(cl.Lots, []string{"L1", "批次 3"}) {
		t.Errorf("%+v", cl)
	}
	if c.Scope.Clauses[0].GTINs[0] != ean || c.Title[lang.En] != "  Cronobacter  " {
		t.Error("the caller's content was changed")
	}
	again, err := got.Normalized("")
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("not idempotent: %+v, %v", again, err)
	}
}

func TestBrokenRules(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(c *Content)
		want  string // pointer and code
	}{
		{"no level", func(c *Content) { c.Level = "" }, "/level required"},
		{"unknown level", func(c *Content) { c.Level = "purple" }, "/level unknown_code"},
		{"unknown hazard", func(c *Content) { c.Hazard = "magic" }, "/hazard unknown_code"},
		{"unknown category", func(c *Content) { c.Category = "sand" }, "/category unknown_code"},
		{"unknown regime", func(c *Content) { c.Regime = "x" }, "/regime unknown_code"},
		{"no English advice", func(c *Content) { delete(c.Advice, lang.En) }, "/advice/en required"},
		{"no Chinese title", func(c *Content) { c.Title[lang.ZhHans] = " " }, "/title/zh-Hans required"},
		{"another language", func(c *Content) { c.Title["fr/ca"] = "Rappel" }, "/title/fr~1ca unknown_language"},
		{"title too long", func(c *Content) { c.Title[lang.ZhHans] = strings.Repeat("险", MaxTitle+1) }, "/title/zh-Hans too_long"},
		{"short text over one SMS", func(c *Content) { c.ShortText = lang.ZhEn(strings.Repeat("险", 71), "") }, "/short_text/zh-Hans too_long"},
		{"control character", func(c *Content) { c.Advice[lang.En] = "a\x00b" }, "/advice/en characters"},
		{"reversed writing", func(c *Content) { c.Title[lang.En] = "a\u202eb" }, "/title/en characters"},
		{"broken UTF-8", func(c *Content) { c.LegalBasis = "a\xff" }, "/legal_basis characters"},
		{"two lines", func(c *Content) { c.DocumentNo = "琼市监〔2026〕\n1号" }, "/document_no characters"},
		{"no clause", func(c *Content) { c.Scope.Clauses = nil }, "/scope/clauses required"},
		{"everything", func(c *Content) { c.Scope.Clauses[0].GTINs = nil }, "/scope/clauses/0/gtins required"},
		{"check digit", func(c *Content) { c.Scope.Clauses[0].GTINs = []string{string(gtin(1)), "06900000000015"} },
			"/scope/clauses/0/gtins/1 gtin_check_digit"},
		{"empty lot", func(c *Content) { c.Scope.Clauses[0].Lots = []string{"L1", " - "} }, "/scope/clauses/0/lots/1 required"},
		{"lot too long", func(c *Content) { c.Scope.Clauses[0].Lots = []string{strings.Repeat("1", MaxLotText+1)} }, "/scope/clauses/0/lots/0 too_long"},
		{"half a serial range", func(c *Content) { c.Scope.Clauses[0].SerialFrom = "1" }, "/scope/clauses/0/serial_to required"},
		{"serial characters", func(c *Content) { c.Scope.Clauses[0].SerialFrom, c.Scope.Clauses[0].SerialTo = "1 2", "13" },
			"/scope/clauses/0/serial_from serial_characters"},
		{"serials backwards", func(c *Content) { c.Scope.Clauses[0].SerialFrom, c.Scope.Clauses[0].SerialTo = "10", "9" },
			"/scope/clauses/0/serial_to range"},
		{"serials of two lengths", func(c *Content) { c.Scope.Clauses[0].SerialFrom, c.Scope.Clauses[0].SerialTo = "A1", "A10" },
			"/scope/clauses/0/serial_to range"},
		{"no such day", func(c *Content) { c.Scope.Clauses[0].ProducedFrom = "2026-02-30" }, "/scope/clauses/0/produced_from date"},
		{"days backwards", func(c *Content) {
			c.Scope.Clauses[0].ProducedFrom, c.Scope.Clauses[0].ProducedTo = "2026-02-02", "2026-02-01"
		},
			"/scope/clauses/0/produced_to range"},
		{"too many clauses", func(c *Content) { c.Scope.Clauses = slices.Repeat(c.Scope.Clauses, MaxClauses+1) }, "/scope/clauses too_many"},
		{"too many lots", func(c *Content) { c.Scope.Clauses[0].Lots = make([]string, MaxLots+1) }, "/scope/clauses too_many"},
		{"too many products", func(c *Content) { c.Scope.Clauses[0].GTINs = make([]string, MaxGTINs+1) }, "/scope/clauses too_many"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := sampleContent()
			tc.spoil(&c)
			_, err := c.Normalized("/content")
			f := wantFault(t, err, fault.Invalid, "invalid")
			if got := f.Fields[0].Pointer + " " + f.Fields[0].Code; len(f.Fields) != 1 || got != "/content"+tc.want {
				t.Fatalf("%+v, want %s", f.Fields, tc.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	base := sampleContent()
	for _, tc := range []struct {
		change func(c *Content)
		want   Delta
	}{
		{func(*Content) {}, Delta{}},
		{func(c *Content) { c.Level = Red }, Delta{Raised: true}},
		{func(c *Content) { c.Level = Blue }, Delta{Lowered: true}},
		{func(c *Content) { c.Recall = true }, Delta{Raised: true}},
		{func(c *Content) { c.Scope.Clauses[0].Lots = nil }, Delta{Scope: true}},
		{func(c *Content) { c.Advice = lang.ZhEn("停用", "Stop") }, Delta{Text: true}},
		{func(c *Content) { c.Level, c.Hazard = Orange, "chemical" }, Delta{Raised: true, Text: true}},
	} {
		c := sampleContent()
		tc.change(&c)
		if got := Compare(&base, &c); got != tc.want || got.Any() != (tc.want != Delta{}) {
			t.Errorf("%+v, want %+v", got, tc.want)
		}
	}
}

// Every code is unique and has a name in both languages.
func TestVocabularies(t *testing.T) {
	t.Parallel()
	for name, terms := range map[string][]Term{"levels": Levels, "regimes": Regimes, "hazards": Hazards, "categories": Categories} {
		seen := map[string]bool{}
		for _, term := range terms {
			if seen[term.Code] || term.Name[lang.ZhHans] == "" || term.Name[lang.En] == "" {
				t.Errorf("%s: %+v", name, term)
			}
			seen[term.Code] = true
		}
	}
	for i, l := range Levels {
		if r := Level(l.Code).Rank(); r != 4-i {
			t.Errorf("%s has rank %d", l.Code, r)
		}
	}
	if HazardName("fire")[lang.En] != "Fire" || CategoryName("watch")[lang.ZhHans] != "手表" || HazardName("x") != nil {
		t.Error(fmt.Sprint(HazardName("fire"), CategoryName("watch"), HazardName("x")))
	}
}

// A content at every bound at once still fits into one document of the store.
func TestTheLargestWarningFits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := sampleContent()
	full := func(n int) lang.Text { return lang.ZhEn(strings.Repeat("险", n), strings.Repeat("é", n)) }
	c.Title, c.Advice, c.Summary, c.ShortText, c.Issuer = full(MaxTitle), full(MaxAdvice), full(MaxSummary), full(MaxShortText), full(MaxIssuer)
	cl := &c.Scope.Clauses[0]
	cl.GTINs, cl.Lots = nil, nil
	for i := range MaxGTINs {
		cl.GTINs = append(cl.GTINs, string(gtin(i)))
	}
	for i := range MaxLots {
		cl.Lots = append(cl.Lots, fmt.Sprintf("%s%04d", strings.Repeat("批", MaxLotText-4), i))
	}
	m := b.mustPublish(t, c)
	got := b.Matcher().Match(nil, Subject{GTIN: gtin(7), Lot: cl.Lots[99]})
	if len(got) != 1 || got[0].Warning.No != m.No || !got[0].Certain {
		t.Fatalf("%d matches", len(got))
	}
	if p, err := b.List(t.Context(), Filter{GTIN: string(gtin(9))}, "", 1); err != nil || len(p.Items) != 1 {
		t.Fatal(len(p.Items), err)
	}
}
