package infer

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// Label is a class and how likely it is.
type Label struct {
	Label string  `json:"label"`
	Score float32 `json:"score"` // softmax over the labels; of any number of labels each one's sigmoid; of a number the number
}

// Classified is what a head over whole sequences gives.
type Classified struct {
	Logits    []float32
	Labels    []Label // best first; of a model of numbers in their order
	Truncated bool
}

// shareHead says that a batch runs [Model.head].
const shareHead = "head"

// head runs the model's head and copies each example's logits.
func (m *Model) head(t *ops.Tape, b *ops.Batch, sequences []int, examples []task.Example) []task.Output {
	o := task.Objective{Kind: m.Kind, Model: m.Model.Model}
	return o.Infer(t, b, sequences, examples, 0)
}

// Classify gives the labels, or numbers, of texts and pairs. With long one that is too long is not cut, but read in windows, of whose logits
// the mean is taken.
func (m *Model) Classify(ctx context.Context, questions iter.Seq[*Question], long bool) (iter.Seq2[Classified, error], error) {
	err := m.answers("classify", model.Classify, model.MultiLabel, model.Order, model.Regress)
	return each(ctx, m, questions, err, Work[*Question, task.Output, Classified]{
		Share:  shareHead,
		Layout: func(q *Question) ([]task.Example, error) { return m.single(q, long) },
		Head:   m.head,
		Answer: func(_ *Question, examples []task.Example, results []task.Output) (Classified, error) {
			logits := task.Mean(results).Logits[0]
			return Classified{logits, m.labels(logits), truncated(examples)}, nil
		},
	})
}

// labels makes labels of logits.
func (m *Model) labels(logits []float32) []Label {
	scores := Scores(m.Kind, logits)
	out := make([]Label, len(scores))
	for i, name := range m.Labels() {
		out[i] = Label{name, scores[i]}
	}
	if m.Kind != model.Regress {
		slices.SortStableFunc(out, func(a, b Label) int { return cmp.Compare(b.Score, a.Score) })
	}
	return out
}

// portable are the kernels for a few values, the same bits as all others.
var portable, _ = kernel.Select("generic")

// Scores makes scores of a kind's logits: each one's sigmoid where any number of labels may hold, the number itself, else the softmax.
func Scores(k model.Kind, logits []float32) []float32 {
	scores := slices.Clone(logits)
	switch k {
	case model.MultiLabel, model.Rank:
		for i, x := range logits {
			scores[i] = float32(task.Sigmoid(x))
		}
	case model.Regress:
	default:
		portable.Softmax(scores, 1)
	}
	return scores
}

// Tagged is a text with a label for each of its pieces.
type Tagged struct {
	Logits    [][]float32 // a row for every piece, special ones included
	Entities  []Entity    // pieces labelled otherwise than "O"
	Truncated bool
}

// Entity is a tagged piece, or several joined.
type Entity struct {
	Entity string  `json:"entity"`
	Score  float32 `json:"score"`
	Index  int     `json:"index,omitempty"` // the piece's row, [CLS] is 0; 0 where pieces are joined
	Word   string  `json:"word,omitempty"`
	Start  int     `json:"start"` // code points of the text; rows, where pieces were given
	End    int     `json:"end"`
}

// TagOptions of [Model.Tag].
type TagOptions struct {
	Join   bool // neighbouring pieces of one entity become one (see [Join])
	Logits bool // logits alone, of pairs, too
	Long   bool // a text that is too long is not cut, but read in windows
}

// Tag labels the pieces of texts. A text that is too long is cut, or with o.Long read in windows.
func (m *Model) Tag(ctx context.Context, questions iter.Seq[*Question], o TagOptions) (iter.Seq2[Tagged, error], error) {
	return each(ctx, m, questions, m.answers("tag", model.Tag), Work[*Question, task.Output, Tagged]{
		Layout: func(q *Question) ([]task.Example, error) {
			if q.Pair != nil && !o.Logits {
				return nil, inputError("text_pair", "tagging takes one text, not a pair")
			}
			return m.single(q, o.Long && q.Pair == nil)
		},
		Share: shareHead,
		Head:  m.head,
		Answer: func(q *Question, examples []task.Example, results []task.Output) (Tagged, error) {
			e, logits := task.JoinWindows(examples, results)
			a := Tagged{Logits: logits, Truncated: e.Truncated}
			if !o.Logits {
				a.Entities = m.entities(q, e, a.Logits)
			}
			if o.Join {
				a.Entities = Join(a.Entities, q.Text)
			}
			return a, nil
		},
	})
}

// entities turns the logits of an encoding's pieces into labels; special pieces, and pieces labelled "O", give none.
func (m *Model) entities(q *Question, e tokenizer.Encoding, logits [][]float32) []Entity {
	names, tok := m.Labels(), m.Tokenizer
	var text tokenizer.Text
	var runes []rune
	if q.Pieces == nil {
		text, runes = tok.Cut(q.Text), []rune(q.Text)
	}
	list := []Entity{}
	for i, row := range logits {
		id := e.IDs[i]
		best := task.ArgMax(row)
		if tok != nil && (id == tok.CLS || id == tok.SEP || id == tok.PAD) || names[best] == "O" {
			continue
		}
		x := Entity{Entity: names[best], Score: Scores(model.Tag, row)[best], Index: i, Start: i, End: i + 1}
		if q.Pieces == nil {
			place := text.Offsets[e.A.From+i-e.A.At]
			x.Start, x.End = place[0], place[1]
			if x.Word = tok.Piece(id); id == tok.UNK && x.Start < x.End {
				x.Word = string(runes[x.Start:x.End])
			}
		}
		list = append(list, x)
	}
	return list
}

// Join joins neighbouring pieces of one entity: labels that are the same but for "B-" or "I-", where no "B-" begins another one. The score
// is the mean of the pieces'; the word is the text between the ends.
func Join(list []Entity, text string) []Entity {
	out := []Entity{}
	runes := []rune(text)
	var count []int // of the pieces joined
	last := -1      // the row of the last piece
	for _, e := range list {
		begins, name := strings.HasPrefix(e.Entity, "B-"), e.Entity
		if begins || strings.HasPrefix(name, "I-") {
			name = name[2:]
		}
		if n := len(out) - 1; n >= 0 && last+1 == e.Index && out[n].Entity == name && !begins {
			out[n].End = e.End
			out[n].Score += e.Score
			count[n]++
		} else {
			e.Entity = name
			out, count = append(out, e), append(count, 1)
		}
		last = e.Index
	}
	for i := range out {
		e := &out[i]
		e.Index, e.Score = 0, e.Score/float32(count[i])
		if e.Word != "" && e.End <= len(runes) {
			e.Word = string(runes[e.Start:max(e.Start, e.End)])
		}
	}
	return out
}
