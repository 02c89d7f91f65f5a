// Package oidc signs operators in through an OpenID provider: the authorization code flow of OpenID Connect Core 1.0, 3.1, with PKCE (RFC
// 7636). What a sign-in has to remember between its two halves is in a sealed cookie, so any replica can finish it.
package oidc

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
)

// Sealer keeps a cookie's content from its carrier; see secret.Box.
type Sealer interface {
	Seal(purpose string, plain []byte) (string, error)
	Open(purpose, sealed string) ([]byte, error)
}

// Used remembers which sign-ins were finished, so that none is finished twice. It is true for the first call with an ID.
type Used interface {
	Use(ctx context.Context, id string, until time.Time) (bool, error)
}

// Config is a client as it is registered with a provider.
type Config struct {
	Issuer, ClientID, ClientSecret string
	RedirectURL                    string // PUBLIC_URL/v1/sessions/oidc/callback
	HTTP                           *http.Client
	Sealer                         Sealer
	Used                           Used
	Now                            clock.Now
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	cfg      Config
	asking   singleflight.Group
	provider atomic.Pointer[oidc.Provider] // found out at the first sign-in: a provider that is down must not stop the start
}

// New checks a configuration. The provider is not asked yet.
func New(cfg Config) (*Provider, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("oidc: %q is no issuer", cfg.Issuer)
	}
	if cfg.ClientID == "" || cfg.RedirectURL == "" || cfg.HTTP == nil || cfg.Sealer == nil || cfg.Used == nil || cfg.Now == nil {
		return nil, errors.New("oidc: incomplete configuration")
	}
	return &Provider{cfg: cfg}, nil
}

// algorithms are the signatures that are taken: those with a public key. A provider's own list could name 'none' or a shared secret.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

const signInTime = 10 * time.Minute // to come back from the provider

// pending is what a sign-in remembers.
type pending struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // PKCE
	Ends     time.Time `json:"e"`
}

const purpose = "oidc/pending"

var errProvider = fault.New(fault.Unavailable, "identity_provider_unavailable", "the identity provider does not answer; sign in with password and code")

// discovered asks the provider for its endpoints (OpenID Connect Discovery 1.0, 4), once; those who wait ask together.
func (p *Provider) discovered(ctx context.Context) (*oidc.Provider, error) {
	if found := p.provider.Load(); found != nil {
		return found, nil
	}
	answer := p.asking.DoChan("", func() (any, error) {
		// The context is kept for fetching keys, so it must not end with the request; the client has a time-out of its own.
		return oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.cfg.HTTP), p.cfg.Issuer)
	})
	select {
	case <-ctx.Done():
		return nil, errProvider.Because(ctx.Err())
	case r := <-answer:
		found, _ := r.Val.(*oidc.Provider)
		if r.Err != nil || found == nil {
			return nil, errProvider.Because(r.Err)
		}
		p.provider.Store(found)
		return found, nil
	}
}

func (p *Provider) oauth(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.cfg.RedirectURL,
		Scopes: []string{oidc.ScopeOpenID},
	}
}

// Begin gives the address to send the browser to, and the cookie that it must bring back. Unavailable.
func (p *Provider) Begin(ctx context.Context) (address, cookie string, err error) {
	found, err := p.discovered(ctx)
	if err != nil {
		return "", "", err
	}
	v := pending{State: clock.Token(20), Nonce: clock.Token(20), Verifier: oauth2.GenerateVerifier(), Ends: p.cfg.Now().Add(signInTime)}
	plain, err := json.Marshal(v)
	if err != nil {
		return "", "", err
	}
	if cookie, err = p.cfg.Sealer.Seal(purpose, plain); err != nil {
		return "", "", err
	}
	return p.oauth(found).AuthCodeURL(v.State, oidc.Nonce(v.Nonce), oauth2.S256ChallengeOption(v.Verifier)), cookie, nil
}

var errSignIn = fault.New(fault.Unauthenticated, "sign_in_failed", "the sign-in through the identity provider failed or took too long; begin again")

// Finish says whom the provider has identified. query is that of the address which the provider sent the browser back to, cookie what Begin gave. A
// sign-in is finished once. Unauthenticated (sign_in_failed), Unavailable.
func (p *Provider) Finish(ctx context.Context, query url.Values, cookie string) (access.Identity, error) {
	v, err := p.remembered(query, cookie)
	if err != nil {
		return access.Identity{}, err
	}
	first, err := p.cfg.Used.Use(ctx, v.State, v.Ends)
	if err != nil {
		return access.Identity{}, err
	}
	if !first {
		return access.Identity{}, errSignIn.Because(errors.New("finished already"))
	}
	found, err := p.discovered(ctx)
	if err != nil {
		return access.Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.cfg.HTTP)
	tokens, err := p.oauth(found).Exchange(ctx, query.Get("code"), oauth2.VerifierOption(v.Verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError {
		return access.Identity{}, errSignIn.Because(err)
	}
	if err != nil {
		return access.Identity{}, errProvider.Because(err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	return p.identity(ctx, found, raw, v.Nonce)
}

// remembered holds the answer of the provider to what Begin remembered. An answer may say who gave it (RFC 9207); one of somebody else is refused.
func (p *Provider) remembered(query url.Values, cookie string) (pending, error) {
	var v pending
	plain, err := p.cfg.Sealer.Open(purpose, cookie)
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	switch {
	case err != nil:
	case !hmac.Equal([]byte(v.State), []byte(query.Get("state"))):
		err = errors.New("another state")
	case !p.cfg.Now().Before(v.Ends):
		err = errors.New("too late")
	case query.Get("iss") != "" && query.Get("iss") != p.cfg.Issuer:
		err = errors.New("another issuer")
	case query.Get("error") != "":
		err = fmt.Errorf("the provider says %.60q", query.Get("error"))
	case query.Get("code") == "":
		err = errors.New("no code")
	}
	if err != nil {
		return v, errSignIn.Because(err)
	}
	return v, nil
}

// identity verifies an ID token (OpenID Connect Core 1.0, 3.1.3.7).
func (p *Provider) identity(ctx context.Context, found *oidc.Provider, raw, nonce string) (access.Identity, error) {
	verifier := found.VerifierContext(ctx, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: algorithms, Now: p.cfg.Now})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, errSignIn.Because(err)
	}
	if !hmac.Equal([]byte(token.Nonce), []byte(nonce)) {
		return access.Identity{}, errSignIn.Because(errors.New("another nonce"))
	}
	var claims struct {
		AMR []string `json:"amr"`
		AZP string   `json:"azp"`
	}
	if err := token.Claims(&claims); err != nil {
		return access.Identity{}, errSignIn.Because(err)
	}
	if claims.AZP != "" && claims.AZP != p.cfg.ClientID || len(token.Audience) > 1 && claims.AZP == "" {
		return access.Identity{}, errSignIn.Because(errors.New("given to another party"))
	}
	if token.Subject == "" || len(token.Subject) > 255 {
		return access.Identity{}, errSignIn.Because(errors.New("no subject"))
	}
	return access.Identity{Issuer: token.Issuer, Subject: token.Subject, SecondFactor: twoFactors(claims.AMR)}, nil
}

// factors says of which kind the methods of authentication are (RFC 8176, 2) that count as a factor: what somebody knows, has, or is. What is
// not here does not count: 'sms' and 'tel' come through channels that others can take over (NIST SP 800-63B, 5.1.3.3), answers to questions
// ('kba') are no secret, 'pop' does not say what holds the key, and 'mca' is two channels, not two factors. 'user', 'geo', 'rba' and 'wia' say
// how, and not by what.
var factors = map[string]string{
	"pwd": "knows", "pin": "knows",
	"otp": "has", "hwk": "has", "swk": "has", "sc": "has",
	"face": "is", "fpt": "is", "iris": "is", "retina": "is", "vbm": "is",
}

// twoFactors says whether a provider vouches for two factors: by 'mfa', or by methods of two kinds. One method, however strong, is one factor: a
// key in a browser ('swk') is what a thief of the computer has, too.
func twoFactors(amr []string) bool {
	kinds := map[string]bool{}
	for _, m := range amr {
		if m == "mfa" {
			return true
		}
		if kind, ok := factors[m]; ok {
			kinds[kind] = true
		}
	}
	return len(kinds) > 1
}
