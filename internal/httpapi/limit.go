package httpapi

import (
	"crypto/sha256"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/clock"
)

// Bounds are the rates of one class of operations, for each of the ways to tell clients apart. All of them hold.
type Bounds struct {
	Address Rate // an IPv4 address or an IPv6 /64, of which one household has at least a whole one
	Network Rate // an IPv4 /24 or an IPv6 /48, which one customer may have
	Caller  Rate // a seller's key, a device or an operator, once the credentials were found good
}

// Limits are the bounds of each class. They are counted per replica, and exchanged between replicas each second; see exchange.go.
type Limits struct {
	Login     Bounds // POST /v1/sessions and whatever else hashes a password
	Register  Bounds // POST /v1/devices, and anonymous writes that are not named here
	Complaint Bounds // filing complaints and tips
	Receipt   Bounds // reading with a receipt's secret
	Scan      Bounds // /01/…, /resolve and /v1/resolve
	Seller    Bounds // writes with a seller's key
	Officer   Bounds // everything with an officer's session
	Device    Bounds // everything with a device's token
	Read      Bounds // public reads and pages
	Service   Bounds // probes
}

// DefaultLimits leave room for a shop full of people, or a carrier's whole district, behind one address; passwords and secrets
// get much less.
func DefaultLimits() Limits {
	return Limits{
		Login: Bounds{
			Address: Rate{Every: 6 * time.Second, Burst: 10}, Network: Rate{Every: 2 * time.Second, Burst: 40},
		},
		Register: Bounds{
			Address: Rate{Every: time.Second, Burst: 60}, Network: Rate{Every: 250 * time.Millisecond, Burst: 240},
		},
		Complaint: Bounds{
			Address: Rate{Every: 10 * time.Second, Burst: 20}, Network: Rate{Every: 2500 * time.Millisecond, Burst: 80},
		},
		Receipt: Bounds{
			Address: Rate{Every: 2 * time.Second, Burst: 30}, Network: Rate{Every: 500 * time.Millisecond, Burst: 120},
		},
		Scan: Bounds{Address: Rate{Every: 5 * time.Millisecond, Burst: 2000}},
		Seller: Bounds{
			Address: Rate{Every: 2 * time.Millisecond, Burst: 5000}, Caller: Rate{Every: 5 * time.Millisecond, Burst: 2000},
		},
		Officer: Bounds{
			Address: Rate{Every: 10 * time.Millisecond, Burst: 2000}, Caller: Rate{Every: 50 * time.Millisecond, Burst: 300},
		},
		Device: Bounds{
			Address: Rate{Every: 5 * time.Millisecond, Burst: 2000}, Caller: Rate{Every: 500 * time.Millisecond, Burst: 120},
		},
		Read:    Bounds{Address: Rate{Every: 5 * time.Millisecond, Burst: 2000}},
		Service: Bounds{Address: Rate{Every: 50 * time.Millisecond, Burst: 200}},
	}
}

// class is a class of operations at work: its limiters, any of which may be nil, and what an operation costs as a rule.
type class struct {
	name                     string
	cost                     cost
	address, network, caller *limiter
}

// classes has one class for each field of Limits.
type classes struct {
	login, register, complaint, receipt, scan, seller, officer, device, read, service *class
}

func newClasses(l *Limits, now clock.Now, hash func(purpose string, id rateID) string) *classes {
	make1 := func(name string, c cost, b Bounds) *class {
		limiter := func(of string, r Rate) *limiter {
			var named func(rateID) string
			if hash != nil {
				named = func(id rateID) string { return hash(name+"."+of, id) }
			}
			return newLimiter(r, now, named)
		}
		return &class{
			name: name, cost: c,
			address: limiter("address", b.Address), network: limiter("network", b.Network), caller: limiter("caller", b.Caller),
		}
	}
	return &classes{
		login: make1("login", costHash, l.Login), register: make1("register", costWrite, l.Register),
		complaint: make1("complaint", costWrite, l.Complaint), receipt: make1("receipt", costRead, l.Receipt),
		scan: make1("scan", costScan, l.Scan), seller: make1("seller", costWrite, l.Seller),
		officer: make1("officer", costWrite, l.Officer), device: make1("device", costRead, l.Device),
		read: make1("read", costRead, l.Read), service: make1("service", costNone, l.Service),
	}
}

// limiters gives every limiter by the name that it has among replicas.
func (cs *classes) limiters() map[string]*limiter {
	out := map[string]*limiter{}
	for _, c := range []*class{cs.login, cs.register, cs.complaint, cs.receipt, cs.scan, cs.seller, cs.officer, cs.device, cs.read, cs.service} {
		for of, l := range map[string]*limiter{"address": c.address, "network": c.network, "caller": c.caller} {
			if l != nil {
				out[c.name+"."+of] = l
			}
		}
	}
	return out
}

// named has the classes of operations for which their credentials and method do not tell.
func (cs *classes) named() map[string]*class {
	return map[string]*class{
		"createSession": cs.login, "registerDevice": cs.register, "fileComplaint": cs.complaint, "getComplaint": cs.receipt,
		"startEnrolment": cs.login, "confirmEnrolment": cs.login, "acceptInvitation": cs.login, "beginOidc": cs.login, "finishOidc": cs.login,
		"resolveCode": cs.scan, "getHealth": cs.service, "getReadiness": cs.service,
	}
}

// costs of operations that cost something else than their class.
var costs = map[string]cost{
	"putPassword": costHash, "awaitIdentity": costHash, "captureEvent": costCapture, "captureDocument": costBulk, "issueCodes": costBulk, "putForeignCodes": costBulk,
	"getLotDescendants": costBulk, "getUnitDescendants": costBulk, "getContainerDescendants": costBulk,
	"getLotAncestors": costBulk, "getUnitAncestors": costBulk, "getContainerAncestors": costBulk,
	"listLedgerLeaves": costBulk, "getLedgerLeaf": costBulk, "getLedgerSealed": costBulk, // all that is stored of a document is read for its hash: megabytes, if it has thousands of units
}

// of gives the class of an operation and what it costs. An operation that nobody named is classed by whom it asks for: an anonymous write is
// treated like a registration, which is strict.
func (cs *classes) of(op *operation) (*class, cost) {
	safe := op.method == http.MethodGet || op.method == http.MethodOptions
	c := cs.named()[op.id]
	switch {
	case c != nil:
	case op.needsReceipt:
		c = cs.receipt
	case len(op.schemes) == 0 || op.optional:
		if c = cs.register; safe {
			c = cs.read
		}
	case slices.Contains(op.schemes, schemeSeller):
		c = cs.seller
	case slices.Contains(op.schemes, schemeOfficer):
		c = cs.officer
	default:
		c = cs.device
	}
	if k, ok := costs[op.id]; ok {
		return c, k
	}
	switch {
	case c.cost == costWrite && safe:
		return c, costRead
	case c.cost == costRead && !safe:
		return c, costWrite
	}
	return c, c.cost
}

// rateID is what one client is told apart by: an address, the beginning of one, or the beginning of a hash of an ID.
type rateID [16]byte

// addressID is what counts as one client: an IPv4 address, or an IPv6 /64.
func addressID(a netip.Addr) rateID {
	id := rateID(a.As16())
	if a.Is6() && !a.Is4In6() {
		clear(id[8:])
	}
	return id
}

// networkID is what one customer of a carrier may have to itself: an IPv4 /24, or an IPv6 /48.
func networkID(a netip.Addr) rateID {
	id := rateID(a.As16())
	if a.Is6() && !a.Is4In6() {
		clear(id[6:])
	} else {
		id[15] = 0
	}
	return id
}

// callerID is for those whose credentials were good: nobody else can make up IDs at will.
func callerID(kind, id string) rateID {
	sum := sha256.Sum256([]byte(kind + ":" + id))
	return rateID(sum[:16])
}

// admitRate counts a request against its address and network, and tells the client where it stands.
func (s *server) admitRate(c *fiber.Ctx, cl *class, a netip.Addr) error {
	var g grant
	if cl.address != nil {
		g = cl.address.take(addressID(a))
		if !g.ok {
			return s.limited(c, g, "address")
		}
	}
	if cl.network != nil {
		n := cl.network.take(networkID(a))
		if !n.ok {
			if cl.address != nil {
				cl.address.refund(addressID(a))
			}
			return s.limited(c, n, "network")
		}
		if g.limit == 0 || n.left < g.left {
			g = n
		}
	}
	if g.limit > 0 {
		tellRate(c, g)
	}
	return nil
}

// admitCaller counts a request against the key, device or operator that it comes from.
func (s *server) admitCaller(c *fiber.Ctx, cl *class, k *call) error {
	if cl.caller == nil {
		return nil
	}
	kind, id := k.principal.Kind, k.principal.ID
	if id == "" {
		kind, id = "device", k.device
	}
	if id == "" {
		return nil
	}
	g := cl.caller.take(callerID(kind, id))
	if !g.ok {
		return s.limited(c, g, "caller")
	}
	tellRate(c, g)
	return nil
}

func (s *server) limited(c *fiber.Ctx, g grant, of string) error {
	tellRate(c, g)
	s.guard.refused.WithLabelValues("rate_" + of).Inc()
	return &httpError{
		status: http.StatusTooManyRequests, code: "rate_limited", detail: "too many requests; wait " + strconv.Itoa(seconds(g.wait)) + " s",
		retry: g.wait, shed: true,
	}
}

// tellRate says where a client stands with the limit that is nearest.
func tellRate(c *fiber.Ctx, g grant) {
	h := &c.Response().Header
	h.Set("RateLimit-Limit", strconv.Itoa(g.limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(g.left))
	h.Set("RateLimit-Reset", strconv.Itoa(seconds(g.reset)))
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
