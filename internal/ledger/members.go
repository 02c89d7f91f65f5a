package ledger

import (
	"bytes"
	"slices"
)

// Pick gives an object with those of the members of a JSON object that are named and there, in the order of names, their values as they
// stand. It is false for what is no JSON object, and for one that has a member twice.
//
// It is for the public part of documents: a member may be added to names as long as no document with it has a leaf yet.
func Pick(body []byte, names ...string) ([]byte, bool) {
	found := make(map[string][]byte, len(names))
	twice := false
	ok := members(body, func(name, value []byte) {
		_, had := found[string(name)]
		twice = twice || had
		found[string(name)] = value
	})
	if !ok || twice {
		return nil, false
	}
	out := []byte{'{'}
	for _, n := range names {
		if v, ok := found[n]; ok {
			out = appendMember(out, []byte(n), v)
		}
	}
	return append(out, '}'), true
}

// Without gives a JSON object as it stands but for the named members. It is false for what is no JSON object.
func Without(body []byte, names ...string) ([]byte, bool) {
	out := append(make([]byte, 0, len(body)), '{')
	ok := members(body, func(name, value []byte) {
		if !slices.Contains(names, string(name)) {
			out = appendMember(out, name, value)
		}
	})
	return append(out, '}'), ok
}

func appendMember(out, name, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(append(append(out, '"'), name...), '"', ':')
	return append(out, value...)
}

// members calls f for each member of a JSON object: with the name as it stands between its quotes, and the value as it stands. It looks no
// deeper than it must to find where a value ends, since what is stored was written by this program: what does not pass for its text
// will not have its hash.
func members(body []byte, f func(name, value []byte)) bool {
	b := bytes.TrimSpace(body)
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	b = bytes.TrimSpace(b[1 : len(b)-1])
	for len(b) > 0 {
		n := valueEnd(b)
		if b[0] != '"' || n < 2 || b[n-1] != '"' {
			return false
		}
		name := b[1 : n-1]
		b = bytes.TrimSpace(b[n:])
		if len(b) < 2 || b[0] != ':' {
			return false
		}
		b = bytes.TrimSpace(b[1:])
		n = valueEnd(b)
		if n == 0 {
			return false
		}
		f(name, b[:n])
		b = bytes.TrimSpace(b[n:])
		if len(b) == 0 {
			return true
		}
		if b[0] != ',' || len(b) == 1 {
			return false
		}
		b = bytes.TrimSpace(b[1:])
	}
	return true
}

// valueEnd is the length of the value that b begins with, 0 where there is none.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := stringEnd(b[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			switch {
			case depth < 0:
				return i
			case depth == 0:
				return i + 1
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	if depth > 0 {
		return 0
	}
	return len(b)
}

// stringEnd is the length of the string that b begins with, 0 if it does not end.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
