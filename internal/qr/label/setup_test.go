package label

import (
	"fmt"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/qr/pdf"
	"github.com/haisu-trace/haisu/internal/qr/pdf/pdftest"
)

var printed = time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC)

// numbered is the label with a number, of a unit with a serial as long as those that are issued.
func numbered(n int64) Label {
	serial := fmt.Sprintf("q7%013dz", n)
	return Label{
		Number: n, GTIN: "06901234567892", Lot: "L2026A", Serial: serial,
		Link: "https://haisu.example/01/06901234567892/10/L2026A/21/" + serial, Name: "陈年白兰地（法国干邑产区）700毫升礼盒装 Aged brandy",
	}
}

var info = pdf.Info{Title: "06901234567892 L2026A 标签", Created: printed, ID: "batch"}

func chinese(t testing.TB) *pdf.Font {
	t.Helper()
	f, err := pdf.ReadFont(pdftest.ChineseFont(t))
	if err != nil {
		t.Fatal(err)
	}
	return f
}
