package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/lang"
)

// importSheet imports a spreadsheet for a firm at once, by the code that imports what is posted. What is wrong with rows goes to standard error, and makes
// the command fail.
func importSheet(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	var dry bool
	var id, tag string
	cfg, rest, err := parse("import sheet", args, getenv, io, func(fs *flag.FlagSet) {
		fs.BoolVar(&dry, "dry-run", false, "say what would change, and change nothing")
		fs.StringVar(&id, "firm", "", "the firm's ID; its rights count")
		fs.StringVar(&tag, "lang", lang.ZhHans, "the language of what is said about rows: zh-Hans or en")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 2, "two arguments: products, lots, codes or events, and the file"); err != nil {
		return err
	}
	kind := bulk.Kind(rest[0])
	if !kind.Valid() || id == "" || !lang.Valid(tag) {
		return errors.New("import sheet products|lots|codes|events FILE -firm ID [-dry-run] [-lang zh-Hans|en]")
	}
	file, err := os.Open(rest[1])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		f, err := a.firms.Get(ctx, id)
		if err != nil {
			return err
		}
		o, err := bulk.Load(ctx, a.trace, f, kind, dry, file, info.Size(), func(problems []bulk.Problem, t bulk.Tally, done, total int64) {
			for i := range problems {
				p := &problems[i]
				_, _ = fmt.Fprintf(io.err, "\rrow %d %s %s %q %s: %s\n", p.Row, p.Cell, p.Title(kind, tag), p.Value, p.Code, p.Text(kind, tag))
			}
			_, _ = fmt.Fprintf(io.err, "\r%d rows, %d %%", t.Rows, 100*done/max(total, 1))
		})
		_, _ = fmt.Fprintln(io.err)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.out, "%d rows, %d new, %d changed, %d unchanged, %d refused; %d errors\n", o.Rows, o.New, o.Changed, o.Unchanged, o.Refused, o.Problems)
		if err == nil && o.Problems > 0 {
			err = fmt.Errorf("%d errors", o.Problems)
		}
		return err
	})
}
