// Package s3 keeps blobs in a bucket of Amazon S3, or of a server that speaks its protocol: MinIO, Ceph, Aliyun OSS, Tencent COS. The keys are
// those of blob.Ref.Key, so a bucket is laid out as a directory of internal/blob/disk is.
//
// An object's name has its hash, so the bytes are read into a nameless temporary file first, and sent from there: with their size, with their
// SHA-256, which the server checks, and on condition that no object has the name (If-None-Match, RFC 9110 13.1.2). The bucket is made by
// whoever runs the server; this package needs s3:PutObject, s3:GetObject, s3:DeleteObject and s3:ListBucket.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/haisu-trace/haisu/internal/blob"
	"github.com/haisu-trace/haisu/internal/clock"
	"github.com/haisu-trace/haisu/internal/outbound"
)

// Config says which bucket. Temp and Transport may be left out, and the keys where there is a file.
type Config struct {
	Endpoint  string // host, or host:port
	Plain     bool   // http instead of https, for a server in the own network
	Region    string
	Bucket    string
	AccessKey string
	SecretKey string
	// CredentialsFile has both keys instead, as the AWS tools write it, in its section 'default'.
	CredentialsFile string
	Temp            string // directory for files on their way; "": the system's
	Now             clock.Now

	Transport http.RoundTripper // nil: a new one
}

const (
	// tries bounds the attempts at a request. The client pauses between them, 200 ms at first.
	tries = 4
	// freshFor is how long an object that is there already is left as it is: well below what blob.Sweep takes for left behind.
	freshFor = blob.Orphaned / 2
)

// Store is a blob.Store in a bucket.
type Store struct {
	client *minio.Client
	bucket string
	temp   string
	now    clock.Now
}

// Open makes a Store. It asks the server nothing; see Check.
func Open(cfg Config) (*Store, error) {
	if cfg.Transport == nil {
		cfg.Transport = transport()
	}
	guarded, err := outbound.Guard(cfg.Transport, allowed(cfg)...)
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	creds := credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, "")
	if cfg.CredentialsFile != "" {
		creds = credentials.NewFileAWSCredentials(cfg.CredentialsFile, "default")
	}
	client, err := minio.New(cfg.Endpoint, &minio.Options{
		Creds: creds, Secure: !cfg.Plain, Region: cfg.Region, Transport: guarded, MaxRetries: tries,
		TrailingHeaders: true, // else it takes no checksum, though ours is no trailer
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	client.SetS3EnableDualstack(false) // the host is the one that the settings name
	return &Store{client: client, bucket: cfg.Bucket, temp: cfg.Temp, now: cfg.Now}, nil
}

// allowed are the hosts that requests go to: the endpoint, and the bucket's name before it.
func allowed(cfg Config) []string {
	hosts := []string{cfg.Endpoint}
	if host, _, err := net.SplitHostPort(cfg.Endpoint); err != nil || net.ParseIP(host) == nil && net.ParseIP(cfg.Endpoint) == nil {
		hosts = append(hosts, cfg.Bucket+"."+cfg.Endpoint)
	}
	return hosts
}

func transport() *http.Transport {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  time.Minute, // after the whole body was sent
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           32,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a blob stays as it was sent
	}
}

// Check asks the server for one page of the bucket: settings that are wrong are told at once.
func (s *Store) Check(ctx context.Context) error {
	_, err := s.List(ctx, "check", "", 1)
	return err
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, space blob.Space, r io.Reader, limit int64) (blob.Ref, error) {
	m, err := blob.NewMeter(ctx, space, r, limit)
	if err != nil {
		return blob.Ref{}, err
	}
	f, err := blob.Temp(s.temp)
	if err != nil {
		return blob.Ref{}, blob.Unavailable(err)
	}
	defer func() { _ = f.Close() }() // it is gone with that
	if _, err := io.Copy(f, m); err != nil {
		return blob.Ref{}, blob.Failed(err)
	}
	ref := m.Ref(space)
	err = s.send(ctx, f, ref, true)
	if minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed {
		err = s.again(ctx, f, ref)
	}
	if err != nil {
		return blob.Ref{}, failed(ctx, err)
	}
	return ref, nil
}

func (s *Store) send(ctx context.Context, f *os.File, ref blob.Ref, ifNone bool) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	opts := minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableMultipart: true, // one request is whole or nothing
		UserMetadata: map[string]string{"x-amz-checksum-sha256": checksum(ref)},
	}
	if ifNone {
		opts.SetMatchETagExcept("*")
	}
	_, err := s.client.PutObject(ctx, s.bucket, ref.Key(), f, ref.Size, opts)
	return err
}

// again puts bytes whose key is there already: an object that is right and young is left alone.
func (s *Store) again(ctx context.Context, f *os.File, ref blob.Ref) error {
	info, err := s.client.StatObject(ctx, s.bucket, ref.Key(), minio.StatObjectOptions{Checksum: true})
	if err == nil && info.Size == ref.Size && info.ChecksumSHA256 == checksum(ref) && s.now().Sub(info.LastModified) < freshFor {
		return nil
	}
	return s.send(ctx, f, ref, false)
}

// checksum is the hash as S3 writes it.
func checksum(ref blob.Ref) string {
	b, err := hex.DecodeString(ref.Hash)
	if err != nil {
		return "" // no object has that; the hash was checked long before
	}
	return base64.StdEncoding.EncodeToString(b)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, ref blob.Ref) (io.ReadCloser, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	body, info, _, err := minio.Core{Client: s.client}.GetObject(ctx, s.bucket, ref.Key(), minio.GetObjectOptions{})
	switch {
	case minio.ToErrorResponse(err).StatusCode == http.StatusNotFound && minio.ToErrorResponse(err).Code != "NoSuchBucket":
		return nil, fmt.Errorf("%s: %w", ref.Key(), blob.ErrNotFound)
	case err != nil:
		return nil, failed(ctx, err)
	case info.Size != ref.Size:
		return nil, errors.Join(fmt.Errorf("%s has %d bytes, not %d: %w", ref.Key(), info.Size, ref.Size, blob.ErrNotFound), body.Close())
	}
	return blob.Verified(body, ref), nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, ref blob.Ref) error {
	if err := ref.Check(); err != nil {
		return err
	}
	// A 404 would be the bucket's: deleting an object that is not there is a 204.
	if err := s.client.RemoveObject(ctx, s.bucket, ref.Key(), minio.RemoveObjectOptions{}); err != nil {
		return failed(ctx, err)
	}
	return nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, purpose, after string, limit int) ([]blob.Info, error) {
	if err := blob.CheckPurpose(purpose); err != nil {
		return nil, err
	}
	limit = min(max(limit, 1), blob.MaxList)
	out := make([]blob.Info, 0, limit)
	found := s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: purpose + "/", StartAfter: after, Recursive: true, MaxKeys: limit})
	for o := range found {
		if o.Err != nil {
			return nil, failed(ctx, o.Err)
		}
		ref, err := blob.ParseKey(o.Key)
		if err != nil {
			continue // a stranger's object
		}
		ref.Size = o.Size
		if out = append(out, blob.Info{Ref: ref, Put: o.LastModified}); len(out) == limit {
			break
		}
	}
	return out, nil
}

// failed makes Unavailable of the server's errors; the caller's own end stays what it is.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return blob.Unavailable(err)
}
