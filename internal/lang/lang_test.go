package lang_test

import (
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"", "", lang.ZhHans}, {"", "zh-CN,zh;q=0.9,en;q=0.8", lang.ZhHans}, {"", "zh-TW", lang.ZhHans}, {"", "en-GB,en;q=0.9", lang.En},
		{"", "fr-FR,en;q=0.5", lang.En}, {"", "fr", lang.ZhHans}, {"", ";;;===", lang.ZhHans}, {"en", "zh", lang.En}, {"zh", "en", lang.ZhHans},
		{"zh-Hans", "en", lang.ZhHans}, {"fr", "en", lang.En}, {"", strings.Repeat("en,", 1000), lang.ZhHans},
	} {
		if got := lang.Choose(c[0], c[1]); got != c[2] {
			t.Errorf("Choose(%q, %.30q) = %s", c[0], c[1], got)
		}
	}
}

func TestInFallsBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text lang.Text
		tag  string
		want string
	}{
		{lang.ZhEn("中", "E"), lang.En, "E"}, {lang.ZhEn("中", ""), lang.En, "中"}, {lang.ZhEn("", "E"), lang.ZhHans, "E"}, {nil, lang.En, ""},
	} {
		if got := c.text.In(c.tag); got != c.want {
			t.Errorf("%v in %s: %q", c.text, c.tag, got)
		}
	}
}
