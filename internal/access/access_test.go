package access

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

type bundle struct {
	*Service
	t   *testing.T
	mu  sync.Mutex
	now time.Time
}

const password = "correct horse battery"

func setup(t *testing.T) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{t: t, now: time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)}
	clock := func() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.now }
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"), sqlite.WithClock(clock))
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	b.Service, err = Open(t.Context(), eng, box, clock)
	must(t, err)
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) add(login string) (totpSecret string) {
	b.t.Helper()
	e, err := b.AddOperator(b.t.Context(), NewOperator{Login: login, Name: "Chen Yu", Authority: "hainan", Roles: []Role{Officer, Publisher}, Password: password})
	must(b.t, err)
	return e.TOTPSecret
}

func (b *bundle) code(totpSecret string, ahead time.Duration) string {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := totp.GenerateCode(totpSecret, b.now.Add(ahead))
	must(b.t, err)
	return c
}

func (b *bundle) pass(d time.Duration) { b.mu.Lock(); defer b.mu.Unlock(); b.now = b.now.Add(d) }

func TestASessionOpensAndEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key := b.add("chen.yu")
	s, err := b.Login(ctx, LoginRequest{Login: "chen.yu", Password: password, Code: b.code(key, 0)})
	must(t, err)
	p, err := b.Authenticate(ctx, s.Token)
	must(t, err)
	if p.ID != "chen.yu" || p.Kind != KindOperator || !p.Has(Officer) || p.Authority != "hainan" || !strings.HasPrefix(s.Token, "hs_") {
		t.Fatalf("%+v", p)
	}
	must(t, b.Logout(ctx, s.Token))
	must(t, b.Logout(ctx, s.Token))
	if _, err := b.Authenticate(ctx, s.Token); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("after the end: %v", err)
	}
	b.pass(time.Minute)
	s, err = b.Login(ctx, LoginRequest{Login: "chen.yu", Password: password, Code: b.code(key, 0)})
	must(t, err)
	b.pass(SessionTerm)
	if _, err := b.Authenticate(ctx, s.Token); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("after its term: %v", err)
	}
	if n, err := b.Sweep(ctx, 10); err != nil || n != 1 {
		t.Fatalf("swept %d, %v", n, err)
	}
}

func TestEveryWrongLoginLooksAlike(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.add("chen.yu")
	for name, c := range map[string][3]string{
		"unknown login":  {"nobody", password, b.code(key, 0)},
		"wrong password": {"chen.yu", password + "!", b.code(key, 0)},
		"wrong code":     {"chen.yu", password, "000000"},
		"old code":       {"chen.yu", password, b.code(key, -2*time.Minute)},
		"code with more": {"chen.yu", password, b.code(key, 0) + "0"},
	} {
		_, err := b.Login(t.Context(), LoginRequest{Login: c[0], Password: c[1], Code: c[2]})
		if err == nil || err.Error() != errLogin.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACodeWorksOnceAlsoForTwoAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := b.add("chen.yu")
	code := b.code(key, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	opened := 0
	for range 8 {
		wg.Go(func() {
			if _, err := b.Login(t.Context(), LoginRequest{Login: "chen.yu", Password: password, Code: code}); err == nil {
				mu.Lock()
				defer mu.Unlock()
				opened++
			}
		})
	}
	wg.Wait()
	if opened != 1 {
		t.Fatalf("%d sessions with one code", opened)
	}
	if _, err := b.Login(t.Context(), LoginRequest{Login: "chen.yu", Password: password, Code: b.code(key, -30*time.Second)}); err == nil {
		t.Fatal("a code older than one that was used")
	}
	if _, err := b.Login(t.Context(), LoginRequest{Login: "chen.yu", Password: password, Code: b.code(key, 30*time.Second)}); err != nil {
		t.Fatalf("the next code, half a minute early: %v", err)
	}
}

func TestSellersKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	key, err := b.AddKey(ctx, "haikou-df", "ERP")
	must(t, err)
	p, err := b.Authenticate(ctx, key)
	must(t, err)
	if p.Firm != "haikou-df" || p.Kind != KindSeller {
		t.Fatalf("%+v", p)
	}
	other, err := b.AddKey(ctx, "other", "")
	must(t, err)
	id := strings.Split(key, "_")[1]
	for _, forged := range []string{"", "hk_", "hk__x", "hk_\xff_x", "hk_" + id, "hk_" + id + "_", key + "x", key[:len(key)-1], "hk_" + id + "_" + strings.Split(other, "_")[2], "hx_" + id, strings.Repeat("hk_a", 1000)} {
		if _, err := b.Authenticate(ctx, forged); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%.40q: %v", forged, err)
		}
	}
	docs, err := b.keys.Get(ctx, id)
	must(t, err)
	if strings.Contains(docs.V.Hash, strings.Split(key, "_")[2]) {
		t.Error("the key is stored")
	}
}

func TestBadOperatorsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.add("chen.yu")
	_, err := b.AddOperator(t.Context(), NewOperator{Login: "chen.yu", Authority: "a", Roles: []Role{Viewer}, Password: password})
	if fault.CodeOf(err) != "login_taken" {
		t.Errorf("taken: %v", err)
	}
	_, err = b.AddOperator(t.Context(), NewOperator{Login: "Chen Yu", Roles: []Role{"boss"}, Password: "short"})
	for _, pointer := range []string{"/login", "/password", "/roles", "/authority"} {
		if err == nil || !strings.Contains(err.Error(), pointer) {
			t.Errorf("%s is not in %v", pointer, err)
		}
	}
}
