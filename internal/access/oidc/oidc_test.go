package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
)

// fake is an OpenID provider that gives whatever claims a test wants, signed as a test wants.
type fake struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu        sync.Mutex
	claims    map[string]any
	sign      func(claims map[string]any) string
	challenge string // of the sign-in under way
	down      bool
}

func newFake(t *testing.T) *fake {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{key: key}
	f.sign = f.signed
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		reply(w, map[string]any{
			"issuer": f.URL, "authorization_endpoint": f.URL + "/auth", "token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"ES256", "none", "HS256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if r.FormValue("code") != "good" || base64.RawURLEncoding.EncodeToString(sum[:]) != f.challenge {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			reply(w, map[string]string{"error": "invalid_grant"})
			return
		}
		reply(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": f.sign(f.claims)})
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) signed(claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: f.key, KeyID: "k"}}, nil)
	if err != nil {
		return err.Error()
	}
	return compact(s, claims)
}

func compact(s jose.Signer, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		return err.Error()
	}
	signed, err := s.Sign(body)
	if err != nil {
		return err.Error()
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return err.Error()
	}
	return text
}

// once is Used in memory.
type once struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *once) Use(_ context.Context, id string, _ time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.seen[id]
	o.seen[id] = true
	return first, nil
}

type bundle struct {
	*Provider
	fake  *fake
	clock *clocktest.Clock
}

func setup(t *testing.T) *bundle {
	t.Helper()
	box, err := secret.OpenFile(filepath.Join(t.TempDir(), "keys.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	b := &bundle{fake: newFake(t), clock: clocktest.New(time.Now())} // the library checks some times by the real clock
	b.Provider, err = New(Config{
		Issuer: b.fake.URL, ClientID: "haisu", ClientSecret: "s", RedirectURL: "https://haisu.example/v1/sessions/oidc/callback",
		HTTP: b.fake.Client(), Sealer: box, Used: &once{seen: map[string]bool{}}, Now: b.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// begin begins a sign-in and has the provider ready to answer with good claims, changed by a test.
func (b *bundle) begin(t *testing.T, change map[string]any) (query url.Values, cookie string) {
	t.Helper()
	address, cookie, err := b.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(address, b.fake.URL+"/auth?") || q.Get("code_challenge_method") != "S256" || q.Get("scope") != "openid" || q.Get("response_type") != "code" {
		t.Fatalf("sent to %s", address)
	}
	claims := map[string]any{
		"iss": b.fake.URL, "sub": "42", "aud": "haisu", "nonce": q.Get("nonce"), "amr": []string{"pwd", "otp"},
		"iat": b.clock.Now().Unix(), "exp": b.clock.Now().Add(time.Minute).Unix(),
	}
	maps.Copy(claims, change)
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	b.fake.claims, b.fake.challenge = claims, q.Get("code_challenge")
	return url.Values{"state": {q.Get("state")}, "code": {"good"}}, cookie
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	query, cookie := b.begin(t, nil)
	id, err := b.Finish(t.Context(), query, cookie)
	if err != nil || id.Subject != "42" || id.Issuer != b.fake.URL || !id.SecondFactor {
		t.Fatalf("%+v, %v", id, err)
	}
	if _, err := b.Finish(t.Context(), query, cookie); fault.CodeOf(err) != "sign_in_failed" {
		t.Errorf("finished twice: %v", err)
	}
}

// Two factors are what the provider calls so, or methods of two kinds.
func TestTwoFactors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for amr, want := range map[string]bool{
		"": false, "pwd": false, "otp": false, "hwk": false, "sc": false, "swk": false, "fpt": false, "face": false, "MFA": false,
		"pwd pin": false, "otp hwk": false, "face fpt": false, "pwd sms": false, "pwd kba": false, "pwd mca": false, "otp user": false, "pwd pwd": false,
		"mfa": true, "pwd mfa": true, "pwd otp": true, "pin sc": true, "hwk fpt": true, "face pin": true, "pwd swk": true,
	} {
		query, cookie := b.begin(t, map[string]any{"amr": strings.Fields(amr)})
		if id, err := b.Finish(t.Context(), query, cookie); err != nil || id.SecondFactor != want {
			t.Errorf("%q: %+v, %v", amr, id, err)
		}
	}
	query, cookie := b.begin(t, map[string]any{"amr": nil})
	if id, err := b.Finish(t.Context(), query, cookie); err != nil || id.SecondFactor {
		t.Errorf("a provider that says nothing: %+v, %v", id, err)
	}
}

// What an attacker may bring, or a wrong provider give, signs nobody in.
func TestForgedSignIns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claims map[string]any
		query  url.Values // replaces
		cookie string     // replaces, if not empty
		after  time.Duration
		sign   func(f *fake) func(map[string]any) string
	}{
		"another nonce":     {claims: map[string]any{"nonce": "n"}},
		"no nonce":          {claims: map[string]any{"nonce": nil}},
		"another audience":  {claims: map[string]any{"aud": "other"}},
		"two audiences":     {claims: map[string]any{"aud": []string{"haisu", "other"}}},
		"another party":     {claims: map[string]any{"azp": "other"}},
		"another issuer":    {claims: map[string]any{"iss": "https://evil.example"}},
		"no subject":        {claims: map[string]any{"sub": ""}},
		"a long subject":    {claims: map[string]any{"sub": strings.Repeat("x", 256)}},
		"over":              {claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}},
		"not yet":           {claims: map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}},
		"another state":     {query: url.Values{"state": {"s"}}},
		"no state":          {query: url.Values{"state": {""}}},
		"another code":      {query: url.Values{"code": {"bad"}}},
		"no code":           {query: url.Values{"code": {""}}},
		"a mixed-up issuer": {query: url.Values{"iss": {"https://evil.example"}}},
		"an error":          {query: url.Values{"error": {"access_denied"}}},
		"no cookie":         {cookie: "x"},
		"too late":          {after: signInTime},
		"no signature": {sign: func(*fake) func(map[string]any) string {
			return func(claims map[string]any) string {
				body, _ := json.Marshal(claims)
				return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
			}
		}},
		"a shared secret": {sign: func(*fake) func(map[string]any) string {
			return func(claims map[string]any) string {
				s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("s", 32))}, nil)
				if err != nil {
					return err.Error()
				}
				return compact(s, claims)
			}
		}},
		"another key": {sign: func(*fake) func(map[string]any) string {
			return func(claims map[string]any) string {
				key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					return err.Error()
				}
				return (&fake{key: key}).signed(claims)
			}
		}},
		"no token": {sign: func(*fake) func(map[string]any) string { return func(map[string]any) string { return "" } }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			query, cookie := b.begin(t, c.claims)
			maps.Copy(query, c.query)
			if c.cookie != "" {
				cookie = c.cookie
			}
			if c.sign != nil {
				b.fake.sign = c.sign(b.fake)
			}
			b.clock.Advance(c.after)
			if id, err := b.Finish(t.Context(), query, cookie); fault.CodeOf(err) != "sign_in_failed" {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// A cookie of one sign-in does not finish another one.
func TestSignInsDoNotMix(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, attackers := b.begin(t, nil)
	query, _ := b.begin(t, nil)
	if _, err := b.Finish(t.Context(), query, attackers); fault.CodeOf(err) != "sign_in_failed" {
		t.Errorf("%v", err)
	}
}

func TestAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fake.down = true
	if _, _, err := b.Begin(t.Context()); fault.CodeOf(err) != "identity_provider_unavailable" {
		t.Fatalf("%v", err)
	}
	b.fake.mu.Lock()
	b.fake.down = false
	b.fake.mu.Unlock()
	if _, _, err := b.Begin(t.Context()); err != nil {
		t.Fatalf("it is up again: %v", err)
	}
	query, cookie := b.begin(t, nil)
	b.fake.CloseClientConnections()
	b.fake.Close()
	if _, err := b.Finish(t.Context(), query, cookie); fault.CodeOf(err) != "identity_provider_unavailable" {
		t.Errorf("%v", err)
	}
}

func TestConfigurationsAreRefused(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"", "id.example", "https://id.example?x=1", "https://id.example/#x"} {
		if _, err := New(Config{Issuer: issuer, ClientID: "x"}); err == nil || !strings.Contains(err.Error(), "issuer") {
			t.Errorf("%q: %v", issuer, err)
		}
	}
	if _, err := New(Config{Issuer: "https://id.example"}); err == nil {
		t.Error("an empty configuration")
	}
}
