package tensorflow

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/snappy"

	"albert/internal/files/safetensors"
)

// An index is a LevelDB table: blocks of entries in ascending order of their keys, a block that gives each block's place, and a footer
// that gives that block's. A block is followed by its kind of compression and a checksum of both.
const (
	footerSize  = 48
	trailerSize = 5
	tableMagic  = 0xdb4775248b80fb57

	plainBlock  = 0
	snappyBlock = 1
)

// Bounds on what an index may say. Real ones have some hundred names of under 100 bytes.
const (
	maxIndex   = 64 << 20
	maxEntries = 1 << 16
	maxName    = 1 << 10 // with maxEntries: names take 64 MiB at most
)

// maxSnappy is what a byte of a compressed block can at most become: a copy of 64 bytes takes 3.
const maxSnappy = 22

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask hides a checksum that is kept beside the data it covers, as LevelDB does.
func mask(sum uint32) uint32 { return (sum>>15 | sum<<17) + 0xa282ead8 }

func checksum(data []byte) uint32 { return mask(crc32.Checksum(data, castagnoli)) }

// handle is the place of a block, its trailer not counted.
type handle struct{ offset, size uint64 }

func (h handle) end() uint64 { return h.offset + h.size + trailerSize }

// readHandle takes a handle off the front of b.
func readHandle(b []byte) (h handle, rest []byte, err error) {
	var n, m int
	h.offset, n = binary.Uvarint(b)
	if n > 0 {
		h.size, m = binary.Uvarint(b[n:])
	}
	if n <= 0 || m <= 0 {
		return h, nil, errors.New("the place of a block is not two numbers")
	}
	return h, b[n+m:], nil
}

// scanTable calls each for the entries of a table in ascending order of their keys. The value is each's until it returns.
func scanTable(data []byte, each func(key string, value []byte) error) error {
	if len(data) < footerSize {
		return fmt.Errorf("%d bytes: too short for a checkpoint's index", len(data))
	}
	footer, blocks := data[len(data)-footerSize:], data[:len(data)-footerSize]
	if binary.LittleEndian.Uint64(footer[footerSize-8:]) != tableMagic {
		return errors.New("truncated, or not a checkpoint's index: it does not end as one")
	}
	meta, rest, err := readHandle(footer)
	index, _, other := readHandle(rest)
	if err := cmp.Or(err, other); err != nil {
		return fmt.Errorf("footer: %w", err)
	}
	if _, err := readBlock(blocks, meta); err != nil {
		return err
	}
	block, err := readBlock(blocks, index)
	if err != nil {
		return err
	}
	var at uint64 // where the next block may begin: none is read twice
	last, first := "", true
	return scanBlock(block, func(_, value []byte) error {
		h, rest, err := readHandle(value)
		if err != nil || len(rest) > 0 {
			return errors.New("the index of blocks is damaged")
		}
		if h.offset < at {
			return fmt.Errorf("block at byte %d overlaps the one before it", h.offset)
		}
		block, err := readBlock(blocks, h)
		if err != nil {
			return err
		}
		at = h.end()
		return scanBlock(block, func(key, value []byte) error {
			k := string(key)
			switch {
			case first:
				first = false
			case k == last:
				return fmt.Errorf("tensor %s appears twice", safetensors.Quote(k))
			case k < last:
				return fmt.Errorf("tensor %s comes after %s: not in order", safetensors.Quote(k), safetensors.Quote(last))
			}
			last = k
			return each(k, value)
		})
	})
}

// readBlock gives a block's content, checked and unpacked.
func readBlock(data []byte, h handle) ([]byte, error) {
	n := uint64(len(data))
	if h.offset > n || h.size > n-h.offset || n-h.offset-h.size < trailerSize {
		return nil, fmt.Errorf("truncated: a block of %d bytes at byte %d of %d", h.size, h.offset, n)
	}
	body, trailer := data[h.offset:h.offset+h.size], data[h.offset+h.size:h.end()]
	sum := crc32.Update(crc32.Checksum(body, castagnoli), castagnoli, trailer[:1])
	if mask(sum) != binary.LittleEndian.Uint32(trailer[1:]) {
		return nil, fmt.Errorf("damaged: the block at byte %d has another checksum", h.offset)
	}
	switch trailer[0] {
	case plainBlock:
		return body, nil
	case snappyBlock:
		size, err := snappy.DecodedLen(body)
		if err == nil && (size > maxSnappy*len(body) || size > maxIndex) {
			err = fmt.Errorf("%d bytes claim to unpack to %d", len(body), size)
		}
		if err == nil {
			body, err = snappy.Decode(nil, body)
		}
		if err != nil {
			return nil, fmt.Errorf("block at byte %d: snappy: %w", h.offset, err)
		}
		return body, nil
	}
	return nil, fmt.Errorf("block at byte %d: unknown compression %d", h.offset, trailer[0])
}

var errBlock = errors.New("a block's entries are damaged")

// scanBlock calls each for a block's entries. A key is what it has in common with the one before it, as a length, and the rest.
// Restart points, where nothing is in common, serve searching, which is not done here.
func scanBlock(block []byte, each func(key, value []byte) error) error {
	if len(block) < 4 {
		return errBlock
	}
	restarts := uint64(binary.LittleEndian.Uint32(block[len(block)-4:]))
	if 4*restarts+4 > uint64(len(block)) {
		return errBlock
	}
	block = block[:uint64(len(block))-4*restarts-4]
	var key []byte
	for count := 0; len(block) > 0; count++ {
		var lengths [3]uint64 // in common, the rest, the value
		for i := range lengths {
			v, n := binary.Uvarint(block)
			if n <= 0 {
				return errBlock
			}
			lengths[i], block = v, block[n:]
		}
		left := uint64(len(block))
		if lengths[0] > uint64(len(key)) || lengths[1] > left || lengths[2] > left-lengths[1] {
			return errBlock
		}
		if lengths[0]+lengths[1] > maxName {
			return fmt.Errorf("a name of %d bytes, the limit is %d", lengths[0]+lengths[1], maxName)
		}
		if count == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		key = append(key[:lengths[0]], block[:lengths[1]]...)
		if err := each(key, block[lengths[1]:lengths[1]+lengths[2]]); err != nil {
			return err
		}
		block = block[lengths[1]+lengths[2]:]
	}
	return nil
}
