package notice

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/haisu-trace/haisu/internal/gs1"
)

// Cells hold several barcodes separated by whatever the author liked; a range is two barcodes with a word or dash between.
var (
	barcodeSeparators = regexp.MustCompile(`[,;|/\n\r\t、，；]+|\b(?i:and|und|et|e|y|&)\b|&`)
	rangeMarks        = regexp.MustCompile(`(?i)^(?:from\s+)?(\S[\d\s]*?)\s*(?:-|–|—|~|\bto\b|\bthrough\b)\s*(\d[\d\s]*)$`)
	labels            = regexp.MustCompile(`(?i)^(?:ean|gtin|upc|barcode|code|no)(?:[\s-]*(?:8|12|13|14))?\b[\s.:#]*`)
)

// splitBarcodes reads a cell of barcodes. GTINs are in canonical form, each once. What is no GTIN (a wrong check digit, a
// shop's own number, a word) is kept as it was written in bad. The ends of a range are GTINs; the range itself is kept in bad, because
// what lies between was not said to exist.
func splitBarcodes(cell string) (gtins, bad []string) {
	for _, part := range barcodeSeparators.Split(cell, -1) {
		part = strings.TrimFunc(part, func(r rune) bool { return unicode.IsSpace(r) || r == '.' || r == ':' })
		if part == "" {
			continue
		}
		g, b := readPart(part)
		gtins, bad = append(gtins, g...), append(bad, b...)
	}
	return unique(gtins), unique(bad)
}

func readPart(part string) (gtins, bad []string) {
	unlabelled := labels.ReplaceAllString(part, "")
	if g, err := gs1.ParseGTINLenient(unlabelled); err == nil {
		return []string{string(g)}, nil
	}
	if ends := rangeMarks.FindStringSubmatch(unlabelled); ends != nil {
		first, err1 := gs1.ParseGTINLenient(ends[1])
		last, err2 := gs1.ParseGTINLenient(ends[2])
		if err1 == nil && err2 == nil {
			return []string{string(first), string(last)}, []string{part}
		}
	}
	// Several with only spaces between: every piece has to look like a whole barcode, or it is one number with a mistake.
	pieces := strings.Fields(unlabelled)
	if len(pieces) < 2 || slices.ContainsFunc(pieces, func(p string) bool { return len(p) < 8 }) {
		return nil, []string{part}
	}
	for _, p := range pieces {
		if g, err := gs1.ParseGTINLenient(p); err == nil {
			gtins = append(gtins, string(g))
		} else {
			bad = append(bad, p)
		}
	}
	return gtins, bad
}

// splitBatches reads a cell of batch numbers: one a line, otherwise as it was written.
func splitBatches(cell string) []string {
	var out []string
	for line := range strings.Lines(cell) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return unique(out)
}

// unique drops repetitions and keeps the order; an empty list is nil.
func unique(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
