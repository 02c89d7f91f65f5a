package privacy

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"testing"
	"time"
)

// BenchmarkOpen compares opening a field of 30 bytes, with the data key in the cache and without, with the least that could do it: AES-GCM
// with the cipher at hand, and base64.
func BenchmarkOpen(b *testing.B) {
	v := setup(b)
	const record, field = "case/TS-20261124-K7M2QPX", "texts.phone"
	plain := "+86 138 0000 0000 (evenings)  "
	sealed := v.seal(b, record, field, plain)
	open := func(b *testing.B) {
		b.Helper()
		if _, err := v.Vault.Open(b.Context(), record, field, sealed); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("bare", func(b *testing.B) {
		block, err := aes.NewCipher(newKey())
		must(b, err)
		gcm, err := cipher.NewGCM(block)
		must(b, err)
		nonce := make([]byte, gcm.NonceSize())
		text := base64.RawStdEncoding.EncodeToString(gcm.Seal(nil, nonce, []byte(plain), []byte(record)))
		for b.Loop() {
			c, err := base64.RawStdEncoding.DecodeString(text)
			if err == nil {
				_, err = gcm.Open(nil, nonce, c, []byte(record))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			open(b)
		}
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			v.clock.Advance(time.Second)
			open(b)
		}
	})
}

// BenchmarkOpenMany opens the push tokens of a chunk of 200 devices; one operation is one token.
func BenchmarkOpenMany(b *testing.B) {
	v := setup(b)
	items := make([]Item, 200)
	for i := range items {
		record := fmt.Sprintf("device/%016d", i)
		items[i] = Item{record, "push_token", v.seal(b, record, "push_token", fmt.Sprintf("%0160d", i))}
	}
	v.cache = newCache(2)
	b.ResetTimer()
	for n := 0; n < b.N; n += len(items) {
		opened, err := v.OpenMany(b.Context(), items)
		must(b, err)
		for _, o := range opened {
			must(b, o.Err)
		}
	}
}
