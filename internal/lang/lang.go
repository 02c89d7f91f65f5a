// Package lang holds texts in the languages that the public is addressed in.
package lang

import (
	"golang.org/x/text/language"
)

// The languages of the public pages, as BCP 47 tags.
const (
	ZhHans = "zh-Hans"
	En     = "en"
)

// Text is one text by language tag. An empty Text is 'no text'.
type Text map[string]string

// ZhEn makes a text in Chinese and English; an empty part is left out.
func ZhEn(zh, en string) Text {
	t := Text{}
	if zh != "" {
		t[ZhHans] = zh
	}
	if en != "" {
		t[En] = en
	}
	return t
}

// In gives the text in a language, else in Chinese, else in English, else "".
func (t Text) In(tag string) string {
	for _, l := range [...]string{tag, ZhHans, En} {
		if s := t[l]; s != "" {
			return s
		}
	}
	return ""
}

var matcher = language.NewMatcher([]language.Tag{language.SimplifiedChinese, language.English})

// Pick chooses ZhHans or En for an Accept-Language header (RFC 9110, 12.5.4). Chinese is the default.
func Pick(acceptLanguage string) string {
	if acceptLanguage == "" {
		return ZhHans
	}
	_, i := language.MatchStrings(matcher, acceptLanguage)
	if i == 1 {
		return En
	}
	return ZhHans
}

// Valid says whether a tag is one of the public languages.
func Valid(tag string) bool { return tag == ZhHans || tag == En }

// Choose is the language that was asked for by name, if it is one of ours, else Pick's.
func Choose(asked, acceptLanguage string) string {
	switch asked {
	case ZhHans, "zh", "zh-CN":
		return ZhHans
	case En:
		return En
	}
	if len(acceptLanguage) > 500 {
		return ZhHans // no browser sends that
	}
	return Pick(acceptLanguage)
}
