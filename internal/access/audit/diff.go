package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The bounds of a Diff.
const (
	MaxDifferences = 100
	maxShown       = 500 // bytes of one value
	maxDepth       = 16  // deeper down, values are compared as a whole
)

// Difference is one member that changed.
type Difference struct {
	Path          string // JSON Pointer (RFC 6901); "" is the whole document
	Before, After string // JSON, cut to 500 bytes; "" where there is none
}

// Diff gives what changed between two documents, in the order of their members, for display: up to MaxDifferences; more says that there are more.
// Lists are compared place by place. Numbers that are written differently differ. No document is one with nothing in it. A text that is no
// JSON is compared as a whole.
func Diff(before, after json.RawMessage) (changes []Difference, more bool) {
	b, berr := decodeDoc(before)
	a, aerr := decodeDoc(after)
	if berr != nil || aerr != nil {
		if bytes.Equal(before, after) {
			return nil, false
		}
		return []Difference{{"", cut(string(before), maxShown), cut(string(after), maxShown)}}, false
	}
	d := &differ{}
	d.compare("", orEmpty(b, a), orEmpty(a, b), 0)
	return d.changes, d.more
}

// absent stands for a member that is not there.
type absent struct{}

func decodeDoc(doc json.RawMessage) (any, error) {
	if len(doc) == 0 {
		return absent{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

type differ struct {
	changes []Difference
	more    bool
}

func (d *differ) compare(path string, b, a any, depth int) {
	if d.more {
		return
	}
	bm, bIsMap := b.(map[string]any)
	am, aIsMap := a.(map[string]any)
	bl, bIsList := b.([]any)
	al, aIsList := a.([]any)
	switch {
	case depth < maxDepth && bIsMap && aIsMap:
		d.objects(path, bm, am, depth)
	case depth < maxDepth && bIsList && aIsList:
		for i := range max(len(bl), len(al)) {
			d.compare(path+"/"+strconv.Itoa(i), at(bl, i), at(al, i), depth+1)
		}
	default:
		d.values(path, b, a)
	}
}

// orEmpty gives an empty object for no document beside one, so that each member of a new or deleted document shows.
func orEmpty(v, other any) any {
	_, gone := v.(absent)
	_, object := other.(map[string]any)
	if gone && object {
		return map[string]any{}
	}
	return v
}

func (d *differ) objects(path string, b, a map[string]any, depth int) {
	names := slices.Collect(maps.Keys(b))
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		d.compare(path+"/"+pointer(name), member(b, name), member(a, name), depth+1)
	}
}

func (d *differ) values(path string, b, a any) {
	bs, as := text(b), text(a)
	if bs == as {
		return
	}
	if len(d.changes) == MaxDifferences {
		d.more = true
		return
	}
	d.changes = append(d.changes, Difference{path, cut(bs, maxShown), cut(as, maxShown)})
}

// text gives a value as JSON; "" if it is absent.
func text(v any) string {
	if _, gone := v.(absent); gone {
		return ""
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "" // decoded JSON can be encoded
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

func pointer(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
