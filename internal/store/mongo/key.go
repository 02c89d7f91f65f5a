package mongo

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/store"
)

// keys encodes store.Key for MongoDB, which compares binary values by length first and so would put "b" before "aa".
// Strings are compared byte by byte (simple collation, which every collection has unless created with another), but must be UTF-8. So keys
// become base64 without padding, over an alphabet in ASCII order: for any a and b, the encodings compare as a and b do,
// prefixes included. It costs a third more space, where hexadecimal would double it.
var keys = base64.NewEncoding("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz").
	WithPadding(base64.NoPadding).Strict()

// separator ends the order key in a place. It is smaller than every character of keys, so a key that is a prefix of another stays first.
const separator = " "

// place is where a document stands in an index under one equality key: encoded order key, separator, ID. One string and not
// two fields, so that the page after a position is one range of the index, however many documents have the same order key.
// For a range [from, to) of order keys, place(order, id) >= keys(from) exactly when order >= from, and < keys(to) exactly when order < to.
func place(order store.Key, id string) string {
	return keys.EncodeToString(order) + separator + id
}

func parsePlace(s string) (store.Position, error) {
	enc, id, ok := strings.Cut(s, separator)
	if !ok {
		return store.Position{}, fmt.Errorf("mongo: a place without separator: %q", s)
	}
	order, err := keys.DecodeString(enc)
	if err != nil {
		return store.Position{}, fmt.Errorf("mongo: place %q: %w", s, err)
	}
	return store.Position{Order: order, ID: id}, nil
}
