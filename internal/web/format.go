package web

import (
	"html/template"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/haisu-trace/haisu/internal/lang"
)

// hainan is the civil time of the province: China has one time zone and no daylight saving.
var hainan = time.FixedZone("Asia/Shanghai", 8*60*60)

// moment is a time for people, to the minute, in Hainan's time, without the zone; and the same as an element that programs can read,
// with the offset.
type moment struct {
	Text string
	Tag  template.HTML
}

// momentOf gives the zero moment for a zero time.
func momentOf(tag string, t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.In(hainan)
	layout := "2006年1月2日 15:04"
	if tag == lang.En {
		layout = "2 Jan 2006, 15:04"
	}
	text := t.Format(layout)
	return moment{
		Text: text,
		Tag:  template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + text + `</time>`), //nolint:gosec // made of a time
	}
}

func momentAt(tag string, t *time.Time) moment {
	if t == nil {
		return moment{}
	}
	return momentOf(tag, *t)
}

// localTime gives the wall time of the place where an event was captured, with its offset, from the event's own text; "" where that
// is Hainan's time or UTC, which is no place's.
func localTime(text string) string {
	if text == "" || strings.HasSuffix(text, "Z") {
		return ""
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ""
	}
	if _, offset := t.Zone(); offset == 0 || offset == 8*60*60 {
		return ""
	}
	return t.Format("2006-01-02 15:04 -07:00")
}

// day words a calendar day, YYYY-MM-DD. Another text stays as it is.
func day(tag, s string) string {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return clean(s)
	}
	if tag == lang.En {
		return t.Format("2 Jan 2006")
	}
	return t.Format("2006年1月2日")
}

// maxShown is how many characters of one text a page shows. Published texts are shorter; it bounds what somebody else stored.
const maxShown = 4000

// clean makes a text of somebody else safe to look at: without control characters and without the marks that change the direction of
// writing, with which a text can seem to say something else; without broken UTF-8; at most maxShown characters.
func clean(s string) string {
	if len(s) <= maxShown && !strings.ContainsFunc(s, misleading) && utf8.ValidString(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if misleading(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= maxShown {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > maxShown {
			return s[:i] + "…"
		}
	}
	return s
}

func misleading(r rune) bool {
	switch {
	case r < 0x20:
		return r != '\n' && r != '\r' && r != '\t'
	case r < 0x7f:
		return false
	case r < 0xa0: // DEL and the second set of controls
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x061c, r == 0x200e, r == 0x200f, r == 0x2028, r == 0x2029:
		return true
	}
	return r == 0xfeff
}

// spoken is a text with its language where that is not the page's, for fonts and for those who have pages read out.
type spoken struct{ Text, Lang string }

func speak(tag string, t lang.Text) spoken {
	s := spoken{Text: clean(t.In(tag))}
	if s.Text == "" || t[tag] != "" {
		return s
	}
	s.Lang = lang.En
	if t[lang.ZhHans] != "" {
		s.Lang = lang.ZhHans
	}
	return s
}

// query makes a relative reference to the same page with another query.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return "?" + v.Encode()
}

// other is the other language.
func other(tag string) string {
	if tag == lang.En {
		return lang.ZhHans
	}
	return lang.En
}

func valid(tag string) string {
	if tag == lang.En {
		return lang.En
	}
	return lang.ZhHans
}

// regions has the names of ISO 3166-1 regions by code, in Chinese and English.
var regions = sync.OnceValue(func() map[string]phrase {
	zh, en := display.Chinese.Regions(), display.English.Regions()
	out := map[string]phrase{}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			r, err := language.ParseRegion(code)
			if err != nil || !r.IsCountry() {
				continue
			}
			out[code] = phrase{zh.Name(r), en.Name(r)}
		}
	}
	// The names that mainland law and usage ask for.
	out["HK"] = phrase{"中国香港", "Hong Kong, China"}
	out["MO"] = phrase{"中国澳门", "Macao, China"}
	out["TW"] = phrase{"中国台湾", "Taiwan, China"}
	return out
})

// country names an ISO 3166-1 code; an unknown one stays as it is.
func country(tag, code string) string {
	if p, ok := regions()[code]; ok && p.in(tag) != "" {
		return p.in(tag)
	}
	return clean(code)
}

// join lists at most most texts, and says that there are more.
func join(tag string, list []string, most int) string {
	sep, more := "、", " 等"
	if tag == lang.En {
		sep, more = ", ", ", …"
	}
	shown := list[:min(len(list), most)]
	s := strings.Join(shown, sep)
	if len(list) > most {
		s += more
	}
	return s
}
