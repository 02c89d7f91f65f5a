package notice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/store"
)

// Bounds of an import.
const (
	maxImport   = 64 << 20  // bytes of a file
	maxRow      = 256 << 10 // bytes of one row
	maxRejected = 1000      // rejected rows that are listed; all are counted
	batchSize   = 200       // rows written together
)

// Rejected is a row that was left out.
type Rejected struct {
	Row    int    `json:"row"` // from 1
	Reason string `json:"reason"`
}

// ImportReport says what an import did, or would do.
type ImportReport struct {
	Read        int        `json:"read"` // rows
	New         int        `json:"new"`
	Changed     int        `json:"changed"`
	Unchanged   int        `json:"unchanged"`
	GTINs       int        `json:"gtins"`        // barcodes read as GTINs, over all accepted rows
	BadBarcodes int        `json:"bad_barcodes"` // texts among the barcodes that are none
	RejectedAll int        `json:"rejected_count"`
	Rejected    []Rejected `json:"rejected,omitempty"` // the first 1,000
	DryRun      bool       `json:"dry_run,omitempty"`
}

// Add adds the counts of another import.
func (r *ImportReport) Add(o ImportReport) {
	r.Read, r.New, r.Changed, r.Unchanged = r.Read+o.Read, r.New+o.New, r.Changed+o.Changed, r.Unchanged+o.Unchanged
	r.GTINs, r.BadBarcodes, r.RejectedAll = r.GTINs+o.GTINs, r.BadBarcodes+o.BadBarcodes, r.RejectedAll+o.RejectedAll
	r.Rejected = append(r.Rejected, o.Rejected...)
}

// ImportSafetyGate reads an export of the EU's Safety Gate: a JSON array of alerts. Importing the same file again changes nothing.
// A broken row is rejected with its reason and the others are imported; a file that is no JSON array is Malformed
// (import_syntax), after what stood before the break was imported. report, if not nil, is called now and then; total is 0
// until it is known.
func (s *Service) ImportSafetyGate(ctx context.Context, r io.Reader, report func(done, total int)) (ImportReport, error) {
	return s.importSafetyGate(ctx, r, report, false)
}

// CheckSafetyGate says what ImportSafetyGate would do, and writes nothing.
func (s *Service) CheckSafetyGate(ctx context.Context, r io.Reader, report func(done, total int)) (ImportReport, error) {
	return s.importSafetyGate(ctx, r, report, true)
}

// importer is one import under way.
type importer struct {
	s       *Service
	report  ImportReport
	tell    func(done, total int)
	pending map[string]Notice // of one batch, by ID
	order   []string
	seen    map[string]json.RawMessage // in a dry run: what earlier batches would have stored
}

func (s *Service) importSafetyGate(ctx context.Context, r io.Reader, tell func(done, total int), dry bool) (ImportReport, error) {
	if tell == nil {
		tell = func(int, int) {}
	}
	im := &importer{s: s, tell: tell, pending: map[string]Notice{}, report: ImportReport{DryRun: dry}}
	if dry {
		im.seen = map[string]json.RawMessage{}
	}
	limited := &io.LimitedReader{R: r, N: maxImport}
	readErr := im.read(ctx, json.NewDecoder(limited))
	if limited.N <= 0 {
		readErr = fault.New(fault.TooLarge, "import_too_large", "the file is larger than %d MiB", maxImport>>20)
	}
	err := im.flush(ctx)
	if readErr != nil {
		err = errors.Join(readErr, err)
	}
	if err == nil {
		tell(im.report.Read, im.report.Read)
	}
	return im.report, err
}

func (im *importer) read(ctx context.Context, dec *json.Decoder) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errSyntax(dec, err)
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return errSyntax(dec, err)
		}
		im.report.Read++
		n, err := parseSafetyGate(raw)
		if err != nil {
			im.reject(err)
			continue
		}
		if _, twice := im.pending[n.ID]; twice || len(im.order) == batchSize {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
		im.pending[n.ID], im.order = n, append(im.order, n.ID)
		im.report.GTINs += len(n.GTINs)
		im.report.BadBarcodes += len(n.BadBarcodes)
	}
	if _, err := dec.Token(); err != nil {
		return errSyntax(dec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Malformed, "import_syntax", "something follows the end of the list, at byte %d", dec.InputOffset())
	}
	return nil
}

func errSyntax(dec *json.Decoder, err error) error {
	return fault.New(fault.Malformed, "import_syntax", "this is not a JSON list of alerts; it breaks at byte %d", dec.InputOffset()).Because(err)
}

func (im *importer) reject(err error) {
	im.report.RejectedAll++
	if len(im.report.Rejected) < maxRejected {
		im.report.Rejected = append(im.report.Rejected, Rejected{im.report.Read, err.Error()})
	}
}

// safetyGateRow has the cells that are understood; Original keeps the others.
type safetyGateRow struct {
	Number   string `json:"alert_number"`
	Country  string `json:"country_of_origin"`
	Risk     string `json:"risk_type"`
	Title    string `json:"product_name"`
	Product  string `json:"product_description"`
	Brand    string `json:"brand"`
	Category string `json:"product_category"`
	Barcode  string `json:"barcode"`
	Batch    string `json:"batch_number"`
}

func parseSafetyGate(raw json.RawMessage) (Notice, error) {
	if len(raw) > maxRow {
		return Notice{}, fmt.Errorf("the row has %d bytes; at most %d", len(raw), maxRow)
	}
	if !utf8.Valid(raw) {
		return Notice{}, errors.New("the row is not valid UTF-8")
	}
	var row safetyGateRow
	if err := json.Unmarshal(raw, &row); err != nil {
		return Notice{}, fmt.Errorf("the row is not an alert: %w", err)
	}
	number := strings.TrimSpace(row.Number)
	switch {
	case number == "":
		return Notice{}, errors.New("the row has no alert_number")
	case len(number) > 100 || strings.ContainsFunc(number, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return Notice{}, fmt.Errorf("%q is no alert number", number)
	case strings.TrimSpace(row.Title) == "":
		return Notice{}, errors.New("the row has no product_name")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return Notice{}, fmt.Errorf("the row is not JSON: %w", err)
	}
	n := Notice{
		ID: SafetyGate + "/" + number, Source: SafetyGate, Number: number,
		Title: strings.TrimSpace(row.Title), Product: strings.TrimSpace(row.Product), Brand: strings.TrimSpace(row.Brand),
		Category: strings.TrimSpace(row.Category), Risk: strings.TrimSpace(row.Risk), Country: strings.TrimSpace(row.Country),
		Batches: splitBatches(row.Batch), Original: compact.Bytes(),
	}
	n.GTINs, n.BadBarcodes = splitBarcodes(row.Barcode)
	return n, nil
}

// flush writes the pending rows: new ones are inserted, changed ones replaced, others left alone.
func (im *importer) flush(ctx context.Context) error {
	if len(im.order) == 0 {
		return nil
	}
	stored, err := im.s.notices.GetMany(ctx, im.order)
	if err != nil {
		return fmt.Errorf("read notices: %w", err)
	}
	now := im.s.now().UTC().Truncate(time.Millisecond)
	var fresh []store.Item[Notice]
	for _, id := range im.order {
		n := im.pending[id]
		n.Imported = now
		old, known := stored[id]
		if would, earlier := im.seen[id]; earlier {
			known, old.V.Original = true, would
			old.V.GTINs, old.V.BadBarcodes, old.V.Batches = n.GTINs, n.BadBarcodes, n.Batches
		}
		switch {
		case !known:
			im.report.New++
			fresh = append(fresh, store.Item[Notice]{ID: id, V: n})
		case same(&old.V, &n):
			im.report.Unchanged++
		default:
			im.report.Changed++
			if err := im.replace(ctx, n); err != nil {
				return err
			}
		}
		if im.seen != nil {
			im.seen[id] = n.Original
		}
	}
	if err := im.insert(ctx, fresh); err != nil {
		return err
	}
	clear(im.pending)
	im.order = im.order[:0]
	im.tell(im.report.Read, 0)
	return ctx.Err()
}

// same compares what was imported and what would be: the original and what this version of the program reads out of it.
func same(a, b *Notice) bool {
	return canonical(a.Original) == canonical(b.Original) && slices.Equal(a.GTINs, b.GTINs) &&
		slices.Equal(a.BadBarcodes, b.BadBarcodes) && slices.Equal(a.Batches, b.Batches)
}

// canonical is a JSON text that equals that of every other spelling of the same value: the store may have escaped what the
// file had not.
func canonical(raw json.RawMessage) string {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return string(raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(out)
}

func (im *importer) insert(ctx context.Context, items []store.Item[Notice]) error {
	if im.report.DryRun || len(items) == 0 {
		return nil
	}
	errs, err := im.s.notices.InsertMany(ctx, items)
	if err != nil {
		return fmt.Errorf("insert notices: %w", err)
	}
	for i, e := range errs {
		if errors.Is(e, store.ErrExists) { // another import came first, perhaps with an older file
			e = im.replace(ctx, items[i].V)
		}
		if e != nil {
			return fmt.Errorf("insert notice %s: %w", items[i].ID, e)
		}
	}
	return nil
}

var errSame = errors.New("notice: unchanged")

func (im *importer) replace(ctx context.Context, n Notice) error {
	if im.report.DryRun {
		return nil
	}
	_, err := im.s.notices.Update(ctx, n.ID, func(v *Notice) error {
		if same(v, &n) {
			return errSame
		}
		by := v.SupersededBy
		*v = n
		v.SupersededBy = by // once off the lists, off the lists
		return nil
	})
	if err != nil && !errors.Is(err, errSame) {
		return fmt.Errorf("replace notice %s: %w", n.ID, err)
	}
	return nil
}
