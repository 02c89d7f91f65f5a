package sheet

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// encodingOf tells the encoding of a text. UTF-16 announces itself by a byte order mark; else the whole file is looked at, since the first
// Chinese character may be in its last row: what is no UTF-8 is GB18030, which is what Chinese Excel saves, and which contains GBK.
func encodingOf(r io.ReaderAt, size int64) (string, error) {
	head := make([]byte, 3)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if head = head[:n]; bytes.HasPrefix(head, []byte("\xFF\xFE")) || bytes.HasPrefix(head, []byte("\xFE\xFF")) {
		return utf16, nil
	}
	look, err := survey(io.NewSectionReader(r, 0, size))
	switch {
	case err != nil:
		return "", err
	case look.binary:
		return "", &Error{Code: CodeUnknown}
	case look.utf8:
		return utf8Text, nil
	}
	// The decoder puts U+FFFD for what it cannot read: such a file is of some other encoding, and guessing would store mojibake.
	if look, err = survey(decoded(r, size, gb18030)); err != nil {
		return "", err
	}
	if look.replaced || look.binary {
		return "", &Error{Code: CodeEncoding}
	}
	return gb18030, nil
}

// The encodings, as Table.Encoding has them.
const (
	utf8Text = "utf-8"
	utf16    = "utf-16"
	gb18030  = "gb18030"
)

// decoded gives the text of a file as UTF-8, without its byte order mark.
func decoded(r io.ReaderAt, size int64, encoding string) io.Reader {
	file := io.NewSectionReader(r, 0, size)
	switch encoding {
	case utf16:
		return transform.NewReader(file, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder())
	case gb18030:
		return transform.NewReader(file, simplifiedchinese.GB18030.NewDecoder())
	}
	return transform.NewReader(file, unicode.UTF8BOM.NewDecoder())
}

type looks struct{ utf8, binary, replaced bool }

// survey reads a text to its end.
func survey(r io.Reader) (looks, error) {
	out := looks{utf8: true}
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		c, size, err := b.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, err
		case c == 0:
			out.binary = true
		case c == utf8.RuneError:
			out.utf8 = out.utf8 && size > 1
			out.replaced = true
		}
	}
}
