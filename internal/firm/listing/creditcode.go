package listing

import "strings"

// creditDigits are the characters of a unified social credit code in the order of their values (GB 32100-2015, table 2): no I, O, S, V, Z.
const creditDigits = "0123456789ABCDEFGHJKLMNPQRTUWXY"

const creditLength = 18

// validCreditCode says whether a text is a unified social credit code (统一社会信用代码): 18 characters, of which the last checks the
// others with the weights 3^(i-1) mod 31 (GB 32100-2015, 5.5 and annex A).
func validCreditCode(s string) bool {
	if len(s) != creditLength {
		return false
	}
	sum, weight := 0, 1
	for i := range creditLength - 1 {
		v := strings.IndexByte(creditDigits, s[i])
		if v < 0 {
			return false
		}
		sum += v * weight
		weight = weight * 3 % len(creditDigits)
	}
	check := (len(creditDigits) - sum%len(creditDigits)) % len(creditDigits)
	return s[creditLength-1] == creditDigits[check]
}
