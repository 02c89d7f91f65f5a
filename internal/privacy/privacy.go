// Package privacy holds the one map of the personal data that the program keeps, and the vault that enforces it.
//
// Every record that has personal data in it (a case, a device) has a data key of its own, which seals the record's fields; the
// data keys are wrapped with the installation's keyset and lie in the collection data_keys. So a record is erased by destroying its data key: every
// copy of its fields, in backups and audit trails too, is noise from then on. A record is kept for as long as its data key is: retention is
// the key's expiry.
//
// Keep copies of data_keys apart from copies of the other data, and for a short time only. Whoever brings an old copy back must not
// overwrite the tombstones of erased records.
package privacy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// ErrErased says that a record was erased: on request, or when its time was over. Test for it with errors.Is.
var ErrErased error = fault.New(fault.NotFound, "erased", "this was erased, on request or because the time for which it is kept is over")

// dataKey is a record's data key, or the tombstone of one. Its ID is the record.
type dataKey struct {
	Wrapped string    `json:"wrapped,omitempty"` // by the keyset, bound to the record; "" in a tombstone
	Made    time.Time `json:"made,omitzero"`
	Until   time.Time `json:"until,omitzero"`  // when the key is gone; zero: not decided yet
	Erased  time.Time `json:"erased,omitzero"` // makes it a tombstone, which stays: no copy brings the record back
}

// Collection is where the data keys lie.
const Collection = "data_keys"

// Vault seals and opens personal data. It is safe for concurrent use, and any number of replicas may share a store.
type Vault struct {
	keys  *store.Collection[dataKey]
	box   *secret.Box
	now   clock.Now
	cache *cache
}

// Open declares the collection.
func Open(ctx context.Context, eng store.Engine, box *secret.Box, now clock.Now) (*Vault, error) {
	keys, err := store.Open(ctx, eng, store.Def[dataKey]{Name: Collection, Expires: func(k *dataKey) time.Time { return k.Until }})
	if err != nil {
		return nil, err
	}
	return &Vault{keys: keys, box: box, now: now, cache: newCache(cacheSize)}, nil
}

func (v *Vault) time() time.Time { return v.now().UTC().Truncate(time.Millisecond) }

// Seal encrypts one field of a record, "{kind}/{id}", so that it opens as this field of this record only. The record's data key is made by the
// first call. A field that is not in the map as sealed under this kind of record is refused. ErrErased.
func (v *Vault) Seal(ctx context.Context, record, field string, plain []byte) (string, error) {
	if err := check(record, field); err != nil {
		return "", err
	}
	k, err := v.key(ctx, record, true)
	if err != nil {
		return "", err
	}
	return k.seal(record, field, plain), nil
}

// Open decrypts what Seal made for the same record and field. ErrErased once the record was erased, here or by another replica at
// least cacheFor ago. What does not open for any other reason (it was moved, or is no sealed text) is an internal error.
func (v *Vault) Open(ctx context.Context, record, field, sealed string) ([]byte, error) {
	if err := check(record, field); err != nil {
		return nil, err
	}
	k, err := v.key(ctx, record, false)
	if err != nil {
		return nil, err
	}
	return k.open(record, field, sealed)
}

// Item is one sealed field to open.
type Item struct {
	Record, Field, Sealed string
}

// Opened is what became of an Item: the text, or why there is none.
type Opened struct {
	Plain []byte
	Err   error
}

// OpenMany opens any number of fields, of as many records, with one read of the store for a thousand data keys. The results are in the
// order of the items and as many; the error is for the call as a whole. The data keys are not kept in the cache, which a bulk would empty.
func (v *Vault) OpenMany(ctx context.Context, items []Item) ([]Opened, error) {
	out := make([]Opened, len(items))
	known := make(map[string]*key, len(items))
	var ask []string
	now := v.now()
	for i, it := range items {
		if out[i].Err = check(it.Record, it.Field); out[i].Err != nil {
			continue
		}
		if _, seen := known[it.Record]; seen {
			continue
		}
		known[it.Record] = v.cache.get(it.Record, now)
		if known[it.Record] == nil {
			ask = append(ask, it.Record)
		}
	}
	docs, err := v.keys.GetMany(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("read data keys: %w", err)
	}
	failed := map[string]error{}
	for _, record := range ask {
		d := docs[record] // the zero value, without a key, for one that is gone
		if known[record], err = v.unwrap(record, &d.V); err != nil {
			failed[record] = err
		}
	}
	for i, it := range items {
		switch {
		case out[i].Err != nil:
		case failed[it.Record] != nil:
			out[i].Err = failed[it.Record]
		default:
			out[i].Plain, out[i].Err = known[it.Record].open(it.Record, it.Field, it.Sealed)
		}
	}
	return out, nil
}

// key gives a record's data key, made if wanted. ErrErased.
func (v *Vault) key(ctx context.Context, record string, create bool) (*key, error) {
	start := v.now() // before the read: what another replica erases after it is unseen for cacheFor from here at most
	if k := v.cache.get(record, start); k != nil {
		return k, nil
	}
	d, err := v.keys.Get(ctx, record)
	if errors.Is(err, store.ErrNotFound) {
		if !create {
			return nil, ErrErased
		}
		d, err = v.begin(ctx, record)
	}
	if err != nil {
		return nil, fmt.Errorf("data key of %s: %w", record, err)
	}
	k, err := v.unwrap(record, &d.V)
	if err != nil {
		return nil, err
	}
	until := start.Add(cacheFor)
	if !d.V.Until.IsZero() && d.V.Until.Before(until) {
		until = d.V.Until
	}
	v.cache.put(record, k, until)
	return k, nil
}

// begin gives a record its data key. Of several at once one wins, and all get that one.
func (v *Vault) begin(ctx context.Context, record string) (store.Doc[dataKey], error) {
	wrapped, err := v.box.Seal(wrapPurpose(record), newKey())
	if err != nil {
		return store.Doc[dataKey]{}, err
	}
	d := store.Doc[dataKey]{ID: record, Rev: 1, V: dataKey{Wrapped: wrapped, Made: v.time()}}
	err = v.keys.Insert(ctx, record, d.V)
	if errors.Is(err, store.ErrExists) {
		return v.keys.Get(ctx, record)
	}
	return d, err
}

// unwrap makes a data key ready for use. ErrErased for a tombstone, and for nothing at all.
func (v *Vault) unwrap(record string, d *dataKey) (*key, error) {
	if d.Wrapped == "" {
		return nil, ErrErased
	}
	plain, err := v.box.Open(wrapPurpose(record), d.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key of %s: %w", record, err)
	}
	return parseKey(plain)
}

func wrapPurpose(record string) string { return "data_key/" + record }

// maxRecord is the longest name of a record, in bytes.
const maxRecord = 200

// check refuses what the map does not know. These are mistakes of the program, not of its callers.
func check(record, field string) error {
	kind, id, ok := strings.Cut(record, "/")
	if !ok || id == "" || len(record) > maxRecord || strings.ContainsFunc(record, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("privacy: %q is no record", record)
	}
	if !sealable[sealedField{kind, field}] {
		return fmt.Errorf("privacy: the map has no sealed field %q of a %q", field, kind)
	}
	return nil
}

type sealedField struct{ record, name string }

var sealable = func() map[sealedField]bool {
	m := map[sealedField]bool{}
	for i := range Fields {
		if Fields[i].Protection == Encrypted {
			m[sealedField{Fields[i].Record, Fields[i].Name}] = true
		}
	}
	return m
}()
