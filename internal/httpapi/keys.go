package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/haisu-trace/haisu/internal/access"
)

// ListKeys lists the keys of a firm.
func (s *server) ListKeys(ctx context.Context, req ListKeysRequestObject) (ListKeysResponseObject, error) {
	if err := s.keysOf(ctx, req.Id); err != nil {
		return nil, err
	}
	keys, err := s.deps.Services.Keys.Keys(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	out := ListKeys200JSONResponse{Items: make([]Key, len(keys))}
	for i := range keys {
		out.Items[i] = keyBody(&keys[i])
	}
	return out, nil
}

// keysOf is nil where the caller may deal with the keys of a firm. NotFound for another firm than the seller's, and for none.
func (s *server) keysOf(ctx context.Context, id string) error {
	if err := allow(ctx, access.Target{Firm: id}); err != nil {
		return err
	}
	_, err := s.deps.Services.Firms.Get(ctx, id)
	return err
}

// AddKey gives a firm another key.
func (s *server) AddKey(ctx context.Context, req AddKeyRequestObject) (AddKeyResponseObject, error) {
	if err := s.keysOf(ctx, req.Id); err != nil {
		return nil, err
	}
	in := req.Body
	if err := holds(ctx, in.Scopes, in.NotAfter); err != nil {
		return nil, err
	}
	once(ctx)
	k, plain, err := s.deps.Services.Keys.AddKey(ctx, access.NewKey{
		Firm: req.Id, Label: in.Label, Scopes: in.Scopes, Test: in.Test, NotAfter: in.NotAfter, By: actorOf(&callFrom(ctx).principal),
	})
	if err != nil {
		return nil, err
	}
	changed(ctx, keySubject(&k), nil, keyBody(&k))
	return AddKey201JSONResponse{
		Body: GivenKey{Key: keyBody(&k), Secret: plain}, Headers: AddKey201ResponseHeaders{Location: keyPlace(&k)},
	}, nil
}

// RotateKey gives a key in place of another.
func (s *server) RotateKey(ctx context.Context, req RotateKeyRequestObject) (RotateKeyResponseObject, error) {
	before, err := s.key(ctx, req.Id, req.Key)
	if err != nil {
		return nil, err
	}
	ends := before.NotAfter
	switch p := &callFrom(ctx).principal; {
	case before.ID == p.ID:
		ends = p.NotAfter // its own end, which the new key has, too
	case before.ReplacedBy != "":
		ends = time.Time{} // that of its overlap, which the new key has not
	}
	if err := holds(ctx, before.Scopes, ends); err != nil {
		return nil, err
	}
	once(ctx)
	overlap := time.Duration(req.Body.OverlapHours) * time.Hour
	k, plain, err := s.deps.Services.Keys.RotateKey(ctx, req.Id, req.Key, overlap, actorOf(&callFrom(ctx).principal))
	if err != nil {
		return nil, err
	}
	changed(ctx, keySubject(&before), keyBody(&before), keyBody(&k))
	return RotateKey201JSONResponse{
		Body: GivenKey{Key: keyBody(&k), Secret: plain}, Headers: RotateKey201ResponseHeaders{Location: keyPlace(&k)},
	}, nil
}

// EndKey ends a key.
func (s *server) EndKey(ctx context.Context, req EndKeyRequestObject) (EndKeyResponseObject, error) {
	before, err := s.key(ctx, req.Id, req.Key)
	if err != nil {
		return nil, err
	}
	after, err := s.deps.Services.Keys.EndKey(ctx, req.Id, req.Key, actorOf(&callFrom(ctx).principal))
	if err != nil {
		return nil, err
	}
	changed(ctx, keySubject(&before), keyBody(&before), keyBody(&after))
	return EndKey204Response{}, nil
}

// key gives a key of a firm whose keys the caller may deal with. NotFound.
func (s *server) key(ctx context.Context, firm, id string) (access.Key, error) {
	if err := s.keysOf(ctx, firm); err != nil {
		return access.Key{}, err
	}
	keys, err := s.deps.Services.Keys.Keys(ctx, firm)
	if err != nil {
		return access.Key{}, err
	}
	i := slices.IndexFunc(keys, func(k access.Key) bool { return k.ID == id })
	if i < 0 {
		return access.Key{}, refuse(http.StatusNotFound, "key_unknown", "the firm has no key of this ID")
	}
	return keys[i], nil
}

// holds is nil if the caller may give out a key with these scopes and this end: an operator any, a key only one that may do no more than it
// itself, and no longer. Else a key that may deal with keys could make itself one that may do everything, for ever.
func holds(ctx context.Context, scopes []access.Scope, ends time.Time) error {
	p := &callFrom(ctx).principal
	if p.Kind != access.KindSeller {
		return nil
	}
	for _, sc := range scopes {
		if !slices.Contains(p.Scopes, sc) {
			return refuse(http.StatusForbidden, "scope_not_held", "the key does not have the scope %s itself", sc)
		}
	}
	if !p.NotAfter.IsZero() && (ends.IsZero() || ends.After(p.NotAfter)) {
		return refuse(http.StatusForbidden, "key_outlives", "the key ends at %s itself; give an end up to then", p.NotAfter.Format(time.RFC3339))
	}
	return nil
}

func keySubject(k *access.Key) string { return "firm/" + k.Firm + "/" + k.ID }

func keyPlace(k *access.Key) string { return "/v1/firms/" + k.Firm + "/keys/" + k.ID }

func keyBody(k *access.Key) Key {
	return Key{
		Id: k.ID, Firm: k.Firm, Label: k.Label, Prefix: k.Prefix, Scopes: append([]KeyScope{}, k.Scopes...), Test: k.Test, Created: k.Created,
		CreatedBy: k.CreatedBy, NotAfter: k.NotAfter, Revoked: k.Revoked, LastUsed: k.LastUsed, ReplacedBy: k.ReplacedBy,
	}
}
