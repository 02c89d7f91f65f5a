package store

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Key is an order-preserving encoding of a tuple of strings and integers: bytes.Compare of two keys orders them as the
// tuples are ordered, field by field, and the key of a prefix of a tuple is a byte prefix of the tuple's key. Both engines
// store it as it is, so they cannot disagree about order.
type Key []byte

const (
	tagInt    = 0x10
	tagString = 0x20
)

// K encodes a tuple. Parts are string, int, int64 or time.Time (UTC milliseconds). Any other type panics: it is a mistake
// in an index declaration, found by the first test that uses it.
func K(parts ...any) Key {
	k := make(Key, 0, 16*len(parts))
	for _, p := range parts {
		switch v := p.(type) {
		case string:
			k = append(k, tagString)
			for i := range len(v) {
				if v[i] == 0 {
					k = append(k, 0, 0xFF)
				} else {
					k = append(k, v[i])
				}
			}
			k = append(k, 0, 1)
		case int:
			k = appendInt(k, int64(v))
		case int64:
			k = appendInt(k, v)
		case time.Time:
			k = appendInt(k, v.UnixMilli())
		default:
			panic(fmt.Sprintf("store: a key part of type %T", p))
		}
	}
	return k
}

func appendInt(k Key, v int64) Key {
	k = append(k, tagInt)
	return binary.BigEndian.AppendUint64(k, uint64(v)^(1<<63))
}

// After is the smallest key that is greater than every key with prefix k: the exclusive end of a prefix range. It is nil, which
// means 'no end', when there is none.
func (k Key) After() Key {
	e := append(Key(nil), k...)
	for i := len(e) - 1; i >= 0; i-- {
		if e[i] != 0xFF {
			e[i]++
			return e[:i+1]
		}
	}
	return nil
}
