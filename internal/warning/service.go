package warning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// What an Author is asked for leave to do.
const (
	ActionDraft   = "warning.draft"   // writing a draft
	ActionPublish = "warning.publish" // publishing a draft, and every message after the first
)

// Author is the officer who acts.
type Author struct {
	ID, Name  string
	Authority string // the body that the officer acts for
	Second    string // ID of the other officer who approved it; "" for none
	// May says whether the officer may do an action of a grade on goods of a class; its error is what the caller gets. It is asked about
	// what is really written, as often as needed, and must have no effect. nil refuses everything.
	May func(action, class string, g Grade) error
}

// Grade is how grave it is what an officer does: the level, and whether it is about a recall.
type Grade struct {
	Level  Level
	Recall bool
}

// graver is the grade of changing one content into another: the higher level, and a recall if either is one.
func graver(a, b *Content) Grade {
	g := Grade{Level: a.Level, Recall: a.Recall || b.Recall}
	if b.Level.Rank() > g.Level.Rank() {
		g.Level = b.Level
	}
	return g
}

// Anything is a May that allows everything: for the demonstration and for tests.
func Anything(_, _ string, _ Grade) error { return nil }

// may asks for leave to do an action on goods of each of the classes.
func (a *Author) may(action string, g Grade, classes ...string) error {
	if a.May == nil {
		return fault.New(fault.Forbidden, "not_permitted", "these credentials are not for this; the reference lists who may")
	}
	for _, class := range classes {
		if err := a.May(action, class, g); err != nil {
			return err
		}
	}
	return nil
}

// Authorities knows which body acts for which. A warning stays with the authority that drafted it; once that was merged, its successor
// acts for it.
type Authorities interface {
	ActingID(ctx context.Context, id string) (string, error) // NotFound where nobody acts for it
	Line(ctx context.Context, id string) ([]string, error)   // the body itself and all for which it acts
}

// Options are what a Service needs beside the store. The zero value is for production.
type Options struct {
	Now  clock.Now            // default time.Now
	Mono func() time.Duration // a clock that never jumps; default: since the process started
	Log  *slog.Logger         // default slog.Default()

	Authorities Authorities // nil: every body acts for itself alone
}

var processStart = time.Now()

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Mono == nil {
		o.Mono = func() time.Duration { return time.Since(processStart) }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Service drafts, publishes, changes and finds warnings. It is safe for concurrent use, and any number of replicas may share a
// store. Every write is durable before its method returns.
type Service struct {
	drafts   *store.Collection[DraftDoc]
	messages *store.Collection[Message]
	heads    *store.Collection[Head]
	marks    *store.Collection[mark]
	matcher  *Matcher
	bodies   Authorities // may be nil
	now      clock.Now
	log      *slog.Logger
}

// indexOpen finds the messages whose fan-out is not done.
const indexOpen = "fanout_open"

const messagesCollection = "warning_messages"

func messagesDef() store.Def[Message] {
	return store.Def[Message]{
		Name: messagesCollection,
		Feed: true,
		Indexes: []store.Index[Message]{{
			Name: indexOpen, Version: "1",
			Keys: func(_ string, m *Message) ([]store.Key, store.Key) {
				if m.Fanout.Phase == FanoutDone {
					return nil, nil
				}
				return []store.Key{store.K()}, store.K(m.Published)
			},
		}},
	}
}

// Open opens the collections and loads every warning in force into the matcher.
func Open(ctx context.Context, eng store.Engine, o Options) (*Service, error) {
	o = o.filled()
	s := &Service{bodies: o.Authorities, now: o.Now, log: o.Log}
	var err error
	if s.drafts, err = store.Open(ctx, eng, draftsDef()); err != nil {
		return nil, err
	}
	if s.messages, err = store.Open(ctx, eng, messagesDef()); err != nil {
		return nil, err
	}
	if s.heads, err = store.Open(ctx, eng, headsDef()); err != nil {
		return nil, err
	}
	if s.marks, err = store.Open(ctx, eng, store.Def[mark]{Name: "warning_marks"}); err != nil {
		return nil, err
	}
	s.matcher = NewMatcher(s.messages, o)
	if err := s.matcher.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("load the warnings in force: %w", err)
	}
	return s, nil
}

// Matcher is the one that knows of this service's publications before Publish, Amend, Lift and Retract return.
func (s *Service) Matcher() *Matcher { return s.matcher }

// time is the present as it is stored.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

func errUnknown(no string) error {
	return fault.New(fault.NotFound, "warning_unknown", "there is no warning %s", no)
}

// revsPerRead is how many messages are asked for in one round trip; almost every warning has fewer.
const revsPerRead = 16

// Get gives a published warning with its history. A draft is NotFound here. NotFound.
func (s *Service) Get(ctx context.Context, no string) (State, error) {
	if !numbers.Valid(no) {
		return State{}, errUnknown(no)
	}
	var history []Message
	for {
		ids := make([]string, revsPerRead)
		for i := range ids {
			ids[i] = MessageID(no, len(history)+i+1)
		}
		found, err := s.messages.GetMany(ctx, ids)
		if err != nil {
			return State{}, fmt.Errorf("read warning %s: %w", no, err)
		}
		for _, id := range ids {
			if d, ok := found[id]; ok {
				history = append(history, d.V)
			}
		}
		if len(found) < revsPerRead {
			break
		}
	}
	if len(history) == 0 {
		return State{}, errUnknown(no)
	}
	return Fold(history)
}

// Message gives one published message by its ID "{no}/{rev}". NotFound.
func (s *Service) Message(ctx context.Context, id string) (Message, error) {
	d, err := s.messages.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Message{}, fault.New(fault.NotFound, "message_unknown", "there is no message %s", id).Because(err)
	}
	return d.V, err
}

// Changes follows the messages of all warnings, for projections: published ones, and again whenever their fan-out moved. See
// store.Feeder.
func (s *Service) Changes(ctx context.Context, token string, limit int) ([]store.Changed[Message], string, error) {
	return s.messages.Changes(ctx, token, limit)
}

// Wake is told soon after this process published or moved a fan-out.
func (s *Service) Wake() <-chan struct{} { return s.messages.Wake() }

// SetFanout changes the fan-out of a message, and nothing else of it. change may run several times and must have no effect but on
// f; its error stops the change and is returned as it is. Only internal/alert calls it. NotFound.
func (s *Service) SetFanout(ctx context.Context, id string, change func(f *Fanout) error) (Fanout, error) {
	d, err := s.messages.Update(ctx, id, func(m *Message) error { return change(&m.Fanout) })
	if errors.Is(err, store.ErrNotFound) {
		return Fanout{}, fault.New(fault.NotFound, "message_unknown", "there is no message %s", id).Because(err)
	}
	return d.V.Fanout, err
}

// Unfinished gives the messages whose fan-out is not done, the longest published first.
func (s *Service) Unfinished(ctx context.Context, cursor string, limit int) (messages []Message, next string, err error) {
	p, err := s.messages.Find(ctx, store.Query{Index: indexOpen, Eq: store.K(), Limit: limit, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	for _, d := range p.Items {
		messages = append(messages, d.V)
	}
	return messages, p.Next, nil
}

// asFault finds the fault in err's chain.
func asFault(err error) (*fault.Error, bool) { return errors.AsType[*fault.Error](err) }

// errIllegal tells which messages may follow.
func errIllegal(no string, status Status, wanted MessageKind) error {
	legal := make([]string, 0, 3)
	for _, k := range status.Next() {
		legal = append(legal, string(k))
	}
	list := "nothing"
	if len(legal) > 0 {
		list = strings.Join(legal, ", ")
	}
	return fault.New(fault.Conflict, "illegal_move", "warning %s is %s, so %s is not possible; possible now: %s", no, status, wanted, list)
}

// own says whether an officer's authority is the one that a warning belongs to, or acts for it.
func (s *Service) own(ctx context.Context, by Author, authority string) (bool, error) {
	if by.ID == "" || by.Authority == "" {
		return false, nil
	}
	if by.Authority == authority || s.bodies == nil {
		return by.Authority == authority, nil
	}
	acting, err := s.bodies.ActingID(ctx, authority)
	if fault.KindOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil && acting == by.Authority, err
}

// mayFollow holds officers to the warnings of their own authority. These are public, so others are told why not.
func (s *Service) mayFollow(ctx context.Context, by Author, no, authority string) error {
	own, err := s.own(ctx, by, authority)
	if err == nil && !own {
		err = fault.New(fault.Forbidden, "other_authority", "warning %s belongs to another authority", no)
	}
	return err
}

// draftOf gives a draft to officers of its own authority. To others it does not exist.
func (s *Service) draftOf(ctx context.Context, by Author, no string) (Draft, error) {
	d, err := s.Draft(ctx, no)
	if err != nil {
		return Draft{}, err
	}
	own, err := s.own(ctx, by, d.Authority)
	if err == nil && !own {
		err = errUnknown(no)
	}
	return d, err
}

// sameText compares texts by what they say.
func sameText(a, b lang.Text) bool {
	return len(a) == len(b) && !slices.ContainsFunc([]string{lang.ZhHans, lang.En}, func(tag string) bool { return a[tag] != b[tag] })
}

// All walks every published warning, for rebuilds and exports. One whose messages are damaged is logged and left out.
func (s *Service) All(ctx context.Context, f func(State) error) error {
	var group []Message
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		slices.SortFunc(group, func(a, b Message) int { return a.Rev - b.Rev }) // IDs sort "/10" before "/2"
		st, err := Fold(group)
		group = nil
		if err != nil {
			s.log.ErrorContext(ctx, "left out of a walk", "error", err)
			return nil
		}
		return f(st)
	}
	err := s.messages.All(ctx, func(d store.Doc[Message]) error {
		if len(group) > 0 && group[0].No != d.V.No {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, d.V)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
