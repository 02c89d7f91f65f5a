package warning

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// guard remembers what it was asked, and refuses some of it.
type guard struct {
	mu     sync.Mutex
	asked  []string
	refuse func(action, class string, level Level) bool // nil: nothing
}

var errRefused = errors.New("refused")

func (g *guard) may(action, class string, grade Grade) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	what := action + " " + class + " " + string(grade.Level)
	if grade.Recall {
		what += " recall"
	}
	g.asked = append(g.asked, what)
	if g.refuse != nil && g.refuse(action, class, grade.Level) {
		return errRefused
	}
	return nil
}

func (g *guard) take(t *testing.T, want ...string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.asked, want) {
		t.Fatalf("asked %q, want %q", g.asked, want)
	}
	g.asked = nil
}

func guarded() (*guard, Author) {
	g := &guard{}
	return g, Author{ID: "o-3", Name: "Wu", Authority: officer.Authority, Second: "o-4", May: g.may}
}

func of(category string, level Level) Content {
	c := sampleContent()
	c.Category, c.Level = category, level
	return c
}

// Whatever makes, changes or ends a recall is asked about as one.
func TestTheGuardKnowsOfRecalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	g, by := guarded()
	plain, recall := of("wine", Blue), of("wine", Blue)
	recall.Recall = true
	d, err := b.Create(ctx, by, plain)
	must(t, err)
	d, err = b.UpdateDraft(ctx, by, d.No, d.Revision, recall)
	must(t, err)
	_, err = b.UpdateDraft(ctx, by, d.No, d.Revision, plain)
	must(t, err)
	g.take(t, "warning.draft wine blue", "warning.draft wine blue recall", "warning.draft wine blue recall")
	_, err = b.Publish(ctx, by, d.No)
	must(t, err)
	_, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Content: &recall})
	must(t, err)
	_, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Level: Yellow})
	must(t, err)
	_, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Content: &plain})
	must(t, err)
	_, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Content: &recall})
	must(t, err)
	g.take(t, "warning.publish wine blue", "warning.publish wine blue recall", "warning.publish wine yellow recall", "warning.publish wine yellow recall",
		"warning.publish wine blue recall")
	_, err = b.Lift(ctx, by, d.No, Change{Reason: why})
	must(t, err)
	_, err = b.Retract(ctx, by, d.No, Change{Reason: why})
	must(t, err)
	g.take(t, "warning.publish wine blue recall", "warning.publish wine blue recall")
}

// The guard is asked about what is really written: of a change about both classes, at the higher level.
func TestWhatTheGuardIsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	g, by := guarded()
	d, err := b.Create(ctx, by, of("wine", Yellow))
	must(t, err)
	g.take(t, "warning.draft wine yellow")
	d, err = b.UpdateDraft(ctx, by, d.No, d.Revision, of("spirits", Blue))
	must(t, err)
	g.take(t, "warning.draft wine yellow", "warning.draft spirits yellow")
	m, err := b.PublishRevision(ctx, by, d.No, d.Revision)
	must(t, err)
	g.take(t, "warning.publish spirits blue")
	if m.ApprovedBy != "o-4" {
		t.Fatalf("approved by %q", m.ApprovedBy)
	}
	m, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Level: Red})
	must(t, err)
	g.take(t, "warning.publish spirits red")
	if m.ApprovedBy != "o-4" {
		t.Fatalf("approved by %q", m.ApprovedBy)
	}
	next := of("wine", Orange)
	_, err = b.Amend(ctx, by, d.No, Amendment{Change: Change{Reason: why}, Content: &next})
	must(t, err)
	g.take(t, "warning.publish spirits red", "warning.publish wine red")
	_, err = b.Lift(ctx, by, d.No, Change{Reason: why})
	must(t, err)
	g.take(t, "warning.publish wine orange")
	_, err = b.Retract(ctx, by, d.No, Change{Reason: why})
	must(t, err)
	g.take(t, "warning.publish wine orange")
}

// What the guard refuses is not written, on any path.
func TestWhatTheGuardRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	g, by := guarded()
	g.refuse = func(_, class string, level Level) bool { return class != "wine" || level.Rank() > Yellow.Rank() }
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := b.Create(ctx, by, of("spirits", Blue))
	refused("a draft of another class", err)
	d, err := b.Create(ctx, officer, of("spirits", Blue))
	must(t, err)
	_, err = b.UpdateDraft(ctx, by, d.No, d.Revision, of("wine", Blue))
	refused("taking over a draft of another class", err)
	_, err = b.Publish(ctx, by, d.No)
	refused("publishing another class", err)
	m := b.mustPublish(t, of("spirits", Blue))
	next := of("wine", Blue)
	_, err = b.Amend(ctx, by, m.No, Amendment{Change: Change{Reason: why}, Content: &next})
	refused("amending another class", err)
	m = b.mustPublish(t, of("wine", Orange))
	_, err = b.Amend(ctx, by, m.No, Amendment{Change: Change{Reason: why}, Level: Blue})
	refused("lowering from a level above the own", err)
	_, err = b.Lift(ctx, by, m.No, Change{Reason: why})
	refused("lifting above the own level", err)
	_, err = b.Retract(ctx, by, m.No, Change{Reason: why})
	refused("retracting above the own level", err)
	m = b.mustPublish(t, of("wine", Blue))
	_, err = b.Amend(ctx, by, m.No, Amendment{Change: Change{Reason: why}, Level: Red})
	refused("raising above the own level", err)
	for _, no := range []string{m.No, d.No} {
		if st, err := b.Get(ctx, no); err == nil && st.Current.Rev != 1 {
			t.Errorf("%s was written", no)
		}
	}
	if got, err := b.Draft(ctx, d.No); err != nil || got.Revision != d.Revision {
		t.Errorf("%+v %v", got, err)
	}
}

func TestNoGuardRefusesEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	d, err := b.Create(ctx, officer, sampleContent())
	must(t, err)
	by := officer
	by.May = nil
	_, err = b.Create(ctx, by, sampleContent())
	wantFault(t, err, fault.Forbidden, "not_permitted")
	_, err = b.UpdateDraft(ctx, by, d.No, d.Revision, sampleContent())
	wantFault(t, err, fault.Forbidden, "not_permitted")
	_, err = b.Publish(ctx, by, d.No)
	wantFault(t, err, fault.Forbidden, "not_permitted")
	_, err = b.Publish(ctx, by, m.No)
	wantFault(t, err, fault.Forbidden, "not_permitted")
	_, err = b.Lift(ctx, by, m.No, Change{Reason: why})
	wantFault(t, err, fault.Forbidden, "not_permitted")
}

// A draft of another authority does not exist for anybody else, whatever is tried.
func TestDraftsOfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	d, err := b.Create(ctx, officer, sampleContent())
	must(t, err)
	stranger := Author{ID: "o-9", Authority: "customs", May: Anything}
	_, err = b.UpdateDraft(ctx, stranger, d.No, d.Revision, sampleContent())
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Publish(ctx, stranger, d.No)
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Lift(ctx, stranger, d.No, Change{Reason: why})
	wantFault(t, err, fault.NotFound, "warning_unknown")
	_, err = b.Lift(ctx, officer, d.No, Change{Reason: why})
	wantFault(t, err, fault.Conflict, "illegal_move")
}

// While the guard is asked, somebody raises the level of the draft. What is published is what the guard allowed, or nothing.
func TestTheGuardCannotBeRaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	d, err := b.Create(ctx, officer, of("wine", Blue))
	must(t, err)
	raised := false
	by := officer
	by.May = func(_, _ string, g Grade) error {
		if !raised {
			raised = true
			_, err := b.UpdateDraft(ctx, colleague, d.No, d.Revision, of("wine", Red))
			must(t, err)
		}
		if g.Level == Red {
			return errRefused
		}
		return nil
	}
	if _, err := b.Publish(ctx, by, d.No); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if _, err := b.Get(ctx, d.No); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("what the guard never saw was published: %v", err)
	}
	m := b.mustPublish(t, of("wine", Blue))
	by.May = func(_, _ string, g Grade) error {
		if g.Level == Blue {
			_, err := b.Amend(ctx, colleague, m.No, Amendment{Change: Change{Reason: why}, Level: Red})
			must(t, err)
		}
		return nil
	}
	_, err = b.Lift(ctx, by, m.No, Change{Reason: why})
	wantFault(t, err, fault.Conflict, "warning_changed")
}

// An order with a key is carried out once and stays so, whatever the officers may do by then.
func TestPublishingByKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	d, err := b.Create(ctx, officer, of("wine", Red))
	must(t, err)
	m, err := b.PublishKeyed(ctx, officer, d.No, d.Revision, "approval-1")
	must(t, err)
	if m.Key != "approval-1" {
		t.Fatal(m.Key)
	}
	fired := officer
	fired.May = func(string, string, Grade) error { return errRefused }
	again, err := b.PublishKeyed(ctx, fired, d.No, d.Revision, "approval-1")
	if err != nil || again.ID() != m.ID() {
		t.Fatal(again.ID(), err)
	}
	if _, err := b.PublishKeyed(ctx, fired, d.No, d.Revision, "approval-2"); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	again, err = b.PublishKeyed(ctx, officer, d.No, d.Revision, "approval-2")
	if err != nil || again.Key != "approval-1" {
		t.Fatalf("published twice: %+v, %v", again, err)
	}
	_, err = b.PublishRevision(ctx, officer, d.No, d.Revision+1)
	wantFault(t, err, fault.Conflict, "draft_published")
	_, err = b.PublishKeyed(ctx, officer, d.No, 0, "a\x00b")
	wantFault(t, err, fault.Invalid, "invalid")
}

// mergers has every body of 'from' merged into 'into'.
type mergers struct {
	into string
	from []string
	err  error
}

func (m mergers) ActingID(_ context.Context, id string) (string, error) {
	if slices.Contains(m.from, id) {
		return m.into, m.err
	}
	return id, m.err
}

func (m mergers) Line(_ context.Context, id string) ([]string, error) {
	if id == m.into {
		return append([]string{id}, m.from...), m.err
	}
	return []string{id}, m.err
}

// The successor of a merged body has its drafts and warnings, and the message says who acted.
func TestASuccessorTakesOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	m := b.mustPublish(t, sampleContent())
	d, err := b.Create(ctx, officer, sampleContent())
	must(t, err)
	s, err := Open(ctx, b.eng, Options{Now: b.now, Authorities: mergers{into: "merged", from: []string{officer.Authority}}})
	must(t, err)
	heir := Author{ID: "o-5", Authority: "merged", May: Anything}
	own, err := s.Create(ctx, heir, sampleContent())
	must(t, err)
	var nos []string
	for cursor := ""; ; {
		list, next, err := s.Drafts(ctx, "merged", cursor, 1)
		must(t, err)
		for _, x := range list {
			nos = append(nos, x.No)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(nos, []string{own.No, d.No}) {
		t.Fatalf("drafts %v", nos)
	}
	p, err := s.Publish(ctx, heir, d.No)
	must(t, err)
	l, err := s.Lift(ctx, heir, m.No, Change{Reason: why})
	must(t, err)
	for _, x := range []Message{p, l} {
		if x.Authority != officer.Authority || x.Acting != "merged" {
			t.Errorf("%s: authority %s, acting %s", x.ID(), x.Authority, x.Acting)
		}
	}
	if _, err := s.Get(ctx, m.No); err != nil {
		t.Fatal(err)
	}
	stranger := Author{ID: "o-9", Authority: "customs", May: Anything}
	_, err = s.Retract(ctx, stranger, m.No, Change{Reason: why})
	wantFault(t, err, fault.Forbidden, "other_authority")

	// While it cannot be told who acts for whom, nothing is written.
	away, err := Open(ctx, b.eng, Options{Now: b.now, Authorities: mergers{into: "merged", from: []string{officer.Authority}, err: errRefused}})
	must(t, err)
	if _, err := away.Retract(ctx, heir, m.No, Change{Reason: why}); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
