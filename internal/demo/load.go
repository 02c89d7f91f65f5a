package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/haisu-trace/haisu/internal/access/authority"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/trace"
	"github.com/haisu-trace/haisu/internal/warning"
)

// loader loads a world.
type loader struct {
	Services
	*world
	progress func(string)
}

// workers is how many writes are under way at once. The store commits what waits together, so most of them share an fsync.
const workers = 32

// each calls f for every item, several at a time. The first error ends it.
func each[T any](ctx context.Context, items []T, f func(context.Context, T) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, it := range items {
		g.Go(func() error { return f(ctx, it) })
	}
	return g.Wait()
}

func (l *loader) load(ctx context.Context, author warning.Author) (Summary, error) {
	sum := Summary{Firms: len(l.firms), Products: len(l.products), Lots: len(l.lots)}
	l.progress("firms and places")
	if err := l.register(ctx); err != nil {
		return sum, err
	}
	if err := l.enter(ctx, author.Authority); err != nil {
		return sum, fmt.Errorf("authority %s: %w", author.Authority, err)
	}
	// Warnings are numbered one after the other and need nothing of the rest, so they are published meanwhile.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		sum.Warnings, err = publishAll(gctx, l.Engine, l.world, author)
		return err
	})
	g.Go(func() (err error) {
		sum.Events, err = l.goods(gctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return sum, err
	}
	if err := l.Warnings.Matcher().Refresh(ctx); err != nil {
		return sum, err
	}
	for _, lot := range l.lots {
		sum.Units += len(lot.refs)
	}
	l.progress("scans")
	return sum, l.showcase(ctx, &sum)
}

func (l *loader) register(ctx context.Context) error {
	// Agents and platforms come before the firms that name them.
	var first, then []firm.Firm
	for _, f := range participants() {
		if f.Agent == "" && f.Platform == "" {
			first = append(first, f)
		} else {
			then = append(then, f)
		}
	}
	for _, firms := range [][]firm.Firm{first, then} {
		if err := each(ctx, firms, l.Firms.Put); err != nil {
			return fmt.Errorf("firms: %w", err)
		}
	}
	var places []*spot
	for _, s := range l.places {
		places = append(places, s)
	}
	if err := each(ctx, places, func(ctx context.Context, s *spot) error { return l.Firms.PutPlace(ctx, s.place()) }); err != nil {
		return fmt.Errorf("places: %w", err)
	}
	return nil
}

// enter enters the body that the officer acts for, if it is not there. It may warn of all goods and takes nothing from the real bodies, whose
// competence names a stage and is therefore more specific.
func (l *loader) enter(ctx context.Context, id string) error {
	if l.Authorities == nil {
		return nil
	}
	_, _, err := l.Authorities.Put(ctx, authority.Authority{
		ID: id, Kind: "demonstration", Name: lang.ZhEn("海南演示机构", "Hainan demonstration body"),
		Competences: []authority.Competence{{Matters: []string{authority.MatterWarning}, Places: []string{"46"}}},
	}, 0)
	if fault.CodeOf(err) == "authority_changed" { // it is there, and somebody has changed it
		return nil
	}
	return err
}

// goods registers products and lots, issues codes, and captures the events. It says how many events there are.
func (l *loader) goods(ctx context.Context) (int, error) {
	l.progress("products")
	if err := each(ctx, l.inOrder, l.putProduct); err != nil {
		return 0, fmt.Errorf("products: %w", err)
	}
	l.progress("lots and codes")
	if err := each(ctx, l.lots, l.putLot); err != nil {
		return 0, fmt.Errorf("lots: %w", err)
	}
	l.progress("events")
	events, err := l.capture(ctx)
	if err != nil {
		return 0, fmt.Errorf("events: %w", err)
	}
	return events, nil
}

// putProduct stores the maker's record and the shorter ones of those who sell it.
func (l *loader) putProduct(ctx context.Context, p *product) error {
	if _, _, err := l.Trace.PutProduct(ctx, l.firms[p.Firm], p.Product); err != nil {
		return fmt.Errorf("%s: %w", p.key, err)
	}
	for _, seller := range p.sellers {
		if seller == p.Firm {
			continue
		}
		own := trace.Product{GTIN: p.GTIN, Name: p.Name, Brand: p.Brand, Category: p.Category, Origin: p.Origin, Net: p.Net}
		if _, _, err := l.Trace.PutProduct(ctx, l.firms[seller], own); err != nil {
			return fmt.Errorf("%s of %s: %w", p.key, seller, err)
		}
	}
	return nil
}

// issueKey makes a repeated load get the same serials.
const issueKey = "demonstration"

// putLot stores the records of a lot, has its units coded, and records their other codes.
func (l *loader) putLot(ctx context.Context, lt *lot) error {
	wrap := func(err error) error { return fmt.Errorf("%s, lot %s: %w", lt.key, lt.Lot.Lot, err) }
	if lt.seller != lt.Lot.Firm {
		if _, _, err := l.Trace.PutLot(ctx, l.firms[lt.Lot.Firm], lt.Lot); err != nil {
			return wrap(err)
		}
	}
	if lt.seller == "" {
		return nil
	}
	if _, _, err := l.Trace.PutLot(ctx, l.firms[lt.seller], lt.sellerLot()); err != nil {
		return wrap(err)
	}
	if lt.coded == codedByMaker {
		lt.refs = lt.ownSerials()
	} else {
		units, err := l.Trace.IssueCodes(ctx, l.firms[lt.coder()], lt.GTIN, lt.Lot.Lot, lt.units, issueKey)
		if err != nil {
			return wrap(err)
		}
		lt.refs = make([]gs1.Ref, len(units))
		for i, u := range units {
			lt.refs[i] = u.Ref()
		}
	}
	codes := lt.otherCodes()
	if len(codes) == 0 {
		return nil
	}
	if _, err := l.Trace.PutForeignCodes(ctx, l.firms[lt.seller], lt.GTIN, lt.Lot.Lot, codes); err != nil {
		return wrap(err)
	}
	return nil
}

// otherCodes are the codes that units carry besides ours: the province's label on half of the duty-free lots, the UDI of
// medical devices, the number on a watch's warranty card.
func (l *lot) otherCodes() []trace.ForeignCode {
	var out []trace.ForeignCode
	for i, ref := range l.refs {
		code := trace.ForeignCode{Serial: ref.Serial}
		switch {
		case l.Category == "medical_device":
			day := func(date string) string { return date[2:4] + date[5:7] + date[8:] }
			code.Scheme = "udi"
			code.Code = fmt.Sprintf("(01)%s(11)%s(17)%s(10)%s(21)%s", l.GTIN, day(l.Produced), day(l.Expires), l.Lot.Lot, ref.Serial)
		case l.Category == "watch":
			code.Scheme, code.Code = "brand", "CORVANE-"+ref.Serial
		case (l.seller == yuyue || l.seller == lanan) && l.seq%2 == 0:
			code.Scheme, code.Code = trace.SchemeDutyFree, fmt.Sprintf("HN%s%04d%05d%04d", l.Produced[2:4], l.item, 31*l.seq+7, 11*i+3)
		default:
			continue
		}
		out = append(out, code)
	}
	return out
}

// capture sends every firm's events as EPCIS documents.
func (l *loader) capture(ctx context.Context) (int, error) {
	type job struct {
		firm   string
		events []event
	}
	var jobs []job
	for firmID, events := range l.history() {
		for part := range slices.Chunk(events, perDocument) {
			jobs = append(jobs, job{firmID, part})
		}
	}
	var count atomic.Int64
	err := each(ctx, jobs, func(ctx context.Context, j job) error {
		doc, err := encode(j.events, l.base)
		if err != nil {
			return fmt.Errorf("%s: %w", j.firm, err)
		}
		res, err := l.Trace.Capture(ctx, l.firms[j.firm], doc)
		if err != nil {
			return fmt.Errorf("%s: %w", j.firm, err)
		}
		for _, e := range res.Events {
			if !e.Confirmed {
				return fmt.Errorf("%s may not say what it says in event %s", j.firm, e.EventID)
			}
		}
		count.Add(int64(len(res.Events)))
		return nil
	})
	return int(count.Load()), err
}

// strangers are the scans of a copied code: a bottle that was sold in Hainan long ago turns up in a dozen cities.
var strangers = []struct{ visitor, place string }{
	{"demo-buyer", "三亚 Sanya"}, {"demo-01", "广州 Guangzhou"}, {"demo-02", "深圳 Shenzhen"}, {"demo-03", "长沙 Changsha"}, {"demo-04", "成都 Chengdu"}, {"demo-05", "广州 Guangzhou"},
	{"demo-06", "杭州 Hangzhou"}, {"demo-07", "沈阳 Shenyang"}, {"demo-08", "郑州 Zhengzhou"}, {"demo-09", "深圳 Shenzhen"}, {"demo-10", "西安 Xi'an"}, {"demo-11", "广州 Guangzhou"},
}

// showcase chooses the three units, and has the suspicious one scanned. A load that dies meanwhile scans again: the visitors stay
// the same.
func (l *loader) showcase(ctx context.Context, sum *Summary) error {
	last := func(key string, number int) (*lot, gs1.Ref) {
		lt := l.lot(key, number)
		return lt, lt.refs[len(lt.refs)-1]
	}
	whisky, ok := last("corrant-15", 4)
	sum.OK, sum.Seller = ok, whisky.coder()
	_, sum.Warning = last("dark-100", 2)
	sum.Suspicious = l.lot("xo-70", 2).refs[0]
	for _, s := range strangers {
		req := trace.ScanRequest{Ref: sum.Suspicious, Lang: lang.ZhHans, Visitor: s.visitor, Place: s.place, Patience: time.Minute}
		a, err := l.Trace.Scan(ctx, req)
		if err == nil && !a.Scan.Recorded {
			err = errors.New("the store is too slow to record it")
		}
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
	}
	return nil
}
