package httpapi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// How a process with too much to do keeps up with what it has to turn away.
//
// A request can be turned away in some 20 µs, but only once the process has noticed it. The runtime asks the system for what arrived when it has
// nothing else to run, and every 10 ms otherwise, so while all that can be done is being done, what arrives lies unread, and the answers
// to everybody come late. So the gates that turn requests away start less work, until what arrives is noticed in time.
//
// How late that is is measured and not guessed: with a byte that goes through a pipe, past the same poller as requests. It only matters while turning
// away takes a good part of the time: a process can be late for other reasons, and doing less would not help against those.
const (
	lateAfter  = 30 * time.Millisecond
	earlyAfter = 15 * time.Millisecond
	probeEvery = 50 * time.Millisecond
	slowBy     = 0.8
	fastenBy   = 1.1
	// forgetAfter is how long a pace holds when nobody is turned away any more.
	forgetAfter = 2 * time.Second
	// turnTime is what turning one request away takes, and turnShare the share of the cores' time from which on it matters.
	turnTime  = 25 * time.Microsecond
	turnShare = 0.2
)

// lateness measures how late a process notices what arrives. It is safe for concurrent use.
type lateness struct {
	w    atomic.Pointer[os.File] // nil while nobody listens
	sent atomic.Int64            // when the byte under way was written, in Unix nanoseconds; 0: none is
	next atomic.Int64            // when to measure again

	turned atomic.Int64 // requests turned away since crowded was asked
	asked  atomic.Int64 // when that was
}

// crowded says whether turning requests away takes a good part of the time of so many cores.
func (l *lateness) crowded(now time.Time, cores int) bool {
	elapsed := now.UnixNano() - l.asked.Swap(now.UnixNano())
	return float64(l.turned.Swap(0))*float64(turnTime) > turnShare*float64(elapsed)*float64(cores)
}

// probe notes that a request was turned away, and begins a measurement if it is time for one. A byte that has been under way for long says enough: then probe gives how long.
func (l *lateness) probe(now time.Time) (late time.Duration) {
	l.turned.Add(1)
	at, next := now.UnixNano(), l.next.Load()
	w := l.w.Load()
	if w == nil || at < next || !l.next.CompareAndSwap(next, at+int64(probeEvery)) {
		return 0
	}
	if sent := l.sent.Load(); sent != 0 {
		return time.Duration(at - sent)
	}
	l.sent.Store(at)
	if _, err := w.Write([]byte{0}); err != nil {
		l.sent.Store(0) // the pipe was closed: nobody listens any more
	}
	return 0
}

// run gives each measurement to note, until ctx ends.
func (l *lateness) run(ctx context.Context, note func(time.Duration)) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("a pipe to measure lateness with: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		l.w.Store(nil)
		_ = w.Close() // ends the read below
	})
	defer stop()
	l.w.Store(w)
	var b [1]byte
	for {
		if _, err := r.Read(b[:]); err != nil {
			if ctx.Err() != nil { // the end that was asked for
				err = nil
			}
			return errors.Join(r.Close(), err)
		}
		if sent := l.sent.Swap(0); sent != 0 {
			note(time.Duration(time.Now().UnixNano() - sent))
		}
	}
}

// pace is how many pieces of work a gate begins in a second. It is used under the gate's lock.
type pace struct {
	rate   float64 // 0: as many as there are places for
	tokens float64
	filled int64   // when tokens were counted, in Unix nanoseconds
	begun  int     // since the last adjustment
	since  int64   // when that was
	usual  float64 // what rate was begun of late while there was no other bound than places
}

// may says whether a piece of work may begin now, and counts it if so.
func (p *pace) may(now int64, burst int) bool {
	if !p.has(now, burst) {
		return false
	}
	if p.rate > 0 {
		p.tokens--
	}
	p.begun++
	return true
}

// has says whether a piece of work might begin now.
func (p *pace) has(now int64, burst int) bool {
	if p.rate > 0 && now-p.since > int64(forgetAfter) {
		p.rate = 0
	}
	if p.rate == 0 {
		return true
	}
	p.tokens = min(p.tokens+p.rate*float64(max(now-p.filled, 0))/1e9, float64(burst))
	p.filled = now
	return p.tokens >= 1
}

// adjust slows down if late, and fastens if not. least is a rate that it never goes below.
func (p *pace) adjust(now int64, late time.Duration, least float64) {
	elapsed := now - p.since
	if elapsed < int64(probeEvery)/2 {
		return
	}
	begun := float64(p.begun) * 1e9 / float64(elapsed)
	p.begun, p.since = 0, now
	if elapsed > int64(forgetAfter) { // nobody was turned away for a while, so nothing is known
		p.usual = begun
		return
	}
	if p.rate == 0 {
		p.usual += (begun - p.usual) / 8 // work begins in bunches
	}
	switch {
	case late > lateAfter:
		if p.rate == 0 {
			p.rate, p.tokens, p.filled = p.usual, 0, now
		}
		p.rate = max(p.rate*slowBy, least)
	case late < earlyAfter && p.rate > 0:
		if p.rate *= fastenBy; p.rate > 1.5*p.usual {
			p.rate = 0
		}
	}
}
