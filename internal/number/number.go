// Package number issues the numbers under which authorities publish: HN-2026-000123 is the 123rd of its series in the year 2026 of
// China Standard Time. Numbers of a series and a year follow one another without gaps, whatever process issues them and wherever it dies,
// because the insert of the document that bears one is what decides whose it is.
package number

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// Beijing is China Standard Time, which has no summer time: numbers are counted by the calendar year there.
var Beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// Series is what the numbers of one kind begin with.
type Series string

// Format writes a number. A series that outgrows six digits goes on with seven.
func (s Series) Format(year, seq int) string { return fmt.Sprintf("%s-%04d-%06d", s, year, seq) }

// Parse is the reverse of Format; false for what Format does not write.
func (s Series) Parse(no string) (year, seq int, ok bool) {
	rest, ok := strings.CutPrefix(no, string(s)+"-")
	if !ok || len(rest) < 11 || rest[4] != '-' || !allDigits(rest[:4]) || !allDigits(rest[5:]) || len(rest) > 20 {
		return 0, 0, false
	}
	year, err := strconv.Atoi(rest[:4])
	if err != nil {
		return 0, 0, false
	}
	seq, err = strconv.Atoi(rest[5:])
	return year, seq, err == nil && seq > 0 && s.Format(year, seq) == no
}

// Valid says whether a text has the form of a number of the series.
func (s Series) Valid(no string) bool {
	_, _, ok := s.Parse(no)
	return ok
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// Index is under which a collection finds the numbers of a year, in order. no gives a document's number; "" leaves it out.
func Index[T any](name string, s Series, no func(*T) string) store.Index[T] {
	return store.Index[T]{Name: name, Version: "1", Keys: func(_ string, v *T) ([]store.Key, store.Key) {
		year, seq, ok := s.Parse(no(v))
		if !ok {
			return nil, nil
		}
		return []store.Key{store.K(year)}, store.K(seq)
	}}
}

// maxTries bounds the search for a free number: with n officers who publish at once, each loses at most n-1 rounds.
const maxTries = 1000

// Issue looks for the next free number of the year of now: it hands numbers to take, from behind the last that is found under index, until
// take does not find one taken. The documents' IDs are their numbers, perhaps with more behind a slash.
func Issue[T any](ctx context.Context, in *store.Collection[T], index string, s Series, now time.Time, take func(no string) (taken bool, err error)) (string, error) {
	year := now.In(Beijing).Year()
	last, _, err := in.Keys(ctx, store.Query{Index: index, Eq: store.K(year), Desc: true, Limit: 1})
	if err != nil {
		return "", fmt.Errorf("last number of %s in %d: %w", s, year, err)
	}
	seq := 0
	if len(last) > 0 {
		no, _, _ := strings.Cut(last[0].ID, "/")
		_, seq, _ = s.Parse(no)
	}
	for range maxTries {
		seq++
		no := s.Format(year, seq)
		if taken, err := take(no); err != nil || !taken {
			return no, err
		}
	}
	return "", fmt.Errorf("no free number after %s", s.Format(year, seq))
}
