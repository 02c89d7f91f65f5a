package upload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/upload"
)

const contentType = "multipart/form-data; boundary=xx"

// form writes parts given as name, value; a name that begins with @ is a file's.
func form(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		name, file := strings.CutPrefix(parts[i], "@")
		fmt.Fprintf(&b, "--xx\r\nContent-Disposition: form-data; name=%q", name)
		if file {
			b.WriteString("; filename=\"批次.csv\"\r\nContent-Type: text/csv")
		}
		fmt.Fprintf(&b, "\r\n\r\n%s\r\n", parts[i+1])
	}
	return b.String() + "--xx--\r\n"
}

// read gives what a form holds as "fields: file".
func read(body io.Reader, contentType string) (string, error) {
	f, err := upload.Open(body, contentType)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(f)
	return fmt.Sprint(f.Fields, ": ", len(b), " ", string(b[:min(len(b), 20)])), err
}

func TestForm(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 5000)
	many := []string{}
	for i := range 12 {
		many = append(many, fmt.Sprint("f", i), "x")
	}
	for name, c := range map[string]struct{ body, want, code string }{
		"a file":              {form("kind", "lots", "dry_run", "true", "@file", "a,b\r\n1,2"), "map[dry_run:true kind:lots]: 8 a,b\r\n1,2", ""},
		"a big file":          {form("@file", strings.Repeat("0123456789", 100_000)), "map[]: 1000000 01234567890123456789", ""},
		"no file":             {form("kind", "lots"), "", "form_no_file"},
		"a field behind it":   {form("@file", "x", "kind", "lots"), "map[]: 1 x", "form_repeated"},
		"two files":           {form("@file", "x", "@file", "y"), "map[]: 1 x", "form_repeated"},
		"a field twice":       {form("a", "1", "a", "2", "@file", "x"), "", "form_repeated"},
		"a long field":        {form("a", long, "@file", "x"), "", "form_too_large"},
		"many fields":         {form(append(many, "@file", "x")...), "", "form_too_large"},
		"a long header":       {"--xx\r\nContent-Disposition: form-data; name=\"file\"; x=" + strings.Repeat("a", 200_000) + "\r\n\r\nx\r\n--xx--", "", "form_too_large"},
		"a long preamble":     {strings.Repeat("a\r\n", 80_000) + form("@file", "x"), "", "form_too_large"},
		"a part without name": {"--xx\r\n\r\nx\r\n--xx--", "", "malformed_form"},
		"cut off in a header": {form("@file", "abc")[:90], "", "form_no_file"},
		"nothing":             {"", "", "form_no_file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := read(strings.NewReader(c.body), contentType)
			code := ""
			if err != nil {
				code = fault.CodeOf(err)
			}
			if code != c.code || got != c.want && c.code != "malformed_form" {
				t.Errorf("%q %v, want %q %q", got, err, c.want, c.code)
			}
		})
	}
	for _, bad := range []string{"", "multipart/form-data", "multipart/mixed; boundary=xx", "multipart/form-data; boundary=" + strings.Repeat("x", 71)} {
		if _, err := upload.Open(strings.NewReader(form("@file", "x")), bad); fault.CodeOf(err) != "malformed_form" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestErrorsOfTheReaderComeThrough(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line is cut")
	for _, cut := range []int{0, 20, len(form("@file", "abc")) - 20} {
		_, err := read(io.MultiReader(strings.NewReader(form("@file", "abc")[:cut]), iotest.ErrReader(broken)), contentType)
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", cut, err)
		}
	}
}

// FuzzForm holds what is read to what mime/multipart reads without bounds.
func FuzzForm(f *testing.F) {
	f.Add([]byte(form("kind", "lots", "@file", "a,b\n1,2")))
	f.Add([]byte(form("@file", "x", "@file", "y")))
	f.Add([]byte("--xx\r\nContent-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0D\r\n--xx--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		form, err := upload.Open(bytes.NewReader(body), contentType)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatal(err)
			}
			return
		}
		file, err := io.ReadAll(form)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatal(err)
			}
			return
		}
		r := multipart.NewReader(bytes.NewReader(body), "xx")
		for {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(p)
			if err != nil {
				t.Fatal(err)
			}
			if p.FormName() != "file" {
				if form.Fields[p.FormName()] != string(b) {
					t.Errorf("field %q is %q, want %q", p.FormName(), form.Fields[p.FormName()], b)
				}
				continue
			}
			if !bytes.Equal(b, file) {
				t.Errorf("the file is %q, want %q", file, b)
			}
			return
		}
	})
}
