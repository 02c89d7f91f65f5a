package trace

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
)

func TestAppendJSONIsMarshal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.goods()
	b.capture(b.maker, event("ObjectEvent", "ADD", "commissioning", "2026-01-01T00:00:00Z", `"epcList":["`+node(u.Ref())+`"]`))
	for _, ref := range []gs1.Ref{u.Ref(), {GTIN: gtinA}, {GTIN: gtinA, Lot: "L1"}, {GTIN: gtinA, Lot: `x"chain":null`}, {GTIN: gtinB, Serial: "1"}} {
		for _, tag := range []string{lang.ZhHans, lang.En} {
			a, err := b.Scan(t.Context(), ScanRequest{Ref: ref, Lang: tag})
			must(t, err)
			fast, err := a.AppendJSON([]byte("x"))
			must(t, err)
			slow, err := json.Marshal(a)
			must(t, err)
			var got, want any
			must(t, json.Unmarshal(fast[1:], &got))
			must(t, json.Unmarshal(slow, &want))
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%v %s:\n%s\nwant\n%s", ref, tag, fast, slow)
			}
		}
	}
	a := &Answer{Chain: []Step{}}
	got, err := a.AppendJSON(nil)
	must(t, err)
	if want, _ := json.Marshal(a); string(got) != string(want) {
		t.Errorf("without a chain: %s", got)
	}
}
