package httpapi

import (
	"context"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm/listing"
	"github.com/haisu-trace/haisu/internal/lang"
)

// listedFirm is a listing in force, and endedListing the number of one that is not.
var listedFirm = listing.Entry{
	No: "SX-2026-000003", Rev: 1, Kind: listing.Listed, Authority: authorityNow, By: "chen.yu", ByName: "陈宇", Published: now,
	Content: listing.Content{
		Name: lang.ZhEn("海口某食品有限公司", "A Haikou food company"), CreditCode: "91460000MA5T00001F", Decided: "2026-03-01", Until: "2029-02-28",
		Reason:     lang.ZhEn("经营明知掺假的婴幼儿配方食品。", "It traded in infant formula that it knew to be adulterated."),
		LegalBasis: "市场监督管理严重违法失信名单管理办法第五条", DecisionNo: "琼市监列〔2026〕3号",
	},
}

const endedListing = "SX-2022-000001"

// listingsFake has listedFirm and endedListing.
type listingsFake struct{ f *fakes }

func listingOf(history ...listing.Entry) listing.Listing {
	last := history[len(history)-1]
	return listing.Listing{Entry: last, Listed: now, Appeal: last.Kind == listing.Appealed, History: history}
}

func (l listingsFake) Get(_ context.Context, no string) (listing.Listing, error) {
	out := listingOf(listedFirm)
	switch no {
	case listedFirm.No:
	case endedListing:
		out.No, out.Ended = no, true
	default:
		return listing.Listing{}, fault.New(fault.NotFound, "listing_unknown", "there is no listing %s", no)
	}
	return out, l.f.fail()
}

func (l listingsFake) List(context.Context, string, int) ([]listing.Listing, string, error) {
	return []listing.Listing{listingOf(listedFirm)}, "", l.f.fail()
}

func (l listingsFake) Publish(_ context.Context, by listing.Author, c listing.Content) (listing.Listing, bool, error) {
	e := listedFirm
	c.Until = e.Until
	e.Content, e.Authority = c, by.Authority
	return listingOf(e), true, l.f.fail()
}

func (l listingsFake) Change(_ context.Context, _ listing.Author, _ string, ch listing.Change) (listing.Listing, error) {
	e := listedFirm
	e.Rev, e.Kind, e.Note = ch.Seen+1, ch.Kind, ch.Note
	return listingOf(listedFirm, e), l.f.fail()
}
