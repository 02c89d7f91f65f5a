package mongo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/haisu-trace/haisu/internal/store"
)

// maxID is the longest ID in the database, in bytes; what an ID may be is store.CheckID's to say.
const maxID = store.MaxStoredID

// maxKeys is the most that the equality keys of one document may take, in bytes: with the largest body it stays well under MongoDB's
// 16 MB for a document.
const maxKeys = 8 << 20

// document is a stored document as it is read; what was not projected is zero.
type document struct {
	ID       string            `bson:"_id"`
	Rev      int64             `bson:"r"`
	Body     []byte            `bson:"b"`
	Counters map[string]int64  `bson:"n"`
	Places   map[string]string `bson:"o"`
	Expires  *bson.DateTime    `bson:"x"`
	Updated  bson.Timestamp    `bson:"u"`
}

// content is the projection of what record needs.
var content = bson.D{
	{Key: "r", Value: 1}, {Key: "b", Value: 1}, {Key: "n", Value: 1}, {Key: "x", Value: 1},
}

// record gives the document as the port sees it, without entries. The body of a counter document is made here: a flat JSON
// object with its names in order.
func (d *document) record() (store.Record, error) {
	r := store.Record{ID: d.ID, Rev: d.Rev, Body: d.Body}
	if d.Expires != nil {
		r.Expires = d.Expires.Time().UTC()
	}
	if d.Counters == nil {
		return r, nil
	}
	plain := make(map[string]int64, len(d.Counters))
	for k, v := range d.Counters {
		name, err := counterName(k)
		if err != nil {
			return r, err
		}
		plain[name] = v
	}
	var err error
	r.Body, err = json.Marshal(plain)
	return r, err
}

// buried says whether the document is a tombstone.
func (d *document) buried() bool { return d.Expires != nil && *d.Expires == buried }

// expired says whether the document is absent for readers at an instant.
func (d *document) expired(now time.Time) bool {
	return d.Expires != nil && *d.Expires <= bson.NewDateTimeFromTime(now)
}

func checkBatch(n int) error {
	if n > store.MaxBatch {
		return fmt.Errorf("mongo: %d in one call, at most %d", n, store.MaxBatch)
	}
	return nil
}

func checkLimit(n int) error {
	if n < 1 || n > store.MaxBatch {
		return fmt.Errorf("mongo: limit %d is not in 1..%d", n, store.MaxBatch)
	}
	return nil
}

func (c *collection) checkIndex(name string) error {
	if !c.indexes[name] {
		return fmt.Errorf("mongo: %s has no index %q", c.name, name)
	}
	return nil
}

// index is one index's part of a document.
type index struct {
	eq    []string
	has   map[string]bool
	order store.Key
}

// arrayItem is what BSON adds to a string in an array: type, position in digits, length, two terminators.
const arrayItem = 16

// indexed gives the values of e and o, by index name; both are nil when there are no entries.
func (c *collection) indexed(r store.Record) (eq, places bson.D, err error) {
	byName := map[string]*index{}
	size := 0
	for _, en := range r.Entries {
		if err := c.checkIndex(en.Index); err != nil {
			return nil, nil, err
		}
		ix := byName[en.Index]
		if ix == nil {
			ix = &index{order: en.Order, has: map[string]bool{}}
			byName[en.Index] = ix
		}
		if !bytes.Equal(ix.order, en.Order) {
			return nil, nil, fmt.Errorf("mongo: %s %s: entries of index %s with different order keys", c.name, r.ID, en.Index)
		}
		if k := keys.EncodeToString(en.Eq); !ix.has[k] {
			ix.has[k] = true
			ix.eq = append(ix.eq, k)
			size += len(k) + arrayItem
		}
	}
	if size > maxKeys {
		return nil, nil, fmt.Errorf("mongo: %s %s: %d bytes of index keys: %w", c.name, r.ID, size, store.ErrTooLarge)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		ix := byName[name]
		eq = append(eq, bson.E{Key: name, Value: ix.eq})
		places = append(places, bson.E{Key: name, Value: place(ix.order, r.ID)})
	}
	return eq, places, nil
}

// fields gives what a record stores beside _id, r and u, and the fields that it must not have.
func (c *collection) fields(r store.Record) (set, unset bson.D, err error) {
	eq, places, err := c.indexed(r)
	if err != nil {
		return nil, nil, err
	}
	set = bson.D{{Key: "b", Value: bson.Binary{Data: r.Body}}}
	if eq != nil {
		set = append(set, bson.E{Key: "e", Value: eq}, bson.E{Key: "o", Value: places})
	} else {
		unset = append(unset, bson.E{Key: "e", Value: ""}, bson.E{Key: "o", Value: ""})
	}
	if !r.Expires.IsZero() {
		set = append(set, bson.E{Key: "x", Value: expiry(r.Expires)})
	} else {
		unset = append(unset, bson.E{Key: "x", Value: ""})
	}
	return set, append(unset, bson.E{Key: "n", Value: ""}, bson.E{Key: "d", Value: ""}), nil
}

// buried is the expiry of tombstones.
const buried = bson.DateTime(0)

// expiry keeps clear of buried.
func expiry(t time.Time) bson.DateTime { return max(bson.NewDateTimeFromTime(t), buried+1) }

// stamp makes the server set u: $currentDate in updates, and in inserts the empty timestamp, which the server replaces in every
// top-level field but _id. Both take the cluster's logical time, which no clock of a client touches and
// which does not go back when another server becomes primary.
var stamp = bson.E{Key: "$currentDate", Value: bson.D{{Key: "u", Value: bson.D{{Key: "$type", Value: "timestamp"}}}}}

// newDocument is what Insert sends for a record.
func (c *collection) newDocument(r store.Record) (bson.D, error) {
	set, _, err := c.fields(r)
	if err != nil {
		return nil, err
	}
	d := bson.D{{Key: "_id", Value: r.ID}, {Key: "r", Value: int64(1)}}
	return append(append(d, set...), bson.E{Key: "u", Value: bson.Timestamp{}}), nil
}

// counterEscapes are the characters that mean something in a field path; % escapes them and itself.
var (
	counterEscapes = strings.NewReplacer("%", "%25", ".", "%2E", "$", "%24", "\x00", "%00")
	counterPlain   = strings.NewReplacer("%25", "%", "%2E", ".", "%24", "$", "%00", "\x00")
)

// emptyCounter stands for the empty name; no escaped name ends with a bare %.
const emptyCounter = "%"

// counterField is the field below n that holds a counter.
func counterField(name string) string {
	if name == "" {
		return emptyCounter
	}
	return counterEscapes.Replace(name)
}

func counterName(field string) (string, error) {
	if field == emptyCounter {
		return "", nil
	}
	name := counterPlain.Replace(field)
	if counterField(name) != field {
		return "", fmt.Errorf("mongo: counter field %q", field)
	}
	return name, nil
}
