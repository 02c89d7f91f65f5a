package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// A request that would be turned away at its operation's gate can be so before it is routed: in a flood that is what most of the time goes into, and
// the less it takes, the more of the others are served. It gets the very answer that it would have got at the gate; only the address's
// rate is not counted.

// door is the gate of one operation, with what it takes to turn somebody away there.
type door struct {
	gate     *gate
	refused  prometheus.Counter
	duration prometheus.Observer
}

// doors gives the doors of operations that change something and whose path is always the same, by method, space and path.
func (g *Guard) doors(ops []*operation, m *metrics) map[string]*door {
	out := map[string]*door{}
	for _, op := range ops {
		_, k := g.classes.of(op)
		if op.method == http.MethodGet || strings.Contains(op.path, ":") || k == costNone {
			continue
		}
		out[op.method+" "+op.path] = &door{
			gate: g.gates[k], refused: g.refused.WithLabelValues("gate_" + k.String()),
			duration: m.duration.WithLabelValues(op.id, strconv.Itoa(http.StatusServiceUnavailable)),
		}
	}
	return out
}

// turnsAway answers a request for which there is no room. It gives false if there may be.
func (s *server) turnsAway(rc *fasthttp.RequestCtx) bool {
	var key [64]byte
	method, path := rc.Method(), rc.Path()
	if len(method)+len(path) >= len(key) {
		return false
	}
	d := s.doors[string(append(append(append(key[:0], method...), ' '), path...))]
	if d == nil {
		return false
	}
	begin := time.Now()
	if !d.gate.shut(networkID(s.clientOf(rc)), begin) {
		return false
	}
	if strings.Contains(string(rc.Request.Header.Peek("Accept")), "html") || s.guard.due(begin) {
		return false // a person, or one that is logged
	}
	s.guard.spared.Add(1)
	if late := s.guard.late.probe(begin); late > 0 {
		s.guard.adjust(late)
	}
	d.refused.Inc()
	r := busy()
	id := s.deps.NewToken()
	h := &rc.Response.Header
	s.secureHeader(h, id)
	h.SetContentType(typeProblem)
	h.Set("Retry-After", strconv.Itoa(seconds(r.retry)))
	rc.SetStatusCode(r.status)
	body, err := json.Marshal(problemOf(r, id))
	if err != nil {
		return false
	}
	rc.Response.SetBodyRaw(body)
	d.duration.Observe(time.Since(begin).Seconds())
	return true
}
