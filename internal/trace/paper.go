package trace

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/upload"
)

// Paper is a document (单证) about a product or a lot: the file, and what the firm that handed it in says of it. Who hands one in claims; an officer
// who has looked at it verifies or refuses it.
type Paper struct {
	ID     string    `json:"id"`
	Tenant string    `json:"tenant,omitempty"` // the firm whose test tenant it is in
	Firm   string    `json:"firm"`
	GTIN   gs1.GTIN  `json:"gtin"`
	Lot    string    `json:"lot,omitempty"` // "": it is about the product
	Kind   PaperKind `json:"kind"`
	Number string    `json:"number,omitempty"` // as it stands on it
	Issuer string    `json:"issuer"`           // who issued it, as it stands on it
	Issued string    `json:"issued,omitempty"` // dates as YYYY-MM-DD
	From   string    `json:"valid_from,omitempty"`
	Until  string    `json:"valid_until,omitempty"` // the last day; "": without end
	Public bool      `json:"public"`                // the firm says that anybody may have the file

	File     blob.Ref  `json:"file"`
	Media    string    `json:"media"`
	Received string    `json:"received"` // SHA-256 of the file as the firm sent it; File.Hash is that of what is kept
	Uploaded time.Time `json:"uploaded"`
	Decision *Decision `json:"decision,omitempty"` // nil: nobody has looked at it
}

// PaperKind is what a document is.
type PaperKind string

// The kinds of documents.
const (
	PaperCertificate PaperKind = "certificate"            // of conformity, origin, registration
	PaperDeclaration PaperKind = "customs_declaration"    // 报关单
	PaperInspection  PaperKind = "inspection_certificate" // 入境货物检验检疫证明
	PaperLab         PaperKind = "lab_report"             // 检验报告
)

var paperNames = map[PaperKind]lang.Text{
	PaperCertificate: lang.ZhEn("证书", "Certificate"), PaperDeclaration: lang.ZhEn("报关单", "Customs declaration"),
	PaperInspection: lang.ZhEn("检验检疫证明", "Inspection and quarantine certificate"), PaperLab: lang.ZhEn("检验报告", "Laboratory report"),
}

// Name names the kind; nil for one that there is not.
func (k PaperKind) Name() lang.Text { return paperNames[k] }

// PaperState is what counts of a document on a day.
type PaperState string

// The states of a document.
const (
	PaperUnverified PaperState = "unverified"
	PaperVerified   PaperState = "verified"
	PaperRefused    PaperState = "refused"
	PaperExpired    PaperState = "expired" // of one that was not refused
)

// Decision is what an officer found.
type Decision struct {
	State     PaperState `json:"state"`            // PaperVerified or PaperRefused
	Reason    string     `json:"reason,omitempty"` // for the firm; mandatory for a refusal
	By        string     `json:"by"`               // the officer's login; not for the public
	Authority string     `json:"authority"`        // whose officer it was
	Name      lang.Text  `json:"name"`             // of the authority
	At        time.Time  `json:"at"`
}

// State is the state at a time. A document is good to the end of its last day in Hainan.
func (p *Paper) State(now time.Time) PaperState {
	switch {
	case p.Decision != nil && p.Decision.State == PaperRefused:
		return PaperRefused
	case p.Until != "" && p.Until < now.In(hainan).Format(time.DateOnly):
		return PaperExpired
	case p.Decision != nil:
		return PaperVerified
	}
	return PaperUnverified
}

// Open says whether anybody may have the file: the firm has said so, and no officer has refused it.
func (p *Paper) Open() bool {
	return p.Public && (p.Decision == nil || p.Decision.State != PaperRefused)
}

func (p *Paper) ref() gs1.Ref { return gs1.Ref{GTIN: p.GTIN, Lot: p.Lot} }

// The bounds of documents. Both counts may be passed by as many as a firm hands in at one moment.
const (
	MaxPaper     = 10 << 20 // bytes of a file
	maxPapers    = 5000     // of a firm
	maxPapersFor = 50       // of a firm for one product or lot
	maxKept      = 64 << 20 // bytes of a picture that was made anew, which may be larger than it came
	paperPurpose = "documents"
	tokenSize    = 10 // bytes
)

// byPending is the index of those that nobody has looked at, the oldest first.
const byPending = "pending"

var paperDef = store.Def[Paper]{Name: "documents", Indexes: []store.Index[Paper]{
	{Name: byRef, Version: "1", Keys: func(_ string, p *Paper) ([]store.Key, store.Key) {
		return []store.Key{store.K(p.Tenant, p.ref().Path())}, store.K(p.Uploaded)
	}},
	{Name: byFirm, Version: "1", Keys: func(_ string, p *Paper) ([]store.Key, store.Key) {
		return []store.Key{store.K(p.Tenant, p.Firm), store.K(p.Tenant, p.Firm, p.ref().Path())}, store.K(p.Uploaded)
	}},
	{Name: byPending, Version: "1", Keys: func(_ string, p *Paper) ([]store.Key, store.Key) {
		if p.Decision != nil {
			return nil, nil
		}
		return []store.Key{store.K(p.Tenant)}, store.K(p.Uploaded)
	}},
}}

func (p *Paper) validate() error {
	var c checker
	if err := p.ref().Valid(); err != nil {
		return err
	}
	c.add(p.Kind.Name() == nil, "/kind", "not_allowed", "certificate, customs_declaration, inspection_certificate or lab_report")
	c.add(p.Issuer == "", "/issuer", "required", "who issued the document")
	for at, v := range map[string]string{"/issuer": p.Issuer, "/number": p.Number} {
		c.add(utf8.RuneCountInString(v) > 200, at, "too_long", "at most 200 characters")
		c.add(!utf8.ValidString(v) || slices.ContainsFunc([]rune(v), unicode.IsControl), at, "syntax", "UTF-8 without control characters")
	}
	for at, v := range map[string]string{"/issued": p.Issued, "/valid_from": p.From, "/valid_until": p.Until} {
		_, ok := parseDate(v)
		c.add(!ok, at, "date", "a date as YYYY-MM-DD")
	}
	c.add(p.From != "" && p.Until != "" && p.Until < p.From, "/valid_until", "date_order", "before the first day")
	slices.SortFunc(c, func(a, b fault.Field) int { return cmp.Compare(a.Pointer, b.Pointer) })
	return c.err()
}

// AddPaper takes in a document about goods that the firm has a record of. The same file about the same goods is the same document: it may be sent
// again, and is made once. Of file at most MaxPaper bytes are read. Invalid; NotFound (product_not_found, lot_not_found); TooLarge (file_too_large);
// Conflict (documents_too_many; document_exists when the same file is there with something else said of it); whatever upload.Clean refuses; Unavailable.
func (s *Service) AddPaper(ctx context.Context, f firm.Firm, p Paper, file io.Reader) (stored Paper, created bool, err error) {
	p.Tenant, p.Firm, p.Uploaded, p.Decision = s.deps.tenant, f.ID, s.now().UTC().Truncate(time.Millisecond), nil
	if err := p.validate(); err != nil {
		return p, false, err
	}
	if err := s.handles(ctx, f, p.ref()); err != nil {
		return p, false, err
	}
	if s.deps.Blobs == nil {
		return p, false, blob.Unavailable(errors.New("no files are kept here"))
	}
	spooled, err := spoolPaper(&p, file)
	if err != nil {
		return p, false, err
	}
	defer func() { _ = spooled.Close() }() // it has no name, and is gone
	p.ID = s.deps.Hasher.Hash("document", p.all())[:26]
	if stored, err = s.samePaper(ctx, &p); err == nil || !errors.Is(err, store.ErrNotFound) {
		return stored, false, err
	}
	if err := s.roomForPaper(ctx, &p); err != nil {
		return p, false, err
	}
	if err := s.keepPaper(ctx, &p, spooled); err != nil {
		return p, false, err
	}
	err = s.papers.Insert(ctx, p.ID, p)
	if errors.Is(err, store.ErrExists) { // sent twice at once; the other one's file is another
		if err := s.deps.Blobs.Delete(ctx, p.File); err != nil {
			return p, false, err
		}
		stored, err = s.samePaper(ctx, &p)
		return stored, false, err
	}
	s.chains.touch(node(p.ref()))
	return p, err == nil, err
}

// spoolPaper reads the file to its end, and hashes it as it comes. The temporary file has no name.
func spoolPaper(p *Paper, file io.Reader) (*os.File, error) {
	f, err := blob.Temp("")
	if err != nil {
		return nil, blob.Unavailable(err)
	}
	sum := sha256.New()
	in := io.TeeReader(io.LimitReader(file, MaxPaper+1), sum)
	n, err := io.Copy(f, readerOnly{in})
	switch {
	case err == nil && n > MaxPaper:
		err = fault.New(fault.TooLarge, "file_too_large", "the file is larger than %d bytes", MaxPaper)
	case err == nil:
		p.Received = hex.EncodeToString(sum.Sum(nil))
		if _, err = f.Seek(0, io.SeekStart); err == nil {
			return f, nil
		}
		err = blob.Unavailable(err)
	}
	return nil, errors.Join(err, f.Close())
}

// readerOnly keeps io.Copy from asking a reader to write itself.
type readerOnly struct{ io.Reader }

// handles says whether the firm keeps a record of the goods.
func (s *Service) handles(ctx context.Context, f firm.Firm, ref gs1.Ref) error {
	if ref.Lot == "" {
		_, err := s.products.Get(ctx, string(ref.GTIN)+"/"+f.ID)
		if errors.Is(err, store.ErrNotFound) {
			err = fault.New(fault.NotFound, "product_not_found", "the firm has no record of the product %s; write it first", ref.GTIN).Because(err)
		}
		return err
	}
	_, err := s.lots.Get(ctx, string(ref.GTIN)+"/"+ref.Lot+"/"+f.ID)
	if errors.Is(err, store.ErrNotFound) {
		err = fault.New(fault.NotFound, "lot_not_found", "the firm has no record of lot %q of product %s; write it first", ref.Lot, ref.GTIN).Because(err)
	}
	return err
}

func (s *Service) roomForPaper(ctx context.Context, p *Paper) error {
	for _, most := range []struct {
		eq store.Key
		n  int
	}{{store.K(p.Tenant, p.Firm), maxPapers}, {store.K(p.Tenant, p.Firm, p.ref().Path()), maxPapersFor}} {
		n, err := s.papers.Count(ctx, store.Query{Index: byFirm, Eq: most.eq}, most.n)
		if err != nil {
			return err
		}
		if n >= most.n {
			return fault.New(fault.Conflict, "documents_too_many", "a firm has at most %d documents, and %d of one product or lot; withdraw some first", maxPapers, maxPapersFor)
		}
	}
	return nil
}

// cleanPatience is how long a document waits for those before it to be cleaned.
const cleanPatience = 30 * time.Second

// keepPaper cleans the file and stores it. One file at a time is in memory.
func (s *Service) keepPaper(ctx context.Context, p *Paper, file io.Reader) error {
	wait, cancel := context.WithTimeout(ctx, cleanPatience)
	defer cancel()
	select {
	case s.cleaning <- struct{}{}:
		defer func() { <-s.cleaning }()
	case <-wait.Done():
		return blob.Unavailable(wait.Err())
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return blob.Unavailable(err)
	}
	doc, err := upload.Clean(b)
	if err != nil {
		return err
	}
	p.Media = doc.Media
	// A name of its own for each attempt: who withdraws one deletes no other's file.
	space := blob.Space{Purpose: paperPurpose, Record: p.ID + "-" + clock.Token(tokenSize)}
	p.File, err = s.deps.Blobs.Put(ctx, space, bytes.NewReader(doc.Bytes), maxKept)
	return err
}

// paperOf is the ID of the document that a file was put for.
func paperOf(ref blob.Ref) string {
	id, _, _ := strings.Cut(ref.Record, "-")
	return id
}

// Paper gives a document of the firm; firm "" gives anyone's, for officers. NotFound (document_not_found).
func (s *Service) Paper(ctx context.Context, firm, id string) (Paper, error) {
	d, err := s.papers.Get(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (d.V.Tenant != s.deps.tenant || firm != "" && d.V.Firm != firm) {
		return Paper{}, errNoPaper(id)
	}
	return d.V, err
}

func errNoPaper(id string) *fault.Error {
	return fault.New(fault.NotFound, "document_not_found", "there is no document %.40q here", id)
}

// Papers lists the firm's documents, the newest first; firm "" lists those of all firms that nobody has decided on, the oldest first. ErrBadCursor.
func (s *Service) Papers(ctx context.Context, firm, cursor string, limit int) (papers []Paper, next string, err error) {
	q := store.Query{Index: byFirm, Eq: store.K(s.deps.tenant, firm), Desc: true, Cursor: cursor, Limit: limit}
	if firm == "" {
		q = store.Query{Index: byPending, Eq: store.K(s.deps.tenant), Cursor: cursor, Limit: limit}
	}
	page, err := s.papers.Find(ctx, q)
	for _, d := range page.Items {
		papers = append(papers, d.V)
	}
	return papers, page.Next, err
}

// DecidePaper keeps what an officer found, and gives what was before. The same decision again changes nothing. Another takes the place of the one before it: what
// was verified may turn out to be forged. NotFound; Invalid; Conflict (document_changed) when somebody else has decided since the caller looked.
func (s *Service) DecidePaper(ctx context.Context, id string, seen PaperState, d Decision) (before, after Paper, err error) {
	var c checker
	c.add(d.State != PaperVerified && d.State != PaperRefused, "/state", "not_allowed", "verified or refused")
	c.add(d.State == PaperRefused && d.Reason == "", "/reason", "required", "the firm is told why")
	c.add(utf8.RuneCountInString(d.Reason) > 500, "/reason", "too_long", "at most 500 characters")
	if err := c.err(); err != nil {
		return before, after, err
	}
	d.At = s.now().UTC().Truncate(time.Millisecond)
	stored, err := s.papers.Update(ctx, id, func(p *Paper) error {
		if p.Tenant != s.deps.tenant {
			return errNoPaper(id)
		}
		before = *p
		if o := p.Decision; o != nil && o.State == d.State && o.Reason == d.Reason && o.By == d.By {
			after = *p
			return errSame
		}
		if p.decided() != seen {
			return fault.New(fault.Conflict, "document_changed", "another officer has decided on the document; look at it again")
		}
		decision := d
		p.Decision = &decision
		return nil
	})
	switch {
	case errors.Is(err, errSame):
		return before, after, nil
	case errors.Is(err, store.ErrNotFound):
		return before, after, errNoPaper(id).Because(err)
	case err != nil:
		return before, after, err
	}
	s.chains.touch(node(stored.V.ref()))
	return before, stored.V, nil
}

// decided is the state without the calendar.
func (p *Paper) decided() PaperState {
	if p.Decision == nil {
		return PaperUnverified
	}
	return p.Decision.State
}

// WithdrawPaper takes a document of the firm back. The file goes first, so that it may be repeated until both are gone. NotFound.
func (s *Service) WithdrawPaper(ctx context.Context, firm, id string) (Paper, error) {
	p, err := s.Paper(ctx, firm, id)
	if err != nil {
		return p, err
	}
	if err := s.deps.Blobs.Delete(ctx, p.File); err != nil {
		return p, err
	}
	if err := s.papers.Delete(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, err
	}
	s.chains.touch(node(p.ref()))
	return p, nil
}

// PaperFile gives the file of a document that the caller may have. NotFound (document_not_found) while it is being withdrawn; Unavailable.
func (s *Service) PaperFile(ctx context.Context, p *Paper) (io.ReadCloser, error) {
	r, err := s.deps.Blobs.Open(ctx, p.File)
	if errors.Is(err, blob.ErrNotFound) {
		err = errNoPaper(p.ID).Because(err)
	}
	return r, err
}
