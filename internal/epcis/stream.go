package epcis

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
)

// maxFrame bounds what a document has around its events, in bytes.
const maxFrame = 1 << 20

// ReadFrame reads a document of any size but for its events, which it counts. The memory that it takes does not depend on the number of events.
// Errors are as of DecodeDocument; a context may stand before or behind the events.
func ReadFrame(r io.Reader, lim Limits) (doc *Document, events int, err error) {
	lim = lim.withDefaults()
	s := &splitter{r: bufio.NewReaderSize(r, 64<<10), lim: lim}
	if err := s.document(); err != nil {
		return nil, 0, err
	}
	root, err := parse(s.frame, lim)
	if err != nil {
		return nil, 0, err
	}
	doc, err = decodeDocument(&root, lim)
	return doc, s.events, err
}

// Each reads the events of the document that d is the frame of, one at a time, and calls f with each event, or with what is wrong with it: an
// error whose fields have pointers into the document. An error of f ends it and is returned as it is.
func (d *Document) Each(r io.Reader, lim Limits, f func(i int, e *Event, err error) error) error {
	lim = lim.withDefaults()
	s := &splitter{r: bufio.NewReaderSize(r, 64<<10), lim: lim}
	s.each = func(i int, raw []byte) error {
		e, err := d.decodeItem(i, raw, lim)
		return f(i, e, err)
	}
	return s.document()
}

// decodeItem reads the event at a place in the list. raw is nil for one that is too large.
func (d *Document) decodeItem(i int, raw []byte, lim Limits) (*Event, error) {
	var at *path
	for _, step := range d.steps() {
		next := at.member(step)
		at = &next
	}
	here := at.item(i)
	dec := &decoder{lim: lim, report: report{max: lim.Errors}}
	if raw == nil {
		dec.add(&here, "event_too_large", "the event has more than %d bytes; split its lists", lim.EventBytes)
		return nil, dec.err()
	}
	n, err := parse(raw, lim)
	if bad, ok := errors.AsType[*fault.Error](err); ok {
		placed := *bad
		placed.Fields = slices.Clone(bad.Fields)
		for j := range placed.Fields {
			placed.Fields[j].Pointer = here.pointer() + placed.Fields[j].Pointer
		}
		if len(placed.Fields) == 0 {
			placed.Fields = []fault.Field{{Pointer: here.pointer(), Code: bad.Code, Detail: bad.Detail}}
		}
		return nil, &placed
	}
	e := dec.event(&n, &here, d.scope)
	return e, dec.err()
}

// steps is the way to the event list.
func (d *Document) steps() []string {
	if d.Query {
		return []string{"epcisBody", "queryResults", "resultsBody", "eventList"}
	}
	return []string{"epcisBody", "eventList"}
}

// ListPointer is the JSON Pointer (RFC 6901) of the event list.
func (d *Document) ListPointer() string { return "/" + strings.Join(d.steps(), "/") }

// Pointer is the JSON Pointer of the event at a place in the list.
func (d *Document) Pointer(i int) string { return d.ListPointer() + "/" + strconv.Itoa(i) }

// splitter takes a document apart into its events and the frame around them, in which the event list is empty. It looks at
// brackets and strings alone: whether frame and events are JSON is for parse to say.
type splitter struct {
	r      *bufio.Reader
	lim    Limits
	at     int64 // bytes read
	frame  []byte
	events int
	way    string                        // the pointer of the event list that is read; "": none is
	each   func(i int, raw []byte) error // nil: count only
	buf    []byte
}

var errFrame = refused(fault.TooLarge, "", "capture_too_large", "the document has more than %d bytes around its events", maxFrame)

func (s *splitter) bad(what string) error {
	e := refused(fault.Malformed, s.pointer(), "json_syntax", "%s", what)
	e.Detail += " (at byte " + strconv.FormatInt(s.at, 10) + ")"
	return e
}

// pointer is that of the event that is read, "" for the frame.
func (s *splitter) pointer() string {
	if s.way == "" {
		return ""
	}
	return s.way + "/" + strconv.Itoa(s.events)
}

func (s *splitter) next() (byte, error) {
	c, err := s.r.ReadByte()
	if errors.Is(err, io.EOF) {
		return 0, s.bad("the JSON text ends too early")
	}
	s.at++
	return c, err
}

// peek gives the next byte that is no white space, and leaves it.
func (s *splitter) peek() (byte, error) {
	for {
		c, err := s.next()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			s.at--
			return c, s.r.UnreadByte()
		}
	}
}

func (s *splitter) keep(c byte) error {
	if s.frame = append(s.frame, c); len(s.frame) > maxFrame {
		return errFrame
	}
	return nil
}

func (s *splitter) document() error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != '{' {
		return s.bad("a document is a JSON object")
	}
	if err := s.object(nil); err != nil {
		return err
	}
	for {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			return s.bad("something follows the end of the JSON text")
		}
	}
}

// ways are the members that lead to an event list.
var ways = map[string]bool{
	"epcisBody": true, "epcisBody/queryResults": true, "epcisBody/queryResults/resultsBody": true,
}

// object copies an object on the way to the event list, whose next byte is '{'.
func (s *splitter) object(at []string) error {
	if _, err := s.next(); err != nil {
		return err
	}
	if err := s.keep('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.peek()
		if err != nil {
			return err
		}
		if c == '}' || c == ',' && !first {
			if _, err = s.next(); err == nil {
				err = s.keep(c)
			}
			if err != nil || c == '}' {
				return err
			}
		} else if !first {
			return s.bad("a comma or '}' is missing")
		}
		if err := s.member(at); err != nil {
			return err
		}
	}
}

// member copies a name and its value, and splits the value if it leads to events.
func (s *splitter) member(at []string) error {
	if c, err := s.peek(); err != nil || c != '"' {
		return errors.Join(err, s.bad("a member's name in quotation marks is missing"))
	}
	from := len(s.frame)
	if err := s.value(s.keep); err != nil {
		return err
	}
	name := string(s.frame[from+1 : len(s.frame)-1])
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != ':' {
		return s.bad("a colon is missing")
	}
	if _, err := s.next(); err != nil {
		return err
	}
	if err := s.keep(':'); err != nil {
		return err
	}
	if c, err = s.peek(); err != nil {
		return err
	}
	way := append(slices.Clone(at), name)
	joined := joinWay(way)
	switch {
	case c == '[' && name == "eventList" && ways[joinWay(at)]:
		s.way = "/" + strings.Join(way, "/")
		err := s.list()
		s.way = ""
		return err
	case c == '{' && ways[joined]:
		return s.object(way)
	}
	return s.value(s.keep)
}

func joinWay(at []string) string { return strings.Join(at, "/") }

// list gives the events of a list, whose next byte is '['.
func (s *splitter) list() error {
	if _, err := s.next(); err != nil {
		return err
	}
	for first := true; ; first = false {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch {
		case c == ']':
			if !first || s.events == 0 {
				_, err = s.next()
				return errors.Join(err, s.keep('['), s.keep(']'))
			}
			fallthrough
		case c != ',' && !first:
			return s.bad("a comma or ']' is missing")
		case c == ',' && !first:
			if _, err := s.next(); err != nil {
				return err
			}
			if _, err := s.peek(); err != nil {
				return err
			}
		}
		if err := s.event(); err != nil {
			return err
		}
	}
}

func (s *splitter) event() error {
	s.buf = s.buf[:0]
	large := false
	err := s.value(func(c byte) error {
		if len(s.buf) < s.lim.EventBytes {
			s.buf = append(s.buf, c)
		} else {
			large = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.events++; s.events > s.lim.Events {
		return refused(fault.TooLarge, s.way, "too_many_events", "the document has more than %d events", s.lim.Events)
	}
	if s.each == nil {
		return nil
	}
	if large {
		return s.each(s.events-1, nil)
	}
	return s.each(s.events-1, s.buf)
}

// value hands the bytes of one value to keep. A value that is no string, array or object ends before a delimiter.
func (s *splitter) value(keep func(byte) error) error {
	depth, inString := 0, false
	for n := 0; ; n++ {
		c, err := s.next()
		if err != nil {
			return err
		}
		if depth == 0 && !inString && (c == ',' || c == '}' || c == ']' || c == ':') {
			s.at--
			if n == 0 {
				return s.bad("a value is missing")
			}
			return s.r.UnreadByte()
		}
		if err := keep(c); err != nil {
			return err
		}
		switch {
		case inString && c == '\\':
			if c, err = s.next(); err != nil {
				return err
			}
			if err := keep(c); err != nil {
				return err
			}
		case c == '"':
			if inString = !inString; !inString && depth == 0 {
				return nil
			}
		case inString:
		case c == '{' || c == '[':
			depth++ // however deep: parse says whether that is too deep
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return nil
			}
		}
	}
}
