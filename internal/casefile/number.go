package casefile

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/casefile/deadline"
)

// alphabet is Crockford's: no I, L, O, U, so that a number survives being read aloud and copied by hand.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const (
	numberPrefix = "TS" // 投诉
	randomPart   = 6    // characters of a number that are random: 2^30 numbers a day, and nothing to count by
)

// newNumber makes a receipt number, TS-20261124-K7M2QPX: the day of filing in China, six random characters (the first of token, which is
// of the same alphabet in lower case) and a check character over both.
func newNumber(filed time.Time, token string) string {
	day := filed.In(deadline.Beijing).Format("20060102")
	random := strings.ToUpper(token[:randomPart])
	return fmt.Sprintf("%s-%s-%s%c", numberPrefix, day, random, checkCharacter(day+random))
}

// parseNumber reads a receipt number as people type it: any case, spaces or hyphens anywhere or nowhere, O for 0, I and L for 1. It is
// false for one whose check character does not fit.
func parseNumber(text string) (string, bool) {
	if len(text) > 100 {
		return "", false
	}
	s := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\u3000' || r == '－' || r == '–' || r == '—':
			return -1
		case r >= '！' && r <= '～': // full-width forms
			return r - 0xfee0
		}
		return r
	}, text)
	s = strings.ToUpper(s)
	body, ok := strings.CutPrefix(s, numberPrefix)
	if !ok || len(body) != 8+randomPart+1 {
		return "", false
	}
	body = strings.NewReplacer("O", "0", "I", "1", "L", "1").Replace(body)
	for i := range len(body) {
		if strings.IndexByte(alphabet, body[i]) < 0 || i < 8 && body[i] > '9' {
			return "", false
		}
	}
	last := len(body) - 1
	if checkCharacter(body[:last]) != body[last] {
		return "", false
	}
	return fmt.Sprintf("%s-%s-%s", numberPrefix, body[:8], body[8:]), true
}

// checkCharacter is the Luhn algorithm in base 32: it finds every single wrong character and nearly every exchange of two
// neighbours.
func checkCharacter(s string) byte {
	sum, factor := 0, 2
	for i := len(s) - 1; i >= 0; i-- {
		v := factor * strings.IndexByte(alphabet, s[i])
		sum += v/32 + v%32
		factor = 3 - factor
	}
	return alphabet[(32-sum%32)%32]
}

const (
	secretDigits = 25 // 83 bits
	secretGroup  = 5
)

// newSecret turns a keyed hash into 25 decimal digits in groups of five: digits can be dictated in any language.
func newSecret(hash []byte) string {
	n := new(big.Int).SetBytes(hash)
	n.Mod(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(secretDigits), nil))
	digits := fmt.Sprintf("%0*s", secretDigits, n.String())
	groups := make([]string, 0, secretDigits/secretGroup)
	for i := 0; i < secretDigits; i += secretGroup {
		groups = append(groups, digits[i:i+secretGroup])
	}
	return strings.Join(groups, " ")
}

// plainSecret gives the digits of a secret as it was typed: everything else is dropped, full-width digits are read.
func plainSecret(text string) string {
	if len(text) > 200 {
		return ""
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case r >= '０' && r <= '９':
			return r - '０' + '0'
		}
		return -1
	}, text)
}
