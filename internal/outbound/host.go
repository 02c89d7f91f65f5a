package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxURL is the longest URL that is requested, in bytes.
const maxURL = 4 << 10

// pattern is one entry of an allow-list: a host, or all hosts below a domain.
type pattern struct {
	host  string // lower case, ASCII; or the text of an IP address; "" for any name
	below bool   // hosts below the domain, not the domain itself
	port  string // "": the scheme's own
}

// allowList is what may be reached. The zero value allows nothing.
type allowList struct {
	hosts    []pattern
	internal []netip.Prefix // networks that may be dialled although they are not public
}

// parseAllow reads the entries of Config.Allow.
func parseAllow(entries []string) (allowList, error) {
	var l allowList
	for _, e := range entries {
		if p, err := netip.ParsePrefix(e); err == nil {
			l.internal = append(l.internal, p.Masked())
			continue
		}
		p, err := parsePattern(e)
		if err != nil {
			return allowList{}, fmt.Errorf("%q: %w", e, err)
		}
		l.hosts = append(l.hosts, p)
	}
	return l, nil
}

func parsePattern(s string) (pattern, error) {
	host, port, err := splitPort(s)
	if err != nil {
		return pattern{}, err
	}
	if host == "*" {
		return pattern{below: true, port: port}, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return pattern{}, errors.New("an address must not name an interface")
		}
		return pattern{host: a.Unmap().String(), port: port}, nil
	}
	name, below := strings.CutPrefix(host, "*.")
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil || !hostName(ascii) {
		return pattern{}, errors.New("want a host such as idp.example.com, *.example.com, either with :port, or a network such as 10.1.0.0/16")
	}
	if below && !strings.Contains(ascii, ".") {
		return pattern{}, errors.New("everything below a top-level domain is too much")
	}
	return pattern{host: ascii, below: below, port: port}, nil
}

// splitPort splits host, host:port, [v6]:port and a bare v6.
func splitPort(s string) (host, port string, err error) {
	if _, err := netip.ParseAddr(s); err == nil || !strings.Contains(s, ":") {
		return s, "", nil
	}
	if host, port, err = net.SplitHostPort(s); err != nil {
		return "", "", errors.New("want host or host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", "", errors.New("want a port from 1 to 65535")
	}
	return host, port, nil
}

// hostName says whether s is a name of DNS in its one spelling: ASCII, lower case, no dot at the end, and not what some
// resolvers read as an IPv4 address (2130706433, 0x7f.1, 127.1).
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
		last = label
	}
	return last[0] < '0' || last[0] > '9' // no top-level domain begins with a digit; 0x7f and 0177 do
}

// check says whether a request may be made. The host that it looks at is the one that the transport dials.
func (l *allowList) check(r *http.Request, plainHTTP bool) error {
	u := r.URL
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !plainHTTP):
		return deny(ErrHost, "scheme %q", clip(u.Scheme))
	case u.User != nil:
		return deny(ErrHost, "the URL holds a user name")
	case u.Opaque != "" || len(u.RequestURI())+len(u.Host) > maxURL:
		return deny(ErrHost, "the URL is opaque or longer than %d bytes", maxURL)
	case r.Host != "" && !strings.EqualFold(r.Host, u.Host):
		return deny(ErrHost, "the Host header names another host than the URL")
	}
	return l.checkHost(u)
}

func (l *allowList) checkHost(u *url.URL) error {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	addr, err := netip.ParseAddr(host)
	literal := err == nil
	switch {
	case literal && addr.Zone() != "":
		return deny(ErrHost, "an address with a zone")
	case literal:
		// Dialled as it stands: what is not public is refused there.
		host = addr.Unmap().String()
	case !hostName(host):
		return deny(ErrHost, "%q is no host name in its usual spelling", clip(host))
	}
	ok := slices.ContainsFunc(l.hosts, func(p pattern) bool {
		if port != p.port && (p.port != "" || port != defaultPort(u.Scheme)) {
			return false
		}
		switch {
		case !p.below:
			return host == p.host
		case literal:
			return false
		case p.host == "":
			return strings.Contains(host, ".") // a name alone is one of the inside
		}
		return strings.HasSuffix(host, "."+p.host)
	})
	if !ok {
		return deny(ErrHost, "%q, port %s, is not in the allow-list", clip(host), clip(port))
	}
	return nil
}

// checkAddress says whether an address may be dialled.
func (l *allowList) checkAddress(a netip.Addr) error {
	if Public(a) || slices.ContainsFunc(l.internal, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
		return nil
	}
	return deny(ErrAddress, "%s", a)
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

// clip keeps hostile text out of logs.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80]
	}
	return s
}
