package sheet

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
)

// maxToken is how many bytes one XML token may take: a cell of 32,767 characters in which each is written as a reference.
const maxToken = 512 << 10

// part reads the tokens of one part of an XLSX file, in bounded memory: encoding/xml keeps one token at a time, and no token can take
// more than maxToken. Entities beyond the five of XML are refused by encoding/xml, and document type declarations here.
type part struct {
	*xml.Decoder
	name string
	in   *metered
	body io.Closer
}

// metered counts bytes. It is an io.ByteReader, so that xml.Decoder does not read ahead.
type metered struct {
	r     *bufio.Reader
	token int   // bytes of this token so far
	read  int64 // bytes so far
	most  int64 // bytes there may be
}

var (
	errToken    = errors.New("a token is too long")
	errUnpacked = errors.New("it unpacks to more than is allowed")
	errDoctype  = errors.New("it has a document type declaration")
)

func (m *metered) ReadByte() (byte, error) {
	if m.token++; m.token > maxToken {
		return 0, errToken
	}
	if m.read++; m.read > m.most {
		return 0, errUnpacked
	}
	return m.r.ReadByte()
}

// Read is there because xml.NewDecoder wants an io.Reader; it is not used.
func (m *metered) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c, err := m.ReadByte()
	if err != nil {
		return 0, err
	}
	b[0] = c
	return 1, nil
}

func newPart(name string, r io.ReadCloser, most int64) *part {
	in := &metered{r: bufio.NewReaderSize(r, 32<<10), most: most}
	return &part{Decoder: xml.NewDecoder(in), name: name, in: in, body: r}
}

// next gives the next token, which is good until the one after it. io.EOF, *Error.
func (p *part) next() (xml.Token, error) {
	p.in.token = 0
	t, err := p.RawToken()
	switch {
	case err == nil:
		if _, ok := t.(xml.Directive); ok {
			return nil, p.broken(errDoctype)
		}
		return t, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.Is(err, errUnpacked):
		return nil, &Error{Code: CodeBomb, Arg: p.name}
	}
	return nil, p.broken(err)
}

func (p *part) broken(err error) error { return &Error{Code: CodePackage, Arg: p.name, Err: err} }

// elements calls start for every element, with the names of those around it, outermost first; at most depth levels deep.
func (p *part) elements(start func(path []string, e xml.StartElement) error) error {
	const depth = 32
	var path []string
	for {
		t, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(path) == depth {
				return p.broken(errors.New("nested too deep"))
			}
			if err := start(path, t); err != nil {
				return err
			}
			path = append(path, t.Name.Local)
		case xml.EndElement:
			if len(path) == 0 || path[len(path)-1] != t.Name.Local {
				return p.broken(errors.New("an end tag does not fit"))
			}
			path = path[:len(path)-1]
		}
	}
}

func (p *part) close() error { return p.body.Close() }

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// relation is the attribute r:id, which is not the attribute id.
func relation(e xml.StartElement) string {
	for _, a := range e.Attr {
		if a.Name.Local == "id" && a.Name.Space != "" {
			return a.Value
		}
	}
	return ""
}
