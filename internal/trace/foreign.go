package trace

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
	"golang.org/x/text/width"
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
	if len(codes) == 0 || len(codes) > MaxForeignCodes {
		return 0, fault.InvalidFields(fault.Field{Pointer: "/codes", Code: "range", Detail: fmt.Sprintf("1 to %d codes", MaxForeignCodes)})
	}
	if f.Kind != firm.DutyFree && f.Kind != firm.Authority && slices.ContainsFunc(codes, func(c ForeignCode) bool { return c.Scheme == SchemeDutyFree }) {
		return 0, fault.New(fault.Forbidden, "not_duty_free", "official duty-free labels are registered by duty-free operators; firm %s is none", f.ID)
	}
	if err := s.ownLot(ctx, f, g, lot); err != nil {
		return 0, err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	items := make([]store.Item[ForeignCode], len(codes))
	var c checker
	for i, code := range codes {
		at := fmt.Sprintf("/codes/%d", i)
		c.add(!schemePattern.MatchString(code.Scheme), at+"/scheme", "scheme", "2 to 40 of a-z, 0-9 and '_'")
		folded := foldCode(code.Code)
		c.add(folded == "" || len(code.Code) > 200, at+"/code", "code", "1 to 200 bytes")
		if code.Serial != "" {
			c.add(gs1.ValidSerial(code.Serial) != nil, at+"/serial", "serial", "not a GS1 serial (AI 21)")
		}
		code.GTIN, code.Lot, code.Firm, code.Added = g, lot, f.ID, now
		items[i] = store.Item[ForeignCode]{ID: code.Scheme + "/" + folded, V: code}
	}
	if err := c.err(); err != nil {
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

// resolveForeign gives what a code of another scheme stands for. Two schemes may use one code; the official duty-free label
// counts first, then the order of scheme names.
func (s *Service) resolveForeign(ctx context.Context, code string) (ForeignCode, bool, error) {
	page, err := s.foreign.Find(ctx, store.Query{Index: byCode, Eq: store.K(foldCode(code)), Limit: 20})
	if err != nil || len(page.Items) == 0 {
		return ForeignCode{}, false, err
	}
	for _, d := range page.Items {
		if d.V.Scheme == SchemeDutyFree {
			return d.V, true, nil
		}
	}
	return page.Items[0].V, true, nil
}
