package casefile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/privacy/privacytest"
)

func complete() NewComplaint {
	c := sample()
	c.Serial, c.Where, c.When, c.Contact.Email = "S1", "海口日月广场", "上周六", "wang@example.com"
	return c
}

var canaries = []string{"王小明", "138 0000", "wang@", "结块", "三亚某", "退货", "日月广场", "上周六", "职责", "competence"}

func TestErasureLeavesStatisticsAndNoText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	r, err := b.File(ctx, complete(), "key-1")
	must(t, err)
	_, err = b.Move(ctx, officer, r.No, StepAccepted, because)
	must(t, err)
	copied := privacytest.Check(t, b.eng, canaries, "cases", "case_claims")["cases"][0].Body
	before, err := b.Export(ctx, r.No, r.Secret)
	if err != nil || before.Complaint.Contact.Name != "王小明" || before.Timeline[1].Note[lang.En] != because[lang.En] || before.Keep != nil || before.Erased {
		t.Fatalf("%+v, %v", before, err)
	}
	b.pass(time.Hour)
	if err := b.Erase(ctx, r.No, "00000 00000 00000 00000 00000"); fault.KindOf(err) != fault.NotFound {
		t.Fatalf("erased with a wrong secret: %v", err)
	}
	for range 2 { // the second is a repetition
		must(t, b.Erase(ctx, r.No, r.Secret))
	}
	v, err := b.Status(ctx, r.No, r.Secret)
	if err != nil || v.Status != StepWithdrawn || !v.Erased || v.Kind != Complaint || v.GTIN == "" || v.Lot == "" || v.Serial != "" || !v.Filed.Equal(r.Filed) {
		t.Fatalf("%+v, %v", v, err)
	}
	if v.Timeline[1].Note[lang.En] != erasedNote[lang.En] || v.Timeline[1].Authority != "hnamr" || v.Timeline[2].Authority != "" {
		t.Fatalf("%+v", v.Timeline)
	}
	if len(v.Clocks) != 2 || slices.ContainsFunc(v.Clocks, func(c deadline.Clock) bool { return c.State != deadline.Met }) {
		t.Fatalf("%+v", v.Clocks)
	}
	for name, read := range map[string]func() (Record, error){
		"officer": func() (Record, error) { return b.Read(ctx, r.No) },
		"filer":   func() (Record, error) { return b.Export(ctx, r.No, r.Secret) },
	} {
		got, err := read()
		if c := got.Complaint; err != nil || !got.Erased || c.Contact != (Contact{}) || c.What+c.Where+c.When+c.Asked+c.Seller+c.Serial != "" || c.Lot != "L 77" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// An old copy of the case, beside the data keys of today.
	var old document
	must(t, json.Unmarshal(copied, &old))
	c := complete()
	for _, x := range c.pairs(&old.Texts) {
		if _, err := b.vault.Open(ctx, record(r.No), x.field, string(*x.sealed)); *x.sealed == "" || !errors.Is(err, privacy.ErrErased) {
			t.Errorf("%s of the old copy: %v", x.field, err)
		}
	}
	if again, err := b.File(ctx, complete(), "key-1"); err != nil || again.No != r.No || again.Secret != r.Secret {
		t.Fatalf("a retry of the filing: %+v, %v", again, err)
	}
	_, err = b.Move(ctx, officer, r.No, StepSettled, because)
	wantFault(t, err, fault.Conflict, "illegal_move")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// failing is a vault that fails while told so, as if the process died there.
type failing struct {
	Vault
	erase, retain bool
}

var errDied = errors.New("died")

func (f *failing) Erase(ctx context.Context, record string) error {
	if f.erase {
		return errDied
	}
	return f.Vault.Erase(ctx, record)
}

func (f *failing) Retain(ctx context.Context, record string, until time.Time) error {
	if f.retain {
		return errDied
	}
	return f.Vault.Retain(ctx, record, until)
}

func TestAnInterruptedErasureIsCarriedThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	r := b.mustFile(t)
	other := b.mustFile(t)
	d, err := b.cases.Get(ctx, r.No)
	must(t, err)
	f := &failing{Vault: b.vault, erase: true}
	s := b.open(t, func(d *Deps) { d.Vault = f })
	if err := s.Erase(ctx, r.No, r.Secret); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	if got, err := s.Read(ctx, r.No); err != nil || !got.Erased || got.Complaint.What != "" {
		t.Fatalf("a text was shown after the order to erase it: %+v, %v", got, err)
	}
	if n, err := s.Sweep(ctx, 10); n != 0 || !errors.Is(err, errDied) {
		t.Fatal(n, err)
	}
	if n, err := b.Sweep(ctx, 10); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := b.vault.Open(ctx, record(r.No), "texts.what", string(d.V.Texts.What)); !errors.Is(err, privacy.ErrErased) {
		t.Fatalf("the data key is still there: %v", err)
	}
	if n, err := b.Sweep(ctx, 10); n != 0 || err != nil {
		t.Fatal("carried out twice", n, err)
	}
	if got, err := b.Read(ctx, other.No); err != nil || got.Erased || got.Complaint.What == "" {
		t.Fatalf("another case: %+v, %v", got, err)
	}
}

func TestAClosedCaseIsKeptForThreeYears(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	f := &failing{Vault: b.vault, retain: true}
	s := b.open(t, func(d *Deps) { d.Vault = f })
	closed, open := b.mustFile(t), b.mustFile(t)
	if _, err := s.Move(ctx, officer, closed.No, StepRefused, because); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	f.retain = false
	_, err := s.Move(ctx, officer, closed.No, StepRefused, because) // the officer tries again
	must(t, err)
	b.pass(1095 * 24 * time.Hour) // 2029-11-23, a day too early since 2028 is a leap year
	if n, err := b.Sweep(ctx, 10); err != nil || n != 2 {
		t.Fatalf("%d swept, want the two claims; %v", n, err)
	}
	got, err := b.Read(ctx, closed.No)
	if err != nil || got.Erased || got.Complaint.What == "" || got.Keep == nil || got.Keep.Format(time.DateOnly) != "2029-11-24" {
		t.Fatalf("%+v, %v", got, err)
	}
	b.pass(24 * time.Hour)
	if got, err := b.Read(ctx, closed.No); err != nil || !got.Erased || got.Complaint.What != "" || got.Timeline[1].Note[lang.En] != erasedNote[lang.En] {
		t.Fatalf("the key outlived its time without the job: %+v, %v", got, err)
	}
	if n, err := b.Sweep(ctx, 10); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if v, err := b.Status(ctx, closed.No, closed.Secret); err != nil || !v.Erased || v.Status != StepRefused {
		t.Fatalf("%+v, %v", v, err)
	}
	if got, err := b.Read(ctx, open.No); err != nil || got.Erased || got.Complaint.What == "" {
		t.Fatalf("an open case: %+v, %v", got, err)
	}
}

// competent is a table of who is competent.
type competent map[string]string

var errAway = errors.New("the store is away")

func (c competent) Competent(_ context.Context, class, stage, place string, on time.Time) (string, error) {
	id := c[strings.Join([]string{class, stage, place, on.Format(time.DateOnly)}, " ")]
	switch id {
	case "":
		return "", fault.New(fault.NotFound, "no_authority", "nobody")
	case "away":
		return "", errAway
	}
	return id, nil
}

func TestACaseBelongsToTheCompetentAuthority(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	cal, err := deadline.BuiltInCalendar()
	must(t, err)
	const rule = `{"code":"complaint_decision","matter":"complaint","authority":%q,"name":{"zh-Hans":"决定","en":"Decide"},"start":["filed"],
		"end":["accepted"],"amount":%d,"unit":"working_days","chosen_by":"filed","from":"2020-01-01","basis":"TEST"}`
	set, err := deadline.ParseRules([]byte("["+fmt.Sprintf(rule, "", 7)+","+fmt.Sprintf(rule, "haikou-customs", 2)+"]"), cal)
	must(t, err)
	s := b.open(t, func(d *Deps) {
		d.Rules = set
		d.Authorities = competent{"spirits port 4601 2026-11-24": "haikou-customs", "spirits market 4602 2026-11-24": "sanya-amr", "food market  2026-11-24": "away"}
	})
	file := func(class, stage, place string) (Receipt, error) {
		c := sample()
		c.Class, c.Stage, c.Place = class, stage, place
		return s.File(ctx, c, "")
	}
	customs, err := file("spirits", StagePort, "4601")
	must(t, err)
	sanya, err := file("spirits", "", "4602")
	must(t, err)
	nobody, err := file("", "", "")
	must(t, err)
	if _, err := file("food", "", ""); !errors.Is(err, errAway) {
		t.Fatalf("filed without asking: %v", err)
	}
	for _, x := range []struct {
		r               Receipt
		authority, days string
	}{{customs, "haikou-customs", "2026-11-26"}, {sanya, "sanya-amr", "2026-12-03"}, {nobody, "", "2026-12-03"}} {
		if got := x.r.Clocks[0].Due.Format(time.DateOnly); got != x.days {
			t.Errorf("%q has until %s, want %s", x.authority, got, x.days)
		}
		if got, err := s.Authority(ctx, x.r.No); err != nil || got != x.authority {
			t.Errorf("%q %v, want %q", got, err, x.authority)
		}
		for _, status := range []string{StepFiled, ""} {
			list, next, err := s.Queue(ctx, x.authority, status, "", 10)
			if err != nil || len(list) != 1 || next != "" || list[0].No != x.r.No {
				t.Errorf("queue of %q at %q: %+v, %v", x.authority, status, list, err)
			}
		}
	}
	_, err = s.Move(ctx, officer, sanya.No, StepAccepted, nil)
	wantFault(t, err, fault.Forbidden, "other_authority")
	_, err = s.Move(ctx, officer, nobody.No, StepRefused, because)
	must(t, err)
	if list, _, err := s.Queue(ctx, "", "", "", 10); err != nil || len(list) != 0 {
		t.Fatalf("a case that was taken is still nobody's: %+v, %v", list, err)
	}
	if list, _, err := s.Queue(ctx, "hnamr", "", "", 10); err != nil || len(list) != 0 {
		t.Fatalf("a closed case is among the open ones: %+v, %v", list, err)
	}
	if list, _, err := s.Queue(ctx, "hnamr", StepRefused, "", 10); err != nil || len(list) != 1 || list[0].Timeline[1].Note != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	_, _, err = s.Queue(ctx, "hnamr", "", "???", 10)
	wantFault(t, err, fault.Malformed, "bad_cursor")
	_, err = s.Authority(ctx, "TS-1")
	wantFault(t, err, fault.NotFound, "receipt_unknown")
}

// A refused move makes no data key and leaves no note.
func TestARefusedMoveSealsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	day := time.Now().Format("20060102")
	unknown := "TS-" + day + "-ZZZZZZ" + string(checkCharacter(day+"ZZZZZZ"))
	_, err := b.Move(t.Context(), officer, unknown, StepRefused, because)
	wantFault(t, err, fault.NotFound, "receipt_unknown")
	if recs := privacytest.Check(t, b.eng, nil, "data_keys")["data_keys"]; len(recs) != 0 {
		t.Fatalf("%d data keys", len(recs))
	}
}
