package main

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/disk"
)

// blobDir reads BLOB_URL, and gives the directory that it names.
func blobDir(v string) (string, error) {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "file" || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("want file:///an/absolute/directory")
	}
	return filepath.Clean(u.Path), nil
}

// openBlobs opens the files of the settings.
func openBlobs(ctx context.Context, cfg *config) (blob.Store, error) {
	return disk.Open(ctx, cfg.BlobDir, time.Now)
}
