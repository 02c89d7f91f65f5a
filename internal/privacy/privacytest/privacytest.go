// Package privacytest checks what is stored against the map of personal data.
package privacytest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/haisu-trace/haisu/internal/privacy"
	"github.com/haisu-trace/haisu/internal/store"
)

var (
	hash     = regexp.MustCompile(`^[0-9a-z]{52}$`)
	password = regexp.MustCompile(`^\$argon2id\$`)
)

// Check reads every raw record of the collections and fails the test for one that is stored otherwise than the map says, and for each of the
// canaries that any of them holds in clear, in its ID or its body. It gives the records, by collection.
func Check(t *testing.T, eng store.Engine, canaries []string, collections ...string) map[string][]store.Record {
	t.Helper()
	out := map[string][]store.Record{}
	for _, coll := range collections {
		for after := ""; ; {
			recs, err := eng.All(t.Context(), coll, after, store.MaxBatch)
			if err != nil {
				t.Fatalf("%s: %v", coll, err)
			}
			if len(recs) == 0 {
				break
			}
			for _, r := range recs {
				after = r.ID
				checkRecord(t, coll, r, canaries)
			}
			out[coll] = append(out[coll], recs...)
		}
	}
	return out
}

func checkRecord(t *testing.T, coll string, r store.Record, canaries []string) {
	t.Helper()
	for _, c := range canaries {
		if strings.Contains(r.ID, c) || strings.Contains(string(r.Body), c) {
			t.Errorf("%s %s holds %q in clear", coll, r.ID, c)
		}
		for _, e := range r.Entries {
			if strings.Contains(string(e.Eq)+string(e.Order), c) {
				t.Errorf("an index entry of %s %s holds %q in clear", coll, r.ID, c)
			}
		}
	}
	for i := range privacy.Fields {
		f := &privacy.Fields[i]
		if f.Collection != coll {
			continue
		}
		values := []string{r.ID}
		if f.Name != privacy.ID {
			var err error
			if values, err = f.Values(r.Body); err != nil {
				t.Fatalf("%s %s: %v", coll, r.ID, err)
			}
		}
		for _, v := range values {
			if v != "" && !protected(f.Protection, v) {
				t.Errorf("%s %s: %s is to be %s, and is %q", coll, r.ID, f.Name, f.Protection, v)
			}
		}
	}
}

// protected says whether a stored text has the form of its protection. Coarse, pseudonymous and official texts have none of their own.
func protected(p privacy.Protection, v string) bool {
	switch p {
	case privacy.Encrypted:
		_, err := privacy.Sealed(v).MarshalText()
		return err == nil
	case privacy.Hashed:
		return hash.MatchString(v) || password.MatchString(v)
	}
	return true
}
