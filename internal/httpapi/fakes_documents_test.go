package httpapi

import (
	"context"
	"io"
	"strings"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/linkset"
	"github.com/haisu-trace/haisu/internal/trace"
)

const (
	documentID   = "6f7k2m9q4t6v8x0z1b3d5f7h9k"
	documentText = "%PDF-1.7 %%EOF"
	documentHash = "0e9d1c4f6ab3a6f3c1d84cfd0ce1f0a7f1d0ac5e6a3b8d4c2e7f9a1b3c5d7e9f"
)

// documentsFake has one document, which the seller handed in, and its file.
type documentsFake struct{ f *fakes }

var paper = trace.Paper{
	ID: documentID, Firm: seller.ID, GTIN: formulaGTIN, Lot: formulaLot, Kind: trace.PaperInspection, Number: "460000126000123",
	Issuer: "海口海关", Issued: "2026-01-29", Until: "2027-01-28", Public: true, Media: "application/pdf", Received: documentHash, Uploaded: now,
	File: blob.Ref{Space: blob.Space{Purpose: "documents", Record: documentID + "-1"}, Hash: documentHash, Size: int64(len(documentText))},
}

var paperView = trace.PaperView{
	ID: paper.ID, Kind: paper.Kind, Number: paper.Number, Issuer: paper.Issuer, Issued: paper.Issued, Until: paper.Until, State: trace.PaperVerified,
	Fact: trace.Fact{Status: trace.ProvVerified, By: market.ID, Name: market.Name, Document: paper.Number, Date: "2026-03-02"},
	Firm: trace.FirmName{ID: seller.ID, Name: seller.Name, Kind: seller.Kind}, Media: paper.Media, Size: paper.File.Size, Hash: documentHash,
	Received: documentHash, Uploaded: now, File: "/v1/products/" + formulaGTIN.String() + "/documents/" + documentID,
}

// AddPaper reads the file to its end, as the real one does.
func (d documentsFake) AddPaper(_ context.Context, f firm.Firm, p trace.Paper, file io.Reader) (trace.Paper, bool, error) {
	b, err := io.ReadAll(file)
	if err != nil {
		return p, false, err
	}
	p.ID, p.Firm, p.Media, p.Received, p.Uploaded = documentID, f.ID, paper.Media, paper.Received, now
	p.File = paper.File
	p.File.Size = int64(len(b))
	return p, true, d.f.note(func() { d.f.papers = append(d.f.papers, p) })
}

func (d documentsFake) Paper(_ context.Context, firm, id string) (trace.Paper, error) {
	if id != documentID || firm != "" && firm != seller.ID {
		return trace.Paper{}, fault.New(fault.NotFound, "document_not_found", "there is no document %s here", id)
	}
	return paper, d.f.fail()
}

func (d documentsFake) Papers(context.Context, string, string, int) ([]trace.Paper, string, error) {
	return []trace.Paper{paper}, "", d.f.fail()
}

func (d documentsFake) DecidePaper(_ context.Context, _ string, _ trace.PaperState, dec trace.Decision) (before, after trace.Paper, err error) {
	before, after = paper, paper
	dec.At = now
	after.Decision = &dec
	return before, after, d.f.fail()
}

func (d documentsFake) WithdrawPaper(ctx context.Context, firm, id string) (trace.Paper, error) {
	return d.Paper(ctx, firm, id)
}

func (d documentsFake) PaperFile(context.Context, *trace.Paper) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(documentText)), d.f.fail()
}

func (d documentsFake) PublicPapers(context.Context, gs1.Ref) ([]trace.PaperView, error) {
	return []trace.PaperView{paperView}, d.f.fail()
}

func (d documentsFake) PublicPaper(ctx context.Context, _ gs1.GTIN, id string) (trace.Paper, error) {
	return d.Paper(ctx, "", id)
}

func (d documentsFake) PaperLinks(context.Context, gs1.Ref) ([]linkset.Link, error) {
	return []linkset.Link{{
		Type: linkset.Certification, Href: paperView.File, Title: lang.ZhEn("检验检疫证明", "Inspection and quarantine certificate"), Media: paper.Media,
	}}, d.f.fail()
}
