package sheet

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// stringTable holds shared strings one behind the other, in blocks: a million strings of their own would take some 40 bytes each
// beside their text, and be looked at by every garbage collection.
type stringTable struct {
	blocks [][]byte
	at     []stringAt
}

type stringAt struct{ block, from, length uint32 }

const stringBlock = 256 << 10

func (t *stringTable) add(s string) {
	last := len(t.blocks) - 1
	if last < 0 || len(t.blocks[last])+len(s) > cap(t.blocks[last]) {
		t.blocks = append(t.blocks, make([]byte, 0, max(stringBlock, len(s))))
		last++
	}
	t.at = append(t.at, stringAt{uint32(last), uint32(len(t.blocks[last])), uint32(len(s))})
	t.blocks[last] = append(t.blocks[last], s...)
}

func (t *stringTable) get(index []byte) (string, bool) {
	i, err := strconv.ParseUint(string(index), 10, 31)
	if err != nil || t == nil || int(i) >= len(t.at) {
		return "", false
	}
	a := t.at[i]
	return string(t.blocks[a.block][a.from : a.from+a.length]), true
}

// sharedStrings reads the table of strings (ECMA-376, part 1, 18.4).
func (w *workbook) sharedStrings() (*stringTable, error) {
	f := w.part(w.strings)
	if f == nil {
		return &stringTable{}, nil
	}
	p, err := w.openFile(f, w.lim.Unpacked)
	if err != nil {
		return nil, err
	}
	t, err := readStrings(p, w.lim)
	return t, errors.Join(err, p.close())
}

func readStrings(p *part, lim Limits) (*stringTable, error) {
	t := &stringTable{}
	total := 0
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "si" {
			continue
		}
		s, err := p.richText("si", lim.Cell)
		if err != nil {
			return nil, err
		}
		s = Trim(s)
		if total += len(s); total > lim.StringBytes || len(t.at) >= lim.Strings {
			return nil, &Error{Code: CodeStrings}
		}
		t.add(s)
	}
}

// richText reads the text of an element up to its end: that of all runs, without what shows how characters are pronounced.
func (p *part) richText(element string, limit int) (string, error) {
	var b strings.Builder
	depth, text, phonetic := 0, false, false
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			err = p.broken(io.ErrUnexpectedEOF)
		}
		if err != nil {
			return "", err
		}
		switch v := token.(type) {
		case xml.StartElement:
			depth++
			text = v.Name.Local == "t"
			phonetic = phonetic || v.Name.Local == "rPh"
		case xml.EndElement:
			if v.Name.Local == element && depth == 0 {
				return unescape(b.String()), nil
			}
			depth--
			text = false
			phonetic = phonetic && v.Name.Local != "rPh"
		case xml.CharData:
			if !text || phonetic {
				continue
			}
			if b.Len()+len(v) > limit {
				return "", &Error{Code: CodeCellTooLong, Arg: p.name}
			}
			b.Write(v)
		}
	}
}

// unescape reads _xHHHH_, by which Excel writes characters that XML cannot have (ECMA-376, part 1, 22.9.2.19).
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "_x")
		if i < 0 || len(s) < i+7 {
			b.WriteString(s)
			return b.String()
		}
		code, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
		if err != nil || s[i+6] != '_' || code >= 0xD800 && code < 0xE000 {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		b.WriteRune(rune(code))
		s = s[i+7:]
	}
}
