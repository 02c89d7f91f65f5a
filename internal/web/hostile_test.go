package web

import (
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// hostiles are texts that must come out as texts.
var hostiles = map[string]string{
	"script":     `<script>alert(1)</script>`,
	"attribute":  `" onmouseover="alert(1)" x='`,
	"javascript": `javascript:alert(1)`,
	"override":   "safe\u202egnp.exe\u2066\u061c\x00\x1b[31m",
	"template":   `{{.}}[[name]]@@style@@</style>]]>`,
	"long":       strings.Repeat("W", 10_000),
	"long_zh":    strings.Repeat("码", 10_000),
	"broken":     "a\xff\xfeb",
	"entity":     `&lt;b&gt;&#x3c;img src=x onerror=alert(1)>`,
}

// hostileAnswer has one hostile text in every field of an answer.
func hostileAnswer(name string) *trace.Answer {
	s := hostiles[name]
	text := lang.Text{lang.ZhHans: s, lang.En: s}
	firms := []trace.FirmName{{ID: s, Name: text, Kind: s}, {ID: s}}
	at := time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)
	a := &trace.Answer{
		Lang: s, Level: s,
		Asked:        trace.Asked{GTIN: s, Lot: s, Serial: s, Code: s, Scheme: s},
		Headline:     trace.Headline{Status: s, Level: s, Title: s, Todo: s},
		Authenticity: trace.Authenticity{Status: s, Text: s},
		Safety:       trace.Safety{Status: s, Level: s, Text: s, AsOf: at},
		Sale:         trace.Sale{Status: s, Text: s},
		Product: &trace.ProductView{
			GTIN: s, Name: text, Brand: text, Category: s, Origin: s, Net: s, Description: text, LotHint: text, Sellers: firms, Provenance: s,
		},
		Lot:   &trace.LotView{GTIN: s, Lot: s, Produced: s, Expires: s, Quantity: 1, Declaration: s, Inspection: s, Sellers: firms, Provenance: s},
		Scan:  trace.ScanFacts{Count: 2, FirstAt: &at, Places: []string{s, s}},
		Chain: []trace.Step{{Stage: s, Time: &at, TimeText: s, Title: s, Place: s, Firm: s, Provenance: s, Document: s, EventID: s}},
	}
	for _, kind := range []string{"recall", "warning", "notice", "code", s} {
		a.Findings = append(a.Findings, trace.Finding{Kind: kind, Code: s, Level: s, Match: "possible", No: s, Title: s, Text: s, Todo: s + " "})
	}
	a.Contradictions = []trace.Contradiction{{Code: s, Grade: s, Text: s, First: s, Second: s, At: at}, {Code: s, Grade: s, Text: s, First: s, Says: []string{s, s}, At: at}}
	return a
}

// hostileState has it in every field of a warning.
func hostileState(name string) warning.State {
	s := hostiles[name]
	text := lang.Text{lang.ZhHans: s, lang.En: s}
	m := warning.Message{No: s, Rev: 2, Kind: warning.MessageKind(s), Reason: text, By: s, ByName: s, Authority: s, Published: noon, Content: warning.Content{
		Level: warning.Level(s), Regime: s, Hazard: s, Category: s, Title: text, Advice: text, Summary: text, Issuer: text, DocumentNo: s, LegalBasis: s,
		Scope: warning.Scope{Clauses: []warning.Clause{{GTINs: []string{s, s}, Lots: []string{s}, SerialFrom: s, SerialTo: s + "1", ProducedFrom: s, ProducedTo: s + "1"}}},
	}}
	return warning.State{No: s, Status: warning.Status(s), Authority: s, Issued: noon, Current: m, History: []warning.Message{m, m}}
}

// hostileList has it in every field of a list.
func hostileList(name string) WarningList {
	s := hostiles[name]
	text := lang.Text{lang.ZhHans: s, lang.En: s}
	h := warning.Head{No: s, Status: warning.Status(s), Level: warning.Level(s), Title: text, Advice: text, Issuer: text, Updated: noon}
	return WarningList{Query: s, Next: s, Items: []warning.Head{h, h}}
}
