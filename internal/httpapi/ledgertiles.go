package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// LedgerTiles reads the transparency log as C2SP tlog-tiles has it.
type LedgerTiles interface {
	Tile(ctx context.Context, level uint, n int64, width int) ([]byte, error)
	Entries(ctx context.Context, n int64, width int) ([]byte, error)
}

const (
	tilePath  = "/ledger/tile/"
	fullTile  = 256
	maxLevel  = 7 // a deeper tree has more leaves than there are numbers for
	maxGroups = 5 // of three digits of a tile's number
)

// tile serves /ledger/tile/<L>/<N>[.p/<W>] and /ledger/tile/entries/<N>[.p/<W>] (C2SP tlog-tiles). The number has groups of three digits, of which
// all but the last begin with x: OpenAPI has no parameter for that, so the contract describes these paths in words.
func (s *server) tile(c *fiber.Ctx) error {
	callOf(c).operation = opTile
	level, n, width, ok := parseTile(c.Params("*"))
	if !ok || len(c.Context().QueryArgs().QueryString()) > 0 {
		return refuse(http.StatusNotFound, "no_such_path", "there is nothing at this path")
	}
	tiles := s.deps.Services.Tiles
	var body []byte
	var err error
	if level < 0 {
		body, err = tiles.Entries(c.UserContext(), n, width)
	} else {
		body, err = tiles.Tile(c.UserContext(), uint(level), n, width)
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	// A tile never changes, but for a restore from a backup, after which the log is another one under the same address.
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600")
	return c.Send(body)
}

// parseTile reads what stands behind tilePath. level is -1 for entries.
func parseTile(path string) (level int, n int64, width int, ok bool) {
	kind, rest, found := strings.Cut(path, "/")
	if !found {
		return 0, 0, 0, false
	}
	level = -1
	if kind != "entries" {
		var err error
		if level, err = strconv.Atoi(kind); err != nil || level < 0 || level > maxLevel || strconv.Itoa(level) != kind {
			return 0, 0, 0, false
		}
	}
	width = fullTile
	number, partial, found := strings.Cut(rest, ".p/")
	if found {
		var err error
		if width, err = strconv.Atoi(partial); err != nil || width < 1 || width >= fullTile || strconv.Itoa(width) != partial {
			return 0, 0, 0, false
		}
	}
	n, ok = parseTileNumber(number)
	return level, n, width, ok
}

// parseTileNumber reads x001/x234/067 as 1234067.
func parseTileNumber(text string) (n int64, ok bool) {
	groups := strings.Split(text, "/")
	if len(groups) > maxGroups {
		return 0, false
	}
	for i, g := range groups {
		if i < len(groups)-1 {
			if g, ok = strings.CutPrefix(g, "x"); !ok {
				return 0, false
			}
		}
		d, err := strconv.ParseUint(g, 10, 16)
		if err != nil || len(g) != 3 || i == 0 && d == 0 && len(groups) > 1 {
			return 0, false
		}
		n = n*1000 + int64(d)
	}
	return n, true
}
