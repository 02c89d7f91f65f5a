package trace

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/warning"
)

// ScanRequest is one scan.
type ScanRequest struct {
	Ref     gs1.Ref
	Lang    string // lang.ZhHans or lang.En
	Device  string // ID of the app's device, if it told its token
	Visitor string // a random first-party cookie, if there is one
	Place   string // shop code or city, if told
	// Preview is set for requests that no person made (HEAD, prefetch, link previews): they are answered, and neither recorded
	// nor counted.
	Preview bool
	// Patience is how long the answer waits for the scan to be durable; 0 is recordTimeout.
	Patience time.Duration
}

// recordTimeout is how long an answer waits for its scan to be durable.
const recordTimeout = 500 * time.Millisecond

// Scan answers a scan and records it durably before it returns. A store that cannot record in time does not silence the answer:
// it says recorded: false and makes no first-scan claim.
func (s *Service) Scan(ctx context.Context, req ScanRequest) (*Answer, error) {
	return s.answer(ctx, req, Asked{GTIN: string(req.Ref.GTIN), Lot: req.Ref.Lot, Serial: req.Ref.Serial})
}

// Resolve answers any code like a scan: a Digital Link, an EAN, a GS1 element string, or a code of another scheme. A code that
// nobody has registered is answered as unknown. Malformed when it is empty or too long.
func (s *Service) Resolve(ctx context.Context, code string, req ScanRequest) (*Answer, error) {
	code = strings.TrimSpace(code)
	if code == "" || len(code) > 2048 {
		return nil, fault.New(fault.Malformed, "code_length", "a code has 1 to 2048 bytes")
	}
	fc, found, err := s.resolveForeign(ctx, code)
	if err != nil {
		return nil, err
	}
	asked := Asked{Code: code}
	if sc, err := gs1.ParseScanned(code); err == nil {
		req.Ref = sc.Ref
		asked.GTIN, asked.Lot, asked.Serial = string(sc.Ref.GTIN), sc.Ref.Lot, sc.Ref.Serial
		if found, err = s.refines(ctx, fc, sc.Ref); err != nil {
			return nil, err
		}
	}
	if found {
		req.Ref = fc.ref()
		asked = Asked{Code: code, Scheme: fc.Scheme, GTIN: string(fc.GTIN), Lot: fc.Lot, Serial: fc.Serial}
	}
	return s.answer(ctx, req, asked)
}

// refines says whether a registered code that is spelled like a GS1 code may stand for something else than that says: only where
// the GS1 code names a unit of the same product that is not known here, as a UDI with its maker's serial does. Otherwise whoever
// registers another's bar code would decide what its scanners are told. fc may be the zero value.
func (s *Service) refines(ctx context.Context, fc ForeignCode, ref gs1.Ref) (bool, error) {
	if fc.GTIN != ref.GTIN || ref.Level() != gs1.Unit || ref.Lot != "" && ref.Lot != fc.Lot {
		return false, nil
	}
	c, err := s.chain(ctx, ref)
	return err == nil && (!c.knownUnit() || fc.Serial == ref.Serial), err
}

// maxMatches bounds the warnings that one answer lists.
const maxMatches = 20

// mostCertain cuts matches to as many as one answer lists. The certain ones stay, since they decide the headline.
func mostCertain(matches []warning.Match) []warning.Match {
	if len(matches) <= maxMatches {
		return matches
	}
	slices.SortStableFunc(matches, func(a, b warning.Match) int {
		switch {
		case a.Certain == b.Certain:
			return 0
		case a.Certain:
			return -1
		}
		return 1
	})
	return matches[:maxMatches]
}

func (s *Service) answer(ctx context.Context, req ScanRequest, asked Asked) (*Answer, error) {
	now := s.now()
	f := facts{asked: asked, lang: req.Lang, now: now}
	if !lang.Valid(f.lang) {
		f.lang = lang.ZhHans
	}
	var err error
	if req.Ref.GTIN != "" {
		if f.chain, err = s.chain(ctx, req.Ref); err != nil {
			return nil, err
		}
		f.confirmed = s.deps.Warnings.Confirm(ctx)
		if f.confirmed {
			var buf [8]warning.Match
			f.matches = mostCertain(s.deps.Warnings.Match(buf[:0], f.chain.subject(req.Ref)))
		}
	} else {
		f.chain = &chain{}
		f.confirmed = true
	}
	if req.Ref.GTIN == "" || req.Preview {
		return f.verdict(), nil
	}
	return s.recorded(ctx, req, f)
}

// recorded completes the answer with the scans before it, and records this one.
func (s *Service) recorded(ctx context.Context, req ScanRequest, f facts) (*Answer, error) {
	wctx, cancel := context.WithTimeout(ctx, cmp.Or(req.Patience, recordTimeout))
	defer cancel()
	path := identity(req.Ref).Path()
	d := scanDoc{Ref: path, At: f.now.UnixMilli(), Place: req.Place, Visitor: s.visitor(req, path)}
	r := newRecent()
	if req.Ref.Level() == gs1.Unit { // the scans of a lot or product say nothing about the one at hand
		var err error
		if r, err = s.recentScans(wctx, path); err != nil {
			return s.unrecorded(ctx, f, err)
		}
		f.seen = r.seen(d, f.chain.soldAt)
	}
	a := f.verdict()
	d.Head = a.Headline.Status
	if err := s.note(wctx, req.Ref, &f, a); err != nil && s.deps.Log != nil { // the next odd scan notes it
		s.deps.Log.WarnContext(ctx, "anomaly not noted", "error", err)
	}
	if req.Device != "" && s.deps.Exposures != nil && req.Ref.Level() != gs1.Product {
		if err := s.deps.Exposures.RecordExposure(wctx, req.Device, f.chain.exposure(req.Ref), f.now); err != nil {
			return s.unrecorded(ctx, f, err)
		}
	}
	first, err := s.record(wctx, req.Ref, r, d)
	if err != nil {
		return s.unrecorded(ctx, f, err)
	}
	a.Scan.Recorded, a.Scan.First = true, first
	return a, nil
}

// unrecorded answers although the scan could not be recorded; the request's own end is passed on.
func (s *Service) unrecorded(ctx context.Context, f facts, err error) (*Answer, error) {
	if ctx.Err() != nil {
		return nil, err
	}
	if s.deps.Log != nil {
		s.deps.Log.WarnContext(ctx, "scan not recorded", "error", err)
	}
	return f.verdict(), nil
}

// visitor is a keyed hash that is the same only for one visitor of one code, so scans of different codes cannot be joined.
func (s *Service) visitor(req ScanRequest, path string) string {
	who := req.Visitor
	if req.Device != "" {
		who = "device:" + req.Device
	}
	if who == "" {
		return ""
	}
	return s.deps.Hasher.Hash("scan_visitor", who+"\x00"+path)[:12]
}
