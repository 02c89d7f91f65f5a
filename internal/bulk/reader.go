package bulk

import (
	"cmp"
	"errors"
	"hash/maphash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/sheet"
)

// The bounds of one import.
const (
	MaxRows  = 200_000
	MaxBytes = 64 << 20
)

const (
	// chunkRows is how many rows are read, applied and then done with; an event is not divided.
	chunkRows = 500
	// chunkBytes ends a chunk early, and is the most that the rows of one event may have: a cell of XLSX may be a few bytes that stand for a long text.
	chunkBytes = 8 << 20
)

// Reader reads a table of a kind, chunk by chunk. It is for one goroutine.
type Reader struct {
	kind   Kind
	table  *sheet.Table
	header header

	seen    map[uint64]int32 // the rows of keys so far, by hash
	seed    maphash.Seed
	next    *row   // was read already: the first of the next event
	lastKey string // of the event whose row was read last
	first   *row   // of that event
	run     int    // how many rows it has so far
	bytes   int    // in them
	over    bool   // and it has too many of either
	rows    int
	done    bool
}

// NewReader begins with the headings. problems are what is wrong with them, or with the file as a whole; then there is no Reader.
// Other errors are of reading.
func NewReader(k Kind, file io.ReaderAt, size int64) (r *Reader, problems []Problem, err error) {
	table, err := sheet.Open(file, size, sheet.Limits{Rows: MaxRows + 1})
	if err != nil {
		problems, err = fileProblem(err)
		return nil, problems, err
	}
	var first sheet.Row
	switch err := table.Next(&first); {
	case errors.Is(err, io.EOF):
		return nil, []Problem{{Code: sheet.CodeEmpty}}, table.Close()
	case err != nil:
		problems, err = fileProblem(err)
		return nil, problems, errors.Join(err, table.Close())
	}
	h, problems := readHeader(k, &first)
	if problems != nil {
		return nil, problems, table.Close()
	}
	return &Reader{kind: k, table: table, header: h, seen: map[uint64]int32{}, seed: maphash.MakeSeed()}, nil, nil
}

// fileProblem tells what is wrong with a file from an error of reading it.
func fileProblem(err error) ([]Problem, error) {
	if e, ok := errors.AsType[*sheet.Error](err); ok {
		if e.Code == sheet.CodeRows {
			e = &sheet.Error{Code: e.Code, Row: e.Row, Arg: strconv.Itoa(MaxRows)}
		}
		return []Problem{ofFile(e)}, nil
	}
	return nil, err
}

// Close ends reading.
func (r *Reader) Close() error { return r.table.Close() }

// chunk reads the next rows, an event's together: after the last there are none. problems are what ends the file before its end.
func (r *Reader) chunk() (rows []*row, problems []Problem, err error) {
	size := 0
	if r.next != nil {
		r.tooMany(r.next, true)
		size = weight(r.next)
		rows, r.next = append(rows, r.next), nil
	}
	for !r.done {
		one := &row{header: &r.header, date1904: r.table.Date1904}
		switch err := r.table.Next(&one.Row); {
		case errors.Is(err, io.EOF):
			r.done = true
			if r.rows == 0 {
				problems = []Problem{{Code: "file_no_rows"}}
			}
			return rows, problems, nil
		case err != nil:
			r.done = true
			problems, err = fileProblem(err)
			return rows, problems, err
		}
		r.rows++
		fresh := r.remember(one)
		if (len(rows) >= chunkRows || size >= chunkBytes) && fresh {
			r.next = one
			return rows, nil, nil
		}
		if r.tooMany(one, fresh) {
			continue
		}
		rows = append(rows, one)
		size += weight(one)
	}
	return rows, nil, nil
}

// weight is about how many bytes a row takes.
func weight(one *row) int {
	n := 0
	for i := range one.Cells {
		n += 32 + len(one.Cells[i].Text)
	}
	return n
}

// tooMany says that a row is one too many for its event, and notes it in the event's first row. Such rows are not kept, or an event could take
// memory without bound.
func (r *Reader) tooMany(one *row, fresh bool) bool {
	if fresh {
		r.first, r.run, r.bytes, r.over = one, 0, 0, false
	}
	r.run++
	r.bytes += weight(one)
	switch {
	case r.over:
	case r.run > maxEventRows:
		r.over = true
		r.first.add("event", bad("event_rows", strconv.Itoa(maxEventRows)))
	case r.bytes > chunkBytes:
		r.over = true
		r.first.add("event", bad("event_too_large"))
	}
	return r.over
}

// remember notes the key of a row, and whether another row has it; fresh says that the row does not belong to the event of the one before.
func (r *Reader) remember(one *row) (fresh bool) {
	key := one.key()
	if r.kind == Events {
		if key != "" && key == r.lastKey {
			return false
		}
		r.lastKey = key
	}
	if key == "" {
		return true
	}
	h := maphash.String(r.seed, key)
	first, again := r.seen[h]
	switch {
	case !again:
		r.seen[h] = int32(one.Number)
	case r.kind == Events:
		one.add("event", bad("event_again", strconv.Itoa(int(first))))
	default:
		one.add(keyColumns[r.kind][0], bad("row_repeated", strconv.Itoa(int(first))))
	}
	return true
}

// keyColumns name what a row is about: two rows that agree in all of them cannot both be right.
var keyColumns = map[Kind][]string{Products: {"gtin"}, Lots: {"gtin", "lot"}, Codes: {"code", "scheme"}, Events: {"event"}}

// key is "" where a key is missing or cannot be read, which is refused elsewhere.
func (r *row) key() string {
	var key strings.Builder
	for i, column := range keyColumns[r.kind] {
		var s string
		var w *wrong
		if c := r.cell(column); column == "gtin" {
			g, _, wrong := gtin(c)
			s, w = string(g), wrong
		} else {
			s, w = code(c)
		}
		if w != nil || s == "" && i == 0 {
			return ""
		}
		key.WriteString(s + "\x00")
	}
	return key.String()
}

// groups parts the rows of a chunk into events.
func groups(rows []*row) [][]*row {
	var out [][]*row
	last := ""
	for _, r := range rows {
		key := r.key()
		if n := len(out); n > 0 && key != "" && key == last {
			out[n-1] = append(out[n-1], r)
		} else {
			out = append(out, []*row{r})
		}
		last = key
	}
	return out
}

// skip passes over the rows up to one, which were done with before; their keys count.
func (r *Reader) skip(to int) {
	for r.next == nil && !r.done {
		one := &row{header: &r.header, date1904: r.table.Date1904}
		if r.table.Next(&one.Row) != nil {
			return // chunk meets it again
		}
		r.rows++
		r.remember(one)
		if one.Number > to {
			r.next = one
		}
	}
}

// sorted puts problems into the order of the table.
func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(len(a.Cell), len(b.Cell)), cmp.Compare(a.Cell, b.Cell))
	})
	return problems
}
