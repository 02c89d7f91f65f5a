package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/search/bleve"
)

type command func(ctx context.Context, args []string, getenv func(string) string, io streams) error

// commands are the administrative commands. They may run beside a server that uses the same store.
var commands = map[string]command{
	"operator add":       addOperator,
	"operator confirm":   confirmOperator,
	"key add":            addKey,
	"import safety-gate": importSafetyGate,
	"import cap":         importCAP,
	"import sheet":       importSheet,
	"search rebuild":     rebuildSearch,
	"keys prepare":       keysCommand("prepare", prepareKey),
	"keys rotate":        keysCommand("rotate", rotateKeys),
	"keys rewrap":        keysCommand("rewrap", rewrapKeys),
	"keys retire":        keysCommand("retire", retireKeys),
	"verify":             verify,
	"ledger new-origin":  newOrigin,
	"backup":             backupStore,
	"restore":            restoreStore,
}

// within opens the program for a command and closes it again.
func within(ctx context.Context, cfg *config, w io.Writer, do func(a *app) error) error {
	a, err := open(ctx, cfg, newLogger(cfg, w))
	if err != nil {
		return err
	}
	return errors.Join(do(a), a.close())
}

// byCommand is the actor of whoever has the machine: the trail cannot know more.
const byCommand = "command"

// traced does what a command is for between an attempt and an end in the audit trail. What cannot be kept there is not done; what is shown once
// is shown by do, whether or not the end can be kept.
func (a *app) traced(ctx context.Context, action, subject string, do func() (after any, err error)) error {
	act, err := a.trail.Begin(ctx, audit.Entry{Actor: byCommand, Action: action, Subject: subject})
	if err != nil {
		return fmt.Errorf("nothing was done: %w", err)
	}
	after, err := do()
	if err != nil {
		return errors.Join(err, act.Failed(ctx, cmp.Or(fault.CodeOf(err), "internal")))
	}
	if err := act.Done(ctx, audit.Change{After: after}); err != nil {
		return fmt.Errorf("done, but the end is not in the audit trail: %w", err)
	}
	return nil
}

// addedOperator is what the trail keeps of an operator whom the command added.
type addedOperator struct {
	Authority string        `json:"authority"`
	Roles     []access.Role `json:"roles"`
	Level     warning.Level `json:"level,omitempty"`
}

// addedKey is what the trail keeps of a key that the command gave.
type addedKey struct {
	Key string `json:"key"` // its ID
}

func addOperator(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	var n access.NewOperator
	var roles, level string
	cfg, rest, err := parse("operator add", args, getenv, io, func(fs *flag.FlagSet) {
		fs.StringVar(&n.Name, "operator-name", "", "the officer's name, as it is shown")
		fs.StringVar(&n.Authority, "authority", "", "the body that the officer acts for")
		fs.StringVar(&roles, "roles", "officer,publisher", "what the operator may do, separated by commas: "+fmt.Sprint(access.Roles))
		fs.StringVar(&level, "level", string(warning.Red), "up to which a publisher publishes: red, orange, yellow or blue")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 1, "one argument: the login"); err != nil {
		return err
	}
	n.Login = rest[0]
	for _, r := range list(roles) {
		n.Roles = append(n.Roles, access.Role(r))
	}
	if slices.Contains(n.Roles, access.Publisher) {
		n.Level = warning.Level(level)
	}
	_, _ = fmt.Fprint(io.err, "Password (at least 12 characters): ")
	line, err := bufio.NewReader(io.in).ReadString('\n')
	if n.Password = strings.TrimRight(line, "\r\n"); n.Password == "" {
		return errors.Join(errors.New("no password on standard input"), err)
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		return a.traced(ctx, "operator add", fmt.Sprintf("operator/%.128s", n.Login), func() (any, error) {
			e, err := a.access.AddOperator(ctx, n)
			if err != nil {
				return nil, err
			}
			_, err = fmt.Fprintf(io.out, "operator %s added\none-time code secret: %s\n%s\nrecovery codes, each good once in place of a one-time code:\n%s\n",
				n.Login, e.TOTPSecret, e.OtpauthURL, strings.Join(e.RecoveryCodes, "\n"))
			return addedOperator{n.Authority, n.Roles, n.Level}, err
		})
	})
}

// confirmOperator stands for what one administrator did, where there is no other one to do so.
func confirmOperator(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	cfg, rest, err := parse("operator confirm", args, getenv, io, nil)
	if err != nil {
		return err
	}
	if err := want(rest, 1, "one argument: the login"); err != nil {
		return err
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		return a.traced(ctx, "operator confirm", fmt.Sprintf("operator/%.128s", rest[0]), func() (any, error) {
			before, after, err := a.access.ConfirmOperator(ctx, rest[0], 0, "")
			if err != nil {
				return nil, err
			}
			text := "operator %s waits for nobody's confirmation\n"
			if len(before.Proposed) > 0 {
				text = "operator %s confirmed\n"
			}
			_, err = fmt.Fprintf(io.out, text, after.Login)
			return addedOperator{after.Authority, after.Roles, after.Level}, err
		})
	})
}

func addKey(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	var label, name, nameEn, kind, prefixes, grants, glns string
	cfg, rest, err := parse("key add", args, getenv, io, func(fs *flag.FlagSet) {
		fs.StringVar(&label, "label", "", "what the key is for")
		fs.StringVar(&name, "name", "", "Chinese name: makes the firm, or replaces what is known of it")
		fs.StringVar(&nameEn, "name-en", "", "English name")
		fs.StringVar(&kind, "kind", firm.Importer, "producer, importer, duty_free, cross_border_ecommerce, domestic_agent, platform, carrier, warehouse or authority")
		fs.StringVar(&prefixes, "prefixes", "", "GS1 company prefixes that it is the registrant of, separated by commas")
		fs.StringVar(&grants, "grants", "", "company prefixes of others that it may commission for")
		fs.StringVar(&glns, "glns", "", "its GLNs")
	})
	if err != nil {
		return err
	}
	if err := want(rest, 1, "one argument: the firm's ID"); err != nil {
		return err
	}
	f := firm.Firm{ID: rest[0], Name: lang.ZhEn(name, nameEn), Kind: kind, Prefixes: list(prefixes), Grants: list(grants), GLNs: list(glns)}
	return within(ctx, cfg, io.err, func(a *app) error {
		return a.traced(ctx, "key add", fmt.Sprintf("firm/%.128s", f.ID), func() (any, error) {
			if name != "" || nameEn != "" {
				err = a.firms.Put(ctx, f)
			} else if _, err = a.firms.Get(ctx, f.ID); fault.KindOf(err) == fault.NotFound {
				err = fmt.Errorf("%w; give its name to make it", err)
			}
			if err != nil {
				return nil, err
			}
			k, plain, err := a.access.AddKey(ctx, access.NewKey{Firm: f.ID, Label: label, By: byCommand})
			if err != nil {
				return nil, err
			}
			_, err = fmt.Fprintf(io.out, "key of %s, shown once: %s\n", f.ID, plain)
			return addedKey{k.ID}, err
		})
	})
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func rebuildSearch(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	cfg, rest, err := parse("search rebuild", args, getenv, io, nil)
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		index, sync, err := a.openSearch(ctx)
		if err != nil {
			return err
		}
		if ix, ok := index.(*bleve.Index); ok && ix.Private() != nil {
			return errors.New("the search index of DATA_DIR is in use; stop the server first")
		}
		if err := sync.Rebuild(ctx); err != nil {
			return err
		}
		_, err = fmt.Fprintln(io.out, "search index rebuilt")
		return err
	})
}
