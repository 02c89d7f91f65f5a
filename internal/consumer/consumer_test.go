package consumer

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/clock/clocktest"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/warning"
)

const gtin = gs1.GTIN("06901234567892")

type bundle struct {
	*Service
	eng   store.Engine
	vault *privacy.Vault
	clock *clocktest.Clock
}

func open(t *testing.T) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{clock: clocktest.New(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))}
	var err error
	b.eng, err = sqlite.Open(t.Context(), filepath.Join(dir, "t.db"), sqlite.WithClock(b.clock.Now))
	must(t, err)
	t.Cleanup(func() { must(t, b.eng.Close()) })
	box, err := secret.OpenFile(filepath.Join(dir, "keys.json"), true)
	must(t, err)
	b.vault, err = privacy.Open(t.Context(), b.eng, box, b.clock.Now)
	must(t, err)
	b.Service, err = Open(t.Context(), Deps{Engine: b.eng, Hasher: box, Vault: b.vault, Now: b.clock.Now})
	must(t, err)
	return b
}

func setup(t *testing.T) (*Service, func(time.Duration)) {
	t.Helper()
	b := open(t)
	return b.Service, b.clock.Advance
}

// pushToken is the push token of a device, "" for none.
func pushToken(t *testing.T, s *Service, d Device) string {
	t.Helper()
	tokens, unreadable, err := s.PushTokens(t.Context(), map[string]Device{d.ID: d})
	must(t, err)
	if len(unreadable) > 0 {
		t.Fatal(unreadable)
	}
	return tokens[d.ID]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func register(t *testing.T, s *Service) (Device, string) {
	t.Helper()
	d, token, err := s.Register(t.Context(), NewDevice{Platform: IOS, Lang: "en"})
	must(t, err)
	return d, token
}

func TestADeviceIsKnownByItsTokenAlone(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	d, token := register(t, s)
	_, other := register(t, s)
	got, err := s.ByToken(t.Context(), token)
	must(t, err)
	if got.ID != d.ID || strings.Contains(fmt.Sprint(got), token) {
		t.Fatalf("%+v", got)
	}
	for _, forged := range []string{"", "hd__x", "hd_\xff_x", "hd_" + d.ID, "hd_" + d.ID + "_", token + "0", "hd_" + d.ID + "_" + strings.Split(other, "_")[2], "hk_" + token[3:]} {
		if _, err := s.ByToken(t.Context(), forged); fault.KindOf(err) != fault.Unauthenticated {
			t.Errorf("%q: %v", forged, err)
		}
	}
	if _, _, err := s.Register(t.Context(), NewDevice{Platform: "pager", Lang: "fr"}); !strings.Contains(fmt.Sprint(err), "/platform") || !strings.Contains(fmt.Sprint(err), "/lang") {
		t.Errorf("a bad device: %v", err)
	}
}

func TestADeadPushTokenIsDroppedOnlyIfItIsStillTheDevices(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	d, token := register(t, s)
	ctx := t.Context()
	must(t, s.SetPushToken(ctx, d.ID, "new"))
	must(t, s.DropPushToken(ctx, d.ID, "old"))
	if got, err := s.ByToken(ctx, token); err != nil || pushToken(t, s, got) != "new" {
		t.Fatalf("%+v, %v", got, err)
	}
	must(t, s.DropPushToken(ctx, d.ID, "new"))
	if got, err := s.ByToken(ctx, token); err != nil || got.PushToken != "" || got.PushHash != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	must(t, s.DropPushToken(ctx, "nobody", "x"))
	for _, bad := range []string{"with space", "ctrl\x01", "umläut", strings.Repeat("x", maxToken+1)} {
		if err := s.SetPushToken(ctx, d.ID, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestSubscriptionsAreNormalisedAndKeepTheirAge(t *testing.T) {
	t.Parallel()
	s, pass := setup(t)
	d, _ := register(t, s)
	ctx := t.Context()
	subs, err := s.SetSubscriptions(ctx, d.ID, []Subscription{
		{Kind: SubGTIN, Value: "6901234567892"}, {Kind: SubBrand, Value: " Sea  STAR "}, {Kind: SubOrigin, Value: "fr"}, {Kind: SubAll, Value: "ignored"}, {Kind: SubAll},
	})
	must(t, err)
	if len(subs) != 4 || subs[0].Value != string(gtin) || subs[1].Value != "sea star" || subs[2].Value != "FR" || subs[3].Value != "" || subs[0].MinLevel != warning.Blue {
		t.Fatalf("%+v", subs)
	}
	first := subs[0].Since
	pass(time.Hour)
	subs, err = s.SetSubscriptions(ctx, d.ID, []Subscription{{Kind: SubGTIN, Value: string(gtin)}, {Kind: SubAll, MinLevel: warning.Red}})
	must(t, err)
	if !subs[0].Since.Equal(first) || subs[1].Since.Equal(first) {
		t.Errorf("since: %+v", subs)
	}
	_, err = s.SetSubscriptions(ctx, d.ID, []Subscription{
		{Kind: "x"}, {Kind: SubCategory, Value: "x"}, {Kind: SubHazard, Value: "x"}, {Kind: SubGTIN, Value: "1"}, {Kind: SubBrand}, {Kind: SubOrigin, Value: "FRA"}, {Kind: SubAll, MinLevel: "pink"},
	})
	for i := range 7 {
		if !strings.Contains(fmt.Sprint(err), fmt.Sprintf("/subscriptions/%d/", i)) {
			t.Errorf("subscription %d is not in %v", i, err)
		}
	}
	if _, err := s.SetSubscriptions(ctx, d.ID, make([]Subscription, MaxSubscriptions+1)); fault.KindOf(err) != fault.TooMany {
		t.Errorf("too many: %v", err)
	}
}

func TestHoldings(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	d, _ := register(t, s)
	other, _ := register(t, s)
	ctx := t.Context()
	h, err := s.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Lot: "L 24-A1", Typed: true})
	must(t, err)
	again, err := s.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Lot: "l24a1"})
	must(t, err)
	if again.ID != h.ID {
		t.Error("the same goods are two holdings")
	}
	if err := s.DeleteHolding(ctx, other.ID, h.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another's holding: %v", err)
	}
	must(t, s.DeleteHolding(ctx, d.ID, h.ID))
	for i := range MaxHoldings {
		_, err := s.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Lot: fmt.Sprint(i)})
		must(t, err)
	}
	if _, err := s.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Lot: "more"}); fault.KindOf(err) != fault.TooMany {
		t.Errorf("too many: %v", err)
	}
	page, err := s.Holdings(ctx, d.ID, "", 150)
	must(t, err)
	rest, err := s.Holdings(ctx, d.ID, page.Next, 150)
	must(t, err)
	if len(page.Items) != 150 || len(rest.Items) != 50 || rest.Next != "" {
		t.Errorf("pages of %d and %d", len(page.Items), len(rest.Items))
	}
	_, err = s.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Produced: "yesterday", Expires: "2026-13-01", Lot: strings.Repeat("x", 81), Serial: strings.Repeat("x", 21)})
	for _, p := range []string{"/produced", "/expires", "/lot", "/serial"} {
		if !strings.Contains(fmt.Sprint(err), p) {
			t.Errorf("%s is not in %v", p, err)
		}
	}
}

// The streams of an audience are in the order of device IDs and begin right after any of them.
func TestStreamsBeginAfterADevice(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	ctx := context.Background()
	for _, id := range []string{"a", "ab", "b", "c"} {
		must(t, s.RecordExposure(ctx, id, gs1.Ref{GTIN: gtin, Lot: "L"}, time.Now()))
		must(t, s.RecordExposure(ctx, id, gs1.Ref{GTIN: gtin, Lot: "L"}, time.Now()))
		must(t, s.RecordExposure(ctx, id, gs1.Ref{GTIN: gtin, Serial: "S"}, time.Now()))
	}
	for after, want := range map[string]string{"": "aaababbbcc", "a": "ababbbcc", "ab": "bbcc", "aa": "ababbbcc", "b": "cc", "c": ""} {
		p, err := s.ScannersAfter(ctx, gtin, after, "")
		must(t, err)
		got := ""
		for _, x := range p.Items {
			got += x.Device
		}
		if got != want {
			t.Errorf("after %q: %s, want %s", after, got, want)
		}
	}
}

func TestAPushTokenBelongsToOneDevice(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	ctx := t.Context()
	old, _ := register(t, s)
	reinstalled, _ := register(t, s)
	other, _ := register(t, s)
	must(t, s.SetPushToken(ctx, other.ID, "another-phone"))
	for range 2 { // a phone repeats its requests
		must(t, s.SetPushToken(ctx, old.ID, "phone"))
		must(t, s.SetPushToken(ctx, reinstalled.ID, "phone"))
	}
	devices, err := s.Devices(ctx, []string{old.ID, reinstalled.ID, other.ID})
	must(t, err)
	if devices[old.ID].PushToken != "" || pushToken(t, s, devices[reinstalled.ID]) != "phone" || pushToken(t, s, devices[other.ID]) != "another-phone" {
		t.Fatalf("%+v", devices)
	}
}
