package httpapi

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A streamed body ends where it should, and with an error everywhere else.
func TestBodyStream(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	conns := newConnTable(DefaultConnections(), nil, time.Now)
	for name, tt := range map[string]struct {
		sent     string
		n, limit int
		status   int // 0: all of it is read
	}{
		"announced":           {"0123456789", 10, 10, 0},
		"in chunks":           {"0123456789", -1, 10, 0},
		"in chunks, too long": {strings.Repeat("0", 1<<20), -1, 10, 413},
		"cut off":             {"0123", 10, 10, 400},
	} {
		b := &bodyStream{conns: conns, conn: here, r: strings.NewReader(tt.sent), n: tt.n, limit: tt.limit, begin: time.Now()}
		got, err := io.ReadAll(b)
		r, refused := errors.AsType[*httpError](err)
		if refused != (tt.status != 0) || refused && r.status != tt.status {
			t.Errorf("%s: %v", name, err)
		}
		if !refused && string(got) != tt.sent {
			t.Errorf("%s: %q", name, got)
		}
		if tt.status == 413 && b.got > tt.limit+64<<10 {
			t.Errorf("%s: %d bytes were read", name, b.got)
		}
	}
}
