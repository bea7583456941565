package albert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"albert/internal/engine/ops"
	"albert/internal/model"
)

// Answer is one filling of a mask, as Hugging Face's fill-mask pipeline gives it.
type Answer struct {
	Score    float32 `json:"score"` // softmax over the vocabulary
	Token    int32   `json:"token"`
	TokenStr string  `json:"token_str"`
	Sequence string  `json:"sequence"` // the text with the mask filled
}

// Fill gives the k likeliest pieces for every [MASK] in text, best first.
func (m *Model) Fill(text string, k int) ([][]Answer, error) {
	in, err := m.Encode(text)
	if err != nil {
		return nil, err
	}
	all, err := m.FillAll([]Input{in}, k)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// ErrNoMask tells that there is nothing to fill.
var ErrNoMask = errors.New("no [MASK] in the text")

// Masks are the places of [MASK] in an input.
func (m *Model) Masks(in Input) []int {
	mask := int32(4) // ALBERT's own id, where there is no tokenizer to ask
	if m.tok != nil {
		mask = m.tok.MASK
	}
	var at []int
	for i, id := range in.IDs {
		if id == mask {
			at = append(at, i)
		}
	}
	return at
}

// FillAll answers several inputs in one pass: for each its masks, for each mask the k likeliest pieces.
func (m *Model) FillAll(inputs []Input, k int) ([][][]Answer, error) {
	logits, err := m.MaskLogits(inputs)
	if err != nil {
		return nil, err
	}
	out := make([][][]Answer, len(inputs))
	for i, in := range inputs {
		masks := m.Masks(in)
		if len(masks) == 0 {
			return nil, fmt.Errorf("input %d: %w", i, ErrNoMask)
		}
		for j, row := range logits[i] {
			out[i] = append(out[i], m.best(in, masks[j], row, k, len(masks) == 1))
		}
	}
	return out, nil
}

// MaskLogits gives for each input and each of its masks the logits over the vocabulary.
func (m *Model) MaskLogits(inputs []Input) ([][][]float32, error) {
	if m.net.MLMDense.W == nil {
		return nil, errors.New("the model has no head for masked pieces (predictions.*)")
	}
	if err := m.checkAll(inputs); err != nil {
		return nil, err
	}
	b := batch(inputs)
	var rows []int32
	for i, in := range inputs {
		for _, p := range m.Masks(in) {
			rows = append(rows, b.Offsets[i]+int32(p))
		}
	}
	out := make([][][]float32, len(inputs))
	if len(rows) == 0 {
		return out, nil
	}
	t := ops.NewTape(m.dev, nil)
	defer t.Reset()
	logits := m.net.MLMLogits(t, m.net.Encode(t, b, model.NoDropout), rows)
	r := 0
	for i, in := range inputs {
		for range m.Masks(in) {
			out[i] = append(out[i], slices.Clone(logits.Row(r)))
			r++
		}
	}
	return out, nil
}

// best turns a row of logits into answers. With one mask the sequence leaves special pieces out, as the pipeline does.
func (m *Model) best(in Input, at int, logits []float32, k int, single bool) []Answer {
	order := make([]int32, len(logits))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(logits[b], logits[a]), cmp.Compare(a, b))
	})
	p := slices.Clone(logits)
	m.dev.Kernels().Softmax(p, 1)
	var out []Answer
	for _, id := range order[:min(k, len(order))] {
		a := Answer{Score: p[id], Token: id}
		if m.tok != nil && int(id) < m.tok.VocabSize() {
			a.TokenStr = m.tok.Decode([]int32{id})
			ids := slices.Clone(in.IDs)
			ids[at] = id
			if single {
				ids = slices.DeleteFunc(ids, m.tok.IsSpecial)
			}
			a.Sequence = m.tok.Decode(ids)
		}
		out = append(out, a)
	}
	return out
}
