package trace

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/linkset"
	"github.com/haisu-trace/haisu/internal/store"
)

// PaperView is a document as the public sees it. What it says is told by the firm that handed it in until an officer has verified it.
type PaperView struct {
	ID       string     `json:"id"`
	Kind     PaperKind  `json:"kind"`
	Number   string     `json:"number,omitempty"`
	Issuer   string     `json:"issuer"`
	Issued   string     `json:"issued,omitempty"`
	From     string     `json:"valid_from,omitempty"`
	Until    string     `json:"valid_until,omitempty"`
	State    PaperState `json:"state"` // never PaperRefused
	Fact     Fact       `json:"fact"`  // who stands behind it
	Firm     FirmName   `json:"firm"`  // who handed it in
	Media    string     `json:"media"`
	Size     int64      `json:"size"` // bytes
	Hash     string     `json:"sha256"`
	Received string     `json:"sha256_received"`
	Uploaded time.Time  `json:"uploaded"`
	File     string     `json:"file,omitempty"` // path of the file, where anybody may have it
}

const (
	// MaxPublicPapers is how many documents of a product or lot the public can list, and shownPapers how many an answer has.
	MaxPublicPapers = 50
	maxShownPapers  = 10
	// readPapers is how many are looked at for that, the newest.
	readPapers = 500
)

// PublicPapers gives the documents about a product or lot that count most: verified ones, then those of whoever may speak for the product, then others; what
// has expired comes last, and what was refused is left out. At most MaxPublicPapers.
func (s *Service) PublicPapers(ctx context.Context, ref gs1.Ref) ([]PaperView, error) {
	page, err := s.papers.Find(ctx, store.Query{Index: byRef, Eq: store.K(s.deps.tenant, ref.Path()), Desc: true, Limit: readPapers})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	firms, err := firmsOf(ctx, s, page.Items, func(p Paper) string { return p.Firm })
	if err != nil {
		return nil, err
	}
	now := s.now()
	var out []PaperView
	for i := range page.Items {
		p := &page.Items[i].V
		state := p.State(now)
		if state == PaperRefused {
			continue
		}
		v := PaperView{
			ID: p.ID, Kind: p.Kind, Number: p.Number, Issuer: p.Issuer, Issued: p.Issued, From: p.From, Until: p.Until, State: state,
			Fact: toldBy(p.Firm, firms[p.Firm], p.GTIN, p.Uploaded), Firm: firmName(p.Firm, firms[p.Firm]),
			Media: p.Media, Size: p.File.Size, Hash: p.File.Hash, Received: p.Received, Uploaded: p.Uploaded,
		}
		if d := p.Decision; d != nil {
			v.Fact = Fact{Status: ProvVerified, By: d.Authority, Name: d.Name, Document: p.Number, Date: d.At.In(hainan).Format(time.DateOnly)}
		}
		if p.Open() {
			v.File = "/v1/products/" + string(p.GTIN) + "/documents/" + p.ID
		}
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b PaperView) int {
		return cmp.Or(cmp.Compare(boolInt(a.State == PaperExpired), boolInt(b.State == PaperExpired)), cmp.Compare(b.Fact.weight(), a.Fact.weight()))
	})
	return out[:min(len(out), MaxPublicPapers)], nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *Service) shownPapers(ctx context.Context, ref gs1.Ref) ([]PaperView, error) {
	all, err := s.PublicPapers(ctx, ref)
	return all[:min(len(all), maxShownPapers)], err
}

// vouch marks the lot's numbers as verified that stand on a document which an officer has verified.
func (v *LotView) vouch() {
	for i := range v.Documents {
		d := &v.Documents[i]
		switch {
		case d.State != PaperVerified || d.Number == "":
		case d.Kind == PaperDeclaration && d.Number == v.Declaration:
			v.Facts.Declaration = d.Fact
		case d.Kind == PaperInspection && d.Number == v.Inspection:
			v.Facts.Inspection = d.Fact
		}
	}
}

// PublicPaper gives a document of a product or of its lots whose file anybody may have. NotFound (document_not_found).
func (s *Service) PublicPaper(ctx context.Context, g gs1.GTIN, id string) (Paper, error) {
	p, err := s.Paper(ctx, "", id)
	if err == nil && (p.GTIN != g || !p.Open()) {
		err = errNoPaper(id)
	}
	return p, err
}

// PaperLinks gives the documents that goods are linked to by gs1:certificationInfo: those of the lot, else of the product, whose files anybody may have. A link
// is the first thing that a stranger's phone opens, so each was verified, or comes from who may speak for the product. Href is a path.
func (s *Service) PaperLinks(ctx context.Context, ref gs1.Ref) ([]linkset.Link, error) {
	c, err := s.chain(ctx, ref)
	if err != nil {
		return nil, err
	}
	var levels [][]PaperView
	if c.lot != nil {
		levels = append(levels, c.lot.Documents)
	}
	if c.product != nil {
		levels = append(levels, c.product.Documents)
	}
	for _, papers := range levels {
		var out []linkset.Link
		for i := range papers {
			if p := &papers[i]; p.File != "" && p.State != PaperExpired && p.Fact.Steers() {
				out = append(out, linkset.Link{Type: linkset.Certification, Href: p.File, Title: p.Kind.Name(), Media: p.Media})
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, nil
}
