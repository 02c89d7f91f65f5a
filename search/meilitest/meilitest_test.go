package meilitest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	d := document{
		"level": "Red", "tags": []any{"a", `b"c`, "d e"}, "time": json.Number("-5"), "big": json.Number("281474976710655"), "none": nil,
	}
	for expr, want := range map[string]bool{
		`level = red`:                            true,
		`level = "RED"`:                          true,
		`level != red`:                           false,
		`level IN ["blue", 'red']`:               true,
		`level NOT IN [blue, red]`:               false,
		`level IN []`:                            false,
		`tags = "b\"c"`:                          true,
		`tags IN ["d e"]`:                        true,
		`tags = d`:                               false,
		`NOT tags = a`:                           false,
		`time < 0 AND time >= -5`:                true,
		`time = -5 AND NOT time > -5`:            true,
		`big = 281474976710655`:                  true,
		`big > 281474976710654`:                  true,
		`level = x OR (level = red AND time<0)`:  true,
		`(level = x OR level = red) AND time>0`:  false,
		`level = x AND level = y OR level = red`: true,
		`none = null`:                            false,
		`absent = "x"`:                           false,
		`"level" = "red"`:                        true,
	} {
		f, err := parseFilter(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := f.matches(d); got != want {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
	for _, expr := range []string{
		"", "level", "level =", "= red", "level = red OR", "(level = red", "level = red)", `level = "red`, "level IN [a b]", "level IN [a", "level = a b",
		"level ~ a", "AND", "level = AND", strings.Repeat("(", 1000), strings.Repeat("NOT ", 1000) + "a = b",
	} {
		if _, err := parseFilter(expr); err == nil {
			t.Errorf("%q is accepted", expr)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`level IN ["a\"b", 'c'] AND (time < -5 OR NOT x != y)`)
	f.Fuzz(func(_ *testing.T, expr string) {
		if p, err := parseFilter(expr); err == nil {
			p.matches(document{"level": "a", "time": json.Number("1")})
		}
	})
}

type bundle struct {
	*testing.T
	s *Server
}

func setup(t *testing.T) bundle {
	t.Helper()
	s := New("key")
	t.Cleanup(s.Close)
	return bundle{t, s}
}

// answer is what the tests read of answers.
type answer struct {
	Status  string `json:"status"`
	Code    string `json:"code"`
	Type    string `json:"type"`
	Link    string `json:"link"`
	Message string `json:"message"`

	TaskUID    int     `json:"taskUid"`
	FinishedAt string  `json:"finishedAt"`
	Error      *answer `json:"error"`

	EstimatedTotalHits int `json:"estimatedTotalHits"`
	Hits               []struct {
		ID         string `json:"id"`
		Federation struct {
			IndexUID        string `json:"indexUid"`
			QueriesPosition int    `json:"queriesPosition"`
		} `json:"_federation"`
	} `json:"hits"`
}

// do sends a request and gives the status and the decoded answer.
func (b bundle) do(method, path, body string) (int, answer) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.s.URL()+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := resp.Body.Close(); err != nil {
			b.Error(err)
		}
	}()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	var out answer
	if err := json.Unmarshal(raw, &out); err != nil {
		b.Fatalf("%s %s: %s", method, path, raw)
	}
	return resp.StatusCode, out
}

// write sends a write and gives the task when it is done.
func (b bundle) write(method, path, body string) answer {
	b.Helper()
	status, summary := b.do(method, path, body)
	if status != http.StatusAccepted || summary.Status != "enqueued" {
		b.Fatalf("%s %s: %d %+v", method, path, status, summary)
	}
	for {
		status, task := b.do(http.MethodGet, "/tasks/"+strconv.Itoa(summary.TaskUID), "")
		if status != http.StatusOK {
			b.Fatalf("task: %d %+v", status, task)
		}
		if task.FinishedAt != "" {
			return task
		}
	}
}

func (b bundle) search(body string) []string {
	b.Helper()
	status, resp := b.do(http.MethodPost, "/indexes/movies/search", body)
	if status != http.StatusOK {
		b.Fatalf("search %s: %d %+v", body, status, resp)
	}
	ids := []string{}
	for _, h := range resp.Hits {
		ids = append(ids, h.ID)
	}
	return ids
}

func TestTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if task := b.write("POST", "/indexes", `{"uid":"movies","primaryKey":"id"}`); task.Status != "succeeded" {
		t.Errorf("%+v", task)
	}
	for _, c := range []struct{ method, path, body, code string }{
		{"POST", "/indexes", `{"uid":"movies"}`, "index_already_exists"},
		{"DELETE", "/indexes/absent", "", "index_not_found"},
		{"POST", "/indexes/movies/documents", `[{"id":"a b"}]`, "invalid_document_id"},
		{"POST", "/indexes/movies/documents", `[{"name":"x"}]`, "missing_document_id"},
		{"POST", "/indexes/movies/documents/delete", `{"filter":"year = 1"}`, "invalid_document_filter"},
		{"POST", "/swap-indexes", `[{"indexes":["movies","absent"]}]`, "index_not_found"},
		{"POST", "/indexes/absent/documents/delete-batch", `["a"]`, "index_not_found"},
	} {
		task := b.write(c.method, c.path, c.body)
		if task.Status != "failed" || task.Error == nil || task.Error.Code != c.code || task.Error.Link == "" {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, task)
		}
	}
	if n := b.s.Indexes(); len(n) != 1 || n["movies"] != 0 {
		t.Errorf("failed tasks changed something: %v", n)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write("POST", "/indexes", `{"uid":"movies","primaryKey":"id"}`)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/indexes/absent", "", 404, "index_not_found"},
		{"GET", "/tasks/99", "", 404, "task_not_found"},
		{"POST", "/indexes", `{"uid":"no blanks"}`, 400, "invalid_index_uid"},
		{"POST", "/indexes/movies/search", `{"q":"a","nosuch":1}`, 400, "bad_request"},
		{"POST", "/indexes/movies/search", `{"filter":"year = 1"}`, 400, "invalid_search_filter"},
		{"POST", "/indexes/movies/search", `{"filter":"year ="}`, 400, "invalid_search_filter"},
		{"POST", "/indexes/movies/search", `{"sort":["year:asc"]}`, 400, "invalid_search_sort"},
		{"POST", "/indexes/movies/search", `{"matchingStrategy":"most"}`, 400, "invalid_search_matching_strategy"},
		{"POST", "/indexes/movies/documents/fetch", `{"filter":"year = 1"}`, 400, "invalid_document_filter"},
		{"PATCH", "/indexes/movies/settings", `{"nosuch":[]}`, 400, "bad_request"},
		{"POST", "/multi-search", `{"federation":{},"queries":[{"indexUid":"absent","q":"a"}]}`, 404, "index_not_found"},
		{"POST", "/multi-search", `{"federation":{},"queries":[{"indexUid":"movies","limit":1}]}`, 400, "invalid_multi_search_query_pagination"},
	} {
		status, resp := b.do(c.method, c.path, c.body)
		if status != c.status || resp.Code != c.code || resp.Type == "" || resp.Link == "" || resp.Message == "" {
			t.Errorf("%s %s %s: %d %+v", c.method, c.path, c.body, status, resp)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write("POST", "/indexes", `{"uid":"movies","primaryKey":"id"}`)
	b.write("PATCH", "/indexes/movies/settings", `{"searchableAttributes":["title","text"],"sortableAttributes":["year"],"filterableAttributes":["year"],
		"typoTolerance":{"enabled":true,"minWordSizeForTypos":{"oneTypo":5,"twoTypos":9},"disableOnWords":[],"disableOnAttributes":["text"],"disableOnNumbers":true}}`)
	b.write("POST", "/indexes/movies/documents", `[
		{"id":"knight","title":"Batman: the dark knight","year":2008},{"id":"dark","title":"Dark city","text":"batman","year":1998},
		{"id":"batman","title":"Batman","year":1989},{"id":"code","title":"THX1138","year":1971},{"id":"han","title":"黑 暗 骑 士","year":2008},{"id":"run","title":"黑暗骑士"}]`)
	for body, want := range map[string][]string{
		`{"q":"batman dark knight"}`:                           {"knight", "dark", "batman"},
		`{"q":"batman dark knight","matchingStrategy":"all"}`:  {"knight"},
		`{"q":"knight batman","matchingStrategy":"frequency"}`: {"knight"},
		`{"q":"batmen"}`:   {"batman", "knight"}, // not in text
		`{"q":"bat"}`:      {"batman", "knight", "dark"},
		`{"q":"bat "}`:     {},
		`{"q":"thx 1138"}`: {"code"}, // written as one
		`{"q":"1139"}`:     {},       // numbers are exact
		`{"q":"黑 暗","matchingStrategy":"all"}`:                      {"han"},
		`{"q":"batman","sort":["year:asc"],"filter":"year > 1989"}`: {"knight", "dark"}, // the attribute comes before the sort
		`{"filter":"year = 2008","sort":["year:desc"],"offset":1}`:  {"knight"},
		`{"q":"batman dark knight","rankingScoreThreshold":0.7}`:    {"knight"},
		`{"q":"batman dark knight","rankingScoreThreshold":0.4}`:    {"knight", "dark"},
	} {
		if got := b.search(body); !slices.Equal(got, want) {
			t.Errorf("%s finds %q, want %q", body, got, want)
		}
	}
}

func TestFederationMerges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.write("POST", "/indexes", `{"uid":"movies","primaryKey":"id"}`)
	b.write("POST", "/indexes/movies/documents", `[{"id":"a","title":"dark"},{"id":"b","title":"knight"},{"id":"c","title":"dark knight"}]`)
	_, resp := b.do("POST", "/multi-search", `{"federation":{"limit":2},"queries":[
		{"indexUid":"movies","q":"dark","federationOptions":{"weight":0.5}},{"indexUid":"movies","q":"dark knight","matchingStrategy":"all"}]}`)
	if len(resp.Hits) != 2 || resp.EstimatedTotalHits != 2 {
		t.Fatalf("%+v", resp)
	}
	if h := resp.Hits[0]; h.ID != "c" || h.Federation.QueriesPosition != 1 || h.Federation.IndexUID != "movies" {
		t.Errorf("first %+v", h)
	}
	if h := resp.Hits[1]; h.ID != "a" {
		t.Errorf("second %+v", h)
	}
}
