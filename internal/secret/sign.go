package secret

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
)

// SigningKey is an Ed25519 key for one purpose, derived from the MAC key (HKDF-SHA-256, RFC 5869). So it is the same on every machine that has a copy of
// the file, as long as the MAC key is, which is for ever; a file from before there were signing keys has one, too; and whoever
// lacks KEYS_FILE cannot sign, whatever data they have. Another purpose is another key.
func (b *Box) SigningKey(purpose string) ed25519.PrivateKey {
	seed, err := hkdf.Key(sha256.New, b.keys.Load().mac, nil, "signing\x00"+purpose, ed25519.SeedSize)
	if err != nil {
		panic("secret: " + err.Error()) // only for a length that SHA-256 cannot give
	}
	return ed25519.NewKeyFromSeed(seed)
}
