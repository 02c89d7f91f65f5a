package searchtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haisu-trace/haisu/search"
)

// firstPage is how many hits a person looks at.
const firstPage = 10

// testChinese asserts what the design promises: recall 0.975 over the hand-made questions, and every document that a question finds in
// one script found in the other.
func testChinese(b *bundle) {
	t := b.t
	b.put(t, Corpus()...)
	var recall, crossed []float64
	for _, q := range questions {
		hits := ids(b.search(t, search.Query{Text: q.text, Limit: firstPage}).Hits)
		recall = append(recall, found(t, q.text, hits, q.want))
		if q.other == "" {
			continue
		}
		other := ids(b.search(t, search.Query{Text: q.other, Limit: firstPage}).Hits)
		crossed = append(crossed, found(t, q.other, other, q.want))
		if !slices.Equal(hits, other) {
			t.Errorf("%s finds %q, %s finds %q", q.text, hits, q.other, other)
		}
	}
	t.Logf("recall of %d questions %.3f, of %d in the other script %.3f", len(recall), mean(recall), len(crossed), mean(crossed))
	if mean(recall) < 0.975 {
		t.Errorf("recall %.3f, want 0.975", mean(recall))
	}
	if mean(crossed) < 1 {
		t.Errorf("recall across scripts %.3f, want 1", mean(crossed))
	}
}

func found(t *testing.T, text string, hits, want []string) float64 {
	t.Helper()
	n := 0
	for _, id := range want {
		if slices.Contains(hits, id) {
			n++
		} else {
			t.Logf("%q misses %s, finds %q", text, id, hits)
		}
	}
	return float64(n) / float64(len(want))
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs))
}

// Quality is how well an engine finds, averaged over questions.
type Quality struct {
	Precision float64 // of the first 10 hits, how many are right
	Recall    float64 // of what is right, how many are among the first 100 hits
	Found     float64 // of what is right, how many match at all, whatever their place
}

// AtLeast fails the test unless each measure is at least that of floor.
func (q Quality) AtLeast(t *testing.T, floor Quality) {
	t.Helper()
	t.Logf("precision of 10 %.3f, recall of 100 %.3f, found %.3f", q.Precision, q.Recall, q.Found)
	if q.Precision < floor.Precision || q.Recall < floor.Recall || q.Found < floor.Found {
		t.Errorf("found %+v, want at least %+v", q, floor)
	}
}

// Recalls measures an engine on the 826 consumer product recalls of cpsc.json: each of the 38 product categories is a question, and what the
// authority filed under it is right. The category is not among the texts searched. It skips the test where the data is absent.
func Recalls(t *testing.T, open Open) Quality {
	t.Helper()
	docs, categories := recalls(t)
	b := setup(t, open)
	b.put(t, docs...)
	var precision, recall, matched []float64
	for _, category := range slices.Sorted(maps.Keys(categories)) {
		right := categories[category]
		r := b.search(t, search.Query{Text: category, Limit: search.MaxLimit})
		hits := ids(r.Hits)
		first := hits[:min(firstPage, len(hits))]
		precision = append(precision, share(first, right)/float64(min(firstPage, len(right))))
		recall = append(recall, share(hits, right)/float64(len(right)))
		for r.Next != "" {
			r = b.search(t, search.Query{Text: category, Limit: search.MaxLimit, Cursor: r.Next})
			hits = append(hits, ids(r.Hits)...)
		}
		matched = append(matched, share(hits, right)/float64(len(right)))
	}
	return Quality{Precision: mean(precision), Recall: mean(recall), Found: mean(matched)}
}

func share(hits []string, right map[string]bool) float64 {
	n := 0.0
	for _, id := range hits {
		if right[id] {
			n++
		}
	}
	return n
}

func recalls(t *testing.T) ([]search.Document, map[string]map[string]bool) {
	t.Helper()
	var rows []struct {
		Category     string   `json:"category"`
		Number       string   `json:"recall_number"`
		Date         string   `json:"recall_date"`
		Makers       []string `json:"manufacturers"`
		Descriptions []string `json:"descriptions"`
		Hazards      []string `json:"hazards"`
	}
	if err := json.Unmarshal(sharedData(t, "warnings/cpsc.json"), &rows); err != nil {
		t.Fatal(err)
	}
	categories := map[string]map[string]bool{}
	var docs []search.Document
	seen := map[string]bool{}
	for _, r := range rows {
		// One recall of several products has a row for each.
		sum := sha256.Sum256([]byte(strings.Join(r.Descriptions, " ")))
		id := r.Number + "/" + hex.EncodeToString(sum[:4])
		if categories[r.Category] == nil {
			categories[r.Category] = map[string]bool{}
		}
		categories[r.Category][id] = true
		if seen[id] {
			continue
		}
		seen[id] = true
		d := search.Document{
			ID: id, Kind: "notice", Title: map[string]string{en: strings.Join(r.Descriptions, " ")},
			Text: map[string]string{en: strings.Join(r.Hazards, " ")}, Keywords: r.Makers,
		}
		if r.Date != "" {
			date, err := time.Parse(time.DateOnly, r.Date)
			if err != nil {
				t.Fatal(err)
			}
			d.Time = date
		}
		docs = append(docs, d)
	}
	return docs, categories
}

// sharedData reads a file of the data folder that stands beside the module.
func sharedData(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, "../shared/data", name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the real data is not here: ../shared/data/" + name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
