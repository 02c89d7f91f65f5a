package notice

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/store/sqlite"
	"github.com/haisu-trace/haisu/internal/store/storetest"
)

const milk = gs1.GTIN("06901234567892")

// capMessage is a message with an identifier, a type and what it references, about the milk.
func capMessage(id, kind string, about ...string) string {
	refs := ""
	if len(about) > 0 {
		for i, a := range about {
			about[i] = "s@example.org," + a + ",2026-05-24T16:49:00+08:00"
		}
		refs = "<references>" + strings.Join(about, " ") + "</references>"
	}
	return fmt.Sprintf(`<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>%s</identifier><sender>s@example.org</sender>
<sent>2026-05-24T16:49:00+08:00</sent><status>Actual</status><msgType>%s</msgType><scope>Public</scope>%s
<info><language>en-GB</language><category>Health</category><event>Recall</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
<headline>Milk powder %[1]s</headline><description>Do not use.</description></info>
<info><language>zh-CN</language><category>Health</category><event>召回</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty>
<headline>奶粉召回 %[1]s</headline><description>请停止食用。</description><parameter><valueName>GTIN</valueName><value>6901234567892; 123</value></parameter>
<parameter><valueName>Batch-Number</valueName><value>L1
L2</value></parameter></info></alert>`, id, kind, refs)
}

func importCAP(t *testing.T, s *Service, message string) ImportReport {
	t.Helper()
	r, err := s.ImportCAP(t.Context(), strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func titles(t *testing.T, s *Service) string {
	t.Helper()
	ns, err := s.Notices(t.Context(), milk)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range ns {
		out = append(out, n.Title)
	}
	return strings.Join(out, "|")
}

func TestImportCAP(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dry, err := s.CheckCAP(t.Context(), strings.NewReader(capMessage("a", "Alert")))
	if err != nil || dry.New != 1 || !dry.DryRun || titles(t, s) != "" {
		t.Fatalf("%+v %v", dry, err)
	}
	if r := importCAP(t, s, capMessage("a", "Alert")); r.New != 1 || r.GTINs != 1 || r.BadBarcodes != 1 {
		t.Errorf("%+v", r)
	}
	if r := importCAP(t, s, capMessage("a", "Alert")); r.Unchanged != 1 {
		t.Errorf("%+v", r)
	}
	ns, err := s.Notices(t.Context(), milk)
	if err != nil || len(ns) != 1 {
		t.Fatal(ns, err)
	}
	if n := ns[0]; n.Source != CAP || n.Number != "a" || n.Lang != lang.ZhHans || n.Title != "奶粉召回 a" || n.Risk != "请停止食用。" || strings.Join(n.Batches, ",") != "L1,L2" ||
		!strings.Contains(string(n.Original), "Milk powder a") {
		t.Errorf("%+v", n)
	}
}

func TestCAPNotForThePublic(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, m := range map[string]string{
		"an exercise":        strings.Replace(capMessage("a", "Alert"), "Actual", "Exercise", 1),
		"a private message":  strings.Replace(capMessage("a", "Alert"), "<scope>Public</scope>", "<scope>Private</scope><addresses>x</addresses>", 1),
		"an acknowledgement": capMessage("a", "Ack", "b"),
	} {
		if r := importCAP(t, s, m); r.RejectedAll != 1 || r.New != 0 || len(r.Rejected) != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := s.ImportCAP(t.Context(), strings.NewReader("<alert/>")); fault.CodeOf(err) != "cap_not_cap" {
		t.Error(err)
	}
	if got := titles(t, s); got != "" {
		t.Error(got)
	}
}

// What replaces or withdraws a message takes it off every list, in whichever order the messages come in, once or again.
func TestCAPSupersedes(t *testing.T) {
	t.Parallel()
	alert, update, cancel := capMessage("a", "Alert"), capMessage("b", "Update", "a"), capMessage("c", "Cancel", "a", "b")
	for name, c := range map[string]struct {
		messages []string
		want     string
	}{
		"replaced":                   {[]string{alert, update}, "奶粉召回 b"},
		"replaced, the update first": {[]string{update, alert}, "奶粉召回 b"},
		"withdrawn":                  {[]string{alert, update, cancel}, ""},
		"withdrawn, backwards":       {[]string{cancel, update, alert}, ""},
		"again":                      {[]string{alert, cancel, alert}, ""},
		"about itself":               {[]string{capMessage("d", "Update", "d")}, "奶粉召回 d"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			for _, m := range c.messages {
				importCAP(t, s, m)
			}
			if got := titles(t, s); got != c.want {
				t.Errorf("on the list: %q, want %q", got, c.want)
			}
			listed, _, err := s.List(t.Context(), CAP, "", 10)
			if err != nil || len(listed) != min(len(c.want), 1) {
				t.Errorf("listed: %+v %v", listed, err)
			}
			last := map[string]bool{}
			changes, _, err := s.Changes(t.Context(), "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, ch := range changes {
				last[ch.V.ID] = !ch.Deleted
			}
			n := 0
			for _, there := range last {
				if there {
					n++
				}
			}
			if n != len(listed) {
				t.Errorf("projections hold %d, the list %d", n, len(listed))
			}
		})
	}
}

// Wherever an import dies, importing again brings the lists right.
func TestCAPImportDies(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		disk, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = disk.Close() })
		now := func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }
		next, err := Open(t.Context(), disk, now)
		if err != nil {
			t.Fatal(err)
		}
		importCAP(t, next, capMessage("a", "Alert"))
		mortal := storetest.NewMortal(disk)
		dying, err := Open(t.Context(), mortal, now)
		if err != nil {
			t.Fatal(err)
		}
		mortal.DieAt(n, n%2 == 0)
		_, err = dying.ImportCAP(t.Context(), strings.NewReader(capMessage("b", "Update", "a")))
		if !mortal.Dead() {
			if err != nil || n < 3 {
				t.Fatalf("only %d writes were tried: %v", n-1, err)
			}
			return
		}
		importCAP(t, next, capMessage("b", "Update", "a"))
		if got := titles(t, next); got != "奶粉召回 b" {
			t.Errorf("died at write %d: %q", n, got)
		}
	}
}
