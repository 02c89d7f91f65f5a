package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	contract "github.com/haisu-trace/haisu/mobile-contract"
)

// healthBody is the schema Health of the contract.
type healthBody struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

func (s *server) health(c *fiber.Ctx) error {
	return c.JSON(healthBody{Status: "ok", Version: s.deps.Version})
}

func (s *server) readiness(c *fiber.Ctx) error {
	if err := s.deps.Services.Ready(c.UserContext()); err != nil {
		return &httpError{
			status: http.StatusServiceUnavailable, code: "not_ready", detail: "the server cannot serve now",
			retry: retryUnavailable, err: err,
		}
	}
	return s.health(c)
}

func (s *server) openAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, "application/yaml")
	return c.Send(contract.OpenAPI)
}
