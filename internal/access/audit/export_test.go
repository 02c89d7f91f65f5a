package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func (b *bundle) export(from, to time.Time) []byte {
	b.t.Helper()
	var out bytes.Buffer
	must(b.t, b.Export(b.t.Context(), &out, from, to))
	return out.Bytes()
}

// thirdParty checks an export by the stated rule alone, with nothing of this package.
func thirdParty(export []byte) error {
	lines := strings.Split(strings.TrimSuffix(string(export), "\n"), "\n")
	var head struct {
		First int64  `json:"first"`
		Prev  string `json:"prev"`
	}
	if err := json.Unmarshal([]byte(lines[0]), &head); err != nil {
		return err
	}
	hash, seq := head.Prev, head.First
	for _, text := range lines[1 : len(lines)-1] {
		prev, err := hex.DecodeString(hash)
		if err != nil {
			return err
		}
		entry := text[83 : len(text)-1]
		sum := sha256.Sum256(append(prev, entry...))
		var v struct {
			Seq int64 `json:"seq"`
		}
		if err := json.Unmarshal([]byte(entry), &v); err != nil {
			return err
		}
		if hash = text[9:73]; hash != hex.EncodeToString(sum[:]) || v.Seq != seq {
			return fmt.Errorf("entry %d: hash %s, number %d", seq, hash, v.Seq)
		}
		seq++
	}
	var end struct {
		Checkpoint struct {
			Seq  int64  `json:"seq"`
			Hash string `json:"hash"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		return err
	}
	if end.Checkpoint.Seq != seq-1 || end.Checkpoint.Hash != hash {
		return errors.New("the end is not that of the checkpoint")
	}
	return nil
}

func TestExportIsCheckedWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := fact(1)
	e.Why, e.Before, e.After = "甲醇\u2028<", json.RawMessage(`{"n":1.500,"big":123456789012345678901234567890}`), json.RawMessage(`[]`)
	b.batch(e, fact(2))
	b.fill(20, 3)
	text := b.export(time.Time{}, time.Time{})
	r, err := CheckExport(bytes.NewReader(text), nil)
	must(t, err)
	if r.Break != nil || r.First != 1 || r.Entries != 62 || r.Last.Seq != 62 {
		t.Fatalf("got %+v, %v", r, r.Break)
	}
	if err := thirdParty(text); err != nil {
		t.Fatal(err)
	}
	if v := b.verify(&r.Last); v.Break != nil {
		t.Fatalf("the checkpoint at the end of an export: %v", v.Break)
	}
	if !bytes.Contains(text, []byte(`"before":{"big":123456789012345678901234567890,"n":1.500}`)) {
		t.Error("the numbers are not as they were written")
	}
	if _, err := CheckExport(iotest.OneByteReader(bytes.NewReader(text)), nil); err != nil {
		t.Error(err)
	}
	boom := errors.New("boom")
	if _, err := CheckExport(io.MultiReader(bytes.NewReader(text[:len(text)/2]), iotest.ErrReader(boom)), nil); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestExportOfAPart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(10, 2) // entries 2i+1 and 2i+2 at start+i seconds
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	for name, c := range map[string]struct {
		from, to    time.Time
		first, last int64
	}{
		"all":         {time.Time{}, time.Time{}, 1, 20},
		"from":        {at(3), time.Time{}, 7, 20},
		"to":          {time.Time{}, at(3), 1, 6},
		"a part":      {at(2), at(4), 5, 8},
		"nothing":     {at(50), at(60), 21, 20},
		"before all":  {time.Time{}, at(0), 21, 20},
		"one instant": {at(9), at(10), 19, 20},
	} {
		text := b.export(c.from, c.to)
		r, err := CheckExport(bytes.NewReader(text), nil)
		must(t, err)
		if r.Break != nil || r.First != c.first || r.Last.Seq != c.last || r.Entries != c.last-c.first+1 {
			t.Errorf("%s: got %+v, %v", name, r, r.Break)
		}
		if err := thirdParty(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The clock of a replica was wrong: what it wrote between the others stands in the export, so that the chain has no gap.
	b.clock.Advance(-time.Hour)
	b.batch(fact(1))
	b.clock.Advance(time.Hour)
	b.batch(fact(2))
	r, err := CheckExport(bytes.NewReader(b.export(at(9), at(100))), nil)
	must(t, err)
	if r.Break != nil || r.First != 19 || r.Last.Seq != 22 {
		t.Errorf("got %+v, %v", r, r.Break)
	}
	if r, err := CheckExport(bytes.NewReader(setup(t).export(time.Time{}, time.Time{})), nil); err != nil || r.Break != nil || r.Entries != 0 {
		t.Errorf("an empty trail: %+v, %v, %v", r, r.Break, err)
	}
}

// An export gives what is stored, also where it is damaged; the check finds it.
func TestExportOfADamagedTrail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(5, 2)
	tamper(t, b, "DELETE FROM d_audit_batches WHERE id = ?", batchID(3))
	r, err := CheckExport(bytes.NewReader(b.export(time.Time{}, time.Time{})), nil)
	must(t, err)
	if r.Break == nil || r.Break.Kind != Removed || r.Break.Seq != 5 || r.Break.To != 6 || r.Entries != 4 {
		t.Fatalf("got %+v, %v", r, r.Break)
	}
	tamper(t, b, "UPDATE d_audit_batches SET body = '{' WHERE id = ?", batchID(2))
	if err := b.Export(t.Context(), io.Discard, time.Time{}, time.Time{}); err == nil {
		t.Error("a batch that cannot be read was exported")
	}
}

func TestCheckExportFindsTheFirstBreak(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(5, 2)
	cp, err := b.Checkpoint(t.Context())
	must(t, err)
	early := b.checkpoint(4, b.stored(2).Entries[1].Hash)
	forged := b.checkpoint(4, b.stored(2).Entries[0].Hash)
	text := b.export(time.Time{}, time.Time{})
	for name, c := range map[string]struct {
		change  func(lines []string) []string // line i has entry i; 0 is the head, 11 the checkpoint
		against *Checkpoint
		kind    Kind
		seq     int64
	}{
		"changed":          {func(l []string) []string { l[4] = strings.Replace(l[4], "case/3", "case/8", 1); return l }, nil, Changed, 4},
		"other hash":       {func(l []string) []string { l[4] = l[3][:73] + l[4][73:]; return l }, nil, Changed, 4},
		"no entry":         {func(l []string) []string { l[4] = l[4][:40]; return l }, nil, Changed, 4},
		"no JSON":          {func(l []string) []string { l[4] = l[4][:90] + "}"; return l }, nil, Changed, 4},
		"other number":     {func(l []string) []string { l[4] = strings.Replace(l[4], `"seq":4`, `"seq":3`, 1); return l }, nil, Inserted, 4},
		"removed":          {func(l []string) []string { return append(l[:4], l[5:]...) }, nil, Removed, 4},
		"last removed":     {func(l []string) []string { return append(l[:10], l[11:]...) }, nil, Truncated, 10},
		"exchanged":        {func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }, nil, Reordered, 4},
		"twice":            {func(l []string) []string { l[5] = l[4] + "\n" + l[5]; return l }, nil, Inserted, 5},
		"earlier copy":     {func(l []string) []string { l[5] = l[2] + "\n" + l[5]; return l }, nil, Inserted, 5},
		"no checkpoint":    {func(l []string) []string { return l[:11] }, nil, Truncated, 11},
		"no head":          {func(l []string) []string { return l[1:] }, nil, Malformed, 1},
		"other head":       {func(l []string) []string { l[0] = strings.Replace(l[0], `"first":1`, `"first":2`, 1); return l }, nil, Inserted, 2},
		"other version":    {func(l []string) []string { l[0] = strings.Replace(l[0], `trail":1`, `trail":2`, 1); return l }, nil, Malformed, 1},
		"another trail":    {func(l []string) []string { return l }, &forged, Diverged, 4},
		"between":          {func(l []string) []string { l[5] = "\n" + l[5]; return l }, nil, Malformed, 5},
		"long line":        {func(l []string) []string { l[5] = strings.Repeat("x", maxLine); return l }, nil, Malformed, 5},
		"after the end":    {func(l []string) []string { return append(l, "x") }, nil, Malformed, 11},
		"shorter at end":   {func(l []string) []string { l[11] = asText(t, exportEnd{early}); return l }, nil, Malformed, 11},
		"end of another":   {func(l []string) []string { c := cp; c.Hash = early.Hash; l[11] = asText(t, exportEnd{c}); return l }, nil, Changed, 11},
		"cut off":          {func(l []string) []string { return append(l[:5], asText(t, exportEnd{early})) }, &cp, Truncated, 5},
		"cut off, unknown": {func(l []string) []string { return append(l[:5], asText(t, exportEnd{early})) }, nil, "", 0},
		"in order":         {func(l []string) []string { return l }, &early, "", 0},
	} {
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		r, err := CheckExport(strings.NewReader(strings.Join(c.change(lines), "\n")+"\n"), c.against)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.kind == "" && r.Break != nil, c.kind != "" && (r.Break == nil || r.Break.Kind != c.kind || r.Break.Seq != c.seq):
			t.Errorf("%s: got %v, want %s at %d", name, r.Break, c.kind, c.seq)
		case r.Break != nil && r.Last.Seq >= r.Break.Seq:
			t.Errorf("%s: the last in order is said to be %d", name, r.Last.Seq)
		}
	}
	if r, err := CheckExport(bytes.NewReader(bytes.TrimSuffix(text, []byte("\n"))), nil); err != nil || r.Break == nil || r.Break.Kind != Truncated {
		t.Errorf("without the last line feed: %v, %v", r.Break, err)
	}
	if _, err := CheckExport(bytes.NewReader(b.export(start.Add(3*time.Second), time.Time{})), &early); err == nil {
		t.Error("an export that begins after the checkpoint was compared with it")
	}
}

// Any change of a bit before the last line is found; of the last line, whose time and MAC only the installation can check, any in number and hash.
func TestAnyBitOfAnExportIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.batch(fact(1), fact(2))
	text := b.export(time.Time{}, time.Time{})
	end := bytes.Index(text, []byte(`"at":"`+start.Format("2006-01-02T15:04:05Z"))) // the checkpoint's
	if end < 0 {
		t.Fatalf("no checkpoint in %s", text)
	}
	for bit := range end * 8 {
		r, err := CheckExport(bytes.NewReader(flip(text, bit)), nil)
		if err != nil || r.Break == nil {
			t.Fatalf("byte %d, bit %d: got %+v, %v", bit/8, bit%8, r, err)
		}
	}
}

// FuzzCheckExport: what the checker takes for whole is whole by the stated rule too.
func FuzzCheckExport(f *testing.F) {
	h := digest{1}
	e1, e2 := []byte(`{"action":"a","actor":"b","at":"2026-11-24T04:00:00.000Z","phase":"read","seq":1}`), []byte(`{"seq":2}`)
	h1 := link(h, e1)
	h2 := link(h1, e2)
	good := fmt.Sprintf("{\"audit_trail\":1,\"first\":1,\"prev\":\"%s\"}\n{\"hash\":\"%s\",\"entry\":%s}\n{\"hash\":\"%s\",\"entry\":%s}\n"+
		"{\"checkpoint\":{\"seq\":2,\"hash\":\"%s\",\"at\":\"2026-11-24T04:00:00Z\",\"mac\":\"m\"}}\n", h, h1, e1, h2, e2, h2)
	if r, err := CheckExport(strings.NewReader(good), nil); err != nil || r.Break != nil {
		f.Fatalf("got %v, %v", r.Break, err)
	}
	for _, s := range []string{good, good[:len(good)-1], good[80:], "", "\n", "{}\n", strings.Replace(good, `"seq":2}`, `"seq":3}`, 1)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := CheckExport(bytes.NewReader(text), nil)
		if err != nil {
			t.Fatalf("a reader that does not fail: %v", err)
		}
		if r.Break != nil {
			if r.Break.Detail == "" || r.Break.Kind == "" {
				t.Fatalf("got %+v", r.Break)
			}
			return
		}
		if err := thirdParty(text); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
