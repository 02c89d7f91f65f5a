package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"mime"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/access"
	"github.com/haisu-trace/haisu/internal/bulk"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/upload"
)

const (
	typeCSV  = "text/csv"
	typeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	typeForm = "multipart/form-data"
)

// importTemplate gives an empty table of a kind.
func (s *server) importTemplate(c *fiber.Ctx) error {
	name, format, _ := strings.Cut(c.Params("template"), ".") // as the contract's pattern has it
	kind, tag := bulk.Kind(name), lang.Choose(c.Query("lang"), c.Get(fiber.HeaderAcceptLanguage))
	write, media := bulk.WriteTemplateCSV, typeCSV
	if format == "xlsx" {
		write, media = bulk.WriteTemplateXLSX, typeXLSX
	}
	var b bytes.Buffer
	if err := write(&b, kind, tag); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, media)
	c.Set(fiber.HeaderContentLanguage, tag)
	attach(c, kind.Name().In(tag), name+"."+format)
	return c.Send(b.Bytes())
}

// attach has the client save the answer under a name: the plain one for programs that do not know RFC 8187.
func attach(c *fiber.Ctx, name, plain string) {
	_, ext, _ := strings.Cut(plain, ".")
	c.Set(fiber.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name + "." + ext}))
}

// importActions are what a key must be for, by kind.
var importActions = map[bulk.Kind]access.Action{
	bulk.Products: access.CatalogueWrite, bulk.Lots: access.CatalogueWrite, bulk.Codes: access.CatalogueWrite, bulk.Events: access.EventsCapture,
}

// createImport takes a file in as it arrives: as the body, or as the last part of a form whose fields may say what the query can.
func (s *server) createImport(c *fiber.Ctx) error {
	k := callOf(c)
	if k.body == nil { // Content-Length: 0
		return refuse(http.StatusBadRequest, "body_missing", "this operation needs a body: the file, or a form with it")
	}
	kind, dry := c.Query("kind"), c.Query("dry_run")
	file := k.body
	if media, _, _ := mime.ParseMediaType(c.Get(fiber.HeaderContentType)); media == typeForm { // admitBody has read it
		form, err := upload.Open(k.body, c.Get(fiber.HeaderContentType))
		if err != nil {
			return err
		}
		for name := range form.Fields {
			if name != "kind" && name != "dry_run" {
				return refuse(http.StatusUnprocessableEntity, "invalid", "the form has fields kind and dry_run, and then the file")
			}
		}
		kind, dry, file = cmp.Or(form.Fields["kind"], kind), cmp.Or(form.Fields["dry_run"], dry), form
	}
	if dry != "" && dry != "true" && dry != "false" {
		return fault.InvalidFields(fault.Field{Pointer: "/dry_run", Code: "not_allowed", Detail: "true or false"})
	}
	action, ok := importActions[bulk.Kind(kind)]
	if !ok {
		return fault.InvalidFields(fault.Field{Pointer: "/kind", Code: "not_allowed", Detail: "products, lots, codes or events"})
	}
	if err := access.Allow(&k.principal, action, access.Target{Firm: k.principal.Firm}); err != nil {
		return err
	}
	i, err := s.deps.Services.Imports.Begin(c.UserContext(), bulk.Order{
		Firm: k.principal.Firm, Tenant: owner(k).Tenant, Kind: bulk.Kind(kind), DryRun: dry == "true", IdempotencyKey: c.Get("Idempotency-Key"),
	}, file)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderLocation, "/v1/imports/"+i.Job.ID)
	return c.Status(http.StatusAccepted).JSON(importBody(&i, nil, ""))
}

// firstErrors is how many errors an import shows by itself.
const firstErrors = 20

// GetImport says where an import of the seller's firm stands.
func (s *server) GetImport(ctx context.Context, req GetImportRequestObject) (GetImportResponseObject, error) {
	i, page, _, err := s.deps.Services.Imports.Problems(ctx, owner(callFrom(ctx)), req.Import, "", firstErrors)
	if err != nil {
		return nil, err
	}
	return GetImport200JSONResponse(importBody(&i, page, lang.Choose(req.Params.Lang, req.Params.AcceptLanguage))), nil
}

// ListImportErrors lists what was wrong with the rows of an import.
func (s *server) ListImportErrors(ctx context.Context, req ListImportErrorsRequestObject) (ListImportErrorsResponseObject, error) {
	i, page, next, err := s.deps.Services.Imports.Problems(ctx, owner(callFrom(ctx)), req.Import, req.Params.Cursor, cmp.Or(req.Params.Limit, 20))
	if err != nil {
		return nil, err
	}
	tag := lang.Choose(req.Params.Lang, req.Params.AcceptLanguage)
	return ListImportErrors200JSONResponse{Items: importErrors(i.Kind, page, tag), Next: next}, nil
}

// importReport gives all errors that are kept as CSV.
func (s *server) importReport(c *fiber.Ctx) error {
	tag := lang.Choose(c.Query("lang"), c.Get(fiber.HeaderAcceptLanguage))
	var b bytes.Buffer
	var report *bulk.Report
	for from, begun := "", false; !begun || from != ""; begun = true {
		i, page, next, err := s.deps.Services.Imports.Problems(c.UserContext(), owner(callOf(c)), c.Params("import"), from, 1000)
		if err != nil {
			return err
		}
		if report == nil {
			if report, err = bulk.NewReport(&b, i.Kind, tag); err != nil {
				return err
			}
		}
		if err := report.Add(page); err != nil {
			return err
		}
		from = next
	}
	c.Set(fiber.HeaderContentType, typeCSV)
	c.Set(fiber.HeaderContentLanguage, tag)
	attach(c, "errors", "errors.csv")
	return c.Send(b.Bytes())
}

func importErrors(k bulk.Kind, problems []bulk.Problem, tag string) []ImportError {
	out := make([]ImportError, len(problems))
	for i := range problems {
		p := &problems[i]
		out[i] = ImportError{Row: p.Row, Cell: p.Cell, Column: p.Column, Heading: p.Title(k, tag), Value: p.Value, Code: p.Code, Text: p.Text(k, tag)}
	}
	return out
}

func importBody(i *bulk.Import, problems []bulk.Problem, tag string) Import {
	return Import{
		Id: i.Job.ID, Kind: ImportKind(i.Kind), DryRun: i.DryRun, Job: jobBody(&i.Job), Complete: i.Complete,
		Rows: i.Rows, New: i.New, Changed: i.Changed, Unchanged: i.Unchanged, Refused: i.Refused, Repaired: i.Repaired,
		ErrorsFound: i.Tally.Problems, ErrorsKept: int64(i.Kept), Errors: importErrors(i.Kind, problems, tag),
	}
}
