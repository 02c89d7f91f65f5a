package casefile

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/privacy/privacytest"
	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
)

var (
	officer = Officer{ID: "o-1", Authority: "hnamr"}
	because = lang.ZhEn("不属于本机关职责", "Not within our competence")
)

type bundle struct {
	*Service
	eng   store.Engine
	keys  *secret.Box
	vault *privacy.Vault
	mu    sync.Mutex
	at    time.Time
}

func (b *bundle) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bundle) pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func setup(t *testing.T) *bundle {
	t.Helper()
	dir := t.TempDir()
	b := &bundle{at: time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)}
	eng, err := sqlite.Open(t.Context(), filepath.Join(dir, "t.db"), sqlite.WithClock(b.now))
	if err != nil {
		t.Fatal(err)
	}
	b.eng = eng
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if b.keys, err = secret.OpenFile(filepath.Join(dir, "keys"), true); err != nil {
		t.Fatal(err)
	}
	if b.vault, err = privacy.Open(t.Context(), eng, b.keys, b.now); err != nil {
		t.Fatal(err)
	}
	b.Service = b.open(t, func(*Deps) {})
	return b
}

// open opens the service over the same store, with other dependencies.
func (b *bundle) open(t *testing.T, with func(d *Deps)) *Service {
	t.Helper()
	d := Deps{Engine: b.eng, Hasher: b.keys, Vault: b.vault, Now: b.now, Log: slog.New(slog.DiscardHandler)}
	with(&d)
	s, err := Open(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sample() NewComplaint {
	return NewComplaint{
		GTIN: "8715658002512", Lot: "L 77", Seller: "三亚某免税店", What: "开封后发现结块，有异味。", Asked: "退货退款",
		Contact: Contact{Name: "王小明", Phone: "+86 138 0000 0000"},
	}
}

func wantFault(t *testing.T, err error, kind fault.Kind, code string) fault.Error {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != kind || f.Code != code {
		t.Fatalf("error %v, want kind %d code %s", err, kind, code)
	}
	return *f
}

func (b *bundle) mustFile(t *testing.T) Receipt {
	t.Helper()
	r, err := b.File(t.Context(), sample(), "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFileAndFollow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.mustFile(t)
	if !regexp.MustCompile(`^TS-20261124-[0-9A-HJKMNP-TV-Z]{7}$`).MatchString(r.No) || !regexp.MustCompile(`^\d{5}( \d{5}){4}$`).MatchString(r.Secret) {
		t.Fatalf("number %q, secret %q", r.No, r.Secret)
	}
	if len(r.Clocks) != 1 || r.Clocks[0].Code != "complaint_decision" || r.Clocks[0].Due.Format(time.DateTime) != "2026-12-03 23:59:59" {
		t.Fatalf("%+v", r.Clocks)
	}
	typed := strings.ReplaceAll(strings.ToLower(r.No), "-", " ")
	for _, no := range []string{r.No, typed, strings.ReplaceAll(r.No, "-", "")} {
		v, err := b.Status(t.Context(), no, strings.ReplaceAll(r.Secret, " ", "-"))
		if err != nil || v.No != r.No || v.Status != StepFiled || v.StatusName[lang.ZhHans] != "已收到" || len(v.Timeline) != 1 {
			t.Fatalf("%q: %+v, %v", no, v, err)
		}
	}
}

func TestNothingPersonalIsStoredInClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := sample()
	c.Contact.Email = "wang@example.com"
	r, err := b.File(t.Context(), c, "a-key-of-the-phone")
	if err != nil {
		t.Fatal(err)
	}
	canaries := []string{
		"王小明", "138 0000", "wang@", "结块", "免税店", "退货", r.Secret, strings.ReplaceAll(r.Secret, " ", ""), "a-key-of-the-phone",
	}
	stored := privacytest.Check(t, b.eng, canaries, "cases", "case_claims", "data_keys")
	for coll, recs := range stored {
		if len(recs) != 1 {
			t.Errorf("%d records in %s", len(recs), coll)
		}
	}
	got, err := b.Read(t.Context(), r.No)
	if err != nil {
		t.Fatal(err)
	}
	c.GTIN, c.Kind, c.Lang, c.Stage = "08715658002512", Complaint, lang.ZhHans, StageMarket
	if !reflect.DeepEqual(got.Complaint, c) {
		t.Fatalf("%+v, want %+v", got.Complaint, c)
	}
}

// A field that was moved to another case or another field does not open.
func TestSealedFieldsCannotBeMoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	from, to := b.mustFile(t), b.mustFile(t)
	d, err := b.cases.Get(ctx, from.No)
	if err != nil {
		t.Fatal(err)
	}
	move := func(change func(v *document)) (Record, error) {
		t.Helper()
		if _, err := b.cases.Update(ctx, to.No, func(v *document) error { change(v); return nil }); err != nil {
			t.Fatal(err)
		}
		return b.Read(ctx, to.No)
	}
	if got, err := move(func(v *document) { v.Texts.Name = d.V.Texts.Name }); err != nil || got.Complaint.Contact.Name != "" || !got.Erased {
		t.Fatalf("the name of another case: %+v, %v", got, err)
	}
	if got, err := move(func(v *document) { v.Texts.Name = v.Texts.What }); err == nil || fault.KindOf(err) != fault.Internal {
		t.Fatalf("another field: %+v, %v", got, err)
	}
}

func TestARetryGetsTheSameReceipt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	receipts := make([]Receipt, 8)
	var wg sync.WaitGroup
	for i := range receipts {
		wg.Go(func() {
			var err error
			if receipts[i], err = b.File(ctx, sample(), "key-1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, r := range receipts {
		if r.No != receipts[0].No || r.Secret != receipts[0].Secret {
			t.Fatalf("%+v and %+v", r, receipts[0])
		}
	}
	b.pass(24 * time.Hour)
	if r, err := b.File(ctx, sample(), "key-1"); err != nil || r.No != receipts[0].No || r.Secret != receipts[0].Secret || !r.Filed.Equal(receipts[0].Filed) {
		t.Fatalf("a day later: %+v, %v", r, err)
	}
	if r, err := b.File(ctx, sample(), "key-2"); err != nil || r.No == receipts[0].No || r.Secret == receipts[0].Secret {
		t.Fatalf("another key: %+v, %v", r, err)
	}
	other := sample()
	other.What = "another"
	_, err := b.File(ctx, other, "key-1")
	wantFault(t, err, fault.Conflict, "idempotency_key_reused")
	if _, err := b.Status(ctx, receipts[0].No, receipts[0].Secret); err != nil {
		t.Fatal(err)
	}
}

// The process dies between claim and case: the retry files the case under the claimed number.
func TestADeadProcessLeavesNoHole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	first, err := b.File(ctx, sample(), "key-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cases.Delete(ctx, first.No); err != nil {
		t.Fatal(err)
	}
	again, err := b.File(ctx, sample(), "key-1")
	if err != nil || again.No != first.No || again.Secret != first.Secret {
		t.Fatalf("%+v, %v", again, err)
	}
	if _, err := b.Status(ctx, again.No, again.Secret); err != nil {
		t.Fatal(err)
	}
}

func TestANumberThatIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens := []string{"aaaaaa", "aaaaaa", "aaaaaa", "bbbbbb"}
	b.token = func() string {
		next := tokens[0]
		tokens = tokens[1:]
		return next
	}
	first, second := b.mustFile(t), b.mustFile(t)
	if first.No == second.No || !strings.Contains(second.No, "BBBBBB") {
		t.Fatalf("%s and %s", first.No, second.No)
	}
	for _, r := range []Receipt{first, second} {
		if _, err := b.Status(t.Context(), r.No, r.Secret); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrongSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	r, other := b.mustFile(t), b.mustFile(t)
	for _, no := range []string{"", "TS-20261124-AAAAAAA", "x", r.No[:len(r.No)-1], strings.Repeat("T", 1000)} {
		_, err := b.Status(ctx, no, r.Secret)
		wantFault(t, err, fault.NotFound, "receipt_unknown")
	}
	for i := range maxWrong {
		_, err := b.Status(ctx, r.No, []string{other.Secret, "", "1", strings.Repeat("9", 300)}[i%4])
		wantFault(t, err, fault.NotFound, "receipt_unknown")
	}
	_, err := b.Status(ctx, r.No, other.Secret)
	if f := wantFault(t, err, fault.TooMany, "too_many_attempts"); f.Retry != wrongWindow {
		t.Fatal(f.Retry)
	}
	day := r.No[3:11]
	nobodys := "TS-" + day + "-ZZZZZZ" + string(checkCharacter(day+"ZZZZZZ"))
	for range maxWrong {
		_, err := b.Status(ctx, nobodys, other.Secret)
		wantFault(t, err, fault.NotFound, "receipt_unknown")
	}
	_, err = b.Status(ctx, nobodys, other.Secret) // or it could be told from a number that exists
	wantFault(t, err, fault.TooMany, "too_many_attempts")
	if _, err := b.Status(ctx, r.No, r.Secret); err != nil {
		t.Fatalf("the owner is shut out: %v", err)
	}
	_, err = b.Status(ctx, other.No, r.Secret)
	wantFault(t, err, fault.NotFound, "receipt_unknown")
	b.pass(wrongWindow)
	_, err = b.Status(ctx, r.No, other.Secret)
	wantFault(t, err, fault.NotFound, "receipt_unknown")
	b.pass(claimFor)
	if n, err := b.Sweep(ctx, 100); err != nil || n != 5 {
		t.Fatalf("%d swept, want 2 claims and 3 counters; %v", n, err)
	}
}

func TestMoves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	r := b.mustFile(t)
	b.pass(48 * time.Hour)
	for range 2 { // the second is a repetition
		v, err := b.Move(ctx, officer, r.No, StepAccepted, nil)
		if err != nil || v.Status != StepAccepted || len(v.Timeline) != 2 || v.Timeline[1].Authority != "hnamr" {
			t.Fatalf("%+v, %v", v, err)
		}
		if len(v.Clocks) != 2 || v.Clocks[0].State != deadline.Met || v.Clocks[1].State != deadline.Running {
			t.Fatalf("%+v", v.Clocks)
		}
	}
	_, err := b.Move(ctx, Officer{ID: "o-2", Authority: "customs"}, r.No, StepSettled, nil)
	wantFault(t, err, fault.Forbidden, "other_authority")
	_, err = b.Move(ctx, officer, r.No, StepRefused, because)
	if f := wantFault(t, err, fault.Conflict, "illegal_move"); !strings.Contains(f.Detail, "settled, mediation_ended, withdrawn") {
		t.Fatal(f.Detail)
	}
	_, err = b.Move(ctx, officer, r.No, StepMediationEnded, nil)
	wantFault(t, err, fault.Invalid, "invalid")
	_, err = b.Move(ctx, officer, r.No, "lost", nil)
	wantFault(t, err, fault.Invalid, "invalid")
	_, err = b.Move(ctx, officer, "TS-1", StepSettled, nil)
	wantFault(t, err, fault.NotFound, "receipt_unknown")
	if _, err := b.Move(ctx, officer, r.No, StepMediationEnded, because); err != nil {
		t.Fatal(err)
	}
	v, err := b.Move(ctx, officer, r.No, StepPartiesTold, nil)
	if err != nil || len(v.Clocks) != 3 || v.Clocks[2].State != deadline.Met || v.Timeline[2].Note[lang.En] != because[lang.En] {
		t.Fatalf("%+v, %v", v, err)
	}
	waiting := b.mustFile(t)
	list, _, err := b.Queue(ctx, "", StepFiled, "", 10)
	if err != nil || len(list) != 1 || list[0].No != waiting.No {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, _, err = b.Queue(ctx, "hnamr", StepPartiesTold, "", 10); err != nil || len(list) != 1 || list[0].No != r.No {
		t.Fatalf("%+v, %v", list, err)
	}
}

// A later rule set, marked TEST, applies to what is filed from its day on.
func TestAnotherRuleSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cal, err := deadline.BuiltInCalendar()
	if err != nil {
		t.Fatal(err)
	}
	rule := func(amount int, from, to string) string {
		return fmt.Sprintf(`{"code":"complaint_decision","matter":"complaint","name":{"zh-Hans":"决定","en":"Decide"},"start":["filed"],
			"end":["accepted","refused"],"amount":%d,"unit":"working_days","chosen_by":"filed","from":%q,"to":%q,"basis":"TEST"}`, amount, from, to)
	}
	set, err := deadline.ParseRules([]byte("["+rule(7, "2020-01-01", "2026-11-25")+","+rule(2, "2026-11-25", "")+"]"), cal)
	if err != nil {
		t.Fatal(err)
	}
	s := b.open(t, func(d *Deps) { d.Rules = set })
	for _, want := range []string{"2026-12-03", "2026-11-27"} {
		r, err := s.File(t.Context(), sample(), "")
		if err != nil || r.Clocks[0].Due.Format(time.DateOnly) != want || r.Clocks[0].Basis != "TEST" {
			t.Fatalf("%+v, %v; want %s", r.Clocks, err, want)
		}
		b.pass(24 * time.Hour)
	}
}

func TestRefusedComplaints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, tc := range []struct {
		name  string
		spoil func(c *NewComplaint)
		want  string
	}{
		{"nothing said", func(c *NewComplaint) { c.What = " \n" }, "/what required"},
		{"too much said", func(c *NewComplaint) { c.What = strings.Repeat("坏", maxWhat+1) }, "/what too_long"},
		{"no name", func(c *NewComplaint) { c.Contact.Name = "" }, "/contact/name required"},
		{"no way to answer", func(c *NewComplaint) { c.Contact.Phone = "" }, "/contact/phone required"},
		{"no phone number", func(c *NewComplaint) { c.Contact.Phone = "call me" }, "/contact/phone phone"},
		{"no e-mail address", func(c *NewComplaint) { c.Contact.Email = "wang" }, "/contact/email email"},
		{"a barcode mistyped", func(c *NewComplaint) { c.GTIN = "8715658002513" }, "/gtin gtin_check_digit"},
		{"a lot of nothing", func(c *NewComplaint) { c.GTIN = "" }, "/gtin required"},
		{"a tip", func(c *NewComplaint) { c.Kind = "tip" }, "/kind unknown_code"},
		{"another language", func(c *NewComplaint) { c.Lang = "fr" }, "/lang unknown_language"},
		{"control characters", func(c *NewComplaint) { c.Seller = "a\x1bb" }, "/seller characters"},
		{"broken UTF-8", func(c *NewComplaint) { c.Asked = "\xff" }, "/asked characters"},
		{"serial", func(c *NewComplaint) { c.Serial = "a b" }, "/serial serial_characters"},
		{"class", func(c *NewComplaint) { c.Class = "Sp/rits" }, "/class unknown_code"},
		{"stage", func(c *NewComplaint) { c.Stage = "moon" }, "/stage unknown_code"},
		{"place", func(c *NewComplaint) { c.Place = "海口" }, "/place place"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := sample()
			tc.spoil(&c)
			_, err := b.File(t.Context(), c, "")
			f := wantFault(t, err, fault.Invalid, "invalid")
			if got := f.Fields[0].Pointer + " " + f.Fields[0].Code; len(f.Fields) != 1 || got != tc.want {
				t.Fatalf("%+v, want %s", f.Fields, tc.want)
			}
		})
	}
	_, err := b.File(t.Context(), sample(), strings.Repeat("k", maxKey+1))
	wantFault(t, err, fault.Malformed, "idempotency_key_too_long")
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	no := newNumber(time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC), "k7m2qp")
	if !strings.HasPrefix(no, "TS-20261125-K7M2QP") {
		t.Fatalf("%s is not of the day in China", no)
	}
	for i := 3; i < len(no); i++ { // every single wrong character is found
		for _, c := range alphabet {
			wrong := no[:i] + string(c) + no[i+1:]
			if got, ok := parseNumber(wrong); ok && got != no {
				t.Errorf("%s is taken for a number", wrong)
			}
		}
	}
	if got, ok := parseNumber("ｔｓ 2o26ll25 k7m2qp" + strings.ToLower(no[len(no)-1:])); !ok || got != no {
		t.Errorf("%q %v", got, ok)
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("TS-20261124-K7M2QPX")
	f.Fuzz(func(t *testing.T, s string) {
		if no, ok := parseNumber(s); ok {
			if again, ok := parseNumber(no); !ok || again != no {
				t.Fatalf("%q gives %q, which gives %q", s, no, again)
			}
		}
	})
}

// Every rule of a complaint names steps that exist, and every step has a name in both languages.
func TestRulesAndStepsAgree(t *testing.T) {
	t.Parallel()
	for kind, s := range steps {
		if s.name[lang.ZhHans] == "" || s.name[lang.En] == "" {
			t.Errorf("%s has no name", kind)
		}
		for _, n := range s.next {
			if StepName(n) == nil {
				t.Errorf("%s leads to %s, which does not exist", kind, n)
			}
		}
	}
	b := setup(t)
	r := b.mustFile(t)
	d, err := b.cases.Get(t.Context(), r.No)
	if err != nil {
		t.Fatal(err)
	}
	for kind := range steps {
		d.V.Steps = append(d.V.Steps, step{Kind: kind, At: d.V.Filed})
	}
	if clocks := b.clocks(&d.V); len(clocks) != 3 {
		out, _ := json.Marshal(clocks)
		t.Fatalf("the steps start %d clocks, want 3: %s", len(clocks), out)
	}
}
