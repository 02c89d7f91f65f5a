package press

import (
	"context"

	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Desk publishes what an officer may publish alone, and asks for approval of the rest. Besides the errors of package warning, its methods have
// those of approval.Service.Ask.
type Desk struct {
	warnings  Warnings
	approvals Approvals
}

// NewDesk makes a desk.
func NewDesk(w Warnings, a Approvals) *Desk { return &Desk{w, a} }

// Outcome is what came of an order: the message that was published, or the request that waits for approval.
type Outcome struct {
	Message *warning.Message  // nil while it waits
	Asked   *approval.Request // nil where nobody had to be asked
}

// Publish publishes a draft as it stood at a revision; 0 is as it stands.
func (d *Desk) Publish(ctx context.Context, by warning.Author, no string, revision int64) (Outcome, error) {
	m, err := d.warnings.PublishKeyed(ctx, by, no, revision, "")
	if !needsTwo(err) {
		return published(m, err)
	}
	draft, draftErr := d.warnings.Draft(ctx, no)
	if draftErr != nil {
		return Outcome{}, draftErr
	}
	seen := draft.Revision
	if draft.Seal != nil {
		seen = draft.Seal.Revision
	}
	if revision != 0 && revision != seen { // somebody was faster between the two reads, and the service says so now
		return published(d.warnings.PublishKeyed(ctx, by, no, revision, ""))
	}
	r, err := request(&by, ActionPublish, no, seen, &order{Content: &draft.Content}, draft.Level)
	if err != nil {
		return Outcome{}, err
	}
	return d.ask(ctx, r)
}

// Amend publishes an update. The idempotency key counts for what is published at once; a request knows itself by what it asks.
func (d *Desk) Amend(ctx context.Context, by warning.Author, no string, a warning.Amendment) (Outcome, error) {
	m, err := d.warnings.Amend(ctx, by, no, a)
	if !needsTwo(err) && !overtaken(err, a.Change) {
		return published(m, err)
	}
	return d.follow(ctx, by, no, ActionAmend, a, err)
}

// Lift publishes the all-clear. The key is as Amend's.
func (d *Desk) Lift(ctx context.Context, by warning.Author, no string, c warning.Change) (Outcome, error) {
	m, err := d.warnings.Lift(ctx, by, no, c)
	if !needsTwo(err) && !overtaken(err, c) {
		return published(m, err)
	}
	return d.follow(ctx, by, no, ActionLift, warning.Amendment{Change: c}, err)
}

// Retract publishes that the warning was wrong. The key is as Amend's.
func (d *Desk) Retract(ctx context.Context, by warning.Author, no string, c warning.Change) (Outcome, error) {
	m, err := d.warnings.Retract(ctx, by, no, c)
	if !needsTwo(err) && !overtaken(err, c) {
		return published(m, err)
	}
	return d.follow(ctx, by, no, ActionRetract, warning.Amendment{Change: c}, err)
}

// needsTwo says whether all that is missing is another operator.
func needsTwo(err error) bool { return fault.CodeOf(err) == "four_eyes" }

// overtaken says whether the warning has moved on from what the officer has seen: perhaps by this very order, when it was approved.
func overtaken(err error, c warning.Change) bool {
	return c.Seen != 0 && fault.CodeOf(err) == "warning_changed"
}

func published(m warning.Message, err error) (Outcome, error) {
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Message: &m}, nil
}

// follow asks for a message after the first, or finds what came of having asked, after the service refused it with why.
func (d *Desk) follow(ctx context.Context, by warning.Author, no, action string, a warning.Amendment, why error) (Outcome, error) {
	st, err := d.warnings.Get(ctx, no)
	if err != nil {
		return Outcome{}, err
	}
	seen := a.Seen
	if seen == 0 {
		seen = st.Current.Rev
	}
	if seen > len(st.History) {
		return Outcome{}, why
	}
	before := st.History[seen-1].Content
	o, err := orderOf(before, a)
	if err != nil {
		return Outcome{}, err
	}
	if needsTwo(why) {
		g := warning.Grade{Level: level(&before, o.Content), Recall: before.Recall || o.Content.Recall}
		if err := mayAsk(&by, before.Category, o.Content.Category, g); err != nil {
			return Outcome{}, err
		}
	}
	r, err := request(&by, action, no, int64(seen), o, level(&before, o.Content))
	if err != nil {
		return Outcome{}, err
	}
	if needsTwo(why) {
		return d.ask(ctx, r)
	}
	asked, err := d.approvals.Asked(ctx, r)
	if err != nil || asked.State != approval.Done {
		return Outcome{}, why
	}
	return d.done(ctx, asked)
}

// orderOf is what an amendment of a content comes to. The service has found it valid.
func orderOf(before warning.Content, a warning.Amendment) (*order, error) {
	next := before
	switch {
	case a.Content != nil:
		next = *a.Content
	case a.Level != "":
		next.Level = a.Level
	}
	next, err := next.Normalized("/content")
	if err != nil {
		return nil, err
	}
	return &order{Content: &next, Level: a.Level, Reason: a.Reason}, nil
}

// mayAsk makes sure that nothing but the other operator is missing, for both classes: the service stops at the first refusal.
func mayAsk(by *warning.Author, before, after string, g warning.Grade) error {
	for _, class := range []string{before, after} {
		if err := by.May(warning.ActionPublish, class, g); err != nil && !needsTwo(err) {
			return err
		}
	}
	return nil
}

// level is the higher of two contents' levels.
func level(a, b *warning.Content) warning.Level {
	if b.Level.Rank() > a.Level.Rank() {
		return b.Level
	}
	return a.Level
}

// ask asks, or gives what came of having asked before.
func (d *Desk) ask(ctx context.Context, r approval.Request) (Outcome, error) {
	asked, err := d.approvals.Ask(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	if asked.State == approval.Done {
		return d.done(ctx, asked)
	}
	return Outcome{Asked: &asked}, nil
}

func (d *Desk) done(ctx context.Context, r approval.Request) (Outcome, error) {
	m, err := d.warnings.Message(ctx, r.Result)
	if err != nil {
		return Outcome{}, err
	}
	return Outcome{Message: &m, Asked: &r}, nil
}
