package bleve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	blevesearch "github.com/blevesearch/bleve/v2"
	index "github.com/blevesearch/bleve_index_api"
)

// maxChecked bounds what checkSegments reads: 64 MiB take some 50 ms, and are the index of about a hundred thousand documents.
const maxChecked = 64 << 20

// checkSegments compares the checksum at the end of each segment file with its content, as far as maxChecked goes. Bleve does not, and what
// it then makes of a wrong byte may be a wrong answer.
func checkSegments(store string) error {
	files, err := filepath.Glob(filepath.Join(store, "*.zap"))
	if err != nil {
		return err
	}
	left := int64(maxChecked)
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if left -= info.Size(); left < 0 {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		body := len(b) - crc32.Size
		if body < 0 || crc32.ChecksumIEEE(b[:body]) != binary.BigEndian.Uint32(b[body:]) {
			return fmt.Errorf("%w: wrong checksum in %s", errDamaged, filepath.Base(path))
		}
	}
	return nil
}

// probe reads the first term of every field and one document: something of every segment and structure, in a time that does not grow
// with the number of documents.
func (g *generation) probe() error {
	return protect(func() (err error) {
		adv, err := g.idx.Advanced()
		if err != nil {
			return err
		}
		r, err := adv.Reader()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		for _, field := range []string{fieldTitle, fieldAll, fieldCode, fieldKind, fieldFacet, fieldTime, fieldRank} {
			if err := firstTerm(r, field); err != nil {
				return fmt.Errorf("field %s: %w", field, err)
			}
		}
		return firstDocument(r)
	})
}

func firstTerm(r index.IndexReader, field string) error {
	dict, err := r.FieldDict(field)
	if err != nil {
		return err
	}
	_, err = dict.Next()
	return errors.Join(err, dict.Close())
}

func firstDocument(r index.IndexReader) error {
	n, err := r.DocCount()
	if err != nil || n == 0 {
		return err
	}
	all, err := r.DocIDReaderAll()
	if err != nil {
		return err
	}
	internal, err := all.Next()
	if err = errors.Join(err, all.Close()); err != nil {
		return err
	}
	id, err := r.ExternalID(internal)
	if err != nil {
		return err
	}
	d, err := r.Document(id)
	if err == nil && d == nil {
		err = fmt.Errorf("%w: document %q is counted and not there", errDamaged, id)
	}
	return err
}

// The number of the last write is kept twice: in the index, with the write, and in a file, after it.
const (
	writesKey  = "haisu_writes"
	writesFile = "writes"
)

func (g *generation) commit(b *blevesearch.Batch) error {
	n := strconv.FormatUint(g.seq+1, 10)
	b.SetInternal([]byte(writesKey), []byte(n))
	if err := g.idx.Batch(b); err != nil {
		return err
	}
	g.seq++
	return os.WriteFile(filepath.Join(g.path, writesFile), []byte(n), 0o600)
}

// countWrites finds the last write. Bleve opens an older state of the index when files of the newest are missing, without a word; then the
// file knows of more writes than the index. The file itself is not synced, so that it may know of fewer.
func (g *generation) countWrites() error {
	inside, err := g.idx.GetInternal([]byte(writesKey))
	if err != nil {
		return err
	}
	outside, err := os.ReadFile(filepath.Join(g.path, writesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if g.seq, err = parseWrites(inside); err != nil {
		return err
	}
	if n, err := parseWrites(outside); err == nil && n > g.seq {
		return fmt.Errorf("%w: it has %d of %d writes", errDamaged, g.seq, n)
	}
	return nil
}

func parseWrites(b []byte) (uint64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return strconv.ParseUint(string(b), 10, 64)
}
