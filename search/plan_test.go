package search_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/search"
)

func TestPlanReadsText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]search.Plan{
		"嬰兒奶粉": {
			Units: []string{"婴", "儿", "奶", "粉"}, Need: 3, Pairs: []string{"婴儿", "儿奶", "奶粉"}, Codes: []string{"婴儿奶粉"},
		},
		"香水":       {Units: []string{"香", "水"}, Need: 2, Pairs: []string{"香水"}, Codes: []string{"香水"}},
		"Perfumes": {Units: []string{"perfume"}, Need: 1, Codes: []string{"perfumes"}, Prefix: true},
		"perfume ": {Units: []string{"perfume"}, Need: 1, Codes: []string{"perfume"}},
		"SK-II 神仙水": {
			Units: []string{"sk", "ii", "神", "仙", "水"}, Need: 3, Pairs: []string{"神仙", "仙水"}, Codes: []string{"skii神仙水", "skii", "神仙水"},
		},
		"the recall of toys": {Units: []string{"recall", "toy"}, Need: 1, Codes: []string{"therecalloftoys", "the", "recall", "of", "toys"}, Prefix: true},
		"the":                {Units: []string{"the"}, Need: 1, Codes: []string{"the"}, Prefix: true},
		"条码06901234567892": {
			Units: []string{"条", "码", "6901234567892"}, Need: 2, Pairs: []string{"条码"}, Codes: []string{"条码06901234567892", "6901234567892"}, Prefix: true,
		},
		"水水水": {Units: []string{"水"}, Need: 1, Pairs: []string{"水水"}, Codes: []string{"水水水"}},
		"?!*": {Nothing: true, Newest: true},
		" 　":  {Newest: true},
	} {
		got, err := search.NewPlan(search.Query{Text: text})
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		want.Limit = search.DefaultLimit
		if len(got.Codes) == 0 {
			got.Codes = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
}

func TestPlanBoundsWork(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for r := rune(0x4E00); long.Len() < 3*search.MaxQuery; r++ {
		long.WriteRune(r)
	}
	p, err := search.NewPlan(search.Query{Text: long.String()})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Units) > search.MaxUnits || len(p.Codes) > search.MaxUnits || len(p.Pairs) > search.MaxUnits || p.Need > len(p.Units) {
		t.Errorf("%d units, %d codes, %d pairs, need %d", len(p.Units), len(p.Codes), len(p.Pairs), p.Need)
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 3, 1, 8, 0, 0, 123456789, time.FixedZone("CST", 8*3600))
	got, err := search.Prepare(search.Document{
		ID: "w1", Kind: "warning", Title: map[string]string{"zh-Hant": "嬰兒奶粉", "en": "Infant's milks"}, Text: map[string]string{"en": "EN71-3, boxes"},
		Keywords: []string{"06901234567892", "L-1", "l 1", "!"}, Facets: map[string][]string{"level": {"RED", "red"}, "category": {" 乳製品 "}},
		Time: at, Version: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := search.Prepared{
		ID: "w1", Kind: "warning", Title: []string{"infant", "milk", "婴", "儿", "奶", "粉"}, TitlePairs: []string{"婴儿", "儿奶", "奶粉"},
		Body:  []string{"en71", "3", "box", "6901234567892", "l", "1", "l", "1"},
		Codes: []string{"6901234567892", "l1"}, Facets: []string{"category=乳制品", "level=red"},
		Time: at.UnixMilli(), Rank: got.Rank, Version: 4,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("prepared\n%+v, want\n%+v", got, want)
	}
	if got.Rank < 0 || got.Rank >= 1<<48 {
		t.Errorf("rank %d is not of 48 bits", got.Rank)
	}
}

func TestPrepareBatchKeepsTheHighestVersion(t *testing.T) {
	t.Parallel()
	d := func(v int64, kind string) search.Document { return search.Document{ID: "a", Kind: kind, Version: v} }
	ps, err := search.PrepareBatch([]search.Document{d(2, "old"), d(5, "equal"), d(5, "kept"), d(3, "late")})
	if err != nil || len(ps) != 1 || ps[0].Kind != "kept" {
		t.Errorf("%+v, %v", ps, err)
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("香水 perfume", "", "level", "red")
	f.Add("\x00", "bjoxOjI6Mw", "a", "\"")
	f.Add("title:*", "cjoxMDoyMA", "", "")
	f.Fuzz(func(t *testing.T, text, cursor, name, value string) {
		for _, sort := range []search.Order{search.Relevance, search.Newest} {
			p, err := search.NewPlan(search.Query{Text: text, Cursor: cursor, Sort: sort, Facets: map[string][]string{name: {value}}})
			if err != nil {
				if k := fault.KindOf(err); k != fault.Invalid && k != fault.Malformed {
					t.Errorf("%q %q: %v", text, cursor, err)
				}
				continue
			}
			if p.Need > len(p.Units) || len(p.Units) > 0 && p.Need < 1 || p.Offset+p.Limit > search.MaxWindow || p.Limit < 1 {
				t.Errorf("%q %q: %+v", text, cursor, p)
			}
			if slices.Contains(p.Units, "") || slices.ContainsFunc(p.Units, func(u string) bool { return strings.ContainsAny(u, ` "'-*:()`) }) {
				t.Errorf("%q: units %q", text, p.Units)
			}
		}
	})
}
