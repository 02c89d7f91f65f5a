package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/linkset"
)

// The nearest level that has a link of a type gives it, and a level whose every qualifier the reference has.
func TestLinksWalkUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	product, lot := gs1.Ref{GTIN: gtinA}, gs1.Ref{GTIN: gtinA, Lot: "L/1"}
	unit, both := gs1.Ref{GTIN: gtinA, Serial: "S1"}, gs1.Ref{GTIN: gtinA, Lot: "L/1", Serial: "S1"}
	for ref, types := range map[gs1.Ref]string{product: "pip faqs support review", lot: "pip faqs support", unit: "pip faqs", both: "pip"} {
		var links []linkset.Link
		for w := range strings.FieldsSeq(types) {
			links = append(links, linkset.Link{Type: "gs1:" + w, Href: "https://x.example" + ref.Path()})
		}
		_, err := b.PutLinks(t.Context(), b.maker, ref, links)
		must(t, err)
	}
	for _, c := range []struct {
		asked gs1.Ref
		want  map[string]gs1.Ref
	}{
		{product, map[string]gs1.Ref{"pip": product, "faqs": product, "support": product, "review": product}},
		{lot, map[string]gs1.Ref{"pip": lot, "faqs": lot, "support": lot, "review": product}},
		{unit, map[string]gs1.Ref{"pip": unit, "faqs": unit, "support": product, "review": product}},
		{both, map[string]gs1.Ref{"pip": both, "faqs": unit, "support": lot, "review": product}},
		{gs1.Ref{GTIN: gtinA, Lot: "L2", Serial: "S1"}, map[string]gs1.Ref{"pip": unit, "faqs": unit, "support": product, "review": product}},
		{gs1.Ref{GTIN: gtinA, Lot: "L/1", Serial: "S2"}, map[string]gs1.Ref{"pip": lot, "faqs": lot, "support": lot, "review": product}},
		{gs1.Ref{GTIN: gtinB}, nil},
	} {
		links, err := b.Links(t.Context(), c.asked)
		must(t, err)
		if len(links) != len(c.want) {
			t.Errorf("%s: %+v", c.asked.Path(), links)
		}
		for _, l := range links {
			if from := c.want[strings.TrimPrefix(l.Type, "gs1:")]; l.Href != "https://x.example"+from.Path() {
				t.Errorf("%s: %s from %s, want %s", c.asked.Path(), l.Type, l.Href, from.Path())
			}
		}
	}
	_, err := b.PutLinks(t.Context(), b.maker, product, nil)
	must(t, err)
	if links, err := b.Links(t.Context(), product); err != nil || len(links) != 0 {
		t.Errorf("taken away, and yet %+v %v", links, err)
	}
}

func TestWhoMayLink(t *testing.T) {
	t.Parallel()
	b := setup(t)
	link := func(f firm.Firm, host string) error {
		_, err := b.PutLinks(t.Context(), f, gs1.Ref{GTIN: gtinA}, []linkset.Link{{Type: "gs1:pip", Href: "https://" + host}})
		return err
	}
	seller := b.firm(firm.Firm{ID: "seller", Name: lang.ZhEn("店", "Shop"), Kind: firm.DutyFree})
	if err := link(seller, "thief.example"); fault.CodeOf(err) != "not_registrant" {
		t.Errorf("a stranger links: %v", err)
	}
	seller.Grants = []string{"690123456"}
	b.firm(seller)
	must(t, link(seller, "seller.example"))
	must(t, link(b.maker, "maker.example"))
	hrefs := func() string {
		links, err := b.Links(t.Context(), gs1.Ref{GTIN: gtinA})
		must(t, err)
		var out []string
		for _, l := range links {
			out = append(out, l.Href)
		}
		return strings.Join(out, " ")
	}
	if got := hrefs(); got != "https://maker.example https://seller.example" {
		t.Errorf("the registrant comes first: %s", got)
	}
	seller.Grants = nil
	b.firm(seller)
	if got := hrefs(); got != "https://maker.example" {
		t.Errorf("a grant that ended still links: %s", got)
	}
}

func TestBrokenLinks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := linkset.Link{Type: "gs1:pip", Href: "https://x.example/ok"}
	with := func(f func(l *linkset.Link)) []linkset.Link {
		l := good
		f(&l)
		return []linkset.Link{good, l}
	}
	for name, c := range map[string]struct {
		links   []linkset.Link
		pointer string
	}{
		"recall status elsewhere": {with(func(l *linkset.Link) { l.Type = linkset.RecallStatus }), "/links/1/link_type"},
		"an unknown type":         {with(func(l *linkset.Link) { l.Type = "gs1:x" }), "/links/1/link_type"},
		"plain http":              {with(func(l *linkset.Link) { l.Href = "http://x.example/" }), "/links/1/href"},
		"a script":                {with(func(l *linkset.Link) { l.Href = "javascript:alert(1)" }), "/links/1/href"},
		"another header":          {with(func(l *linkset.Link) { l.Href = "https://x.example/\r\nSet-Cookie:a" }), "/links/1/href"},
		"a user name":             {with(func(l *linkset.Link) { l.Href = "https://haisu.example@x.example/" }), "/links/1/href"},
		"endless":                 {with(func(l *linkset.Link) { l.Href += strings.Repeat("x", 2000) }), "/links/1/href"},
		"und":                     {with(func(l *linkset.Link) { l.Lang = "und" }), "/links/1/lang"},
		"no language":             {with(func(l *linkset.Link) { l.Lang = "Chinese (simplified)" }), "/links/1/lang"},
		"no media type":           {with(func(l *linkset.Link) { l.Media = "html" }), "/links/1/media"},
		"a long title":            {with(func(l *linkset.Link) { l.Title = lang.ZhEn(strings.Repeat("长", 201), "") }), "/links/1/title/zh-Hans"},
		"too many":                {slices.Repeat([]linkset.Link{good}, MaxLinks+1), "/links"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := b.PutLinks(t.Context(), b.maker, gs1.Ref{GTIN: gtinA}, c.links)
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind != fault.Invalid || len(e.Fields) != 1 || e.Fields[0].Pointer != c.pointer {
				t.Errorf("%v, want %s", err, c.pointer)
			}
		})
	}
	if _, err := b.PutLinks(t.Context(), b.maker, gs1.Ref{GTIN: "123"}, nil); err == nil {
		t.Error("links of no product")
	}
	if links, err := b.Links(t.Context(), gs1.Ref{GTIN: gtinA}); err != nil || len(links) != 0 {
		t.Error(fmt.Sprint(links, err))
	}
}
