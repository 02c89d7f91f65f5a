package warning

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// Match is one warning in force that covers the goods.
type Match struct {
	Warning *Message // read only
	Certain bool
	Via     gs1.Ref // what matched: the subject itself or one of its ancestors
	Why     string  // one of the Why… codes
}

// feed is what the matcher follows.
type feed interface {
	Changes(ctx context.Context, token string, limit int) ([]store.Changed[Message], string, error)
	Wake() <-chan struct{}
}

// Matcher holds every warning in force in memory. Match reads an immutable snapshot and takes no lock; everything else keeps
// that snapshot true. It is safe for concurrent use.
type Matcher struct {
	feed feed
	mono func() time.Duration
	log  *slog.Logger

	snap atomic.Pointer[snapshot]

	mu     sync.Mutex // guards latest, and the making of snapshots
	latest map[string]*newest

	poll      chan struct{} // holds one token: whoever has it may poll
	token     string        // position in the feed; belongs to the poller
	confirmed atomic.Int64  // when the last poll that found nothing more started, on the mono clock; negative: never

	flightMu sync.Mutex
	flight   *flight
}

// newest is the newest message that is known of a warning. In a well-formed warning the newest message alone decides the
// status, so messages may arrive in any order and any number of times.
type newest struct {
	rev int
	msg *Message // nil when not in force
}

// NewMatcher makes an empty matcher; Refresh or Run fill it.
func NewMatcher(f feed, o Options) *Matcher {
	o = o.filled()
	m := &Matcher{feed: f, mono: o.Mono, log: o.Log, latest: map[string]*newest{}, poll: make(chan struct{}, 1)}
	m.snap.Store(newSnapshot())
	m.confirmed.Store(-1)
	return m
}

// Match appends to dst the warnings that cover the goods: recalls first, then by level, then certain before possible, then the newest
// first. Each warning appears once, with its most certain match. The matches hold what the matcher knew at the call; ask
// Confirm first whether that is recent.
func (m *Matcher) Match(dst []Match, s Subject) []Match {
	snap := m.snap.Load()
	base := len(dst)
	for at := -1; at < len(s.Ancestors); at++ {
		r := s.ref(at)
		entries := snap.find(r.GTIN)
		var bit uint64
		for i := range entries {
			if mask := entries[i].lotMask; mask != 0 && r.Lot != "" {
				if bit == 0 {
					bit = lotBit(r.Lot)
				}
				if mask&bit == 0 {
					continue
				}
			}
			v, why := entries[i].judge(s.known(at))
			if v == no || v == possible && s.generalised(at) {
				continue
			}
			dst = addMatch(dst, base, Match{Warning: entries[i].msg, Certain: v == certain, Via: r, Why: why})
		}
	}
	slices.SortFunc(dst[base:], worstFirst)
	return dst
}

// addMatch keeps one match per warning, the first of the most certain ones.
func addMatch(dst []Match, base int, n Match) []Match {
	for i := base; i < len(dst); i++ {
		if dst[i].Warning != n.Warning {
			continue
		}
		if n.Certain && !dst[i].Certain {
			dst[i] = n
		}
		return dst
	}
	return append(dst, n)
}

func worstFirst(a, b Match) int {
	if c := cmp.Compare(b.Warning.severity(), a.Warning.severity()); c != 0 {
		return c
	}
	if a.Certain != b.Certain {
		if a.Certain {
			return -1
		}
		return 1
	}
	return newestFirst(a.Warning, b.Warning)
}

func newestFirst(a, b *Message) int {
	if c := b.Published.Compare(a.Published); c != 0 {
		return c
	}
	return cmp.Compare(b.No, a.No)
}

// InForce gives every warning in force, worst first. The messages are read only.
func (m *Matcher) InForce() []*Message {
	m.mu.Lock()
	out := make([]*Message, 0, len(m.latest))
	for _, n := range m.latest {
		if n.msg != nil {
			out = append(out, n.msg)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(out, func(a, b *Message) int {
		if c := cmp.Compare(b.severity(), a.severity()); c != 0 {
			return c
		}
		return newestFirst(a, b)
	})
	return out
}

// Apply tells the matcher of messages without the store, so that a publisher's own process knows at once. Messages that are older
// than what is known are passed over. The messages MUST NOT change afterwards.
func (m *Matcher) Apply(messages ...*Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var e *edit
	for _, msg := range messages {
		n := m.latest[msg.No]
		if n == nil {
			n = &newest{}
			m.latest[msg.No] = n
		}
		if msg.Rev <= n.rev {
			continue
		}
		if e == nil {
			e = m.snap.Load().edit()
		}
		if n.msg != nil {
			e.remove(n.msg)
		}
		n.rev, n.msg = msg.Rev, nil
		if msg.Kind.After() == StatusInForce {
			n.msg = msg
			e.add(msg)
		}
	}
	if e != nil {
		m.snap.Store(e.snapshot)
	}
}
