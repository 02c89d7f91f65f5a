package ledger

import (
	"encoding/json"
	"maps"
	"testing"
)

func TestPickAndWithout(t *testing.T) {
	t.Parallel()
	body := []byte(`{"a":"x\"},{","b":{"a":[1,{"c":"]"}]},"c":[],"d":null,"e":-1.5e3,"f":{}}`)
	for _, c := range []struct {
		names []string
		pick  string
		rest  string
	}{
		{[]string{"b", "a", "nobody"}, `{"b":{"a":[1,{"c":"]"}]},"a":"x\"},{"}`, `{"c":[],"d":null,"e":-1.5e3,"f":{}}`},
		{[]string{"f", "e", "d", "c"}, `{"f":{},"e":-1.5e3,"d":null,"c":[]}`, `{"a":"x\"},{","b":{"a":[1,{"c":"]"}]}}`},
		{nil, `{}`, string(body)},
	} {
		if got, ok := Pick(body, c.names...); !ok || string(got) != c.pick {
			t.Errorf("%v: picked %s, %v", c.names, got, ok)
		}
		if got, ok := Without(body, c.names...); !ok || string(got) != c.rest {
			t.Errorf("%v: left %s, %v", c.names, got, ok)
		}
	}
	for _, bad := range []string{``, `[]`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1"b":2}`, `{a:1}`, `{"a":"}`, `{"a":[}`, `{"a":1,"a":2}`, `{:1}`} {
		if got, ok := Pick([]byte(bad), "a"); ok {
			t.Errorf("%s: picked %s", bad, got)
		}
		if _, ok := Without([]byte(bad), "b"); ok && bad != `{"a":1,"a":2}` {
			t.Errorf("%s: taken for an object", bad)
		}
	}
	if got, ok := Without([]byte(" { \"a\" : 1 , \"b\" : [ 2 ] } "), "c"); !ok || string(got) != `{"a":1,"b":[ 2 ]}` {
		t.Errorf("got %s, %v", got, ok)
	}
}

// On whatever encoding/json takes for an object without a member twice, both agree with it.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{``, `{"a":1}`, `{"a":{"b":["}"]},"c":"\\"}`, `{ }`, `{"a":"\u0041","b":tru}`, `{"":""}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]json.RawMessage
		valid := json.Unmarshal(body, &want) == nil && want != nil
		got, ok := Without(body, "a")
		if !valid {
			return
		}
		if !ok {
			t.Fatalf("refuses %q", body)
		}
		var rest map[string]json.RawMessage
		if err := json.Unmarshal(got, &rest); err != nil {
			t.Fatalf("%q became %q: %v", body, got, err)
		}
		escaped := false // a name that is spelled with escapes is another text
		for name := range rest {
			escaped = escaped || name == "a"
		}
		delete(want, "a")
		if !escaped && !maps.EqualFunc(want, rest, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%q became %q", body, got)
		}
	})
}
