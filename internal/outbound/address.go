package outbound

import (
	"net/netip"
	"slices"
)

// nat64 is the well-known prefix of RFC 6052, section 2.1, behind which a network that has IPv6 only reaches IPv4. The address in it
// is the one that counts.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// global6 is all that IANA has given out of IPv6 for the Internet. Loopback, link-local, unique local and multicast addresses, IPv4
// in other clothes (::a.b.c.d, ::ffff:0:a.b.c.d, 64:ff9b:1::/48) and segment routing are outside.
var global6 = netip.MustParsePrefix("2000::/3")

// special are the networks that are not the public Internet, from IANA's special-purpose address registries (RFC 6890 and its
// updates), with the addresses at which clouds keep their machines' credentials. 6to4 and Teredo carry an IPv4 address that a
// relay would go on to; both are out of use, so they are refused whatever they carry.
var special = prefixes(
	"0.0.0.0/8",         // this network
	"10.0.0.0/8",        // private
	"100.64.0.0/10",     // shared by carriers (RFC 6598); 100.100.100.200 is a cloud's metadata
	"127.0.0.0/8",       // loopback
	"168.63.129.16/32",  // a cloud's metadata, at a public address
	"169.254.0.0/16",    // link-local; 169.254.169.254 is most clouds' metadata
	"172.16.0.0/12",     // private
	"192.0.0.0/24",      // protocol assignments
	"192.0.2.0/24",      // documentation
	"192.88.99.0/24",    // relays of 6to4
	"192.168.0.0/16",    // private
	"198.18.0.0/15",     // benchmarks
	"198.51.100.0/24",   // documentation
	"203.0.113.0/24",    // documentation
	"224.0.0.0/4",       // multicast
	"240.0.0.0/4",       // reserved, and broadcast
	"2001::/23",         // protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32",     // documentation
	"2002::/16",         // 6to4
	"3ffe::/16",         // given back
	"3fff::/20",         // documentation
	"2620:4f:8000::/48", // AS112, a sink
	"192.31.196.0/24",   // AS112
	"192.175.48.0/24",   // AS112
	"192.52.193.0/24",   // tunnels to multicast
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public says whether an address is one of the public Internet: not of this machine, this network, an organisation's inside, a
// cloud's metadata, documentation or multicast, in any spelling.
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = plain(a)
	if a.Is6() && (!global6.Contains(a) || isatap(a)) {
		return false
	}
	return !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
}

// plain is the IPv4 address that an IPv6 address stands for, or the address itself.
func plain(a netip.Addr) netip.Addr {
	a = a.Unmap() // ::ffff:a.b.c.d
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// isatap says whether the address names an IPv4 host behind a router of RFC 5214.
func isatap(a netip.Addr) bool {
	b := a.As16()
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
