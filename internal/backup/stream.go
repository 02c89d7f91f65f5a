package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/streamingaead"
)

// A file is: magic, the length of the header as four bytes (big endian), the header, and a stream of Tink's streaming AEAD, whose associated
// data are all bytes before it. In the stream is one zstd stream, and in that what codec.go describes.
const (
	magic     = "haisu backup\n"
	maxHeader = 16 << 10 // bytes
)

// header stands unencrypted at the beginning of a file, so that a person can tell what it is. It is authenticated with the rest.
type header struct {
	Manifest // without collections

	Key string `json:"key"` // the file's own key, a Tink keyset, sealed
}

// purpose binds the sealed key to the file.
func (h *header) purpose() string { return "backup/" + h.Kind + "/" + h.ID }

// zstd's window is also what a reader needs of memory.
const zstdWindow = 8 << 20

// cipher is an encrypting, compressing writer.
type cipher struct {
	io.Writer

	closers []io.Closer
}

// Close writes the ends of both streams. The writer below stays open.
func (c *cipher) Close() error {
	for _, cl := range c.closers {
		if err := cl.Close(); err != nil {
			return err
		}
	}
	return nil
}

// newCipher writes the header, with a fresh key, and gives the writer of the rest.
func newCipher(w io.Writer, box Box, m Manifest) (*cipher, error) {
	handle, err := keyset.NewHandle(streamingaead.AES256GCMHKDF1MBKeyTemplate())
	if err != nil {
		return nil, err
	}
	var ks bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&ks)); err != nil {
		return nil, err
	}
	m.Collections = nil
	h := header{Manifest: m}
	if h.Key, err = box.Seal(h.purpose(), ks.Bytes()); err != nil {
		return nil, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	front := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(text)))
	front = append(front, text...)
	if _, err := w.Write(front); err != nil {
		return nil, err
	}
	prim, err := streamingaead.New(handle)
	if err != nil {
		return nil, err
	}
	enc, err := prim.NewEncryptingWriter(w, front)
	if err != nil {
		return nil, err
	}
	// What does not compress (hashes, sealed fields) sets the ratio; higher levels gain half a percent and take twice the time of a machine that
	// serves meanwhile.
	z, err := zstd.NewWriter(enc, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	return &cipher{Writer: z, closers: []io.Closer{z, enc}}, nil
}

// readHeader reads the front of a file and gives all its bytes too. ErrDamaged.
func readHeader(r io.Reader) (h header, front []byte, err error) {
	front = make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, front); err != nil || string(front[:len(magic)]) != magic {
		return h, nil, damaged(err, "it does not begin as a backup does")
	}
	n := binary.BigEndian.Uint32(front[len(magic):])
	if n > maxHeader {
		return h, nil, damaged(nil, "a header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, nil, damaged(err, "in the header")
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return h, nil, damaged(err, "in the header")
	}
	if version.Format != Format {
		return h, nil, fmt.Errorf("backup: the file has format %d; this program knows %d", version.Format, Format)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return h, nil, damaged(err, "in the header")
	}
	if h.Kind != KindData && h.Kind != KindDataKeys || h.ID == "" || h.Collections != nil {
		return h, nil, damaged(nil, "in the header")
	}
	return h, slices.Concat(front, text), nil
}

// plain is a decrypting, decompressing reader.
type plain struct {
	*zstd.Decoder

	header header
}

// newPlain reads the header and gives the reader of the rest, which must be closed. Any error of its reads means that the file is damaged, or
// cannot be read. ErrDamaged, ErrWrongKeys.
func newPlain(r io.Reader, box Box) (*plain, error) {
	h, front, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	ks, err := box.Open(h.purpose(), h.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrongKeys, err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(ks)))
	if err != nil {
		return nil, damaged(err, "its key")
	}
	prim, err := streamingaead.New(handle)
	if err != nil {
		return nil, damaged(err, "its key")
	}
	dec, err := prim.NewDecryptingReader(r, front)
	if err != nil {
		return nil, damaged(err, "at its beginning")
	}
	z, err := zstd.NewReader(dec, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(zstdWindow))
	if err != nil {
		return nil, damaged(err, "at its beginning")
	}
	return &plain{Decoder: z, header: h}, nil
}

// damaged is ErrDamaged with where and why.
func damaged(cause error, format string, args ...any) error {
	where := fmt.Sprintf(format, args...)
	if cause == nil {
		return fmt.Errorf("%w: %s", ErrDamaged, where)
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, where, cause)
}
