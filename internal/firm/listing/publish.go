package listing

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/number"
	"github.com/haisu-trace/haisu/internal/store"
)

// The longest texts, in characters.
const (
	maxName      = 200
	maxText      = 2000
	maxReference = 200
)

// maxEntries bounds the entries of a listing. The last of them can only lift it.
const maxEntries = 32

// Author is the officer who publishes. That the officer may, the caller has made sure of.
type Author struct {
	ID, Name  string
	Authority string
}

// Publish puts a firm on the list by a decision. To publish a decision about a firm again gives the listing that it has; created says
// whether it is new. Invalid; Conflict (already_listed) if the authority's decision about that firm was published with another content.
func (s *Service) Publish(ctx context.Context, by Author, c Content) (l Listing, created bool, err error) {
	now := s.time()
	if c, err = s.normalized(ctx, c, now); err != nil {
		return Listing{}, false, err
	}
	e := Entry{Rev: 1, Kind: Listed, Content: c, Authority: by.Authority, By: by.ID, ByName: by.Name, Published: now}
	var stored Entry
	_, err = number.Issue(ctx, s.entries, indexYear, series, now, func(no string) (taken bool, err error) {
		stored, created, err = s.take(ctx, no, e)
		return stored.No == "", err
	})
	if err != nil {
		return Listing{}, false, fmt.Errorf("publish a listing: %w", err)
	}
	if !reflect.DeepEqual(stored.Content, c) {
		return Listing{}, false, fault.New(fault.Conflict, "already_listed", "this decision about this firm is published as %s, and says something else there", stored.No)
	}
	l, err = s.Get(ctx, stored.No)
	return l, created, err
}

// take publishes e under the number that its decision has claimed, which is no unless it had claimed one before that is free. It gives what is
// published of the decision; the zero Entry when another decision has no.
func (s *Service) take(ctx context.Context, no string, e Entry) (stored Entry, created bool, err error) {
	id, taken := claimID(&e), ""
	for taken != no {
		d, err := s.claims.Upsert(ctx, id, func(v *claim) error {
			if v.No == taken {
				v.No = no
			}
			return nil
		})
		if err != nil {
			return Entry{}, false, fmt.Errorf("claim a number: %w", err)
		}
		e.No = d.V.No
		err = s.entries.Insert(ctx, e.ID(), e)
		if err == nil {
			return e, true, nil
		}
		if !errors.Is(err, store.ErrExists) {
			return Entry{}, false, err
		}
		was, err := s.entries.Get(ctx, e.ID())
		if err != nil || claimID(&was.V) == id {
			return was.V, false, err
		}
		taken = e.No
	}
	return Entry{}, false, nil
}

// claimID is the same for every try to publish an authority's decision about a firm.
func claimID(e *Entry) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{e.Authority, e.DecisionNo, e.CreditCode}, "\n")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Correction replaces what a listing says. The decision, the firm's code and the publication period stay: a decision that was
// wrong in these is revoked, and the right one published.
type Correction struct {
	Firm       string    `json:"firm,omitempty"`
	Name       lang.Text `json:"name"`
	Reason     lang.Text `json:"reason"`
	LegalBasis string    `json:"legal_basis"`
}

// Change is every entry after the first.
type Change struct {
	Kind       Kind
	Seen       int         // the revision that the officer has seen
	Note       lang.Text   // why, for the public
	Ground     string      // of Lifted
	Correction *Correction // of Corrected
}

// Change publishes the next entry of a listing. The same change of the same revision by the same officer again gives the listing as it
// stands. NotFound; Invalid; Conflict (listing_changed if the revision seen is not the last one, listing_ended, illegal_move,
// too_many_updates).
func (s *Service) Change(ctx context.Context, by Author, no string, ch Change) (Listing, error) {
	l, err := s.Get(ctx, no)
	if err != nil {
		return Listing{}, err
	}
	if ch.Seen < 1 || ch.Seen > l.Rev {
		return Listing{}, errChanged(&l)
	}
	e, err := s.next(ctx, by, &l.History[ch.Seen-1], ch)
	if err != nil {
		return Listing{}, err
	}
	if ch.Seen == l.Rev {
		if err := l.allows(ch.Kind); err != nil {
			return Listing{}, err
		}
		if err = s.entries.Insert(ctx, e.ID(), e); err != nil && !errors.Is(err, store.ErrExists) {
			return Listing{}, fmt.Errorf("insert %s: %w", e.ID(), err)
		}
		if l, err = s.Get(ctx, no); err != nil {
			return Listing{}, err
		}
	}
	stored := l.History[ch.Seen]
	stored.Published = e.Published
	if !reflect.DeepEqual(stored, e) {
		return Listing{}, errChanged(&l)
	}
	return l, nil
}

// allows says whether a change of a kind may follow. Conflict.
func (l *Listing) allows(k Kind) error {
	switch {
	case l.Ended:
		return fault.New(fault.Conflict, "listing_ended", "listing %s has ended; nothing follows", l.No)
	case k == Appealed && l.Appeal, k == Upheld && !l.Appeal:
		return fault.New(fault.Conflict, "illegal_move", "listing %s cannot be %s: an appeal under way is %t", l.No, k, l.Appeal)
	case l.Rev >= maxEntries-1 && k != Lifted:
		return fault.New(fault.Conflict, "too_many_updates", "listing %s has %d entries; it can only be lifted", l.No, l.Rev)
	}
	return nil
}

func errChanged(l *Listing) error {
	return fault.New(fault.Conflict, "listing_changed", "listing %s is at revision %d by now", l.No, l.Rev)
}

// next is the entry that a change makes of the one before.
func (s *Service) next(ctx context.Context, by Author, before *Entry, ch Change) (Entry, error) {
	var bad fields
	e := *before
	e.Rev, e.Kind, e.Ground, e.Note = before.Rev+1, ch.Kind, ch.Ground, trimmed(ch.Note)
	e.By, e.ByName, e.Acting, e.Published = by.ID, by.Name, "", s.time()
	if e.Published.Before(before.Published) { // another replica's clock is ahead of ours
		e.Published = before.Published
	}
	if by.Authority != e.Authority {
		e.Acting = by.Authority
	}
	bad.text("/note", e.Note, maxText, lang.ZhHans, lang.En)
	switch ch.Kind {
	case Corrected, Appealed, Upheld, Lifted:
	default:
		bad.add("/kind", "not_allowed", "one of: corrected, appealed, upheld, lifted")
	}
	if lifts := ch.Kind == Lifted; lifts != (ch.Ground == Repaired || ch.Ground == Revoked) || !lifts && ch.Ground != "" {
		bad.add("/ground", "exclusive", "repaired or revoked, of what is lifted and of nothing else")
	}
	if (ch.Kind == Corrected) != (ch.Correction != nil) {
		bad.add("/correction", "exclusive", "of what is corrected, and of nothing else")
	} else if c := ch.Correction; c != nil {
		e.Firm, e.Name, e.Reason, e.LegalBasis = c.Firm, trimmed(c.Name), trimmed(c.Reason), strings.TrimSpace(c.LegalBasis)
		if err := s.checkTexts(ctx, &bad, "/correction", &e.Content); err != nil {
			return Entry{}, err
		}
		if reflect.DeepEqual(e.Content, before.Content) {
			bad.add("/correction", "nothing_changed", "this is what the listing says already")
		}
	}
	return e, bad.err()
}

// normalized gives a content as it is stored. Invalid.
func (s *Service) normalized(ctx context.Context, c Content, now time.Time) (Content, error) {
	c.Name, c.Reason, c.LegalBasis, c.DecisionNo = trimmed(c.Name), trimmed(c.Reason), strings.TrimSpace(c.LegalBasis), strings.TrimSpace(c.DecisionNo)
	c.CreditCode = strings.ToUpper(strings.TrimSpace(c.CreditCode))
	var bad fields
	if err := s.checkTexts(ctx, &bad, "", &c); err != nil {
		return Content{}, err
	}
	bad.line("/decision_no", c.DecisionNo)
	if !validCreditCode(c.CreditCode) {
		bad.add("/credit_code", "credit_code", "18 characters, of which the last checks the others (GB 32100-2015)")
	}
	decided, err := time.ParseInLocation(time.DateOnly, c.Decided, number.Beijing)
	if err != nil || decided.After(now) {
		bad.add("/decided", "date", "a day that is not in the future")
		return c, bad.err()
	}
	last := decided.AddDate(s.o.Years, 0, -1)
	if c.Until == "" {
		c.Until = last.Format(time.DateOnly)
	}
	until, err := time.ParseInLocation(time.DateOnly, c.Until, number.Beijing)
	switch {
	case err != nil || until.Before(decided) || !now.Before(c.ends()):
		bad.add("/until", "date_order", "a day after the decision that is not over")
	case until.After(last):
		bad.add("/until", "too_large", "a listing is public for %d years at most", s.o.Years)
	}
	return c, bad.err()
}

// checkTexts checks what a correction may replace. Its error is that of the look-up.
func (s *Service) checkTexts(ctx context.Context, bad *fields, at string, c *Content) error {
	bad.text(at+"/name", c.Name, maxName, lang.ZhHans)
	bad.text(at+"/reason", c.Reason, maxText, lang.ZhHans, lang.En)
	bad.line(at+"/legal_basis", c.LegalBasis)
	if c.Firm == "" {
		return nil
	}
	_, err := s.o.Firms.Get(ctx, c.Firm)
	if fault.KindOf(err) == fault.NotFound {
		bad.add(at+"/firm", "unknown_firm", "no firm with this ID is registered here")
		return nil
	}
	return err
}

// fields are the members that break a rule.
type fields []fault.Field

func (f *fields) add(pointer, code, format string, args ...any) {
	*f = append(*f, fault.Field{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
}

func (f *fields) err() error {
	if len(*f) == 0 {
		return nil
	}
	return fault.InvalidFields(*f...)
}

func (f *fields) text(pointer string, t lang.Text, most int, required ...string) {
	for _, tag := range required {
		if t[tag] == "" {
			f.add(pointer+"/"+tag, "required", "this text is required")
		}
	}
	for _, tag := range []string{lang.ZhHans, lang.En} {
		f.characters(pointer+"/"+tag, t[tag], most)
	}
}

func (f *fields) line(pointer, s string) {
	if s == "" {
		f.add(pointer, "required", "this is required")
	}
	f.characters(pointer, s, maxReference)
}

// characters refuses broken UTF-8, control characters but the line break, and the marks that reverse the direction of writing.
func (f *fields) characters(pointer, s string, most int) {
	bad := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		f.add(pointer, "characters", "this text holds characters that texts for people do not")
	}
	if n := utf8.RuneCountInString(s); n > most {
		f.add(pointer, "too_long", "%d characters; at most %d", n, most)
	}
}

// trimmed keeps a text's public languages.
func trimmed(t lang.Text) lang.Text {
	out := lang.Text{}
	for _, tag := range []string{lang.ZhHans, lang.En} {
		if s := strings.TrimSpace(t[tag]); s != "" {
			out[tag] = s
		}
	}
	return out
}
