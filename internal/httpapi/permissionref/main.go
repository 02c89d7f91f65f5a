// Command permissionref writes mobile-contract/permissions.md, the reference of who may do what, from the one table of permissions and the
// contract. It is run by go generate.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "permissionref:", err)
		os.Exit(1) //nolint:forbidigo // main exits
	}
}

func run(args []string, usage io.Writer) error {
	if len(args) != 1 {
		_, err := fmt.Fprintln(usage, "usage: permissionref FILE")
		return err
	}
	page, err := render()
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], page, 0o644) //nolint:gosec // a page for everybody
}
