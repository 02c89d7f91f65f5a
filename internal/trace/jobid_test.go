package trace

import (
	"net/url"
	"testing"
)

// The ID of a capture's job is a segment of the job's address.
func TestJobIDsStandInPaths(t *testing.T) {
	t.Parallel()
	if id := jobID("94c80277695322bdddc911bbb66e77d3", &captureDoc{Attempt: 2}); url.PathEscape(id) != id {
		t.Errorf("%s has to be escaped", id)
	}
}
