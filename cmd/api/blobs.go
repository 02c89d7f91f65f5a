package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/blob/disk"
	"github.com/haisu-trace/haisu/internal/blob/s3"
)

// blobPlace is what BLOB_URL says: a directory, or a bucket.
type blobPlace struct {
	dir    string
	bucket s3.Config
}

// parseBlobURL reads BLOB_URL.
func parseBlobURL(v string) (blobPlace, error) {
	u, err := url.Parse(v)
	if err != nil || u.User != nil || u.Fragment != "" {
		return blobPlace{}, errBlobURL
	}
	switch {
	case u.Scheme == "file" && u.Host == "" && filepath.IsAbs(u.Path) && u.RawQuery == "":
		return blobPlace{dir: filepath.Clean(u.Path)}, nil
	case u.Scheme == "s3" && u.Host != "" && u.Path == "":
		return parseBucket(u)
	}
	return blobPlace{}, errBlobURL
}

var errBlobURL = errors.New("want file:///DIR or s3://BUCKET?endpoint=https://HOST&region=REGION")

func parseBucket(u *url.URL) (blobPlace, error) {
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return blobPlace{}, errBlobURL
	}
	for k, v := range q {
		if k != "endpoint" && k != "region" || len(v) != 1 {
			return blobPlace{}, fmt.Errorf("%s: %w", k, errBlobURL)
		}
	}
	end, err := url.Parse(q.Get("endpoint"))
	if err != nil || end.Scheme != "https" && end.Scheme != "http" || end.Host == "" || strings.Trim(end.Path, "/") != "" || end.RawQuery != "" || end.User != nil {
		return blobPlace{}, errors.New("endpoint: want an https or http URL with a host and nothing after it")
	}
	return blobPlace{bucket: s3.Config{
		Bucket: u.Host, Endpoint: end.Host, Plain: end.Scheme == "http", Region: cmp.Or(q.Get("region"), "us-east-1"), Now: time.Now,
	}}, nil
}

// openBlobs opens the files of the settings.
func openBlobs(ctx context.Context, cfg *config) (blob.Store, error) {
	if cfg.Blobs.dir != "" {
		return disk.Open(ctx, cfg.Blobs.dir, time.Now)
	}
	bucket := cfg.Blobs.bucket
	bucket.Temp = cfg.DataDir // a system's directory for temporary files may be in memory
	s, err := s3.Open(bucket)
	if err != nil {
		return nil, fmt.Errorf("BLOB_URL: %w", err)
	}
	return s, nil
}

// backupBlobs copies uploaded files that are on a disk into a directory, which is laid out as theirs is. Those of a bucket are told of alone.
func backupBlobs(ctx context.Context, cfg *config, dir string, w io.Writer) error {
	if cfg.Blobs.dir == "" {
		_, err := fmt.Fprintf(w, "uploaded files are in the bucket %s, and not part of this backup\n", cfg.Blobs.bucket.Bucket)
		return err
	}
	from, err := disk.Open(ctx, cfg.Blobs.dir, time.Now)
	if err != nil {
		return err
	}
	to, err := disk.Open(ctx, dir, time.Now)
	if err != nil {
		return err
	}
	purposes, err := from.Purposes()
	if err != nil {
		return err
	}
	files, bytes := 0, int64(0)
	var bad []error
	for _, p := range purposes {
		n, m, err := blob.Copy(ctx, to, from, p)
		files, bytes, bad = files+n, bytes+m, append(bad, err)
	}
	_, err = fmt.Fprintf(w, "%s: %d new files, %s\n", dir, files, size(bytes))
	return errors.Join(append(bad, err)...)
}
