package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// names is a resolver that answers each name with the next of its lists, the last one for ever.
type names struct {
	mu    sync.Mutex
	lists map[string][][]netip.Addr
	asked []string
}

func (n *names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, network+" "+host)
	lists := n.lists[host]
	if len(lists) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(lists) > 1 {
		n.lists[host] = lists[1:]
	}
	return lists[0], nil
}

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, len(list))
	for i, s := range list {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

// bundle is a server on the loopback network and a client that may reach it as example.com.
type bundle struct {
	t       *testing.T
	server  *httptest.Server
	port    string
	names   *names
	config  Config
	reached atomic.Int64
}

func setup(t *testing.T, h http.HandlerFunc) *bundle {
	t.Helper()
	b := &bundle{t: t}
	b.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.reached.Add(1)
		h(w, r)
	}))
	t.Cleanup(b.server.Close)
	_, b.port, _ = net.SplitHostPort(b.server.Listener.Addr().String())
	b.names = &names{lists: map[string][][]netip.Addr{"example.com.": {addrs("127.0.0.1")}, "other.example.com.": {addrs("127.0.0.1")}}}
	roots := x509.NewCertPool()
	roots.AddCert(b.server.Certificate())
	b.config = Config{
		Allow: []string{"example.com:" + b.port, "127.0.0.0/8"}, RootCAs: roots, Resolver: b.names, Timeout: 5 * time.Second, MaxBody: 1000,
	}
	return b
}

func (b *bundle) url(path string) string { return "https://example.com:" + b.port + path }

func (b *bundle) client() *http.Client {
	b.t.Helper()
	c, err := New(b.config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.CloseIdleConnections)
	return c
}

func (b *bundle) get(c *http.Client, rawURL string) (string, error) {
	b.t.Helper()
	resp, err := c.Get(rawURL)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// refused wants an error of a kind, and that no server was reached.
func (b *bundle) refused(c *http.Client, rawURL string, why error) {
	b.t.Helper()
	before := b.reached.Load()
	_, err := b.get(c, rawURL)
	if !errors.Is(err, why) || !errors.Is(err, ErrRefused) {
		b.t.Errorf("%s: %v, want %v", rawURL, err, why)
	}
	if b.reached.Load() != before {
		b.t.Errorf("%s reached the server", rawURL)
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestAllowedHostIsReached(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	for _, u := range []string{b.url("/"), strings.Replace(b.url("/"), "example", "EXAMPLE", 1)} {
		if body, err := b.get(b.client(), u); err != nil || body != "hello" {
			t.Errorf("%s: %q, %v", u, body, err)
		}
	}
	if b.names.asked[0] != "ip example.com." {
		t.Errorf("asked for %v: a search list could add to the name", b.names.asked)
	}
}

func TestLoopbackIsRefusedUnlessAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	b.config.Allow = []string{"example.com:" + b.port, "127.0.0.1:" + b.port}
	for _, u := range []string{b.url("/"), "https://127.0.0.1:" + b.port} {
		b.refused(b.client(), u, ErrAddress)
	}
}

func TestAddressesBehindNames(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	b.config.Allow = []string{"*.example.com:" + b.port}
	for i, a := range []string{
		"127.0.0.1", "10.1.2.3", "169.254.169.254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "fd00:ec2::254",
		"fe80::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:7f00:1::", "::127.0.0.1", "ff02::1",
	} {
		name := fmt.Sprintf("n%d.example.com", i)
		b.names.lists[name+"."] = [][]netip.Addr{addrs(a)}
		b.refused(b.client(), "https://"+name+":"+b.port, ErrAddress)
		// One bad address among good ones, wherever it stands.
		b.names.lists[name+"."] = [][]netip.Addr{addrs("1.1.1.1", a)}
		b.refused(b.client(), "https://"+name+":"+b.port, ErrAddress)
	}
}

func TestMappedLoopbackIsLoopback(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	b.names.lists["example.com."] = [][]netip.Addr{addrs("::ffff:127.0.0.1")}
	if body, err := b.get(b.client(), b.url("/")); err != nil || body != "hello" {
		t.Errorf("an allowed network in another spelling: %q, %v", body, err)
	}
}

// TestRebinding resolves to an allowed address first and to the loopback network from then on: the second connection is refused,
// and the first one never asked twice.
func TestRebinding(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		hello(w, r)
	})
	b.config.Allow = []string{"example.com:" + b.port, "127.0.0.1/32"}
	b.names.lists["example.com."] = [][]netip.Addr{addrs("127.0.0.1"), addrs("127.0.0.2")}
	c := b.client()
	if _, err := b.get(c, b.url("/")); err != nil {
		t.Fatal(err)
	}
	if len(b.names.asked) != 1 {
		t.Errorf("resolved %d times for one connection", len(b.names.asked))
	}
	b.refused(c, b.url("/"), ErrAddress)
}

// TestControlHoldsWhatDialMissed dials past the resolver's check.
func TestControlHoldsWhatDialMissed(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	d := &dialer{allow: &allowList{}}
	d.checked.ControlContext = d.control
	conn, err := d.checked.DialContext(t.Context(), "tcp", b.server.Listener.Addr().String())
	if !errors.Is(err, ErrAddress) {
		t.Errorf("%v, %v", conn, err)
	}
}

func TestHostsInOtherSpellings(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	b.config.Allow = append(b.config.Allow, "*:"+b.port, "127.0.0.1:"+b.port)
	c := b.client()
	for _, host := range []string{
		"2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001", "1.0x7f", "0", // IPv4 as inet_aton reads it
		"example.com.", "127.0.0.1.", "localhost", "localhost.", "example..com", ".example.com", "-.example.com",
		"１２７.0.0.1", "①②⑦.0.0.1", "exаmple.com", "example。com", "example.com\u200b", "ｅxample.com", "faß.example.com",
		"example.com%00.evil.com", "example.com%2f.evil.com", "example.com%09", "[::1%25lo]", "a_b.example.com:x",
	} {
		raw := "https://" + host + ":" + b.port + "/"
		if _, err := url.Parse(raw); err != nil {
			continue // no request can be made of it
		}
		b.refused(c, raw, ErrHost)
	}
	// An IPv6 literal is no name, so "*" does not cover it.
	for _, host := range []string{"[::1]", "[::ffff:127.0.0.2]", "[0:0:0:0:0:ffff:7f00:2]", "127.0.0.2", "[fd00:ec2::254]"} {
		b.refused(c, "https://"+host+":"+b.port, ErrHost)
	}
}

func TestURLsThatCanBeReadTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	c := b.client()
	for _, u := range []string{
		"https://example.com:" + b.port + "@evil.example/", "https://user:secret@example.com:" + b.port, "https://evil.example#@example.com:" + b.port,
		"https://evil.example?@example.com:" + b.port, "https://evil.example/@example.com", "https://example.com.evil.example:" + b.port,
		"https://evilexample.com:" + b.port, "https://sub.example.com:" + b.port, "https://example.com", "https://example.com:22", "https://example.com:",
		"http://example.com:" + b.port, "ftp://example.com:" + b.port, "file:///etc/passwd", "gopher://example.com:" + b.port, "//example.com:" + b.port,
		"https:example.com", "https:///path", "https://example.com:" + b.port + "/" + strings.Repeat("a", maxURL),
	} {
		before := b.reached.Load()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
		if err != nil {
			continue
		}
		resp, err := c.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%.80s: answered", u)
		}
		if b.reached.Load() != before {
			t.Errorf("%.80s reached the server", u)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "inside.example"
	if resp, err := c.Do(req); !errors.Is(err, ErrHost) {
		t.Errorf("another Host header: %v, %v", resp, err)
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			if r.Referer() != "" {
				w.WriteHeader(http.StatusTeapot)
			}
			hello(w, r)
			return
		}
		http.Redirect(w, r, targets[r.URL.Path], http.StatusTemporaryRedirect)
	})
	plain := httptest.NewServer(http.HandlerFunc(hello))
	t.Cleanup(plain.Close)
	targets = map[string]string{
		"/once": "/end", "/twice": "/once", "/thrice": "/twice", "/loop": "/loop", "/metadata": "https://169.254.169.254/latest/meta-data/",
		"/metadata-name": "https://metadata.example.com:" + b.port, "/loopback": "https://127.0.0.1:" + b.port + "/end", "/plain": plain.URL,
		"/file": "file:///etc/passwd", "/user": "https://a:b@example.com:" + b.port + "/end",
		"/long": b.url("/" + strings.Repeat("a", maxURL)), "/longer": "/" + strings.Repeat("b", maxHeader),
	}
	b.names.lists["metadata.example.com."] = [][]netip.Addr{addrs("169.254.169.254")}
	b.config.Allow = append(b.config.Allow, "metadata.example.com:"+b.port, "127.0.0.1"+strings.TrimPrefix(plain.URL, "http://127.0.0.1"))
	b.config.PlainHTTP = true
	if _, err := b.get(b.client(), b.url("/once")); !errors.Is(err, ErrRedirect) {
		t.Errorf("a redirect that is not followed by default: %v", err)
	}
	b.config.Redirects = 2
	c := b.client()
	for path, want := range map[string]error{
		"/once": nil, "/twice": nil, "/thrice": ErrRedirect, "/loop": ErrRedirect, "/metadata": ErrHost, "/metadata-name": ErrAddress,
		"/loopback": ErrHost, "/plain": ErrRedirect, "/file": ErrRedirect, "/user": ErrHost, "/long": ErrHost,
	} {
		if body, err := b.get(c, b.url(path)); !errors.Is(err, want) || err == nil && body != "hello" {
			t.Errorf("%s: %q, %v, want %v", path, body, err, want)
		}
	}
	if _, err := b.get(c, b.url("/longer")); err == nil {
		t.Error("a header beyond the bound was read")
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(make([]byte, 1<<20))
	_ = z.Close()
	hold := make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/full":
			_, _ = w.Write(make([]byte, 1000))
		case "/declared":
			w.Header().Set("Content-Length", "1001")
			_, _ = w.Write(make([]byte, 1001))
		case "/streamed":
			for range 20 {
				_, _ = w.Write(make([]byte, 100))
				_ = http.NewResponseController(w).Flush()
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		case "/slow":
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			<-hold
		}
	})
	t.Cleanup(func() { close(hold) })
	c := b.client()
	if body, err := b.get(c, b.url("/full")); err != nil || len(body) != 1000 {
		t.Errorf("a body of just the size: %d bytes, %v", len(body), err)
	}
	for path, want := range map[string]error{"/declared": ErrTooLarge, "/streamed": ErrTooLarge, "/bomb": ErrEncoded} {
		if body, err := b.get(c, b.url(path)); !errors.Is(err, want) || len(body) > 1000 {
			t.Errorf("%s: %d bytes, %v, want %v", path, len(body), err, want)
		}
	}
	b.config.Timeout = 200 * time.Millisecond
	var timeout net.Error
	if _, err := b.get(b.client(), b.url("/slow")); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a body that drips: %v", err)
	}
}

func TestNoCookiesAndNoEncodingIsAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		_, _ = io.WriteString(w, r.Header.Get("Cookie")+r.Header.Get("Accept-Encoding"))
	})
	c := b.client()
	for range 2 {
		if body, err := b.get(c, b.url("/")); err != nil || body != "" {
			t.Errorf("sent %q, %v", body, err)
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	old := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	t.Cleanup(old.Close)
	_, port, _ := net.SplitHostPort(old.Listener.Addr().String())
	b.config.Allow = append(b.config.Allow, "example.com:"+port)
	if _, err := b.get(b.client(), "https://example.com:"+port); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

// TestProxy is not parallel: it sets the environment, which must have no effect.
func TestProxy(t *testing.T) {
	b := setup(t, hello)
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "proxied "+r.URL.Host)
	}))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	if body, err := b.get(b.client(), b.url("/")); err != nil || body != "hello" || asked.Load() != 0 {
		t.Errorf("%q, %v; the environment's proxy was asked %d times", body, err, asked.Load())
	}
	var err error
	if b.config.Proxy, err = url.Parse(proxy.URL); err != nil {
		t.Fatal(err)
	}
	b.config.Allow, b.config.PlainHTTP = []string{"idp.example"}, true
	c := b.client()
	if body, err := b.get(c, "http://idp.example/"); err != nil || body != "proxied idp.example" {
		t.Errorf("%q, %v", body, err)
	}
	for _, u := range []string{"http://127.0.0.1/", proxy.URL, "http://other.example/"} {
		b.refused(c, u, ErrHost)
	}
}

func TestConfigsThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"", "https://example.com", "example.com/path", "example.com:0", "example.com:99999", "example.com:https", "example.com:080", "*.com", "*.", "a.*.com",
		"user@example.com", "example.com.", "exa mple.com", "2130706433", "0x7f.1", "fe80::1%lo", "10.0.0.0/33", "*example.com",
	} {
		if _, err := New(Config{Allow: []string{entry}}); err == nil {
			t.Errorf("%q is taken", entry)
		}
	}
	if _, err := New(Config{Proxy: &url.URL{Scheme: "socks5", Host: "a"}}); err == nil {
		t.Error("a proxy that is none is taken")
	}
	if _, err := Guard(nil, "*.com"); err == nil {
		t.Error("Guard takes *.com")
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	b := setup(t, hello)
	next, ok := b.server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	rt, err := Guard(next, "127.0.0.1:"+b.port, "fcm.googleapis.com")
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: rt}
	t.Cleanup(c.CloseIdleConnections)
	if body, err := b.get(c, b.server.URL); err != nil || body != "hello" {
		t.Errorf("%q, %v", body, err)
	}
	for _, u := range []string{"https://oauth2.googleapis.com/token", "http://metadata.google.internal/", "https://fcm.googleapis.com:444/", "https://localhost:" + b.port} {
		b.refused(c, u, ErrHost)
	}
}

func ExampleNew() {
	client, err := New(Config{Allow: []string{"idp.example.com", "10.20.0.0/16"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Get("https://169.254.169.254/latest/meta-data/")
	fmt.Println(errors.Is(err, ErrHost))
	// Output: true
}
