package backup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/store"
)

// segment is the size of the encrypted segments.
const segment = 1 << 20

// TestDamage alters a file of several segments in every way that is known, and has every one refused before anything is written.
func TestDamage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	things, err := store.Open(b.ctx, b.eng, thingDef)
	b.ok(err)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 9 {
		b.ok(things.Insert(b.ctx, "noise/"+string(rune('a'+i)), thing{Noise: noise(r, 700<<10)}))
	}
	data, _ := b.write()
	good, err := os.ReadFile(data.Path)
	b.ok(err)
	second, _ := b.write() // under a key of its own
	other, err := os.ReadFile(second.Path)
	b.ok(err)
	if len(good) < 4*segment {
		t.Fatalf("the file has %d bytes only", len(good))
	}
	front := len(magic) + 4 + int(binary.BigEndian.Uint32(good[len(magic):]))

	cases := map[string][]byte{
		"empty":               {},
		"doubled":             slices.Concat(good, good),
		"longer":              append(slices.Clone(good), 0),
		"other magic":         slices.Concat([]byte("Haisu backup\n"), good[len(magic):]),
		"huge header":         slices.Concat([]byte(magic), []byte{0xff, 0xff, 0xff, 0xff}, good[len(magic)+4:]),
		"header alone":        good[:front],
		"segments exchanged":  slices.Concat(good[:segment], good[2*segment:3*segment], good[segment:2*segment], good[3*segment:]),
		"a segment left out":  slices.Concat(good[:segment], good[2*segment:]),
		"a segment twice":     slices.Concat(good[:2*segment], good[segment:2*segment], good[2*segment:]),
		"another's segment":   slices.Concat(good[:segment], other[segment:2*segment], good[2*segment:]),
		"another's rest":      slices.Concat(good[:front], other[front:]),
		"header altered":      bytes.Replace(good, []byte(`"engine":"sqlite"`), []byte(`"engine":"mongod"`), 1),
		"header with a field": bytes.Replace(good, []byte(`"engine":"sqlite"`), []byte(`"enginx":"sqlite"`), 1),
		"the other kind":      bytes.Replace(good, []byte(`"kind":"data"`), []byte(`"kind":"date"`), 1),
	}
	for _, n := range []int{1, len(magic), len(magic) + 3, front - 1, front + 1, front + 60, segment - 1, segment, segment + front, 2 * segment, 3*segment + 1, len(good) - 17, len(good) - 16, len(good) - 1} {
		cases["cut off at "+fmt.Sprint(n)] = good[:n]
	}
	for range 20 {
		at := r.IntN(len(good))
		cases["a bit at "+fmt.Sprint(at)] = flip(good, at)
	}
	for at := 0; at < front; at += 3 {
		cases["a bit of the header at "+fmt.Sprint(at)] = flip(good, at)
	}
	for _, at := range []int{front, front + 1, front + 33, front + 40, len(good) - 1, len(good) - 16, len(good) - 17} {
		cases["a bit at "+fmt.Sprint(at)] = flip(good, at)
	}
	for name, text := range cases {
		if bytes.Equal(text, good) {
			t.Fatalf("%s changes nothing", name)
		}
		m, err := readAll(bytes.NewReader(text), b.box, KindData, &watch{})
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrWrongKeys) && !errors.Is(err, ErrMismatch) && !strings.Contains(fmt.Sprint(err), "format") {
			t.Errorf("%s: %v, %+v", name, err, m)
		}
	}
	if _, err := readAll(bytes.NewReader(good), b.box, KindData, &watch{}); err != nil {
		t.Errorf("undamaged: %v", err)
	}

	// The same from a file.
	b.ok(os.WriteFile(data.Path, good[:len(good)-1], 0o600))
	_, err = Verify(b.ctx, b.box, Files{Data: data.Path}, nil)
	b.is(err, ErrDamaged)
	if !strings.Contains(err.Error(), filepath.Base(data.Path)) {
		t.Errorf("the error does not name the file: %v", err)
	}
}

func flip(good []byte, at int) []byte {
	out := slices.Clone(good)
	out[at] ^= 1 << (at % 8)
	return out
}

// TestChangedBetween has a file exchanged after it was verified.
func TestChangedBetween(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := b.write()
	v := b.verify(first.Path)
	things, err := store.Open(b.ctx, b.eng, thingDef)
	b.ok(err)
	b.ok(things.Insert(b.ctx, "more", thing{}))
	second, _ := b.write()
	b.ok(os.Rename(second.Path, first.Path))
	to := b.fresh()
	b.is(v.Restore(b.ctx, to, nil), ErrDamaged)
	// What was begun cannot be used.
	_, err = store.Open(b.ctx, to, thingDef)
	b.is(err, store.ErrRestoring)
}
