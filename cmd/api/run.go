package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

const usage = `usage: api [command] [flags]

  serve                        serve HTTP and do the background work (default)
  operator add LOGIN           add an officer; the password is read from standard input
  key add FIRM                 give a firm an API key; with -name a firm that is new is made
  import safety-gate FILE      import EU Safety Gate alerts as foreign notices
  import cap FILE...           import CAP messages as foreign notices
  keys prepare|rotate|rewrap|retire
                               rotate the keys of KEYS_FILE, in this order
  search rebuild               rebuild the search index from the store
  verify                       check the audit trail: -checkpoint FILE, -write-checkpoint FILE, -export FILE
  backup -out DIR              write the whole store into two encrypted files, while servers go on
  restore -from FILE           restore a backup into an empty store; with -check only verify it
  version                      print the version

Settings are flags or environment variables; 'api serve -h' lists them.
`

// run is the program: everything but signals and the exit code. It returns when ctx ends and all work under way is done.
func run(ctx context.Context, args []string, getenv func(string) string, in io.Reader, out, errw io.Writer) error {
	io := streams{in, out, errw}
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return runServe(ctx, args, getenv, io)
	case "version":
		_, err := fmt.Fprintln(out, "haisu", version())
		return err
	case "help":
		_, err := fmt.Fprint(out, usage)
		return err
	}
	if do, rest, ok := findCommand(command, args); ok {
		return do(ctx, rest, getenv, io)
	}
	_, _ = fmt.Fprint(errw, usage) // nothing is left to tell if this fails
	return errUsage
}

// findCommand finds the administrative command of one word, or of two, and gives the arguments that follow it.
func findCommand(word string, args []string) (do command, rest []string, ok bool) {
	if do, ok = commands[word]; ok {
		return do, args, true
	}
	if len(args) == 0 {
		return nil, nil, false
	}
	do, ok = commands[word+" "+args[0]]
	return do, args[1:], ok
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	return v
}

// parse reads flags and settings of a command. extra adds the command's own flags.
func parse(name string, args []string, getenv func(string) string, io streams, extra func(fs *flag.FlagSet)) (*config, []string, error) {
	fs, values := newFlags(name, io.err)
	if extra != nil {
		extra(fs)
	}
	// Flags may stand before and after the arguments.
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, nil, errUsage // the flag set has said why
		}
		if fs.NArg() == 0 {
			break
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
	c, err := load(fs, values, getenv)
	if err != nil {
		return nil, nil, fmt.Errorf("settings:\n%w", err)
	}
	return c, rest, nil
}

func newLogger(c *config, w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.LogLevel}))
}

// want checks the number of arguments.
func want(rest []string, n int, what string) error {
	if len(rest) != n {
		return errors.New("want " + what)
	}
	return nil
}
