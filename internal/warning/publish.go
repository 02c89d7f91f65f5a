package warning

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
)

// maxUpdates bounds the history of one warning. A lift and a retraction are always possible.
const maxUpdates = 200

// Publish publishes a draft as it stands. Publishing twice, by whomever, publishes once and gives the same message.
// Errors as PublishKeyed.
func (s *Service) Publish(ctx context.Context, by Author, no string) (Message, error) {
	return s.PublishKeyed(ctx, by, no, 0, "")
}

// PublishRevision is Publish of the draft revision that the officer has seen; 0 means whatever stands.
func (s *Service) PublishRevision(ctx context.Context, by Author, no string, revision int64) (Message, error) {
	return s.PublishKeyed(ctx, by, no, revision, "")
}

// PublishKeyed is PublishRevision with a key: whoever has published the draft with this key before gets its message again without being
// asked anything, so an order that was carried out stays so whatever becomes of the officers. "" is no key.
//
// NotFound, also for a draft of another authority; Conflict (draft_changed; draft_published when it was published in another
// revision); and what by.May answers for ActionPublish, on the very content that is published.
func (s *Service) PublishKeyed(ctx context.Context, by Author, no string, revision int64, key string) (Message, error) {
	ch := &checker{}
	ch.line("/idempotency_key", key, MaxReference)
	if err := ch.err(); err != nil {
		return Message{}, err
	}
	for range maxSealTries {
		d, err := s.draftOf(ctx, by, no)
		if err != nil {
			return Message{}, err
		}
		if d.Seal != nil && key != "" && d.Seal.Key == key {
			return s.carryOut(ctx, &d)
		}
		switch {
		case revision == 0:
		case d.Seal != nil && d.Seal.Revision != revision:
			return Message{}, errDraftPublished(no)
		case d.Seal == nil && d.Revision != revision:
			return Message{}, errDraftChanged(&d)
		}
		if err := by.may(ActionPublish, graver(&d.Content, &d.Content), d.Category); err != nil {
			return Message{}, err
		}
		if d.Seal != nil {
			return s.carryOut(ctx, &d)
		}
		d.Seal = &Seal{By: by.ID, ByName: by.Name, Second: by.Second, At: s.time(), Key: key, Revision: d.Revision}
		if d.Seal.Key == "" {
			d.Seal.Key = clock.Token(10)
		}
		if by.Authority != d.Authority {
			d.Seal.Acting = by.Authority
		}
		err = s.drafts.Replace(ctx, store.Doc[DraftDoc]{ID: no, Rev: d.Revision, V: d.DraftDoc})
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return Message{}, fmt.Errorf("seal draft %s: %w", no, err)
		}
		d.Revision++
		return s.carryOut(ctx, &d)
	}
	return Message{}, fmt.Errorf("draft %s keeps changing: %w", no, store.ErrConflict)
}

// carryOut publishes a sealed draft. Any number of callers may do so at once: the insert of "{no}/1" decides. If this process is
// killed anywhere between the seal and Seal.Done, the worker calls carryOut again.
func (s *Service) carryOut(ctx context.Context, d *Draft) (Message, error) {
	m := Message{
		No: d.No, Rev: 1, Kind: KindAlert, Content: d.Content,
		By: d.Seal.By, ByName: d.Seal.ByName, ApprovedBy: d.Seal.Second, Authority: d.Authority, Acting: d.Seal.Acting, Key: d.Seal.Key,
		Published: s.time(), Fanout: Fanout{Phase: FanoutPending},
	}
	m, _, err := s.insert(ctx, m)
	if err != nil {
		return Message{}, err
	}
	if d.Seal.Done {
		return m, nil
	}
	d.Seal.Done = true
	err = s.drafts.Replace(ctx, store.Doc[DraftDoc]{ID: d.No, Rev: d.Revision, V: d.DraftDoc})
	if err != nil && !errors.Is(err, store.ErrConflict) { // a conflict: somebody else has just noted the same
		s.log.WarnContext(ctx, "published, but the draft is not marked yet; the worker will", "warning", d.No, "error", err)
	}
	return m, nil
}

// insert publishes m unless its revision is taken, and gives what stands there. mine says whether that is m or an earlier try of the
// same request. When it returns without an error, this process's matcher knows the warning's present state.
func (s *Service) insert(ctx context.Context, m Message) (stored Message, mine bool, err error) {
	err = s.messages.Insert(ctx, m.ID(), m)
	switch {
	case err == nil:
		s.matcher.Apply(&m)
		if err := s.project(ctx, m.No); err != nil {
			s.log.WarnContext(ctx, "published, but the list does not show it yet; the worker will", "warning", m.No, "error", err)
		}
		return m, true, nil
	case errors.Is(err, store.ErrExists):
		st, err := s.Get(ctx, m.No)
		if err != nil {
			return Message{}, false, err
		}
		s.matcher.Apply(&st.Current)
		stored = st.History[m.Rev-1]
		return stored, stored.Key == m.Key, nil
	case errors.Is(err, store.ErrTooLarge):
		return Message{}, false, fault.New(fault.TooLarge, "warning_too_large", "this warning is too long; list fewer lots").Because(err)
	}
	return Message{}, false, fmt.Errorf("insert message %s: %w", m.ID(), err)
}

// Change is what every message after the first carries.
type Change struct {
	// Reason goes to everyone who was told of the warning, in Chinese and English. In a retraction it is the correction.
	Reason lang.Text
	Key    string // idempotency key of the request; "" for none. A retry with the same key gets the message of the first try.
	Seen   int    // the revision that the officer has seen; 0: whatever stands. Conflict (warning_changed) if it is another by now.
}

// Amendment is an update: either the whole new content or another level.
type Amendment struct {
	Change
	Content *Content
	Level   Level
}

// Amend publishes an update: raises or lowers the level, or changes scope or texts. NotFound; Forbidden (other_authority); Invalid
// (nothing_changed among its fields); Conflict (illegal_move, warning_changed, idempotency_key_reused); and what by.May answers for
// ActionPublish, on the classes before and after, the higher of the two levels, and a recall if either is one. A retry that is known by its key is not asked again.
func (s *Service) Amend(ctx context.Context, by Author, no string, a Amendment) (Message, error) {
	return s.follow(ctx, by, no, KindUpdate, a.Change, func(current Content) (Content, error) {
		next := current
		switch {
		case a.Content != nil && a.Level != "":
			return next, fault.InvalidFields(fault.Field{Pointer: "/level", Code: "exclusive", Detail: "give a new content or a new level, not both"})
		case a.Content != nil:
			next = *a.Content
		default:
			next.Level = a.Level
		}
		prefix := "/content"
		if a.Content == nil {
			prefix = ""
		}
		next, err := next.Normalized(prefix)
		if err == nil && !Compare(&current, &next).Any() {
			err = fault.InvalidFields(fault.Field{Pointer: prefix, Code: "nothing_changed", Detail: "this is what the warning says already"})
		}
		return next, err
	})
}

// Lift publishes the all-clear: the danger is over. Errors as Amend.
func (s *Service) Lift(ctx context.Context, by Author, no string, c Change) (Message, error) {
	return s.follow(ctx, by, no, KindLift, c, unchanged)
}

// Retract publishes that the warning was wrong, with the correction. Errors as Amend.
func (s *Service) Retract(ctx context.Context, by Author, no string, c Change) (Message, error) {
	return s.follow(ctx, by, no, KindRetract, c, unchanged)
}

func unchanged(current Content) (Content, error) { return current, nil }

// follow publishes the next message of a warning.
func (s *Service) follow(ctx context.Context, by Author, no string, kind MessageKind, c Change, next func(Content) (Content, error)) (Message, error) {
	ch := &checker{}
	c.Reason = trimmedText(c.Reason)
	ch.text("/reason", c.Reason, MaxReason, true)
	ch.line("/idempotency_key", c.Key, MaxReference)
	if err := ch.err(); err != nil {
		return Message{}, err
	}
	st, err := s.stateToFollow(ctx, by, no, kind)
	if err != nil {
		return Message{}, err
	}
	if err := s.mayFollow(ctx, by, no, st.Authority); err != nil {
		return Message{}, err
	}
	if m, err := st.retried(kind, c, next); m != nil || err != nil {
		if m != nil {
			s.matcher.Apply(&st.Current)
			return *m, nil
		}
		return Message{}, err
	}
	if c.Seen != 0 && c.Seen != st.Current.Rev {
		return Message{}, errChanged(&st)
	}
	if !st.Status.allows(kind) {
		return Message{}, errIllegal(no, st.Status, kind)
	}
	if kind == KindUpdate && st.Current.Rev > maxUpdates {
		return Message{}, fault.New(fault.Conflict, "too_many_updates", "warning %s has %d updates; lift it and draft a new one", no, maxUpdates)
	}
	before := &st.Current.Content
	content, err := next(*before)
	if err != nil {
		return Message{}, err
	}
	// The insert that follows succeeds only as the next message after the one that is asked about here.
	if err := by.may(ActionPublish, graver(before, &content), classes(before, &content)...); err != nil {
		return Message{}, err
	}
	return s.insertNext(ctx, by, &st, kind, content, c)
}

func (s *Service) insertNext(ctx context.Context, by Author, st *State, kind MessageKind, content Content, c Change) (Message, error) {
	m := Message{
		No: st.No, Rev: st.Current.Rev + 1, Kind: kind, Content: content, Reason: c.Reason,
		By: by.ID, ByName: by.Name, ApprovedBy: by.Second, Authority: st.Authority, References: st.Current.ID(),
		Key: c.Key, Published: s.time(), Fanout: Fanout{Phase: FanoutPending},
	}
	if by.Authority != st.Authority {
		m.Acting = by.Authority
	}
	if m.Key == "" {
		m.Key = clock.Token(10)
	}
	if m.Published.Before(st.Current.Published) { // another replica's clock is ahead of ours
		m.Published = st.Current.Published
	}
	stored, mine, err := s.insert(ctx, m)
	if err != nil {
		return Message{}, err
	}
	if !mine {
		now, err := s.Get(ctx, st.No)
		if err != nil {
			return Message{}, err
		}
		return Message{}, errChanged(&now)
	}
	return stored, nil
}

// stateToFollow is Get, but tells officers of the draft's own authority 'not yet published' from 'unknown'.
func (s *Service) stateToFollow(ctx context.Context, by Author, no string, kind MessageKind) (State, error) {
	st, err := s.Get(ctx, no)
	if fault.KindOf(err) != fault.NotFound {
		return st, err
	}
	_, draftErr := s.draftOf(ctx, by, no)
	switch {
	case draftErr == nil:
		return State{}, errIllegal(no, StatusDraft, kind)
	case fault.KindOf(draftErr) == fault.NotFound:
		return State{}, err
	}
	return State{}, draftErr
}

// retried finds the message of an earlier try of the same request. A key that belongs to another request is a Conflict.
func (st *State) retried(kind MessageKind, c Change, next func(Content) (Content, error)) (*Message, error) {
	if c.Key == "" {
		return nil, nil //nolint:nilnil // no key, no earlier try, no error
	}
	for i := range st.History {
		m := &st.History[i]
		if m.Key != c.Key {
			continue
		}
		if i > 0 && m.Kind == kind && sameText(m.Reason, c.Reason) {
			want, err := next(st.History[i-1].Content)
			if err == nil && reflect.DeepEqual(want, m.Content) {
				return m, nil
			}
		}
		return nil, fault.New(fault.Conflict, "idempotency_key_reused", "this Idempotency-Key was used for another change of %s", st.No)
	}
	return nil, nil //nolint:nilnil // no earlier try
}

func errChanged(st *State) error {
	var legal []string
	for _, k := range st.Status.Next() {
		legal = append(legal, string(k))
	}
	return fault.New(fault.Conflict, "warning_changed", "warning %s was changed meanwhile: it is %s at revision %d; possible now: %v",
		st.No, st.Status, st.Current.Rev, legal)
}
