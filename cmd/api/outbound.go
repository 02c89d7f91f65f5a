package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/outbound"
)

// outboundHosts reads OUTBOUND_ALLOW.
func outboundHosts(v string) ([]string, error) {
	var hosts []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			hosts = append(hosts, part)
		}
	}
	_, err := outbound.Guard(nil, hosts...)
	return hosts, err
}

// meant is what an address allows that whoever has the machine wrote down: its host, and its network where that is written out, wherever it is.
func meant(u *url.URL) []string {
	allow := []string{u.Host}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		allow = append(allow, netip.PrefixFrom(ip, ip.BitLen()).String())
	}
	if u.Hostname() == "localhost" {
		allow = append(allow, "127.0.0.0/8", "::1/128")
	}
	return allow
}

// hold holds the requests of a client that goes where a setting says to the hosts that it names, and to those of OUTBOUND_ALLOW.
func (c *config) hold(next http.RoundTripper, hosts ...string) (http.RoundTripper, error) {
	return outbound.Guard(next, slices.Concat(hosts, c.Outbound)...)
}

// meiliTimeout bounds one request to Meilisearch, a batch of documents included.
const meiliTimeout = 30 * time.Second

// meiliClient reaches Meilisearch, and follows no redirects: they would take the key along.
func (c *config) meiliClient() (*http.Client, error) {
	u, err := url.Parse(c.MeiliURL)
	if err != nil {
		return nil, err
	}
	held, err := c.hold(http.DefaultTransport, u.Host)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: held, Timeout: meiliTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// googleHosts are where FCM is, and where its tokens come from.
var googleHosts = []string{"fcm.googleapis.com", "oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com"}

// fcmHosts are those of FCM, or of what stands in its place, and those that the credentials name.
func (c *config) fcmHosts() ([]string, error) {
	hosts := slices.Clone(googleHosts)
	add := func(text string) error {
		u, err := url.Parse(text)
		if err == nil && u.Host != "" {
			hosts = append(hosts, u.Host)
		}
		return err
	}
	if err := add(c.FCMEndpoint); err != nil {
		return nil, fmt.Errorf("FCM_ENDPOINT: %w", err)
	}
	if c.Credentials == "" {
		return hosts, nil
	}
	text, err := os.ReadFile(c.Credentials)
	if err != nil {
		return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	var named struct {
		TokenURI    string `json:"token_uri"`
		TokenURL    string `json:"token_url"`
		Impersonate string `json:"service_account_impersonation_url"`
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
	}
	for _, text := range []string{named.TokenURI, named.TokenURL, named.Impersonate} {
		if err := add(text); err != nil {
			return nil, fmt.Errorf("GOOGLE_APPLICATION_CREDENTIALS: %w", err)
		}
	}
	return hosts, nil
}

// fcmWrap holds the connections to FCM to these hosts. The hosts are looked at here, since what wraps cannot fail.
func (c *config) fcmWrap() (func(http.RoundTripper) http.RoundTripper, error) {
	hosts, err := c.fcmHosts()
	if err != nil {
		return nil, err
	}
	if _, err := c.hold(nil, hosts...); err != nil {
		return nil, err
	}
	return func(next http.RoundTripper) http.RoundTripper {
		held, err := c.hold(next, hosts...)
		if err != nil {
			return refusing{err}
		}
		return held
	}, nil
}

// refusing sends nothing.
type refusing struct{ err error }

// RoundTrip implements http.RoundTripper.
func (r refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, r.err }
