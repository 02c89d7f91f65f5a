// Package upload reads multipart/form-data (RFC 7578) with a few short fields and one file, which comes as a stream: nothing of it is kept in memory
// or in temporary files. It does no I/O but through the reader that it is given.
package upload

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"

	"github.com/haisu-trace/haisu/internal/fault"
)

// The bounds of a form, beside the file, which whoever reads it bounds.
const (
	MaxFields  = 10
	MaxField   = 4 << 10 // bytes of one field
	maxHeaders = 32 << 10
	maxBetween = maxHeaders + 64<<10 // bytes between the end of one part and the body of the next, with what is read ahead
)

// Form is a form whose file is about to be read.
type Form struct {
	Fields map[string]string // those in front of the file
	Name   string            // of the file, as the client gives it; never to be used as a path
	Type   string            // of the file, as the client gives it

	parts *multipart.Reader
	in    *rationed
	file  *multipart.Part
	ended bool
}

// rationed gives so many bytes and then an error, until it is renewed. multipart.Reader keeps headers in memory and skips what is not read.
type rationed struct {
	r    io.Reader
	left int   // negative: no bound
	err  error // of r, which the parsing of headers drops
}

var errRation = errors.New("upload: the parts are too large")

func (r *rationed) Read(b []byte) (int, error) {
	switch {
	case r.left == 0:
		return 0, errRation
	case r.left > 0:
		b = b[:min(len(b), r.left)]
	}
	n, err := r.r.Read(b)
	if r.left > 0 {
		r.left -= n
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// malformed makes the refusal of a form that cannot be read. Errors of the reader below come through as they are, by errors.Is and errors.As.
func malformed(err error) error {
	return fault.New(fault.Malformed, "malformed_form", "the form cannot be read: it has up to 10 short fields and then one file").Because(err)
}

// Open reads a form up to its file, which the part named "file" is. Malformed (malformed_form, form_no_file, form_repeated); TooLarge
// (form_too_large); or the reader's own error within a Malformed one.
func Open(r io.Reader, contentType string) (*Form, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" || len(params["boundary"]) > 70 {
		return nil, malformed(errors.Join(err, errors.New("no boundary")))
	}
	f := &Form{Fields: map[string]string{}, in: &rationed{r: r}}
	f.parts = multipart.NewReader(f.in, params["boundary"])
	for {
		p, err := f.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, fault.New(fault.Malformed, "form_no_file", "the form has no part named file")
		case err != nil:
			return nil, err
		case p.FormName() == "file":
			f.file, f.Name, f.Type = p, p.FileName(), p.Header.Get("Content-Type")
			f.in.left = -1
			return f, nil
		}
		if err := f.field(p); err != nil {
			return nil, err
		}
	}
}

func (f *Form) next() (*multipart.Part, error) {
	f.in.left = maxBetween
	p, err := f.parts.NextRawPart()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case errors.Is(err, errRation):
		return nil, fault.New(fault.TooLarge, "form_too_large", "the form's fields are too large").Because(err)
	case err != nil:
		return nil, malformed(errors.Join(err, f.in.err))
	}
	return p, nil
}

func (f *Form) field(p *multipart.Part) error {
	name := p.FormName()
	f.in.left = MaxField + maxBetween
	b, err := io.ReadAll(io.LimitReader(p, MaxField+1))
	switch {
	case errors.Is(err, errRation) || len(b) > MaxField || len(f.Fields) == MaxFields || len(name) > 100:
		return fault.New(fault.TooLarge, "form_too_large", "the form's fields are too large").Because(err)
	case err != nil || name == "":
		return malformed(err)
	}
	if _, twice := f.Fields[name]; twice {
		return fault.New(fault.Malformed, "form_repeated", "a field is given more than once")
	}
	f.Fields[name] = string(b)
	return nil
}

// Read reads the file. Behind its end the form must end: a second file that is passed over would be lost without a word. Malformed
// (malformed_form, form_repeated).
func (f *Form) Read(b []byte) (int, error) {
	if f.ended {
		return 0, io.EOF
	}
	n, err := f.file.Read(b)
	if err == nil {
		return n, nil
	}
	if !errors.Is(err, io.EOF) {
		return n, malformed(err)
	}
	f.ended = true
	switch _, err := f.next(); {
	case errors.Is(err, io.EOF):
		return n, io.EOF
	case err != nil:
		return n, err
	}
	return n, fault.New(fault.Malformed, "form_repeated", "the file is the last part of the form")
}
