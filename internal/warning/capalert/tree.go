package capalert

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html/charset"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Bounds of a message. A real one has some kilobytes, and a few dozen elements per language and area.
const (
	MaxBytes    = 1 << 20
	maxElements = 20_000
	maxDepth    = 6 // alert, info, area, geocode, valueName, and one more to say what is wrong there
)

const signatures = "http://www.w3.org/2000/09/xmldsig#"

var namespaces = map[string]string{"urn:oasis:names:tc:emergency:cap:1.1": V11, "urn:oasis:names:tc:emergency:cap:1.2": V12}

// element is an element of the message. Its line is the one on which its start tag ends, from 1.
type element struct {
	name    string
	line    int
	content string // without the white space around it
	kids    []*element
}

func (e *element) all(name string) []*element {
	return slices.DeleteFunc(slices.Clone(e.kids), func(k *element) bool { return k.name != name })
}

func (e *element) text(name string) string {
	for _, k := range e.kids {
		if k.name == name {
			return k.content
		}
	}
	return ""
}

func (e *element) texts(name string) []string {
	var out []string
	for _, k := range e.all(name) {
		out = append(out, k.content)
	}
	return out
}

func (e *element) time(name string) time.Time {
	t, _ := parseTime(e.text(name)) // the rules have passed it, or it was left out
	return t
}

func (e *element) values(name string) []Value {
	var out []Value
	for _, k := range e.all(name) {
		out = append(out, Value{k.text("valueName"), k.text("value")})
	}
	return out
}

// reader builds the tree of a message.
type reader struct {
	dec   *xml.Decoder
	space string // the namespace of the message
	count int
}

// read gives the tree of one message and the namespace that it is in.
func read(r io.Reader) (root *element, space string, err error) {
	limited := &io.LimitedReader{R: r, N: MaxBytes + 1}
	rd := &reader{dec: xml.NewDecoder(limited)}
	rd.dec.CharsetReader = charset.NewReaderLabel
	root, err = rd.document()
	if limited.N <= 0 {
		return nil, "", fault.New(fault.TooLarge, "cap_too_large", "the message has more than %d KiB", MaxBytes>>10)
	}
	return root, rd.space, err
}

func (rd *reader) line() int {
	line, _ := rd.dec.InputPos()
	return line
}

// token gives the next token that matters. A document type is refused as it comes: it could name files and addresses to fetch, or entities
// that unfold without end.
func (rd *reader) token() (xml.Token, error) {
	for {
		t, err := rd.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, err
		}
		if err != nil {
			return nil, fault.New(fault.Malformed, "cap_syntax", "line %d: this is not well-formed XML", rd.line()).Because(err)
		}
		switch t.(type) {
		case xml.Directive:
			return nil, fault.New(fault.Malformed, "cap_doctype", "line %d: a document type declaration has no place in a CAP message", rd.line())
		case xml.Comment, xml.ProcInst:
			continue
		}
		return t, nil
	}
}

func (rd *reader) document() (*element, error) {
	var root *element
	for {
		t, err := rd.token()
		if errors.Is(err, io.EOF) {
			if root == nil {
				return nil, fault.New(fault.Malformed, "cap_syntax", "line %d: there is no alert here", rd.line())
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root != nil {
				return nil, fault.New(fault.Malformed, "cap_syntax", "line %d: something follows the end of the alert", rd.line())
			}
			if namespaces[t.Name.Space] == "" || t.Name.Local != "alert" {
				return nil, fault.New(fault.Malformed, "cap_not_cap", "line %d: this is no alert of CAP 1.1 or 1.2 but <%.60s> of %.100q", rd.line(), t.Name.Local, t.Name.Space)
			}
			rd.space = t.Name.Space
			if root, err = rd.element(t, 1); err != nil {
				return nil, err
			}
		case xml.CharData:
			if strings.TrimSpace(string(t)) != "" {
				return nil, fault.New(fault.Malformed, "cap_syntax", "line %d: there is text outside the alert", rd.line())
			}
		}
	}
}

// element reads what a start tag opened, to its end.
func (rd *reader) element(start xml.StartElement, depth int) (*element, error) {
	if rd.count++; rd.count > maxElements {
		return nil, fault.New(fault.TooLarge, "cap_too_large", "line %d: the message has more than %d elements", rd.line(), maxElements)
	}
	if depth > maxDepth {
		return nil, fault.New(fault.Malformed, "cap_not_cap", "line %d: <%.60s> stands too deep", rd.line(), start.Name.Local)
	}
	e := &element{name: start.Name.Local, line: rd.line()}
	var text strings.Builder
	for {
		t, err := rd.token()
		if err != nil {
			return nil, err // the decoder itself refuses an end of the file here
		}
		switch t := t.(type) {
		case xml.StartElement:
			if t.Name.Space == signatures && depth == 1 {
				// An enveloped signature (3.3.2.1). It is skipped, not checked: whether a message is believed depends on how it came.
				if err := rd.skip(); err != nil {
					return nil, err
				}
				continue
			}
			if t.Name.Space != rd.space {
				return nil, fault.New(fault.Malformed, "cap_not_cap", "line %d: <%.60s> of %.100q has no place in a CAP message", rd.line(), t.Name.Local, t.Name.Space)
			}
			kid, err := rd.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			e.kids = append(e.kids, kid)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			e.content = strings.TrimSpace(text.String())
			return e, nil
		}
	}
}

// skip reads to the end of an element, however deep. The decoder's own Skip would take a document type.
func (rd *reader) skip() error {
	for depth := 1; depth > 0; {
		t, err := rd.token()
		if err != nil {
			return err
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	return nil
}
