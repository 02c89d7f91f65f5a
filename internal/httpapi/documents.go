package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/upload"
)

// documentFields are the fields of the form, in front of the file.
var documentFields = []string{"gtin", "lot", "kind", "number", "issuer", "issued", "valid_from", "valid_until", "public"}

// createDocument takes a document in as it arrives.
func (s *server) createDocument(c *fiber.Ctx) error {
	ctx, k := c.UserContext(), callOf(c)
	if k.body == nil { // Content-Length: 0
		return refuse(http.StatusBadRequest, "body_missing", "this operation needs a body: a form with the file")
	}
	form, err := upload.Open(k.body, c.Get(fiber.HeaderContentType))
	if err != nil {
		return err
	}
	p, err := paperOf(form.Fields)
	if err != nil {
		return err
	}
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return err
	}
	p, created, err := s.tenant(k).Documents.AddPaper(ctx, f, p, form)
	if err != nil {
		return err
	}
	body := s.documentBody(&p)
	changed(ctx, documentSubject(p.ID), nil, body)
	c.Set(fiber.HeaderLocation, "/v1/documents/"+p.ID)
	if created {
		c.Status(http.StatusCreated)
	}
	return c.JSON(body)
}

func documentSubject(id string) string { return "document/" + id }

// paperOf reads the fields of the form. What they say is checked where it is kept.
func paperOf(fields map[string]string) (trace.Paper, error) {
	for name := range fields {
		if !slices.Contains(documentFields, name) {
			return trace.Paper{}, refuse(http.StatusUnprocessableEntity, "invalid", "the form has fields %s, and then the file", strings.Join(documentFields, ", "))
		}
	}
	if v := fields["public"]; v != "" && v != "true" && v != "false" {
		return trace.Paper{}, fault.InvalidFields(fault.Field{Pointer: "/public", Code: "not_allowed", Detail: "true or false"})
	}
	g, err := gs1.ParseGTINLenient(fields["gtin"])
	return trace.Paper{
		GTIN: g, Lot: fields["lot"], Kind: trace.PaperKind(fields["kind"]), Number: strings.TrimSpace(fields["number"]), Issuer: strings.TrimSpace(fields["issuer"]),
		Issued: fields["issued"], From: fields["valid_from"], Until: fields["valid_until"], Public: fields["public"] == "true",
	}, err
}

func (s *server) documentBody(p *trace.Paper) Document {
	out := Document{
		Id: p.ID, Firm: p.Firm, Gtin: string(p.GTIN), Lot: p.Lot, Kind: DocumentKind(p.Kind), Number: p.Number, Issuer: p.Issuer, Issued: p.Issued,
		ValidFrom: p.From, ValidUntil: p.Until, Public: p.Public, State: DocumentState(p.State(s.deps.Now())), Media: DocumentMedia(p.Media), Size: p.File.Size,
		Sha256: p.File.Hash, Sha256Received: p.Received, Uploaded: p.Uploaded,
	}
	if d := p.Decision; d != nil {
		out.Decision = DocumentDecision{State: DocumentDecisionState(d.State), Reason: d.Reason, Authority: d.Authority, Name: d.Name, At: d.At}
	}
	return out
}

// ListDocuments lists the seller's own documents, or, for officers, those that wait.
func (s *server) ListDocuments(ctx context.Context, req ListDocumentsRequestObject) (ListDocumentsResponseObject, error) {
	k := callFrom(ctx)
	papers, next, err := s.tenant(k).Documents.Papers(ctx, k.principal.Firm, req.Params.Cursor, cmp.Or(req.Params.Limit, defaultPage))
	if err != nil {
		return nil, err
	}
	out := ListDocuments200JSONResponse{Items: make([]Document, len(papers)), Next: next}
	for i := range papers {
		out.Items[i] = s.documentBody(&papers[i])
	}
	return out, nil
}

// GetDocument reads what is said of a document.
func (s *server) GetDocument(ctx context.Context, req GetDocumentRequestObject) (GetDocumentResponseObject, error) {
	p, err := s.document(ctx, req.Document)
	if err != nil {
		return nil, err
	}
	return GetDocument200JSONResponse(s.documentBody(&p)), nil
}

// document gives a document that is the caller's business.
func (s *server) document(ctx context.Context, id string) (trace.Paper, error) {
	k := callFrom(ctx)
	p, err := s.tenant(k).Documents.Paper(ctx, k.principal.Firm, id)
	if err != nil {
		return p, err
	}
	return p, allow(ctx, access.Target{Firm: p.Firm})
}

// WithdrawDocument deletes a document of the seller's firm.
func (s *server) WithdrawDocument(ctx context.Context, req WithdrawDocumentRequestObject) (WithdrawDocumentResponseObject, error) {
	k := callFrom(ctx)
	p, err := s.tenant(k).Documents.WithdrawPaper(ctx, k.principal.Firm, req.Document)
	if err != nil {
		return nil, err
	}
	changed(ctx, documentSubject(p.ID), s.documentBody(&p), nil)
	return WithdrawDocument204Response{}, nil
}

// DecideDocument keeps what an officer found.
func (s *server) DecideDocument(ctx context.Context, req DecideDocumentRequestObject) (DecideDocumentResponseObject, error) {
	k := callFrom(ctx)
	docs := s.tenant(k).Documents
	p, err := docs.Paper(ctx, "", req.Document)
	if err != nil {
		return nil, err
	}
	goods, err := s.tenant(k).Catalogue.Product(ctx, p.GTIN)
	if err != nil {
		return nil, err
	}
	if err := allow(ctx, access.Target{Class: goods.Category}); err != nil {
		return nil, err
	}
	by, err := s.authorityName(ctx, k.principal.Authority)
	if err != nil {
		return nil, err
	}
	before, after, err := docs.DecidePaper(ctx, p.ID, trace.PaperState(req.Body.Seen), trace.Decision{
		State: trace.PaperState(req.Body.State), Reason: strings.TrimSpace(req.Body.Reason), By: k.principal.ID, Authority: k.principal.Authority, Name: by,
	})
	if err != nil {
		return nil, err
	}
	changed(ctx, documentSubject(p.ID), s.documentBody(&before), s.documentBody(&after))
	return DecideDocument200JSONResponse(s.documentBody(&after)), nil
}

// authorityName is what the public calls an authority: one that was never registered, by its ID.
func (s *server) authorityName(ctx context.Context, id string) (lang.Text, error) {
	a, err := s.deps.Services.Authorities.Get(ctx, id)
	if fault.KindOf(err) == fault.NotFound {
		return lang.ZhEn(id, ""), nil
	}
	return a.Name, err
}

// ListPublicDocuments lists the documents about goods.
func (s *server) ListPublicDocuments(ctx context.Context, req ListPublicDocumentsRequestObject) (ListPublicDocumentsResponseObject, error) {
	ref, err := linkRef(req.Gtin, req.Params.Lot, "")
	if err != nil {
		return nil, err
	}
	papers, err := s.tenant(callFrom(ctx)).Documents.PublicPapers(ctx, ref)
	if err != nil {
		return nil, err
	}
	return ListPublicDocuments200JSONResponse{Items: append([]trace.PaperView{}, papers...)}, nil
}

// documentFile hands out a document to its firm or to an officer.
func (s *server) documentFile(c *fiber.Ctx) error {
	p, err := s.document(c.UserContext(), c.Params("document"))
	if err != nil {
		return err
	}
	return s.handOut(c, &p)
}

// publicDocument hands out a document to anybody.
func (s *server) publicDocument(c *fiber.Ctx) error {
	g, err := gs1.ParseGTINLenient(c.Params("gtin"))
	if err != nil {
		return err
	}
	p, err := s.tenant(callOf(c)).Documents.PublicPaper(c.UserContext(), g, c.Params("document"))
	if err != nil {
		return err
	}
	return s.handOut(c, &p)
}

// handOut sends a file that somebody else made: to be saved, and never to be shown as a page of this site. A file that is not what its hash says
// breaks off.
func (s *server) handOut(c *fiber.Ctx, p *trace.Paper) error {
	r, err := s.tenant(callOf(c)).Documents.PaperFile(c.UserContext(), p)
	if err != nil {
		return err
	}
	kept := upload.Document{Media: p.Media}
	c.Set(fiber.HeaderContentType, p.Media)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+p.ID+kept.Ext()+`"`)
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox")
	if c.Method() == http.MethodHead {
		c.Response().Header.SetContentLength(int(p.File.Size))
		return r.Close()
	}
	c.Context().SetBodyStream(r, int(p.File.Size))
	return nil
}
