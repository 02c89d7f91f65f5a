package mongo

import (
	"fmt"
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/haisu-trace/haisu/internal/store"
)

// The names of MongoDB indexes. They are hints too, so that a query for which the index is missing fails instead of reading
// the whole collection.
const (
	indexPrefix    = "find_"
	expiryIndex    = "expiry"
	feedIndex      = "feed"
	tombstoneIndex = "tombstones"
)

func byID(id string) bson.D { return bson.D{{Key: "_id", Value: id}} }

func in(ids []string) bson.E {
	return bson.E{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}
}

// live leaves out expired documents and tombstones. $not also matches where x is absent.
func live(f bson.D, now time.Time) bson.D {
	return append(f, bson.E{Key: "x", Value: bson.D{{Key: "$not", Value: bson.D{{Key: "$lte", Value: bson.NewDateTimeFromTime(now)}}}}})
}

// dead matches what live leaves out.
func dead(f bson.D, now time.Time) bson.D {
	return append(f, bson.E{Key: "x", Value: bson.D{{Key: "$lte", Value: bson.NewDateTimeFromTime(now)}}})
}

// due matches expired documents without tombstones.
func due(f bson.D, now time.Time) bson.D {
	return append(f, bson.E{Key: "x", Value: bson.D{{Key: "$gt", Value: buried}, {Key: "$lte", Value: bson.NewDateTimeFromTime(now)}}})
}

// scanFilter matches the entries of a scan that are in its range and after its position: one equality and at most one range, so that it is one
// interval of the index. ErrBadCursor.
func scanFilter(s store.Scan) (bson.D, error) {
	var bounds bson.D
	low, lowOp := "", ""
	high := ""
	if s.From != nil {
		low, lowOp = keys.EncodeToString(s.From), "$gte"
	}
	if s.To != nil {
		high = keys.EncodeToString(s.To)
	}
	if s.After != nil {
		if len(s.After.ID) > maxID || !utf8.ValidString(s.After.ID) {
			return nil, fmt.Errorf("mongo: position: %w", store.ErrBadCursor)
		}
		at := place(s.After.Order, s.After.ID)
		switch {
		case !s.Desc && at >= low:
			low, lowOp = at, "$gt"
		case s.Desc && (s.To == nil || at < high):
			high = at
		}
	}
	if lowOp != "" {
		bounds = append(bounds, bson.E{Key: lowOp, Value: low})
	}
	if s.To != nil || (s.Desc && s.After != nil) {
		bounds = append(bounds, bson.E{Key: "$lt", Value: high})
	}
	f := bson.D{{Key: "e." + s.Index, Value: keys.EncodeToString(s.Eq)}}
	if bounds != nil {
		f = append(f, bson.E{Key: "o." + s.Index, Value: bounds})
	}
	return f, nil
}

func scanSort(s store.Scan) bson.D {
	dir := 1
	if s.Desc {
		dir = -1
	}
	return bson.D{{Key: "o." + s.Index, Value: dir}}
}
