package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/qr/label"
	"github.com/haisu-trace/haisu/internal/qr/pdf"
	"github.com/haisu-trace/haisu/internal/trace"
)

const (
	maxSheetLabels = 100_000 // positions of one PDF
	// printTime is how long the making of labels may take: 100,000 take some minutes of one core.
	printTime = time.Hour
	// printsAtOnce is how many are made at once, each for another firm; scans come first.
	printsAtOnce = 2
)

// labelKind is one form in which labels are handed out.
type labelKind struct {
	format, media, suffix string
	most                  int64
	// open begins to write, and says what cannot be done before anything is written.
	open func(s *server, c *fiber.Ctx, first string) (func(w io.Writer, b *trace.Batch, p *trace.Print) label.Writer, error)
}

var labelKinds = map[string]labelKind{
	"getLabelsPdf": {"pdf", "application/pdf", ".pdf", maxSheetLabels, openSheet},
	"getLabelsSvg": {"svg", "application/zip", "-svg.zip", label.MaxArchive, func(*server, *fiber.Ctx, string) (func(io.Writer, *trace.Batch, *trace.Print) label.Writer, error) {
		return func(w io.Writer, _ *trace.Batch, p *trace.Print) label.Writer { return label.NewSVGs(w, p.At) }, nil
	}},
	"getLabelsPng": {"png", "application/zip", "-png.zip", label.MaxArchive, openPNGs},
	"getLabelsCsv": {"csv", "text/csv; charset=utf-8", ".csv", trace.MaxBatch, func(*server, *fiber.Ctx, string) (func(io.Writer, *trace.Batch, *trace.Print) label.Writer, error) {
		return func(w io.Writer, _ *trace.Batch, _ *trace.Print) label.Writer { return label.NewList(w) }, nil
	}},
}

func openPNGs(_ *server, c *fiber.Ctx, _ string) (func(io.Writer, *trace.Batch, *trace.Print) label.Writer, error) {
	size := c.QueryInt("size", defaultSymbol)
	return func(w io.Writer, _ *trace.Batch, p *trace.Print) label.Writer { return label.NewPNGs(w, p.At, size) }, nil
}

func openSheet(s *server, c *fiber.Ctx, first string) (func(io.Writer, *trace.Batch, *trace.Print) label.Writer, error) {
	g, err := geometry(c)
	if err != nil {
		return nil, err
	}
	if err := g.Check(); err != nil {
		return nil, err
	}
	if err := g.Fits(first); err != nil {
		return nil, err
	}
	return func(w io.Writer, b *trace.Batch, p *trace.Print) label.Writer {
		title := fmt.Sprintf("%s %s %d–%d", b.GTIN, b.Lot, p.Span.First, p.Span.Last)
		return label.NewSheet(w, g, pdf.Info{Title: title, Created: p.At, ID: p.ID}, s.deps.LabelFont)
	}, nil
}

// geometry reads the grid of a sheet. The contract has checked the form of the parameters.
func geometry(c *fiber.Ctx) (label.Geometry, error) {
	g := label.DefaultGeometry()
	var columns, rows float64
	for name, to := range map[string][2]*float64{
		"page": {&g.PageWidth, &g.PageHeight}, "grid": {&columns, &rows}, "label": {&g.LabelWidth, &g.LabelHeight},
		"margin": {&g.Left, &g.Top}, "gap": {&g.GapX, &g.GapY}, "symbol": {&g.Symbol, nil},
	} {
		text := c.Query(name)
		if text == "" {
			continue
		}
		parts := strings.SplitN(text, "x", 2)
		for i, part := range parts {
			v, err := strconv.ParseFloat(part, 64)
			if err != nil || to[i] == nil {
				return g, refuse(http.StatusBadRequest, "invalid_parameter", "%s is not a size", name)
			}
			*to[i] = v
		}
	}
	if columns > 0 || rows > 0 {
		g.Columns, g.Rows = int(columns), int(rows)
	}
	g.CutMarks = c.QueryBool("cut")
	return g, nil
}

// labels hands out what labels of a part of a batch are printed from, after that is recorded.
func (s *server) labels(c *fiber.Ctx) error {
	ctx, k := c.UserContext(), callOf(c)
	kind := labelKinds[k.operation]
	f, err := s.sellerFirm(ctx)
	if err != nil {
		return err
	}
	codes := s.tenant(k).Codes
	from, count := int64(c.QueryInt("from", 1)), int64(c.QueryInt("count", 0))
	b, part, err := codes.Part(ctx, f, c.Params("batch"), from, count)
	if err == nil {
		err = b.Ready()
	}
	if err != nil {
		return err
	}
	if n := part.Last - part.First + 1; n > kind.most {
		return refuse(http.StatusBadRequest, "labels_too_many", "this form has at most %d labels at once, not %d; ask for parts by from and count", kind.most, n)
	}
	first := ""
	if err := codes.EachUnit(ctx, b, trace.Span{First: part.First, Last: part.First}, func(_ int64, u trace.Unit) error {
		first = u.Ref().Link(s.deps.PublicURL)
		return nil
	}); err != nil {
		return err
	}
	open, err := kind.open(s, c, first)
	if err != nil {
		return err
	}
	name, err := s.productName(ctx, k, b)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, kind.media)
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="labels-%s-%d-%d%s"`, b.ID, part.First, part.Last, kind.suffix))
	if c.Method() == http.MethodHead { // hands nothing out
		return nil
	}
	if !s.printing.take(f.ID) {
		return &httpError{status: http.StatusServiceUnavailable, code: "overloaded", detail: "other labels are being made; try again in a while", retry: printRetry, shed: true}
	}
	order := trace.Print{Batch: b.ID, Format: kind.format, By: actorOf(&k.principal)}
	if order.Reason, err = why(c); err == nil {
		_, order, err = codes.StartPrint(ctx, f, order, from, count)
	}
	if err != nil {
		s.printing.give(f.ID)
		return err
	}
	k.change.Why = order.Reason
	s.stream(c, k, func(ctx context.Context, w io.Writer) error {
		defer s.printing.give(f.ID)
		return s.writeLabels(ctx, codes, open(w, &b, &order), b, order.Span, name)
	})
	return nil
}

const printRetry = 30 * time.Second

// productName is what labels call the goods.
func (s *server) productName(ctx context.Context, k *call, b trace.Batch) (string, error) {
	p, err := s.tenant(k).Catalogue.Product(ctx, b.GTIN)
	if err != nil {
		return "", err
	}
	return p.Name.In(lang.ZhHans), nil
}

// writeLabels writes the labels of a part of a batch but those of void units.
func (s *server) writeLabels(ctx context.Context, codes Codes, w label.Writer, b trace.Batch, part trace.Span, name string) error {
	err := codes.EachUnit(ctx, b, part, func(position int64, u trace.Unit) error {
		if u.State == trace.UnitVoid {
			return nil
		}
		return w.Add(label.Label{
			Number: position, GTIN: b.GTIN.String(), Lot: u.Lot, Serial: u.Serial, Link: u.Ref().Link(s.deps.PublicURL), Name: name,
		})
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// places are a bounded number of places, of which nobody has two: whoever takes labels slowly must not keep all others from theirs.
type places struct {
	mu   sync.Mutex
	free int
	held map[string]bool
}

func newPlaces(n int) *places { return &places{free: n, held: map[string]bool{}} }

func (p *places) take(who string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 || p.held[who] {
		return false
	}
	p.free--
	p.held[who] = true
	return true
}

func (p *places) give(who string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	delete(p.held, who)
}

// stream answers with what write writes, as it is read. An error of write breaks the connection off, so that nobody takes a part for the whole; a client that goes
// away, or stops reading, fails write. It is called at last, when the answer is decided.
func (s *server) stream(c *fiber.Ctx, k *call, write func(ctx context.Context, w io.Writer) error) {
	lasting(c.Context().Conn(), time.Now().Add(printTime))
	r, w := io.Pipe()
	c.Context().SetBodyStream(r, -1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), callKey{}, k), printTime)
		defer cancel()
		buffer := bufio.NewWriterSize(w, 64<<10)
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			if err := write(ctx, buffer); err != nil {
				return err
			}
			return buffer.Flush()
		}()
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.deps.Log.ErrorContext(ctx, "an answer was broken off", "request_id", k.id, "operation", k.operation, "error", err)
		}
		w.CloseWithError(err)
	}()
}
