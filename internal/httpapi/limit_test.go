package httpapi

import (
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/haisu-trace/haisu/internal/httpapi/contracttest"
)

// from gives a request an address, as a trusted proxy does.
func from(req *http.Request, addr string) *http.Request {
	req.Header.Set("X-Forwarded-For", addr)
	return req
}

func trusting(d *Deps) { d.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/32")} }

// Each operation has a class that fits, a rate per address, and a cost; what anybody may do that is expensive has a rate per network; what needs
// credentials has one per caller.
func TestEveryOperationIsLimited(t *testing.T) {
	t.Parallel()
	g, err := NewGuard(GuardConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ops, err := operations(contracttest.Load(t).Doc)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"createSession": "login hash", "registerDevice": "register write", "fileComplaint": "complaint write", "getComplaint": "receipt read",
		"resolveCode": "scan scan", "putProduct": "seller write", "captureEvent": "seller capture", "captureDocument": "seller bulk",
		"publishWarning": "officer write", "listWarnings": "read read", "listAlerts": "device read", "addHolding": "device write",
		"getHealth": "service none", "getContract": "read read",
		"listLedgerLeaves": "read bulk", "getLedgerLeaf": "read bulk", "getLedgerSealed": "seller bulk", "proveLedgerInclusion": "read read",
	}
	for _, op := range ops {
		c, k := g.classes.of(op)
		if c.address == nil {
			t.Errorf("%s: no rate per address", op.id)
		}
		anonymous, safe := len(op.schemes) == 0 || op.needsReceipt, op.method == http.MethodGet || op.method == http.MethodOptions
		if anonymous && (!safe || op.needsReceipt) && c.network == nil {
			t.Errorf("%s: no rate per network", op.id)
		}
		if len(op.schemes) > 0 && !op.optional && !op.needsReceipt && c.caller == nil {
			t.Errorf("%s: no rate per caller", op.id)
		}
		if w, ok := want[op.id]; ok && w != c.name+" "+k.String() {
			t.Errorf("%s: %s %s, want %s", op.id, c.name, k, w)
		}
		delete(want, op.id)
	}
	if len(want) > 0 {
		t.Errorf("no such operations: %v", want)
	}
	stranger := &operation{id: "somethingNew", method: http.MethodPost}
	if c, _ := g.classes.of(stranger); c.name != "register" {
		t.Errorf("an anonymous write that nobody knows is of class %s", c.name)
	}
	// A network's rate is no smaller than an address's, and lets more than one address live.
	for i, l := 0, reflect.ValueOf(DefaultLimits()); i < l.NumField(); i++ {
		b, ok := reflect.TypeAssert[Bounds](l.Field(i))
		if !ok {
			t.Fatal("Limits has something but Bounds")
		}
		if b.Network.Burst > 0 && (b.Network.Burst < 2*b.Address.Burst || 2*b.Network.Every > b.Address.Every) {
			t.Errorf("%s: %+v", l.Type().Field(i).Name, b)
		}
	}
}

// Addresses of one network share a rate, and a request that the network is refused does not count against its address.
func TestNetworkLimit(t *testing.T) {
	t.Parallel()
	b := setup(t, trusting, func(d *Deps) {
		d.Limits = &Limits{Register: Bounds{Address: Rate{Every: time.Minute, Burst: 2}, Network: Rate{Every: time.Second, Burst: 3}}}
	})
	ask := func(addr string) *http.Response {
		return b.do(t, from(request("POST", "/v1/devices", `{"platform":"ios"}`), addr))
	}
	for _, step := range []struct {
		addr   string
		status int
	}{
		{"203.0.113.1", 201}, {"203.0.113.2", 201}, {"203.0.113.3", 201}, {"203.0.113.4", 429}, {"203.0.113.4", 429}, {"203.0.114.4", 201},
		{"2001:db8:1:1::1", 201}, {"2001:db8:1:2::1", 201}, {"2001:db8:1:3::1", 201}, {"2001:db8:1:4::1", 429}, {"2001:db8:2:4::1", 201},
	} {
		if resp := ask(step.addr); resp.StatusCode != step.status {
			t.Errorf("%s: %d", step.addr, resp.StatusCode)
		}
	}
	b.clock.Advance(2 * time.Second)
	for range 2 { // both of its own are left
		if resp := ask("203.0.113.4"); resp.StatusCode != 201 {
			t.Errorf("%d", resp.StatusCode)
		}
	}
	if resp := ask("203.0.113.4"); resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "58" && resp.Header.Get("Retry-After") != "60" {
		t.Errorf("%d, Retry-After %s", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
}

// A key, a device and an operator have rates of their own, from wherever they ask; wrong credentials do not count against anybody's.
func TestCallerLimit(t *testing.T) {
	t.Parallel()
	two := Bounds{Caller: Rate{Every: time.Minute, Burst: 2}}
	for name, c := range map[string]struct {
		as  string
		req func() *http.Request
	}{
		"a seller":   {asSeller, func() *http.Request { return request("PUT", "/v1/products/06901234567892", `{}`) }},
		"a device":   {asDevice, func() *http.Request { return request("GET", "/v1/device/alerts", "") }},
		"an officer": {asOfficer, func() *http.Request { return request("POST", "/v1/warnings", `{}`) }},
	} {
		b := setup(t, trusting, func(d *Deps) { d.Limits = &Limits{Seller: two, Device: two, Officer: two} })
		as := func(token, addr string) int {
			req := from(c.req(), addr)
			req.Header.Set("Authorization", token)
			resp := b.do(t, req)
			if resp.StatusCode == 429 && (resp.Header.Get("Retry-After") != "60" || resp.Header.Get("RateLimit-Limit") != "2") {
				t.Errorf("%s: %v", name, resp.Header)
			}
			return resp.StatusCode
		}
		for range 3 {
			if got := as(c.as[:len("Bearer hk_")]+"gone_0123", "203.0.113.1"); got != 401 {
				t.Errorf("%s that is not: %d", name, got)
			}
		}
		if first, second, third := as(c.as, "203.0.113.1"), as(c.as, "198.51.100.1"), as(c.as, "192.0.2.1"); first == 429 || second == 429 || third != 429 {
			t.Errorf("%s: %d %d %d", name, first, second, third)
		}
	}
}

// Who has no place at work is told so at once: before the body is looked at, and before anybody is asked who it is.
func TestGateOverHTTP(t *testing.T) {
	t.Parallel()
	var g *Guard
	b := setup(t, withGuard(t, GuardConfig{Cores: 1, Limits: &Limits{}}), func(d *Deps) { g = d.Guard })
	b.fakes.set(func(f *fakes) { f.err = errCause }) // whoever is asked fails
	gate := g.gates[costHash]
	busy, ok := gate.enter(t.Context(), rateID{1})
	if !ok {
		t.Fatal("the gate is shut")
	}
	gate.hold = int64(time.Hour) // nobody gets a turn in time
	resp := b.do(t, request("POST", "/v1/sessions", "not even JSON"))
	if p := readProblem(t, resp); resp.StatusCode != 503 || p.Code != "overloaded" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %+v", resp.StatusCode, p)
	}
	if resp := b.do(t, request("GET", "/openapi.yaml", "")); resp.StatusCode != 200 {
		t.Errorf("reads have places of their own: %d", resp.StatusCode)
	}
	busy.leave()
	if resp := b.do(t, request("POST", "/v1/sessions", "not even JSON")); resp.StatusCode != 400 {
		t.Errorf("%d", resp.StatusCode)
	}
	for c, gt := range g.gates {
		if gt.running != 0 {
			t.Errorf("%s: %d still at work", cost(c), gt.running)
		}
	}
}

// A search takes a place for searches, on pages as well.
func TestSearchesHavePlacesOfTheirOwn(t *testing.T) {
	t.Parallel()
	var g *Guard
	b := setup(t, withGuard(t, GuardConfig{Cores: 1, Limits: &Limits{}}), func(d *Deps) {
		g = d.Guard
		d.Pages = func(r fiber.Router) { r.Get("/warnings", func(c *fiber.Ctx) error { return c.SendString("list") }) }
	})
	g.gates[costSearch].slots = 0
	g.gates[costSearch].room.waiting = 0
	for target, want := range map[string]int{"/v1/warnings": 200, "/v1/warnings?q=x": 503, "/v1/notices?q=x": 503, "/warnings": 200, "/warnings?q=x": 503} {
		if resp := b.do200(t, target); resp.StatusCode != want {
			t.Errorf("%s: %d", target, resp.StatusCode)
		}
	}
}

// Every operation, page and other route has a deadline, and none is longer than a minute.
func TestEveryRouteHasADeadline(t *testing.T) {
	t.Parallel()
	seen := map[string]time.Duration{}
	note := func(name string) fiber.Handler {
		return func(c *fiber.Ctx) error {
			seen[name] = left(c.UserContext())
			return c.SendStatus(http.StatusNoContent)
		}
	}
	ops, err := operations(contracttest.Load(t).Doc)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGuard(GuardConfig{Limits: &Limits{}})
	if err != nil {
		t.Fatal(err)
	}
	f := newFakes()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{deps: Deps{Services: f.services(), NewToken: func() string { return "t" }, Log: slog.New(slog.DiscardHandler)}, guard: g, metrics: m}
	for _, op := range ops { // each alone, behind what every request passes
		app := fiber.New(fiber.Config{StreamRequestBody: true, DisablePreParseMultipartForm: true, ErrorHandler: s.handleError})
		app.Use(s.observe)
		op.register(app, s.admit(op))
		app.Use(note(op.id))
		resp, err := app.Test(readExample(t, op.id).Request.http(), -1)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %v %v", op.id, resp, err)
		}
		if want := op.deadline; seen[op.id] != want || want <= 0 || want > time.Minute && !op.streamed { // the rate of its body bounds one that is streamed
			t.Errorf("%s: %v, want %v", op.id, seen[op.id], want)
		}
	}
	b := setup(t, func(d *Deps) { d.Pages = func(r fiber.Router) { r.Get("/page", note("page")) } })
	if b.do200(t, "/page"); seen["page"] != defaultDeadline {
		t.Errorf("a page has %v", seen["page"])
	}
	// observe comes before everything else, and gives everything a deadline.
	if first := b.app.Stack()[0][0]; first.Path != "/" || len(first.Handlers) != 1 {
		t.Errorf("the first route is %s", first.Path)
	}
}
