package gs1

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedData finds the folder of real test data beside the module, or skips.
func sharedData(t *testing.T, path ...string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Skip("no go.mod above the test's directory: cannot find the shared test data")
		}
		dir = parent
	}
	full := filepath.Join(append([]string{dir, "..", "shared", "data"}, path...)...)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("shared test data is absent: %v", err)
	}
	return full
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// The cases are those of the GS1 syntax engine. One URI stands there with both verdicts: the engine can be told to let unknown
// AIs pass. A case without a note of that option must therefore hold with or without it, and where verdicts contradict each
// other both settings must give one of them.
func TestDigitalLinkReference(t *testing.T) {
	t.Parallel()
	var cases []struct {
		URI, Elements    string
		Valid, ShortGTIN bool
	}
	readJSON(t, sharedData(t, "digital-link", "parse.json"), &cases)
	if len(cases) != 55 {
		t.Fatalf("%d cases, want 55", len(cases))
	}
	type key struct {
		uri   string
		short bool
	}
	verdicts := map[key][]bool{}
	for _, c := range cases {
		verdicts[key{c.URI, c.ShortGTIN}] = append(verdicts[key{c.URI, c.ShortGTIN}], c.Valid)
	}
	contradictions := 0
	for _, c := range cases {
		var allow Leniency
		if c.ShortGTIN {
			allow |= ShortGTIN
		}
		if both := verdicts[key{c.URI, c.ShortGTIN}]; slices.Contains(both, true) && slices.Contains(both, false) {
			contradictions++
			if c.Valid {
				allow |= UnknownAIs
			}
		}
		link, err := ParseDigitalLink(c.URI, allow)
		if (err == nil) != c.Valid {
			t.Errorf("%s (%b): valid is %t, error %v", c.URI, allow, c.Valid, err)
			continue
		}
		if got := link.ElementString(); c.Valid && got != c.Elements {
			t.Errorf("%s: elements %s, want %s", c.URI, got, c.Elements)
		}
	}
	if contradictions != 2 {
		t.Errorf("%d cases contradict another, want 2", contradictions)
	}
}

// Every identifier of the reference document must take the form that the reference event hash was computed from.
func TestCanonicalFormsGiveReferenceHash(t *testing.T) {
	t.Parallel()
	var doc struct {
		EPCISBody struct {
			EventList []struct {
				EPCList   []string
				ReadPoint struct{ ID string }
			}
		}
	}
	base := sharedData(t, "epcis", "hash", "epclist_normalisation.jsonld")
	readJSON(t, base, &doc)
	event := doc.EPCISBody.EventList[0]
	canonical := func(s string) string {
		e, err := ParseEPC(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		return e.String()
	}
	list := make([]string, 0, len(event.EPCList))
	for _, s := range event.EPCList {
		list = append(list, "epc="+canonical(s))
	}
	slices.Sort(list)
	text := "eventType=ObjectEventeventTime=2019-04-02T14:00:00.000ZeventTimeZoneOffset=+01:00epcList" + strings.Join(list, "") +
		"action=OBSERVEbizStep=https://ref.gs1.org/cbv/BizStep-inspectingreadPointid=" + canonical(event.ReadPoint.ID)
	sum := sha256.Sum256([]byte(text))
	want, err := os.ReadFile(strings.TrimSuffix(base, ".jsonld") + ".hashes")
	if err != nil {
		t.Fatal(err)
	}
	if got := "ni:///sha-256;" + hex.EncodeToString(sum[:]) + "?ver=CBV2.0"; got != strings.TrimSpace(string(want)) {
		t.Errorf("event hash %s, want %s, from\n%s", got, want, strings.ReplaceAll(text, "epc=", "\nepc="))
	}
}

// Every EPC in the documents that must be accepted parses, and reads back equal.
func TestEPCsOfReferenceDocuments(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, folder := range []string{"valid", "hash"} {
		files, err := filepath.Glob(filepath.Join(sharedData(t, "epcis", folder), "*.jsonld"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no documents in %s: %v", folder, err)
		}
		for _, file := range files {
			var doc any
			readJSON(t, file, &doc)
			eachEPC(doc, "", func(s string) {
				seen++
				e, err := ParseEPC(s)
				if err != nil {
					t.Errorf("%s: %s: %v", filepath.Base(file), s, err)
					return
				}
				if again, err := ParseEPC(e.String()); err != nil || again != e {
					t.Errorf("%s is printed as %s, which reads back as %v (%v)", s, e, again, err)
				}
				if strings.HasPrefix(s, "urn:epc:") && e.Kind() == Opaque {
					t.Errorf("%s is opaque", s)
				}
			})
		}
	}
	if seen < 300 {
		t.Errorf("only %d EPCs found", seen)
	}
}

// eachEPC calls f for every identifier of an object or place in a decoded document.
func eachEPC(v any, name string, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if k == "id" && (name == "readPoint" || name == "bizLocation") {
				k = "epc"
			}
			eachEPC(inner, k, f)
		}
	case []any:
		for _, inner := range v {
			eachEPC(inner, name, f)
		}
	case string:
		switch name {
		case "epc", "epcList", "childEPCs", "parentID", "epcClass", "inputEPCList", "outputEPCList":
			f(v)
		}
	}
}
