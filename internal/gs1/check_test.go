package gs1

import "testing"

func TestElementValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ai, value string
		want      string
	}{
		{"7006", "260431", "element_value"},
		{"7006", "260430", ""},
		{"7006", "260400", "element_value"}, // a day is needed here
		{"7007", "260101", ""},
		{"7007", "260101260131", ""},
		{"7007", "2601012601", "element_value"},
		{"8008", "26010123", ""},
		{"8008", "2601012359", ""},
		{"8008", "26010124", "element_value"},
		{"4321", "1", ""},
		{"4321", "2", "element_value"},
		{"4324", "2601009999", ""},
		{"4324", "2601002400", "element_value"},
		{"4331", "000150-", ""},
		{"4331", "000150+", "element_value"},
		{"8001", "100001000100" + "19", ""},
		{"8001", "000001000100" + "19", "element_value"},
		{"8011", "0", ""},
		{"8011", "01", "element_value"},
		{"8013", "22", "element_value"},
		{"8026", "069012345678920000", "element_value"},
		{"7040", "1ABC", ""},
		{"7040", "AABC", "element_value"},
		{"3103", "000195", ""},
		{"3103", "00195", "element_value"},
		{"3103", "0001950", "element_value"},
		{"30", "", "element_value"},
	} {
		if got := code(t, checkElement(Element{c.ai, c.value})); got != c.want {
			t.Errorf("(%s)%s: %q, want %q", c.ai, c.value, got, c.want)
		}
	}
}

func TestExpandUPCE(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"04252614": "042100005264",
		"01234531": "012300000451",
		"01234543": "012340000053",
		"01234565": "012345000065",
	} {
		if got := expandUPCE(in); got != want || !hasCheckDigit(got) {
			t.Errorf("%s is %s, want %s with a right check digit", in, got, want)
		}
	}
}
