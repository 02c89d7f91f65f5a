package trace

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/linkset"
	"github.com/haisu-trace/haisu/internal/store"
)

// MaxLinks is how many links one firm gives one product, lot or unit.
const MaxLinks = 50

// maxLinkers bounds whose links are shown for one product, lot or unit: its registrant, and those who were granted the prefix.
const maxLinkers = 10

// LinkSet is what one firm links from a product, lot or unit.
type LinkSet struct {
	GTIN    gs1.GTIN       `json:"gtin"`
	Lot     string         `json:"lot,omitempty"`
	Serial  string         `json:"serial,omitempty"`
	Firm    string         `json:"firm"`
	Links   []linkset.Link `json:"links"`
	Updated time.Time      `json:"updated"`
}

func (l *LinkSet) ref() gs1.Ref { return gs1.Ref{GTIN: l.GTIN, Lot: l.Lot, Serial: l.Serial} }

var linkDef = store.Def[LinkSet]{Name: "link_sets", Indexes: []store.Index[LinkSet]{{
	Name: byRef, Version: "1", Keys: func(_ string, l *LinkSet) ([]store.Key, store.Key) {
		return []store.Key{store.K(l.ref().Path())}, store.K(l.Firm)
	},
}}}

// PutLinks replaces what a firm links from a product, lot or unit; none takes the links away. Only the registrant of the company prefix and those
// who have its grant may: a link is the first thing that a stranger's phone opens. It may be repeated: the same links again change nothing. Invalid; Forbidden
// (not_registrant).
func (s *Service) PutLinks(ctx context.Context, f firm.Firm, ref gs1.Ref, links []linkset.Link) (LinkSet, error) {
	set := LinkSet{
		GTIN: ref.GTIN, Lot: ref.Lot, Serial: ref.Serial, Firm: f.ID, Links: slices.Clone(links), Updated: s.now(),
	}
	if err := ref.Valid(); err != nil {
		return set, err
	}
	if !f.Owns(ref.GTIN.CompanyDigits()) {
		return set, errNotRegistrant(ref.GTIN)
	}
	if set.Links == nil {
		set.Links = []linkset.Link{}
	}
	if err := checkLinks(set.Links); err != nil {
		return set, err
	}
	set, _, err := save(ctx, s.links, ref.Path()+"|"+f.ID, set, false, func(l *LinkSet) *time.Time { return &l.Updated })
	return set, err
}

func errNotRegistrant(g gs1.GTIN) *fault.Error {
	return fault.New(fault.Forbidden, "not_registrant", "only the registrant of the company prefix of %s, or a firm that has its grant, links from it", g)
}

var mediaPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}$`)

var langPattern = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

func checkLinks(links []linkset.Link) error {
	var c checker
	c.add(len(links) > MaxLinks, "/links", "too_many", "at most 50 links")
	for i, l := range links[:min(len(links), MaxLinks)] {
		at := func(member string) string { return "/links/" + strconv.Itoa(i) + "/" + member }
		c.add(!slices.Contains(linkset.Types, l.Type), at("link_type"), "link_type", "a link type of the GS1 Web Vocabulary such as gs1:pip; the state of goods is told here and nowhere else")
		c.add(!goodHref(l.Href), at("href"), "href", "an absolute https address without a user name, at most 2,000 characters")
		c.text(at("title"), l.Title, 200)
		c.add(l.Lang != "" && (!langPattern.MatchString(l.Lang) || strings.EqualFold(l.Lang, "und")), at("lang"), "language", "a BCP 47 tag such as zh-Hans; leave it out for none in particular")
		c.add(l.Media != "" && !mediaPattern.MatchString(l.Media), at("media"), "media_type", "a media type such as text/html")
	}
	return c.err()
}

func goodHref(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && len(s) <= 2000 && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"<>\^{|}`+"`", r) })
}

// Links gives the links of a reference, walking up from it: for each link type those of the nearest level that has any. A level is one whose
// every qualifier the reference has too: the unit with its lot, the unit, the lot, the product.
func (s *Service) Links(ctx context.Context, ref gs1.Ref) ([]linkset.Link, error) {
	var out []linkset.Link
	have := map[string]bool{}
	for _, level := range levels(ref) {
		page, err := s.links.Find(ctx, store.Query{Index: byRef, Eq: store.K(level.Path()), Limit: maxLinkers})
		if err != nil {
			return nil, err
		}
		firms, err := firmsOf(ctx, s, page.Items, func(l LinkSet) string { return l.Firm })
		if err != nil {
			return nil, err
		}
		byAuthority(page.Items, firms, ref.GTIN, func(l LinkSet) string { return l.Firm })
		here := map[string]bool{}
		for _, d := range page.Items {
			if !firms[d.V.Firm].Owns(ref.GTIN.CompanyDigits()) {
				continue // it had a grant once
			}
			for _, l := range d.V.Links {
				if !have[l.Type] {
					here[l.Type] = true
					out = append(out, l)
				}
			}
		}
		for t := range here {
			have[t] = true
		}
	}
	return out, nil
}

// levels lists where to look for the links of a reference, the nearest first.
func levels(ref gs1.Ref) []gs1.Ref {
	out := []gs1.Ref{ref}
	if ref.Lot != "" && ref.Serial != "" {
		out = append(out, gs1.Ref{GTIN: ref.GTIN, Serial: ref.Serial}, gs1.Ref{GTIN: ref.GTIN, Lot: ref.Lot})
	}
	if ref.Lot != "" || ref.Serial != "" {
		out = append(out, gs1.Ref{GTIN: ref.GTIN})
	}
	return out
}
