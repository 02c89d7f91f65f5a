package trace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/disk"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/linkset"
)

// papering is a bundle with files, of product A and its lot L1 of the maker's, and a seller who has records of both.
type papering struct {
	*bundle
	seller firm.Firm
	tester *Service // the maker's test tenant
	all    *Sandboxes
}

func setupPapers(t *testing.T) *papering {
	t.Helper()
	b := &papering{bundle: setup(t)}
	blobs, err := disk.Open(t.Context(), filepath.Join(t.TempDir(), "blobs"), b.clock.Now)
	must(t, err)
	b.deps.Blobs = blobs
	b.goods()
	b.seller = b.firm(firm.Firm{ID: "seller", Name: lang.ZhEn("免税店", "Duty Free"), Kind: firm.DutyFree})
	b.records(b.Service, b.seller)
	b.all, err = OpenSandboxes(t.Context(), b.deps)
	must(t, err)
	b.tester, err = b.all.Of(t.Context(), b.maker.ID)
	must(t, err)
	b.records(b.tester, b.maker)
	return b
}

func (b *papering) records(s *Service, f firm.Firm) {
	b.t.Helper()
	_, _, err := s.PutProduct(b.t.Context(), f, Product{GTIN: gtinA, Name: lang.ZhEn("白兰地", "Brandy"), Category: "spirits"})
	must(b.t, err)
	_, _, err = s.PutLot(b.t.Context(), f, Lot{GTIN: gtinA, Lot: "L1"})
	must(b.t, err)
}

func pdf(text string) string { return "%PDF-1.7\n1 0 obj (" + text + ") endobj\n%%EOF" }

var aReport = Paper{GTIN: gtinA, Lot: "L1", Kind: PaperLab, Number: "R-1", Issuer: "SGS", Issued: "2026-01-02", Until: "2026-12-31", Public: true}

func (b *papering) add(f firm.Firm, p Paper, text string) Paper {
	b.t.Helper()
	b.clock.Advance(time.Second) // so that the order is known
	p, created, err := b.AddPaper(b.t.Context(), f, p, strings.NewReader(pdf(text)))
	if err != nil || !created {
		b.t.Fatal(created, err)
	}
	return p
}

func (b *papering) decide(id string, seen, state PaperState, reason string) Paper {
	b.t.Helper()
	_, p, err := b.DecidePaper(b.t.Context(), id, seen, Decision{State: state, Reason: reason, By: "chen.yu", Authority: "hn-amr", Name: lang.ZhEn("海南省市场监管局", "Hainan AMR")})
	must(b.t, err)
	return p
}

// shown is what a scan of the lot shows, as ID and state.
func (b *papering) shown() string {
	b.t.Helper()
	a := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1"}, "v", "")
	var out []string
	for _, p := range a.Lot.Documents {
		out = append(out, p.Number+" "+string(p.State)+" "+p.Fact.Status)
	}
	return strings.Join(out, "; ")
}

func wantFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if fault.KindOf(err) != kind || fault.CodeOf(err) != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func (b *papering) files() int {
	b.t.Helper()
	all, err := b.deps.Blobs.List(b.t.Context(), paperPurpose, "", blob.MaxList)
	must(b.t, err)
	return len(all)
}

// A document is claimed until an officer has decided, and what was decided shows at once.
func TestTheLifeOfADocument(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	ctx := t.Context()
	if got := b.shown(); got != "" {
		t.Fatal(got)
	}
	p := b.add(b.maker, aReport, "one")
	sum := sha256.Sum256([]byte(pdf("one")))
	if p.Received != hex.EncodeToString(sum[:]) || p.File.Hash != p.Received || p.State(b.clock.Now()) != PaperUnverified {
		t.Errorf("got %+v", p)
	}
	if got := b.shown(); got != "R-1 unverified claimed" {
		t.Error(got)
	}
	b.decide(p.ID, PaperUnverified, PaperVerified, "")
	if got := b.shown(); got != "R-1 verified verified" {
		t.Error(got)
	}
	v := b.scan(gs1.Ref{GTIN: gtinA, Lot: "L1"}, "v", "").Lot.Documents[0]
	if v.Fact.By != "hn-amr" || v.Fact.Document != "R-1" || v.Fact.Date != "2026-11-24" || v.File != "/v1/products/"+string(gtinA)+"/documents/"+p.ID {
		t.Errorf("got %+v", v)
	}
	r, err := b.PaperFile(ctx, &p)
	must(t, err)
	text, err := io.ReadAll(r)
	must(t, errors.Join(err, r.Close()))
	if string(text) != pdf("one") {
		t.Errorf("the file is %q", text)
	}

	// It turns out to be forged.
	_, _, err = b.DecidePaper(ctx, p.ID, PaperUnverified, Decision{State: PaperRefused, Reason: "forged"})
	wantFault(t, err, fault.Conflict, "document_changed")
	_, _, err = b.DecidePaper(ctx, p.ID, PaperVerified, Decision{State: PaperRefused})
	wantFault(t, err, fault.Invalid, "invalid")
	b.decide(p.ID, PaperVerified, PaperRefused, "forged")
	b.decide(p.ID, PaperVerified, PaperRefused, "forged") // the same again
	if got := b.shown(); got != "" {
		t.Errorf("what was refused is shown: %s", got)
	}
	_, err = b.PublicPaper(ctx, gtinA, p.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, _, err = b.DecidePaper(ctx, "nosuch", PaperUnverified, Decision{State: PaperVerified})
	wantFault(t, err, fault.NotFound, "document_not_found")

	// The firm takes it back, file and all.
	_, err = b.WithdrawPaper(ctx, b.seller.ID, p.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, err = b.WithdrawPaper(ctx, b.maker.ID, p.ID)
	must(t, err)
	_, err = b.Paper(ctx, b.maker.ID, p.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, err = b.PaperFile(ctx, &p)
	wantFault(t, err, fault.NotFound, "document_not_found")
	if n := b.files(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// The numbers of a lot are verified by the documents that they stand on, of their kind, while these are good.
func TestDocumentsVerifyTheNumbersOfALot(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	_, _, err := b.PutLot(t.Context(), b.maker, Lot{GTIN: gtinA, Lot: "L1", Inspection: "R-1", Declaration: "R-1"})
	must(t, err)
	facts := func() string {
		v, err := b.Lot(t.Context(), gtinA, "L1")
		must(t, err)
		return v.Facts.Inspection.Status + " " + v.Facts.Declaration.Status
	}
	lab := b.add(b.maker, aReport, "lab")
	inspection := aReport
	inspection.Kind = PaperInspection
	seen := b.add(b.maker, inspection, "inspection")
	b.decide(lab.ID, PaperUnverified, PaperVerified, "")
	if got := facts(); got != "claimed claimed" {
		t.Error(got)
	}
	b.decide(seen.ID, PaperUnverified, PaperVerified, "")
	if got := facts(); got != "verified claimed" {
		t.Error(got)
	}
	v, err := b.Lot(t.Context(), gtinA, "L1")
	must(t, err)
	if f := v.Facts.Inspection; f.By != "hn-amr" || f.Document != "R-1" {
		t.Errorf("got %+v", f)
	}
	b.clock.Advance(60 * 24 * time.Hour) // beyond its last day
	if got := facts(); got != "claimed claimed" {
		t.Error(got)
	}
}

// What counts most comes first, what has expired last; a day is over at midnight in Hainan.
func TestTheOrderOfDocuments(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	old := aReport
	old.Number, old.Until = "old", "2026-11-24"
	b.add(b.maker, old, "old")
	claimed := aReport
	claimed.Number = "seller's"
	b.add(b.seller, claimed, "seller's")
	b.add(b.maker, aReport, "maker's")
	verified := claimed
	verified.Number = "seen"
	b.decide(b.add(b.seller, verified, "seen").ID, PaperUnverified, PaperVerified, "")
	if got := b.shown(); got != "seen verified verified; R-1 unverified claimed; old unverified claimed; seller's unverified claimed" {
		t.Error(got)
	}
	b.clock.Advance(12 * time.Hour) // 24 November, 16:00 UTC
	b.chains.chains.InvalidateAll()
	if got := b.shown(); got != "seen verified verified; R-1 unverified claimed; seller's unverified claimed; old expired claimed" {
		t.Error(got)
	}
	for i := range MaxPublicPapers - 3 {
		p := aReport
		p.Number = fmt.Sprint(i)
		b.add(b.maker, p, p.Number)
	}
	_, _, err := b.AddPaper(t.Context(), b.maker, aReport, strings.NewReader(pdf("one more")))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = b.AddPaper(t.Context(), b.maker, aReport, strings.NewReader(pdf("too many")))
	wantFault(t, err, fault.Conflict, "documents_too_many")
	all, err := b.PublicPapers(t.Context(), gs1.Ref{GTIN: gtinA, Lot: "L1"})
	must(t, err)
	if len(all) != MaxPublicPapers || strings.Count(b.shown(), ";") != maxShownPapers-1 {
		t.Errorf("%d are listed", len(all))
	}
}

// Links lead to what an authority has verified, or whoever may speak for the product says, of the lot before the product.
func TestDocumentsAreLinked(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	links := func(ref gs1.Ref) (out []string) {
		t.Helper()
		found, err := b.PaperLinks(t.Context(), ref)
		must(t, err)
		for _, l := range found {
			if l.Type != linkset.Certification || l.Media != "application/pdf" {
				t.Errorf("got %+v", l)
			}
			out = append(out, l.Href[strings.LastIndex(l.Href, "/")+1:])
		}
		return out
	}
	lot := gs1.Ref{GTIN: gtinA, Lot: "L1"}
	ofProduct := aReport
	ofProduct.Lot = ""
	top := b.add(b.maker, ofProduct, "product")
	hidden := aReport
	hidden.Public = false
	hidden = b.add(b.maker, hidden, "hidden")
	stranger := b.add(b.seller, aReport, "stranger")
	if got := links(lot); fmt.Sprint(got) != fmt.Sprint([]string{top.ID}) {
		t.Errorf("got %v", got)
	}
	b.decide(stranger.ID, PaperUnverified, PaperVerified, "")
	if got := links(lot); fmt.Sprint(got) != fmt.Sprint([]string{stranger.ID}) {
		t.Errorf("got %v", got)
	}
	if got := links(gs1.Ref{GTIN: gtinA}); fmt.Sprint(got) != fmt.Sprint([]string{top.ID}) {
		t.Errorf("got %v", got)
	}
	_, err := b.PublicPaper(t.Context(), gtinA, hidden.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
}

// What an officer has read is what the officer decides on: a document that was withdrawn and handed in anew, with another number said of the same file, is
// another one.
func TestADecisionIsForWhatWasRead(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	_, _, err := b.PutLot(t.Context(), b.maker, Lot{GTIN: gtinA, Lot: "L1", Inspection: "forged"})
	must(t, err)
	honest := aReport
	honest.Kind = PaperInspection
	read := b.add(b.maker, honest, "one")
	_, err = b.WithdrawPaper(t.Context(), b.maker.ID, read.ID)
	must(t, err)
	swapped := honest
	swapped.Number = "forged"
	b.add(b.maker, swapped, "one")
	_, _, err = b.DecidePaper(t.Context(), read.ID, PaperUnverified, Decision{State: PaperVerified, By: "chen.yu", Authority: "hn-amr"})
	wantFault(t, err, fault.NotFound, "document_not_found")
	if got := b.shown(); got != "forged unverified claimed" {
		t.Error(got)
	}
	v, err := b.Lot(t.Context(), gtinA, "L1")
	must(t, err)
	if got := v.Facts.Inspection.Status; got != ProvClaimed {
		t.Errorf("the number is %s", got)
	}
}

// Sent again, a file is the same document; with something else said of it, or about other goods, it is not.
func TestTheSameFileIsTheSameDocument(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	p := b.add(b.maker, aReport, "one")
	again, created, err := b.AddPaper(t.Context(), b.maker, aReport, iotest.OneByteReader(strings.NewReader(pdf("one"))))
	if err != nil || created || again.File != p.File || b.files() != 1 {
		t.Errorf("got %+v, %v, %v", again, created, err)
	}
	other := aReport
	other.Number = "R-2"
	_, _, err = b.AddPaper(t.Context(), b.maker, other, strings.NewReader(pdf("one")))
	wantFault(t, err, fault.Conflict, "document_exists")
	b.add(b.seller, other, "one")
	other.Lot = ""
	b.add(b.maker, other, "one")

	// Two at once are one document with one file.
	done := make(chan string, 8)
	for range 8 {
		go func() {
			p, _, err := b.AddPaper(t.Context(), b.maker, aReport, strings.NewReader(pdf("race")))
			if err != nil {
				t.Error(err)
			}
			done <- p.File.Record
		}()
	}
	first := <-done
	for range 7 {
		if r := <-done; r != first {
			t.Errorf("files %s and %s", first, r)
		}
	}
	if n := b.files(); n != 4 {
		t.Errorf("%d files", n)
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	stranger := b.firm(firm.Firm{ID: "stranger", Name: lang.ZhEn("某公司", "Some firm"), Kind: firm.Importer})
	broken := errors.New("the line broke")
	for name, c := range map[string]struct {
		f      firm.Firm
		change func(*Paper)
		file   io.Reader
		kind   fault.Kind
		code   string
	}{
		"no kind":     {b.maker, func(p *Paper) { p.Kind = "letter" }, nil, fault.Invalid, "invalid"},
		"no issuer":   {b.maker, func(p *Paper) { p.Issuer = "" }, nil, fault.Invalid, "invalid"},
		"no date":     {b.maker, func(p *Paper) { p.Issued = "2026-02-30" }, nil, fault.Invalid, "invalid"},
		"dates":       {b.maker, func(p *Paper) { p.From = "2027-01-01" }, nil, fault.Invalid, "invalid"},
		"controls":    {b.maker, func(p *Paper) { p.Number = "R\n1" }, nil, fault.Invalid, "invalid"},
		"long":        {b.maker, func(p *Paper) { p.Number = strings.Repeat("号", 201) }, nil, fault.Invalid, "invalid"},
		"lot unknown": {b.maker, func(p *Paper) { p.Lot = "L9" }, nil, fault.NotFound, "lot_not_found"},
		"not its own": {stranger, func(p *Paper) { p.Lot = "" }, nil, fault.NotFound, "product_not_found"},
		"a page":      {b.maker, nil, strings.NewReader("<html>"), fault.Unsupported, "file_type"},
		"too large":   {b.maker, nil, io.MultiReader(strings.NewReader("%PDF-"), bytes.NewReader(make([]byte, MaxPaper-4))), fault.TooLarge, "file_too_large"},
		"cut off":     {b.maker, nil, io.MultiReader(strings.NewReader("%PDF-"), iotest.ErrReader(broken)), fault.Internal, "internal"},
	} {
		p := aReport
		if c.change != nil {
			c.change(&p)
		}
		if c.file == nil {
			c.file = iotest.ErrReader(errors.New("the file is read before the fields are looked at"))
		}
		_, _, err := b.AddPaper(t.Context(), c.f, p, c.file)
		if fault.KindOf(err) != c.kind || fault.CodeOf(err) != c.code || c.kind == fault.Internal && !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := b.files(); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// Firms, and their test tenants, see their own; officers see what waits of production.
func TestDocumentsOfOthers(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	ctx := t.Context()
	one, two := b.add(b.maker, aReport, "one"), b.add(b.seller, aReport, "two")
	mine, created, err := b.tester.AddPaper(ctx, b.maker, aReport, strings.NewReader(pdf("one")))
	if err != nil || !created || mine.ID == one.ID {
		t.Fatal(mine, created, err)
	}
	_, err = b.Paper(ctx, b.seller.ID, one.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, err = b.Paper(ctx, "", mine.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, err = b.tester.Paper(ctx, b.maker.ID, one.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, err = b.tester.PublicPaper(ctx, gtinA, one.ID)
	wantFault(t, err, fault.NotFound, "document_not_found")
	_, _, err = b.DecidePaper(ctx, mine.ID, PaperUnverified, Decision{State: PaperVerified})
	wantFault(t, err, fault.NotFound, "document_not_found")
	list := func(s *Service, firm string, want ...Paper) {
		t.Helper()
		var got, ids []string
		for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
			page, next, err := s.Papers(ctx, firm, cursor, 1)
			must(t, err)
			for _, p := range page {
				got = append(got, p.ID)
			}
			cursor = next
		}
		for _, p := range want {
			ids = append(ids, p.ID)
		}
		if fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: got %v, want %v", firm, got, ids)
		}
	}
	list(b.Service, b.maker.ID, one)
	list(b.Service, b.seller.ID, two)
	list(b.tester, b.maker.ID, mine)
	b.decide(one.ID, PaperUnverified, PaperVerified, "")
	list(b.Service, "", two)
	list(b.Service, b.maker.ID, one)
}

// Files that no document has go after a day, and no others: of production or of a tenant.
func TestFilesOfNoDocumentAreSwept(t *testing.T) {
	t.Parallel()
	b := setupPapers(t)
	ctx := t.Context()
	// The clock of the files is the machine's.
	sweep := func(after time.Duration) int {
		t.Helper()
		d := NewPaperSweep(b.Service, b.all)
		at := time.Now().Add(after)
		d.Now = func() time.Time { return at }
		n, err := d.Sweep(ctx, 1)
		must(t, err)
		return n
	}
	one := b.add(b.maker, aReport, "one")
	_, _, err := b.tester.AddPaper(ctx, b.maker, aReport, strings.NewReader(pdf("two")))
	must(t, err)
	// A process died behind the file, of a document that was handed in again, and of one that was not.
	for _, record := range []string{one.ID + "-0123456789abcdef", strings.Repeat("0", 26) + "-0123456789abcdef"} {
		_, err := b.deps.Blobs.Put(ctx, blob.Space{Purpose: paperPurpose, Record: record}, strings.NewReader(pdf("left")), MaxPaper)
		must(t, err)
	}
	if n := sweep(23 * time.Hour); n != 0 || b.files() != 4 {
		t.Errorf("%d files are gone before their time", n)
	}
	if n := sweep(25 * time.Hour); n != 2 || b.files() != 2 {
		t.Errorf("%d files are gone, %d are left", n, b.files())
	}
	_, err = b.PaperFile(ctx, &one)
	must(t, err)
}
