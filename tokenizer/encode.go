package tokenizer

import (
	"math"
	"strings"
	"sync"
	"unicode/utf8"
)

// unkPenalty is how much less likely an unknown character is than the least likely piece.
const unkPenalty = 10

// userDefinedScore is the score of a user-defined piece: any cut that avoids it costs more.
const userDefinedScore = -0.1

// Encoder applies a model. It is safe for concurrent use.
type Encoder struct {
	model      *Model
	charsMap   *charsMap
	trie       trie // of the pieces that text can be cut into
	user       trie // of the user-defined pieces alone
	hasUser    bool
	score      []float32
	unk        float32
	bytePieces [256]int32
	pool       sync.Pool // *lattice
}

// NewEncoder prepares a model for use.
func NewEncoder(m *Model) *Encoder {
	e := &Encoder{model: m, charsMap: newCharsMap(m.Normalizer.CharsMap), score: make([]float32, len(m.Pieces))}
	lowest := float32(math.MaxFloat32)
	var texts, user []string
	var ids, userIDs []int32
	for i, p := range m.Pieces {
		e.score[i] = p.Score
		switch p.Type {
		case Normal:
			lowest = min(lowest, p.Score)
			texts, ids = append(texts, p.Text), append(ids, int32(i))
		case UserDefined:
			texts, ids = append(texts, p.Text), append(ids, int32(i))
			user, userIDs = append(user, p.Text), append(userIDs, int32(i))
		case Byte:
			e.bytePieces[byteOf(p.Text)] = int32(i)
		}
	}
	e.unk = lowest - unkPenalty
	e.trie, e.user = newTrie(texts, ids), newTrie(user, userIDs)
	e.hasUser = len(user) > 0
	e.pool.New = func() any { return new(lattice) }
	return e
}

// userDefined is the length of the longest user-defined piece that s begins with.
func (e *Encoder) userDefined(s string) int {
	if !e.hasUser {
		return 0
	}
	n := 0
	node := int32(0)
	for i := range len(s) {
		if node = e.user.next(node, s[i]); node < 0 {
			break
		}
		if e.user.id(node) >= 0 {
			n = i + 1
		}
	}
	return n
}

// Token is a piece of a text: its id, and the bytes of the text as given that it stands for.
type Token struct {
	ID         int32
	Begin, End int32
	from, to   int32 // in the normal form
}

// lattice is the work of one text.
type lattice struct {
	normal normalized
	best   []cell
	path   []Token
}

// cell is the best path that ends at a byte.
type cell struct {
	score float32
	start int32 // of its last piece, -1 for no path
	id    int32
}

// Tokens cuts a text into pieces: the likeliest way by the model's scores. Tokens are appended to out.
func (e *Encoder) Tokens(s string, out []Token) []Token {
	l := e.pool.Get().(*lattice)
	defer e.pool.Put(l)
	e.normalize(s, &l.normal)
	e.viterbi(l)
	previousUnknown := false
	for _, t := range l.path {
		t.Begin, t.End = l.normal.from[t.from], l.normal.from[t.to]
		unknown := t.ID == int32(e.model.UnkID)
		switch {
		case unknown && e.model.ByteFallback:
			for i, b := range l.normal.text[t.from:t.to] {
				// The whole character belongs to its last byte.
				piece := Token{ID: e.bytePieces[b], Begin: t.Begin, End: t.Begin}
				if i == int(t.to-t.from)-1 {
					piece.End = t.End
				}
				out = append(out, piece)
			}
		case unknown && previousUnknown:
			out[len(out)-1].End = t.End
			out[len(out)-1].to = t.to
		default:
			out = append(out, t)
		}
		previousUnknown = unknown && !e.model.ByteFallback
	}
	return out
}

// viterbi finds the best path through the normal form. Scores are added in float32; a user-defined piece costs a tenth, so that it
// is always taken. Among equals the piece that begins first stays.
func (e *Encoder) viterbi(l *lattice) {
	text := l.normal.text
	n := len(text)
	l.path = l.path[:0]
	if n == 0 {
		return
	}
	if cap(l.best) < n+1 {
		l.best = make([]cell, n+1+n/2)
	}
	best := l.best[:n+1]
	for i := range best {
		best[i] = cell{start: -1}
	}
	best[0].start = 0
	for at := 0; at < n; {
		here := best[at].score
		width := runeLen(text[at:])
		single := false
		node := int32(0)
		for i := at; i < n; {
			if node = e.trie.next(node, text[i]); node < 0 {
				break
			}
			i++
			id := e.trie.id(node)
			if id < 0 {
				continue
			}
			score := float64(e.score[id])
			if e.model.Pieces[id].Type == UserDefined {
				score = userDefinedScore
			}
			c := &best[i]
			if total := score + float64(here); c.start < 0 || total > float64(c.score) {
				*c = cell{float32(total), int32(at), id}
			}
			single = single || i-at == width
		}
		if !single {
			c := &best[at+width]
			if total := e.unk + here; c.start < 0 || total > c.score {
				*c = cell{total, int32(at), int32(e.model.UnkID)}
			}
		}
		at += width
	}
	for end := int32(n); end > 0; end = best[end].start {
		l.path = append(l.path, Token{ID: best[end].id, from: best[end].start, to: end})
	}
	for i, j := 0, len(l.path)-1; i < j; i, j = i+1, j-1 {
		l.path[i], l.path[j] = l.path[j], l.path[i]
	}
}

// runeLen is the length of a character by its first byte.
func runeLen(b []byte) int {
	n := 1
	switch {
	case b[0] >= 0xf0:
		n = 4
	case b[0] >= 0xe0:
		n = 3
	case b[0] >= 0xc0:
		n = 2
	}
	return min(n, len(b))
}

// Decode gives the text of pieces: spaces for their signs, the one at the front left out, nothing for control pieces.
func (e *Encoder) Decode(ids []int32) string {
	var b strings.Builder
	var raw []byte
	flush := func() {
		for len(raw) > 0 {
			r, n := utf8.DecodeRune(raw)
			b.WriteRune(r)
			raw = raw[n:]
		}
	}
	for _, id := range ids {
		if id < 0 || int(id) >= len(e.model.Pieces) {
			continue
		}
		p := &e.model.Pieces[id]
		if p.Type == Byte {
			raw = append(raw, byte(byteOf(p.Text)))
			continue
		}
		flush()
		switch p.Type {
		case Control:
		case Unknown:
			b.WriteString(e.model.UnkSurface)
		default:
			text := p.Text
			if b.Len() == 0 && e.model.Normalizer.AddDummyPrefix {
				text = strings.TrimPrefix(text, space)
			}
			b.WriteString(strings.ReplaceAll(text, space, " "))
		}
	}
	flush()
	return b.String()
}
