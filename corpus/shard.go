package corpus

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sort"
	"unsafe"

	"albert/weights"
)

// A shard file, little-endian:
//
//	magic [8]byte, version, width uint32 (bytes of a piece: 2 or 4), documents, sentences, pieces uint64
//	documents+1 uint64: the first sentence of each document, and the end
//	documents+1 uint64: the first piece of each document, and the end
//	sentences   uint32: where each sentence ends, in pieces from its document's start
//	pieces      width:  the pieces
//	one uint32 for every MiB of all this: its CRC-32C
const (
	shardMagic   = "albshard"
	shardVersion = 1
	shardHeader  = 40
	shardBlock   = 1 << 20
	metaFile     = "shards.json"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func shardName(i int) string { return fmt.Sprintf("shard-%05d.bin", i) }

// Meta says what shards hold and how they came about. It is the file shards.json, written last.
type Meta struct {
	Version         int         `json:"version"`
	Numerics        int         `json:"numerics"`
	VocabSize       int         `json:"vocab_size"`
	TokenizerSHA256 string      `json:"tokenizer_sha256"`
	Settings        Settings    `json:"settings"`
	Shards          []ShardMeta `json:"shards"`
	Documents       int64       `json:"documents"`
	Sentences       int64       `json:"sentences"`
	Pieces          int64       `json:"pieces"`
	Counts          Counts      `json:"counts"`
}

// ShardMeta names a shard file.
type ShardMeta struct {
	File   string `json:"file"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// shard is an open shard file.
type shard struct {
	path                 string
	width                int
	documents            int
	firstSentence, first []byte // uint64 each
	ends, pieces         []byte
	unmap                func() error
}

func u64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }

// parseShard checks the bytes of a shard file: lengths, checksums, that every index is in range and ascends.
func parseShard(data []byte) (*shard, error) {
	if len(data) < shardHeader || string(data[:8]) != shardMagic {
		return nil, errors.New("not a shard file")
	}
	if v := binary.LittleEndian.Uint32(data[8:]); v != shardVersion {
		return nil, fmt.Errorf("version %d, this program reads %d", v, shardVersion)
	}
	s := &shard{width: int(binary.LittleEndian.Uint32(data[12:])), unmap: func() error { return nil }}
	docs, sentences, pieces := u64(data, 2), u64(data, 3), u64(data, 4)
	if s.width != 2 && s.width != 4 {
		return nil, fmt.Errorf("pieces of %d bytes", s.width)
	}
	size := uint64(len(data))
	if docs > size/16 || sentences > size/4 || pieces > size/uint64(s.width) {
		return nil, fmt.Errorf("truncated: %d documents, %d sentences, %d pieces in %d bytes", docs, sentences, pieces, size)
	}
	body := shardHeader + 16*(docs+1) + 4*sentences + uint64(s.width)*pieces
	blocks := (body + shardBlock - 1) / shardBlock
	if body+4*blocks != size {
		return nil, fmt.Errorf("truncated: %d bytes, want %d", size, body+4*blocks)
	}
	for i := range blocks {
		end := min(body, (i+1)*shardBlock)
		if got, want := crc32.Checksum(data[i*shardBlock:end], castagnoli), binary.LittleEndian.Uint32(data[body+4*i:]); got != want {
			return nil, fmt.Errorf("damaged: the checksum of bytes %d to %d is wrong", i*shardBlock, end-1)
		}
	}
	s.documents = int(docs)
	at := uint64(shardHeader)
	take := func(n uint64) []byte {
		b := data[at : at+n]
		at += n
		return b
	}
	s.firstSentence, s.first = take(8*(docs+1)), take(8*(docs+1))
	s.ends, s.pieces = take(4*sentences), take(uint64(s.width)*pieces)
	if u64(s.firstSentence, 0) != 0 || u64(s.first, 0) != 0 || u64(s.firstSentence, s.documents) != sentences || u64(s.first, s.documents) != pieces {
		return nil, errors.New("damaged: the document index does not span the file")
	}
	for d := range s.documents {
		a, b := u64(s.firstSentence, d), u64(s.firstSentence, d+1)
		p, q := u64(s.first, d), u64(s.first, d+1)
		if a >= b || b > sentences || p >= q || q > pieces || q-p > math.MaxInt32 {
			return nil, fmt.Errorf("damaged: document %d is out of range", d)
		}
		before := uint32(0)
		for i := a; i < b; i++ {
			e := binary.LittleEndian.Uint32(s.ends[4*i:])
			if e <= before {
				return nil, fmt.Errorf("damaged: document %d has a sentence out of range", d)
			}
			before = e
		}
		if uint64(before) != q-p {
			return nil, fmt.Errorf("damaged: document %d has sentences that do not span it", d)
		}
	}
	return s, nil
}

// Shards is tokenised text, mapped into memory. It is safe for concurrent use.
type Shards struct {
	dir    string
	meta   Meta
	shards []*shard
	before []int // documents before each shard, and in all
}

// IsShards tells whether dir holds shards.
func IsShards(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, metaFile))
	return err == nil
}

// OpenShards opens and verifies the shards in dir.
func OpenShards(dir string) (*Shards, error) {
	path := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, e := os.Stat(filepath.Join(dir, progressFile)); e == nil {
			return nil, fmt.Errorf("%s: not finished: run the same albert prepare again", dir)
		}
		return nil, fmt.Errorf("%s: no shards there (%s)", dir, metaFile)
	}
	if err != nil {
		return nil, err
	}
	s := &Shards{dir: dir, before: []int{0}}
	if err := json.Unmarshal(text, &s.meta); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, m := range s.meta.Shards {
		if m.File != filepath.Base(m.File) {
			s.Close()
			return nil, fmt.Errorf("%s: %q is not a file of this directory", path, m.File)
		}
		file := filepath.Join(dir, m.File)
		data, unmap, err := weights.MapFile(file)
		if err != nil {
			s.Close()
			return nil, err
		}
		sh, err := parseShard(data)
		if err == nil && int64(len(data)) != m.Bytes {
			err = fmt.Errorf("%d bytes, %s says %d", len(data), metaFile, m.Bytes)
		}
		if err != nil {
			unmap()
			s.Close()
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		sh.path, sh.unmap = file, unmap
		s.shards = append(s.shards, sh)
		s.before = append(s.before, s.before[len(s.before)-1]+sh.documents)
	}
	if int64(s.Documents()) != s.meta.Documents {
		s.Close()
		return nil, fmt.Errorf("%s: %d documents, the shards have %d", path, s.meta.Documents, s.Documents())
	}
	return s, nil
}

// Close gives the memory back.
func (s *Shards) Close() error {
	var errs []error
	for _, sh := range s.shards {
		errs = append(errs, sh.unmap())
	}
	return errors.Join(errs...)
}

// Meta is what the shards hold.
func (s *Shards) Meta() Meta { return s.meta }

// Dir is where the shards are, and their tokenizer.
func (s *Shards) Dir() string { return s.dir }

// Documents is how many there are.
func (s *Shards) Documents() int { return s.before[len(s.before)-1] }

func (s *Shards) find(doc int) (*shard, int) {
	i := sort.Search(len(s.shards), func(i int) bool { return s.before[i+1] > doc })
	return s.shards[i], doc - s.before[i]
}

// Ends gives where each sentence of a document ends, in pieces from its start. The result may be the shard's own memory.
func (s *Shards) Ends(doc int, buf []int32) []int32 {
	sh, d := s.find(doc)
	a, b := u64(sh.firstSentence, d), u64(sh.firstSentence, d+1)
	ends := sh.ends[4*a : 4*b]
	if littleEndian {
		return unsafe.Slice((*int32)(unsafe.Pointer(&ends[0])), b-a)
	}
	buf = buf[:0]
	for i := range int(b - a) {
		buf = append(buf, int32(binary.LittleEndian.Uint32(ends[4*i:])))
	}
	return buf
}

var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// Pieces gives pieces [from, to) of a document.
func (s *Shards) Pieces(doc, from, to int, buf []int32) []int32 {
	sh, d := s.find(doc)
	first := int(u64(sh.first, d))
	raw := sh.pieces[sh.width*(first+from) : sh.width*(first+to)]
	buf = buf[:0]
	if sh.width == 2 {
		for i := 0; i < len(raw); i += 2 {
			buf = append(buf, int32(binary.LittleEndian.Uint16(raw[i:])))
		}
		return buf
	}
	for i := 0; i < len(raw); i += 4 {
		buf = append(buf, int32(binary.LittleEndian.Uint32(raw[i:])))
	}
	return buf
}

// shardWriter collects a shard's documents.
type shardWriter struct {
	width                int
	firstSentence, first []uint64
	ends                 []uint32
	pieces               []byte
	count                int
}

func (w *shardWriter) reset() {
	w.firstSentence, w.first = append(w.firstSentence[:0], 0), append(w.first[:0], 0)
	w.ends, w.pieces, w.count = w.ends[:0], w.pieces[:0], 0
}

// add adds a document: its sentences' pieces, none of them empty.
func (w *shardWriter) add(pieces []int32, ends []int32) {
	for _, id := range pieces {
		if w.width == 2 {
			w.pieces = binary.LittleEndian.AppendUint16(w.pieces, uint16(id))
		} else {
			w.pieces = binary.LittleEndian.AppendUint32(w.pieces, uint32(id))
		}
	}
	for _, e := range ends {
		w.ends = append(w.ends, uint32(e))
	}
	w.count += len(pieces)
	w.firstSentence = append(w.firstSentence, uint64(len(w.ends)))
	w.first = append(w.first, uint64(w.count))
}

func (w *shardWriter) documents() int { return len(w.first) - 1 }

// writeTo writes the shard file.
func (w *shardWriter) writeTo(out io.Writer) error {
	c := &checked{w: out}
	head := append([]byte(nil), shardMagic...)
	head = binary.LittleEndian.AppendUint32(head, shardVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(w.width))
	for _, n := range []int{w.documents(), len(w.ends), w.count} {
		head = binary.LittleEndian.AppendUint64(head, uint64(n))
	}
	for _, list := range [][]uint64{w.firstSentence, w.first} {
		for _, v := range list {
			head = binary.LittleEndian.AppendUint64(head, v)
		}
	}
	c.Write(head)
	var ends []byte
	for _, e := range w.ends {
		ends = binary.LittleEndian.AppendUint32(ends, e)
	}
	c.Write(ends)
	c.Write(w.pieces)
	c.end()
	if c.err == nil {
		_, c.err = out.Write(c.sums)
	}
	return c.err
}

// checked writes and sums up blocks.
type checked struct {
	w    io.Writer
	crc  uint32
	n    int // in the current block
	sums []byte
	err  error
}

func (c *checked) Write(b []byte) {
	for len(b) > 0 && c.err == nil {
		n := min(len(b), shardBlock-c.n)
		c.crc = crc32.Update(c.crc, castagnoli, b[:n])
		_, c.err = c.w.Write(b[:n])
		if c.n += n; c.n == shardBlock {
			c.end()
		}
		b = b[n:]
	}
}

func (c *checked) end() {
	if c.n > 0 {
		c.sums = binary.LittleEndian.AppendUint32(c.sums, c.crc)
		c.crc, c.n = 0, 0
	}
}
