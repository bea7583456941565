package tokenizer

import (
	"encoding/binary"
	"math"
	"math/bits"
	"os"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// wordTable remembers the best paths through words, which then need not be searched again. A word is the normal form's text from one space sign
// to the next. If no piece has a space sign but as its first character, every path through a text goes through the beginning of every word,
// so that the best path is made of the words' best ones.
//
// What a word's best path is depends on the text before it all the same: SentencePiece adds up float32 from the beginning of the text, so
// that a path that is a little better may lose to the rounding. Let h be the score where the word begins, W a bound on how much a path
// through the word can change it (its bytes times the largest absolute score of a piece), and n its bytes. A path has at most n pieces, all
// its sums are at most (|h| + W)(1 + 2^-24)^n, and each addition is off by at most 2^-24 of its result; so a path's score is off by
//
//	E <= n * 2^-24 * (|h| + W) * (1 + 2^-24)^n
//
// from h and the exact sum of its pieces' scores. Rounding is monotone, so no path's score is above that of the path that the search finds.
// If the best path's exact sum is more than 2E above that of every other, its score is the highest, and no other path has the same: it is
// the path that is found. With a margin m to the second-best path that is so for
//
//	|h| <= m * 2^22 / n - W
//
// where a factor of two is left, for the last factor of E (n <= 16), and for the margin, which is computed in float64. |h| + W also stays
// below scoreLimit, so that scores are not set back within the word. Every other word is searched as if nothing were remembered.
//
// The table has a fixed size. It is read and written without locks: see [slot]. A word gets an entry when it is the last of those without one
// that has been looked for in this place, the second time in a row, so that words that come once do not drive out others.
type wordTable struct {
	most    float64 // the largest absolute score
	entries [tableSize]slot
	missed  [tableSize]atomic.Uint32 // a part of the hash of the last word that was not found
}

// slot holds an entry that is read while others may write it: version is odd while it is written, and another after that.
type slot struct {
	version atomic.Uint64
	data    [7]atomic.Uint64
}

// load gives the entry if it is that of a word.
func (s *slot) load(k key, w *word) bool {
	version := s.version.Load()
	if s.data[0].Load() != k.low || s.data[1].Load() != k.high {
		return false
	}
	head := s.data[2].Load()
	w.bytes, w.count, w.unknown, w.reach = uint8(head), uint8(head>>8), head>>16&1 != 0, math.Float32frombits(uint32(head>>32))
	w.lengths = s.data[3].Load()
	for i := range w.ids {
		w.ids[i] = s.data[4+i].Load()
	}
	return w.bytes == k.bytes && version&1 == 0 && s.version.Load() == version
}

// store replaces the entry, unless another thread is about to.
func (s *slot) store(k key, w *word) {
	version := s.version.Load()
	if version&1 != 0 || !s.version.CompareAndSwap(version, version+1) {
		return
	}
	head := uint64(k.bytes) | uint64(w.count)<<8 | uint64(math.Float32bits(w.reach))<<32
	if w.unknown {
		head |= 1 << 16
	}
	for i, x := range [...]uint64{k.low, k.high, head, w.lengths, w.ids[0], w.ids[1], w.ids[2]} {
		s.data[i].Store(x)
	}
	s.version.Store(version + 2)
}

// Of the words of English novels 99.4 % have at most 16 bytes, space sign included, and 99.8 % at most 6 pieces, which makes a slot a line of
// the processor's cache. A table has 2.1 MB.
const (
	tableSize  = 1 << 15
	wordBytes  = 16 // the longest word that is remembered
	wordPieces = 6
)

// word is an entry: the pieces of a word's best path. It is good wherever the score before the word is at most reach, in absolute value.
type word struct {
	ids     [wordPieces / 2]uint64 // two in each, the first in the lower half
	lengths uint64                 // of each piece, in bytes: 8 bits each, the first in the lowest
	reach   float32                // below 0: nowhere, the path is not kept
	count   uint8                  // of the pieces
	bytes   uint8                  // of the word
	unknown bool                   // there are unknown characters
}

// piece gives the id of a piece and its length in bytes.
func (w *word) piece(i int) (id int32, length int) {
	return int32(w.ids[i/2] >> (i % 2 * 32)), int(w.lengths >> (8 * i) & 0xff)
}

// key is a word, filled up with zero bytes.
type key struct {
	low, high uint64
	bytes     uint8
}

// keyOf gives the key of the first n bytes of text, which has wordBytes or more.
func keyOf(text []byte, n int) key {
	k := key{low: binary.LittleEndian.Uint64(text), bytes: uint8(n)}
	if n <= 8 {
		k.low &= ^uint64(0) >> (64 - 8*n)
	} else {
		k.high = binary.LittleEndian.Uint64(text[8:]) & (^uint64(0) >> (128 - 8*n))
	}
	return k
}

// hash mixes the bytes by products of 128 bits; the factors are odd and otherwise arbitrary.
func (k *key) hash() uint64 {
	a, b := bits.Mul64(k.low^0x9e3779b97f4a7c15, k.high^uint64(k.bytes)^0xc2b2ae3d27d4eb4f)
	a, b = bits.Mul64(a^b, 0xff51afd7ed558ccd)
	return a ^ b
}

// WordsVariable names the environment variable that turns the memory of words off if it is "off". The results are the same.
const WordsVariable = "ALBERT_WORDS"

// newWordTable gives nil if paths cannot be put together from words.
func newWordTable(e *Encoder) *wordTable {
	if e.model.wordPiece || os.Getenv(WordsVariable) == "off" || !e.normalizer.givesUTF8() {
		return nil
	}
	w := &wordTable{most: math.Abs(float64(e.unkScore))}
	for i := range e.model.Pieces {
		p := &e.model.Pieces[i]
		if p.Type != Normal && p.Type != UserDefined {
			continue
		}
		if !utf8.ValidString(p.Text) || strings.LastIndex(p.Text, space) > 0 {
			return nil
		}
		w.most = max(w.most, math.Abs(float64(e.score[i])))
	}
	return w
}

// wordEnd is where the word that begins at from ends, in a text of n bytes that has at least 8 more behind them.
func wordEnd(text []byte, from, n int) int {
	const ones = 0x0101010101010101
	for i := from + 1; i < n; {
		x := binary.LittleEndian.Uint64(text[i:]) ^ ones*uint64(space[0])
		zeros := (x - ones) &^ x & (ones << 7) // the lowest bit that is set is right
		if zeros == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(zeros) / 8; i < n && text[i+1] == space[1] && text[i+2] == space[2] {
			return i
		}
		i++
	}
	return n
}

// search finds the best path through the normal form, in l.path.
func (e *Encoder) search(l *lattice) {
	l.path, l.unknown = l.path[:0], false
	n, score := len(l.normal.text), float32(0)
	if e.table == nil {
		e.viterbi(l, 0, n, score)
		return
	}
	text := append(l.normal.text, make([]byte, wordBytes)...)
	l.normal.text = text[:n]
	var w word
	for from, to := 0, 0; from < n; from = to {
		to = wordEnd(text, from, n)
		if to-from > wordBytes || !e.known(keyOf(text[from:], to-from), &w) || !(score <= w.reach && -score <= w.reach) {
			score = e.viterbi(l, from, to, score)
			continue
		}
		l.unknown = l.unknown || w.unknown
		for i := range int(w.count) {
			id, length := w.piece(i)
			l.path = append(l.path, span{id: id, from: from, to: from + length})
			score += e.scoreOf(id)
			from += length
		}
	}
}

// scoreOf gives the score of a piece of a path.
func (e *Encoder) scoreOf(id int32) float32 {
	if id == e.unkID {
		return e.unkScore
	}
	return e.score[id]
}

// known gives the entry of a word; false if it has none.
func (e *Encoder) known(k key, w *word) bool {
	t, hash := e.table, k.hash()
	place := hash % tableSize
	if t.entries[place].load(k, w) || t.entries[place^1].load(k, w) {
		return true
	}
	if tag := uint32(hash >> 32); t.missed[place].Swap(tag) != tag {
		return false
	}
	if t.entries[place].version.Load() != 0 && t.entries[place^1].version.Load() == 0 {
		place ^= 1
	}
	*w = e.learn(k)
	t.entries[place].store(k, w)
	return true
}

// learn makes the entry of a word: the best path by the exact sums of scores, and how much better it is than the second-best.
func (e *Encoder) learn(k key) word {
	var room [wordBytes]byte
	binary.LittleEndian.PutUint64(room[:], k.low)
	binary.LittleEndian.PutUint64(room[8:], k.high)
	text := room[:k.bytes]
	var best [wordBytes + 1]struct {
		first, second float64 // the two highest scores of paths that end here
		length        int
		id            int32
	}
	for i := range best[:len(text)+1] {
		best[i].first, best[i].second = math.Inf(-1), math.Inf(-1)
	}
	best[0].first = 0
	add := func(at, length int, id int32, score float32) {
		from, to := &best[at], &best[at+length]
		first, second := from.first+float64(score), from.second+float64(score)
		if first > to.first {
			second = max(second, to.first)
			to.first, to.length, to.id = first, length, id
		} else {
			second = first
		}
		to.second = max(to.second, second)
	}
	for at, width := 0, 0; at < len(text); at += width {
		width = runeLen(text[at:])
		single := false
		state, u, ok := uint32(0), e.pieces[0], true
		for i := at; i < len(text); i++ {
			if state, u, ok = e.pieces.step(state, u, text[i]); !ok {
				break
			}
			if id, there := e.pieces.value(state, u); there {
				add(at, i+1-at, int32(id), e.score[id])
				single = single || i+1-at == width
			}
		}
		if !single {
			add(at, width, e.unkID, e.unkScore)
		}
	}
	w := word{bytes: k.bytes, reach: -1}
	n := float64(len(text))
	end := best[len(text)]
	reach := min(0.99*scoreLimit, (end.first-end.second)*(1<<22)/n) - n*e.table.most
	for at := len(text); at > 0; at -= best[at].length {
		if w.count++; w.count > wordPieces {
			w.count = 0
			return w
		}
	}
	for i, at := int(w.count), len(text); i > 0; at -= best[at].length {
		i--
		id := best[at].id
		w.ids[i/2] |= uint64(uint32(id)) << (i % 2 * 32)
		w.lengths |= uint64(best[at].length) << (8 * i)
		w.unknown = w.unknown || id == e.unkID
	}
	w.reach = float32(reach)
	return w
}
