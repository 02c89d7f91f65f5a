package outbound

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for want, list := range map[bool]string{
		true: "1.1.1.1 8.8.8.8 114.114.114.114 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.169.0.1 198.17.255.255 198.20.0.0 223.255.255.255 " +
			"2400:3200::1 2606:4700::1111 2001:4860:4860::8888 2001:200::1 ::ffff:1.1.1.1 64:ff9b::101:101",
		false: "0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.1 " +
			"169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 " +
			"203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 " +
			":: ::1 ::127.0.0.1 ::1.1.1.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::1 100::1 " +
			"2001::1 2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:101:101:: 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 " +
			"fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 2400:3200::1%eth0 fec0::1 ff02::1 ff0e::1 2400::5efe:7f00:1 2400::200:5efe:a00:1",
	} {
		for s := range strings.FieldsSeq(list) {
			if got := Public(netip.MustParseAddr(s)); got != want {
				t.Errorf("Public(%s) = %v", s, got)
			}
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// FuzzPublic holds Public to what the standard library knows, and every spelling of an IPv4 address to the address itself.
func FuzzPublic(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "1.1.1.1", "169.254.169.254", "::1", "2001:db8::1", "64:ff9b::7f00:1", "2002:7f00:1::"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		if Public(a) {
			if p := a.Unmap(); p.IsPrivate() || p.IsLoopback() || p.IsLinkLocalUnicast() || p.IsMulticast() || p.IsUnspecified() || !p.IsGlobalUnicast() {
				t.Errorf("%s is public", a)
			}
			if a.WithZone("x").Zone() != "" && Public(a.WithZone("x")) {
				t.Errorf("%s with a zone is public", a)
			}
		}
		if !a.Is4() {
			return
		}
		four := a.As4()
		for _, prefix := range []string{"::ffff:0:0", "64:ff9b::"} { // the network takes these for the IPv4 address
			six := netip.MustParseAddr(prefix).As16()
			copy(six[12:], four[:])
			if spelt := netip.AddrFrom16(six); Public(spelt) != Public(a) {
				t.Errorf("%s and %s differ", spelt, a)
			}
		}
		for at, prefix := range map[int]string{12: "::", 2: "2002::", 4: "2001::"} { // these are refused whatever they carry
			six := netip.MustParseAddr(prefix).As16()
			copy(six[at:], four[:])
			if spelt := netip.AddrFrom16(six); Public(spelt) {
				t.Errorf("%s is public", spelt)
			}
		}
	})
}

// FuzzHost holds the host matcher to a slower one: what passes is a name in its usual spelling that the list covers, or a listed
// address, and nothing else can be read out of the URL.
func FuzzHost(f *testing.F) {
	for _, s := range []string{
		"https://example.com/", "https://a.example.org:8443/x", "https://[::1]/", "https://1.1.1.1", "https://1.1.1.1@example.com", "https://EXAMPLE.com",
		"https://example.com.", "https://0x7f.1", "https://１２７.0.0.1", "https://example.com\\@evil", "https://xn--fiqs8s", "https://example.com:443:443", "https://[::ffff:1.1.1.1]",
	} {
		f.Add(s)
	}
	l, err := parseAllow([]string{"example.com", "*.example.org:8443", "1.1.1.1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.Parse(raw)
		if err != nil || l.check(&http.Request{URL: u}, false) != nil {
			return
		}
		host, port := u.Hostname(), u.Port()
		dialled, err := idna.Lookup.ToASCII(host) // as the transport does
		if err != nil {
			dialled = host // it takes the text as it stands; only an address comes to this
		}
		host = strings.ToLower(host)
		a, aerr := netip.ParseAddr(host)
		switch {
		case u.Scheme != "https", u.User != nil:
			t.Errorf("%q passes", raw)
		case aerr == nil && a.Unmap().String() == "1.1.1.1" && (port == "" || port == "443"):
		case !strings.EqualFold(dialled, host):
			t.Errorf("%q is checked as %q and dialled as %q", raw, host, dialled)
		case host == "example.com" && (port == "" || port == "443"):
		case strings.HasSuffix(host, ".example.org") && port == "8443":
		default:
			t.Errorf("%q passes with host %q, port %q", raw, host, port)
		}
	})
}
