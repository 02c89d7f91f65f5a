package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/privacy"
)

// AddressField is how the vault knows the sealed network address of an entry.
const AddressField = "entries.entry.from"

// AddressMonths is how long after the end of its month the data key of the month's addresses is kept. Network logs are kept for six months
// at least (《网络安全法》第二十一条第三项), and personal data no longer than needed (《个人信息保护法》第十九条).
const AddressMonths = 6

// Address takes the From of an entry that was read apart, for the vault's Open with AddressField. It is false where no address was kept.
func Address(from string) (record, sealed string, ok bool) {
	month, sealed, ok := strings.Cut(from, " ")
	return addressRecord(month), sealed, ok
}

func addressRecord(month string) string { return "audit/" + month }

// sealAddress seals an address under the key of this month, and sees to it that the key has a term. The month is kept with the sealed text: the
// entry may be written in the next.
func (s *Service) sealAddress(ctx context.Context, addr string) (month string, sealed privacy.Sealed, err error) {
	if addr == "" || s.vault == nil {
		return "", "", nil
	}
	now := s.now().UTC()
	month = now.Format("2006-01")
	text, err := s.vault.Seal(ctx, addressRecord(month), AddressField, []byte(addr))
	if err != nil {
		return "", "", fmt.Errorf("audit: seal an address: %w", err)
	}
	if err := s.term(ctx, month, now); err != nil {
		return "", "", err
	}
	return month, privacy.Sealed(text), nil
}

// address is the From of an entry that is read: the month and the sealed text, which Address takes apart.
func (w *wire) address() string {
	if w.From == "" {
		return ""
	}
	return w.FromMonth + " " + string(w.From)
}

// term gives the keys of this month and the one before their terms: once per month and process, so that a crash between making a key
// and giving it its term is made good.
func (s *Service) term(ctx context.Context, month string, now time.Time) error {
	s.sealing.mu.Lock()
	done := s.sealing.done[month]
	s.sealing.mu.Unlock()
	if done {
		return nil
	}
	for back := range 2 {
		first := time.Date(now.Year(), now.Month()-time.Month(back), 1, 0, 0, 0, 0, time.UTC)
		if err := s.vault.Retain(ctx, addressRecord(first.Format("2006-01")), first.AddDate(0, 1+AddressMonths, 0)); err != nil {
			return fmt.Errorf("audit: retain addresses: %w", err)
		}
	}
	s.sealing.mu.Lock()
	defer s.sealing.mu.Unlock()
	s.sealing.done = map[string]bool{month: true}
	return nil
}
