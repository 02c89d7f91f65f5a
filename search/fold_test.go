package search_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/search"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                     "",
		"perfume":              "perfume",
		"PERFUME":              "perfume",
		"嬰兒配方奶粉":               "婴儿配方奶粉",
		"乾紅葡萄酒":                "干红葡萄酒",
		"干红葡萄酒":                "干红葡萄酒",
		"頭髮 發現":                "头发 发现",
		"麵包 面包 麪包":             "面包 面包 面包",
		"後 后":                  "后 后",
		"化粧水 化妝水":              "化妆水 化妆水",
		"薬用 塩 円":               "药用 盐 圆",
		"國國国":                  "国国国",
		"ＳＫ－ＩＩ　１００％":           "sk-ii 100%",
		"Crème Brûlée":         "creme brulee",
		"Estée Lauder":         "estee lauder",
		"Ångström ŁÓDŹ STRAßE": "angstrom lodz strasse",
		"Cœur, smørrebrød":     "coeur, smorrebrod",
		"e\u0301te\u0301":      "ete",
		"Ἀθῆναι":               "αθηναι",
		"ﾊﾞﾅﾅ が":               "バナナ が",
		"①㎖℃":                  "1ml°c",
		"İstanbul":             "istanbul",
		"\xff":                 "\uFFFD",
		"7.9×10⁴":              "7.9×104",
	} {
		if got := search.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestFoldCode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"6901234567892": "6901234567892", "06901234567892": "6901234567892", "690-1234 567892": "6901234567892", "L2024-A13": "l2024a13",
		"0012": "0012", "00000000": "0", "琼市监召〔2025〕7号": "琼市监召20257号", "": "", "--": "",
	} {
		if got := search.FoldCode(in); got != want {
			t.Errorf("FoldCode(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{"嬰兒", "İ\u0307", "e\u0301\u0323", "ẛ̣", "\xff", "한국", "ｶﾞ", "ϓ", "ŉ", "ﬁ", "\u0345α"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := search.Fold(s)
		if !utf8.ValidString(once) {
			t.Errorf("Fold(%q) = %q is not UTF-8", s, once)
		}
		if twice := search.Fold(once); twice != once {
			t.Errorf("Fold(%q) = %q, folded again %q", s, once, twice)
		}
		if strings.ContainsFunc(search.FoldCode(s), func(r rune) bool { return r == ' ' || r == '-' }) {
			t.Errorf("FoldCode(%q) = %q", s, search.FoldCode(s))
		}
	})
}

func BenchmarkFold(b *testing.B) {
	for name, s := range map[string]string{
		"traditional": "嬰幼兒配方奶粉檢出阪崎腸桿菌，請立即停止食用", "ascii": "infant formula, stage 3, recall", "latin": "Crème brûlée",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				search.Fold(s)
			}
		})
	}
}
