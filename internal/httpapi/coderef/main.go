// Command coderef writes mobile-contract/epcis-codes.md, the reference of why event data are refused, from the table of the decoder. It is run by go
// generate.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/haisu-trace/haisu/internal/epcis"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "coderef:", err)
		os.Exit(1) //nolint:forbidigo // main exits
	}
}

func run(args []string, usage io.Writer) error {
	if len(args) != 1 {
		_, err := fmt.Fprintln(usage, "usage: coderef FILE")
		return err
	}
	return os.WriteFile(args[0], render(), 0o644) //nolint:gosec // a page for everybody
}

const intro = `# Refused event data

<!-- Made by go generate ./internal/httpapi from internal/epcis/codes.go. Do not edit. -->

Why EPCIS documents and events are refused: by ` + "`POST /epcis/events`" + `, by ` + "`POST /epcis/capture`" + `, and in the ` + "`errors`" + ` of a capture. Each reason has a code,
which is stable, a JSON Pointer (RFC 6901) to the value that breaks the rule, and a sentence in English. The pointer of a member that is missing is where it should be; that of a
document as a whole is empty. A pointer has at most 1,000 bytes; behind longer names it is that of the innermost value that has a shorter one.

An answer of status 422 has the code ` + "`invalid`" + ` and lists the reasons in ` + "`errors`" + `, up to 100 of them; 409 has one code for all. 400 and 413 have one reason, whose code
is that of the answer too.
`

// render writes the reference.
func render() []byte {
	var b bytes.Buffer
	b.WriteString(intro)
	for _, c := range epcis.Rules {
		fmt.Fprintf(&b, "\n## %s\n", c.Title)
		for _, r := range c.Rules {
			fmt.Fprintf(&b, "\n### %s\n\n%d. %s\n", r.Code, r.Status, r.Means)
		}
	}
	return b.Bytes()
}
