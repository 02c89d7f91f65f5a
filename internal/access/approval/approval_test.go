package approval_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
	"github.com/haisu-trace/haisu/internal/warning"
)

// press carries requests out as a real one does: once per ID, whatever happens.
type press struct {
	mu    sync.Mutex
	calls []string
	done  map[string]bool
	err   error // what it answers, unless it was done before
}

func (p *press) carry(_ context.Context, r approval.Request) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, r.ID)
	if p.err != nil && !p.done[r.ID] {
		return "", p.err
	}
	p.done[r.ID] = true
	return "result of " + r.Subject, nil
}

type bundle struct {
	*approval.Service
	eng   store.Engine
	clock *clocktest.Clock
	press *press
}

func setup(t *testing.T) *bundle {
	t.Helper()
	eng, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	b := &bundle{eng: eng, clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)), press: &press{done: map[string]bool{}}}
	b.Service = b.open(t, eng)
	return b
}

// open is another process on the same store.
func (b *bundle) open(t *testing.T, eng store.Engine) *approval.Service {
	t.Helper()
	s, err := approval.Open(t.Context(), eng, approval.Options{Carry: b.press.carry, Now: b.clock.Now})
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func question() approval.Request {
	return approval.Request{
		Action: "warning.publish", Subject: "HN-2026-000001", Level: warning.Red, Class: "wine", Authority: "hn-amr", Revision: 3,
		Body: json.RawMessage(`{"a": 1}`), By: "chen.yu", ByName: "陈宇",
	}
}

func (b *bundle) ask(t *testing.T) approval.Request {
	t.Helper()
	r, err := b.Ask(t.Context(), question())
	must(t, err)
	return r
}

func (b *bundle) state(t *testing.T, id string) string {
	t.Helper()
	r, err := b.Get(t.Context(), id)
	must(t, err)
	return r.State
}

func TestFourEyes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	r := b.ask(t)
	if r.State != approval.Pending || !r.Expires.Equal(r.Requested.Add(7*24*time.Hour)) || string(r.Body) != `{"a":1}` {
		t.Fatalf("%+v", r)
	}
	for _, by := range []string{"chen.yu", ""} {
		for _, approve := range []bool{true, false} {
			_, err := b.Decide(ctx, r.ID, by, "", approve, "why")
			wantCode(t, err, fault.Forbidden, "four_eyes")
		}
	}
	if len(b.press.calls) != 0 {
		t.Fatal("carried out without a second operator")
	}
	done, err := b.Decide(ctx, r.ID, "lin.wei", "林伟", true, " ok ")
	must(t, err)
	if done.State != approval.Done || done.Result != "result of HN-2026-000001" || done.DecidedBy != "lin.wei" || done.Reason != "ok" || done.Decided.IsZero() {
		t.Fatalf("%+v", done)
	}
	again, err := b.Decide(ctx, r.ID, "lin.wei", "林伟", true, "ok")
	if err != nil || again.State != approval.Done || len(b.press.calls) != 1 {
		t.Fatalf("%+v %v %v", again, err, b.press.calls)
	}
	_, err = b.Decide(ctx, r.ID, "wang.min", "", true, "")
	wantCode(t, err, fault.Conflict, "already_decided")
	_, err = b.Decide(ctx, r.ID, "lin.wei", "", false, "changed my mind")
	wantCode(t, err, fault.Conflict, "already_decided")
	_, err = b.Withdraw(ctx, r.ID, "chen.yu")
	wantCode(t, err, fault.Conflict, "already_decided")
}

func TestAskingTwiceAsksOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			q := question()
			q.By = fmt.Sprint("operator-", i)
			q.Body = []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage("{ \"a\" : 1 }\n")}[i%2]
			r, err := b.Ask(ctx, q)
			if err != nil {
				t.Error(err)
			}
			ids[i] = r.ID
		})
	}
	wg.Wait()
	if len(slices.Compact(ids)) != 1 {
		t.Fatalf("asked as %v", ids)
	}
	for name, change := range map[string]func(r *approval.Request){
		"action":    func(r *approval.Request) { r.Action = "warning.lift" },
		"subject":   func(r *approval.Request) { r.Subject = "HN-2026-000002" },
		"revision":  func(r *approval.Request) { r.Revision = 4 },
		"body":      func(r *approval.Request) { r.Body = json.RawMessage(`{"a":2}`) },
		"authority": func(r *approval.Request) { r.Authority = "hn-mpa" },
	} {
		q := question()
		change(&q)
		if r, err := b.Ask(ctx, q); err != nil || r.ID == ids[0] {
			t.Errorf("another %s is the same request: %v", name, err)
		}
	}
}

// What was refused, taken back, left to expire or failed can be asked anew, and each round has an ID of its own.
func TestAskingAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	seen := map[string]bool{}
	next := func() approval.Request {
		t.Helper()
		r := b.ask(t)
		if seen[r.ID] || r.State != approval.Pending {
			t.Fatalf("not asked anew: %+v", r)
		}
		seen[r.ID] = true
		return r
	}
	r := next()
	_, err := b.Decide(ctx, r.ID, "lin.wei", "", false, "")
	if f, ok := errors.AsType[*fault.Error](err); !ok || f.Fields[0].Pointer != "/reason" {
		t.Fatal(err)
	}
	rejected, err := b.Decide(ctx, r.ID, "lin.wei", "", false, "证据不足")
	if err != nil || rejected.State != approval.Rejected {
		t.Fatal(rejected, err)
	}

	r = next()
	_, err = b.Withdraw(ctx, r.ID, "lin.wei")
	wantCode(t, err, fault.Forbidden, "other_asker")
	for range 2 {
		if w, err := b.Withdraw(ctx, r.ID, "chen.yu"); err != nil || w.State != approval.Withdrawn {
			t.Fatal(w, err)
		}
	}
	_, err = b.Decide(ctx, r.ID, "lin.wei", "", true, "")
	wantCode(t, err, fault.Conflict, "already_decided")

	r = next()
	b.clock.Advance(approval.Term)
	_, err = b.Decide(ctx, r.ID, "lin.wei", "", true, "")
	wantCode(t, err, fault.Conflict, "approval_expired")
	if s := b.state(t, r.ID); s != approval.Expired {
		t.Fatal(s)
	}

	b.press.err = fault.New(fault.Conflict, "draft_changed", "changed")
	r = next()
	failed, err := b.Decide(ctx, r.ID, "lin.wei", "", true, "")
	if err != nil || failed.State != approval.Failed || failed.Failure != "draft_changed" {
		t.Fatal(failed, err)
	}
	b.press.err = nil
	r = next()
	if d, err := b.Decide(ctx, r.ID, "lin.wei", "", true, ""); err != nil || d.State != approval.Done {
		t.Fatal(d, err)
	}
	if again := b.ask(t); again.ID != r.ID || again.State != approval.Done {
		t.Fatalf("what is done was asked anew: %+v", again)
	}
	asked, err := b.Asked(ctx, question())
	if err != nil || asked.ID != r.ID {
		t.Fatal(asked, err)
	}
}

func TestAHundredRounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for range 100 {
		_, err := b.Withdraw(ctx, b.ask(t).ID, "chen.yu")
		must(t, err)
	}
	_, err := b.Ask(ctx, question())
	wantCode(t, err, fault.Conflict, "asked_too_often")
}

// A store or a service that is away for a moment loses nothing: the worker goes on.
func TestCarryingOutIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.press.err = fmt.Errorf("press: %w", store.ErrUnavailable)
	r := b.ask(t)
	d, err := b.Decide(ctx, r.ID, "lin.wei", "", true, "")
	if err != nil || d.State != approval.Approved {
		t.Fatal(d, err)
	}
	if err := b.Repair(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	b.press.err = nil
	must(t, b.Repair(ctx))
	if s := b.state(t, r.ID); s != approval.Done {
		t.Fatal(s)
	}
	calls := len(b.press.calls)
	must(t, b.Repair(ctx))
	if len(b.press.calls) != calls {
		t.Fatal("what is done is carried out again")
	}
}

func TestOneThatFailsDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.press.err = store.ErrUnavailable
	var ids []string
	for i := range 3 {
		q := question()
		q.Revision = int64(i)
		r, err := b.Ask(ctx, q)
		must(t, err)
		_, err = b.Decide(ctx, r.ID, "lin.wei", "", true, "")
		must(t, err)
		ids = append(ids, r.ID)
	}
	b.press.done[ids[2]] = true
	if err := b.Repair(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if b.state(t, ids[0]) != approval.Approved || b.state(t, ids[2]) != approval.Done {
		t.Fatal("the first that failed held up the last")
	}
}

// Of all who decide at once one wins.
func TestOneDecision(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	other := b.open(t, b.eng)
	r := b.ask(t)
	won := make([]bool, 8)
	var wg sync.WaitGroup
	for i := range won {
		wg.Go(func() {
			s := []*approval.Service{b.Service, other}[i%2]
			var err error
			if i == 7 {
				_, err = s.Withdraw(ctx, r.ID, "chen.yu")
			} else {
				_, err = s.Decide(ctx, r.ID, fmt.Sprint("operator-", i), "", i%3 == 0, "why")
			}
			won[i] = err == nil
			if err != nil && fault.CodeOf(err) != "already_decided" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, w := range won {
		if w {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%d decisions", n)
	}
}

// line has one body act for another.
type line struct{}

func (line) Line(_ context.Context, id string) ([]string, error) {
	if id == "merged" {
		return []string{"merged", "hn-amr"}, nil
	}
	return []string{id}, nil
}

func TestListsAreQueues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var asked []string
	for i := range 12 {
		q := question()
		q.Revision = int64(i)
		if i%4 == 3 {
			q.Authority = "merged"
		}
		r, err := b.Ask(ctx, q)
		must(t, err)
		asked = append(asked, r.ID)
		b.clock.Advance(time.Minute)
	}
	_, err := b.Decide(ctx, asked[0], "lin.wei", "", false, "no")
	must(t, err)
	list := func(s *approval.Service, authority, state string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			page, next, err := s.List(ctx, authority, state, cursor, 2)
			must(t, err)
			for _, r := range page {
				ids = append(ids, r.ID)
			}
			if cursor = next; next == "" {
				return ids
			}
		}
	}
	if got := list(b.Service, "hn-amr", approval.Pending); len(got) != 8 || got[0] != asked[1] {
		t.Errorf("pending: %v", got)
	}
	if got := list(b.Service, "hn-amr", ""); len(got) != 9 {
		t.Errorf("all: %v", got)
	}
	if got := list(b.Service, "haikou-customs", ""); got != nil {
		t.Errorf("another authority's: %v", got)
	}
	s, err := approval.Open(ctx, b.eng, approval.Options{Carry: b.press.carry, Now: b.clock.Now, Authorities: line{}})
	must(t, err)
	if got := list(s, "merged", ""); !slices.Equal(got, asked) {
		t.Errorf("a successor's queue: %v", got)
	}
	// Requests expire at their instant for every reader, and Repair moves them to where lists find them.
	b.clock.Advance(approval.Term - 12*time.Minute + time.Minute)
	if got := list(b.Service, "hn-amr", approval.Pending); len(got) != 7 || slices.Contains(got, asked[1]) {
		t.Errorf("pending after the first have expired: %v", got)
	}
	must(t, b.Repair(ctx))
	if got := list(b.Service, "hn-amr", approval.Expired); !slices.Equal(got, asked[1:2]) {
		t.Errorf("expired: %v", got)
	}
	_, _, err = b.List(ctx, "hn-amr", "x", "", 2)
	wantCode(t, err, fault.Invalid, "invalid")
	_, _, err = b.List(ctx, "hn-amr", "", "!", 2)
	wantCode(t, err, fault.Malformed, "bad_cursor")
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	for name, change := range map[string]func(r *approval.Request){
		"no action":      func(r *approval.Request) { r.Action = "" },
		"no asker":       func(r *approval.Request) { r.By = "" },
		"no authority":   func(r *approval.Request) { r.Authority = "" },
		"a long subject": func(r *approval.Request) { r.Subject = strings.Repeat("x", 201) },
		"broken JSON":    func(r *approval.Request) { r.Body = json.RawMessage(`{"a"`) },
		"two values":     func(r *approval.Request) { r.Body = json.RawMessage(`{} {}`) },
	} {
		q := question()
		change(&q)
		if _, err := b.Ask(ctx, q); fault.CodeOf(err) != "invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
	q := question()
	q.Body = json.RawMessage(`"` + strings.Repeat("x", store.MaxBody) + `"`)
	_, err := b.Ask(ctx, q)
	wantCode(t, err, fault.TooLarge, "request_too_large")
	for _, id := range []string{"", "x", "ap_x", strings.Repeat("ap_", 1000), "ap_\xff"} {
		_, err := b.Get(ctx, id)
		wantCode(t, err, fault.NotFound, "approval_unknown")
		_, err = b.Decide(ctx, id, "lin.wei", "", true, "")
		wantCode(t, err, fault.NotFound, "approval_unknown")
	}
	r := b.ask(t)
	for _, reason := range []string{"\x00", "\xff", "\u202e", strings.Repeat("长", 2001)} {
		_, err := b.Decide(ctx, r.ID, "lin.wei", "", true, reason)
		wantCode(t, err, fault.Invalid, "invalid")
	}
	// What a caller says of state and decision is not believed.
	q = question()
	q.Revision, q.State, q.DecidedBy, q.ID, q.Result = 9, approval.Approved, "x", "ap_mine", "y"
	got, err := b.Ask(ctx, q)
	if err != nil || got.State != approval.Pending || got.DecidedBy != "" || got.ID == "ap_mine" || got.Result != "" {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestNobodyCarriesOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := approval.Open(t.Context(), b.eng, approval.Options{}); err == nil {
		t.Fatal("opened without a function that carries out")
	}
}

// Wherever the process dies while it decides, the decision was either not made or is carried out once by the next.
func TestDecideSurvivesDeath(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 2; n++ {
		for _, after := range []bool{false, true} {
			b := setup(t)
			ctx := t.Context()
			r := b.ask(t)
			mortal := storetest.NewMortal(b.eng)
			s := b.open(t, mortal)
			mortal.DieAt(n, after)
			_, err := s.Decide(ctx, r.ID, "lin.wei", "", true, "")
			if !mortal.Dead() {
				t.Fatalf("write %d never came: %v", n, err)
			}
			must(t, b.Repair(ctx))
			decided := n > 1 || after
			want := map[bool]string{false: approval.Pending, true: approval.Done}[decided]
			if got := b.state(t, r.ID); got != want {
				t.Errorf("died at write %d, after it: %t: %s, want %s", n, after, got, want)
			}
			if len(b.press.done) != map[bool]int{false: 0, true: 1}[decided] {
				t.Errorf("died at write %d, after it: %t: carried out %v", n, after, b.press.calls)
			}
		}
	}
}
