package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/haisu-trace/haisu/internal/secret"
	"github.com/haisu-trace/haisu/internal/store"
)

// KeysInUse counts the data keys that are wrapped with each key of the keys file. It reads all of them, and is for secret.RetireFile.
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
	return used, nil
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
