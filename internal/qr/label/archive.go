package label

import (
	"archive/zip"
	"fmt"
	"io"
	"time"

	"github.com/haisu-trace/haisu/internal/qr"
)

// MaxArchive is how many symbols one archive may have: its directory, which is written last, is all that grows with them, and so is the patience of
// whoever opens a folder of so many files.
const MaxArchive = 20_000

// Archive is a ZIP file with one file per symbol, whose names begin with the number.
type Archive struct {
	out  *zip.Writer
	kind string
	draw func(link string) ([]byte, error)
	at   time.Time
}

// NewSVGs begins an archive of SVG files, dated at.
func NewSVGs(out io.Writer, at time.Time) *Archive {
	return &Archive{out: zip.NewWriter(out), kind: "svg", draw: qr.SVG, at: at}
}

// NewPNGs begins an archive of PNG files of so many pixels, dated at.
func NewPNGs(out io.Writer, at time.Time, size int) *Archive {
	return &Archive{out: zip.NewWriter(out), kind: "png", draw: func(link string) ([]byte, error) { return qr.PNG(link, size) }, at: at}
}

// Add adds a symbol.
func (w *Archive) Add(l Label) error {
	data, err := w.draw(l.Link)
	if err != nil {
		return err
	}
	method := zip.Deflate
	if w.kind == "png" {
		method = zip.Store // it is compressed already
	}
	f, err := w.out.CreateHeader(&zip.FileHeader{
		Name: fmt.Sprintf("%07d-%s.%s", l.Number, fileName(l.Serial), w.kind), Method: method, Modified: w.at,
	})
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// fileName makes a serial fit for every file system; the number before it tells files apart.
func fileName(serial string) string {
	b := []byte(serial)
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// Close writes the directory.
func (w *Archive) Close() error { return w.out.Close() }
