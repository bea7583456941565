package corpus

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
	"unsafe"

	"albert/internal/files/disk"
)

// A shard file, little-endian, written front to back:
//
//	head      magic [8]byte; version, numerics, width, vocabulary size uint32; SHA-256 of the tokenizer [32]byte; clean-up [40]byte,
//	          filled up with zeros. width is the bytes of a piece: 2 for up to 65,536 pieces, else 4
//	pieces    width bytes each, filled up with zeros to a multiple of 8
//	ends      uint32 each, where a sentence ends, in pieces from its document's start; filled up with zeros to a multiple of 8
//	documents uint64 each: the first sentence of every document, and the end; then the first piece of every document, and the end
//	tail      the number of documents, sentences and pieces, uint64
//	sums      the CRC-32C of every MiB of all this, uint32
const (
	shardMagic   = "albshard"
	shardVersion = 2
	cleanupBytes = 40
	headBytes    = 8 + 4*4 + 32 + cleanupBytes
	tailBytes    = 3 * 8
	blockBytes   = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func shardName(i int) string { return fmt.Sprintf("shard-%05d.bin", i) }

// shardHead is what every shard file says about itself.
type shardHead struct {
	numerics, width, vocab int
	tokenizer              string // SHA-256 in hexadecimal
	cleanup                string
}

func headOf(m *Meta) (shardHead, error) {
	h := shardHead{numerics: m.Numerics, width: 2, vocab: m.VocabSize, tokenizer: m.TokenizerSHA256, cleanup: m.Settings.Cleanup}
	if h.vocab > 1<<16 {
		h.width = 4
	}
	if sum, err := hex.DecodeString(h.tokenizer); err != nil || len(sum) != 32 {
		return h, fmt.Errorf("the tokenizer's SHA-256 is %q", h.tokenizer)
	}
	if len(h.cleanup) > cleanupBytes || strings.ContainsRune(h.cleanup, 0) {
		return h, fmt.Errorf("a clean-up named %q", h.cleanup)
	}
	return h, nil
}

func (h *shardHead) append(b []byte) []byte {
	b = append(b, shardMagic...)
	b, _ = binary.Append(b, binary.LittleEndian, []uint32{shardVersion, uint32(h.numerics), uint32(h.width), uint32(h.vocab)})
	sum, _ := hex.DecodeString(h.tokenizer) // headOf has looked
	b = append(b, sum...)
	b = append(b, h.cleanup...)
	return append(b, make([]byte, cleanupBytes-len(h.cleanup))...)
}

func parseHead(b []byte) (shardHead, error) {
	var h shardHead
	if len(b) < headBytes || string(b[:8]) != shardMagic {
		return h, errors.New("not a shard file")
	}
	word := func(i int) int { return int(binary.LittleEndian.Uint32(b[8+4*i:])) }
	if word(0) != shardVersion {
		return h, fmt.Errorf("a shard file of version %d; this program reads version %d: run albert prepare again", word(0), shardVersion)
	}
	h = shardHead{numerics: word(1), width: word(2), vocab: word(3), tokenizer: hex.EncodeToString(b[24:56]),
		cleanup: string(bytes.TrimRight(b[56:headBytes], "\x00"))}
	if h.width != 2 && h.width != 4 || h.vocab < 1 || h.vocab > math.MaxInt32 || h.width == 2 && h.vocab > 1<<16 {
		return h, fmt.Errorf("damaged: %d pieces in the vocabulary, of %d bytes", h.vocab, h.width)
	}
	return h, nil
}

// shard is an open shard file.
type shard struct {
	shardHead
	documents, sentences, pieces int
	// The parts of the file, as they are in it.
	ids, ends, firstSentence, firstPiece []byte
	disk.Mapped
}

func u64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

func roundUp8(n uint64) uint64 { return (n + 7) &^ 7 }

// parseShard checks a shard file's bytes, all of them: lengths, checksums, that every piece is in the vocabulary, that indices ascend
// and are in range. r reads the same bytes as data: what is read through it for the checksums does not stay in the mapping's memory.
func parseShard(data []byte, r io.ReaderAt) (*shard, error) {
	size := uint64(len(data))
	if size < headBytes+tailBytes+4 {
		return nil, fmt.Errorf("not a shard file, or cut short: %d bytes", size)
	}
	head, err := parseHead(data[:headBytes])
	if err != nil {
		return nil, err
	}
	s := &shard{shardHead: head}
	blocks := (size + blockBytes + 3) / (blockBytes + 4)
	body := size - 4*blocks
	if body < headBytes+tailBytes || (body+blockBytes-1)/blockBytes != blocks {
		return nil, fmt.Errorf("cut short or damaged: %d bytes", size)
	}
	docs, sentences, pieces := u64(data[body-tailBytes:], 0), u64(data[body-tailBytes:], 1), u64(data[body-tailBytes:], 2)
	counts := fmt.Sprintf("%d documents, %d sentences, %d pieces in %d bytes", docs, sentences, pieces, size)
	if docs > size/16 || sentences > size/4 || pieces > size/uint64(s.width) { // so that nothing below runs over
		return nil, errors.New("cut short or damaged: " + counts)
	}
	at := []uint64{headBytes, roundUp8(uint64(s.width) * pieces), roundUp8(4 * sentences), 8 * (docs + 1), 8 * (docs + 1)}
	for i := range at[1:] {
		at[i+1] += at[i]
	}
	if at[4]+tailBytes != body {
		return nil, errors.New("cut short or damaged: " + counts)
	}
	if err := s.checkBlocks(r, body, at[0]+uint64(s.width)*pieces, data[body:]); err != nil {
		return nil, err
	}
	s.documents, s.sentences, s.pieces = int(docs), int(sentences), int(pieces)
	s.ids, s.ends = data[at[0]:at[0]+uint64(s.width)*pieces], data[at[1]:at[1]+4*sentences]
	s.firstSentence, s.firstPiece = data[at[2]:at[3]], data[at[3]:at[4]]
	return s, s.checkIndex()
}

// checkBlocks compares the checksum of every block, and looks whether each piece (they end at byte idsEnd) is in the vocabulary.
func (s *shard) checkBlocks(r io.ReaderAt, body, idsEnd uint64, sums []byte) error {
	buf := make([]byte, min(blockBytes, body))
	for from := uint64(0); from < body; from += blockBytes {
		b := buf[:min(blockBytes, body-from)]
		if n, err := r.ReadAt(b, int64(from)); n < len(b) {
			return fmt.Errorf("at byte %d: %w", from, err)
		}
		if crc32.Checksum(b, castagnoli) != binary.LittleEndian.Uint32(sums[4*(from/blockBytes):]) {
			return fmt.Errorf("damaged: bytes %d to %d are not what was written (wrong checksum)", from, from+uint64(len(b))-1)
		}
		if from >= idsEnd {
			continue
		}
		// Head and blocks are multiples of four bytes, so no piece lies in two blocks.
		ids := b[:min(uint64(len(b)), idsEnd-from)]
		if from == 0 {
			ids = ids[headBytes:]
		}
		id := uint32(0)
		for i := range len(ids) / s.width {
			id = max(id, s.piece(ids, i))
		}
		if id >= uint32(s.vocab) {
			return fmt.Errorf("damaged: a piece %d in bytes %d to %d, of a vocabulary of %d", id, from, from+uint64(len(b))-1, s.vocab)
		}
	}
	return nil
}

// piece gives piece i of a part of the file.
func (s *shard) piece(ids []byte, i int) uint32 {
	if s.width == 2 {
		return uint32(binary.LittleEndian.Uint16(ids[2*i:]))
	}
	return binary.LittleEndian.Uint32(ids[4*i:])
}

// checkIndex looks whether documents and sentences ascend, span the pieces and are none of them empty.
func (s *shard) checkIndex() error {
	if u64(s.firstSentence, 0) != 0 || u64(s.firstPiece, 0) != 0 || u64(s.firstSentence, s.documents) != uint64(s.sentences) ||
		u64(s.firstPiece, s.documents) != uint64(s.pieces) {
		return errors.New("damaged: the documents do not span the file")
	}
	for d := range s.documents {
		a, b := u64(s.firstSentence, d), u64(s.firstSentence, d+1)
		p, q := u64(s.firstPiece, d), u64(s.firstPiece, d+1)
		if a >= b || b > uint64(s.sentences) || p >= q || q > uint64(s.pieces) || q-p > math.MaxInt32 {
			return fmt.Errorf("damaged: document %d of the file is out of range", d)
		}
		before := uint32(0)
		for i := a; i < b; i++ {
			e := binary.LittleEndian.Uint32(s.ends[4*i:])
			if e <= before {
				return fmt.Errorf("damaged: sentence %d of document %d of the file is out of range", i-a, d)
			}
			before = e
		}
		if uint64(before) != q-p {
			return fmt.Errorf("damaged: the sentences of document %d of the file do not span it", d)
		}
	}
	return nil
}

// endsOf gives the sentence ends of a document of the file, as [Shards.Ends] does.
func (s *shard) endsOf(doc int, buf []int32) []int32 {
	a, b := u64(s.firstSentence, doc), u64(s.firstSentence, doc+1)
	ends := s.ends[4*a : 4*b]
	if disk.LittleEndian {
		// Aligned: the ends are at a multiple of 8 from the start of the mapping, and are below 2^31 (checkIndex).
		return unsafe.Slice((*int32)(unsafe.Pointer(&ends[0])), b-a)
	}
	buf = slices.Grow(buf[:0], int(b-a))[:b-a]
	_, _ = binary.Decode(ends, binary.LittleEndian, buf) // there are as many
	return buf
}

// piecesOf gives pieces [from, to) of a document of the file.
func (s *shard) piecesOf(doc, from, to int, buf []int32) []int32 {
	p, q := int(u64(s.firstPiece, doc)), int(u64(s.firstPiece, doc+1))
	if from < 0 || to > q-p || from > to {
		panic(fmt.Sprintf("corpus: pieces [%d, %d) of a document of %d", from, to, q-p))
	}
	raw := s.ids[s.width*(p+from) : s.width*(p+to)]
	buf = buf[:0]
	for i := range to - from {
		buf = append(buf, int32(s.piece(raw, i)))
	}
	return buf
}

// shardWriter writes a shard file: pieces as they come, the rest from memory at the end.
type shardWriter struct {
	head                      shardHead
	out                       checked
	ends                      []uint32
	firstSentence, firstPiece []uint64
	pieces                    int
	buf                       []byte
}

func newShardWriter(w io.Writer, head shardHead) *shardWriter {
	s := &shardWriter{head: head, out: checked{w: w}, firstSentence: []uint64{0}, firstPiece: []uint64{0}}
	s.out.Write(head.append(nil))
	return s
}

// add adds a document: its pieces, each in the vocabulary, and where its sentences end, none of them empty.
func (s *shardWriter) add(pieces, ends []int32) error {
	s.buf = s.buf[:0]
	for _, id := range pieces { // the first of four bytes are the lowest
		s.buf = binary.LittleEndian.AppendUint32(s.buf, uint32(id))[:len(s.buf)+s.head.width]
	}
	s.out.Write(s.buf)
	for _, e := range ends {
		s.ends = append(s.ends, uint32(e))
	}
	s.pieces += len(pieces)
	s.firstSentence = append(s.firstSentence, uint64(len(s.ends)))
	s.firstPiece = append(s.firstPiece, uint64(s.pieces))
	return s.out.err
}

func (s *shardWriter) documents() int { return len(s.firstPiece) - 1 }

// finish writes what comes after the pieces.
func (s *shardWriter) finish() error {
	fill := func(n int) []byte { return make([]byte, roundUp8(uint64(n))-uint64(n)) }
	s.out.Write(fill(s.head.width * s.pieces))
	tail := []uint64{uint64(s.documents()), uint64(len(s.ends)), uint64(s.pieces)}
	for _, list := range []any{s.ends, fill(4 * len(s.ends)), s.firstSentence, s.firstPiece, tail} {
		s.buf, _ = binary.Append(s.buf[:0], binary.LittleEndian, list)
		s.out.Write(s.buf)
	}
	s.out.endBlock()
	if s.out.err == nil {
		_, s.out.err = s.out.w.Write(s.out.sums)
	}
	return s.out.err
}

// checked writes in whole blocks and sums each up.
type checked struct {
	w     io.Writer
	block []byte
	sums  []byte
	err   error
}

func (c *checked) Write(b []byte) {
	for len(b) > 0 && c.err == nil {
		n := min(len(b), blockBytes-len(c.block))
		c.block = append(c.block, b[:n]...)
		b = b[n:]
		if len(c.block) == blockBytes {
			c.endBlock()
		}
	}
}

func (c *checked) endBlock() {
	if len(c.block) > 0 && c.err == nil {
		c.sums = binary.LittleEndian.AppendUint32(c.sums, crc32.Checksum(c.block, castagnoli))
		_, c.err = c.w.Write(c.block)
		c.block = c.block[:0]
	}
}
