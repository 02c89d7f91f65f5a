package trace

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/store"
)

// A lot's flow is what all events say about its goods, in pages by day. It is a projection of the events, made by a worker that follows
// them (follow.go): a unit's event names no lot, so without it "where did this lot go" would be a search for each of its units. It holds
// facts alone, with no conclusion drawn; intervals and positions are derived when it is read, in the order of event times. So a late
// event only adds a line, and a line that is there twice counts once.

// move is a line: what one part of an event says about units of one lot, or about amounts of it, in one role.
type move struct {
	Doc      string // ID of the event document
	N        int    // of several lines of one document and role
	At       int64  // event time, UTC milliseconds
	Firm     string
	Place    string // business location, else read point
	Step     string
	Action   string
	Role     string
	Parent   string // a container or trade item
	Serials  string // joined by spaces, which no serial has
	Amounts  string // likewise: number and unit of measure
	Mixed    bool   // the event also packs containers
	Declares bool   // an error declaration about the event
}

// Lines are kept as one text per page: a lot has a hundred thousand, and decoding them as JSON would take most of the time in which a
// question is to be answered. Neither separator can be in a URI (RFC 3986, 2), nor in what else stands in a line.
const (
	fieldEnd = "^"
	lineEnd  = "`"
)

var lineSafe = strings.NewReplacer(fieldEnd, "%5E", lineEnd, "%60")

// append adds the line to a page's text.
func (m *move) append(b []byte) []byte {
	flags := int64(0)
	if m.Mixed {
		flags |= 1
	}
	if m.Declares {
		flags |= 2
	}
	for _, n := range [...]int64{m.At, int64(m.N), flags} {
		b = append(strconv.AppendInt(b, n, 36), fieldEnd...)
	}
	for _, f := range [...]string{m.Doc, m.Firm, m.Place, m.Step, m.Action, m.Role, m.Parent, m.Serials} {
		b = append(append(b, lineSafe.Replace(f)...), fieldEnd...)
	}
	return append(append(b, lineSafe.Replace(m.Amounts)...), lineEnd...)
}

// moves reads the lines of a page's text. The strings of a move share memory with it.
func moves(text string) iter.Seq2[move, error] {
	return func(yield func(move, error) bool) {
		for text != "" {
			var line string
			line, text, _ = strings.Cut(text, lineEnd)
			if !yield(parseMove(line)) {
				return
			}
		}
	}
}

func parseMove(line string) (m move, err error) {
	var numbers [3]int64
	for i := range numbers {
		var f string
		f, line, _ = strings.Cut(line, fieldEnd)
		if numbers[i], err = strconv.ParseInt(f, 36, 64); err != nil {
			return m, fmt.Errorf("a line of a lot's flow: %w", err)
		}
	}
	m.At, m.N, m.Mixed, m.Declares = numbers[0], int(numbers[1]), numbers[2]&1 != 0, numbers[2]&2 != 0
	for _, f := range [...]*string{&m.Doc, &m.Firm, &m.Place, &m.Step, &m.Action, &m.Role, &m.Parent, &m.Serials} {
		*f, line, _ = strings.Cut(line, fieldEnd)
	}
	m.Amounts = line
	if m.Doc == "" || len(m.Role) != 1 {
		return m, fmt.Errorf("a line of a lot's flow has no event or role")
	}
	return m, nil
}

// maxSerials bounds one line; N counts the lines of one event part and role.
const maxSerials = 500

// lotKey is a lot of a product.
type lotKey struct {
	GTIN gs1.GTIN
	Lot  string
}

// flowDoc is a page of a lot's flow: lines of one day (UTC) of event time.
type flowDoc struct {
	GTIN  gs1.GTIN `json:"g"`
	Lot   string   `json:"l"`
	Day   int64    `json:"day"`
	Part  int      `json:"part"`
	Lines string   `json:"lines"`
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	// flowPage is how many bytes a page takes before the next one begins. Adding a line writes the page anew.
	flowPage = 48 << 10
)

var flowDef = store.Def[flowDoc]{Name: "lot_flows", Indexes: []store.Index[flowDoc]{{
	Name: byLot, Version: "1", Keys: func(_ string, d *flowDoc) ([]store.Key, store.Key) {
		return []store.Key{store.K(string(d.GTIN), d.Lot)}, store.K(d.Day, d.Part)
	},
}}}

// flowID names a page. The lot is last, since it may hold a slash.
func flowID(k lotKey, day int64, part int) string {
	return fmt.Sprintf("%s/%d/%d/%s", k.GTIN, day, part, k.Lot)
}

// partOf is the part that a flow page's ID names.
func partOf(id string) (int, error) {
	fields := strings.SplitN(id, "/", 4)
	if len(fields) != 4 {
		return 0, fmt.Errorf("%q is no page of a lot's flow", id)
	}
	return strconv.Atoi(fields[2])
}

// baseOf is the part of an event document's ID that its other parts and the declarations about it share; see storageID.
func baseOf(id string) string {
	_, event, _ := strings.Cut(id, "|")
	colon := strings.IndexByte(event, ':')
	if colon < 0 {
		return id
	}
	if bar := strings.IndexByte(event[colon:], '|'); bar >= 0 {
		return id[:len(id)-len(event)+colon+bar]
	}
	return id
}

// firstPart says whether an event document is the first of its event's parts.
func firstPart(id string) bool {
	rest := id[len(baseOf(id)):]
	_, number, ok := strings.Cut(strings.TrimPrefix(rest, "|error-"), "|")
	if !ok && !strings.HasPrefix(rest, "|error-") {
		number = strings.TrimPrefix(rest, "|")
	}
	return number == ""
}

// place is where an event happened.
func (e *eventDoc) place() string { return cmp.Or(e.BizLocation, e.ReadPoint) }

// movesOf gives the lines that an event document adds to the flows of lots. lotOf tells the lot of a unit, "" if nobody knows.
func movesOf(id string, e *eventDoc, lotOf func(gs1.Ref) string) map[lotKey][]move {
	type slot struct {
		lotKey
		role string
	}
	serials, amounts := map[slot][]string{}, map[slot][]string{}
	var order []slot
	take := func(epc, role, quantity string) (tracked bool) {
		ref, ok := refOf(epc)
		if !ok {
			return false
		}
		lot := ref.Lot
		if ref.Serial != "" {
			lot = lotOf(ref)
		}
		k := slot{lotKey{ref.GTIN, lot}, role}
		if serials[k] == nil && amounts[k] == nil {
			order = append(order, k)
		}
		if ref.Serial != "" {
			serials[k] = append(serials[k], ref.Serial)
		} else {
			amounts[k] = append(amounts[k], quantity)
		}
		return true
	}
	first := firstPart(id)
	mixed := false
	for _, t := range e.Things {
		if t.Role == roleInput && !first {
			continue // each part repeats the inputs
		}
		if !take(t.EPC, t.Role, t.Quantity) && t.Role == roleChild {
			mixed = true
		}
	}
	if e.Parent != "" && first {
		take(e.Parent, roleParent, "")
	}
	out := map[lotKey][]move{}
	for _, k := range order {
		m := move{
			Doc: id, At: e.Time.UnixMilli(), Firm: e.Firm, Place: e.place(), Step: e.Step, Action: e.Action, Role: k.role,
			Mixed: mixed, Declares: e.Declares,
		}
		if k.role == roleChild {
			m.Parent = e.Parent
		}
		for chunk := range slices.Chunk(serials[k], maxSerials) {
			m.Serials = strings.Join(chunk, " ")
			out[k.lotKey] = append(out[k.lotKey], m)
			m.N++
		}
		for chunk := range slices.Chunk(amounts[k], maxSerials) {
			m.Serials, m.Amounts = "", strings.Join(chunk, " ")
			out[k.lotKey] = append(out[k.lotKey], m)
			m.N++
		}
	}
	return out
}

// addMoves adds lines to a day of a lot's flow, durably. Lines that are on the page already are left out; on older pages nobody looks,
// since readers count each line once.
func (s *Service) addMoves(ctx context.Context, k lotKey, day int64, ms []move) error {
	q := lotQuery(k)
	q.From, q.To, q.Desc, q.Limit = store.K(day), store.K(day+1), true, 1
	last, _, err := s.flows.Keys(ctx, q)
	if err != nil {
		return err
	}
	part := 0
	if len(last) > 0 {
		if part, err = partOf(last[0].ID); err != nil {
			return err
		}
	}
	for ; len(ms) > 0; part++ {
		var rest []move
		_, err := s.flows.Upsert(ctx, flowID(k, day, part), func(d *flowDoc) error {
			d.GTIN, d.Lot, d.Day, d.Part = k.GTIN, k.Lot, day, part
			var err error
			rest, err = d.fill(ms)
			return err
		})
		if err != nil {
			return err
		}
		ms = rest
	}
	return nil
}

// fill adds lines while there is room, and gives the others back. A line always fits on an empty page.
func (d *flowDoc) fill(ms []move) (rest []move, err error) {
	type line struct {
		doc, role string
		n         int
	}
	have := map[line]bool{}
	for m, err := range moves(d.Lines) {
		if err != nil {
			return nil, err
		}
		have[line{m.Doc, m.Role, m.N}] = true
	}
	b := []byte(d.Lines)
	for i := range ms {
		m := &ms[i]
		if have[line{m.Doc, m.Role, m.N}] {
			continue
		}
		size := len(b)
		if b = m.append(b); len(b) > flowPage && size > 0 {
			d.Lines = string(b[:size])
			return ms[i:], nil
		}
	}
	d.Lines = string(b)
	return nil, nil
}

// lotQuery asks for the pages of a lot's flow.
func lotQuery(k lotKey) store.Query {
	return store.Query{Index: byLot, Eq: store.K(string(k.GTIN), k.Lot)}
}

// splitList reads a list of a line.
func splitList(joined string) []string { return strings.Fields(joined) }
