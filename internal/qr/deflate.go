package qr

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

// deflater writes a DEFLATE stream (RFC 1951) of one block with the fixed codes (3.2.6).
type deflater struct {
	out   []byte
	acc   uint64 // bits that make no whole byte yet, the first one lowest
	count uint   // of them
	sum   hash.Hash32
}

func (d *deflater) bits(v uint64, n uint) {
	d.acc |= v << d.count
	d.count += n
	for d.count >= 8 {
		d.out = append(d.out, byte(d.acc))
		d.acc >>= 8
		d.count -= 8
	}
}

// code writes a Huffman code, whose highest bit comes first.
func (d *deflater) code(v uint16, n uint) { d.bits(uint64(bits.Reverse16(v)>>(16-n)), n) }

// symbol writes a literal byte, 256 for the end of the block, or the code of a length.
func (d *deflater) symbol(v int) {
	switch {
	case v < 144:
		d.code(uint16(0x30+v), 8)
	case v < 256:
		d.code(uint16(0x190+v-144), 9)
	case v < 280:
		d.code(uint16(v-256), 7)
	default:
		d.code(uint16(0xC0+v-280), 8)
	}
}

// The lengths and distances of a match.
const (
	minMatch = 3
	maxMatch = 258
)

// match repeats n bytes, at least minMatch, of those that were written distance bytes before.
func (d *deflater) match(n, distance int) {
	for n > 0 {
		part := min(n, maxMatch)
		if rest := n - part; rest > 0 && rest < minMatch {
			part -= minMatch
		}
		n -= part
		d.length(part)
		d.distance(distance)
	}
}

// length writes a length of 3 to 258 (RFC 1951, 3.2.5): up to 10 each has its code; beyond, four codes share a number of extra bits.
func (d *deflater) length(n int) {
	if n == maxMatch {
		d.symbol(285)
		return
	}
	code, extra := spread(n-minMatch, 4)
	d.symbol(257 + code)
	d.bits(uint64(n-minMatch)&(1<<extra-1), extra)
}

// distance writes a distance from 1 on: two codes share a number of extra bits.
func (d *deflater) distance(n int) {
	code, extra := spread(n-1, 2)
	d.code(uint16(code), 5)
	d.bits(uint64(n-1)&(1<<extra-1), extra)
}

// spread gives the code of v, and the number of extra bits that it has, where each number of extra bits has so many codes (a power of two).
func spread(v, codes int) (code int, extra uint) {
	if v < 2*codes {
		return v, 0
	}
	extra = uint(bits.Len(uint(v)) - bits.Len(uint(codes)))
	return int(extra)*codes + v>>extra, extra
}

// rows writes a row, and the same row again until there are n of it.
func (d *deflater) rows(row []byte, n int) {
	if n == 0 {
		return
	}
	for i := 0; i < len(row); {
		run := 1
		for i+run < len(row) && row[i+run] == row[i] {
			run++
		}
		d.symbol(int(row[i]))
		if run > minMatch {
			d.match(run-1, 1)
		} else {
			for range run - 1 {
				d.symbol(int(row[i]))
			}
		}
		i += run
	}
	d.match((n-1)*len(row), len(row))
	for range n {
		_, _ = d.sum.Write(row) // a hash takes everything
	}
}

// end ends the block and adds the checksum of all that was written.
func (d *deflater) end() []byte {
	d.symbol(256)
	if d.count > 0 {
		d.out = append(d.out, byte(d.acc))
	}
	return binary.BigEndian.AppendUint32(d.out, d.sum.Sum32())
}
