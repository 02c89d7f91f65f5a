package push

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"golang.org/x/time/rate"
	"google.golang.org/api/option"
)

// The defaults of Config.
const (
	DefaultPerMinute = 600_000          // FCM's quota for a project
	DefaultInFlight  = 500              // 10,000 a second at 50 ms each
	DefaultTimeout   = 15 * time.Second // FCM asks for no less than 10 s
)

// Config says how to reach FCM. Project is required; the zero value of any other field is its default.
type Config struct {
	Project         string           // FIREBASE_PROJECT: the Firebase project's ID
	CredentialsFile string           // GOOGLE_APPLICATION_CREDENTIALS: a service account's key or a workload identity configuration
	Endpoint        string           // FCM_ENDPOINT: another server that speaks FCM's HTTP v1 API; empty for Google's
	RootCAs         *x509.CertPool   // trusted for Endpoint; nil for the system's
	PerMinute       int              // messages a minute from this process
	InFlight        int              // requests at a time
	Timeout         time.Duration    // for one request, its access token included
	Now             func() time.Time // time.Now

	// Wrap, if not nil, stands before the connections to FCM and the token server, to hold requests to an allow-list. It must hand
	// every request on at most once. The machine's own identity (no CredentialsFile) is asked from a metadata server past it.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// FCM sends through Firebase Cloud Messaging's HTTP v1 API. It is safe for concurrent use, and all calls share one rate, one
// bound on requests in flight, one pool of connections and one pause.
//
// The rate is this process's, while FCM counts the project's: with several processes, divide Config.PerMinute among them.
//
// When FCM asks the whole project to wait (a 429 that is not about one device, or any answer 503, with its Retry-After), no
// request leaves before that time: until then targets are answered with that outcome, the remaining wait and CodeNotSent.
type FCM struct {
	client  *messaging.Client
	pool    *pool
	limiter *rate.Limiter
	slots   chan struct{}
	timeout time.Duration
	now     func() time.Time
	paused  atomic.Pointer[pause]
}

// pause is a time before which the service asked not to be sent anything.
type pause struct {
	until time.Time
	why   Outcome
}

// A project ID as Firebase gives them, or an old one scoped to a domain ("example.com:shop"). It becomes part of a URL.
var projectPattern = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)

// NewFCM makes a sender. It reads the credentials but makes no request to FCM. Errors name the setting at fault.
//
// Without a credentials file Google's application default credentials are used (a metadata server, workload identity), or
// none at all if Endpoint is set. Credentials are never sent in the clear to another host.
func NewFCM(ctx context.Context, c Config) (*FCM, error) {
	if !projectPattern.MatchString(c.Project) {
		return nil, fmt.Errorf("FIREBASE_PROJECT: %q is not a Firebase project ID", c.Project)
	}
	if c.PerMinute < 0 || c.InFlight < 0 || c.Timeout < 0 {
		return nil, errors.New("push: a negative rate, number of requests or timeout")
	}
	inFlight := cmp.Or(c.InFlight, DefaultInFlight)
	perMinute := cmp.Or(c.PerMinute, DefaultPerMinute)
	timeout := cmp.Or(c.Timeout, DefaultTimeout)
	var endpoint *url.URL // nil for Google's
	if c.Endpoint != "" {
		var err error
		if endpoint, err = parseEndpoint(c.Endpoint); err != nil {
			return nil, fmt.Errorf("FCM_ENDPOINT: %w", err)
		}
	}
	p := newPool(inFlight, c.RootCAs)
	var wire http.RoundTripper = p
	if c.Wrap != nil {
		wire = c.Wrap(p)
	}
	client, err := authorized(ctx, wire, c.CredentialsFile, endpoint, timeout)
	if err != nil {
		return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	options := []option.ClientOption{option.WithHTTPClient(client)}
	if endpoint != nil {
		options = append(options, option.WithEndpoint(endpoint.String()))
	}
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: c.Project}, options...)
	if err != nil {
		return nil, fmt.Errorf("FIREBASE_PROJECT: %w", err)
	}
	messages, err := app.Messaging(ctx)
	if err != nil {
		return nil, fmt.Errorf("FIREBASE_PROJECT: %w", err)
	}
	f := &FCM{
		client: messages, pool: p, slots: make(chan struct{}, inFlight), timeout: timeout, now: c.Now,
		limiter: rate.NewLimiter(rate.Limit(float64(perMinute)/60), max(1, perMinute/600)), // bursts of 100 ms
	}
	if f.now == nil {
		f.now = time.Now
	}
	return f, nil
}

// Close gives up idle connections. Sends under way are not disturbed.
func (f *FCM) Close() { f.pool.close() }

// Send delivers a to every target, at most one POST each. See [Sender].
func (f *FCM) Send(ctx context.Context, a Alert, targets []Target) []Result {
	results := make([]Result, len(targets))
	drafts := make([]draft, len(targets))
	r := newRendered(a, f.now())
	for i, t := range targets {
		drafts[i] = r.draft(t)
	}
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(len(targets), cap(f.slots)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(targets)); i = next.Add(1) - 1 {
				results[i] = f.sendOne(ctx, drafts[i], targets[i].Token)
			}
		})
	}
	wg.Wait()
	return results
}

// sendOne waits for its turn and sends.
func (f *FCM) sendOne(ctx context.Context, d draft, token string) Result {
	if d.err != nil {
		return Result{Outcome: InvalidPayload, Err: d.err}
	}
	select {
	case <-ctx.Done():
		return notSent(ctx.Err())
	default: // with both ready, the select below could take the slot
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return notSent(ctx.Err())
	}
	if err := f.limiter.Wait(ctx); err != nil {
		return notSent(err)
	}
	if held, ok := f.held(); ok {
		return held
	}
	return f.post(ctx, d, token)
}

// post makes the one request for a token and classifies its answer. The SDK knows where to and with which headers; the
// payload was rendered once for all tokens of the draft's kind.
func (f *FCM) post(ctx context.Context, d draft, token string) Result {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	e := exchange{Context: ctx, payload: d.payload(token)}
	_, err := f.client.Send(&e, &messaging.Message{Token: token})
	if !e.made {
		// The SDK found a fault before it came to a request.
		return failed(&Error{Outcome: InvalidPayload, Code: CodeNotRendered, Err: err}, 0)
	}
	v := e.verdict(f.now(), token)
	if v.everyone {
		f.hold(v.result)
	}
	return v.result
}

// hold begins or prolongs the pause.
func (f *FCM) hold(r Result) {
	p := &pause{until: f.now().Add(r.RetryAfter), why: r.Outcome}
	for {
		old := f.paused.Load()
		if old != nil && !old.until.Before(p.until) || f.paused.CompareAndSwap(old, p) {
			return
		}
	}
}

// held answers in the service's place during a pause.
func (f *FCM) held() (Result, bool) {
	p := f.paused.Load()
	if p == nil {
		return Result{}, false
	}
	wait := p.until.Sub(f.now())
	if wait <= 0 {
		f.paused.CompareAndSwap(p, nil)
		return Result{}, false
	}
	return failed(&Error{Outcome: p.why, Code: CodeNotSent, Detail: "the service asked to wait"}, wait), true
}

// notSent is the result for a target that no request was made for.
func notSent(err error) Result {
	return failed(&Error{Outcome: Unavailable, Code: CodeNotSent, Err: err}, 0)
}
