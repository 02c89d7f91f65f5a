package backup

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/store"
)

// copier writes again what is read.
type copier struct{ *encoder }

func sample(t testing.TB) (m Manifest, items []byte) {
	t.Helper()
	m = Manifest{Format: Format, Kind: KindData, ID: "0123", Installation: "abcd", Made: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), Engine: "sqlite"}
	var buf bytes.Buffer
	e := newEncoder(&buf, m)
	for _, step := range []func() error{
		func() error { return e.begin(store.Spec{Name: "empty"}) },
		func() error {
			return e.begin(store.Spec{Name: "things", Feed: true, Indexes: map[string]string{"a": "1", "b": "2"}})
		},
		func() error { return e.record(store.Record{ID: "a", Rev: 1, Body: []byte(`{"x":1}`)}) },
		func() error {
			return e.record(store.Record{ID: "海", Rev: 1 << 40, Expires: time.UnixMilli(1), Body: []byte{}})
		},
		func() error { _, err := e.finish(); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return m, buf.Bytes()
}

// FuzzDecode: whatever stands in a file is refused as damaged, or written again as the same items.
func FuzzDecode(f *testing.F) {
	m, items := sample(f)
	f.Add(items)
	f.Add(items[:len(items)-1])
	f.Add([]byte{})
	f.Add([]byte("M\x02{}"))
	f.Add([]byte("C\x0e{\"name\":\"a_b\"}R\x01a\x01\x00\xff\xff\xff\xff\x0f"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var buf bytes.Buffer
		got, err := decode(bytes.NewReader(data), m, copier{newEncoder(&buf, m)})
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		c := copier{newEncoder(&bytes.Buffer{}, m)}
		again, err := decode(bytes.NewReader(data), m, c)
		if err != nil || !again.equal(&got) {
			t.Errorf("read again: %+v, %v; first %+v", again, err, got)
		}
		c.end()
		if !c.manifest.equal(&got) {
			t.Errorf("written again %+v; the manifest is %+v", c.manifest, got)
		}
	})
}

// FuzzHeader reads the front of a file, which nothing has authenticated yet.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(magic + "\x00\x00\x00\x02{}"))
	f.Add([]byte(magic + "\x00\x00\x00\x30" + `{"format":1,"kind":"data","id":"x","key":"","z":1}`))
	f.Add([]byte(magic + "\xff\xff\xff\xff{}"))
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, front, err := readHeader(bytes.NewReader(data))
		if err == nil && (!bytes.HasPrefix(data, front) || h.Format != Format || h.ID == "") {
			t.Errorf("read %+v from %q", h, front)
		}
	})
}

func TestSampleIsRead(t *testing.T) {
	t.Parallel()
	m, items := sample(t)
	got, err := decode(bytes.NewReader(items), m, &watch{})
	if err != nil || len(got.Collections) != 2 || got.Collections[1].Records != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range items {
		if _, err := decode(bytes.NewReader(items[:n]), m, &watch{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut off at %d: %v", n, err)
		}
		for bit := range 8 {
			other := bytes.Clone(items)
			other[n] ^= 1 << bit
			// JSON takes names in either case.
			if again, err := decode(bytes.NewReader(other), m, &watch{}); err == nil && !again.equal(&got) {
				t.Fatalf("a bit at %d is accepted: %+v", n, again)
			}
		}
	}
}
