package trace

import (
	"context"

	"github.com/haisu-trace/haisu/internal/store"
)

// sandboxPrefix begins the names of the sandbox's collections.
const sandboxPrefix = "sandbox_"

// OpenSandbox opens the service of the firms' test tenants from the dependencies of production. It is a trace.Service like
// any other, but
//
//   - its collections have names of their own, so nothing that is written to either is ever seen by the other;
//   - its serials and hashes come from keys of their own, so no code of the sandbox is ever one of production's;
//   - it tells nobody who scanned what, so no test has an audience; and foreign notices are left out.
//
// Firms and the warnings in force are production's, and only read. One sandbox serves all firms: what each may do in it is what it may do
// in production.
func OpenSandbox(ctx context.Context, production Deps) (*Service, error) {
	d := production
	d.Engine = store.Prefixed(d.Engine, sandboxPrefix)
	d.Hasher = sandboxHasher{d.Hasher}
	d.Notices, d.Exposures = nil, nil
	d.Unattended = true
	return Open(ctx, d)
}

type sandboxHasher struct{ Hasher }

func (h sandboxHasher) Hash(purpose, token string) string {
	return h.Hasher.Hash("sandbox/"+purpose, token)
}
