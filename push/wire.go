package push

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

// messagingScope is the one OAuth scope that sending needs.
const messagingScope = "https://www.googleapis.com/auth/firebase.messaging"

// maxAnswer bounds what is read of an answer; FCM's are under 2 KiB.
const maxAnswer = 64 << 10

// exchange is one message's way through the SDK: a context that the SDK carries down to [tap], which takes the payload from it
// and notes in it what came back. So nothing that the SDK leaves out is lost: status, Retry-After, the error's details.
type exchange struct {
	context.Context

	payload []byte // the request's body

	made   bool        // a request came down to the wire
	sent   atomic.Bool // its body was at least partly handed to a connection
	status int         // 0 when no answer came
	header http.Header
	body   []byte
	err    error // from the connection, or from reading the answer
}

type exchangeKey struct{}

// Value finds the exchange itself.
func (e *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return e
	}
	return e.Context.Value(key)
}

// open is the payload as a request's body.
func (e *exchange) open() (io.ReadCloser, error) {
	return &payloadReader{Reader: bytes.NewReader(e.payload), sent: &e.sent}, nil
}

// payloadReader notes when a connection begins to take it.
type payloadReader struct {
	*bytes.Reader
	sent *atomic.Bool
}

func (r *payloadReader) Read(p []byte) (int, error) {
	r.sent.Store(true)
	return r.Reader.Read(p)
}

// WriteTo keeps bytes.Reader's own from being used unseen.
func (r *payloadReader) WriteTo(w io.Writer) (int64, error) {
	r.sent.Store(true)
	return r.Reader.WriteTo(w)
}

func (r *payloadReader) Close() error { return nil }

// tap sits between the SDK and the connections.
//
// Whatever happened, it notes it in the exchange and tells the SDK of an empty success: the SDK repeats a request up to four
// times after any network error or 503, sleeping as it sees fit, and offers no switch for that. Seeing neither, it has
// nothing to repeat. And it sends the exchange's payload in place of the SDK's, which would be rendered anew for every token.
type tap struct{ next http.RoundTripper }

func (t tap) RoundTrip(req *http.Request) (*http.Response, error) {
	e, ok := req.Context().Value(exchangeKey{}).(*exchange)
	if req.Body != nil {
		_ = req.Body.Close() // the SDK's is a buffer
	}
	if !ok {
		return nil, errors.New("push: a request without an exchange")
	}
	e.made = true
	req = req.WithContext(e.Context)
	// The transport may start over on a new connection with GetBody, but only while the server cannot have seen the request.
	req.GetBody = e.open
	req.Body, _ = e.open()
	req.ContentLength = int64(len(e.payload))
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		e.err = err
		return blank(req), nil
	}
	defer func() { _ = resp.Body.Close() }() // read to its end or given up; a failure to close changes nothing
	e.status, e.header = resp.StatusCode, resp.Header
	e.body, e.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return blank(req), nil
}

func blank(req *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), ContentLength: 2,
	}
}

// streams is how many requests at a time a server usually allows on one HTTP/2 connection; FCM and Go's server do.
const streams = 100

// pool holds the connections to FCM and to the token server.
//
// Go's transport has two habits that ruin a fan-out. Over HTTP/1.1 it keeps two idle connections a host and closes the others
// after every answer. Over HTTP/2 it opens a connection for each request that finds none free, which in a burst is nearly
// every one, although one carries a hundred: measured with 500 requests in flight, 1,063 connections and 2,700 messages a
// second without a bound, 14 connections and 14,300 with one that fits. So there is a set of connections for each protocol.
type pool struct {
	few  *http.Transport // HTTP/2
	many *http.Transport // HTTP/1.1
	old  atomic.Bool     // the server over TLS turned out to speak HTTP/1.1 only
}

func newPool(inFlight int, roots *x509.CertPool) *pool {
	return &pool{
		few:  newTransport(2+inFlight/streams, roots),
		many: newTransport(inFlight, roots),
	}
}

func newTransport(connections int, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: connections,
		MaxConnsPerHost:     connections,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // answers are short
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
}

func (p *pool) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || p.old.Load() {
		return p.many.RoundTrip(req)
	}
	resp, err := p.few.RoundTrip(req)
	if err == nil && resp.ProtoMajor < 2 {
		p.old.Store(true)
	}
	return resp, err
}

func (p *pool) close() {
	p.few.CloseIdleConnections()
	p.many.CloseIdleConnections()
}

// authorized makes the client that the SDK is given.
func authorized(ctx context.Context, wire http.RoundTripper, file string, endpoint *url.URL, timeout time.Duration) (*http.Client, error) {
	client := &http.Client{
		Transport: tap{wire},
		// A redirected POST would be a second request; no answer of FCM's is a redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if file == "" && endpoint != nil {
		return client, nil
	}
	if endpoint != nil && endpoint.Scheme != "https" && !loopback(endpoint.Hostname()) {
		return nil, fmt.Errorf("would be sent in the clear to %s; use https", endpoint.Host)
	}
	// The source keeps its context for every later refresh, so it must not end with the caller's.
	ctx = context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Transport: wire, Timeout: timeout})
	creds, err := credentials(ctx, file)
	if err != nil {
		return nil, err
	}
	client.Transport = tap{&oauth2.Transport{Source: tokens{creds.TokenSource}, Base: wire}}
	return client, nil
}

// credentials reads the file, or asks the machine.
func credentials(ctx context.Context, file string) (*google.Credentials, error) {
	if file == "" {
		return google.FindDefaultCredentials(ctx, messagingScope)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f struct {
		Type google.CredentialsType `json:"type"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("not a credentials file: %w", err)
	}
	switch f.Type {
	case google.ServiceAccount, google.ExternalAccount, google.ImpersonatedServiceAccount, google.AuthorizedUser:
		return google.CredentialsFromJSONWithType(ctx, b, f.Type, messagingScope)
	default:
		return nil, fmt.Errorf("credentials of type %q cannot send messages", f.Type)
	}
}

// tokens marks the errors of a token source, so that they are told from those of FCM.
type tokens struct{ oauth2.TokenSource }

type tokenError struct{ error }

func (e tokenError) Unwrap() error { return e.error }

func (t tokens) Token() (*oauth2.Token, error) {
	token, err := t.TokenSource.Token()
	if err != nil {
		return nil, tokenError{err}
	}
	return token, nil
}

// parseEndpoint reads FCM_ENDPOINT: scheme and host, with the API version as the path if it is not "/v1".
func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an http or https URL", s)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("%q has more than scheme, host and path", u.Redacted())
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path == "" {
		u.Path = "/v1"
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
