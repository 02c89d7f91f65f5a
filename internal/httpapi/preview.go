package httpapi

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// previewAgents are parts of the User-Agent, in lower case, of programs that open a link when a person sends it and not when one
// scans it: link previews of messengers, and crawlers. The in-app browsers of the same messengers, in which people do scan, have
// other names (WeChat's is MicroMessenger, without mpcrawler).
var previewAgents = []string{
	"facebookexternalhit", "facebot", "whatsapp/", "telegrambot", "twitterbot", "slackbot", "slack-imgproxy", "discordbot",
	"linkedinbot", "skypeuripreview", "line-poker", "kakaotalk-scrap", "dingtalkbot", "mpcrawler", "qq-url-manager",
	"googlebot", "google-safety", "bingbot", "bingpreview", "baiduspider", "bytespider", "sogou web spider", "360spider", "yisouspider",
	"petalbot", "yandexbot", "applebot",
}

// preview says whether nobody looks at the answer: HEAD, a prefetch (Sec-Purpose and its forerunners), a link preview or a crawler. Such
// a request must not take the first scan from the person who buys the bottle.
func preview(c *fiber.Ctx) bool {
	if c.Method() == http.MethodHead {
		return true
	}
	for _, h := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if v := strings.ToLower(c.Get(h)); strings.Contains(v, "prefetch") || strings.Contains(v, "preview") || strings.Contains(v, "prerender") {
			return true
		}
	}
	agent := strings.ToLower(c.Get(fiber.HeaderUserAgent))
	for _, part := range previewAgents {
		if strings.Contains(agent, part) {
			return true
		}
	}
	return false
}
