// Package pdftest gives tests what reads PDF documents and what Chinese text is drawn with. It is imported by tests only.
//
// What is not installed skips the test. In CI, where the environment has CI, it fails the test instead: what nobody runs proves nothing.
package pdftest

import (
	"os"
	"os/exec"
	"testing"
)

// chineseFont is where Debian's fonts-noto-cjk has the Chinese font of the tests.
const chineseFont = "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"

// packages has what each program of the tests is installed with.
var packages = map[string]string{"qpdf": "qpdf", "pdftotext": "poppler-utils", "pdftoppm": "poppler-utils", "pdffonts": "poppler-utils"}

func lacking(t testing.TB, err error, install string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v: apt-get install %s", err, install)
	}
	t.Skipf("%v: apt-get install %s", err, install)
}

// ChineseFont opens the Chinese font. It is closed when the test ends.
func ChineseFont(t testing.TB) *os.File {
	t.Helper()
	file, err := os.Open(chineseFont)
	if err != nil {
		lacking(t, err, "fonts-noto-cjk")
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	return file
}

// Tool runs one of the programs that read PDF documents, and gives what it prints.
func Tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		lacking(t, err, packages[name])
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput() //nolint:gosec // the tests say what is run
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
