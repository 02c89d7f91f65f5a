package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/demo"
	"github.com/haisu-trace/haisu/internal/warning"
	"github.com/haisu-trace/haisu/internal/web"
)

// demonstration is the demonstration data that the store holds, nil for a store that holds none.
type demonstration struct {
	summary demo.Summary
	logins  logins
}

// logins are the demonstration's way in. They are kept in DATA_DIR, mode 0600, since the store has hashes only.
type logins struct {
	Officer    login  `json:"officer"`
	Second     login  `json:"second"`        // agrees to what the first asks to publish, takes in firms and reads the audit trail
	Admin      login  `json:"administrator"` // lets others in, and publishes nothing
	SellerFirm string `json:"seller_firm"`
	SellerKey  string `json:"seller_key"`
}

// login is an operator's way in.
type login struct {
	Login      string `json:"login"`
	Password   string `json:"password"`
	TOTPSecret string `json:"totp_secret"`
}

// demoAuthority is the body that the demonstration's officer acts for.
const demoAuthority = "hn-amr"

// prepareDemo loads the demonstration data where the settings ask for it, and says what there is.
func (a *app) prepareDemo(ctx context.Context, out io.Writer) (*demonstration, error) {
	if a.cfg.MongoURI != "" {
		return nil, nil //nolint:nilnil // no demonstration is not an error
	}
	summary, there, err := demo.Showcase(ctx, a.engine)
	if err != nil {
		return nil, err
	}
	begun, empty, err := demo.State(ctx, a.engine)
	if err != nil {
		return nil, err
	}
	// A load that died half-way left as much of it to be refused as one that was completed.
	if begun && a.cfg.FirebaseProj != "" {
		return nil, errors.New("FIREBASE_PROJECT: the store in DATA_DIR holds demonstration data, which never goes through FCM; take another DATA_DIR")
	}
	if begun && !a.cfg.loopback() {
		return nil, errors.New("ADDR: the store in DATA_DIR holds demonstration data, which is served on a loopback address only; take another DATA_DIR")
	}
	if !there {
		wanted := a.cfg.Demo == demoOn || a.cfg.Demo == demoAuto && a.cfg.loopback() && a.cfg.FirebaseProj == ""
		switch {
		case !wanted:
			return nil, nil //nolint:nilnil // see above
		case !begun && !empty && a.cfg.Demo == demoOn:
			return nil, errors.New("DEMO: the store in DATA_DIR is not empty; take another DATA_DIR")
		case !begun && !empty:
			return nil, nil //nolint:nilnil // see above
		case !a.cfg.loopback():
			return nil, errors.New("DEMO: demonstration data is served on a loopback address only")
		}
		start := time.Now()
		author := warning.Author{ID: "demo", Name: "演示 Demonstration", Authority: demoAuthority, May: warning.Anything}
		summary, err = demo.Load(ctx, demo.Services{Firms: a.firms, Trace: a.trace, Warnings: a.warnings, Engine: a.engine}, author, time.Now, func(string) {})
		if err != nil {
			return nil, fmt.Errorf("demonstration data: %w", err)
		}
		took := time.Since(start)
		// The load leaves some 40 MB behind that serving does not need.
		debug.FreeOSMemory()
		_, _ = fmt.Fprintf(out, "Demonstration data loaded in %.1f s: %d firms, %d products, %d lots, %d units, %d events, %d warnings.\n", // a lost line is no failure
			took.Seconds(), summary.Firms, summary.Products, summary.Lots, summary.Units, summary.Events, summary.Warnings)
	}
	l, err := a.demoLogins(ctx, summary.Seller)
	return &demonstration{summary: summary, logins: l}, err
}

// demoLogins reads the demonstration's logins, or makes them. Where a run died before the file was whole, others are made.
func (a *app) demoLogins(ctx context.Context, seller string) (logins, error) {
	path := filepath.Join(a.cfg.DataDir, "demo-logins.json")
	var l logins
	data, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(data, &l) == nil {
		return l, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	l = logins{SellerFirm: seller}
	if l.Officer, err = a.demoOperator(ctx, "演示员 Demo Officer", access.Officer, access.Publisher); err != nil {
		return l, err
	}
	l.Second, err = a.demoOperator(ctx, "复核员 Demo Second Officer", access.Publisher, access.Registrar, access.Auditor)
	if err != nil {
		return l, err
	}
	if l.Admin, err = a.demoOperator(ctx, "管理员 Demo Administrator", access.Administrator); err != nil {
		return l, err
	}
	if _, l.SellerKey, err = a.access.AddKey(ctx, access.NewKey{Firm: seller, Label: "demonstration", By: "demonstration"}); err != nil {
		return l, err
	}
	if data, err = json.MarshalIndent(l, "", "  "); err != nil {
		return l, err
	}
	return l, os.WriteFile(path, append(data, '\n'), 0o600)
}

func (a *app) demoOperator(ctx context.Context, name string, roles ...access.Role) (login, error) {
	l := login{Login: "demo-" + clock.Token(3), Password: clock.Token(10)}
	n := access.NewOperator{Login: l.Login, Name: name, Authority: demoAuthority, Roles: roles, Password: l.Password}
	if slices.Contains(roles, access.Publisher) {
		n.Level = warning.Red
	}
	e, err := a.access.AddOperator(ctx, n)
	l.TOTPSecret = e.TOTPSecret
	return l, err
}

// units are the demonstration's units for the start page.
func (d *demonstration) units() []web.DemoUnit {
	if d == nil {
		return nil
	}
	return []web.DemoUnit{
		{Kind: web.DemoOK, Path: d.summary.OK.Path()},
		{Kind: web.DemoWarning, Path: d.summary.Warning.Path()},
		{Kind: web.DemoSuspicious, Path: d.summary.Suspicious.Path()},
	}
}

// printFirst gives the link for the first administrator.
func printFirst(out io.Writer, publicURL string, l access.Link) {
	_, _ = fmt.Fprintf(out, "\nThere is no operator yet. The first administrator sets up access here, until %s:\n  %s/enrol/%s?first=1\n",
		l.Expires.Local().Format("2006-01-02 15:04 MST"), publicURL, l.Token) // a lost line is no failure
}

// printStart says what to open first.
func printStart(out io.Writer, publicURL string, d *demonstration) {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) } // a lost line is no failure
	p("Haisu 海溯 is at %s\n\n", publicURL)
	if d != nil {
		p("  a unit in order      %s\n", d.summary.OK.Link(publicURL))
		p("  one under warning    %s\n", d.summary.Warning.Link(publicURL))
		p("  a suspicious one     %s\n", d.summary.Suspicious.Link(publicURL))
	}
	p("  the API reference    %s/docs\n", publicURL)
	if d != nil {
		show := func(who string, l login) {
			p("\n  %-20s %s\n  password             %s\n  one-time code secret %s\n", who, l.Login, l.Password, l.TOTPSecret)
		}
		show("officer's login", d.logins.Officer)
		show("second officer's", d.logins.Second)
		show("administrator's", d.logins.Admin)
		p("  key of seller %-6s %s\n", d.logins.SellerFirm, d.logins.SellerKey)
		p("\nThis is demonstration data; these logins are good on this machine only.\n")
	}
}
