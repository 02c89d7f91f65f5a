package trace

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// MaxForeignCodes is how many codes one request may carry.
const MaxForeignCodes = 10_000

// SchemeDutyFree is the province's official duty-free label (离岛免税商品溯源码).
const SchemeDutyFree = "hainan_duty_free"

var schemePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{1,39}$`)

// foldCode is what two readings of one printed code have in common: half width, upper case, no spaces.
func foldCode(code string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, width.Narrow.String(code))
}

// PutForeignCodes records codes of other schemes for units of a lot, or for the lot itself where Serial is empty. It may be
// repeated. A code that stands for something else already is a Conflict that lists every such item; the others are stored.
func (s *Service) PutForeignCodes(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, codes []ForeignCode) (added int, err error) {
	items, err := s.foreignItems(ctx, f, g, lot, codes)
	if err != nil {
		return 0, err
	}
	errs, err := s.foreign.InsertMany(ctx, items)
	if err != nil {
		return 0, err
	}
	there, err := existing(ctx, s.foreign, items, errs)
	if err != nil {
		return 0, err
	}
	return settle(items, there, errs)
}

// foreignItems makes the documents of codes that the firm may register. Invalid, Forbidden, NotFound.
func (s *Service) foreignItems(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string, codes []ForeignCode) ([]store.Item[ForeignCode], error) {
	if len(codes) == 0 || len(codes) > MaxForeignCodes {
		return nil, fault.InvalidFields(fault.Field{Pointer: "/codes", Code: "range", Detail: fmt.Sprintf("1 to %d codes", MaxForeignCodes)})
	}
	if f.Kind != firm.DutyFree && f.Kind != firm.Authority && slices.ContainsFunc(codes, func(c ForeignCode) bool { return c.Scheme == SchemeDutyFree }) {
		return nil, fault.New(fault.Forbidden, "not_duty_free", "official duty-free labels are registered by duty-free operators; firm %s is none", f.ID)
	}
	if err := s.ownLot(ctx, f, g, lot); err != nil {
		return nil, err
	}
	now := s.now()
	items := make([]store.Item[ForeignCode], len(codes))
	var c checker
	for i, code := range codes {
		at := fmt.Sprintf("/codes/%d", i)
		c.add(!schemePattern.MatchString(code.Scheme), at+"/scheme", "scheme", "2 to 40 of a-z, 0-9 and '_'")
		_, err := gs1.ParseScanned(code.Code)
		c.add(err == nil && !speaksFor(f, g), at+"/code", "not_registrant",
			"a code that reads as a GS1 code is registered by who may speak for the company prefix")
		folded := foldCode(code.Code)
		c.add(folded == "" || len(code.Code) > 200, at+"/code", "code", "1 to 200 bytes")
		if code.Serial != "" {
			c.add(gs1.ValidSerial(code.Serial) != nil, at+"/serial", "serial", "not a GS1 serial (AI 21)")
		}
		code.GTIN, code.Lot, code.Firm, code.Added = g, lot, f.ID, now
		items[i] = store.Item[ForeignCode]{ID: code.Scheme + "/" + folded, V: code}
	}
	return items, c.err()
}

// settle counts the items that were inserted, and lists those in whose way another stands. there has the documents that were in the way.
func settle(items []store.Item[ForeignCode], there map[string]store.Doc[ForeignCode], errs []error) (added int, err error) {
	var taken []fault.Field
	for i, err := range errs {
		switch {
		case err == nil:
			added++
		case errors.Is(err, store.ErrExists):
			d, v := there[items[i].ID], items[i].V
			if d.V.GTIN != v.GTIN || d.V.Lot != v.Lot || d.V.Serial != v.Serial || d.V.Firm != v.Firm {
				taken = append(taken, fault.Field{
					Pointer: fmt.Sprintf("/codes/%d/code", i), Code: "code_taken", Detail: "the code stands for another unit or lot already",
				})
			}
		default:
			return added, err
		}
	}
	if taken != nil {
		return added, &fault.Error{Kind: fault.Conflict, Code: "code_taken", Detail: "some codes are taken; the others are stored", Fields: taken}
	}
	return added, nil
}

// existing gives the documents in whose way an insert of items found itself.
func existing[T any](ctx context.Context, c *store.Collection[T], items []store.Item[T], errs []error) (map[string]store.Doc[T], error) {
	var ids []string
	for i, err := range errs {
		if errors.Is(err, store.ErrExists) {
			ids = append(ids, items[i].ID)
		}
	}
	return c.GetMany(ctx, ids)
}

// ownLot passes if the firm has a record of the lot itself. NotFound.
func (s *Service) ownLot(ctx context.Context, f firm.Firm, g gs1.GTIN, lot string) error {
	_, err := s.lots.Get(ctx, string(g)+"/"+lot+"/"+f.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errNoLot(g, lot).Because(err)
	}
	return err
}

// speaksFor says whether a firm's word about a product counts for more than a claim.
func speaksFor(f firm.Firm, g gs1.GTIN) bool {
	return f.Kind == firm.Authority || f.Owns(g.CompanyDigits())
}

// maxSchemes bounds the schemes in which one code is looked for.
const maxSchemes = 20

// resolveForeign gives what a code of other schemes stands for. The official duty-free label counts alone, since only duty-free
// operators register it. Otherwise two schemes, or two firms, may use one code for different goods; nobody can tell which is at
// hand, so the one counts of which the worst is known.
func (s *Service) resolveForeign(ctx context.Context, code string) (best ForeignCode, found bool, err error) {
	page, err := s.foreign.Find(ctx, store.Query{Index: byCode, Eq: store.K(foldCode(code)), Limit: maxSchemes})
	if err != nil || len(page.Items) == 0 {
		return ForeignCode{}, false, err
	}
	for _, d := range page.Items {
		if d.V.Scheme == SchemeDutyFree {
			return d.V, true, nil
		}
	}
	worst := len(headlineOrder)
	for _, d := range page.Items {
		rank := 0
		if len(page.Items) > 1 {
			a, err := s.answer(ctx, ScanRequest{Ref: d.V.ref(), Preview: true}, Asked{GTIN: string(d.V.GTIN), Lot: d.V.Lot, Serial: d.V.Serial})
			if err != nil {
				return ForeignCode{}, false, err
			}
			rank = slices.Index(headlineOrder, a.Headline.Status)
		}
		if rank < worst {
			best, worst = d.V, rank
		}
	}
	return best, true, nil
}
