package capalert

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

const dir = "../../../../shared/data/cap"

// message is a valid message around what is given for its info.
func message(info string) string {
	return `<?xml version="1.0"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
<identifier>i-1</identifier><sender>s@example.org</sender><sent>2026-05-24T16:49:00+08:00</sent>
<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
` + info + `</alert>`
}

const info = `<info><language>zh-CN</language><category>Health</category><event>召回</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Observed</certainty></info>`

// Every message of the collection has its expectation: what it says, or where and why it is refused.
func TestCollection(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no shared/data beside the project")
	}
	type refusal struct{ pointer, code, line string }
	for file, want := range map[string]struct {
		version, identifier, event, headline string
		infos, parameters, areas             int
		code                                 string // of the refusal as a whole
		refusals                             []refusal
	}{
		"australia.cap":            {version: V12, identifier: "tag:www.rfs.nsw.gov.au2011-10-06:40184", event: "Fire", headline: "Yerong Creek Structure Fire", infos: 2, parameters: 7, areas: 1},
		"earthquake-iso8859-1.cap": {version: V12, identifier: "USGS-earthquakes-usB000D5T4.3947362.7.20121014T225304.360Z.0", event: "Earthquake", headline: "EQ 4.6 Usulután, Usulután, El Salvador - PRELIMINARY REPORT", infos: 1, parameters: 12, areas: 1},
		"no_optional_fields.cap":   {version: V11, identifier: "USGS-earthquakes-us2010apcd.6.20100831T000925.496Z"},
		"wcatwc-warning.cap":       {version: V12, identifier: "PAAQ-2-lqw6d6", event: "Tsunami Warning", infos: 1, parameters: 38, areas: 1},
		"weather.cap":              {version: V11, identifier: "NOAA-NWS-ALERTS-MT20100830100700TFXFlashFloodWatchTFX20100830180000MT", event: "Flash Flood Watch", infos: 1, parameters: 4, areas: 1},
		"noaa_errors.cap": {code: "invalid", refusals: []refusal{
			{"/alert/references", "cap_value", "line 13: <references> is empty"},
			{"/alert/info/0/urgency", "cap_value", "line 17: "},
			{"/alert/info/0/severity", "cap_value", "line 18: "},
			{"/alert/info/0/certainty", "cap_value", "line 19: "},
			{"/alert/info/0/area/0/polygon/0", "cap_value", `line 66: <polygon> has "+40.85,-118.09,"`},
			{"/alert/info/0/area/0/polygon/1", "cap_value", "line 67: <polygon> has fewer than four points"},
		}},
		"xee.cap": {code: "cap_doctype"},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			a, err := Decode(f)
			if want.code != "" {
				if fault.CodeOf(err) != want.code {
					t.Fatalf("refused with %v, want %s", err, want.code)
				}
				e, _ := errors.AsType[*fault.Error](err)
				if want.refusals == nil && !strings.HasPrefix(e.Detail, "line 11: ") {
					t.Errorf("refused without its line: %s", e.Detail)
				}
				if len(e.Fields) != len(want.refusals) {
					t.Errorf("%d refusals, want %d: %v", len(e.Fields), len(want.refusals), err)
				}
				for i, r := range want.refusals {
					if i < len(e.Fields) && (e.Fields[i].Pointer != r.pointer || e.Fields[i].Code != r.code || !strings.HasPrefix(e.Fields[i].Detail, r.line)) {
						t.Errorf("refused %+v, want %+v", e.Fields[i], r)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Version != want.version || a.Identifier != want.identifier || len(a.Infos) != want.infos {
				t.Errorf("read %+v", a)
			}
			i := a.Info("en")
			if i == nil {
				if want.infos != 0 {
					t.Error("no info")
				}
				return
			}
			if i.Event != want.event || !strings.HasPrefix(i.Headline, want.headline) || len(i.Parameters) != want.parameters || len(i.Areas) != want.areas {
				t.Errorf("read %q %q, %d parameters, %d areas", i.Event, i.Headline, len(i.Parameters), len(i.Areas))
			}
		})
	}
}

func TestWhatAMessageSays(t *testing.T) {
	t.Parallel()
	a, err := Decode(strings.NewReader(strings.Replace(message(strings.Replace(info, "</info>", `<parameter><valueName>GTIN</valueName><value> 06901234567892 </value></parameter>
<area><areaDesc>海南</areaDesc><circle>20.0,110.3 12</circle></area></info>`, 1)+info), "<msgType>Alert</msgType><scope>Public</scope>",
		`<msgType>Update</msgType><scope>Private</scope><addresses>"a b" c</addresses><references>s@example.org,i-0,2026-05-24T08:00:00-00:00 t,i,2026-05-24T16:00:00+08:00</references>`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(a.Addresses, "|") != "a b|c" || len(a.References) != 2 || a.References[0].Key() != "s@example.org,i-0,2026-05-24T08:00:00Z" || a.References[1].Key() != "t,i,2026-05-24T08:00:00Z" {
		t.Errorf("%+v", a)
	}
	if i := a.Info("zh"); i.Event != "召回" || i.Parameters[0] != (Value{"GTIN", "06901234567892"}) || i.Areas[0].Circles[0] != "20.0,110.3 12" {
		t.Errorf("%+v", i)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<info>", 10) + strings.Repeat("</info>", 10)
	for name, c := range map[string]struct{ in, code string }{
		"nothing":             {"", "cap_syntax"},
		"no XML":              {"{}", "cap_syntax"},
		"another root":        {`<feed xmlns="http://www.w3.org/2005/Atom"/>`, "cap_not_cap"},
		"no namespace":        {`<alert/>`, "cap_not_cap"},
		"two alerts":          {message(info) + message(info)[strings.Index(message(info), "<alert"):], "cap_syntax"},
		"text after":          {message(info) + "x", "cap_syntax"},
		"cut off":             {message(info)[:200], "cap_syntax"},
		"an entity":           {message("&xxe;"), "cap_syntax"},
		"a foreign element":   {message(`<x xmlns="http://a.b/"/>`), "cap_not_cap"},
		"too deep":            {message(deep), "cap_not_cap"},
		"a doctype within":    {message(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><!DOCTYPE x></Signature>`), "cap_doctype"},
		"too large":           {message("<note>" + strings.Repeat("x", MaxBytes) + "</note>"), "cap_too_large"},
		"too many":            {message(strings.Repeat("<code/>", maxElements)), "cap_too_large"},
		"an unknown element":  {message("<extra/>"), "invalid"},
		"wrong order":         {message(info + "<note>n</note>"), "invalid"},
		"twice":               {message("<note>n</note><note>n</note>"), "invalid"},
		"elements in text":    {message("<note><code>n</code></note>"), "invalid"},
		"text among elements": {message("loose" + info), "invalid"},
		"UTC as Z":            {strings.Replace(message(info), "+08:00", "Z", 1), "invalid"},
		"no such day":         {strings.Replace(message(info), "05-24", "02-30", 1), "invalid"},
		"no reference":        {strings.Replace(message(info), ">Alert<", ">Cancel<", 1), "invalid"},
		"restricted":          {strings.Replace(message(info), ">Public<", ">Restricted<", 1), "invalid"},
		"a name with a comma": {strings.Replace(message(info), ">i-1<", ">i,1<", 1), "invalid"},
		"latitude 91":         {message(strings.Replace(info, "</info>", "<area><areaDesc>x</areaDesc><circle>91,0 1</circle></area></info>", 1)), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode(strings.NewReader(c.in)); fault.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func TestSignatureIsPassedOver(t *testing.T) {
	t.Parallel()
	a, err := Decode(strings.NewReader(message(info + `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><a><b>x</b></a></Signature>`)))
	if err != nil || len(a.Infos) != 1 {
		t.Errorf("%+v %v", a, err)
	}
}

// FuzzDecode: whatever comes is read or refused with a reason, and what is read obeys the standard where callers count on it.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(message(info)))
	f.Add([]byte(message(info + `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`)))
	f.Add([]byte(`<?xml version="1.0" encoding="GB18030"?><alert xmlns="urn:oasis:names:tc:emergency:cap:1.1"/>`))
	files, err := filepath.Glob(filepath.Join(dir, "*.cap"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Decode(strings.NewReader(string(data)))
		if err != nil {
			e, ok := errors.AsType[*fault.Error](err)
			if !ok || e.Kind == fault.Internal || len(e.Detail) > 400 || len(e.Fields) > maxProblems {
				t.Fatalf("refused without a reason, or at length: %v", err)
			}
			return
		}
		if a.Sent.IsZero() || name(a.Identifier) != "" || name(a.Sender) != "" || a.MsgType == MsgCancel && len(a.References) == 0 {
			t.Errorf("read %+v", a)
		}
	})
}
