package access

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

// interrupted is an engine that calls before, once, before an operator is inserted.
type interrupted struct {
	store.Engine
	before atomic.Pointer[func() error]
}

func (e *interrupted) Insert(ctx context.Context, coll string, recs []store.Record) ([]error, error) {
	if coll == "operators" {
		if f := e.before.Swap(nil); f != nil {
			if err := (*f)(); err != nil {
				return nil, err
			}
		}
	}
	return e.Engine.Insert(ctx, coll, recs)
}

// begin begins with a first link, as somebody.
func (b *bundle) begin(l Link, login string) Enrolment {
	b.t.Helper()
	e, err := b.StartEnrolment(b.t.Context(), StartRequest{Token: l.Token, Password: password, Login: login, Authority: "hn-amr"})
	must(b.t, err)
	return e
}

func (b *bundle) logins() (logins []string) {
	b.t.Helper()
	all, _, err := b.Operators(b.t.Context(), "", 10)
	must(b.t, err)
	for _, o := range all {
		logins = append(logins, o.Login)
	}
	return logins
}

// The link is begun and confirmed a second time, under another login, while the first confirmation is under way.
func TestOneLinkMakesOneFirstOperator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	eng := &interrupted{Engine: b.eng}
	b.eng = eng
	b.Service = b.replica()
	l, _, err := b.FirstLink(ctx)
	must(t, err)
	e := b.begin(l, "root")
	second := func() error {
		other := b.begin(l, "other")
		_, err := b.ConfirmEnrolment(ctx, l.Token, b.code(other.TOTPSecret, 0))
		wants(t, err, "link_unknown")
		return nil
	}
	eng.before.Store(&second)
	done, err := b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0))
	must(t, err)
	if eng.before.Load() != nil {
		t.Fatal("nothing came between")
	}
	if logins := b.logins(); len(logins) != 1 || logins[0] != "root" {
		t.Errorf("the first operators are %v", logins)
	}
	b.login(person{"root", e.TOTPSecret, nil}, office)
	_, err = b.Login(ctx, LoginRequest{"root", password, done.RecoveryCodes[0], office})
	must(t, err)
}

// A process that dies between the claim and the operator leaves nobody locked out: the next start finishes what it began.
func TestAFirstOperatorHalfMadeIsFinished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	eng := &interrupted{Engine: b.eng}
	b.eng = eng
	b.Service = b.replica()
	l, _, err := b.FirstLink(ctx)
	must(t, err)
	e := b.begin(l, "root")
	died := errors.New("died")
	death := func() error { return died }
	eng.before.Store(&death)
	if _, err := b.ConfirmEnrolment(ctx, l.Token, b.code(e.TOTPSecret, 0)); !errors.Is(err, died) {
		t.Fatalf("%v", err)
	}
	if _, ok, err := b.replica().FirstLink(ctx); ok || err != nil {
		t.Errorf("another first link beside a claim: %v, %v", ok, err)
	}
	s := b.login(person{"root", e.TOTPSecret, nil}, office)
	if !s.Operator.Has(Administrator) {
		t.Errorf("%+v", s.Operator)
	}
}
