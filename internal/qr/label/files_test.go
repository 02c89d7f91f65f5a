package label

import (
	"archive/zip"
	"bytes"
	"image/png"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/qr"
)

var nan, inf = math.NaN(), math.Inf(1)

func fill(t *testing.T, w Writer, labels ...Label) {
	t.Helper()
	for _, l := range labels {
		if err := w.Add(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	bad := numbered(3)
	bad.Lot, bad.Name = "=HYPERLINK(1)", `@say "hi", 白兰地`
	bad.Link = "https://haisu.example/01/06901234567892/10/%3DHYPERLINK(1)/21/" + bad.Serial
	var b bytes.Buffer
	fill(t, NewList(&b), numbered(1), numbered(2), bad)
	want, err := os.ReadFile("testdata/list.csv")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s", b.Bytes(), want)
	}
	b.Reset()
	fill(t, NewList(&b))
	if got := b.String(); got != "\uFEFF"+strings.Join(columns, ",")+"\r\n" {
		t.Errorf("an empty list is %q", got)
	}
}

func TestArchives(t *testing.T) {
	t.Parallel()
	odd := numbered(2)
	odd.Serial = "../a/b+c"
	for kind, open := range map[string]func(io.Writer) *Archive{
		"svg": func(w io.Writer) *Archive { return NewSVGs(w, printed) },
		"png": func(w io.Writer) *Archive { return NewPNGs(w, printed, 300) },
	} {
		var b bytes.Buffer
		fill(t, open(&b), numbered(1), odd)
		z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"0000001-" + numbered(1).Serial + "." + kind, "0000002-___a_b_c." + kind}
		for i, f := range z.File {
			if i >= len(names) || f.Name != names[i] || !f.Modified.Equal(printed) {
				t.Fatalf("file %d is %s of %v, want %v", i, f.Name, f.Modified, names)
			}
			data := unpack(t, f)
			if kind == "png" {
				if img, err := png.Decode(bytes.NewReader(data)); err != nil || img.Bounds().Dx() != 300 {
					t.Errorf("%s: %v", f.Name, err)
				}
				continue
			}
			if want, err := qr.SVG(numbered(int64(i + 1)).Link); err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s is not the symbol of its link: %v", f.Name, err)
			}
		}
		if len(z.File) != 2 {
			t.Errorf("%d files", len(z.File))
		}
	}
}

func unpack(t *testing.T, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
