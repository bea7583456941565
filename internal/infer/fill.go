package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// FillOptions of [Model.Fill].
type FillOptions struct {
	TopK    int     // how many fillings for each mask; at least 1
	Targets []int32 // only these pieces fill a mask, and the first of equals comes first; nil: all
	Logits  bool    // give logits instead
}

// Filled is the answer to a text with masks.
type Filled struct {
	Masks     [][]Filling // for each mask the likeliest fillings, best first
	Positions []int       // of the masks among the pieces, special ones included
	Logits    [][]float32 // instead of Masks: for each mask a value for each piece of the vocabulary
	Truncated bool
}

// Filling is one way to fill a mask, as Hugging Face's fill-mask pipeline gives it.
type Filling struct {
	Score    float32 `json:"score"` // softmax over the vocabulary
	Token    int32   `json:"token"`
	TokenStr string  `json:"token_str"`
	Sequence string  `json:"sequence"` // the text with the mask filled
}

// maskRows is how many masks are run through the decoder at once: each has a logit for every piece of the vocabulary.
const maskRows = 64

// Fill fills every [MASK] of texts.
func (m *Model) Fill(ctx context.Context, questions iter.Seq[*Question], o FillOptions) (iter.Seq2[Filled, error], error) {
	var err error
	if m.MLMDense.W == nil {
		err = errors.New("the model has no head for masked pieces (predictions.*): a pretrained model has one, a fine-tuned one has another in its place")
	}
	share := any([2]any{o.TopK, o.Logits})
	if o.Targets != nil {
		share = nil
	}
	return each(ctx, m, questions, err, Work[*Question, Filled, Filled]{
		Share: share,
		Layout: func(q *Question) ([]task.Example, error) {
			examples, err := m.single(q, false)
			if err == nil {
				err = m.checkMasks(q, examples[0].Inputs[0])
			}
			return examples, err
		},
		Head: func(t *ops.Tape, b *ops.Batch, _ []int, examples []task.Example) []Filled {
			out := make([]Filled, len(examples))
			var rows []int32 // of the batch
			var of [][2]int  // example and mask
			for i := range examples {
				out[i].Positions = m.masks(examples[i].Inputs[0])
				out[i].Logits, out[i].Masks = make([][]float32, len(out[i].Positions)), make([][]Filling, len(out[i].Positions))
				for j, p := range out[i].Positions {
					rows, of = append(rows, b.Offsets[i]+int32(p)), append(of, [2]int{i, j})
				}
			}
			hidden := m.Encode(t, b, model.NoDropout)
			for from := 0; from < len(rows); from += maskRows {
				chunk := rows[from:min(from+maskRows, len(rows))]
				logits := m.MLMLogits(t, hidden, chunk)
				for k := range chunk {
					i, j := of[from+k][0], of[from+k][1]
					if o.Logits {
						out[i].Logits[j] = slices.Clone(logits.Row(k))
					} else {
						out[i].Masks[j] = m.fillings(examples[i].Inputs[0], out[i].Positions, j, logits.Row(k), o)
					}
				}
				t.Release(logits)
			}
			return out
		},
		Answer: func(_ *Question, examples []task.Example, results []Filled) (Filled, error) {
			results[0].Truncated = truncated(examples)
			return results[0], nil
		},
	})
}

// masks are the positions of [MASK].
func (m *Model) masks(e tokenizer.Encoding) []int { return m.masksIn(e.IDs) }

func (m *Model) masksIn(ids []int32) []int {
	_, mask := m.special()
	var at []int
	for i, id := range ids {
		if id == mask {
			at = append(at, i)
		}
	}
	return at
}

// checkMasks reports that there is nothing to fill, or that a mask was cut off: the answer would be one for fewer.
func (m *Model) checkMasks(q *Question, e tokenizer.Encoding) error {
	if e.Truncated {
		all, lost := 0, []string{}
		count := func(text string, kept tokenizer.Part) {
			for _, at := range m.masksIn(m.Tokenizer.Encode(text)) {
				if all++; at < kept.From || at >= kept.To {
					lost = append(lost, strconv.Itoa(all))
				}
			}
		}
		count(q.Text, e.A)
		if q.Pair != nil {
			count(*q.Pair, e.B)
		}
		if len(lost) > 0 {
			return inputError("text", "[MASK] %s of %d was cut off: the text is %w (%d pieces)", strings.Join(lost, ", "), all, ErrTooLong, m.Config.MaxPositionEmbeddings)
		}
	}
	if len(m.masks(e)) == 0 {
		return noMask(q.Text)
	}
	return nil
}

// fillings turns a mask's logits, which it overwrites, into the o.TopK likeliest fillings. With one mask the sequence leaves special pieces
// out, as the pipeline does.
func (m *Model) fillings(e tokenizer.Encoding, masks []int, j int, logits []float32, o FillOptions) []Filling {
	likely := task.Top(logits, o.TopK)
	if o.Targets != nil {
		targets := slices.SortedStableFunc(slices.Values(o.Targets), func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
		likely = likely[:0]
		for _, id := range targets[:min(o.TopK, len(targets))] {
			likely = append(likely, int(id))
		}
	}
	m.dev.Kernels().Softmax(logits, 1)
	var out []Filling
	for _, id := range likely {
		f := Filling{Score: logits[id], Token: int32(id)}
		if tok := m.Tokenizer; tok != nil && id < tok.VocabSize() {
			f.TokenStr = tok.Decode([]int32{f.Token})
			ids := slices.Clone(e.IDs)
			ids[masks[j]] = f.Token
			if len(masks) == 1 {
				ids = slices.DeleteFunc(ids, tok.IsSpecial)
			}
			f.Sequence = tok.Decode(ids)
		}
		out = append(out, f)
	}
	return out
}

// noMask says that there is nothing to fill, and how other models write what is.
func noMask(text string) error {
	for _, other := range []string{"<mask>", "[mask]", "[Mask]", "<MASK>", "{mask}", "___"} {
		if strings.Contains(text, other) {
			return &InputError{Field: "text", Err: fmt.Errorf("%w: it is written [MASK], not %s", ErrNoMask, other)}
		}
	}
	return &InputError{Field: "text", Err: ErrNoMask}
}
