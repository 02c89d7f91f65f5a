// Package linkset has the link types of GS1 Digital Links, the choice of a link for a request, and link sets in JSON (RFC 9264). No I/O.
//
// The behaviour is that of the GS1-Conformant Resolver Standard, 1.2.
package linkset

import (
	"encoding/json"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/haisu-trace/haisu/internal/lang"
)

// MediaType is that of a link set (RFC 9264, 4.2).
const MediaType = "application/linkset+json"

// Prefix and Vocabulary are the short and the long beginning of a GS1 link type.
const (
	Prefix     = "gs1:"
	Vocabulary = "https://ref.gs1.org/voc/"
)

// The link types that this program serves itself: whoever has goods in hand must find their state here, before any other page.
const (
	Default      = "gs1:defaultLink"
	Traceability = "gs1:traceability"
	RecallStatus = "gs1:recallStatus"
	SafetyInfo   = "gs1:safetyInfo"
)

// Certification is the link type of certificates and test reports; a lot's documents are linked by it.
const Certification = "gs1:certificationInfo"

// Own are the link types that nobody else gives a target.
var Own = []string{Default, Traceability, RecallStatus, SafetyInfo}

// Types are the link types that firms give targets: those of the GS1 Web Vocabulary that are about goods, without Own.
var Types = []string{
	"gs1:activityIdeas", "gs1:allergenInfo", "gs1:appDownload", Certification, "gs1:consumerHandlingStorageInfo", "gs1:epil", "gs1:faqs",
	"gs1:hasRetailers", "gs1:ingredientsInfo", "gs1:instructions", "gs1:leaveReview", "gs1:logisticsInfo", "gs1:masterData",
	"gs1:nutritionalInfo", "gs1:pip", "gs1:productSustainabilityInfo", "gs1:promotion", "gs1:purchaseSuppliesOrAccessories",
	"gs1:quickStartGuide", "gs1:recipeInfo", "gs1:registerProduct", "gs1:registryEntry", "gs1:relatedVideo", "gs1:review", "gs1:serviceInfo",
	"gs1:smartLabel", "gs1:smpc", "gs1:socialMedia", "gs1:support", "gs1:sustainabilityInfo", "gs1:tutorial", "gs1:userAgreement",
	"gs1:verificationService", "gs1:whatsInTheBox",
}

// ParseType reads a link type as clients write it: gs1:pip, or with the vocabulary's address, old or new. False for a word of no vocabulary known
// here; the type may still have no link.
func ParseType(s string) (string, bool) {
	for _, long := range []string{Vocabulary, "https://gs1.org/voc/", "http://gs1.org/voc/"} {
		if rest, ok := strings.CutPrefix(s, long); ok {
			s = Prefix + rest
			break
		}
	}
	return s, slices.Contains(Types, s) || slices.Contains(Own, s)
}

// Link is one link from goods to something about them.
type Link struct {
	Type  string    `json:"link_type"`       // of Types or Own
	Href  string    `json:"href"`            // absolute
	Title lang.Text `json:"title,omitempty"` // for people
	Lang  string    `json:"lang,omitempty"`  // BCP 47, of what stands behind Href; empty: all, or none
	Media string    `json:"media,omitempty"` // its media type
}

// OfType gives the links of one type.
func OfType(links []Link, linkType string) []Link {
	var out []Link
	for _, l := range links {
		if l.Type == linkType {
			out = append(out, l)
		}
	}
	return out
}

// Choose gives the links among those of one type that suit a request best: first by language (RFC 9110, 12.5.4), then by media type. More than one
// means that the client has to choose (300). A preference that nothing meets is none.
func Choose(links []Link, acceptLanguage string, accepts func(mediaType string) bool) []Link {
	links = byLanguage(links, acceptLanguage)
	if len(links) > 1 {
		fit := slices.DeleteFunc(slices.Clone(links), func(l Link) bool { return l.Media != "" && !accepts(l.Media) })
		if len(fit) > 0 {
			links = fit
		}
	}
	return links
}

// maxAccept bounds the header that is looked into: no browser sends more.
const maxAccept = 500

func byLanguage(links []Link, accept string) []Link {
	if accept == "" || len(accept) > maxAccept || len(links) < 2 {
		return links
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(wanted) == 0 {
		return links
	}
	var tags []language.Tag
	var of []string
	for _, l := range links {
		if t, err := language.Parse(l.Lang); err == nil && l.Lang != "" && !slices.Contains(of, l.Lang) {
			tags, of = append(tags, t), append(of, l.Lang)
		}
	}
	if len(tags) > 0 {
		if _, i, confidence := language.NewMatcher(tags).Match(wanted...); confidence >= language.Low {
			return slices.DeleteFunc(slices.Clone(links), func(l Link) bool { return l.Lang != of[i] })
		}
	}
	if fit := slices.DeleteFunc(slices.Clone(links), func(l Link) bool { return l.Lang != "" }); len(fit) > 0 {
		return fit // what is in no particular language is for everybody
	}
	return links
}

// target is a link target object (RFC 9264, 4.2.3).
type target struct {
	Href   string   `json:"href"`
	Title  string   `json:"title,omitempty"`
	Titles []titled `json:"title*,omitempty"`
	Langs  []string `json:"hreflang,omitempty"`
	Media  string   `json:"type,omitempty"`
}

type titled struct {
	Value    string `json:"value"`
	Language string `json:"language"`
}

// Encode gives the link set of goods whose own address is anchor. There is an array with one link context object, and a member per link type under
// its long name; a target without a language has no hreflang.
func Encode(anchor string, links []Link) ([]byte, error) {
	context := map[string]any{"anchor": anchor}
	for _, l := range links {
		t := target{Href: l.Href, Title: l.Title.In(lang.En), Media: l.Media}
		for _, tag := range []string{lang.ZhHans, lang.En} {
			if s := l.Title[tag]; s != "" {
				t.Titles = append(t.Titles, titled{s, tag})
			}
		}
		if l.Lang != "" {
			t.Langs = []string{l.Lang}
		}
		name := Vocabulary + strings.TrimPrefix(l.Type, Prefix)
		of, _ := context[name].([]target)
		context[name] = append(of, t)
	}
	return json.Marshal(map[string]any{"linkset": []any{context}})
}

// WithQuery adds a request's query to an address, which keeps its own (resolver standard, 5.4: parameters are passed on). drop are parameters that
// were meant for the resolver.
func WithQuery(href, rawQuery string, drop ...string) string {
	var keep []string
	for p := range strings.SplitSeq(rawQuery, "&") {
		name, _, _ := strings.Cut(p, "=")
		if p != "" && !slices.Contains(drop, name) {
			keep = append(keep, p)
		}
	}
	if len(keep) == 0 {
		return href
	}
	base, fragment, cut := strings.Cut(href, "#")
	switch {
	case !strings.Contains(base, "?"):
		base += "?"
	case !strings.HasSuffix(base, "?") && !strings.HasSuffix(base, "&"):
		base += "&"
	}
	base += strings.Join(keep, "&")
	if cut {
		base += "#" + fragment
	}
	return base
}
