package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/haisu-trace/haisu/internal/warning/notice"
)

// parseImport reads the arguments of an import command.
func parseImport(name string, args []string, getenv func(string) string, io streams) (cfg *config, files []string, dry bool, err error) {
	cfg, files, err = parse(name, args, getenv, io, func(fs *flag.FlagSet) {
		fs.BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
	})
	return cfg, files, dry, err
}

func importSafetyGate(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	cfg, rest, dry, err := parseImport("import safety-gate", args, getenv, io)
	if err != nil {
		return err
	}
	if err := want(rest, 1, "one argument: the file"); err != nil {
		return err
	}
	f, err := os.Open(rest[0])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	return within(ctx, cfg, io.err, func(a *app) error {
		do := a.notices.ImportSafetyGate
		if dry {
			do = a.notices.CheckSafetyGate
		}
		r, err := do(ctx, f, func(done, _ int) { _, _ = fmt.Fprintf(io.err, "\r%d rows", done) })
		_, _ = fmt.Fprintln(io.err)
		if err != nil {
			return err
		}
		for _, bad := range r.Rejected {
			_, _ = fmt.Fprintf(io.err, "row %d: %s\n", bad.Row, bad.Reason)
		}
		return printImport(io.out, r)
	})
}

// importCAP imports one CAP message per file. A broken file does not keep the others out, and makes the command fail.
func importCAP(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	cfg, files, dry, err := parseImport("import cap", args, getenv, io)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("want one argument or more: the files")
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		do := a.notices.ImportCAP
		if dry {
			do = a.notices.CheckCAP
		}
		var all notice.ImportReport
		broken := 0
		for i, name := range files {
			r, err := importFile(ctx, name, do)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				broken++
				_, _ = fmt.Fprintf(io.err, "%s: %v\n", name, err)
				continue
			}
			for _, bad := range r.Rejected {
				_, _ = fmt.Fprintf(io.err, "%s: %s\n", name, bad.Reason)
			}
			all.Add(r)
			_, _ = fmt.Fprintf(io.err, "\r%d of %d files", i+1, len(files))
		}
		_, _ = fmt.Fprintln(io.err)
		if err := printImport(io.out, all); err != nil {
			return err
		}
		if broken > 0 {
			return fmt.Errorf("%d of %d files were not imported", broken, len(files))
		}
		return nil
	})
}

func importFile(ctx context.Context, name string, do func(context.Context, io.Reader) (notice.ImportReport, error)) (notice.ImportReport, error) {
	f, err := os.Open(name)
	if err != nil {
		return notice.ImportReport{}, err
	}
	defer func() { _ = f.Close() }() // only read
	return do(ctx, f)
}

func printImport(w io.Writer, r notice.ImportReport) error {
	_, err := fmt.Fprintf(w, "%d read, %d new, %d changed, %d unchanged, %d rejected; %d barcodes, %d that are none\n",
		r.Read, r.New, r.Changed, r.Unchanged, r.RejectedAll, r.GTINs, r.BadBarcodes)
	return err
}
