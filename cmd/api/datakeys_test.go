package main

import (
	"testing"

	"github.com/haisu-trace/haisu/internal/backup"
	"github.com/haisu-trace/haisu/internal/privacy"
)

// Backups keep apart exactly the collection whose destruction is erasure.
func TestBackupsKeepTheDataKeysApart(t *testing.T) {
	t.Parallel()
	if backup.DataKeys != privacy.Collection {
		t.Errorf("backups keep %q apart, and data keys are in %q", backup.DataKeys, privacy.Collection)
	}
}
