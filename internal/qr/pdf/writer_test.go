package pdf

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/qr/pdf/pdftest"
)

var info = Info{Title: "标签", Created: time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC), ID: "x"}

// document writes pages, each with its number.
func document(t *testing.T, pages int) []byte {
	t.Helper()
	var b bytes.Buffer
	faces := NewFaces(nil)
	w := NewWriter(&b, info, faces)
	c := &Canvas{Faces: faces}
	for n := range pages {
		c.Reset()
		c.Text(Plain, 5, 10, 10, fmt.Sprint("page ", n+1))
		if err := w.Page(40, 20, c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever the shape of the tree of pages is, every page is found at its place.
func TestTreeOfPages(t *testing.T) {
	t.Parallel()
	for _, pages := range []int{1, 2, 64, 65, 128, 4096, 4097} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "x.pdf")
			if err := os.WriteFile(name, document(t, pages), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := pdftest.Tool(t, "qpdf", "--check", name); !strings.Contains(out, "No syntax or stream encoding errors found") {
				t.Errorf("qpdf --check:\n%s", out)
			}
			if out := pdftest.Tool(t, "qpdf", "--show-npages", name); strings.TrimSpace(out) != fmt.Sprint(pages) {
				t.Errorf("%s pages", out)
			}
			for _, n := range []int{1, (pages + 1) / 2, pages} {
				at := fmt.Sprint(n)
				if text := pdftest.Tool(t, "pdftotext", "-f", at, "-l", at, name, "-"); strings.TrimSpace(text) != "page "+at {
					t.Errorf("page %d says %q", n, text)
				}
			}
		})
	}
}

// The table at the end has the offset of every object.
func TestOffsets(t *testing.T) {
	t.Parallel()
	b := document(t, 130)
	start := bytes.LastIndex(b, []byte("startxref\n"))
	at, err := strconv.Atoi(string(bytes.Fields(b[start:])[1]))
	if err != nil || !bytes.HasPrefix(b[at:], []byte("xref\n0 ")) {
		t.Fatalf("no table at %d: %v", at, err)
	}
	entries := regexp.MustCompile(`(?m)^(\d{10}) 00000 n $`).FindAllSubmatch(b[at:], -1)
	if len(entries) < 260 {
		t.Fatalf("%d objects", len(entries))
	}
	for i, e := range entries {
		offset, err := strconv.Atoi(string(e[1]))
		if want := fmt.Sprintf("%d 0 obj\n", i+1); err != nil || !bytes.HasPrefix(b[offset:], []byte(want)) {
			t.Errorf("object %d is not at %d: %.20q", i+1, offset, b[offset:])
		}
	}
}

func TestNoPages(t *testing.T) {
	t.Parallel()
	if err := NewWriter(&bytes.Buffer{}, info, NewFaces(nil)).Close(); err == nil {
		t.Error("a document without pages was written")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	f := NewFaces(nil)
	for _, c := range []struct {
		text  string
		width float64
		lines int
		want  []string
	}{
		{"", 10, 2, nil},
		{"  陈年\t白兰地 ", 100, 2, []string{"陈年 白兰地"}},
		{"陈年白兰地", 3.1, 2, []string{"陈年白", "兰地"}},
		{"陈年白兰地礼盒", 3.1, 2, []string{"陈年白", "兰地…"}},
		{"陈年白（法）国", 5.1, 2, []string{"陈年白（", "法）国"}},
		{"Aged brandy of France", 6.5, 3, []string{"Aged brandy", "of France"}},
		{"AAAAAAAAAAAAAAAAAAAA", 3, 1, []string{"AA…"}},
		{"陈", 0.1, 1, []string{"陈"}},
	} {
		got := f.Fit(Plain, 1, c.width, c.text, c.lines)
		if strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q in %g: %q, want %q", c.text, c.width, got, c.want)
		}
		for _, line := range got {
			if w := f.Width(Plain, 1, line); w > c.width && c.width > 1 {
				t.Errorf("%q is %.2f wide, over %g", line, w, c.width)
			}
		}
	}
}

// Text cannot leave its string, and what steers the direction of text does not show.
func TestHostileText(t *testing.T) {
	t.Parallel()
	c := &Canvas{Faces: NewFaces(nil)}
	c.Text(Plain, 1, 0, 0, "a)>\\\x00\u202e\ufeff\xff 白𠮷")
	body := string(c.b)
	if regexp.MustCompile(`^BT 1 0 0 -1 0 0 Tm (/[LC]0 1 Tf <[0-9A-F]+> Tj )+ET\n$`).FindString(body) != body {
		t.Errorf("operators: %q", body)
	}
	if !strings.Contains(body, "767DD842DFB7> Tj") {
		t.Errorf("the Chinese is not in UTF-16: %q", body)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", -0.00001: "0", 1: "1", 100: "100", 0.5: "0.5", -12.34567: "-12.3457", 1e9: "1000000000"} {
		if got := string(appendNumber(nil, v)); got != want {
			t.Errorf("%g is written %s, want %s", v, got, want)
		}
	}
}

// More characters than a font of single bytes has are spread over several.
func TestManyCharacters(t *testing.T) {
	t.Parallel()
	font, err := ReadFont(pdftest.ChineseFont(t))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	faces := NewFaces(font)
	w := NewWriter(&b, info, faces)
	c := &Canvas{Faces: faces}
	var all strings.Builder
	for r := '一'; r < '一'+600; r++ {
		all.WriteRune(r)
	}
	c.Text(Plain, 2, 1, 5, all.String())
	if err := w.Page(1200, 10, c); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "x.pdf")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if text := pdftest.Tool(t, "pdftotext", "-enc", "UTF-8", name, "-"); strings.Join(strings.Fields(text), "") != all.String() {
		t.Errorf("reads %.60q", text)
	}
}

func TestUnreadableFonts(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "x", "ttcf\x00\x01\x00\x00\xff\xff\xff\xff", strings.Repeat("\x00\x01\x00\x00", 50)} {
		if _, err := ReadFont(strings.NewReader(data)); err == nil {
			t.Errorf("%.10q was read as a font", data)
		}
	}
}
