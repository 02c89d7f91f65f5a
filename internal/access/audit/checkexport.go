package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of an export: an entry has 172 KiB at most.
const maxLine = 256 << 10

// The fixed parts of a line with an entry.
const (
	lineHead = `{"hash":"`
	lineMid  = `","entry":`
	lineTail = "}\n"
	entryAt  = len(lineHead) + 64 + len(lineMid)
)

// CheckExport checks an export without a database and without keys: that its entries are chained and numbered without a gap and that none is
// missing up to its own end. Whoever can write the file can write another one that is in order too; what cannot be forged is agreement with a
// checkpoint that was kept elsewhere: with one, its entry must be in the export. An error means that the file could not be read, or that the
// export begins after the checkpoint. Memory is bounded.
func CheckExport(r io.Reader, against *Checkpoint) (Report, error) {
	c := &exportChecker{in: bufio.NewReaderSize(r, maxLine), against: against}
	err := c.run()
	if brk, ok := errors.AsType[*breakError](err); ok {
		c.report.Break = &brk.Break
		err = nil
	}
	return c.report, err
}

// breakError carries a break up to CheckExport.
type breakError struct{ Break }

func (e *breakError) Error() string { return e.String() }

// exportChecker is a check under way; seq and hash are of the last entry in order.
type exportChecker struct {
	in      *bufio.Reader
	against *Checkpoint
	line    int64
	seq     int64
	hash    digest
	report  Report
}

func (c *exportChecker) broken(k Kind, format string, args ...any) error {
	return &breakError{Break{Kind: k, Seq: c.seq + 1, Line: c.line, Detail: fmt.Sprintf(format, args...)}}
}

// read gives the next line with its line feed.
func (c *exportChecker) read() ([]byte, error) {
	text, err := c.in.ReadSlice('\n')
	c.line++
	switch {
	case err == nil:
		return text, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, c.broken(Malformed, "the line is longer than an entry can be")
	case errors.Is(err, io.EOF):
		return nil, c.broken(Truncated, "the file ends without a checkpoint")
	}
	return nil, fmt.Errorf("read an export: %w", err)
}

func (c *exportChecker) run() error {
	if err := c.begin(); err != nil {
		return err
	}
	for {
		text, err := c.read()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte(lineHead)) {
			if err := c.entry(text); err != nil {
				return err
			}
			continue
		}
		if err := c.end(text); err != nil {
			return err
		}
		if _, err := c.in.ReadByte(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an export: %w", err)
		}
		c.line++
		return c.broken(Malformed, "there is something after the checkpoint")
	}
}

func (c *exportChecker) begin() error {
	text, err := c.read()
	if err != nil {
		return err
	}
	var h exportHead
	if err := strict(text, &h); err != nil {
		return c.broken(Malformed, "the first line is not that of an export: %v", err)
	}
	hash, ok := parseDigest(h.Prev)
	if !ok || h.Trail != version || h.First < 1 {
		return c.broken(Malformed, "the first line is not that of an export")
	}
	c.seq, c.hash = h.First-1, hash
	c.report.First = h.First
	if a := c.against; a != nil && a.Seq < c.seq {
		return fmt.Errorf("the export begins with entry %d, after that of the checkpoint, %d", h.First, a.Seq)
	}
	if err := c.compare(); err != nil {
		return err
	}
	c.settle()
	return nil
}

func (c *exportChecker) entry(text []byte) error {
	if len(text) < entryAt+len(lineTail) || string(text[entryAt-len(lineMid):entryAt]) != lineMid || !bytes.HasSuffix(text, []byte(lineTail)) {
		return c.broken(Changed, "the line is not of the form of an entry")
	}
	entry := text[entryAt : len(text)-len(lineTail)]
	var w wire
	if err := json.Unmarshal(entry, &w); err != nil {
		return c.broken(Changed, "the entry cannot be read: %v", err)
	}
	hash := link(c.hash, entry)
	right := string(text[len(lineHead):len(lineHead)+64]) == hash.String()
	switch {
	case w.Seq > c.seq+1 && !right:
		return c.skipped(w.Seq)
	case w.Seq != c.seq+1 && w.Seq <= c.seq:
		return c.broken(Inserted, "entry %d stands here, after it or another should have come already", w.Seq)
	case w.Seq != c.seq+1:
		return c.broken(Changed, "the entry has number %d", w.Seq)
	case !right:
		return c.broken(Changed, "the entry does not have its hash")
	}
	c.seq, c.hash = w.Seq, hash
	if err := c.compare(); err != nil {
		return err
	}
	c.report.Entries++
	c.settle()
	return nil
}

// skipped tells of an entry that comes too early: because others were removed, or because it changed places with the next.
func (c *exportChecker) skipped(seq int64) error {
	brk := Break{Kind: Removed, Seq: c.seq + 1, To: seq - 1, Line: c.line, Detail: fmt.Sprintf("entry %d follows", seq)}
	text, err := c.read()
	if err == nil && bytes.HasPrefix(text, []byte(lineHead)) && len(text) > entryAt+len(lineTail) {
		var w wire
		if json.Unmarshal(text[entryAt:len(text)-len(lineTail)], &w) == nil && w.Seq > c.seq && w.Seq < seq {
			brk = Break{Kind: Reordered, Seq: c.seq + 1, Line: brk.Line, Detail: fmt.Sprintf("entry %d stands here", seq)}
		}
	}
	return &breakError{brk}
}

func (c *exportChecker) end(text []byte) error {
	var e exportEnd
	if err := strict(text, &e); err != nil {
		return c.broken(Malformed, "the line is neither an entry nor a checkpoint: %v", err)
	}
	p := e.Checkpoint
	switch {
	case p.Seq > c.seq:
		return &breakError{Break{Kind: Truncated, Seq: c.seq + 1, To: p.Seq, Line: c.line, Detail: "the last entries are missing"}}
	case p.Seq < c.seq:
		return c.broken(Malformed, "the checkpoint is of entry %d, and not of the last", p.Seq)
	case p.Hash != c.hash.String():
		return c.broken(Changed, "the checkpoint has another hash than the last entry")
	}
	if a := c.against; a != nil && a.Seq > c.seq {
		return &breakError{Break{
			Kind: Truncated, Seq: c.seq + 1, To: a.Seq, Line: c.line,
			Detail: fmt.Sprintf("the export ends with entry %d; when the checkpoint was made the trail had %d", c.seq, a.Seq),
		}}
	}
	c.report.Last = p
	return nil
}

// settle notes the last entry in order. It has no MAC: that is for the installation to make.
func (c *exportChecker) settle() { c.report.Last = Checkpoint{Seq: c.seq, Hash: c.hash.String()} }

func (c *exportChecker) compare() error {
	if a := c.against; a != nil && a.Seq == c.seq && a.Hash != c.hash.String() {
		brk := diverged(a.Seq, 0)
		brk.Line = c.line
		return &breakError{*brk}
	}
	return nil
}

// strict decodes a line that is exactly as this package writes it.
func strict(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return err
	}
	again, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(append(again, '\n'), text) {
		return errors.New("it is not as it was written")
	}
	return nil
}
