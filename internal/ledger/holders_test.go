package ledger_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/ledger"
	"github.com/haisu-trace/haisu/internal/ledger/check"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

// keeper is a holder outside.
type keeper struct {
	*httptest.Server
	mu   sync.Mutex
	got  []string // in the order in which they came
	fail bool
	came chan struct{}
}

func newKeeper(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{came: make(chan struct{}, 100)}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s %s: %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		k.got = append(k.got, string(body))
		if k.fail {
			w.WriteHeader(http.StatusBadGateway)
		}
		k.came <- struct{}{}
	}))
	t.Cleanup(k.Close)
	return k
}

// failing sets what the holder answers from now on.
func (k *keeper) failing(fail bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = fail
}

func (k *keeper) received() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.got)
}

func (k *keeper) wants(t *testing.T, want ...string) {
	t.Helper()
	if got := k.received(); !slices.Equal(got, want) {
		t.Fatalf("the holder got %q\nwant %q", got, want)
	}
}

// A holder gets the newest checkpoint as it is published, at most one a minute, and none twice.
func TestAHolderGetsTheNewestCheckpoint(t *testing.T) {
	t.Parallel()
	b, k := setup(t), newKeeper(t)
	h := b.Holders([]string{k.URL}, k.Client())
	send := func() { t.Helper(); must(t, h.Send(b.ctx, k.URL)) }
	b.write(3)
	b.catchUp()
	first := b.head()
	send()
	send()
	k.wants(t, first.Checkpoint)
	if _, err := check.ParseCheckpoint([]byte(k.received()[0]), publicKey()); err != nil {
		t.Error(err)
	}
	b.write(2)
	b.catchUp()
	b.clock.Advance(59 * time.Second)
	send()
	k.wants(t, first.Checkpoint)
	b.write(2)
	b.catchUp()
	b.clock.Advance(time.Second)
	send()
	newest := b.head()
	k.wants(t, first.Checkpoint, newest.Checkpoint)
	if got := h.Stats(); len(got) != 1 || got[0] != (ledger.HolderStats{URL: k.URL, Size: 7}) {
		t.Errorf("got %+v", got)
	}
	b.clock.Advance(time.Hour)
	send()
	k.wants(t, first.Checkpoint, newest.Checkpoint)

	// Another origin is news, although no leaf has come.
	renewed, err := b.NewOrigin(b.ctx)
	must(t, err)
	send()
	k.wants(t, first.Checkpoint, newest.Checkpoint, renewed.Checkpoint)
}

// A holder that fails is asked again after a minute, two, four, and so on up to a quarter of an hour; in all processes together.
func TestAFailingHolderIsLeftAlone(t *testing.T) {
	t.Parallel()
	b, k := setup(t), newKeeper(t)
	b.write(1)
	b.catchUp()
	h, other := b.Holders([]string{k.URL}, k.Client()), b.open(b.eng).Holders([]string{k.URL}, k.Client())
	k.failing(true)
	for i, minutes := range []int{1, 2, 4, 8, 15, 15} {
		wait := time.Duration(minutes) * time.Minute
		if err := h.Send(b.ctx, k.URL); err == nil || !strings.Contains(err.Error(), "502") {
			t.Fatalf("number %d: %v", i, err)
		}
		b.clock.Advance(wait - time.Millisecond)
		must(t, other.Send(b.ctx, k.URL))
		if n := len(k.received()); n != i+1 {
			t.Fatalf("after failure %d it was asked %d times before %v were over", i+1, n, wait)
		}
		if got := other.Stats()[0].Failures; got != i+1 {
			t.Errorf("the other process knows of %d failures of %d", got, i+1)
		}
		b.clock.Advance(time.Millisecond)
	}
	k.failing(false)
	must(t, h.Send(b.ctx, k.URL))
	if got := h.Stats()[0]; got.Failures != 0 || got.Size != 1 {
		t.Errorf("got %+v", got)
	}
}

// Of many that send at once one does.
func TestACheckpointIsSentByOneProcess(t *testing.T) {
	t.Parallel()
	b, k := setup(t), newKeeper(t)
	b.write(1)
	b.catchUp()
	var wg sync.WaitGroup
	for range 8 {
		h := b.open(b.eng).Holders([]string{k.URL}, k.Client())
		wg.Go(func() {
			if err := h.Send(b.ctx, k.URL); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	wg.Wait()
	k.wants(t, b.head().Checkpoint)
}

// A sender that dies at any of its writes leaves nobody without the checkpoint: it comes again at most.
func TestASenderThatDies(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for at := 1; ; at++ {
			b, k := setup(t), newKeeper(t)
			b.write(1)
			b.catchUp()
			mortal := storetest.NewMortal(b.eng)
			victim := b.open(mortal).Holders([]string{k.URL}, k.Client())
			mortal.DieAt(at, after)
			err := victim.Send(b.ctx, k.URL)
			if !mortal.Dead() {
				if err != nil || at < 3 {
					t.Fatalf("at %d: it lived: %v", at, err)
				}
				break
			}
			heir := b.open(b.eng).Holders([]string{k.URL}, k.Client())
			must(t, heir.Send(b.ctx, k.URL)) // sees the lease of the dead
			b.clock.Advance(6 * time.Second)
			must(t, heir.Send(b.ctx, k.URL))
			got := k.received()
			if len(got) < 1 || len(got) > 2 || slices.ContainsFunc(got, func(c string) bool { return c != b.head().Checkpoint }) {
				t.Fatalf("died at %d, after %v: the holder got %q", at, after, got)
			}
		}
	}
}

// A holder that never answers keeps no other waiting, and the end does not wait for it.
func TestOneHolderKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	b, k := setup(t), newKeeper(t)
	b.write(1)
	b.catchUp()
	reached := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
		close(reached)
		<-r.Context().Done()
	}))
	t.Cleanup(dead.Close)
	ctx, end := context.WithCancel(b.ctx)
	ended := make(chan error)
	go func() { ended <- b.Holders([]string{dead.URL, k.URL}, &http.Client{}).Run(ctx) }()
	<-reached
	<-k.came
	end()
	must(t, <-ended)
	k.wants(t, b.head().Checkpoint)
}
