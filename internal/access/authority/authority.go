// Package authority holds the public bodies as data: what each is competent for, from when to when, and which body took over from
// it. Officers, queues, the right to publish and legal clocks hang on an authority's ID; the ID of a body that was merged stays
// good, because Acting leads on to whoever acts for it.
//
// All bodies are one document. They bind each other (a successor must exist on the day; no two may be equally competent), and the
// store has no transaction over several documents; a province has some hundred bodies, which is far from the 1 MiB of a document.
package authority

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// Authority is a public body. Values that this package gives are shared and MUST NOT be changed.
type Authority struct {
	ID          string       `json:"id"` // [a-z0-9-], 2 to 40
	Name        lang.Text    `json:"name"`
	Kind        string       `json:"kind"` // a code of Kinds
	Competences []Competence `json:"competences,omitempty"`
	From        string       `json:"from,omitempty"`      // YYYY-MM-DD in China; "": before all records
	To          string       `json:"to,omitempty"`        // exclusive; "": it still exists
	Successor   string       `json:"successor,omitempty"` // who acts from To on; "" with To: nobody does
	Basis       string       `json:"basis,omitempty"`     // the decision or law that says so
	Revision    int64        `json:"revision"`            // 1, 2, …; what Put wants back
}

// Competence is a part of what a body is competent for. An empty list is no restriction.
type Competence struct {
	Matters []string `json:"matters,omitempty"` // codes of Matters
	Classes []string `json:"classes,omitempty"` // product categories, codes of warning.Categories
	Stages  []string `json:"stages,omitempty"`  // codes of Stages
	Places  []string `json:"places,omitempty"`  // GB/T 2260: the first 2, 4 or 6 digits of a place's code
}

// The matters.
const (
	MatterWarning   = "warning"   // publishing warnings
	MatterComplaint = "complaint" // 投诉
	MatterTip       = "tip"       // 举报
	MatterResale    = "resale"    // resale of duty-free goods
)

// The stages at which goods are.
const (
	StagePort   = "port"
	StageMarket = "market"
)

// Matters and Stages are the vocabularies.
var (
	Matters = []string{MatterWarning, MatterComplaint, MatterTip, MatterResale}
	Stages  = []string{StagePort, StageMarket}
)

// Kinds are the kinds of bodies, the ones that were merged in 2018 included.
var Kinds = []string{
	"market", "customs", "anti_smuggling", "drug", "quarantine", "industry_commerce", "quality_supervision", "food_drug", "demonstration",
}

// AllClasses stands for every product class, as in access.Principal.
const AllClasses = "*"

// register is all bodies, in the order of their IDs.
type register struct {
	Bodies []Authority `json:"bodies"`
}

const registerID = "register"

// Options are what a Service needs beside the store. The zero value is for production.
type Options struct {
	Now  clock.Now            // default time.Now
	Mono func() time.Duration // a clock that never jumps; default: since the process started
	Log  *slog.Logger         // default: nothing is logged
}

var processStart = time.Now()

// Service keeps the bodies and answers from a copy in memory that is at most 2 s behind the store. It is safe for concurrent
// use, and replicas may share a store.
type Service struct {
	docs *store.Collection[register]
	now  clock.Now
	mono func() time.Duration
	log  *slog.Logger

	snap      atomic.Pointer[snapshot]
	confirmed atomic.Int64  // when the last poll that found nothing more started, on the mono clock; negative: never
	poll      chan struct{} // holds one token: whoever has it may poll
	token     string        // position in the feed; belongs to the poller

	applyMu sync.Mutex // guards the replacing of snap
}

// Open opens the collection and reads it.
func Open(ctx context.Context, eng store.Engine, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Mono == nil {
		o.Mono = func() time.Duration { return time.Since(processStart) }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{now: o.Now, mono: o.Mono, log: o.Log, poll: make(chan struct{}, 1)}
	s.snap.Store(newSnapshot(0, nil))
	s.confirmed.Store(-1)
	var err error
	if s.docs, err = store.Open(ctx, eng, store.Def[register]{Name: "authorities", Feed: true}); err != nil {
		return nil, err
	}
	return s, s.Refresh(ctx)
}

// Get gives a body. NotFound (authority_unknown), Unavailable.
func (s *Service) Get(ctx context.Context, id string) (Authority, error) {
	sn, err := s.fresh(ctx)
	if err != nil {
		return Authority{}, err
	}
	return sn.get(id)
}

// maxPage is the largest page.
const maxPage = 100

// List gives the bodies in the order of their IDs; the cursor is the last ID of the page before. limit is 1 to 100, default 50.
// Malformed (bad_cursor), Unavailable.
func (s *Service) List(ctx context.Context, cursor string, limit int) (bodies []Authority, next string, err error) {
	if cursor != "" && !idPattern.MatchString(cursor) {
		return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave")
	}
	sn, err := s.fresh(ctx)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		limit = 50
	}
	limit = min(limit, maxPage)
	at, found := slices.BinarySearchFunc(sn.bodies, cursor, func(a Authority, id string) int { return strings.Compare(a.ID, id) })
	if found {
		at++
	}
	bodies = slices.Clone(sn.bodies[at:min(at+limit, len(sn.bodies))])
	if at+limit < len(sn.bodies) {
		next = bodies[len(bodies)-1].ID
	}
	return bodies, next, nil
}

// Put adds a body (revision 0), or replaces it if it still has that revision, and gives it as it was before (the zero value when it
// is new) and as it is now. It is checked against all others in the same write, so nothing that another replica does meanwhile
// can break a rule. A repetition of the Put that made the present revision changes nothing and gives it as before and after.
//
// Invalid, with all that is wrong; Conflict (authority_changed).
func (s *Service) Put(ctx context.Context, a Authority, revision int64) (before, after Authority, err error) {
	a = a.normalized()
	if err := a.check(); err != nil {
		return Authority{}, Authority{}, err
	}
	d, err := s.docs.Upsert(ctx, registerID, func(r *register) error {
		before, after, err = r.put(a, revision)
		return err
	})
	if errors.Is(err, errThere) {
		return before, after, nil
	}
	if err != nil {
		if errors.Is(err, store.ErrTooLarge) {
			err = fault.New(fault.TooLarge, "too_many_authorities", "there is no room for more authorities and competences").Because(err)
		}
		return Authority{}, Authority{}, err
	}
	s.apply(d.Rev, d.V.Bodies)
	return before, after, nil
}

// errThere stops an update that has been made already.
var errThere = errors.New("authority: already there")

// put changes the register. It checks what the bodies owe each other.
func (r *register) put(a Authority, revision int64) (before, after Authority, err error) {
	at, found := slices.BinarySearchFunc(r.Bodies, a.ID, func(b Authority, id string) int { return strings.Compare(b.ID, id) })
	if found {
		before = r.Bodies[at]
	}
	a.Revision = revision + 1
	if before.Revision == a.Revision && before.same(&a) {
		return before, before, errThere
	}
	if before.Revision != revision {
		return before, a, fault.New(fault.Conflict, "authority_changed",
			"authority %s has revision %d by now; read it again and put your changes into it", a.ID, before.Revision)
	}
	if found {
		r.Bodies[at] = a
	} else {
		r.Bodies = slices.Insert(r.Bodies, at, a)
	}
	return before, a, checkAmong(r.Bodies, a.ID)
}

// Seed adds the built-in bodies that are not there yet, and says how many. What was changed since is left alone, and so is the rest
// where a built-in body no longer fits what somebody entered: that is logged.
func (s *Service) Seed(ctx context.Context) (added int, err error) {
	list, err := BuiltIn()
	if err != nil {
		return 0, err
	}
	sn, err := s.fresh(ctx)
	if err != nil {
		return 0, err
	}
	for _, a := range list {
		if _, there := sn.byID[a.ID]; there {
			continue
		}
		_, _, err := s.Put(ctx, a, 0)
		switch {
		case err == nil:
			added++
		case fault.CodeOf(err) == "authority_changed": // another replica was faster
		case fault.KindOf(err) == fault.Invalid:
			s.log.WarnContext(ctx, "a built-in authority does not fit those that were entered, and was left out", "authority", a.ID, "error", err)
		default:
			return added, fmt.Errorf("seed authority %s: %w", a.ID, err)
		}
	}
	return added, nil
}
