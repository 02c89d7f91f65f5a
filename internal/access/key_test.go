package access

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSellersKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	k, key, err := b.AddKey(ctx, NewKey{Firm: "haikou-df", Label: "ERP", Scopes: []Scope{ScopeCapture}, By: "operator:chen.yu"})
	must(t, err)
	p, err := b.Authenticate(ctx, key)
	must(t, err)
	if p.Firm != "haikou-df" || p.Kind != KindSeller || p.Test || len(p.Scopes) != 1 || !strings.HasPrefix(key, k.Prefix) {
		t.Fatalf("%+v %+v", p, k)
	}
	_, other, err := b.AddKey(ctx, NewKey{Firm: "other", Test: true})
	must(t, err)
	if p, err = b.Authenticate(ctx, other); err != nil || !p.Test || len(p.Scopes) != len(Scopes) || !strings.HasPrefix(other, "hk_test_") {
		t.Fatalf("%+v, %v", p, err)
	}
	live := strings.Replace(other, "hk_test_", "hk_", 1)
	id := k.ID
	for _, forged := range []string{
		"", "hk_", "hk__x", "hk_\xff_x", "hk_" + id, "hk_" + id + "_", key + "x", key[:len(key)-1],
		"hk_" + id + "_" + strings.Split(live, "_")[2], "hx_" + id, strings.Repeat("hk_a", 1000), live, strings.Replace(key, "hk_", "hk_test_", 1),
	} {
		_, err := b.Authenticate(ctx, forged)
		wants(t, err, "unauthenticated")
	}
	d, err := b.keys.Get(ctx, id)
	must(t, err)
	if strings.Contains(d.V.Hash, strings.Split(key, "_")[2]) {
		t.Error("the key is stored")
	}
	list, err := b.Keys(ctx, "haikou-df")
	must(t, err)
	if len(list) != 1 || list[0].ID != id || !list[0].Good || !list[0].LastUsed.IsZero() {
		t.Errorf("%+v", list)
	}
	b.drain()
	if list, err = b.Keys(ctx, "haikou-df"); err != nil || !list[0].LastUsed.Equal(b.clock.Now()) {
		t.Errorf("last used %v, %v", list[0].LastUsed, err)
	}
	for name, n := range map[string]NewKey{
		"label": {Firm: "f", Label: "a\x00"}, "scope": {Firm: "f", Scopes: []Scope{"root"}}, "past": {Firm: "f", NotAfter: b.clock.Now()},
	} {
		if _, _, err := b.AddKey(ctx, n); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAKeyIsRotatedWithOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.replica()
	ctx := t.Context()
	k, old, err := b.AddKey(ctx, NewKey{Firm: "f", Label: "ERP", Scopes: []Scope{ScopeCodes}})
	must(t, err)
	_, err = other.Authenticate(ctx, old)
	must(t, err)
	_, _, err = b.RotateKey(ctx, "another", k.ID, time.Hour, "me")
	wants(t, err, "key_unknown")
	_, _, err = b.RotateKey(ctx, "f", k.ID, MaxOverlap+1, "me")
	wants(t, err, "invalid")
	next, fresh, err := b.RotateKey(ctx, "f", k.ID, time.Hour, "me")
	must(t, err)
	for _, token := range []string{old, fresh} {
		p, err := b.Authenticate(ctx, token)
		must(t, err)
		if p.Scopes[0] != ScopeCodes || p.Firm != "f" {
			t.Errorf("%+v", p)
		}
	}
	list, err := b.Keys(ctx, "f")
	must(t, err)
	if len(list) != 2 || list[0].ReplacedBy != next.ID && list[1].ReplacedBy != next.ID {
		t.Errorf("%+v", list)
	}
	b.clock.Advance(time.Hour)
	_, err = other.Authenticate(ctx, old)
	wants(t, err, "unauthenticated")
	_, _, err = b.RotateKey(ctx, "f", k.ID, 0, "me")
	wants(t, err, "key_ended")

	_, err = other.Authenticate(ctx, fresh)
	must(t, err)
	_, err = b.EndKey(ctx, "f", next.ID, "me")
	must(t, err)
	again, err := b.EndKey(ctx, "f", next.ID, "somebody else")
	must(t, err)
	if again.Good || again.Revoked.IsZero() {
		t.Errorf("%+v", again)
	}
	b.clock.Advance(believeFor)
	_, err = other.Authenticate(ctx, fresh)
	wants(t, err, "unauthenticated")
	b.clock.Advance(keepEnded)
	if list, err := b.Keys(ctx, "f"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// However often a key is rotated, and by whom, what comes of it ends when the first one was to end.
func TestAKeyDoesNotOutliveItsEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	end := b.clock.Now().Add(48 * time.Hour)
	k, token, err := b.AddKey(ctx, NewKey{Firm: "f", Scopes: []Scope{ScopeKeys}, NotAfter: end})
	must(t, err)
	for range 3 {
		k, token, err = b.RotateKey(ctx, "f", k.ID, MaxOverlap, "thief")
		must(t, err)
		if !k.NotAfter.Equal(end) || len(k.Scopes) != 1 {
			t.Fatalf("%+v", k)
		}
	}
	if p, err := b.Authenticate(ctx, token); err != nil || !p.NotAfter.Equal(end) {
		t.Errorf("%+v, %v", p, err)
	}
	b.clock.Advance(48 * time.Hour)
	_, err = b.Authenticate(ctx, token)
	wants(t, err, "unauthenticated")
	list, err := b.Keys(ctx, "f")
	must(t, err)
	for _, k := range list {
		if k.Good {
			t.Errorf("still good: %+v", k)
		}
	}
}

// A key that leaked is rotated. Whoever has it has it for the overlap, and makes nothing of it that lasts.
func TestALeakedKeyIsRotatedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	leaked, _, err := b.AddKey(ctx, NewKey{Firm: "f"})
	must(t, err)
	next, token, err := b.RotateKey(ctx, "f", leaked.ID, time.Hour, "owner")
	must(t, err)
	_, err = b.Authenticate(ctx, token)
	must(t, err)
	b.drain()
	_, _, err = b.RotateKey(ctx, "f", leaked.ID, time.Hour, "thief")
	wants(t, err, "key_replaced") // the new key was used: its owner has it
	_, _, err = b.RotateKey(ctx, "f", next.ID, MaxOverlap, "owner")
	must(t, err)

	unused, _, err := b.AddKey(ctx, NewKey{Firm: "g"})
	must(t, err)
	_, _, err = b.RotateKey(ctx, "g", unused.ID, time.Hour, "owner")
	must(t, err)
	b.clock.Advance(rotateAgain)
	_, _, err = b.RotateKey(ctx, "g", unused.ID, time.Hour, "thief")
	wants(t, err, "key_replaced") // too late
}

// Whoever did not get the answer of a rotation asks again: the key that nobody saw ends, and the overlap grows no longer. Of many who ask at
// once one gets a key that is good.
func TestARotationMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.replica()
	ctx := t.Context()
	old, token, err := b.AddKey(ctx, NewKey{Firm: "f"})
	must(t, err)
	unseen, _, err := b.RotateKey(ctx, "f", old.ID, time.Hour, "me")
	must(t, err)
	b.clock.Advance(time.Minute)
	seen, fresh, err := b.RotateKey(ctx, "f", old.ID, 2*time.Hour, "me")
	must(t, err)
	good := map[string]bool{old.ID: true, seen.ID: true}
	list, err := b.Keys(ctx, "f")
	must(t, err)
	for _, k := range list {
		if k.Good != good[k.ID] || k.ID == unseen.ID && k.Revoked.IsZero() {
			t.Errorf("%+v", k)
		}
	}
	_, err = b.Authenticate(ctx, fresh)
	must(t, err)
	b.clock.Advance(59 * time.Minute)
	_, err = b.Authenticate(ctx, token)
	wants(t, err, "unauthenticated")

	many, _, err := b.AddKey(ctx, NewKey{Firm: "g"})
	must(t, err)
	var wg sync.WaitGroup
	for range 4 {
		for _, s := range []*Service{b.Service, other} {
			wg.Go(func() {
				_, _, err := s.RotateKey(ctx, "g", many.ID, time.Hour, "me")
				if err != nil {
					wants(t, err, "key_replaced")
				}
			})
		}
	}
	wg.Wait()
	list, err = b.Keys(ctx, "g")
	must(t, err)
	left := 0
	for _, k := range list {
		if k.Good && k.ID != many.ID {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d keys are good in place of one: %+v", left, list)
	}
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range MaxKeys {
		_, _, err := b.AddKey(t.Context(), NewKey{Firm: "f"})
		must(t, err)
	}
	_, _, err := b.AddKey(t.Context(), NewKey{Firm: "f"})
	wants(t, err, "too_many_keys")
	_, _, err = b.AddKey(t.Context(), NewKey{Firm: "g"})
	must(t, err)
}

// A firm's link gives two keys, whoever asks how often at once, and no more after ten minutes.
func TestAnInvitationGivesTheFirstKeysOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.replica()
	ctx := t.Context()
	l, err := b.InviteFirm(ctx, "haikou-df", "operator:lin")
	must(t, err)
	first, err := b.AcceptInvitation(ctx, l.Token, "first")
	must(t, err)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed []error
	for range 4 {
		for _, s := range []*Service{b.Service, other} {
			wg.Go(func() {
				a, err := s.AcceptInvitation(ctx, l.Token, "again")
				if err == nil && (a.LiveKey != first.LiveKey || a.TestKey != first.TestKey) {
					err = errors.New("other keys")
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = append(failed, err)
				}
			})
		}
	}
	wg.Wait()
	if len(failed) > 0 {
		t.Error(failed)
	}
	list, err := b.Keys(ctx, "haikou-df")
	must(t, err)
	if len(list) != 2 {
		t.Errorf("%d keys", len(list))
	}
	for token, test := range map[string]bool{first.LiveKey: false, first.TestKey: true} {
		p, err := b.Authenticate(ctx, token)
		must(t, err)
		if p.Firm != "haikou-df" || p.Test != test {
			t.Errorf("%+v", p)
		}
	}
	b.clock.Advance(acceptAgain)
	_, err = b.AcceptInvitation(ctx, l.Token, "late")
	wants(t, err, "link_unknown")
	_, err = b.StartEnrolment(ctx, StartRequest{Token: l.Token, Password: password, Login: "root", Authority: "hn-amr"})
	wants(t, err, "link_unknown") // a firm's link makes no operator
}

// BenchmarkAuthenticateWarm is what authentication adds to a keyed request, once the key is known.
func BenchmarkAuthenticateWarm(b *testing.B) {
	s := setup(b)
	_, key, err := s.AddKey(b.Context(), NewKey{Firm: "f"})
	must(b, err)
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), key); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHash is what one log-in costs in hashing: the budget that the parameters were chosen for.
func BenchmarkHash(b *testing.B) {
	s := setup(b)
	for b.Loop() {
		if _, err := s.verify(b.Context(), dummyHash, password); err != nil {
			b.Fatal(err)
		}
	}
}
