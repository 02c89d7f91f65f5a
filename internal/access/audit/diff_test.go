package audit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string
		want          []Difference
	}{
		{`{"a":1,"b":"x"}`, `{"b":"x","a":1}`, nil},
		{`{"a":1,"b":2}`, `{"a":1.0,"c":null}`, []Difference{{"/a", "1", "1.0"}, {"/b", "2", ""}, {"/c", "", "null"}}},
		{`{"name":{"zh-Hans":"甲","en":"A"}}`, `{"name":{"zh-Hans":"乙","en":"A"}}`, []Difference{{"/name/zh-Hans", `"甲"`, `"乙"`}}},
		{`{"l":[1,2,3]}`, `{"l":[1,5]}`, []Difference{{"/l/1", "2", "5"}, {"/l/2", "3", ""}}},
		{`{"a/b~":"<"}`, `{"a/b~":">"}`, []Difference{{"/a~1b~0", `"<"`, `">"`}}},
		{``, `{"a":{"b":1},"c":2}`, []Difference{{"/a", "", `{"b":1}`}, {"/c", "", "2"}}},
		{`{"a":1}`, ``, []Difference{{"/a", "1", ""}}},
		{``, ``, nil},
		{``, `[1]`, []Difference{{"", "", "[1]"}}},
		{`{"a":[]}`, `{"a":{}}`, []Difference{{"/a", "[]", "{}"}}},
		{`{`, `{"a":1}`, []Difference{{"", "{", `{"a":1}`}}},
		{`{`, `{`, nil},
	} {
		got, more := Diff(json.RawMessage(c.before), json.RawMessage(c.after))
		if !reflect.DeepEqual(got, c.want) || more {
			t.Errorf("%s → %s\ngot  %+v, %v\nwant %+v", c.before, c.after, got, more, c.want)
		}
	}
}

func TestDiffIsBounded(t *testing.T) {
	t.Parallel()
	members := func(n int, v string) json.RawMessage {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"m%03d":%s`, i, v)
		}
		return json.RawMessage("{" + b.String()[1:] + "}")
	}
	if got, more := Diff(members(MaxDifferences, "1"), members(MaxDifferences, "2")); len(got) != MaxDifferences || more {
		t.Errorf("got %d, %v", len(got), more)
	}
	if got, more := Diff(members(MaxDifferences+1, "1"), members(MaxDifferences+1, "2")); len(got) != MaxDifferences || !more {
		t.Errorf("got %d, %v", len(got), more)
	}
	long := `"` + strings.Repeat("甲", 1000) + `"`
	got, _ := Diff(members(1, long), members(1, "1"))
	if len(got) != 1 || len(got[0].Before) > maxShown {
		t.Errorf("got %+v", got)
	}
	deep := func(v string) json.RawMessage {
		return json.RawMessage(strings.Repeat(`{"a":`, 500) + v + strings.Repeat("}", 500))
	}
	got, _ = Diff(deep("1"), deep("2"))
	if len(got) != 1 || strings.Count(got[0].Path, "/") != maxDepth {
		t.Errorf("got %+v", got)
	}
}
