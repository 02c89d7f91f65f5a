package trace

import (
	"time"

	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

// Fact says who stands behind one fact of a product or lot. One that nobody told has the status ProvMissing and nothing else.
type Fact struct {
	Status   string    `json:"status"`             // ProvVerified, ProvClaimed or ProvMissing
	By       string    `json:"by,omitempty"`       // ID of the authority or firm
	Name     lang.Text `json:"name,omitempty"`     // of the authority; firms are named among the sellers
	Own      bool      `json:"own,omitempty"`      // the firm may speak for the product: it holds the company prefix, or a grant
	Document string    `json:"document,omitempty"` // the authority's, by which it is verified
	Date     string    `json:"date,omitempty"`     // when the authority said so
}

// ProductFacts are the facts of a product that are told one by one.
type ProductFacts struct {
	Name     Fact `json:"name"`
	Brand    Fact `json:"brand"`
	Category Fact `json:"category"`
	Origin   Fact `json:"origin"`
	Net      Fact `json:"net"`
}

// LotFacts are those of a lot.
type LotFacts struct {
	Produced    Fact `json:"produced"`
	Expires     Fact `json:"expires"`
	Quantity    Fact `json:"quantity"`
	Declaration Fact `json:"declaration"`
	Inspection  Fact `json:"inspection"`
}

// Steers says whether others may be told something for the fact's sake, as subscribers to a brand are: a claim of a firm that has no
// right to the product's number steers nobody but those who look at the product itself.
func (f Fact) Steers() bool { return f.Status == ProvVerified || f.Own }

// weight orders facts by whose word counts more.
func (f Fact) weight() int {
	switch {
	case f.Status == ProvVerified:
		return 3
	case f.Own:
		return 2
	case f.Status == ProvClaimed:
		return 1
	}
	return 0
}

var missing = Fact{Status: ProvMissing}

// toldBy is what stands behind a fact that a firm's or authority's record of a product or lot tells.
func toldBy(id string, f firm.Firm, g gs1.GTIN, at time.Time) Fact {
	if f.Kind == firm.Authority {
		return Fact{Status: ProvVerified, By: id, Name: f.Name, Date: at.Format(time.DateOnly)}
	}
	return Fact{Status: ProvClaimed, By: id, Own: speaksFor(f, g)}
}

// take makes the fact f to be s, if s tells it and nobody did before.
func take(f *Fact, told bool, s Fact) {
	if told && f.Status == ProvMissing {
		*f = s
	}
}

// overall is the provenance of several facts together: they are verified only if each one that is told is.
func overall(facts ...Fact) string {
	out := ProvMissing
	for _, f := range facts {
		switch f.Status {
		case ProvClaimed:
			return ProvClaimed
		case ProvVerified:
			out = ProvVerified
		}
	}
	return out
}

func (v *ProductView) settle() {
	f := &v.Facts
	v.Provenance = overall(f.Name, f.Brand, f.Category, f.Origin, f.Net)
}

func (v *LotView) settle() {
	f := &v.Facts
	v.Provenance = overall(f.Produced, f.Expires, f.Quantity, f.Declaration, f.Inspection)
}

// confirm marks the lot's numbers as verified that an authority's own events of this lot name: a declaration or certificate is verified by
// whoever cleared or inspected the goods under it.
func (v *LotView) confirm(history []fact, firms map[string]firm.Firm) {
	for _, e := range history {
		f := firms[e.Firm]
		if e.Document == "" || e.corrected || f.Kind != firm.Authority {
			continue
		}
		by := Fact{Status: ProvVerified, By: e.Firm, Name: f.Name, Document: e.Document, Date: e.Time.UTC().Format(time.DateOnly)}
		if e.Document == v.Declaration {
			v.Facts.Declaration = by
		}
		if e.Document == v.Inspection {
			v.Facts.Inspection = by
		}
	}
	v.settle()
}
