package upload

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"io"

	"github.com/haisu-trace/haisu/internal/fault"
)

// The bounds of a PDF. What is packed into streams of objects is unpacked to be looked at, and no more of it than this.
const (
	maxUnpacked = 64 << 20
	maxStreams  = 10_000
	trailerRoom = 1 << 10 // from the end, in which "%%EOF" is; some writers add a line behind it
)

// actives are names of what acts by itself, carries another file, or looks different from time to time (ISO 32000-1, 12.6.4, 7.11.4, 12.7.8,
// 13.2 and 13.6).
var actives = map[string]bool{
	"JavaScript": true, "Launch": true, "EmbeddedFile": true, "EmbeddedFiles": true, "RichMedia": true, "XFA": true, "SubmitForm": true,
	"ImportData": true, "GoToR": true, "GoToE": true, "Movie": true, "Sound": true, "Rendition": true,
}

// checkPDF refuses what is no whole PDF, cannot be opened without a password, or has something in it that acts. It reads names, not structure: whatever
// stands between one stream and the next is taken for the next one's dictionary, so that nothing in it can push its type out of sight. The file is served as
// a download that no page may show all the same.
func checkPDF(b []byte) error {
	if !bytes.Contains(b[max(0, len(b)-trailerRoom):], []byte("%%EOF")) {
		return fault.New(fault.Invalid, "pdf_broken", "the PDF ends before its end")
	}
	left := maxUnpacked
	if err := checkNames(b); err != nil {
		return err
	}
	for packed, rest := 0, b; ; {
		dict, behind, found := bytes.Cut(rest, []byte("stream"))
		if !found {
			return nil
		}
		rest = behind
		if !hasName(dict, "ObjStm") {
			continue
		}
		if packed++; packed > maxStreams {
			return fault.New(fault.Invalid, "pdf_broken", "the PDF has more than %d streams of objects", maxStreams)
		}
		text, err := unpack(bytes.TrimLeft(rest, "\r\n"), left)
		if err != nil {
			return err
		}
		left -= len(text)
		if err := checkNames(text); err != nil {
			return err
		}
	}
}

// unpack inflates a stream of objects. One that is packed in another way is refused: nothing writes such.
func unpack(b []byte, limit int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fault.New(fault.Invalid, "pdf_broken", "the PDF has objects that cannot be read").Because(err)
	}
	text, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if len(text) > limit {
		return nil, fault.New(fault.Invalid, "pdf_broken", "the PDF has more than %d bytes of objects", maxUnpacked)
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "pdf_broken", "the PDF has objects that cannot be read").Because(err)
	}
	return text, nil
}

func checkNames(b []byte) error {
	var bad error
	names(b, func(name string) bool {
		switch {
		case name == "Encrypt":
			bad = fault.New(fault.Invalid, "pdf_encrypted", "the PDF is protected; save it without a password")
		case actives[name]:
			bad = fault.New(fault.Invalid, "pdf_active", "the PDF has scripts, actions, media or other files in it (%s); print it into a new PDF", name)
		}
		return bad == nil
	})
	return bad
}

func hasName(b []byte, want string) (found bool) {
	names(b, func(name string) bool { found = found || name == want; return !found })
	return found
}

// names gives the names in a PDF's text with what is escaped in them (ISO 32000-1, 7.3.5), until f says no. Binary streams have bytes that look like
// names, but hardly ever like one of three letters that somebody looks for.
func names(b []byte, f func(string) bool) {
	const longest = 40
	for {
		at := bytes.IndexByte(b, '/')
		if at < 0 {
			return
		}
		b = b[at+1:]
		end := 0
		for end < len(b) && end < longest && !delimits(b[end]) {
			end++
		}
		if !f(unescape(b[:end])) {
			return
		}
	}
}

func delimits(c byte) bool {
	return c <= ' ' || c == '/' || c == '<' || c == '>' || c == '[' || c == ']' || c == '(' || c == ')' || c == '{' || c == '}' || c == '%'
}

func unescape(name []byte) string {
	var out []byte
	for i := 0; i < len(name); i++ {
		if name[i] == '#' && i+2 < len(name) {
			if c, err := hex.DecodeString(string(name[i+1 : i+3])); err == nil {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		out = append(out, name[i])
	}
	return string(out)
}
