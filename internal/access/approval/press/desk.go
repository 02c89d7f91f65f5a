// Package press brings warnings and four eyes together.
package press

import (
	"github.com/haisu-trace/haisu/internal/access/approval"
	"github.com/haisu-trace/haisu/internal/warning"
)

// Outcome is what came of an order: the message that was published, or the request that waits for approval.
type Outcome struct {
	Message *warning.Message  // nil while it waits
	Asked   *approval.Request // nil where nobody had to be asked
}
