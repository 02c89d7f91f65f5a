package trace

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/haisu-trace/haisu/internal/epcis"
	"github.com/haisu-trace/haisu/internal/store"
)

// spokenDoc remembers that events of a firm have a value in an aspect, so that the resources of a repository (EPCIS 2.0, 12.7) can be
// listed without reading events. It is written before the first such event, and once.
type spokenDoc struct {
	Aspect epcis.Aspect `json:"aspect"`
	Value  string       `json:"value"`
	Firm   string       `json:"firm"`
}

var spokenDef = store.Def[spokenDoc]{Name: "event_values", Indexes: []store.Index[spokenDoc]{{
	Name: byValue, Version: "1", Keys: func(_ string, d *spokenDoc) ([]store.Key, store.Key) {
		return []store.Key{store.K(string(d.Aspect)), store.K(string(d.Aspect), d.Firm)}, store.K(d.Value)
	},
}}}

// remember stores what the events say that was not said before.
func (s *Service) remember(ctx context.Context, items []store.Item[eventDoc]) error {
	var fresh []store.Item[spokenDoc]
	for i := range items {
		e := &items[i].V
		for _, v := range e.says() {
			if e.Part > 0 {
				continue
			}
			id := string(v.aspect) + "|" + e.Firm + "|" + v.value
			if _, known := s.heard.GetIfPresent(id); known || len(id) > maxSpokenID {
				continue
			}
			fresh = append(fresh, store.Item[spokenDoc]{ID: id, V: spokenDoc{Aspect: v.aspect, Value: v.value, Firm: e.Firm}})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	errs, err := s.spoken.InsertMany(ctx, fresh)
	for i, one := range errs {
		if one != nil && !errors.Is(one, store.ErrExists) {
			err = errors.Join(err, one)
		} else if err == nil {
			s.heard.Set(fresh[i].ID, struct{}{})
		}
	}
	return err
}

// maxSpokenID is the longest ID of a spokenDoc in bytes. A place whose URI is longer can be asked for, and is not listed.
const maxSpokenID = 500

// Spoken lists the values of an aspect in the events that a firm captured, or, for "", in all events, by their bytes. It may name a value whose
// only event was being captured when the process died. next is "" on the last page. ErrBadCursor.
func (s *Service) Spoken(ctx context.Context, firmID string, a epcis.Aspect, cursor string, limit int) (values []string, next string, err error) {
	q := store.Query{Index: byValue, Eq: store.K(string(a)), Limit: limit}
	if firmID != "" {
		q.Eq = store.K(string(a), firmID)
	}
	if cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			return nil, "", store.ErrBadCursor
		}
		q.From = store.K(string(after)).After()
	}
	page, err := s.spoken.Find(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, d := range page.Items {
		if n := len(values); n == 0 || values[n-1] != d.V.Value { // other firms say the same
			values = append(values, d.V.Value)
		}
	}
	if page.Next != "" {
		next = base64.RawURLEncoding.EncodeToString([]byte(values[len(values)-1]))
	}
	return values, next, nil
}
