package search

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// A cursor is base64url of "n:time:rank:total" (by Newest: continue after that position) or "r:offset:total" (by score). It holds nothing
// secret and may be made up: the worst that a false one does is to show another page of what its maker may see anyway.
func encodeCursor(kind string, fields ...int64) string {
	s := []byte(kind)
	for _, f := range fields {
		s = strconv.AppendInt(append(s, ':'), f, 10)
	}
	return base64.RawURLEncoding.EncodeToString(s)
}

const maxCursor = 128 // bytes

// resume takes the position from the cursor of the page before.
func (p *Plan) resume(cursor string) error {
	if cursor == "" {
		return nil
	}
	bad := fault.New(fault.Malformed, "bad_cursor", "the cursor is not one of this search")
	if len(cursor) > maxCursor {
		return bad
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return bad.Because(err)
	}
	kind, rest, _ := strings.Cut(string(b), ":")
	var f []int64
	for s := range strings.SplitSeq(rest, ":") {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return bad.Because(err)
		}
		f = append(f, n)
	}
	switch {
	case p.Newest && kind == "n" && len(f) == 3 && f[2] >= 0:
		p.After, p.Total = &Position{Time: f[0], Rank: f[1]}, int(f[2])
	case !p.Newest && kind == "r" && len(f) == 2 && f[0] > 0 && f[0] < MaxWindow && f[1] >= 0:
		p.Offset, p.Total = int(f[0]), int(f[1])
		p.Limit = min(p.Limit, MaxWindow-p.Offset)
	default:
		return bad
	}
	p.paged = true
	return nil
}

// Page makes a result of what an engine found: up to Limit+1 hits (the last only proves that there is another page), the positions of
// the hits, and the number of all matches, which is looked at on the first page only.
func (p *Plan) Page(hits []Hit, at func(i int) Position, total int) Result {
	if p.paged {
		total = p.Total
	}
	r := Result{Hits: hits, Total: total}
	if len(hits) <= p.Limit {
		return r
	}
	r.Hits = hits[:p.Limit]
	switch next := p.Offset + p.Limit; {
	case p.Newest:
		last := at(p.Limit - 1)
		r.Next = encodeCursor("n", last.Time, last.Rank, int64(total))
	case next < MaxWindow:
		r.Next = encodeCursor("r", int64(next), int64(total))
	}
	return r
}
