package gs1

import (
	"slices"

	"github.com/haisu-trace/haisu/internal/fault"
)

// Element is one GS1 application identifier (2 to 4 digits) with its value, not percent-encoded.
type Element struct {
	AI    string `json:"ai"`
	Value string `json:"value"`
}

// part is one component of an AI's value. All parts but the last have a fixed length.
type part struct {
	set      uint8
	min, max int // bytes
	optional bool
	checks   []check
}

// check examines the text of one part and says in words what is wrong, "" for nothing.
type check func(string) string

func n(length int, checks ...check) part { return part{setDigit, length, length, false, checks} }
func nUpTo(most int, checks ...check) part {
	return part{setDigit, 1, most, false, checks}
}
func x(length int, checks ...check) part     { return part{set82, length, length, false, checks} }
func xUpTo(most int, checks ...check) part   { return part{set82, 1, most, false, checks} }
func yUpTo(most int, checks ...check) part   { return part{set39, 1, most, false, checks} }
func b64UpTo(most int, checks ...check) part { return part{set64, 1, most, false, checks} }
func (p part) opt() part                     { p.optional = true; return p }

// aiRange gives one format to the AIs from first to last, in the order of their digits.
type aiRange struct {
	first, last string
	parts       []part
}

func ai(id string, parts ...part) aiRange           { return aiRange{id, id, parts} }
func ais(first, last string, parts ...part) aiRange { return aiRange{first, last, parts} }

// aiRanges are the formats of GS1 General Specifications, section 3.2. Checked beyond length and characters are check digits,
// company prefixes, dates, times, flags and counts; code lists (countries, currencies, package types) are not.
var aiRanges = []aiRange{
	ai("00", n(18, mod10)),
	ai("01", n(14, mod10)), ai("02", n(14, mod10)),
	ai("10", xUpTo(20)),
	ais("11", "13", n(6, dateDay0)), ai("15", n(6, dateDay0)), ai("16", n(6, dateDay0)), ai("17", n(6, dateDay0)),
	ai("20", n(2)),
	ai("21", xUpTo(20)), ai("22", xUpTo(20)),
	ai("235", xUpTo(28)),
	ai("240", xUpTo(30)), ai("241", xUpTo(30)), ai("242", nUpTo(6)), ai("243", xUpTo(20)),
	ai("250", xUpTo(30)), ai("251", xUpTo(30)),
	ai("253", n(13, mod10), xUpTo(17).opt()),
	ai("254", xUpTo(20)),
	ai("255", n(13, mod10), nUpTo(12).opt()),
	ai("30", nUpTo(8)),
	ais("3100", "3105", n(6)), ais("3110", "3115", n(6)), ais("3120", "3125", n(6)), ais("3130", "3135", n(6)),
	ais("3140", "3145", n(6)), ais("3150", "3155", n(6)), ais("3160", "3165", n(6)),
	ais("3200", "3205", n(6)), ais("3210", "3215", n(6)), ais("3220", "3225", n(6)), ais("3230", "3235", n(6)),
	ais("3240", "3245", n(6)), ais("3250", "3255", n(6)), ais("3260", "3265", n(6)), ais("3270", "3275", n(6)),
	ais("3280", "3285", n(6)), ais("3290", "3295", n(6)),
	ais("3300", "3305", n(6)), ais("3310", "3315", n(6)), ais("3320", "3325", n(6)), ais("3330", "3335", n(6)),
	ais("3340", "3345", n(6)), ais("3350", "3355", n(6)), ais("3360", "3365", n(6)), ais("3370", "3375", n(6)),
	ais("3400", "3405", n(6)), ais("3410", "3415", n(6)), ais("3420", "3425", n(6)), ais("3430", "3435", n(6)),
	ais("3440", "3445", n(6)), ais("3450", "3455", n(6)), ais("3460", "3465", n(6)), ais("3470", "3475", n(6)),
	ais("3480", "3485", n(6)), ais("3490", "3495", n(6)),
	ais("3500", "3505", n(6)), ais("3510", "3515", n(6)), ais("3520", "3525", n(6)), ais("3530", "3535", n(6)),
	ais("3540", "3545", n(6)), ais("3550", "3555", n(6)), ais("3560", "3565", n(6)), ais("3570", "3575", n(6)),
	ais("3600", "3605", n(6)), ais("3610", "3615", n(6)), ais("3620", "3625", n(6)), ais("3630", "3635", n(6)),
	ais("3640", "3645", n(6)), ais("3650", "3655", n(6)), ais("3660", "3665", n(6)), ais("3670", "3675", n(6)),
	ais("3680", "3685", n(6)), ais("3690", "3695", n(6)),
	ai("37", nUpTo(8)),
	ais("3900", "3909", nUpTo(15)), ais("3910", "3919", n(3), nUpTo(15)),
	ais("3920", "3929", nUpTo(15)), ais("3930", "3939", n(3), nUpTo(15)),
	ais("3940", "3943", n(4)), ais("3950", "3955", n(6)),
	ai("400", xUpTo(30)), ai("401", xUpTo(30, companyPrefix)), ai("402", n(17, mod10)), ai("403", xUpTo(30)),
	ais("410", "417", n(13, mod10)),
	ai("420", xUpTo(20)), ai("421", n(3), xUpTo(9)), ai("422", n(3)), ai("423", nUpTo(15)), ai("424", n(3)),
	ai("425", nUpTo(15)), ai("426", n(3)), ai("427", xUpTo(3)),
	ais("4300", "4301", xUpTo(35)), ais("4302", "4306", xUpTo(70)), ai("4307", x(2)), ai("4308", xUpTo(30)),
	ai("4309", n(20)),
	ais("4310", "4311", xUpTo(35)), ais("4312", "4316", xUpTo(70)), ai("4317", x(2)), ai("4318", xUpTo(20)),
	ai("4319", xUpTo(30)), ai("4320", xUpTo(35)), ais("4321", "4323", n(1, flag)),
	ais("4324", "4325", n(6, dateDay0), n(4, hourMinute)), ai("4326", n(6, date)),
	ais("4330", "4333", n(6), x(1, minus).opt()),
	ai("7001", n(13)), ai("7002", xUpTo(30)), ai("7003", n(6, date), n(4, hourMinute)), ai("7004", nUpTo(4)),
	ai("7005", xUpTo(12)), ai("7006", n(6, date)), ai("7007", n(6, date), n(6, date).opt()), ai("7008", xUpTo(3)),
	ai("7009", xUpTo(10)), ai("7010", xUpTo(2)), ai("7011", n(6, date), n(4, hourMinute).opt()),
	ais("7020", "7022", xUpTo(20)), ai("7023", xUpTo(30, companyPrefix)),
	ais("7030", "7039", n(3), xUpTo(27)), ai("7040", n(1), x(3)),
	ais("710", "717", xUpTo(20)),
	ais("7230", "7239", x(2), xUpTo(28)), ai("7240", xUpTo(20)), ai("7241", n(2)), ai("7242", xUpTo(25)),
	ai("8001", n(4, positive), n(5, positive), n(3, positive), n(2)), ai("8002", xUpTo(20)),
	ai("8003", n(1, zero), n(13, mod10), xUpTo(16).opt()), ai("8004", xUpTo(30, companyPrefix)), ai("8005", n(6)),
	ai("8006", n(14, mod10), n(4, pieceOfTotal)), ai("8007", xUpTo(34)), ai("8008", n(6, date), n(2, hour), nUpTo(4).opt()),
	ai("8009", xUpTo(50)), ai("8010", yUpTo(30, companyPrefix)), ai("8011", nUpTo(12, noZeroInFront)), ai("8012", xUpTo(20)),
	ai("8013", xUpTo(25, companyPrefix, modelCheckPair)),
	ai("8017", n(18, mod10)), ai("8018", n(18, mod10)), ai("8019", nUpTo(10)), ai("8020", xUpTo(25)),
	ai("8026", n(14, mod10), n(4, pieceOfTotal)), ai("8030", b64UpTo(90)),
	ai("8110", xUpTo(70)), ai("8111", n(4)), ai("8112", xUpTo(70)), ai("8200", xUpTo(70)),
	ai("90", xUpTo(30)), ais("91", "99", xUpTo(90)),
}

// aiFormats finds the parts of an AI's value. Reading it concurrently is safe: it never changes.
var aiFormats = func() map[string][]part {
	m := make(map[string][]part, 512)
	for _, r := range aiRanges {
		for id := r.first; ; id = nextAI(id) {
			m[id] = r.parts
			if id == r.last {
				break
			}
		}
	}
	return m
}()

// nextAI counts up the last two digits of an AI; no range crosses a hundred.
func nextAI(id string) string {
	b := []byte(id)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < '9' {
			b[i]++
			break
		}
		b[i] = '0'
	}
	return string(b)
}

// predefinedLength says whether the values of an AI need no FNC1 behind them (GS1 General Specifications, figure 7.8.5-2).
func predefinedLength(ai string) bool {
	switch ai[:2] {
	case "00", "01", "02", "03", "04", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
		"31", "32", "33", "34", "35", "36", "41":
		return true
	}
	return false
}

// aiAt gives the known AI with which s begins. No AI begins with another.
func aiAt(s string) (string, bool) {
	for size := 2; size <= 4 && size <= len(s); size++ {
		if _, ok := aiFormats[s[:size]]; ok {
			return s[:size], true
		}
	}
	return "", false
}

// checkElement says what is wrong with the value of a known AI. The code is element_value, but gtin_… for AI (01) and
// element_check_digit for a wrong check digit of another key.
func checkElement(e Element) error {
	if e.AI == "01" {
		_, err := ParseGTIN(e.Value)
		return err
	}
	rest := e.Value
	for _, p := range aiFormats[e.AI] {
		if rest == "" && p.optional {
			return nil
		}
		size := min(p.max, len(rest))
		text := rest[:size]
		rest = rest[size:]
		if size < p.min || !allIn(text, p.set) {
			return fault.New(fault.Malformed, "element_value", "the value %.40q does not have the form that GS1 prescribes for (%s)", e.Value, e.AI)
		}
		for _, c := range p.checks {
			if wrong := c(text); wrong != "" {
				code := "element_value"
				if wrong == wrongCheckDigit {
					code = "element_check_digit"
				}
				return fault.New(fault.Malformed, code, "(%s) %.40s: %s", e.AI, e.Value, wrong)
			}
		}
	}
	if rest != "" {
		return fault.New(fault.Malformed, "element_value", "the value %.40q is longer than GS1 allows for (%s)", e.Value, e.AI)
	}
	return nil
}

// pathQualifiers has, for each AI that may be the primary key of a Digital Link, the sequences of qualifiers that may follow
// it in the path: each qualifier may be left out, the order is fixed (GS1 Digital Link, URI syntax, section 4).
var pathQualifiers = map[string][][]string{
	"00": nil, "253": nil, "255": nil, "401": nil, "402": nil, "8003": nil, "8013": nil,
	"01":   {{"22", "10", "21"}, {"235"}},
	"8006": {{"22", "10", "21"}},
	"414":  {{"254"}, {"7040"}},
	"415":  {{"8020"}},
	"417":  {{"7040"}},
	"8004": {{"7040"}},
	"8010": {{"8011"}},
	"8017": {{"8019"}},
	"8018": {{"8019"}},
}

// validQualifiers says whether the AIs may follow the primary key in this order.
func validQualifiers(key string, ais []string) bool {
	if len(ais) == 0 {
		return true
	}
	return slices.ContainsFunc(pathQualifiers[key], func(order []string) bool {
		at := 0
		for _, ai := range ais {
			next := slices.Index(order[at:], ai)
			if next < 0 {
				return false
			}
			at += next + 1
		}
		return true
	})
}

// belongsInPath says whether an AI of the query string could stand among the qualifiers of the path, where it must then stand.
func belongsInPath(key string, ais []string, ai string) bool {
	for i := 0; i <= len(ais); i++ {
		if validQualifiers(key, slices.Insert(slices.Clone(ais), i, ai)) {
			return true
		}
	}
	return false
}
