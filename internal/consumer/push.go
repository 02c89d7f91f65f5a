package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

// owner says which device a push token belongs to. Its ID is the token's keyed hash.
type owner struct {
	Device string `json:"device"`
}

// record is a device's name in the vault; pushField is the one field of it that is sealed.
func record(device string) string { return "device/" + device }

const pushField = "push_token"

func (s *Service) pushHash(token string) string { return s.hasher.Hash("push_token", token) }

// errSame stops an update that has nothing to change.
var errSame = errors.New("consumer: nothing to change")

// SetPushToken sets the token under which FCM knows the device; empty removes it. A token reaches one phone, so it is taken from the
// device that had it before, which a reinstalled app leaves behind; else that phone would be told twice. The same token again writes
// nothing. Invalid; Unauthenticated for a device that was erased.
func (s *Service) SetPushToken(ctx context.Context, id, token string) error {
	if len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fault.InvalidFields(fault.Field{Pointer: "/token", Code: "push_token", Detail: "printable ASCII without spaces, at most 4096 bytes"})
	}
	d, err := s.devices.Get(ctx, id)
	if err != nil {
		return err
	}
	if !d.V.Erased.IsZero() {
		return errToken
	}
	key := s.pushHash(token)
	if token == "" {
		key = ""
	}
	if d.V.PushHash != key {
		// First, while the old hash is known: an entry that is left behind could not be found again.
		if err := s.disown(ctx, id, d.V.PushHash); err != nil {
			return err
		}
		if err := s.storePushToken(ctx, &d.V, token, key); err != nil {
			return err
		}
	}
	if token == "" {
		return nil
	}
	return s.own(ctx, id, token, key)
}

// storePushToken seals a token, or removes it, and lets its data key live as long as the device was used lately.
func (s *Service) storePushToken(ctx context.Context, d *Device, token, key string) error {
	sealed := ""
	if token != "" {
		var err error
		if sealed, err = s.vault.Seal(ctx, record(d.ID), pushField, []byte(token)); err != nil {
			return fmt.Errorf("push token of device %s: %w", d.ID, err)
		}
		if err := s.vault.Retain(ctx, record(d.ID), keepUntil(month(s.now()))); err != nil {
			return err
		}
	}
	_, err := s.devices.Update(ctx, d.ID, func(d *Device) error {
		if !d.Erased.IsZero() {
			return errToken
		}
		d.PushToken, d.PushHash = privacy.Sealed(sealed), key
		return nil
	})
	return err
}

// own makes a device the owner of a token, which it has already. The claim comes last: whoever dies before it finds the old owner again when
// the phone repeats its request.
func (s *Service) own(ctx context.Context, id, token, key string) error {
	before, err := s.owners.Get(ctx, key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if before.V.Device == id {
		return nil
	}
	if before.V.Device != "" {
		if err := s.DropPushToken(ctx, before.V.Device, token); err != nil {
			return err
		}
	}
	_, err = s.owners.Upsert(ctx, key, func(o *owner) error { o.Device = id; return nil })
	return err
}

// disown forgets that a device owns a token, if it does. "" is no token.
func (s *Service) disown(ctx context.Context, id, key string) error {
	if key == "" {
		return nil
	}
	d, err := s.owners.Get(ctx, key)
	if err == nil && d.V.Device == id {
		err = s.owners.DeleteRev(ctx, d)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) { // it is another's by now
		return nil
	}
	return err
}

// DropPushToken removes a push token that FCM has called unregistered, if the device still has that one.
func (s *Service) DropPushToken(ctx context.Context, id, token string) error {
	key := s.pushHash(token)
	_, err := s.devices.Update(ctx, id, func(d *Device) error {
		if d.PushHash != key || !d.Erased.IsZero() {
			return errSame
		}
		d.PushToken, d.PushHash = "", ""
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, errSame) {
		return err
	}
	return s.disown(ctx, id, key) // also by a repetition: the process may have died before
}

// PushTokens opens the push tokens of devices, as many as are given, with one read. A device that has none, or was erased meanwhile, is not in
// tokens. unreadable are devices whose token does not open for another reason, which a later try may mend: a keys file that lacks a key.
func (s *Service) PushTokens(ctx context.Context, devices map[string]Device) (tokens map[string]string, unreadable map[string]error, err error) {
	items := make([]privacy.Item, 0, len(devices))
	ids := make([]string, 0, len(devices))
	for id, d := range devices {
		if d.PushToken != "" {
			items, ids = append(items, privacy.Item{Record: record(id), Field: pushField, Sealed: string(d.PushToken)}), append(ids, id)
		}
	}
	opened, err := s.vault.OpenMany(ctx, items)
	if err != nil {
		return nil, nil, fmt.Errorf("push tokens: %w", err)
	}
	tokens, unreadable = make(map[string]string, len(ids)), map[string]error{}
	for i, id := range ids {
		switch err := opened[i].Err; {
		case err == nil:
			tokens[id] = string(opened[i].Plain)
		case !errors.Is(err, privacy.ErrErased):
			unreadable[id] = err
		}
	}
	return tokens, unreadable, nil
}
