package httpapi

import (
	"testing"
	"time"

	"github.com/haisu-trace/haisu/internal/web/browsertest"
)

// The API reference works under its content policy, which allows nothing inline but what it names by hash.
func TestDocsInABrowser(t *testing.T) {
	t.Parallel()
	b := browsertest.Open(t)
	addr, _ := listen(t)
	page := b.Visit(t, "http://"+addr+"/docs", browsertest.View{Width: 1200, Height: 900})
	shown := 0
	for end := time.Now().Add(20 * time.Second); shown < 10 && time.Now().Before(end); {
		shown = browsertest.Eval[int](t, page, `document.querySelectorAll(".opblock").length`)
	}
	if shown < 10 {
		t.Errorf("%d operations are shown", shown)
	}
	for _, problem := range page.Problems() {
		t.Error(problem)
	}
}
