package warning

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/lang"
)

var day1 = time.Date(2026, 11, 24, 2, 0, 0, 0, time.UTC)

func msg(rev int, kind MessageKind) Message {
	m := Message{
		No: "HN-2026-000001", Rev: rev, Kind: kind, By: "o-1", Authority: "hnamr",
		Content:   Content{Level: Yellow, Scope: Scope{Clauses: []Clause{{GTINs: []string{string(gtin(1))}}}}},
		Published: day1.Add(time.Duration(rev) * time.Minute), Key: "k",
	}
	if rev > 1 {
		m.References = MessageID(m.No, rev-1)
		m.Reason = lang.ZhEn("更正", "Correction")
	}
	return m
}

// spoil breaks one rule that every message but the first has to keep; for most values of how it does nothing.
func spoil(m *Message, how int) bool {
	switch how {
	case 0:
		m.Rev++
	case 1:
		m.No = "HN-2026-000002"
	case 2:
		m.Authority = "other"
	case 3:
		m.References = "HN-2026-000009/1"
	case 4:
		m.Reason = lang.Text{lang.En: "half"}
	case 5:
		m.Published = day1
	default:
		return false
	}
	return true
}

// model is the life of a warning written as a table, independently of Status.Next.
var model = map[Status]map[MessageKind]Status{
	StatusDraft:     {KindAlert: StatusInForce},
	StatusInForce:   {KindUpdate: StatusInForce, KindLift: StatusLifted, KindRetract: StatusRetracted},
	StatusLifted:    {KindRetract: StatusRetracted},
	StatusRetracted: {},
}

func TestFoldAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	kinds := []MessageKind{KindAlert, KindUpdate, KindLift, KindRetract}
	legal, illegal := 0, 0
	for range 5000 {
		var history []Message
		status, broken := StatusDraft, false
		for rev := 1; rev <= 1+r.IntN(6); rev++ {
			kind := kinds[r.IntN(len(kinds))]
			if rev == 1 && r.IntN(10) > 0 {
				kind = KindAlert
			}
			m := msg(rev, kind)
			spoilt := rev > 1 && spoil(&m, r.IntN(40))
			next, ok := model[status][kind]
			broken = broken || spoilt || !ok
			status = next
			history = append(history, m)
			if broken {
				break
			}
		}
		st, err := Fold(history)
		if broken {
			illegal++
			if _, ok := errors.AsType[*FoldError](err); !ok {
				t.Fatalf("an illegal list was accepted: %+v", history)
			}
			continue
		}
		legal++
		if err != nil {
			t.Fatal(err)
		}
		last := history[len(history)-1]
		if st.Status != status || st.Current.Rev != last.Rev || !st.Issued.Equal(history[0].Published) || len(st.History) != len(history) {
			t.Fatalf("status %s rev %d, want %s rev %d", st.Status, st.Current.Rev, status, last.Rev)
		}
		if last.Kind.After() != st.Status {
			t.Fatalf("the last message says %s, the fold %s; the matcher relies on them to agree", last.Kind.After(), st.Status)
		}
	}
	if legal < 500 || illegal < 500 {
		t.Fatalf("%d legal and %d illegal lists prove little", legal, illegal)
	}
}

func TestFoldOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := Fold(nil); err == nil {
		t.Fatal("no messages make no state")
	}
}

func TestNothingFollowsARetraction(t *testing.T) {
	t.Parallel()
	for _, k := range []MessageKind{KindAlert, KindUpdate, KindLift, KindRetract} {
		if _, err := Fold([]Message{msg(1, KindAlert), msg(2, KindRetract), msg(3, k)}); err == nil {
			t.Errorf("%s after a retraction", k)
		}
		if slices.Contains(StatusRetracted.Next(), k) {
			t.Errorf("%s offered after a retraction", k)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	t.Parallel()
	if no, rev, ok := ParseMessageID(MessageID("HN-2026-000123", 12)); !ok || no != "HN-2026-000123" || rev != 12 {
		t.Fatal(no, rev, ok)
	}
	for _, bad := range []string{"", "HN-2026-000123", "HN-2026-000123/", "HN-2026-000123/0", "HN-2026-000123/01", "HN-2026-000123/x"} {
		if _, _, ok := ParseMessageID(bad); ok {
			t.Errorf("%q accepted", bad)
		}
	}
	for no, want := range map[string]bool{
		"HN-2026-000123": true, "HN-2026-1000000": true, "HN-2026-0000123": false, "HN-2026-000000": false, "HN-26-000123": false,
		"HN-2026-00012": false, "XX-2026-000123": false, "HN-2026-00012x": false, "": false, "HN-2026-99999999999999999999": false,
	} {
		if numbers.Valid(no) != want {
			t.Errorf("%q: valid is %v", no, !want)
		}
	}
}
