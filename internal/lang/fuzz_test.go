package lang_test

import (
	"testing"

	"github.com/haisu-trace/haisu/internal/lang"
)

// FuzzChoose feeds headers that no browser sends: the answer is always one of our languages, and asking by name wins.
func FuzzChoose(f *testing.F) {
	for _, s := range []string{"en", "zh-CN,zh;q=0.9,en;q=0.8", "*", "en;q=0", "en;q=1e309", "zh_Hant_TW-u-rg-hkzzzz", "-", ",;=,", "i-klingon", "x-\xff", "root"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, asked, header string) {
		if got := lang.Choose(asked, header); !lang.Valid(got) {
			t.Errorf("%q", got)
		}
		if got := lang.Choose(lang.En, header); got != lang.En {
			t.Errorf("asked for English: %q", got)
		}
		if len(header) <= 500 && lang.Choose("", header) != lang.Pick(header) {
			t.Errorf("%q is read in two ways", header)
		}
	})
}
