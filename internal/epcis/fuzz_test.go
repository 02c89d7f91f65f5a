package epcis

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// seedDocuments adds documents of our own and, where they are, the real ones.
func seedDocuments(f *testing.F, add func([]byte)) {
	for _, members := range []string{
		objectEvent + `,"ex:a":[1,{"ex:b":"c"},null,true],"eventID":"urn:x:1"`,
		`"type":"AggregationEvent","action":"ADD","parentID":` + crate + `,"childEPCs":[` + bottle1 + `]`,
		`"type":"TransformationEvent","inputEPCList":[` + bottle1 + `],"outputQuantityList":[{"epcClass":` + lot + `,"quantity":1.50,"uom":"KGM"}]`,
	} {
		add(event(members))
		add([]byte(`{"@context":{"ex":"urn:y:"},` + documentHead + `"epcisBody":{"eventList":[` + string(event(members)) + `]}}`))
	}
	for _, dir := range []string{"valid", "invalid", "hash"} {
		for _, file := range fuzzFiles(dir) {
			if data, err := os.ReadFile(file); err == nil {
				add(data)
			}
		}
	}
}

// FuzzDecodeDocument checks that no input breaks the decoder, that each refusal is a fault with a place, and that what is accepted
// stands alone: its Raw gives the same event again.
func FuzzDecodeDocument(f *testing.F) {
	seedDocuments(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := DecodeDocument(data, Limits{})
		if err != nil {
			audit(t, data, err)
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted what is not JSON")
		}
		for _, e := range doc.Events {
			standsAlone(t, "input", e)
			e.Edges()
		}
	})
}

// FuzzHashStable shuffles the members of all objects and the elements of all lists of an event: its hash does not change.
func FuzzHashStable(f *testing.F) {
	seedDocuments(f, func(b []byte) { f.Add(b, uint64(len(b))) })
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		doc, err := DecodeDocument(data, Limits{})
		if err != nil {
			return
		}
		for _, e := range doc.Events {
			n, err := parse(e.Raw, Limits{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			shuffled := appendShuffled(nil, &n, rand.New(rand.NewPCG(seed, 1)), false)
			again, err := DecodeEvent(shuffled, Limits{})
			if err != nil {
				t.Fatalf("%v\n%s", err, shuffled)
			}
			if again.HashID() != e.HashID() {
				t.Errorf("%s\n%s\n%s", e.PreHash(), again.PreHash(), shuffled)
			}
		}
	})
}

// appendShuffled writes a value in another order. The order of contexts matters, so they stay as they are, except for the members of
// one context.
func appendShuffled(b []byte, n *node, r *rand.Rand, inContext bool) []byte {
	if n.kind != isArray && n.kind != isObject {
		return append(b, n.src...)
	}
	order := r.Perm(len(n.kids))
	if n.kind == isArray && inContext {
		for i := range order {
			order[i] = i
		}
	}
	open, end := byte('['), byte(']')
	if n.kind == isObject {
		open, end = '{', '}'
	}
	b = append(b, open)
	for i, j := range order {
		if i > 0 {
			b = append(b, ',')
		}
		kid := &n.kids[j]
		if n.kind == isObject {
			b = append(appendString(b, kid.key), ':')
		}
		b = appendShuffled(b, kid, r, inContext || kid.key == "@context")
	}
	return append(b, end)
}

// fuzzFiles is sharedFiles without a test to skip.
func fuzzFiles(folder string) []string {
	files, err := globShared(folder, "*.json*")
	if err != nil {
		return nil
	}
	return files
}

func BenchmarkDecodeEvent(b *testing.B) {
	var epcs []string
	for i := range 10 {
		epcs = append(epcs, `"https://id.gs1.org/01/09521141012345/21/`+itoa(10_000_000_000+i)+`"`)
	}
	for name, list := range map[string]string{
		"links": strings.Join(epcs, ","),
		"urns":  strings.ReplaceAll(strings.Join(epcs, ","), "https://id.gs1.org/01/09521141012345/21/", "urn:epc:id:sgtin:9521141.001234."),
	} {
		data := event(`"type":"ObjectEvent","action":"OBSERVE","epcList":[` + list + `],"bizStep":"shipping","disposition":"in_transit",` +
			`"readPoint":{"id":"urn:epc:id:sgln:4012345.00005.0"},"bizTransactionList":[{"type":"po","bizTransaction":"urn:x:1"}]`)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				e, err := DecodeEvent(data, Limits{})
				if err != nil || e.HashID() == "" {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeDocument1000(b *testing.B) {
	one := string(event(`"type":"ObjectEvent","action":"OBSERVE","epcList":[` + bottle1 + `,` + bottle2 + `],"bizStep":"shipping"`))
	data := []byte(`{"@context":[],` + documentHead + `"epcisBody":{"eventList":[` + strings.Repeat(one+",", 999) + one + `]}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeDocument(data, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
