package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// conditional completes a successful read with its cache policy and an ETag, and turns it into a 304 when the client has it already
// (RFC 9110, 13.1.2). What an officer sees is private whatever the policy says.
func conditional(c *fiber.Ctx, op *operation, k *call) error {
	if c.Response().StatusCode() != http.StatusOK {
		return nil
	}
	policy := op.cache
	if k.principal.Kind != "" {
		policy = "private, no-cache"
	}
	c.Set(fiber.HeaderCacheControl, policy)
	if len(op.schemes) > 0 {
		c.Vary(fiber.HeaderAuthorization)
	}
	if op.localised {
		c.Vary(fiber.HeaderAcceptLanguage)
	}
	tag := k.etag
	if tag == "" {
		tag = entityTag(c.Response().Body())
	}
	c.Set(fiber.HeaderETag, tag)
	if !matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		return nil
	}
	c.Response().ResetBody()
	c.Response().Header.Del(fiber.HeaderContentType)
	c.Status(http.StatusNotModified)
	return nil
}

// entityTag tags a body. It is weak: the text behind it may be compressed on the way.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `W/"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches compares weakly, as If-None-Match does (RFC 9110, 8.8.3.2).
func matches(list, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}
