package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
	"github.com/haisu-trace/haisu/internal/warning"
)

// The permission of an operation and its security schemes say the same about who may call it.
func TestSecurityAgreesWithThePermission(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		rule, _ := access.RuleOf(op.permission)
		if rule.Anyone {
			if len(op.schemes) > 0 && !op.optional {
				t.Error("anyone may do it, but the contract asks for credentials")
			}
			return
		}
		var want []string
		for scheme, may := range map[string]bool{
			schemeSeller: rule.Scope != "", schemeOfficer: len(rule.Roles) > 0, schemeDevice: rule.Device, schemeReceipt: rule.Filer,
		} {
			if may {
				want = append(want, scheme)
			}
		}
		slices.Sort(want)
		got := slices.Sorted(slices.Values(op.schemes))
		if op.optional || !slices.Equal(got, want) {
			t.Errorf("the table has %v, the contract %v (optional: %v)", want, got, op.optional)
		}
	})
}

// An operator's session may come in a cookie wherever it may come as a token.
func TestCookiesAreSessions(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	eachOperation(t, func(t *testing.T, _, _ string, o *openapi3.Operation) {
		has := map[string]bool{}
		for _, alternative := range *o.Security {
			for scheme := range alternative {
				has[scheme] = true
			}
		}
		if has[schemeOfficer] != has[schemeCookie] {
			t.Errorf("security %v", has)
		}
	})
}

// Writes that the trail keeps take a reason, and so does printing labels again.
func TestTracedWritesTakeAReason(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		takes := o.Parameters.GetByInAndName("header", reasonHeader) != nil
		if want := op.trace == access.Writes || op.permission == access.CodesPrint; takes != want {
			t.Errorf("takes a reason: %v, want %v", takes, want)
		}
		if op.trace != access.Untraced && op.subject == "" {
			t.Error("the trail does not know what it is done on")
		}
	})
}

// An operation that names no permission, or one that is not in the table, does not start.
func TestEveryOperationNeedsAPermission(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]map[string]any{
		"none": {}, "unknown": {"x-permission": "public.reed"}, "no text": {"x-permission": 7},
	} {
		o := *contracttest.Load(t).Doc.Paths.Value("/healthz").Get
		o.Extensions = x
		if _, err := newOperation("GET", "/healthz", &o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// caller is somebody who sends every request of the contract.
type caller struct {
	name   string
	token  string
	secret string // of a receipt
	p      access.Principal
}

func (c *caller) scheme() string {
	if c.token == "" {
		return ""
	}
	return schemeOf(c.token)
}

// callers are one of each kind: no credentials, a device, a filer, a key with each scope alone and with none and for the test tenant,
// an operator with each role alone, and some whose rights end short of the example's goods.
func callers(f *fakes) []caller {
	out := []caller{
		{name: "anyone"},
		{name: "device", token: deviceToken, p: access.Principal{Kind: access.KindDevice, ID: device.ID}},
		{name: "filer", secret: receipt.Secret, p: access.Principal{Kind: access.KindFiler}},
	}
	add := func(name, prefix string, p access.Principal) {
		token := prefix + "walk" + strings.ReplaceAll(name, " ", "") + "_0123456789abcdefghjkmnp"
		f.principals[token] = p
		out = append(out, caller{name: name, token: token, p: p})
	}
	key := func(scopes ...access.Scope) access.Principal {
		return access.Principal{Kind: access.KindSeller, ID: "walk", Firm: seller.ID, Scopes: scopes}
	}
	for _, sc := range access.Scopes {
		add("seller "+string(sc), "hk_", key(sc))
	}
	add("seller without scopes", "hk_", key())
	add("seller with all scopes", "hk_", key(access.Scopes...))
	test := key(access.Scopes...)
	test.Test = true
	add("test key", "hk_test_", test)
	other := key(access.Scopes...)
	other.Firm = otherFirm
	add("seller of another firm", "hk_", other)
	for _, role := range access.Roles {
		add(string(role), "hs_", operatorOf("walk", "沃克", role))
	}
	elsewhere := operatorOf("walk", "沃克", access.Roles...)
	elsewhere.Authority = "海口海关"
	add("another authority", "hs_", elsewhere)
	low := operatorOf("walk", "沃克", access.Publisher)
	low.Level = warning.Blue
	add("level too low", "hs_", low)
	incompetent := operatorOf("walk", "沃克", access.Publisher)
	incompetent.Classes = []string{"wine"}
	add("another class", "hs_", incompetent)
	return out
}

// refusal is a status and a code; the zero value is none.
type refusal struct {
	status int
	code   string
}

// admission is what the table says of a caller, before it is known on what.
func admission(op *operation, rule *access.Rule, c *caller) refusal {
	switch {
	case op.needsReceipt && c.secret != "":
		return refusal{}
	case op.needsReceipt:
		return refusal{401, "credentials_missing"}
	case !slices.Contains(op.schemes, c.scheme()):
		switch {
		case len(op.schemes) == 0 || op.optional:
			return refusal{}
		case c.token == "":
			return refusal{401, "credentials_missing"}
		}
		return refusal{403, "wrong_credentials"}
	case !rule.Admits(&c.p):
		return refusal{403, "not_permitted"}
	case c.p.Test && !slices.Contains(testActions, op.permission):
		return refusal{403, "test_key"}
	}
	return refusal{}
}

// belonging says whose the thing is that a path names: a firm's, an authority's, or that of either; or why it is nobody's.
type belonging struct {
	prefix          string // of paths
	firm, authority bool
	nobodys         string
}

// owners has every path of the contract that names something, by the first prefix that fits. What is a firm's or an authority's does not exist for any
// other.
var owners = []belonging{
	{prefix: "/v1/codes/batches/:batch", firm: true},
	{prefix: "/v1/codes/:gtin/:serial/state", firm: true},
	{prefix: "/v1/codes/:gtin/:serial/void", firm: true},
	{prefix: "/v1/imports/:import", firm: true},
	{prefix: "/v1/documents/:document", firm: true},
	{prefix: "/v1/ledger/leaves/:index/sealed", firm: true},
	{prefix: "/v1/firms/:id", firm: true},
	{prefix: "/v1/jobs/:job", firm: true, authority: true},
	{prefix: "/v1/warnings/:no", authority: true},
	{prefix: "/v1/serious-violations/:no", authority: true},
	{prefix: "/v1/approvals/:id", authority: true},
	{prefix: "/v1/cases/:no", authority: true},
	{prefix: "/v1/products/:gtin", nobodys: "products are public, and who may write one is told"},
	{prefix: "/v1/trace/:gtin", nobodys: "goods pass from firm to firm; the answer has what the caller may see"},
	{prefix: "/v1/containers/:sscc", nobodys: "likewise"},
	{prefix: "/epcis/", nobodys: "likewise, and words of a vocabulary"},
	{prefix: "/v1/operators/:login", nobodys: "operators are every administrator's"},
	{prefix: "/v1/authorities/:id", nobodys: "authorities are public"},
	{prefix: "/v1/operator/sessions/:id", nobodys: "an operator's own"},
	{prefix: "/v1/device/", nobodys: "a device's own"},
	{prefix: "/v1/complaints/:receipt", nobodys: "who has the receipt's secret"},
}

// ownerOf gives the zero value for a path that nobody thought of.
func ownerOf(path string) belonging {
	for _, o := range owners {
		if strings.HasPrefix(path, o.prefix) {
			return o
		}
	}
	return belonging{}
}

// An operation that names a thing says whose it is, so that the walk knows for whom it does not exist.
func TestEveryNamedThingHasAnOwner(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	used := map[string]bool{}
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		if rule, _ := access.RuleOf(op.permission); rule.Anyone || !strings.Contains(op.path, ":") {
			return
		}
		w := ownerOf(op.path)
		used[w.prefix] = true
		if w.firm || w.authority {
			if rule, _ := access.RuleOf(op.permission); !rule.Narrowed && len(rule.Roles) == 0 {
				t.Error("the table does not narrow what is somebody's")
			}
		} else if w.nobodys == "" {
			t.Errorf("whose is what %s names?", op.path)
		}
	})
	for _, o := range owners {
		if !used[o.prefix] {
			t.Errorf("no path begins with %s", o.prefix)
		}
	}
}

// target is what the table says of a caller once it is known on what: the examples are about goods of authorityNow's, of one class, the
// publications about danger above blue, and about the firm seller.
func target(op *operation, rule *access.Rule, c *caller) refusal {
	if !rule.Narrowed {
		return refusal{}
	}
	firm, owned := ownerOf(op.path).firm, ownerOf(op.path).authority
	classed := owned && op.permission != access.JobSelf && op.permission != access.CaseRead && op.permission != access.ListingPublish || op.id == "createWarning" || op.id == "decideDocument" || op.id == "putProductLimits"
	switch {
	case c.p.Kind == access.KindSeller && firm && c.p.Firm != seller.ID,
		c.p.Kind == access.KindOperator && owned && c.p.Authority != authorityNow:
		return refusal{404, ""}
	case c.p.Kind != access.KindOperator:
		return refusal{}
	case classed && !slices.Contains(c.p.Classes, access.AllClasses):
		return refusal{403, "not_competent"}
	case rule.ByLevel && owned && c.p.Level.Rank() < warning.Yellow.Rank() && op.id != "withdrawApproval": // which publishes nothing
		return refusal{403, "level_not_permitted"}
	}
	return refusal{}
}

// The walk: every operation of the contract by every kind of caller. Whom the table admits passes, with the example's request, and everybody
// else gets exactly the refusal that the table calls for.
func TestPermissionWalk(t *testing.T) { //nolint:tparallel // eachOperation goes through them in turn
	t.Parallel()
	f := newFakes()
	all := callers(f)
	b := setup(t, func(d *Deps) { d.Services = f.services(); d.Limits = &Limits{} })
	b.fakes = f
	passed, refused := 0, 0
	eachOperation(t, func(t *testing.T, method, path string, o *openapi3.Operation) {
		op, err := newOperation(method, path, o)
		if err != nil {
			t.Fatal(err)
		}
		rule, _ := access.RuleOf(op.permission)
		for i := range all {
			c := &all[i]
			want := admission(op, rule, c)
			if want == (refusal{}) {
				want = target(op, rule, c)
			}
			if want == (refusal{}) && (op.id == "addKey" || op.id == "rotateKey") && c.p.Kind == access.KindSeller && len(c.p.Scopes) == 1 {
				want = refusal{403, "scope_not_held"} // the key of the example has two scopes
			}
			if want == (refusal{}) && op.id == "createImport" && !slices.Contains(c.p.Scopes, access.ScopeCatalogue) {
				want = refusal{403, "not_permitted"} // the example imports lots
			}
			resp := b.do(t, c.request(t, op.id))
			switch {
			case want == (refusal{}) && resp.StatusCode < 400:
				passed++
			case want == (refusal{}):
				t.Errorf("%s: %d %s, and the table admits it", c.name, resp.StatusCode, readBody(t, resp))
			case resp.StatusCode != want.status || want.code != "" && readProblem(t, resp).Code != want.code:
				t.Errorf("%s: %d, want %d %s", c.name, resp.StatusCode, want.status, want.code)
			default:
				refused++
			}
		}
	})
	t.Logf("%d operations by %d callers: %d admitted, %d refused", len(operationIDs(t)), len(all), passed, refused)
	if passed == 0 || refused == 0 || passed+refused != len(operationIDs(t))*len(all) {
		t.Errorf("%d admitted and %d refused of %d × %d", passed, refused, len(operationIDs(t)), len(all))
	}
}

// request is the example's request of an operation, sent by the caller.
func (c *caller) request(t *testing.T, op string) *http.Request {
	t.Helper()
	req := readExample(t, op).Request.http()
	req.Header.Del("Authorization")
	req.Header.Del("Haisu-Receipt-Secret")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.secret != "" {
		req.Header.Set("Haisu-Receipt-Secret", c.secret)
	}
	return req
}

// What belongs to another firm or authority looks like what does not exist.
func TestOthersThingsDoNotExist(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := sellerPrincipal
	other.Firm = otherFirm
	stranger := operatorOf("zhou.qi", "周琪", access.Roles...)
	stranger.Authority = "海口海关"
	b.fakes.principals["hk_other_0123456789"], b.fakes.principals["hs_stranger_0123456789"] = other, stranger
	const asOther, asStranger = "Bearer hk_other_0123456789", "Bearer hs_stranger_0123456789"
	for _, tt := range []struct{ method, theirs, nobodys, as string }{
		{"GET", "/v1/firms/cdf-haikou", "/v1/firms/nobody", asOther},
		{"GET", "/v1/firms/cdf-haikou/keys", "/v1/firms/nobody/keys", asOther},
		{"DELETE", "/v1/firms/cdf-haikou/keys/7k2m9q4t", "/v1/firms/nobody/keys/7k2m9q4t", asOther},
		{"GET", "/v1/warnings/" + draftNo, "/v1/warnings/HN-2026-000999", asStranger},
		{"GET", "/v1/approvals/" + pending.ID, "/v1/approvals/a-0", asStranger},
		{"POST", "/v1/approvals/" + pending.ID + "/decision", "/v1/approvals/a-0/decision", asStranger},
		{"DELETE", "/v1/approvals/" + pending.ID, "/v1/approvals/a-0", asStranger},
		{"POST", "/v1/serious-violations/" + listedFirm.No + "/changes", "/v1/serious-violations/SX-2026-000999/changes", asStranger},
		{"GET", "/v1/cases/" + receipt.No, "/v1/cases/TS-20260302-0000000", asStranger},
	} {
		body := ""
		if tt.method == http.MethodPost {
			body = `{"approve":true}`
		}
		if strings.HasSuffix(tt.theirs, "/changes") {
			body = `{"kind":"appealed","revision":1,"note":{"zh-Hans":"复议","en":"Appeal"}}`
		}
		theirs, nobodys := b.do(t, request(tt.method, tt.theirs, body, "Authorization", tt.as)), b.do(t, request(tt.method, tt.nobodys, body, "Authorization", tt.as))
		p, q := readProblem(t, theirs), readProblem(t, nobodys)
		p.Detail, q.Detail = strings.ReplaceAll(p.Detail, draftNo, "X"), strings.ReplaceAll(q.Detail, "HN-2026-000999", "X")
		p.RequestID, q.RequestID = "", ""
		if theirs.StatusCode != 404 || !sameProblem(p, q) {
			t.Errorf("%s %s: %+v, but what does not exist is %+v", tt.method, tt.theirs, p, q)
		}
	}
	mine := b.do(t, request("GET", "/v1/firms", "", "Authorization", asSeller))
	var list struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(readBody(t, mine)), &list); err != nil || len(list.Items) != 1 || list.Items[0].ID != seller.ID {
		t.Errorf("a seller sees %+v, %v", list, err)
	}
}

func sameProblem(a, b problem) bool {
	x, y := mustJSON(a), mustJSON(b)
	return string(x) == string(y)
}

// A role that reads no drafts does not read them by an operation that everybody may call.
func TestDraftsAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	as := "Bearer " + registrarToken
	if resp := b.do(t, request("GET", "/v1/warnings?status=draft", "", "Authorization", as)); resp.StatusCode != 403 || readProblem(t, resp).Code != "not_permitted" {
		t.Errorf("a list of drafts: %d", resp.StatusCode)
	}
	if resp := b.do(t, request("GET", "/v1/warnings/"+draftNo, "", "Authorization", as)); resp.StatusCode != 404 {
		t.Errorf("a draft: %d", resp.StatusCode)
	}
}

// A key gives no scope that it has not, whatever it may do with keys.
func TestKeysDoNotGrow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := sellerPrincipal
	p.Scopes = []access.Scope{access.ScopeKeys}
	b.fakes.principals["hk_keys_0123456789"] = p
	const as = "Bearer hk_keys_0123456789"
	resp := b.do(t, request("POST", "/v1/firms/cdf-haikou/keys", `{"label":"x","scopes":["keys","capture"]}`, "Authorization", as))
	if pr := readProblem(t, resp); resp.StatusCode != 403 || pr.Code != "scope_not_held" {
		t.Errorf("%d %+v", resp.StatusCode, pr)
	}
	resp = b.do(t, request("POST", "/v1/firms/cdf-haikou/keys/7k2m9q4t/rotation", `{"overlap_hours":0}`, "Authorization", as))
	if pr := readProblem(t, resp); resp.StatusCode != 403 || pr.Code != "scope_not_held" {
		t.Errorf("%d %+v", resp.StatusCode, pr)
	}
	resp = b.do(t, request("POST", "/v1/firms/cdf-haikou/keys", `{"label":"x","scopes":["keys"],"test":true}`, "Authorization", as))
	if g := b.fakes.given; resp.StatusCode != 201 || len(g) != 1 || !g[0].Test || g[0].By != "seller:cdf-haikou/7k2m9q4t" {
		t.Errorf("%d %+v", resp.StatusCode, g)
	}
	if resp := b.do(t, request("DELETE", "/v1/firms/cdf-haikou/keys/nobodys", "", "Authorization", as)); resp.StatusCode != 404 {
		t.Errorf("a key that there is not: %d", resp.StatusCode)
	}
}

// A key that ends gives no key that ends later, by whatever door.
func TestKeysDoNotOutliveTheirGiver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := sellerPrincipal
	p.Scopes, p.NotAfter = access.Scopes, now.Add(24*time.Hour)
	b.fakes.principals["hk_ends_0123456789"] = p
	const as = "Bearer hk_ends_0123456789"
	for body, want := range map[string]int{
		`{"label":"x","scopes":["keys"]}`: 403,
		`{"label":"x","scopes":["keys"],"not_after":"` + now.Add(25*time.Hour).Format(time.RFC3339) + `"}`: 403,
		`{"label":"x","scopes":["keys"],"not_after":"` + now.Add(24*time.Hour).Format(time.RFC3339) + `"}`: 201,
	} {
		resp := b.do(t, request("POST", "/v1/firms/cdf-haikou/keys", body, "Authorization", as))
		if resp.StatusCode != want || want == 403 && readProblem(t, resp).Code != "key_outlives" {
			t.Errorf("%s: %d", body, resp.StatusCode)
		}
	}
	resp := b.do(t, request("POST", "/v1/firms/cdf-haikou/keys/7k2m9q4t/rotation", `{"overlap_hours":0}`, "Authorization", as))
	if resp.StatusCode != 201 { // its own key, whose end the new one has
		t.Errorf("%d %s", resp.StatusCode, readBody(t, resp))
	}
	p.ID = "another"
	b.fakes.principals["hk_ends_0123456789"] = p
	resp = b.do(t, request("POST", "/v1/firms/cdf-haikou/keys/7k2m9q4t/rotation", `{"overlap_hours":0}`, "Authorization", as))
	if resp.StatusCode != 403 || readProblem(t, resp).Code != "key_outlives" {
		t.Errorf("%d", resp.StatusCode)
	}
}

// The refusals of the table have the statuses that the contract declares.
func TestRefusalsOfTheTable(t *testing.T) {
	t.Parallel()
	for code, err := range map[string]error{
		"not_permitted":         access.Allow(&access.Principal{}, access.AuditRead, access.Target{}),
		"not_found":             access.Allow(&officerPrincipal, access.CaseRead, access.Target{Authority: "x"}),
		"four_eyes":             access.Allow(&officerPrincipal, access.WarningPublish, access.Target{Level: warning.Red}),
		"four_eyes on a recall": access.Allow(&officerPrincipal, access.WarningPublish, access.Target{Level: warning.Blue, Recall: true}),
	} {
		if code, _, _ := strings.Cut(code, " "); fault.CodeOf(err) != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}
