package serve

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// tagged is an element of token-classification's answer: of a piece, or of pieces joined.
type tagged struct {
	Entity string  `json:"entity,omitempty"`
	Group  string  `json:"entity_group,omitempty"`
	Score  float32 `json:"score"`
	Index  int     `json:"index,omitempty"`
	Word   string  `json:"word"`
	Start  int     `json:"start"`
	End    int     `json:"end"`
}

// piece is a piece of a text with the scores of its labels.
type piece struct {
	scores     []float32
	row        int // of the encoding
	start, end int // code points
	subword    bool
	word       string
}

func (q *request) tokenClassification(b *pipelineRequest) error {
	p := b.Parameters
	strategy := "simple"
	if p.Aggregation != nil {
		strategy = *p.Aggregation
	}
	if !slices.Contains([]string{"none", "simple", "first", "average", "max"}, strategy) {
		return invalid("aggregation_strategy", fmt.Sprintf("aggregation_strategy %q: want none, simple, first, average or max", strategy))
	}
	ignored := []string{"O"}
	if p.Ignore != nil {
		ignored = *p.Ignore
	}
	list, many, err := inputsOf[string](b.Inputs, "a text")
	if err != nil {
		return err
	}
	if q.model.Tokenizer == nil {
		return infer.ErrNoTokenizer
	}
	answers, err := ask(q, texts(list...), func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Tagged, error], error) {
		return q.model.Tag(ctx, list, infer.TagOptions{Long: p.Stride != nil})
	})
	if err != nil {
		return err
	}
	out := make([][]tagged, len(answers))
	for i, a := range answers {
		out[i] = q.model.entities(list[i], a.Logits, strategy)
		out[i] = slices.DeleteFunc(out[i], func(t tagged) bool { return slices.Contains(ignored, t.Entity+t.Group) })
	}
	return q.json(oneOf(out, many))
}

// pieces are those of a text that have rows of logits, special ones left out.
func (o *opened) pieces(text string, logits [][]float32) []piece {
	tok := o.Tokenizer
	cut, runes := tok.Cut(text), []rune(text)
	n := min(len(cut.IDs), max(0, len(logits)-2))
	from, _ := tok.TruncationSide.Keep(len(cut.IDs), n)
	list := make([]piece, 0, n)
	for k := range n {
		id, at := cut.IDs[from+k], cut.Offsets[from+k]
		if id == tok.CLS || id == tok.SEP || id == tok.PAD {
			continue
		}
		x := piece{scores: infer.Scores(model.Tag, logits[k+1]), row: k + 1, start: at[0], end: at[1], word: tok.Piece(id)}
		if x.subword = !tok.IsStart(id); tok.Type() != "wordpiece" { // whose pieces do not tell punctuation from words
			x.subword = x.start > 0 && !slices.Contains(runes[x.start-1:min(len(runes), x.start+1)], ' ')
		}
		if id == tok.UNK && x.start < x.end {
			x.word, x.subword = string(runes[x.start:x.end]), false
		}
		list = append(list, x)
	}
	return list
}

// entities are a text's labels by a strategy of transformers' pipeline: a label for each piece; its groups; or groups of words, whose label is that of
// the first piece, of the piece that is surest, or of the mean.
func (o *opened) entities(text string, logits [][]float32, strategy string) []tagged {
	names, runes := o.Labels(), []rune(text)
	var words []piece
	for _, x := range o.pieces(text, logits) {
		if n := len(words) - 1; strategy != "none" && strategy != "simple" && n >= 0 && x.subword {
			w := &words[n]
			w.end = x.end
			switch strategy {
			case "max":
				if slices.Max(x.scores) > slices.Max(w.scores) {
					w.scores = x.scores
				}
			case "average":
				for k := range w.scores {
					w.scores[k] += x.scores[k]
				}
				w.row++ // counts the pieces
			}
			continue
		}
		if strategy == "average" {
			x.row = 1
		}
		words = append(words, x)
	}
	out := []tagged{}
	count, last := 0, ""
	for _, w := range words {
		if strategy == "average" {
			for k := range w.scores {
				w.scores[k] /= float32(w.row)
			}
		}
		best := task.ArgMax(w.scores)
		t := tagged{Entity: names[best], Score: w.scores[best], Index: w.row, Word: w.word, Start: w.start, End: w.end}
		if strategy == "none" {
			out = append(out, t)
			continue
		}
		name, begins := t.Entity, strings.HasPrefix(t.Entity, "B-")
		if begins || strings.HasPrefix(name, "I-") {
			name = name[2:]
		}
		if n := len(out) - 1; n >= 0 && last == name && !begins {
			out[n].End, out[n].Score = t.End, out[n].Score+t.Score
			count++
		} else {
			mean(out, count)
			out, count = append(out, tagged{Group: name, Score: t.Score, Start: t.Start, End: t.End}), 1
		}
		last = name
	}
	if strategy != "none" {
		mean(out, count)
		for i := range out {
			out[i].Word = string(runes[out[i].Start:max(out[i].Start, out[i].End)])
		}
	}
	return out
}

// mean divides the last group's score by the number of its words.
func mean(list []tagged, count int) {
	if len(list) > 0 {
		list[len(list)-1].Score /= float32(count)
	}
}
