//go:build !unix

package secret

import "errors"

// lock refuses: keys are changed on a machine that can lock files, and copied.
func lock(string) (unlock func() error, err error) { return nil, errors.ErrUnsupported }
