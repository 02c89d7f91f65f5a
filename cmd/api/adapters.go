package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/access/approval/press"
	"github.com/haisu-trace/haisu/internal/access/audit"
	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/access/oidc"
	"github.com/haisu-trace/haisu/internal/httpapi"
	"github.com/haisu-trace/haisu/internal/outbound"
	"github.com/haisu-trace/haisu/internal/privacy"
)

// complaints finds the authority that a complaint goes to. Goods in a shop are a market's matter where the filer does not say.
type complaints struct{ bodies *authority.Service }

func (c complaints) Competent(ctx context.Context, class, stage, place string, on time.Time) (string, error) {
	if stage == "" {
		stage = authority.StageMarket
	}
	a, err := c.bodies.Competent(ctx, authority.Query{Matter: authority.MatterComplaint, Class: class, Stage: stage, Place: place, On: on})
	return a.ID, err
}

// rights answers whether an operator may still do what was approved, with the other operator's consent.
func rights(who *access.Service) press.Rights {
	return func(ctx context.Context, q press.Question) error {
		p, err := who.Principal(ctx, q.Operator)
		if err != nil {
			return err
		}
		return access.Allow(&p, access.Action(q.Action), access.Target{Authority: q.Authority, Class: q.Class, Level: q.Grade.Level, Recall: q.Grade.Recall, Second: q.Second})
	}
}

// tellFailures keeps log-ins that failed in the audit trail.
func (a *app) tellFailures(ctx context.Context, f access.Failures) error {
	after, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return a.trail.Record(ctx, audit.Entry{Actor: "anyone", Action: "createSession", Subject: "sessions", Phase: audit.Failed, Outcome: "login_failed", After: after})
}

// openProvider is the OpenID provider of the settings; nil without one. It is asked at the first sign-in.
func (a *app) openProvider(publicURL string) (httpapi.IdentityProvider, error) {
	if a.cfg.OIDCIssuer == "" {
		return nil, nil //nolint:nilnil // no provider is not an error
	}
	u, err := url.Parse(a.cfg.OIDCIssuer)
	if err != nil {
		return nil, fmt.Errorf("OIDC_ISSUER: %w", err)
	}
	allow := []string{u.Host}
	if u.Scheme == "http" { // a loopback address, as the settings have made sure
		allow = append(allow, "127.0.0.0/8", "::1/128")
	}
	client, err := outbound.New(outbound.Config{Allow: slices.Concat(allow, a.cfg.Outbound), PlainHTTP: u.Scheme == "http"})
	if err != nil {
		return nil, fmt.Errorf("OIDC_ISSUER: %w", err)
	}
	p, err := oidc.New(oidc.Config{
		Issuer: a.cfg.OIDCIssuer, ClientID: a.cfg.OIDCClient, ClientSecret: a.cfg.OIDCSecret, RedirectURL: publicURL + "/v1/sessions/oidc/callback",
		HTTP: client, Sealer: a.box, Used: a.access, Now: time.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("OIDC_ISSUER: %w", err)
	}
	return p, nil
}

// trailReader is the audit trail for auditors: with the addresses that are still kept. An export has them sealed, as the chain does.
type trailReader struct {
	*audit.Service
	vault *privacy.Vault
}

func (r trailReader) List(ctx context.Context, f audit.Filter, cursor string, limit int) ([]audit.Entry, string, error) {
	entries, next, err := r.Service.List(ctx, f, cursor, limit)
	if err != nil {
		return nil, "", err
	}
	var items []privacy.Item
	var at []int
	for i := range entries {
		record, sealed, ok := audit.Address(entries[i].From)
		entries[i].From = ""
		if ok {
			items, at = append(items, privacy.Item{Record: record, Field: audit.AddressField, Sealed: sealed}), append(at, i)
		}
	}
	opened, err := r.vault.OpenMany(ctx, items)
	if err != nil {
		return nil, "", err
	}
	for i, o := range opened {
		if errors.Is(o.Err, privacy.ErrErased) { // its month is over
			continue
		}
		if o.Err != nil {
			return nil, "", o.Err
		}
		entries[at[i]].From = string(o.Plain)
	}
	return entries, next, nil
}
