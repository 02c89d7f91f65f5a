package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"sync"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Holders sends checkpoints to those outside who keep them. Each has work of its own, so one that is down or slow keeps no other
// waiting. What is sent is the newest checkpoint, at most one a minute: it covers all that were left out. Delivery is at least
// once, and in order of sizes.
type Holders struct {
	log    *Service
	urls   []string
	client *http.Client

	mu   sync.Mutex
	seen map[string]HolderStats
}

const (
	// holderEvery is the least time between two checkpoints to one holder.
	holderEvery = time.Minute
	// holderPatience is the most that a failing holder is left alone.
	holderPatience = 15 * time.Minute
	// holderLook is how often it is looked at whether something is to be sent.
	holderLook = 5 * time.Second
	// maxAnswer is how much of an answer is read, in bytes: none of it is used.
	maxAnswer = 4 << 10
)

// holderDoc is what a holder has been sent. Its ID is the hash of its address.
type holderDoc struct {
	URL      string    `json:"url"`
	Origin   string    `json:"origin,omitempty"` // of the checkpoint that it has
	Size     int64     `json:"size"`
	At       time.Time `json:"at,omitzero"` // when it got it
	Next     time.Time `json:"next"`        // not before this
	Failures int       `json:"failures,omitempty"`
	Error    string    `json:"error,omitempty"`
	Fence    int64     `json:"fence"`
}

// HolderStats is what metrics show of a holder.
type HolderStats struct {
	URL      string
	Size     int64 // of the checkpoint that it has
	Failures int   // since its last success
}

// Holders gives the senders to a list of addresses. The client decides which addresses may be reached.
func (s *Service) Holders(urls []string, client *http.Client) *Holders {
	return &Holders{log: s, urls: urls, client: client, seen: map[string]HolderStats{}}
}

// Run sends checkpoints until ctx ends. It may run in every replica, and be killed at any instruction.
func (h *Holders) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, url := range h.urls {
		wg.Go(func() {
			name := hostOf(url)
			for ctx.Err() == nil {
				if err := h.Send(ctx, url); err != nil && ctx.Err() == nil {
					h.log.log.WarnContext(ctx, "a checkpoint was not delivered", "holder", name, "error", err)
				}
				_ = pause(ctx, holderLook) // the end of ctx ends the loop
			}
		})
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// hostOf is what logs call a holder: a path may hold a secret.
func hostOf(address string) string {
	u, err := neturl.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func holderID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:])
}

// Send sends the newest checkpoint to a holder if it does not have it, and if it is time. An error says that it was tried and failed, or that the
// store cannot be reached.
func (h *Holders) Send(ctx context.Context, url string) error {
	s := h.log
	due, err := h.due(ctx, url)
	if err != nil || due == nil {
		return err
	}
	held, ok, err := s.deps.Leases.Try(ctx, lease+"/holder/"+holderID(url))
	if err != nil || !ok {
		return err
	}
	defer func() { _ = held.Release(context.WithoutCancel(ctx)) }()
	if due, err = h.due(ctx, url); err != nil || due == nil { // another process may have done it just now
		return err
	}
	sent := h.post(ctx, url, due.Note)
	now, err := s.holders.Upsert(ctx, holderID(url), func(d *holderDoc) error {
		if d.Fence > held.Fence {
			return errFenced
		}
		d.URL, d.Fence = url, held.Fence
		if sent != nil {
			d.Failures++
			d.Error = sent.Error()
			d.Next = s.time().Add(min(holderEvery<<min(d.Failures-1, 8), holderPatience))
			return nil //nolint:nilerr // kept in the document, for the next try and for who looks
		}
		d.Origin, d.Size, d.At, d.Next, d.Failures, d.Error = due.Origin, due.Size, s.time(), s.time().Add(holderEvery), 0, ""
		return nil
	})
	switch {
	case errors.Is(err, errFenced):
		err = nil
	case err == nil:
		h.saw(url, &now.V)
	}
	return errors.Join(sent, err)
}

// due is the state that a holder is to be told of now; nil for nothing.
func (h *Holders) due(ctx context.Context, url string) (*state, error) {
	s := h.log
	st, err := s.published(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.holders.Get(ctx, holderID(url))
	if errors.Is(err, store.ErrNotFound) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	h.saw(url, &d.V)
	if st.Origin == d.V.Origin && st.Size <= d.V.Size || s.now().Before(d.V.Next) {
		return nil, nil //nolint:nilnil // nothing is due
	}
	return st, nil
}

func (h *Holders) post(ctx context.Context, url, note string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(note)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := h.client.Do(req)
	if e, ok := errors.AsType[*neturl.Error](err); ok {
		return e.Err // without the address, which see hostOf
	}
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()                         // nothing of it is used
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the holder answers %s", resp.Status)
	}
	return nil
}

// Stats gives what each holder has, in the order of the addresses, as far as this process has seen.
func (h *Holders) Stats() []HolderStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]HolderStats, len(h.urls))
	for i, url := range h.urls {
		out[i] = h.seen[url]
		out[i].URL = url
	}
	return out
}

func (h *Holders) saw(url string, d *holderDoc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[url] = HolderStats{Size: d.Size, Failures: d.Failures}
}
