package press_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
	"github.com/haisu-trace/haisu/internal/warning"
)

// rights is who may do what: red, orange and recalls need two, a trainee publishes blue only, and the wine officer knows nothing but wine.
type rights struct {
	mu   sync.Mutex
	gone map[string]bool // operators who may do nothing any more
}

var (
	errTwo   = fault.New(fault.Forbidden, "four_eyes", "another operator has to approve")
	errClass = fault.New(fault.Forbidden, "not_competent", "not for this class")
	errLevel = fault.New(fault.Forbidden, "level_not_permitted", "above the level")
)

func (r *rights) may(_ context.Context, q press.Question) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone[q.Operator]:
		return fault.New(fault.Forbidden, "not_permitted", "gone")
	case q.Authority != "hn-amr":
		return fault.New(fault.NotFound, "not_found", "another authority's")
	case q.Operator == "wine-officer" && q.Class != "wine":
		return errClass
	case q.Operator == "trainee" && q.Grade.Level != warning.Blue:
		return errLevel
	case q.Action == warning.ActionPublish && (q.Grade.Recall || q.Grade.Level.Rank() >= 3) && (q.Second == "" || q.Second == q.Operator):
		return errTwo
	}
	return nil
}

// process is one replica on a store.
type process struct {
	warnings  *warning.Service
	approvals *approval.Service
	desk      *press.Desk
	rights    *rights
}

var day1 = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

func start(t *testing.T, eng store.Engine, r *rights) *process {
	t.Helper()
	now := func() time.Time { return day1 }
	p := &process{rights: r}
	var err error
	p.warnings, err = warning.Open(t.Context(), eng, warning.Options{Now: now})
	must(t, err)
	p.approvals, err = approval.Open(t.Context(), eng, approval.Options{Carry: press.Carry(p.warnings, r.may), Now: now})
	must(t, err)
	p.desk = press.NewDesk(p.warnings, p.approvals)
	return p
}

func setup(t *testing.T) (*process, store.Engine) {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	return start(t, eng, &rights{gone: map[string]bool{}}), eng
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

// author is an operator as a handler makes it of a session.
func (p *process) author(id string) warning.Author {
	return warning.Author{ID: id, Name: id, Authority: "hn-amr", May: func(action, class string, g warning.Grade) error {
		return p.rights.may(context.Background(), press.Question{Operator: id, Authority: "hn-amr", Action: action, Class: class, Grade: g})
	}}
}

func content(class string, level warning.Level) warning.Content {
	return warning.Content{
		Level: level, Regime: "food", Hazard: "chemical", Category: class, Title: lang.ZhEn("甲醇超标", "Too much methanol"),
		Advice: lang.ZhEn("请勿饮用", "Do not drink it"), Scope: warning.Scope{Clauses: []warning.Clause{{GTINs: []string{"06901234567892"}}}},
	}
}

var why = lang.ZhEn("经复检", "After a second test")

func (p *process) draft(t *testing.T, c warning.Content) warning.Draft {
	t.Helper()
	d, err := p.warnings.Create(t.Context(), p.author("chen.yu"), c)
	must(t, err)
	return d
}

// published makes a warning at a level, with approval where it takes one.
func (p *process) published(t *testing.T, c warning.Content) warning.Message {
	t.Helper()
	o, err := p.desk.Publish(t.Context(), p.author("chen.yu"), p.draft(t, c).No, 0)
	must(t, err)
	if o.Message == nil {
		p.approve(t, o.Asked.ID)
		o, err = p.desk.Publish(t.Context(), p.author("chen.yu"), o.Asked.Subject, 0)
		must(t, err)
	}
	return *o.Message
}

func (p *process) approve(t *testing.T, id string) approval.Request {
	t.Helper()
	r, err := p.approvals.Decide(t.Context(), id, "lin.wei", "林伟", true, "")
	must(t, err)
	return r
}

func TestBelowOrangeNobodyIsAsked(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	o, err := p.desk.Publish(t.Context(), p.author("chen.yu"), p.draft(t, content("wine", warning.Yellow)).No, 0)
	must(t, err)
	if o.Message == nil || o.Asked != nil || o.Message.ApprovedBy != "" {
		t.Fatalf("%+v", o)
	}
}

// A recall needs two at every level, from the draft to the all-clear, and so does making and ending one.
func TestARecallNeedsApproval(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	ctx := t.Context()
	by := p.author("chen.yu")
	plain, recall := content("wine", warning.Blue), content("wine", warning.Blue)
	recall.Recall = true
	m := p.published(t, recall)
	if m.ApprovedBy != "lin.wei" {
		t.Fatalf("%+v", m)
	}
	for name, do := range map[string]func() (press.Outcome, error){
		"ended": func() (press.Outcome, error) {
			return p.desk.Amend(ctx, by, m.No, warning.Amendment{Change: warning.Change{Reason: why}, Content: &plain})
		},
		"lifted":    func() (press.Outcome, error) { return p.desk.Lift(ctx, by, m.No, warning.Change{Reason: why}) },
		"retracted": func() (press.Outcome, error) { return p.desk.Retract(ctx, by, m.No, warning.Change{Reason: why}) },
	} {
		if o, err := do(); err != nil || o.Asked == nil || o.Message != nil {
			t.Errorf("%s: %+v %v", name, o, err)
		}
	}
	m = p.published(t, plain)
	o, err := p.desk.Amend(ctx, by, m.No, warning.Amendment{Change: warning.Change{Reason: why}, Content: &recall})
	if err != nil || o.Asked == nil || o.Message != nil {
		t.Errorf("made: %+v %v", o, err)
	}
	done := p.approve(t, o.Asked.ID)
	made, err := p.warnings.Message(ctx, done.Result)
	must(t, err)
	if !made.Recall || made.ApprovedBy != "lin.wei" {
		t.Errorf("%+v", made)
	}
}

func TestADraftNeedsApproval(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	ctx := t.Context()
	d := p.draft(t, content("wine", warning.Red))
	o, err := p.desk.Publish(ctx, p.author("chen.yu"), d.No, d.Revision)
	must(t, err)
	r := o.Asked
	if o.Message != nil || r.State != approval.Pending || r.Level != warning.Red || r.Class != "wine" || r.Revision != d.Revision || r.By != "chen.yu" {
		t.Fatalf("%+v", o)
	}
	again, err := p.desk.Publish(ctx, p.author("chen.yu"), d.No, 0)
	if err != nil || again.Asked.ID != r.ID {
		t.Fatalf("asked twice: %+v %v", again, err)
	}
	if _, err := p.warnings.Get(ctx, d.No); fault.KindOf(err) != fault.NotFound {
		t.Fatal("published without approval")
	}
	_, err = p.approvals.Decide(ctx, r.ID, "chen.yu", "", true, "")
	wantCode(t, err, "four_eyes")
	done := p.approve(t, r.ID)
	m, err := p.warnings.Message(ctx, done.Result)
	must(t, err)
	if done.State != approval.Done || m.Key != r.ID || m.By != "chen.yu" || m.ApprovedBy != "lin.wei" || m.Level != warning.Red {
		t.Fatalf("%+v %+v", done, m)
	}
	o, err = p.desk.Publish(ctx, p.author("chen.yu"), d.No, d.Revision)
	if err != nil || o.Message == nil || o.Message.ID() != m.ID() {
		t.Fatalf("a retry after approval: %+v %v", o, err)
	}
}

// The draft that is published is the revision that was approved, or none.
func TestTheApprovedRevisionIsPinned(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	ctx := t.Context()
	d := p.draft(t, content("wine", warning.Orange))
	o, err := p.desk.Publish(ctx, p.author("chen.yu"), d.No, 0)
	must(t, err)
	_, err = p.warnings.UpdateDraft(ctx, p.author("chen.yu"), d.No, d.Revision, content("wine", warning.Red))
	must(t, err)
	if r := p.approve(t, o.Asked.ID); r.State != approval.Failed || r.Failure != "draft_changed" {
		t.Fatalf("%+v", r)
	}
	_, err = p.desk.Publish(ctx, p.author("chen.yu"), d.No, d.Revision)
	wantCode(t, err, "draft_changed")
	o, err = p.desk.Publish(ctx, p.author("chen.yu"), d.No, 0)
	if err != nil || o.Asked.Level != warning.Red {
		t.Fatalf("%+v %v", o, err)
	}
}

// step is one of the moves that follow a publication.
type step struct {
	name string
	kind warning.MessageKind
	do   func(ctx context.Context, p *process, no string, seen int) (press.Outcome, error)
}

func steps() []step {
	change := func(seen int) warning.Change { return warning.Change{Reason: why, Seen: seen, Key: "client-key"} }
	return []step{
		{"raise", warning.KindUpdate, func(ctx context.Context, p *process, no string, seen int) (press.Outcome, error) {
			return p.desk.Amend(ctx, p.author("chen.yu"), no, warning.Amendment{Change: change(seen), Level: warning.Red})
		}},
		{"amend", warning.KindUpdate, func(ctx context.Context, p *process, no string, seen int) (press.Outcome, error) {
			c := content("spirits", warning.Orange)
			c.Scope.Clauses[0].Lots = []string{" L1 ", "L1"} // is put into canonical form
			return p.desk.Amend(ctx, p.author("chen.yu"), no, warning.Amendment{Change: change(seen), Content: &c})
		}},
		{"lift", warning.KindLift, func(ctx context.Context, p *process, no string, seen int) (press.Outcome, error) {
			return p.desk.Lift(ctx, p.author("chen.yu"), no, change(seen))
		}},
		{"retract", warning.KindRetract, func(ctx context.Context, p *process, no string, seen int) (press.Outcome, error) {
			return p.desk.Retract(ctx, p.author("chen.yu"), no, change(seen))
		}},
	}
}

func TestEveryMessageAfterTheFirstNeedsApproval(t *testing.T) {
	t.Parallel()
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			ctx := t.Context()
			m := p.published(t, content("wine", warning.Orange))
			o, err := s.do(ctx, p, m.No, 1)
			must(t, err)
			if o.Message != nil || o.Asked.State != approval.Pending {
				t.Fatalf("%+v", o)
			}
			if again, err := s.do(ctx, p, m.No, 0); err != nil || again.Asked.ID != o.Asked.ID {
				t.Fatalf("asked twice: %+v %v", again, err)
			}
			r := p.approve(t, o.Asked.ID)
			st, err := p.warnings.Get(ctx, m.No)
			must(t, err)
			if r.State != approval.Done || st.Current.ID() != r.Result || st.Current.Kind != s.kind || st.Current.ApprovedBy != "lin.wei" || st.Current.Rev != 2 {
				t.Fatalf("%+v %+v", r, st.Current)
			}
			o, err = s.do(ctx, p, m.No, 1)
			if err != nil || o.Message == nil || o.Message.ID() != r.Result {
				t.Fatalf("a retry after approval: %+v %v", o, err)
			}
		})
	}
}

// What another published meanwhile is not overwritten by an approval of something older.
func TestAnApprovalThatWasOvertaken(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	ctx := t.Context()
	m := p.published(t, content("wine", warning.Yellow))
	o, err := p.desk.Amend(ctx, p.author("chen.yu"), m.No, warning.Amendment{Change: warning.Change{Reason: why}, Level: warning.Red})
	must(t, err)
	_, err = p.warnings.Lift(ctx, p.author("lin.wei"), m.No, warning.Change{Reason: why})
	must(t, err)
	if r := p.approve(t, o.Asked.ID); r.State != approval.Failed || r.Failure != "warning_changed" {
		t.Fatalf("%+v", r)
	}
	_, err = p.desk.Lift(ctx, p.author("chen.yu"), m.No, warning.Change{Reason: why, Seen: 1})
	wantCode(t, err, "warning_changed")
}

// Approval does not make up for anything else that is missing, in who asks or in who decides.
func TestOnlyTheSecondOperatorMayBeMissing(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	ctx := t.Context()
	m := p.published(t, content("wine", warning.Yellow))
	next := content("spirits", warning.Red)
	_, err := p.desk.Amend(ctx, p.author("wine-officer"), m.No, warning.Amendment{Change: warning.Change{Reason: why}, Content: &next})
	wantCode(t, err, "not_competent")
	_, err = p.desk.Amend(ctx, p.author("trainee"), m.No, warning.Amendment{Change: warning.Change{Reason: why}, Level: warning.Red})
	wantCode(t, err, "level_not_permitted")
	stranger := p.author("chen.yu")
	stranger.Authority = "haikou-customs"
	_, err = p.desk.Lift(ctx, stranger, m.No, warning.Change{Reason: why})
	wantCode(t, err, "other_authority")
	_, err = p.desk.Publish(ctx, stranger, p.draft(t, content("wine", warning.Red)).No, 0)
	wantCode(t, err, "warning_unknown")

	ask := func(level warning.Level) string {
		t.Helper()
		next := content("spirits", level)
		o, err := p.desk.Amend(ctx, p.author("chen.yu"), m.No, warning.Amendment{Change: warning.Change{Reason: why}, Content: &next})
		must(t, err)
		return o.Asked.ID
	}
	for _, by := range []string{"wine-officer", "trainee"} {
		r, err := p.approvals.Decide(ctx, ask(warning.Red), by, "", true, "")
		if err != nil || r.State != approval.Failed {
			t.Errorf("%s approved: %+v %v", by, r, err)
		}
	}
	id := ask(warning.Orange)
	p.rights.gone["chen.yu"] = true
	if r := p.approve(t, id); r.State != approval.Failed || r.Failure != "not_permitted" {
		t.Errorf("who asked may do nothing any more, and yet: %+v", r)
	}
	if st, err := p.warnings.Get(ctx, m.No); err != nil || st.Current.Rev != 1 {
		t.Fatalf("%+v %v", st.Current, err)
	}
}

func TestWhatNobodyCanCarryOut(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	carry := press.Carry(p.warnings, p.rights.may)
	_, err := carry(t.Context(), approval.Request{Action: "firm.delete", Subject: "x", Body: []byte("{}")})
	wantCode(t, err, "request_unknown")
	_, err = carry(t.Context(), approval.Request{Action: press.ActionLift, Subject: "x", Body: []byte("[")})
	wantCode(t, err, "request_unknown")
}

// Wherever the process that decides dies, at any write of approval and warnings together, the next one brings it to one end: either the
// decision was not made and nothing is published, or one message is.
func TestApprovalSurvivesDeathAtEveryWrite(t *testing.T) {
	t.Parallel()
	publish := step{"publish", warning.KindAlert, nil}
	for _, s := range append(steps(), publish) {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%t", s.name, after), func(t *testing.T) {
				t.Parallel()
				survive(t, s, after)
			})
		}
	}
}

func survive(t *testing.T, s step, after bool) {
	t.Helper()
	for n := 1; ; n++ {
		p, disk := setup(t)
		ctx := t.Context()
		no, asked := p.prepare(t, s)
		mortal := storetest.NewMortal(disk)
		dying := start(t, mortal, p.rights)
		mortal.DieAt(n, after)
		_, err := dying.approvals.Decide(ctx, asked.ID, "lin.wei", "林伟", true, "")
		if !mortal.Dead() {
			must(t, err)
			if n < 4 {
				t.Fatalf("only %d writes were tried", n-1)
			}
			return
		}
		// Another process takes over: the worker of drafts goes on, and that of requests.
		next := start(t, disk, p.rights)
		must(t, next.warnings.Repair(ctx))
		must(t, next.approvals.Repair(ctx))
		checkEnd(t, next, s, no, asked.ID, n > 1 || after)
	}
}

// prepare makes a warning for which a step waits for approval.
func (p *process) prepare(t *testing.T, s step) (no string, asked *approval.Request) {
	t.Helper()
	if s.do == nil {
		d := p.draft(t, content("wine", warning.Red))
		o, err := p.desk.Publish(t.Context(), p.author("chen.yu"), d.No, d.Revision)
		must(t, err)
		return d.No, o.Asked
	}
	m := p.published(t, content("wine", warning.Orange))
	o, err := s.do(t.Context(), p, m.No, 1)
	must(t, err)
	return m.No, o.Asked
}

func checkEnd(t *testing.T, p *process, s step, no, id string, decided bool) {
	t.Helper()
	r, err := p.approvals.Get(t.Context(), id)
	must(t, err)
	st, err := p.warnings.Get(t.Context(), no)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		t.Fatal(err)
	}
	mine := slices.DeleteFunc(slices.Clone(st.History), func(m warning.Message) bool { return m.Key != id })
	if !decided {
		if r.State != approval.Pending || len(mine) != 0 {
			t.Fatalf("not decided, and yet %+v, %d messages", r, len(mine))
		}
		return
	}
	if r.State != approval.Done || len(mine) != 1 || mine[0].Kind != s.kind || mine[0].ApprovedBy != "lin.wei" || r.Result != mine[0].ID() {
		t.Fatalf("%+v, %d messages", r, len(mine))
	}
}

// What was published before its operators lost their rights stays done: the next process must not note a failure.
func TestRightsThatEndBetweenTheWrites(t *testing.T) {
	t.Parallel()
	for _, s := range append(steps(), step{"publish", warning.KindAlert, nil}) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p, disk := setup(t)
			ctx := t.Context()
			no, asked := p.prepare(t, s)
			mortal := storetest.NewMortal(disk)
			dying := start(t, mortal, p.rights)
			mortal.DieAt(2, true) // the decision, then the message or the draft's seal
			if _, err := dying.approvals.Decide(ctx, asked.ID, "lin.wei", "", true, ""); err != nil && !errors.Is(err, store.ErrUnavailable) {
				t.Fatal(err)
			}
			p.rights.gone["chen.yu"], p.rights.gone["lin.wei"] = true, true
			next := start(t, disk, p.rights)
			must(t, next.approvals.Repair(ctx))
			checkEnd(t, next, s, no, asked.ID, true)
		})
	}
}

// Several processes carry one request out at once.
func TestManyCarryOutAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range append(steps(), step{"publish", warning.KindAlert, nil}) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			p, disk := setup(t)
			no, asked := p.prepare(t, s)
			others := []*process{p, start(t, disk, p.rights), start(t, disk, p.rights)}
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					q := others[i%len(others)]
					if _, err := q.approvals.Decide(t.Context(), asked.ID, "lin.wei", "", true, ""); err != nil {
						t.Error(err)
					}
					if err := q.approvals.Repair(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			checkEnd(t, p, s, no, asked.ID, true)
		})
	}
}
