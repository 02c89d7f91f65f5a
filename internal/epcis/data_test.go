package epcis

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/fault"
)

// sharedFiles gives the real documents of a folder of ../shared/data/epcis, seen from the module's root.
func sharedFiles(t testing.TB, folder, pattern string) []string {
	t.Helper()
	files, err := globShared(folder, pattern)
	if err != nil {
		t.Skip(err)
	}
	return files
}

func globShared(folder, pattern string) ([]string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return nil, errors.New("no go.mod above the working directory")
		}
		dir = up
	}
	files, err := filepath.Glob(filepath.Join(dir, "..", "shared", "data", "epcis", folder, pattern))
	if err == nil && len(files) == 0 {
		err = errors.New("the real documents are not beside this checkout (../shared/data/epcis/" + folder + ")")
	}
	return files, err
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t testing.TB, data []byte) *Document {
	t.Helper()
	doc, err := DecodeDocument(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestRealDocumentsAreAccepted(t *testing.T) {
	t.Parallel()
	files := sharedFiles(t, "valid", "*")
	if len(files) != 47 {
		t.Errorf("%d documents, want 47", len(files))
	}
	events := 0
	for _, file := range files {
		doc, err := DecodeDocument(read(t, file), Limits{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		events += len(doc.Events)
		for _, e := range doc.Events {
			standsAlone(t, file, e)
		}
	}
	if events != 56 {
		t.Errorf("%d events, want 56", events)
	}
}

// standsAlone checks that Raw is the whole event: read by itself, it gives the same ID, hash and canonical form.
func standsAlone(t *testing.T, file string, e *Event) {
	t.Helper()
	again, err := DecodeEvent(e.Raw, Limits{})
	if err != nil {
		t.Errorf("%s: Raw does not decode: %v", filepath.Base(file), err)
		return
	}
	if again.HashID() != e.HashID() || again.ID() != e.ID() || string(again.Canonical()) != string(e.Canonical()) ||
		string(again.Raw) != string(e.Raw) {
		t.Errorf("%s: Raw reads back another event:\n%s\n%s", filepath.Base(file), e.PreHash(), again.PreHash())
	}
	if !json.Valid(e.Canonical()) {
		t.Errorf("%s: Canonical is not JSON: %s", filepath.Base(file), e.Canonical())
	}
}

func TestReferenceHashes(t *testing.T) {
	t.Parallel()
	files := sharedFiles(t, "hash", "*.jsonld")
	if len(files) != 13 {
		t.Errorf("%d documents, want 13", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			want := strings.Fields(string(read(t, strings.TrimSuffix(file, ".jsonld")+".hashes")))
			doc := decode(t, read(t, file))
			if len(doc.Events) != len(want) {
				t.Fatalf("%d events, want %d", len(doc.Events), len(want))
			}
			for i, e := range doc.Events {
				if e.HashID() != want[i] {
					t.Errorf("event %d: %s, want %s\n%s", i, e.HashID(), want[i], e.PreHash())
				}
				standsAlone(t, file, e)
			}
		})
	}
}

// place is where a refusal must point to and with which code.
type place struct{ pointer, code string }

func TestInvalidDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	const events = "/epcisBody/eventList/"
	want := map[string][]place{
		"Combination_of_events_with_missing_mandatory_fields.json": {
			{events + "0/action", "missing"}, {events + "1/eventTimeZoneOffset", "missing"}, {events + "1/action", "missing"},
		},
		"Combination_of_non_standard_bizStep_and_disposition.json": {
			{events + "0/bizStep", "unknown_term"}, {events + "1/disposition", "unknown_term"},
		},
		"ObjectEvent_with_ilmd_field_without_namespace.json": {{events + "0/ilmd/materialType", "no_namespace"}},
		"ObjectEvent_with_invalid_certificationInfo.json": {
			{events + "0/certificationInfo/1/gs1:CertificationDetails/gs1:certificationAuditDate", "bad_date"},
		},
		"ObjectEvent_with_invalid_eventTime_format.json": {{events + "0/eventTime", "bad_time"}},
		"ObjectEvent_with_non_standard_bizStep.json":     {{events + "0/bizStep", "unknown_term"}},
		"ObjectEvent_with_quantity_as_text.json":         {{events + "0/quantityList/0/quantity", "not_a_number"}},
		"ObjectEvent_without_action_and_eventTime.json": {
			{events + "0/eventTime", "missing"}, {events + "0/eventTimeZoneOffset", "missing"}, {events + "0/action", "missing"},
		},
	}
	files := sharedFiles(t, "invalid", "*")
	if len(files) != len(want) {
		t.Errorf("%d documents, want %d", len(files), len(want))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodeDocument(read(t, file), Limits{})
			refusedAt(t, err, fault.Invalid, want[name]...)
		})
	}
}
