package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"maps"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/store"
)

// Inside the compression a file is a list of items, each with its kind as first byte. Numbers are varints, texts have their length in front.
//
//	C  a collection begins: a JSON text, the specification
//	R  a record of it: ID, revision, expiry in UTC milliseconds (0: never), body
//	M  the end: a JSON text, the manifest
//
// Collections are in order of names, records in order of IDs, bytewise.
const (
	itemCollection = 'C'
	itemRecord     = 'R'
	itemManifest   = 'M'
)

const (
	maxSpec     = 64 << 10 // bytes
	maxManifest = 16 << 20
	maxID       = 512
)

var (
	collectionName = regexp.MustCompile(`^[a-z_]{1,64}$`)
	indexName      = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// encoder writes items and keeps the manifest.
type encoder struct {
	w        io.Writer
	buf      []byte
	manifest Manifest
	open     bool // a collection is
	sum      hash.Hash
}

func newEncoder(w io.Writer, m Manifest) *encoder {
	return &encoder{w: w, manifest: m, sum: sha256.New()}
}

func (e *encoder) text(item byte, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	e.buf = binary.AppendUvarint(append(e.buf[:0], item), uint64(len(text)))
	_, err = e.w.Write(append(e.buf, text...))
	return err
}

// spec is a collection's specification in a file.
type spec struct {
	Name    string            `json:"name"`
	Feed    bool              `json:"feed,omitempty"`
	Indexes map[string]string `json:"indexes,omitempty"`
}

// begin begins a collection.
func (e *encoder) begin(s store.Spec) error {
	e.end()
	e.manifest.Collections = append(e.manifest.Collections, Collection{Name: s.Name, Feed: s.Feed, Indexes: s.Indexes})
	e.open = true
	return e.text(itemCollection, spec{s.Name, s.Feed, s.Indexes})
}

// record writes a record of the collection begun last.
func (e *encoder) record(r store.Record) error {
	e.buf = appendRecord(e.buf[:0], r)
	e.count(e.buf)
	_, err := e.w.Write(e.buf)
	return err
}

func (e *encoder) count(item []byte) {
	c := &e.manifest.Collections[len(e.manifest.Collections)-1]
	c.Records++
	c.Bytes += int64(len(item))
	e.sum.Write(item) // never fails
}

func (e *encoder) end() {
	if !e.open {
		return
	}
	e.manifest.Collections[len(e.manifest.Collections)-1].SHA256 = hex.EncodeToString(e.sum.Sum(nil))
	e.sum.Reset()
	e.open = false
}

// finish writes the manifest and gives it.
func (e *encoder) finish() (Manifest, error) {
	e.end()
	return e.manifest, e.text(itemManifest, e.manifest)
}

func appendRecord(b []byte, r store.Record) []byte {
	b = binary.AppendUvarint(append(b, itemRecord), uint64(len(r.ID)))
	b = append(b, r.ID...)
	b = binary.AppendUvarint(b, uint64(r.Rev))
	exp := int64(0)
	if !r.Expires.IsZero() {
		exp = r.Expires.UnixMilli()
	}
	b = binary.AppendVarint(b, exp)
	b = binary.AppendUvarint(b, uint64(len(r.Body)))
	return append(b, r.Body...)
}

// visitor sees what is in a file. The file may still turn out to be damaged after that.
type visitor interface {
	begin(s store.Spec) error
	record(r store.Record) error
}

// decoder reads items, and counts and hashes them as an encoder does.
type decoder struct {
	r    *bufio.Reader
	e    *encoder // whose manifest must come out
	last string   // ID
}

// decode reads a file's items to the end, and gives the manifest, which holds. want is what the header says. ErrDamaged; an error of v
// as it is.
func decode(r io.Reader, want Manifest, v visitor) (Manifest, error) {
	d := &decoder{r: bufio.NewReaderSize(r, 64<<10), e: newEncoder(io.Discard, want)}
	for {
		item, err := d.r.ReadByte()
		if err != nil {
			return Manifest{}, damaged(err, "after %s", d.at())
		}
		switch item {
		case itemCollection:
			err = d.collection(v)
		case itemRecord:
			err = d.record(v)
		case itemManifest:
			return d.manifest()
		default:
			err = damaged(nil, "an unknown item after %s", d.at())
		}
		if err != nil {
			return Manifest{}, err
		}
	}
}

// at says how far the decoder has come, for people.
func (d *decoder) at() string {
	n := len(d.e.manifest.Collections)
	if n == 0 {
		return "its beginning"
	}
	return "collection " + d.e.manifest.Collections[n-1].Name
}

func (d *decoder) collection(v visitor) error {
	var s spec
	if err := d.json(&s, maxSpec); err != nil {
		return err
	}
	if err := d.admissible(s); err != nil {
		return err
	}
	given := store.Spec{Name: s.Name, Feed: s.Feed, Indexes: s.Indexes}
	d.last = ""
	if err := d.e.begin(given); err != nil {
		return err
	}
	return v.begin(given)
}

func (d *decoder) admissible(s spec) error {
	m := &d.e.manifest
	if n := len(m.Collections); n > 0 && m.Collections[n-1].Name >= s.Name {
		return damaged(nil, "collection %.64q out of order", s.Name)
	}
	if !collectionName.MatchString(s.Name) || (s.Name == DataKeys) != (m.Kind == KindDataKeys) {
		return damaged(nil, "collection %.64q in a file of kind %s", s.Name, m.Kind)
	}
	for name := range s.Indexes {
		if !indexName.MatchString(name) {
			return damaged(nil, "index %.64q of %s", name, s.Name)
		}
	}
	return nil
}

func (d *decoder) record(v visitor) error {
	if !d.e.open {
		return damaged(nil, "a record outside of a collection")
	}
	id, err := d.bytes(maxID)
	if err != nil {
		return err
	}
	r := store.Record{ID: string(id)}
	if r.ID <= d.last || !utf8.ValidString(r.ID) {
		return damaged(nil, "ID %.64q after %.64q in %s", r.ID, d.last, d.at())
	}
	rev, err := binary.ReadUvarint(d.r)
	if err != nil || rev == 0 || rev > 1<<62 {
		return damaged(err, "the revision of %.64q in %s", r.ID, d.at())
	}
	exp, err := binary.ReadVarint(d.r)
	if err != nil {
		return damaged(err, "the expiry of %.64q in %s", r.ID, d.at())
	}
	if exp != 0 {
		r.Expires = time.UnixMilli(exp).UTC()
	}
	if r.Body, err = d.bytes(store.MaxBody); err != nil {
		return err
	}
	r.Rev, d.last = int64(rev), r.ID
	if err := d.e.record(r); err != nil {
		return err
	}
	return v.record(r)
}

// manifest reads the manifest and the end, and compares with what was read.
func (d *decoder) manifest() (Manifest, error) {
	d.e.end()
	var m Manifest
	if err := d.json(&m, maxManifest); err != nil {
		return m, err
	}
	if _, err := d.r.ReadByte(); !errors.Is(err, io.EOF) {
		return m, damaged(err, "after its end")
	}
	if !m.equal(&d.e.manifest) {
		return m, damaged(nil, "the manifest says something else than what is there")
	}
	return m, nil
}

func (m *Manifest) equal(o *Manifest) bool {
	return m.Format == o.Format && m.Kind == o.Kind && m.ID == o.ID && m.Installation == o.Installation && m.Made.Equal(o.Made) &&
		m.Engine == o.Engine && slices.EqualFunc(m.Collections, o.Collections, func(a, b Collection) bool {
		return a.Name == b.Name && a.Feed == b.Feed && maps.Equal(a.Indexes, b.Indexes) && a.Records == b.Records && a.Bytes == b.Bytes && a.SHA256 == b.SHA256
	})
}

// bytes reads a text with its length, which may be up to most.
func (d *decoder) bytes(most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(d.r)
	if err != nil || n > most {
		return nil, damaged(err, "a length in %s", d.at())
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(d.r, b); err != nil {
		return nil, damaged(err, "in %s", d.at())
	}
	return b, nil
}

func (d *decoder) json(v any, most uint64) error {
	// Grown as it comes: a length alone must not take the memory.
	n, err := binary.ReadUvarint(d.r)
	if err != nil || n > most {
		return damaged(err, "a length after %s", d.at())
	}
	var text bytes.Buffer
	if _, err := io.CopyN(&text, d.r, int64(n)); err != nil {
		return damaged(err, "after %s", d.at())
	}
	dec := json.NewDecoder(&text)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return damaged(err, "after %s", d.at())
	}
	return nil
}
