// Package outbound is the HTTP client for addresses that somebody gave: an operator in a setting, a firm in its record, a server in a
// redirect or a discovery document.
//
// A request leaves only for a host of the allow-list, over https, and only to an address of the public Internet. That is checked
// on the very address that is dialled, after the name was resolved for this connection, so a name that answers differently the
// second time gains nothing. Answers are bounded in time and size and are not decompressed; redirects are off, or few and checked
// like the first request; there are no cookies, and no proxy from the environment.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Why a request was refused. Every refusal is also ErrRefused; http.Client wraps them in a *url.Error.
var (
	ErrRefused  = errors.New("outbound: refused")
	ErrHost     = errors.New("not an allowed host")                // or scheme, port, or a URL that can be read in two ways
	ErrAddress  = errors.New("not an address that may be dialled") // private, loopback, metadata, …
	ErrRedirect = errors.New("redirect not followed")
	ErrEncoded  = errors.New("the answer is compressed")
	ErrTooLarge = errors.New("the answer is too large")
)

func deny(why error, format string, args ...any) error {
	return fmt.Errorf("%w: %w: %s", ErrRefused, why, fmt.Sprintf(format, args...))
}

// Resolver resolves names. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// The defaults of Config, and bounds that have no setting.
const (
	DefaultTimeout = 10 * time.Second
	DefaultMaxBody = 1 << 20

	maxHeader    = 32 << 10
	dialTimeout  = 5 * time.Second
	maxAddresses = 8 // of a name that are tried
)

// Config says what may be reached and how. Only Allow is required.
type Config struct {
	// Allow has the hosts: "idp.example.com", "*.example.com" (everything below, not the domain itself), "*" (every name with a dot) or an
	// IP address, each with ":port" for another port than the scheme's own; and networks such as "10.1.0.0/16", whose addresses may be
	// dialled although they are not public: an allowed host that is there needs both. Empty allows nothing.
	Allow []string
	// PlainHTTP allows http beside https. A redirect from https to http is never followed.
	PlainHTTP bool
	// Redirects is how many are followed, each to an allowed host. With 0 an answer that is a redirect is ErrRedirect.
	Redirects int
	// Proxy is the proxy to go through; the environment is not asked. The proxy then resolves names, so keeping private addresses out
	// is its work too: only the allow-list of hosts is held here.
	Proxy *url.URL
	// RootCAs are trusted; nil for the system's.
	RootCAs *x509.CertPool
	// Resolver resolves names; nil for the system's.
	Resolver Resolver
	// Timeout is for everything from the first look-up to the last byte of the body; 0 for DefaultTimeout.
	Timeout time.Duration
	// MaxBody is the largest body of an answer, in bytes; 0 for DefaultMaxBody. Reading beyond it gives ErrTooLarge.
	MaxBody int64
}

// New makes a client. It fails for an entry of Allow that cannot be read and a proxy that is none.
//
// Errors of requests are ErrRefused with one of the reasons above, or the network's own.
func New(c Config) (*http.Client, error) {
	allow, err := parseAllow(c.Allow)
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	if c.Proxy != nil && (c.Proxy.Scheme != "http" && c.Proxy.Scheme != "https" || c.Proxy.Host == "") {
		return nil, errors.New("outbound: the proxy is no http or https URL")
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxBody <= 0 {
		c.MaxBody = DefaultMaxBody
	}
	d := &dialer{allow: &allow, resolver: c.Resolver}
	d.checked.Timeout = dialTimeout
	d.checked.ControlContext = d.control
	transport := &http.Transport{
		DialContext:            d.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		MaxConnsPerHost:        8,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true, // a body stays as large as it was sent
	}
	if c.Proxy != nil {
		transport.Proxy = http.ProxyURL(c.Proxy)
		transport.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext // to the proxy, and to nothing else
	}
	return &http.Client{
		Transport:     &guarded{next: transport, allow: &allow, plainHTTP: c.PlainHTTP, maxBody: c.MaxBody},
		CheckRedirect: redirects(c.Redirects),
		Timeout:       c.Timeout,
	}, nil
}

// Guard holds the requests of another transport to an allow-list as in Config.Allow, where networks have no meaning: for traffic to
// hosts that follow from settings, which may be inside the own network. Only the request is looked at, over http as well.
func Guard(next http.RoundTripper, allow ...string) (http.RoundTripper, error) {
	l, err := parseAllow(allow)
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	return guard{next, &l}, nil
}

type guard struct {
	next  http.RoundTripper
	allow *allowList
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.allow.check(r, true); err != nil {
		closeBody(r)
		return nil, err
	}
	return g.next.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (g guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// guarded checks every request, redirected ones too, and bounds its answer.
type guarded struct {
	next      *http.Transport
	allow     *allowList
	plainHTTP bool
	maxBody   int64
}

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.allow.check(r, g.plainHTTP); err != nil {
		closeBody(r)
		return nil, err
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch enc := resp.Header.Get("Content-Encoding"); {
	case enc != "" && enc != "identity":
		err = deny(ErrEncoded, "%q", clip(enc))
	case resp.ContentLength > g.maxBody:
		err = deny(ErrTooLarge, "%d bytes, at most %d", resp.ContentLength, g.maxBody)
	}
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	resp.Body = &bounded{body: resp.Body, left: g.maxBody}
	return resp, nil
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (g *guarded) CloseIdleConnections() { g.next.CloseIdleConnections() }

// closeBody does what a RoundTripper must even when it fails; the body was never read.
func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

func redirects(most int) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > most:
			return deny(ErrRedirect, "after %d", most)
		case r.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https":
			return deny(ErrRedirect, "from https to %q", clip(r.URL.Scheme))
		}
		r.Header.Del("Referer") // the path may hold what the next host must not see
		return nil
	}
}

// bounded is a body that fails where it would grow too large.
type bounded struct {
	body io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one more tells too large from just large enough
	}
	n, err := b.body.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), deny(ErrTooLarge, "the body does not end")
	}
	b.left -= int64(n)
	return n, err
}

// Close implements io.Closer.
func (b *bounded) Close() error { return b.body.Close() }

// dialer resolves a name once for each connection and dials the addresses that it checked.
type dialer struct {
	allow    *allowList
	resolver Resolver
	checked  net.Dialer
}

// dial connects to host:port. One address that may not be dialled condemns the name: whoever answers with a mixture wants the other
// one to be taken.
func (d *dialer) dial(ctx context.Context, network, hostPort string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if err := d.allow.checkAddress(a); err != nil {
			return nil, err
		}
	}
	var failed error
	for _, a := range addrs {
		conn, err := d.checked.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func (d *dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	// The dot keeps the search list out: a name is tried as it stands and not below the domains of the own network.
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", strings.ToLower(host)+".")
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// control sees the address that the kernel is about to be given, whatever came before.
func (d *dialer) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return deny(ErrAddress, "%q", clip(address))
	}
	return d.allow.checkAddress(ap.Addr())
}
