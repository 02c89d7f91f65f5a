package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/haisu-trace/haisu/internal/ledger"
	logcheck "github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/outbound"
)

// logFlags are what 'api verify' is asked for of the transparency log.
type logFlags struct{ against, url, key string }

// verifyLog rebuilds the transparency log of the store from the documents, and fails at the first that is not what was logged.
func verifyLog(ctx context.Context, a *app, f logFlags, io streams) error {
	against, err := readNote(f.against)
	if err != nil {
		return err
	}
	h, err := a.ledger.Head(ctx)
	if err != nil {
		return err
	}
	key, err := logcheck.ParseKey(h.Key)
	if err != nil {
		return err
	}
	if err := checkLog(ctx, logcheck.Stored(a.ledger), key, against, io); err != nil {
		return err
	}
	return checkBacklog(ctx, a.ledger, io)
}

// shownLost is how many documents without a leaf are named.
const shownLost = 10

// checkBacklog looks for stored documents that the log does not have. Those that wait for their turn are told of, and are no fault.
func checkBacklog(ctx context.Context, l *ledger.Service, io streams) error {
	b, err := l.Backlog(ctx)
	if err != nil {
		return fmt.Errorf("the stored documents cannot be compared with the transparency log: %w", err)
	}
	if b.Waiting > 0 {
		if _, err := fmt.Fprintf(io.out, "%d documents wait for their leaves; a server gives them\n", b.Waiting); err != nil {
			return err
		}
	}
	if len(b.Lost) == 0 {
		return nil
	}
	for _, d := range b.Lost[:min(len(b.Lost), shownLost)] {
		if _, err := fmt.Fprintf(io.out, "no leaf: %s %s\n", d.Kind, d.Key); err != nil {
			return err
		}
	}
	return fmt.Errorf("%d stored documents have no leaf of their own in the transparency log: they, or what leads from them to their leaves, were not written by this program", len(b.Lost))
}

// verifyRemote does so over HTTP, with what anyone may read. It needs neither store nor keys.
func verifyRemote(ctx context.Context, f logFlags, io streams) error {
	against, err := readNote(f.against)
	if err != nil {
		return err
	}
	u, err := url.Parse(f.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("-url: %q is no http or https URL", f.url)
	}
	client, err := outbound.New(outbound.Config{Allow: meant(u), PlainHTTP: u.Scheme == "http", MaxBody: logcheck.MaxResponse})
	if err != nil {
		return err
	}
	remote := logcheck.NewRemote(u.Scheme+"://"+u.Host, client)
	if f.key == "" {
		if f.key, err = remote.Key(ctx); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(io.err, "the key is the one that the server tells; to be sure, give the one that you know with -key: %s\n", f.key)
	}
	key, err := logcheck.ParseKey(f.key)
	if err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	return checkLog(ctx, remote, key, against, io)
}

func checkLog(ctx context.Context, log logcheck.Log, key ed25519.PublicKey, against []byte, io streams) error {
	r, err := logcheck.Run(ctx, log, logcheck.Options{Key: key, Against: against, Progress: progressTo(io.err, "leaves")})
	if err != nil {
		return fmt.Errorf("the transparency log cannot be read: %w", err)
	}
	if r.Broken != nil {
		if _, err := fmt.Fprintf(io.out, "%d leaves are in order; then the transparency log is broken\n", r.Leaves); err != nil {
			return err
		}
		return fmt.Errorf("the transparency log is not what was logged: %w", r.Broken)
	}
	text := fmt.Sprintf("the transparency log is in order: %d leaves, origin %s", r.Leaves, r.Checkpoint.Origin)
	if r.Forgotten > 0 {
		text += fmt.Sprintf("; of %d the document was forgotten", r.Forgotten)
	}
	if r.Against != nil {
		text += fmt.Sprintf("; it begins with the %d of the checkpoint", r.Against.Size)
		if r.Against.Origin != r.Checkpoint.Origin {
			text += ", which is from before a restore, of " + r.Against.Origin
		}
	}
	_, err = fmt.Fprintln(io.out, text)
	return err
}

func readNote(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	return os.ReadFile(path)
}

// newOrigin makes the log another one, for a store that was put back by other means than 'api restore'.
func newOrigin(ctx context.Context, args []string, getenv func(string) string, io streams) error {
	cfg, rest, err := parse("ledger new-origin", args, getenv, io, nil)
	if err != nil {
		return err
	}
	if err := want(rest, 0, "no argument"); err != nil {
		return err
	}
	return within(ctx, cfg, io.err, func(a *app) error {
		h, err := a.ledger.NewOrigin(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.out, "the log goes on with %d leaves as %s\n", h.Size, h.Origin)
		return err
	})
}

var errNotBoth = errors.New("-url checks a server's log; it goes with -against and -key alone")

var _ logcheck.Store = (*ledger.Service)(nil)
