package trace

import (
	"bytes"
	"encoding/json"
)

// encoded is the part of an answer that is the same for every scan of a unit, in JSON: it is larger than the rest, and encoded once per
// chain and language.
type encoded struct{ product, lot, chain []byte }

func encode(product *ProductView, lot *LotView, steps []Step) (*encoded, error) {
	if steps == nil {
		steps = []Step{}
	}
	var e encoded
	var err error
	for _, part := range []struct {
		to *[]byte
		v  any
	}{{&e.product, product}, {&e.lot, lot}, {&e.chain, steps}} {
		if *part.to, err = json.Marshal(part.v); err != nil {
			return nil, err
		}
	}
	return &e, nil
}

// noChain is what stands in an answer's JSON for a chain that is left out. It cannot occur within a string, where quotes are escaped.
var noChain = []byte(`"chain":null`)

// AppendJSON appends the answer in JSON: what json.Marshal gives, apart from the order of members.
func (a *Answer) AppendJSON(dst []byte) ([]byte, error) {
	if a.encoded == nil {
		b, err := json.Marshal(a)
		return append(dst, b...), err
	}
	rest := *a
	rest.Product, rest.Lot, rest.Chain = nil, nil, nil
	b, err := json.Marshal(&rest)
	if err != nil {
		return dst, err
	}
	at := bytes.Index(b, noChain)
	dst = append(dst, b[:at]...)
	if a.Product != nil {
		dst = append(append(append(dst, `"product":`...), a.encoded.product...), ',')
	}
	if a.Lot != nil {
		dst = append(append(append(dst, `"lot":`...), a.encoded.lot...), ',')
	}
	dst = append(append(dst, `"chain":`...), a.encoded.chain...)
	return append(dst, b[at+len(noChain):]...), nil
}
