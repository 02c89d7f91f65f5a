package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// KeysInUse counts what is sealed with each key of the keys file: data keys, and the fields that the map says are sealed with the keyset itself.
// Every collection of such a field must be declared. It reads all of them, and is for secret.RetireFile.
func (v *Vault) KeysInUse(ctx context.Context) (map[uint32]int, error) {
	used := map[uint32]int{}
	err := v.keys.All(ctx, func(d store.Doc[dataKey]) error {
		if id, ok := secret.KeyOf(d.V.Wrapped); ok {
			used[id]++
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read data keys: %w", err)
	}
	for i := range Fields {
		if f := &Fields[i]; f.Protection == Installation {
			if err := v.countField(ctx, f, used); err != nil {
				return nil, err
			}
		}
	}
	return used, nil
}

func (v *Vault) countField(ctx context.Context, f *Field, used map[uint32]int) error {
	after := ""
	for {
		recs, err := v.eng.All(ctx, f.Collection, after, store.MaxBatch)
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Collection, err)
		}
		if len(recs) == 0 {
			return nil
		}
		for _, r := range recs {
			after = r.ID
			values, err := f.Values(r.Body)
			if err != nil {
				return fmt.Errorf("%s %s: %w", f.Collection, r.ID, err)
			}
			for _, s := range values {
				if id, ok := secret.KeyOf(s); ok {
					used[id]++
				}
			}
		}
	}
}

// Values gives the texts that stand at the field's place in a stored document; none where the document has none.
func (f *Field) Values(body []byte) ([]string, error) {
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	var out []string
	collect(doc, strings.Split(f.Name, "."), &out)
	return out, nil
}

// collect walks into lists without a step of the path.
func collect(v any, path []string, out *[]string) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			collect(e, path, out)
		}
	case map[string]any:
		if len(path) > 0 {
			collect(v[path[0]], path[1:], out)
		}
	case string:
		if len(path) == 0 {
			*out = append(*out, v)
		}
	}
}
