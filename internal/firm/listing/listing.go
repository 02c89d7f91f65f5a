// Package listing keeps the serious-violation list (严重违法失信名单): the firms that an authority bars or supervises most strictly, for as
// long as its decision is to be public.
//
// A listing is a list of immutable entries, "{no}/1", "{no}/2", …, and its state is the fold over them. The insert of an entry decides: of
// two officers who act at once one wins, and the other is told. Each entry has its leaf in the transparency log, which outlives the
// listing, so a leaf's public part does not say whom it is about.
package listing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/firm"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/number"
	"github.com/haisu-trace/haisu/internal/store"
)

// Kind is what an entry does to its listing.
type Kind string

// The kinds of entries.
const (
	Listed    Kind = "listed"    // the first entry
	Corrected Kind = "corrected" // name, reason or legal basis were wrong
	Appealed  Kind = "appealed"  // an appeal against the decision is under way
	Upheld    Kind = "upheld"    // the appeal is over, and the decision stands
	Lifted    Kind = "lifted"    // taken off the list before its time
)

// The grounds for lifting.
const (
	Repaired = "repaired" // the firm has repaired its credit
	Revoked  = "revoked"  // the decision was wrong and is no more
)

// Content is what an officer writes of a listing and the public reads while it is in force.
type Content struct {
	Firm       string    `json:"firm,omitempty"` // its ID, where it is registered here
	Name       lang.Text `json:"name"`
	CreditCode string    `json:"credit_code"` // unified social credit code, GB 32100-2015
	Reason     lang.Text `json:"reason"`
	LegalBasis string    `json:"legal_basis"`
	DecisionNo string    `json:"decision_no"`     // number of the decision's document
	Decided    string    `json:"decided"`         // day of the decision
	Until      string    `json:"until,omitempty"` // the last day on which it is public; "" in a request: the longest that is allowed
}

// Entry is one published entry with the content that holds from then on. It never changes.
type Entry struct {
	No   string `json:"no"`
	Rev  int    `json:"rev"` // 1, 2, … without gaps
	Kind Kind   `json:"kind"`
	Content
	Ground    string    `json:"ground,omitempty"` // of Lifted
	Note      lang.Text `json:"note,omitempty"`   // why, of all but Listed
	Authority string    `json:"authority"`        // of all entries of a listing the same
	Acting    string    `json:"acting,omitempty"` // the authority that published it, where it acts for a merged one
	By        string    `json:"by"`               // the operator's ID
	ByName    string    `json:"by_name,omitempty"`
	Published time.Time `json:"published"`
}

// ID is the entry's document ID, "{no}/{rev}".
func (e *Entry) ID() string { return entryID(e.No, e.Rev) }

func entryID(no string, rev int) string { return no + "/" + strconv.Itoa(rev) }

// ends is when the publication period is over: at midnight in Beijing after its last day. What is no day was over long ago.
func (c *Content) ends() time.Time {
	day, err := time.ParseInLocation(time.DateOnly, c.Until, number.Beijing)
	if err != nil {
		return time.Time{}
	}
	return day.AddDate(0, 0, 1)
}

// Listing is where a listing stands.
type Listing struct {
	Entry            // the last one
	Listed time.Time // when the first was published
	Appeal bool      // an appeal is under way
	Ended  bool      // lifted, or its publication period is over: the public reads no more than that
	// History has all entries, the oldest first.
	History []Entry
}

// fold makes a listing of its entries, of which there is at least one.
func fold(history []Entry, now time.Time) Listing {
	l := Listing{Entry: history[len(history)-1], Listed: history[0].Published, History: history}
	for i := range history {
		switch history[i].Kind {
		case Appealed:
			l.Appeal = true
		case Upheld, Lifted:
			l.Appeal = false
		case Listed, Corrected:
		}
	}
	l.Ended = l.Kind == Lifted || !now.Before(l.ends())
	return l
}

// series is of listings: 失信, shixin.
const series = number.Series("SX")

const (
	entriesCollection = "serious_violations"

	indexYear   = "year"   // the numbers of a year, in order
	indexPeriod = "period" // listings by the end of their publication period
)

// claim is the number under which a decision about a firm is, or is to be, published. It moves on only from a number that another
// decision has, so however often and wherever a decision is published, and whoever dies in between, it has one listing.
type claim struct {
	No string `json:"no"`
}

// Firms tells which firms are registered here. NotFound.
type Firms interface {
	Get(ctx context.Context, id string) (firm.Firm, error)
}

// Options are what a Service works with. Firms is mandatory.
type Options struct {
	Firms Firms
	Now   clock.Now // default time.Now
	// Years is the longest publication period; default 3, that of 《市场监督管理严重违法失信名单管理办法》 (order 44 of 2021 of the State
	// Administration for Market Regulation).
	Years int
}

// Service keeps listings. It is safe for concurrent use, and any number of replicas may share a store. Every write is durable
// before its method returns.
type Service struct {
	entries *store.Collection[Entry]
	claims  *store.Collection[claim]
	o       Options
}

// Open declares the collections.
func Open(ctx context.Context, eng store.Engine, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Years == 0 {
		o.Years = 3
	}
	first := func(e *Entry) bool { return e.Rev == 1 }
	entries, err := store.Open(ctx, eng, store.Def[Entry]{
		Name: entriesCollection, Feed: true,
		Indexes: []store.Index[Entry]{
			number.Index(indexYear, series, func(e *Entry) string {
				if !first(e) {
					return ""
				}
				return e.No
			}),
			{Name: indexPeriod, Version: "1", Keys: func(_ string, e *Entry) ([]store.Key, store.Key) {
				if !first(e) {
					return nil, nil
				}
				return []store.Key{store.K()}, store.K(e.ends())
			}},
		},
	})
	if err != nil {
		return nil, err
	}
	claims, err := store.Open(ctx, eng, store.Def[claim]{Name: "serious_violation_claims"})
	if err != nil {
		return nil, err
	}
	return &Service{entries: entries, claims: claims, o: o}, nil
}

// time is the present as it is stored.
func (s *Service) time() time.Time { return s.o.Now().UTC().Truncate(time.Millisecond) }

// Get gives a listing, ended or not: the caller shows the public no more of one that has ended than that. NotFound (listing_unknown).
func (s *Service) Get(ctx context.Context, no string) (Listing, error) {
	unknown := fault.New(fault.NotFound, "listing_unknown", "there is no listing %s", no)
	if !series.Valid(no) {
		return Listing{}, unknown
	}
	all, err := s.histories(ctx, []string{no})
	if err != nil {
		return Listing{}, err
	}
	if len(all[no]) == 0 {
		return Listing{}, unknown
	}
	return fold(all[no], s.time()), nil
}

// revsPerRead is how many entries of each listing are asked for in one round trip; most have one or two.
const revsPerRead = 4

// histories gives the entries of listings, the oldest first.
func (s *Service) histories(ctx context.Context, nos []string) (map[string][]Entry, error) {
	out := make(map[string][]Entry, len(nos))
	for from := 1; len(nos) > 0; from += revsPerRead {
		ids := make([]string, 0, len(nos)*revsPerRead)
		for _, no := range nos {
			for rev := range revsPerRead {
				ids = append(ids, entryID(no, from+rev))
			}
		}
		found, err := s.entries.Values(ctx, ids)
		if err != nil {
			return nil, fmt.Errorf("read listings: %w", err)
		}
		var more []string
		for _, no := range nos {
			for rev := range revsPerRead {
				e, ok := found[entryID(no, from+rev)]
				if !ok {
					break
				}
				out[no] = append(out[no], e)
			}
			if len(out[no]) == from+revsPerRead-1 {
				more = append(more, no)
			}
		}
		nos = more
	}
	return out, nil
}

// maxExamined bounds the listings that one page may look at, of which some may be lifted. A page may be short and still have a next one.
const maxExamined = 1000

// List gives the listings in force, the one that stays longest first. limit is 1 to 100, default 20. Malformed (bad_cursor).
func (s *Service) List(ctx context.Context, cursor string, limit int) (page []Listing, next string, err error) {
	if limit <= 0 {
		limit = 20
	}
	limit = min(limit, 100)
	now := s.time()
	q := store.Query{Index: indexPeriod, Eq: store.K(), From: store.K(now.Add(time.Millisecond)), Desc: true, Cursor: cursor, Limit: limit}
	for examined := 0; ; {
		firsts, next, err := s.entries.Keys(ctx, q)
		if errors.Is(err, store.ErrBadCursor) {
			return nil, "", fault.New(fault.Malformed, "bad_cursor", "this cursor is not one that this list gave").Because(err)
		}
		if err != nil {
			return nil, "", fmt.Errorf("list listings: %w", err)
		}
		nos := make([]string, len(firsts))
		for i := range firsts {
			nos[i] = firsts[i].ID[:len(firsts[i].ID)-len("/1")]
		}
		all, err := s.histories(ctx, nos)
		if err != nil {
			return nil, "", err
		}
		for _, no := range nos {
			if len(all[no]) == 0 {
				continue // taken out of the store by hand since its index was read
			}
			if l := fold(all[no], now); !l.Ended {
				page = append(page, l)
			}
		}
		examined += len(nos)
		if next == "" || len(page) >= limit || examined >= maxExamined {
			return page, next, nil
		}
		q.Cursor, q.Limit = next, limit-len(page)
	}
}
