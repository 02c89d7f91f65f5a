package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/privacy/privacytest"
	"github.com/haisu-trace/haisu/internal/store"
)

// everything are the collections that hold what is kept of a device.
var everything = []string{"devices", "push_tokens", "holdings", "exposures", "data_keys"}

// fakeInbox has alerts by device, and fails when told so.
type fakeInbox struct {
	alerts map[string][]Told
	fails  error
}

func (f *fakeInbox) Forget(_ context.Context, device string) error {
	if f.fails == nil {
		delete(f.alerts, device)
	}
	return f.fails
}

func (f *fakeInbox) Told(_ context.Context, device, cursor string, limit int) ([]Told, string, error) {
	at := 0
	if cursor != "" {
		if _, err := fmt.Sscan(cursor, &at); err != nil {
			return nil, "", store.ErrBadCursor
		}
	}
	list := f.alerts[device][at:]
	if len(list) > limit {
		return list[:limit], fmt.Sprint(at + limit), nil
	}
	return list, "", nil
}

// full makes a device of which everything is kept that can be.
func (b *bundle) full(t *testing.T, in *fakeInbox) (Device, string) {
	t.Helper()
	ctx := t.Context()
	d, token := register(t, b.Service)
	must(t, b.SetPushToken(ctx, d.ID, "CANARY-push-token-"+d.ID))
	_, err := b.SetSubscriptions(ctx, d.ID, []Subscription{{Kind: SubAll}})
	must(t, err)
	for i := range 3 {
		_, err := b.AddHolding(ctx, d.ID, Holding{GTIN: gtin, Lot: fmt.Sprint("H", i)})
		must(t, err)
		must(t, b.RecordExposure(ctx, d.ID, gs1.Ref{GTIN: gtin, Serial: fmt.Sprint("S", i)}, b.clock.Now()))
		in.alerts[d.ID] = append(in.alerts[d.ID], Told{No: "HN-2026-00001", Rev: i + 1, Reasons: json.RawMessage(`[]`)})
	}
	return d, token
}

func (b *bundle) withInbox() *fakeInbox {
	in := &fakeInbox{alerts: map[string][]Told{}}
	b.UseInbox(in)
	return in
}

func TestAPushTokenIsStoredSealed(t *testing.T) {
	t.Parallel()
	b := open(t)
	d, token := b.full(t, b.withInbox())
	stored := privacytest.Check(t, b.eng, []string{"CANARY", token}, everything...)
	for coll, want := range map[string]int{"devices": 1, "push_tokens": 1, "holdings": 3, "exposures": 3, "data_keys": 1} {
		if len(stored[coll]) != want {
			t.Errorf("%d records in %s, want %d", len(stored[coll]), coll, want)
		}
	}
	copied := stored["devices"][0].Body
	must(t, b.Erase(t.Context(), d.ID))
	var old Device
	must(t, json.Unmarshal(copied, &old))
	if old.PushToken == "" || pushToken(t, b.Service, old) != "" {
		t.Error("an old copy of the device still opens")
	}
}

func TestExportGivesEverythingInBoundedPages(t *testing.T) {
	t.Parallel()
	b := open(t)
	in := b.withInbox()
	d, _ := b.full(t, in)
	b.full(t, in)
	var got Export
	pages := 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		p, err := b.Export(t.Context(), d.ID, cursor, 2)
		must(t, err)
		if n := len(p.Holdings) + len(p.Exposures) + len(p.Alerts); n > 2 || (p.Device != nil) != (cursor == "") {
			t.Fatalf("page %d has %d entries: %+v", pages, n, p)
		}
		if p.Device != nil {
			got.Device = p.Device
		}
		got.Holdings, got.Exposures, got.Alerts = append(got.Holdings, p.Holdings...), append(got.Exposures, p.Exposures...), append(got.Alerts, p.Alerts...)
		cursor = p.Next
	}
	if pages != 6 || len(got.Holdings) != 3 || len(got.Exposures) != 3 || len(got.Alerts) != 3 {
		t.Fatalf("%d pages: %+v", pages, got)
	}
	if x := got.Device; x.PushToken != "CANARY-push-token-"+d.ID || len(x.Subscriptions) != 1 || x.Seen != "2026-11" || x.ID != d.ID {
		t.Fatalf("%+v", x)
	}
	for _, h := range got.Holdings {
		if h.Device != d.ID {
			t.Fatal("another's holding")
		}
	}
	for _, cursor := range []string{"x", "h.???", "e.???", "a.???", "z.", "."} {
		if _, err := b.Export(t.Context(), d.ID, cursor, 2); fault.CodeOf(err) != "bad_cursor" {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	if _, err := b.Export(t.Context(), "nobody", "", 2); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("a device that does not exist: %v", err)
	}
}

// left is what is still stored of a device.
func (b *bundle) left(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	for coll, recs := range privacytest.Check(t, b.eng, nil, everything...) {
		for _, r := range recs {
			if r.ID == id || len(r.ID) > len(id) && r.ID[:len(id)] == id || r.ID == "device/"+id || string(r.Body) == fmt.Sprintf(`{"device":%q}`, id) {
				out = append(out, coll)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestErasureTakesAllOfOneDeviceAndNothingElse(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	in := b.withInbox()
	d, token := b.full(t, in)
	other, otherToken := b.full(t, in)
	for range 2 {
		must(t, b.Erase(ctx, d.ID))
	}
	must(t, b.Erase(ctx, "nobody"))
	if _, err := b.ByToken(ctx, token); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("the device is still known: %v", err)
	}
	if err := b.SetPushToken(ctx, d.ID, "again"); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("an erased device got a push token: %v", err)
	}
	if _, err := b.SetSubscriptions(ctx, d.ID, nil); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("an erased device got subscriptions: %v", err)
	}
	if got := b.left(t, d.ID); !slices.Equal(got, []string{"data_keys", "devices"}) || in.alerts[d.ID] != nil {
		t.Fatalf("left: %v, %v", got, in.alerts)
	}
	// A request that was under way when the order came.
	must(t, b.RecordExposure(ctx, d.ID, gs1.Ref{GTIN: gtin, Serial: "LATE"}, b.clock.Now()))
	if n, err := b.Sweep(ctx, 10); err != nil || n != 0 {
		t.Fatalf("ended before its time: %d, %v", n, err)
	}
	b.clock.Advance(settleFor + time.Millisecond)
	if n, err := b.Sweep(ctx, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if got := b.left(t, d.ID); !slices.Equal(got, []string{"data_keys"}) { // the tombstone
		t.Fatalf("left: %v", got)
	}
	if got, err := b.ByToken(ctx, otherToken); err != nil || pushToken(t, b.Service, got) != "CANARY-push-token-"+other.ID || len(in.alerts[other.ID]) != 3 {
		t.Fatalf("the other device: %+v, %v", got, err)
	}
	if got := b.left(t, other.ID); len(got) != 1+1+3+3+1 {
		t.Fatalf("the other device has %v", got)
	}
}

// failing is a vault that fails while told so, as if the process died there.
type failing struct {
	Vault
	fails bool
}

var errDied = errors.New("died")

func (f *failing) Erase(ctx context.Context, record string) error {
	if f.fails {
		return errDied
	}
	return f.Vault.Erase(ctx, record)
}

func TestAnInterruptedErasureIsCarriedThrough(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	in := b.withInbox()
	first, token := b.full(t, in)
	second, _ := b.full(t, in)
	f := &failing{Vault: b.vault, fails: true}
	b.Service.vault = f
	if err := b.Erase(ctx, first.ID); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	f.fails = false
	in.fails = errDied
	if err := b.Erase(ctx, second.ID); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if _, err := b.ByToken(ctx, token); fault.KindOf(err) != fault.Unauthenticated {
		t.Fatalf("the device is still known after the order: %v", err)
	}
	b.clock.Advance(settleFor + time.Millisecond)
	if n, err := b.Sweep(ctx, 10); n != 0 || !errors.Is(err, errDied) {
		t.Fatal(n, err)
	}
	in.fails = nil
	if n, err := b.Sweep(ctx, 10); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for _, d := range []Device{first, second} {
		if got := b.left(t, d.ID); !slices.Equal(got, []string{"data_keys"}) || in.alerts[d.ID] != nil {
			t.Errorf("left: %v", got)
		}
	}
}

// A process without the alerts (a command) begins erasures and leaves their end to one that has them.
func TestNothingIsEndedWithoutTheInbox(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	d, _ := b.full(t, &fakeInbox{alerts: map[string][]Told{}})
	must(t, b.Erase(ctx, d.ID))
	b.clock.Advance(settleFor + time.Hour)
	if n, err := b.Sweep(ctx, 10); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if got := b.left(t, d.ID); !slices.Contains(got, "devices") {
		t.Fatalf("the order is gone: %v", got)
	}
	if _, err := b.Export(ctx, d.ID, "a.", 10); !errors.Is(err, errNoInbox) {
		t.Fatalf("an export without the alerts: %v", err)
	}
}

// revision is how often a device was written.
func (b *bundle) revision(t *testing.T, id string) int64 {
	t.Helper()
	recs, err := b.eng.Get(t.Context(), "devices", []string{id})
	must(t, err)
	if len(recs) != 1 {
		t.Fatalf("%d devices %s", len(recs), id)
	}
	return recs[0].Rev
}

func TestLastUseIsWrittenOnceAMonthAndNotByTheRequest(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	d, token := register(t, b.Service)
	use := func() {
		t.Helper()
		for range 5 {
			_, err := b.ByToken(ctx, token)
			must(t, err)
		}
	}
	use()
	if n, err := b.Sweep(ctx, 10); n != 0 || err != nil || b.revision(t, d.ID) != 1 {
		t.Fatal("written in the month of its registration", n, err)
	}
	b.clock.Advance(10 * 24 * time.Hour) // December
	use()
	if b.revision(t, d.ID) != 1 {
		t.Fatal("written by a request")
	}
	for range 3 {
		_, err := b.Sweep(ctx, 10)
		must(t, err)
		use()
	}
	if got := b.revision(t, d.ID); got != 2 {
		t.Fatalf("written %d times in a month", got-1)
	}
	if got, err := b.Export(ctx, d.ID, "", 1); err != nil || got.Device.Seen != "2026-12" {
		t.Fatalf("%+v, %v", got.Device, err)
	}
}

func TestUnusedDevicesAreErasedAfterTwoYears(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	in := b.withInbox()
	unused, _ := b.full(t, in)
	usedOne, token := b.full(t, in)
	b.clock.Advance(30 * 24 * time.Hour) // 2026-12-24
	_, err := b.ByToken(ctx, token)
	must(t, err)
	_, err = b.Sweep(ctx, 10)
	must(t, err)
	b.clock.Advance(time.Date(2028, 11, 30, 23, 0, 0, 0, time.UTC).Sub(b.clock.Now()))
	if n, err := b.Sweep(ctx, 10); n != 0 || err != nil {
		t.Fatal("too early", n, err)
	}
	devices, err := b.Devices(ctx, []string{unused.ID, usedOne.ID})
	must(t, err)
	if pushToken(t, b.Service, devices[unused.ID]) == "" {
		t.Fatal("the key was gone before the device")
	}
	old := devices[unused.ID]
	b.clock.Advance(time.Hour) // December
	if pushToken(t, b.Service, old) != "" {
		t.Fatal("the key outlived its time without the job")
	}
	if n, err := b.Sweep(ctx, 10); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	devices, err = b.Devices(ctx, []string{unused.ID, usedOne.ID})
	must(t, err)
	if len(devices) != 1 || pushToken(t, b.Service, devices[usedOne.ID]) == "" {
		t.Fatalf("%+v", devices)
	}
}

// Owners' entries follow the token: none is left behind by a change or a removal.
func TestTheEntryOfAPushTokenFollowsIt(t *testing.T) {
	t.Parallel()
	b := open(t)
	ctx := t.Context()
	d, _ := register(t, b.Service)
	entries := func() int { return len(privacytest.Check(t, b.eng, nil, "push_tokens")["push_tokens"]) }
	for i, token := range []string{"one", "two", "two"} {
		must(t, b.SetPushToken(ctx, d.ID, token))
		if n := entries(); n != 1 {
			t.Fatalf("%d: %d entries", i, n)
		}
	}
	rev := b.revision(t, d.ID)
	must(t, b.SetPushToken(ctx, d.ID, "two"))
	if b.revision(t, d.ID) != rev {
		t.Error("the same token was written again")
	}
	must(t, b.SetPushToken(ctx, d.ID, ""))
	if n := entries(); n != 0 {
		t.Fatalf("%d entries of no token", n)
	}
	must(t, b.SetPushToken(ctx, d.ID, "three"))
	must(t, b.DropPushToken(ctx, d.ID, "three"))
	if n := entries(); n != 0 {
		t.Fatalf("%d entries of a dead token", n)
	}
}

// unreadable is a vault that lacks a key for one record.
type unreadable struct {
	Vault
	record string
}

func (u unreadable) OpenMany(ctx context.Context, items []privacy.Item) ([]privacy.Opened, error) {
	out, err := u.Vault.OpenMany(ctx, items)
	for i := range out {
		if items[i].Record == u.record {
			out[i] = privacy.Opened{Err: errDied}
		}
	}
	return out, err
}

func TestATokenThatDoesNotOpenIsToldFromNone(t *testing.T) {
	t.Parallel()
	b := open(t)
	in := b.withInbox()
	broken, _ := b.full(t, in)
	fine, _ := b.full(t, in)
	none, _ := register(t, b.Service)
	devices, err := b.Devices(t.Context(), []string{broken.ID, fine.ID, none.ID})
	must(t, err)
	b.Service.vault = unreadable{b.vault, record(broken.ID)}
	tokens, bad, err := b.PushTokens(t.Context(), devices)
	if err != nil || len(tokens) != 1 || tokens[fine.ID] == "" || len(bad) != 1 || !errors.Is(bad[broken.ID], errDied) {
		t.Fatalf("%v, %v, %v", tokens, bad, err)
	}
}
