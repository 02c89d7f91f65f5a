package casefile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/haisu-trace/haisu/internal/fault"
	"github.com/haisu-trace/haisu/internal/gs1"
	"github.com/haisu-trace/haisu/internal/lang"
	"github.com/haisu-trace/haisu/internal/privacy"
)

// NewComplaint is what a consumer files. What and the contact's name, and a phone number or e-mail address, are required; everything
// else may be empty.
type NewComplaint struct {
	Kind    string  `json:"kind,omitempty"` // Complaint, also when empty
	GTIN    string  `json:"gtin,omitempty"`
	Lot     string  `json:"lot,omitempty"`    // as printed
	Serial  string  `json:"serial,omitempty"` // of a code of ours
	Seller  string  `json:"seller,omitempty"`
	What    string  `json:"what"`            // what is wrong
	Where   string  `json:"where,omitempty"` // where it was bought
	When    string  `json:"when,omitempty"`  // when it was bought, in the filer's words
	Asked   string  `json:"asked,omitempty"` // what the filer asks for
	Contact Contact `json:"contact"`
	Lang    string  `json:"lang,omitempty"` // zh-Hans (also when empty) or en: the language to answer in

	// What says which authority is competent.
	Class string `json:"class,omitempty"` // product category of the vocabulary
	Stage string `json:"stage,omitempty"` // StageMarket (also when empty) or StagePort
	Place string `json:"place,omitempty"` // GB/T 2260 code of the province, city or county, 2 to 6 digits
}

// The stages at which goods were when something was wrong with them.
const (
	StageMarket = "market" // sold
	StagePort   = "port"   // at the border
)

// Contact is who files. It is sealed field by field.
type Contact struct {
	Name  string `json:"name"`
	Phone string `json:"phone,omitempty"`
	Email string `json:"email,omitempty"`
}

// Bounds, in characters.
const (
	maxWhat  = 4000
	maxAsked = 1000
	maxLine  = 200
	maxLot   = 40
	maxPhone = 40
	maxEmail = 254 // RFC 5321, 4.5.3.1.3
	maxKey   = 200 // bytes of an idempotency key
)

// texts are the texts of a complaint as they are stored.
type texts struct {
	Name   privacy.Sealed `json:"name,omitempty"`
	Phone  privacy.Sealed `json:"phone,omitempty"`
	Email  privacy.Sealed `json:"email,omitempty"`
	Seller privacy.Sealed `json:"seller,omitempty"`
	What   privacy.Sealed `json:"what,omitempty"`
	Where  privacy.Sealed `json:"where,omitempty"`
	When   privacy.Sealed `json:"when,omitempty"`
	Asked  privacy.Sealed `json:"asked,omitempty"`
}

// sealedText is one text of a complaint, in clear and as it is stored, with its name in the map of personal data.
type sealedText struct {
	field  string
	plain  *string
	sealed *privacy.Sealed
}

// pairs pairs the texts of a complaint with where they are stored.
func (c *NewComplaint) pairs(t *texts) []sealedText {
	return []sealedText{
		{"texts.name", &c.Contact.Name, &t.Name}, {"texts.phone", &c.Contact.Phone, &t.Phone}, {"texts.email", &c.Contact.Email, &t.Email},
		{"texts.seller", &c.Seller, &t.Seller}, {"texts.what", &c.What, &t.What}, {"texts.where", &c.Where, &t.Where},
		{"texts.when", &c.When, &t.When}, {"texts.asked", &c.Asked, &t.Asked},
	}
}

// normalize trims every text, puts the defaults in and checks every rule. The error is Invalid with pointers into the complaint.
func (c *NewComplaint) normalize() error {
	var fields []fault.Field
	add := func(pointer, code, format string, args ...any) {
		fields = append(fields, fault.Field{Pointer: pointer, Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	for _, f := range []struct {
		pointer   string
		text      *string
		most      int
		multiline bool
	}{
		{"/kind", &c.Kind, maxLine, false}, {"/gtin", &c.GTIN, maxLine, false}, {"/lot", &c.Lot, maxLot, false},
		{"/serial", &c.Serial, maxLot, false}, {"/seller", &c.Seller, maxLine, false}, {"/what", &c.What, maxWhat, true},
		{"/where", &c.Where, maxLine, false}, {"/when", &c.When, maxLine, false}, {"/asked", &c.Asked, maxAsked, true},
		{"/contact/name", &c.Contact.Name, maxLine, false}, {"/contact/phone", &c.Contact.Phone, maxPhone, false},
		{"/contact/email", &c.Contact.Email, maxEmail, false}, {"/lang", &c.Lang, maxLine, false},
		{"/class", &c.Class, maxLine, false}, {"/stage", &c.Stage, maxLine, false}, {"/place", &c.Place, maxLine, false},
	} {
		*f.text = strings.TrimSpace(*f.text)
		if n := utf8.RuneCountInString(*f.text); n > f.most {
			add(f.pointer, "too_long", "%d characters; at most %d", n, f.most)
		}
		if !printable(*f.text, f.multiline) {
			add(f.pointer, "characters", "this text holds control characters or is not valid UTF-8")
		}
	}
	c.checkGoods(add)
	c.checkContact(add)
	c.checkCompetence(add)
	if c.Kind == "" {
		c.Kind = Complaint
	}
	if c.Kind != Complaint {
		add("/kind", "unknown_code", "this version takes: %s", Complaint)
	}
	if c.Lang == "" {
		c.Lang = lang.ZhHans
	}
	if !lang.Valid(c.Lang) {
		add("/lang", "unknown_language", "one of: %s, %s", lang.ZhHans, lang.En)
	}
	if c.What == "" {
		add("/what", "required", "say what is wrong")
	}
	if len(fields) > 0 {
		return fault.InvalidFields(fields...)
	}
	return nil
}

func (c *NewComplaint) checkGoods(add func(pointer, code, format string, args ...any)) {
	if c.GTIN != "" {
		g, err := gs1.ParseGTINLenient(c.GTIN)
		if err != nil {
			add("/gtin", fault.CodeOf(err), "%s", detail(err))
		} else {
			c.GTIN = string(g)
		}
	}
	if c.GTIN == "" && (c.Lot != "" || c.Serial != "") {
		add("/gtin", "required", "a lot or serial number says little without the product's barcode")
	}
	if c.Serial != "" {
		if err := gs1.ValidSerial(c.Serial); err != nil {
			add("/serial", fault.CodeOf(err), "%s", detail(err))
		}
	}
}

var (
	classPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	placePattern = regexp.MustCompile(`^[0-9]{2,6}$`)
)

func (c *NewComplaint) checkCompetence(add func(pointer, code, format string, args ...any)) {
	if c.Class != "" && !classPattern.MatchString(c.Class) {
		add("/class", "unknown_code", "a product category of the vocabulary")
	}
	if c.Stage == "" {
		c.Stage = StageMarket
	}
	if c.Stage != StageMarket && c.Stage != StagePort {
		add("/stage", "unknown_code", "one of: %s, %s", StageMarket, StagePort)
	}
	if c.Place != "" && !placePattern.MatchString(c.Place) {
		add("/place", "place", "a code of GB/T 2260: 2 to 6 digits")
	}
}

func (c *NewComplaint) checkContact(add func(pointer, code, format string, args ...any)) {
	if c.Contact.Name == "" {
		add("/contact/name", "required", "a complaint is filed under a name; a tip may be anonymous")
	}
	if c.Contact.Phone == "" && c.Contact.Email == "" {
		add("/contact/phone", "required", "give a phone number or an e-mail address, so that the authority can reach you")
	}
	if p := c.Contact.Phone; p != "" && (strings.Trim(p, "+0123456789 ()-./") != "" || countDigits(p) < 5) {
		add("/contact/phone", "phone", "a phone number consists of digits, with + in front for another country")
	}
	if e := c.Contact.Email; e != "" {
		at := strings.LastIndexByte(e, '@')
		if at < 1 || at == len(e)-1 || strings.ContainsAny(e, " \t<>,;\"") {
			add("/contact/email", "email", "an e-mail address looks like name@example.com")
		}
	}
}

func countDigits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

func printable(s string, multiline bool) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		if multiline && (r == '\n' || r == '\r' || r == '\t') {
			return false
		}
		return unicode.IsControl(r)
	})
}

// detail is the sentence of a fault of package gs1.
func detail(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Detail
	}
	return err.Error()
}
