package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
)

// unkPenalty is how far the score of an unknown character is below that of the least likely piece.
const unkPenalty = 10

// scoreLimit is where the best score so far is set back to 0, so that float32 keeps its resolution in long texts.
const scoreLimit = 100000

// Encoder applies a model. It is safe for concurrent use.
type Encoder struct {
	model        *Model
	normalizer   *normalizer
	denormalizer *normalizer // nil: none
	pieces       doubleArray // of the pieces that text can be cut into, to their ids
	score        []float32   // by id
	unkID        int32       // -1: none, bytes instead
	unkScore     float32
	bytePieces   [256]int32 // by byte; only with ByteFallback
	pool         sync.Pool  // *lattice
	table        *wordTable // nil: nothing is remembered
}

// NewEncoder prepares a model for use. It panics on a model that [Parse] would refuse for its charsmap.
func NewEncoder(m *Model) *Encoder {
	e := &Encoder{model: m, score: make([]float32, len(m.Pieces)), unkID: -1, unkScore: math.MaxFloat32}
	ids, user := make([]trieKey, 0, len(m.Pieces)), []trieKey(nil)
	for i := range m.Pieces {
		p := &m.Pieces[i]
		e.score[i] = p.Score
		switch p.Type {
		case Normal:
			e.unkScore = min(e.unkScore, p.Score)
			ids = append(ids, newTrieKey(p.Text, uint32(i)))
		case UserDefined:
			e.score[i] = userScore(len(p.Text))
			ids, user = append(ids, newTrieKey(p.Text, uint32(i))), append(user, newTrieKey(p.Text, 0))
		case Byte:
			if b := byteOf(p.Text); b >= 0 {
				e.bytePieces[b] = int32(i)
			}
		case Unknown:
			e.unkID = int32(i)
		}
	}
	e.unkScore -= unkPenalty
	e.pieces = must(newDoubleArray(ids, false))
	e.normalizer = must(newNormalizer(&m.Normalizer, user, m.whitespaceSuffix))
	if m.Denormalizer != nil && len(m.Denormalizer.CharsMap) > 0 {
		e.denormalizer = must(newNormalizer(m.Denormalizer, nil, false))
	}
	e.pool.New = func() any { return new(lattice) }
	e.table = newWordTable(e)
	return e
}

// userScore is the score of a user-defined piece of n bytes: above all others, which are negative; the longest wins.
func userScore(n int) float32 { return float32(0.1 * float64(n-1)) }

// Token is one piece of an encoded text.
type Token struct {
	ID         int32
	Begin, End int    // the bytes of the original text that it stands for
	Piece      string // its text; of an unknown piece the text there, in normal form
}

// span is a piece and the bytes of the normal form that it stands for.
type span struct {
	id       int32
	from, to int
	text     string // "": the piece's own
}

// lattice holds the buffers for one text.
type lattice struct {
	normal  normal
	best    []cell
	path    []span
	unknown bool // the path has unknown characters
}

// cell is the best path that ends at a byte: its score, and its last piece, of length bytes (0: there is no path).
type cell struct {
	score  float32
	length int32
	id     int32
}

// keepBytes is the longest text whose buffers are kept for the next one.
const keepBytes = 1 << 20

// cut normalises a text and finds its pieces. The caller gives the lattice back with e.release.
func (e *Encoder) cut(s string, aligned bool) *lattice {
	l := e.pool.Get().(*lattice)
	l.normal.aligned = aligned
	e.normalizer.normalize(s, &l.normal)
	e.search(l)
	if l.unknown {
		l.path = e.join(l.normal.text, l.path)
	}
	return l
}

func (e *Encoder) release(l *lattice) {
	if cap(l.best) <= keepBytes && cap(l.normal.text) <= keepBytes {
		e.pool.Put(l)
	}
}

// join makes one piece of a run of unknown characters or, with byte fallback, a piece of each of their bytes, the last of which stands for
// the whole character. The result may overwrite path.
func (e *Encoder) join(text []byte, path []span) []span {
	if e.model.ByteFallback {
		var out []span
		for _, p := range path {
			if p.id != e.unkID {
				out = append(out, p)
				continue
			}
			for i := p.from; i < p.to-1; i++ {
				out = append(out, span{id: e.bytePieces[text[i]], from: p.from, to: p.from})
			}
			out = append(out, span{id: e.bytePieces[text[p.to-1]], from: p.from, to: p.to})
		}
		return out
	}
	n := 0
	for i := range path {
		if p := &path[i]; p.id == e.unkID && n > 0 && path[n-1].id == e.unkID {
			path[n-1].to = p.to
		} else {
			if n != i {
				path[n] = *p
			}
			n++
		}
	}
	return path[:n]
}

// Tokens cuts a text into pieces: the likeliest way by the model's scores. A run of unknown characters is one piece, or, with byte
// fallback, a piece for each byte, the last of which stands for the whole character.
func (e *Encoder) Tokens(s string) []Token {
	l := e.cut(s, true)
	defer e.release(l)
	return e.tokens(l, l.path)
}

// tokens makes tokens of a path through the normal form.
func (e *Encoder) tokens(l *lattice, path []span) []Token {
	out := make([]Token, len(path))
	for i, p := range path {
		out[i] = Token{ID: p.id, Begin: l.normal.from[p.from], End: l.normal.from[p.to], Piece: e.text(l, p)}
	}
	return out
}

// text is a piece's text; an unknown one's is what stands in the normal form.
func (e *Encoder) text(l *lattice, p span) string {
	if p.text != "" {
		return p.text
	}
	if p.id == e.unkID {
		return string(l.normal.text[p.from:p.to])
	}
	return e.model.Pieces[p.id].Text
}

// IDs gives the ids of the pieces of [Encoder.Tokens].
func (e *Encoder) IDs(s string) []int32 {
	l := e.cut(s, false)
	defer e.release(l)
	out := make([]int32, len(l.path))
	for i, p := range l.path {
		out[i] = p.id
	}
	return out
}

// Normalized gives a text in the model's normal form.
func (e *Encoder) Normalized(s string) string {
	var n normal
	e.normalizer.normalize(s, &n)
	return string(n.text)
}

// viterbi appends to l.path the best path through the bytes from start to end of the normal form, before which the score is score, and gives
// that at the end. Scores are added in float32, left to right; among equals the piece that begins first stays. (SentencePiece's
// EncodeOptimized, unigram_model.cc.)
func (e *Encoder) viterbi(l *lattice, start, end int, score float32) float32 {
	text := l.normal.text[start:end]
	n := len(text)
	if cap(l.best) < n+1 {
		l.best = make([]cell, n+1+min(n/2, keepBytes))
	}
	best := l.best[:n+1]
	clear(best)
	best[0].score = score
	trie, scores := e.pieces, e.score
	root := trie[0]
	rootBase := unitOffset(root)
	frontier := 0 // the last cell that has a path
	for at := 0; at < n; {
		here := best[at].score
		if here < -scoreLimit || here > scoreLimit {
			for i := at; i <= frontier; i++ {
				if i == at || best[i].length != 0 {
					best[i].score -= here
				}
			}
			here = 0
		}
		width := runeLen(text[at:])
		single := false
		base := rootBase
		for i := at; i < n; {
			b := uint32(text[i])
			index := base ^ b
			u := trie[index]
			if u&unitLabel != b {
				break
			}
			i++
			base = index ^ unitOffset(u)
			if u&unitHasKey == 0 {
				continue
			}
			id := trie[base] &^ unitValue
			frontier = max(frontier, i)
			c := &best[i]
			if score := scores[id] + here; c.length == 0 || score > c.score {
				*c = cell{score, int32(i - at), int32(id)}
			}
			single = single || i-at == width
		}
		if !single {
			end := at + width
			frontier = max(frontier, end)
			c := &best[end]
			if score := e.unkScore + here; c.length == 0 || score > c.score {
				*c = cell{score, int32(width), e.unkID}
			}
		}
		at += width
	}
	first := len(l.path)
	for to := n; to > 0; {
		c := &best[to]
		from := to - int(c.length)
		l.path = append(l.path, span{id: c.id, from: start + from, to: start + to})
		l.unknown = l.unknown || c.id == e.unkID
		to = from
	}
	slices.Reverse(l.path[first:])
	return best[n].score
}

// runeLen is the length of a character by its first byte.
func runeLen(b []byte) int {
	return min(int("\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x03\x04"[b[0]>>4]), len(b))
}

// byteOf is the byte that a piece like <0x0A> stands for, -1 for another text.
func byteOf(s string) int {
	if len(s) == 6 {
		if b, err := strconv.ParseUint(s[3:5], 16, 8); err == nil && s == fmt.Sprintf("<0x%02X>", b) {
			return int(b)
		}
	}
	return -1
}

// must gives the result of a call that cannot fail, or whose failure is a bug.
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
