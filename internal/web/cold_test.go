package web

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/coldchain"
	"github.com/haisu-trace/haisu/internal/trace"
)

// Whatever the chart shows is in words: who does not see it reads the same.
func TestColdChainInWords(t *testing.T) {
	t.Parallel()
	for tag, parts := range map[string][]string{
		"en":      {"Outside of the limits for a time", "no finding about safety", "11.4 °C", "2 °C – 8 °C", "Outside: 7 hours", "limit 8 °C", "No readings: 10 hours", "not listed: 3"},
		"zh-Hans": {"曾超出规定范围", "不是安全结论", "11.4 °C", "2 °C – 8 °C", "超限：7 小时", "规定 8 °C", "没有记录：10 小时", "不高于 75 %"},
	} {
		d := scanPage(t, "cold_excursion", tag)
		body := strings.ReplaceAll(d.text(), "\u00a0", " ")
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s: the page does not say %q", tag, part)
			}
		}
		labelled := 0
		for _, picture := range d.find("div") {
			if label := attr(picture, "aria-label"); attr(picture, "role") == "img" && label != "" {
				labelled++
				if !strings.Contains(label, "–") || !strings.Contains(label, words["cold.limits"].in(tag)) {
					t.Errorf("%s: %q", tag, label)
				}
			}
		}
		if labelled != 2 {
			t.Errorf("%s: %d charts have a label", tag, labelled)
		}
	}
	if body := scanPage(t, "ok", "en").text(); strings.Contains(body, words["cold"].en) {
		t.Error("a product without limits has a record")
	}
}

// Nothing is drawn outside of the picture, whatever was measured and however short the time was.
func TestChartStaysInItsField(t *testing.T) {
	t.Parallel()
	lo, hi := -18.0, -18.0
	at := noon
	for name, c := range map[string]coldchain.Chart{
		"one moment":   {From: at, To: at, Columns: []coldchain.Column{{From: at, To: at, Lo: 5, Hi: 5}}},
		"far from it":  {From: at, To: at.Add(time.Minute), Limits: coldchain.Range{Min: &lo, Max: &hi}, Columns: []coldchain.Column{{From: at, To: at.Add(time.Minute), Lo: -273.15, Hi: 2000}}},
		"at the limit": {From: at, To: at.Add(time.Hour), Limits: coldchain.Range{Max: &hi}, Columns: []coldchain.Column{{From: at.Add(time.Hour), To: at.Add(time.Hour), Lo: -18, Hi: -18}}},
		"beyond": {
			From: at, To: at.Add(time.Hour), Columns: []coldchain.Column{{From: at, To: at.Add(time.Hour), Lo: 1, Hi: 2}},
			Gaps: []coldchain.Interval{{From: at.Add(-time.Hour), To: at.Add(2 * time.Hour)}},
		},
	} {
		v := chart("en", &c)
		for _, b := range append(append(v.Bars, v.Gaps...), v.Outside...) {
			x, y, w, h := number(t, b.X), number(t, b.Y), number(t, b.W), number(t, b.H)
			if x < 0 || y < 0 || w < leastBar || h < leastBar || x+w > chartWidth+0.11 || y+h > chartHeight+0.11 {
				t.Errorf("%s: %+v", name, b)
			}
		}
		for _, y := range v.Lines {
			if n := number(t, y); n < 0 || n > chartHeight {
				t.Errorf("%s: a line at %g", name, n)
			}
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// An answer of a newer server, or a damaged one, is shown as what is not known.
func TestUnknownColdState(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	a := scene("ok", "en")
	a.Cold = &trace.ColdAnswer{View: coldchain.View{State: "<b>"}, Provenance: "?"}
	body := render(t, func(b *bytes.Buffer) error { return p.RenderScan(b, "en", a) })
	if strings.Contains(body, "<b>&lt;b&gt;") || !strings.Contains(body, "&lt;b&gt;") {
		t.Error("the state is not escaped")
	}
}
