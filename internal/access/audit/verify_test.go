package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// tamper changes the database behind the program's back.
func tamper(t *testing.T, b *bundle, text string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+b.path+"?_pragma=busy_timeout(5000)")
	must(t, err)
	defer func() { must(t, db.Close()) }()
	res, err := db.ExecContext(t.Context(), text, args...)
	must(t, err)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", text, n, err)
	}
}

func (b *bundle) stored(position int64) *batch {
	b.t.Helper()
	recs, err := b.eng.Get(b.t.Context(), collection, []string{batchID(position)})
	must(b.t, err)
	if len(recs) != 1 {
		b.t.Fatalf("there is no batch %d", position)
	}
	parsed, err := parseBatch(recs[0].Body)
	must(b.t, err)
	return parsed
}

// rewrite changes a stored batch. Whoever does it has the database and not the keys.
func (b *bundle) rewrite(position int64, change func(*batch)) {
	b.t.Helper()
	v := b.stored(position)
	change(v)
	body, err := json.Marshal(v)
	must(b.t, err)
	tamper(b.t, b, "UPDATE d_audit_batches SET body = ? WHERE id = ?", body, batchID(position))
}

// rehash makes the hashes of a batch right again, which anybody can.
func rehash(v *batch) {
	prev, _ := parseDigest(v.Prev)
	for i := range v.Entries {
		prev = link(prev, v.Entries[i].Entry)
		v.Entries[i].Hash = prev.String()
	}
}

func edit(v *batch, i int, from, to string) {
	v.Entries[i].Entry = bytes.Replace(v.Entries[i].Entry, []byte(from), []byte(to), 1)
}

// The trail under test has 5 batches of 4 entries: batch 3 holds 9 to 12. The checkpoint is of all 20.
func TestVerifyFindsTheFirstBreak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(b *bundle)
		want Break // Detail is a part of it
	}{
		"an entry is changed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { edit(v, 1, "case/9", "case/8") }) },
			Break{Changed, 10, 0, 3, 0, "does not have its hash"},
		},
		"an entry is changed and its hash with it": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) {
					edit(v, 1, "case/9", "case/8")
					prev, _ := parseDigest(v.Entries[0].Hash)
					v.Entries[1].Hash = link(prev, v.Entries[1].Entry).String()
				})
			},
			Break{Changed, 11, 0, 3, 0, "does not have its hash"},
		},
		"an entry is changed and every hash in its batch": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { edit(v, 1, "case/9", "case/8"); rehash(v) }) },
			Break{WrongMAC, 9, 0, 3, 0, "not made with the keys"},
		},
		"an entry is changed and every hash to the end": {
			func(b *bundle) {
				prev := b.stored(2).Entries[3].Hash
				for p := int64(3); p <= 5; p++ {
					b.rewrite(p, func(v *batch) {
						v.Prev = prev
						if p == 3 {
							edit(v, 1, "case/9", "case/8")
						}
						rehash(v)
						prev = v.Entries[3].Hash
					})
				}
			},
			Break{WrongMAC, 9, 0, 3, 0, "not made with the keys"},
		},
		"an entry has another number": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { edit(v, 3, `"seq":12`, `"seq":19`) }) },
			Break{Removed, 12, 18, 3, 0, "entry 19 follows"},
		},
		"an entry has a smaller number": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { edit(v, 2, `"seq":11`, `"seq":1`) }) },
			Break{Changed, 11, 0, 3, 0, "has number 1"},
		},
		"an entry is removed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { v.Entries = slices.Delete(v.Entries, 1, 2) }) },
			Break{Removed, 10, 10, 3, 0, "entry 11 follows"},
		},
		"an entry is removed and the hashes made right": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) { v.Entries = slices.Delete(v.Entries, 1, 2); rehash(v) })
			},
			Break{Removed, 10, 10, 3, 0, "entry 11 follows"},
		},
		"the last entry of a batch is removed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { v.Entries = v.Entries[:3] }) },
			Break{Removed, 12, 12, 3, 0, "the end of the batch"},
		},
		"the last entry of the trail is removed and its batch adapted": {
			func(b *bundle) { b.rewrite(5, func(v *batch) { v.Entries = v.Entries[:3]; v.Last = 19 }) },
			Break{WrongMAC, 17, 0, 5, 0, "not made with the keys"},
		},
		"all entries of a batch are removed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { v.Entries = nil }) },
			Break{Changed, 9, 0, 3, 0, "empty"},
		},
		"a batch is removed": {
			func(b *bundle) { tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id = ?", batchID(3)) },
			Break{Removed, 9, 12, 3, 0, "missing"},
		},
		"two batches are removed": {
			func(b *bundle) {
				tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id IN (?, ?)", batchID(2), batchID(3))
			},
			Break{Removed, 5, 12, 2, 0, "missing"},
		},
		"the first batch is removed": {
			func(b *bundle) { tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id = ?", batchID(1)) },
			Break{Removed, 1, 4, 1, 0, "missing"},
		},
		"a batch is expired": {
			func(b *bundle) { tamper(b.t, b, "UPDATE d_audit_batches SET exp = 1 WHERE id = ?", batchID(3)) },
			Break{Removed, 9, 12, 3, 0, "missing"},
		},
		"a batch is to expire": {
			func(b *bundle) {
				tamper(b.t, b, "UPDATE d_audit_batches SET exp = 9999999999999 WHERE id = ?", batchID(3))
			},
			Break{Changed, 9, 0, 3, 0, "replaced"},
		},
		"a batch is removed and those after it moved up": {
			func(b *bundle) {
				tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id = ?", batchID(3))
				for p := int64(4); p <= 5; p++ {
					tamper(b.t, b, "UPDATE d_audit_batches SET id = ? WHERE id = ?", batchID(p-1), batchID(p))
				}
			},
			Break{Reordered, 9, 0, 3, 0, "batch 4 stands here"},
		},
		"a batch is removed and another written in its place": {
			func(b *bundle) {
				tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id >= ?", batchID(3))
				tamper(b.t, b, "DELETE FROM e_audit_batches WHERE id >= ?", batchID(3))
				late := b.open(b.eng)
				must(b.t, late.Record(b.t.Context(), fact(100))) // batch 3, anew
				b.head = &head{3, 12, digest{1}}                 // a process that wrote on a batch 3 that is gone
				must(b.t, b.Record(b.t.Context(), fact(101)))
			},
			Break{Removed, 10, 12, 4, 0, "what stood there was replaced"},
		},
		"entries are exchanged": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) { v.Entries[1], v.Entries[2] = v.Entries[2], v.Entries[1] })
			},
			Break{Reordered, 10, 0, 3, 0, "entry 11 stands here"},
		},
		"entries are exchanged and the hashes made right": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) { v.Entries[1], v.Entries[2] = v.Entries[2], v.Entries[1]; rehash(v) })
			},
			Break{Reordered, 10, 0, 3, 0, "entry 11 stands here"},
		},
		"entries exchange all but their numbers": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) {
					edit(v, 1, "case/9", "case/x")
					edit(v, 2, "case/10", "case/9")
					edit(v, 1, "case/x", "case/10")
				})
			},
			Break{Changed, 10, 0, 3, 0, "does not have its hash"},
		},
		"batches are exchanged": {
			func(b *bundle) {
				for _, m := range [][2]string{{batchID(2), "x"}, {batchID(4), batchID(2)}, {"x", batchID(4)}} {
					tamper(b.t, b, "UPDATE d_audit_batches SET id = ? WHERE id = ?", m[1], m[0])
				}
			},
			Break{Reordered, 5, 0, 2, 0, "batch 4 stands here"},
		},
		"an entry is inserted": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) { v.Entries = slices.Insert(v.Entries, 2, v.Entries[1]); rehash(v) })
			},
			Break{Inserted, 11, 0, 3, 0, "two entries have one number"},
		},
		"an entry is added to a batch": {
			func(b *bundle) {
				b.rewrite(3, func(v *batch) {
					v.Entries = append(v.Entries, line{"", v.Entries[3].Entry})
					edit(v, 4, `"seq":12`, `"seq":13`)
					rehash(v)
				})
			},
			Break{Inserted, 13, 0, 3, 0, "more entries"},
		},
		"a batch is forged at the end": {
			func(b *bundle) {
				v := b.stored(5)
				v.Position, v.Prev, v.First, v.Last, v.Entries = 6, v.Entries[3].Hash, 21, 21, v.Entries[3:]
				edit(v, 0, `"seq":20`, `"seq":21`)
				rehash(v)
				body, err := json.Marshal(v)
				must(b.t, err)
				tamper(b.t, b, "INSERT INTO d_audit_batches (id, rev, body) VALUES (?, 1, ?)", batchID(6), body)
			},
			Break{WrongMAC, 21, 0, 6, 0, "not made with the keys"},
		},
		"a copy of a batch is put at the end": {
			func(b *bundle) {
				tamper(b.t, b, "INSERT INTO d_audit_batches (id, rev, body) SELECT ?, 1, body FROM d_audit_batches WHERE id = ?", batchID(6), batchID(3))
			},
			Break{Inserted, 21, 0, 6, 0, "a copy of batch 3"},
		},
		"a document that is no batch is put in": {
			func(b *bundle) {
				tamper(b.t, b, "INSERT INTO d_audit_batches (id, rev, body) SELECT ?, 1, body FROM d_audit_batches WHERE id = ?", "0000000000030", batchID(3))
			},
			Break{Inserted, 13, 0, 0, 0, "no batch of the trail"},
		},
		"the head of a batch is changed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { v.Prev = v.Entries[0].Hash }) },
			Break{Changed, 9, 0, 3, 0, "the head of the batch"},
		},
		"the MAC is changed": {
			func(b *bundle) { b.rewrite(3, func(v *batch) { v.MAC = strings.ToUpper(v.MAC) }) },
			Break{WrongMAC, 9, 0, 3, 0, "not made with the keys"},
		},
		"a batch is replaced through the port": {
			func(b *bundle) { tamper(b.t, b, "UPDATE d_audit_batches SET rev = 2 WHERE id = ?", batchID(3)) },
			Break{Changed, 9, 0, 3, 0, "revision is 2"},
		},
		"a member is written twice": {
			func(b *bundle) {
				tamper(b.t, b, `UPDATE d_audit_batches SET body = replace(body, '{"v":1,', '{"v":1,"v":1,') WHERE id = ?`, batchID(3))
			},
			Break{Changed, 9, 0, 3, 0, "not as it was written"},
		},
		"the end is cut off": {
			func(b *bundle) { tamper(b.t, b, "DELETE FROM d_audit_batches WHERE id >= ?", batchID(4)) },
			Break{Truncated, 13, 20, 4, 0, "ends with entry 12"},
		},
		"everything is gone": {
			func(b *bundle) { tamper(b.t, b, "DELETE FROM d_audit_batches") },
			Break{Truncated, 1, 20, 1, 0, "ends with entry 0"},
		},
		"everything is gone and begun anew": {
			func(b *bundle) {
				tamper(b.t, b, "DELETE FROM d_audit_batches")
				tamper(b.t, b, "DELETE FROM e_audit_batches")
				b.Service = b.open(b.eng)
				b.fill(6, 4)
			},
			Break{Diverged, 20, 0, 5, 0, "written anew"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.fill(5, 4)
			cp, err := b.Checkpoint(t.Context())
			must(t, err)
			if r := b.verify(&cp); r.Break != nil || r.Entries != 20 || r.Batches != 5 {
				t.Fatalf("before: %+v, %v", r, r.Break)
			}
			c.do(b)
			r := b.verify(&cp)
			if r.Break == nil {
				t.Fatal("it was not found")
			}
			got, part := *r.Break, c.want.Detail
			c.want.Detail = got.Detail
			if got != c.want || !strings.Contains(got.Detail, part) {
				t.Fatalf("got  %v\nwant %v, %s", &got, &c.want, part)
			}
			if first := got.Seq - 1; r.Entries > first || r.Last.Seq != r.Entries {
				t.Fatalf("%d entries are said to be in order, the last is %d", r.Entries, r.Last.Seq)
			}
		})
	}
}

func TestAnotherInstallationsTrail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(2, 2)
	cp, err := b.Checkpoint(t.Context())
	must(t, err)
	if b.box, err = secret.OpenFile(filepath.Join(t.TempDir(), "keys.json"), true); err != nil {
		t.Fatal(err)
	}
	b.Service = b.open(b.eng)
	if r := b.verify(nil); r.Break == nil || r.Break.Kind != WrongMAC || r.Break.Seq != 1 {
		t.Fatalf("got %v", r.Break)
	}
	if r := b.verify(&cp); r.Break == nil || r.Break.Kind != ForeignCheckpoint {
		t.Fatalf("got %v", r.Break)
	}
}

// A forged checkpoint proves nothing, neither for the trail nor against it.
func TestACheckpointIsKnownAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	empty, err := b.Checkpoint(t.Context())
	must(t, err)
	if r := b.verify(&empty); r.Break != nil || r.Entries != 0 || r.Last.Seq != 0 || r.Last.Hash != empty.Hash {
		t.Fatalf("got %+v, %v", r, r.Break)
	}
	b.fill(3, 2)
	if r := b.verify(&empty); r.Break != nil || r.Entries != 6 {
		t.Fatalf("got %+v, %v", r, r.Break)
	}
	r := b.inOrder(6)
	for seq := int64(1); seq <= 6; seq++ {
		cp := b.checkpoint(seq, b.stored((seq + 1) / 2).Entries[(seq+1)%2].Hash)
		if r := b.verify(&cp); r.Break != nil {
			t.Fatalf("entry %d: %v", seq, r.Break)
		}
		bad := b.checkpoint(seq, empty.Hash)
		if r := b.verify(&bad); r.Break == nil || r.Break.Kind != Diverged || r.Break.Seq != seq {
			t.Fatalf("entry %d: %v", seq, r.Break)
		}
	}
	for _, change := range []func(*Checkpoint){
		func(c *Checkpoint) { c.Seq-- },
		func(c *Checkpoint) { c.Hash = empty.Hash },
		func(c *Checkpoint) { c.At = c.At.Add(1e6) },
		func(c *Checkpoint) { c.MAC = empty.MAC },
	} {
		cp := r.Last
		change(&cp)
		if r := b.verify(&cp); r.Break == nil || r.Break.Kind != ForeignCheckpoint {
			t.Errorf("%+v: got %v", cp, r.Break)
		}
	}
	if r := b.verify(&r.Last); r.Break != nil {
		t.Errorf("the checkpoint of a report: %v", r.Break)
	}
}

func TestReadCheckpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(1, 1)
	cp, err := b.Checkpoint(t.Context())
	must(t, err)
	text := asText(t, cp)
	got, err := ReadCheckpoint(strings.NewReader(text + "\n"))
	must(t, err)
	if r := b.verify(&got); r.Break != nil {
		t.Fatalf("got %v", r.Break)
	}
	for _, bad := range []string{
		"", "{}", text + text, strings.Replace(text, "seq", "sec", 1), strings.Replace(text, `"seq":1`, `"seq":-1`, 1),
		strings.Replace(text, cp.Hash, strings.ToUpper(cp.Hash), 1), `{"seq":"` + strings.Repeat("1", 5000),
	} {
		if _, err := ReadCheckpoint(strings.NewReader(bad)); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func TestVerifyTellsItsProgress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(verifyPage+3, 2)
	var told []string
	_, err := b.Verify(t.Context(), nil, func(done, total int64) { told = append(told, fmt.Sprintf("%d/%d", done, total)) })
	must(t, err)
	if want := []string{"32/38", "38/38"}; !slices.Equal(told, want) {
		t.Fatalf("got %v, want %v", told, want)
	}
}

// The trail is checked while it is written, and is in order at every moment.
func TestVerifyWhileItIsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := b.open(b.eng)
	var wg sync.WaitGroup
	for _, s := range []*Service{b.Service, other} {
		wg.Go(func() {
			for i := range 60 {
				if err := s.Record(t.Context(), fact(i)); err != nil {
					t.Errorf("record: %v", err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { wg.Wait(); close(written) }()
	last := b.checkpoint(0, b.genesis.String())
	for done := false; !done; {
		select {
		case <-written:
			done = true
		default:
		}
		r := b.verify(&last)
		if r.Break != nil || r.Entries < last.Seq {
			t.Fatalf("got %+v, %v", r, r.Break)
		}
		last = r.Last
	}
	if last.Seq != 120 {
		t.Fatalf("%d entries, want 120", last.Seq)
	}
}

// A walk over shards may pass the place of a batch just before it is written; it is not missing.
func TestABatchThatTheWalkMissed(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	b.fill(5, 2)
	h.all = func(recs []store.Record) []store.Record {
		return slices.DeleteFunc(recs, func(r store.Record) bool { return r.ID == batchID(2) || r.ID == batchID(3) })
	}
	b.inOrder(10)
	var out bytes.Buffer
	must(t, b.Export(t.Context(), &out, start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0)))
	if r, err := CheckExport(&out, nil); err != nil || r.Break != nil || r.Entries != 10 {
		t.Fatalf("got %+v, %v, %v", r, r.Break, err)
	}
}

// Any change of any bit of any stored byte is found: of bodies, IDs and revisions.
func TestAnyBitIsFound(t *testing.T) {
	t.Parallel()
	b, h := setupHooked(t)
	e := fact(1)
	e.Why, e.From, e.Before, e.After = "甲醇<1", "203.0.113.7", json.RawMessage(`{"n":1.50,"t":"a"}`), json.RawMessage(`[true,null]`)
	b.batch(e, fact(2))
	b.batch(e)
	recs, err := b.eng.All(t.Context(), collection, "", verifyPage)
	must(t, err)
	page := recs
	h.Engine = &fixed{Engine: h.Engine, page: &page}
	b.inOrder(3)
	tried := 0
	for i := range recs {
		for bit := range len(recs[i].Body) * 8 {
			page = slices.Clone(recs)
			page[i].Body = flip(recs[i].Body, bit)
			wantBreak(t, b, fmt.Sprintf("batch %d, bit %d of %q", i+1, bit, page[i].Body[bit/8]))
			tried++
		}
		for bit := range len(recs[i].ID) * 8 {
			page = slices.Clone(recs)
			page[i].ID = string(flip([]byte(recs[i].ID), bit))
			slices.SortFunc(page, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) })
			wantBreak(t, b, fmt.Sprintf("ID of batch %d, bit %d", i+1, bit))
		}
		for bit := range 63 {
			page = slices.Clone(recs)
			page[i].Rev ^= 1 << bit
			wantBreak(t, b, fmt.Sprintf("revision of batch %d, bit %d", i+1, bit))
		}
	}
	if tried < 5000 {
		t.Errorf("only %d bits were tried", tried)
	}
}

func flip(text []byte, bit int) []byte {
	out := bytes.Clone(text)
	out[bit/8] ^= 1 << (bit % 8)
	return out
}

func wantBreak(t *testing.T, b *bundle, what string) {
	t.Helper()
	r, err := b.Verify(t.Context(), nil, nil)
	if err != nil || r.Break == nil {
		t.Fatalf("%s: got %+v, %v", what, r, err)
	}
}

// fixed is a store that holds one page of records.
type fixed struct {
	store.Engine
	page *[]store.Record
}

func (f *fixed) All(_ context.Context, _, after string, _ int) ([]store.Record, error) {
	return slices.DeleteFunc(slices.Clone(*f.page), func(r store.Record) bool { return r.ID <= after }), nil
}

func (f *fixed) Get(_ context.Context, _ string, ids []string) ([]store.Record, error) {
	return slices.DeleteFunc(slices.Clone(*f.page), func(r store.Record) bool { return !slices.Contains(ids, r.ID) }), nil
}
