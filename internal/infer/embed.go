package infer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// Pooling says how the vectors of pieces become one.
type Pooling string

// The poolings. PoolNone keeps a vector for every piece.
const (
	PoolMean   Pooling = "mean"   // over all pieces, [CLS] and [SEP] included
	PoolCLS    Pooling = "cls"    // the first piece's
	PoolPooler Pooling = "pooler" // the first piece's through the pooler: tanh of a map
	PoolMax    Pooling = "max"    // the largest of each value over all pieces
	PoolNone   Pooling = "none"
)

// EmbedOptions of [Model.Embed]. What is left out is as a directory of sentence-transformers says ([formats.Sentence]).
type EmbedOptions struct {
	Pooling      Pooling // "": mean; in place of a directory's Pooling, with PoolNone of all its modules
	Layer        int     // the output of this layer; 0 is the embedding, projected to the hidden size; below 0 the last
	Normalize    *bool   // to length 1, after all else; false leaves out the directory's Normalize, too
	Dimensions   int     // so many first values are kept, and scaled to length 1 where all would be; 0: all
	MaxSeqLength int     // longer texts are cut; 0: what the model takes
	Prompt       *string // put before every text
	PromptName   string  // one of the directory's prompts
	// Role is what the texts are: where neither Prompt nor PromptName is given, the directory's prompt for it stands before every text.
	Role Role
}

// Role is what a text is in a search.
type Role int

// The roles. The zero value is none.
const (
	Query Role = iota + 1
	Document
)

// prompts are the names of the roles' prompts, as sentence-transformers' encode_query and encode_document look for them.
var prompts = map[Role][]string{Query: {"query"}, Document: {"document", "passage", "corpus"}}

// Embedded is a text as one vector, or with PoolNone one for each piece.
type Embedded struct {
	Vectors   [][]float32
	Truncated bool
}

// embedder is how texts become vectors, all options resolved.
type embedder struct {
	m       *Model
	poolers []formats.Pooling
	EmbedOptions
	modules    []formats.SentenceModule
	prompt     string
	skip       int  // pieces at a text's start that are not pooled
	normalize  bool // after the cut
	dimensions int  // of a vector, uncut
}

// Embed embeds texts.
func (m *Model) Embed(ctx context.Context, questions iter.Seq[*Question], o EmbedOptions) (iter.Seq2[Embedded, error], error) {
	e, err := m.embedder(o)
	return each(ctx, m, questions, err, Work[*Question, [][]float32, Embedded]{
		Share: e.share(),
		Layout: func(q *Question) ([]task.Example, error) {
			if e.prompt != "" && q.Pieces == nil {
				with := *q
				with.Text = e.prompt + q.Text
				q = &with
			}
			return m.singleOf(q, false, e.MaxSeqLength)
		},
		Head: func(t *ops.Tape, b *ops.Batch, _ []int, examples []task.Example) [][][]float32 {
			return e.vectors(t, b, len(examples))
		},
		Answer: func(_ *Question, examples []task.Example, results [][][]float32) (Embedded, error) {
			return Embedded{results[0], truncated(examples)}, nil
		},
	})
}

// share is what embedders that do the same with what the encoder gives have in common.
func (e *embedder) share() any {
	if e == nil {
		return nil
	}
	o := e.EmbedOptions
	normalize := o.Normalize == nil || *o.Normalize
	o.Normalize, o.Prompt, o.PromptName, o.MaxSeqLength = nil, nil, "", 0
	return struct {
		EmbedOptions
		modules, skip   int
		normalize, kept bool
	}{o, len(e.modules), e.skip, e.normalize, normalize}
}

// Dimensions is how many values a vector of [Model.Embed] has; 0 where the options are refused.
func (m *Model) Dimensions(o EmbedOptions) int {
	e, err := m.embedder(o)
	if err != nil {
		return 0
	}
	return cmp.Or(e.Dimensions, e.dimensions)
}

// embedder fills in what the options leave out and refuses what the model does not have.
func (m *Model) embedder(o EmbedOptions) (*embedder, error) {
	e := &embedder{m: m, EmbedOptions: o, dimensions: m.Config.HiddenSize}
	s := cmp.Or(m.Sentence, &formats.Sentence{})
	switch o.Pooling {
	case "":
		if e.poolers = s.Pooling; s.Pooling == nil {
			e.Pooling = PoolMean
		}
	case PoolMean, PoolCLS, PoolMax:
		if m.Sentence != nil {
			e.poolers = []formats.Pooling{formats.Pooling(o.Pooling)}
		}
	case PoolNone:
	case PoolPooler:
		if m.Pooler.W == nil {
			return nil, errors.New("the model has no pooler: use another pooling (mean, cls, max, none)")
		}
	default:
		return nil, fmt.Errorf("pooling %q: want mean, cls, pooler, max or none", o.Pooling)
	}
	e.dimensions *= max(1, len(e.poolers))
	layers := len(m.Layers)
	if o.Layer > layers {
		return nil, fmt.Errorf("layer %d: the model has %d", o.Layer, layers)
	}
	if o.Layer < 0 {
		e.Layer = layers
	}
	for _, x := range s.Modules {
		switch {
		case o.Pooling == PoolNone || x.W == nil && o.Normalize != nil && !*o.Normalize:
			continue
		case x.W != nil && x.W.Cols() != e.dimensions:
			return nil, fmt.Errorf("pooling %s: the directory's Dense takes %d values, not %d", o.Pooling, x.W.Cols(), e.dimensions)
		case x.W != nil:
			e.dimensions = x.W.Rows()
		}
		e.modules = append(e.modules, x)
	}
	unit := slices.ContainsFunc(e.modules, func(x formats.SentenceModule) bool { return x.W == nil })
	e.normalize = o.Normalize != nil && *o.Normalize || unit && o.Dimensions > 0
	if o.Dimensions < 0 || o.Dimensions > e.dimensions {
		return nil, fmt.Errorf("dimensions %d: the vectors have %d", o.Dimensions, e.dimensions)
	}
	if o.Pooling != PoolNone {
		e.Dimensions = cmp.Or(o.Dimensions, s.Dimensions)
	}
	if e.MaxSeqLength = cmp.Or(o.MaxSeqLength, s.MaxSeqLength, m.Config.MaxPositionEmbeddings); e.MaxSeqLength < 2 {
		return nil, fmt.Errorf("max_seq_length %d: want at least 2", e.MaxSeqLength)
	}
	e.MaxSeqLength = min(e.MaxSeqLength, m.Config.MaxPositionEmbeddings)
	return e, e.setPrompt(s)
}

// setPrompt finds what stands before every text.
func (e *embedder) setPrompt(s *formats.Sentence) error {
	name := s.DefaultPrompt
	for _, n := range slices.Backward(prompts[e.Role]) {
		if _, ok := s.Prompts[n]; ok {
			name = n
		}
	}
	name = cmp.Or(e.PromptName, name)
	text, ok := s.Prompts[name]
	switch {
	case e.Prompt != nil && e.PromptName != "":
		return errors.New("a prompt and the name of one are given: want one of them")
	case e.Prompt != nil:
		e.prompt = *e.Prompt
	case name != "" && !ok && len(s.Prompts) == 0:
		return fmt.Errorf("prompt %q: the model has no prompts", name)
	case name != "" && !ok:
		return fmt.Errorf("prompt %q: the model has %q", name, slices.Sorted(maps.Keys(s.Prompts)))
	default:
		e.prompt = text
	}
	if e.prompt != "" && s.WithoutPrompt && e.m.Tokenizer != nil {
		e.skip = 1 + len(e.m.Tokenizer.Encode(e.prompt)) // [CLS] with it
	}
	return nil
}

// vectors gives those of the n sequences of a batch.
func (e *embedder) vectors(t *ops.Tape, b *ops.Batch, n int) [][][]float32 {
	m := e.m
	x := m.EncodeTo(t, b, model.NoDropout, e.Layer)
	var pooled *ops.Tensor
	if e.Pooling == PoolPooler {
		pooled = m.Pool(t, b, x)
	}
	out := make([][][]float32, n)
	for i := range out {
		from, to := int(b.Offsets[i]), int(b.Offsets[i+1])
		switch {
		case pooled != nil:
			out[i] = [][]float32{slices.Clone(pooled.Row(i))}
		case e.poolers != nil:
			v := make([]float32, 0, m.Config.HiddenSize*len(e.poolers))
			for _, p := range e.poolers {
				v = append(v, m.poolAs(x, from, to, e.skip, p)...)
			}
			out[i] = [][]float32{v}
		default:
			out[i] = m.pool(x, from, to, e.Pooling)
		}
	}
	for _, module := range e.modules {
		if module.W == nil {
			for _, v := range out {
				m.normalize(v)
			}
			continue
		}
		in := &ops.Tensor{Rows: n, Cols: module.W.Cols(), Stride: module.W.Cols()}
		for _, v := range out {
			in.Data = append(in.Data, v[0]...)
		}
		y := t.Linear(in, module.Activation, module.Affine)
		for i := range out {
			out[i][0] = slices.Clone(y.Row(i))
		}
	}
	for _, v := range out {
		for k := range v {
			v[k] = v[k][:cmp.Or(e.Dimensions, len(v[k]))]
		}
		if e.normalize {
			m.normalize(v)
		}
	}
	return out
}

// poolAs makes one vector of rows [from, to) as sentence-transformers does it, the first skip of them left out: of none left zeros.
func (m *Model) poolAs(x *ops.Tensor, from, to, skip int, p formats.Pooling) []float32 {
	first, k := min(from+skip, to), m.dev.Kernels()
	n := to - first
	v := make([]float32, x.Cols)
	switch {
	case n == 0:
	case p == formats.PoolCLS:
		copy(v, x.Row(first))
	case p == formats.PoolLast:
		copy(v, x.Row(to-1))
	case p == formats.PoolMax, p == formats.PoolMean:
		return m.pool(x, first, to, Pooling(p))[0]
	case p == formats.PoolMeanSqrt:
		k.Scale(v, m.pool(x, first, to, PoolMean)[0], float32(math.Sqrt(float64(n))))
	case p == formats.PoolWeightedMean:
		row, sum := make([]float32, x.Cols), 0
		for r := first; r < to; r++ {
			k.Scale(row, x.Row(r), float32(r-from+1))
			k.AddTo(v, row)
			sum += r - from + 1
		}
		k.Scale(v, v, 1/float32(sum))
	}
	return v
}

// pool makes one vector of rows [from, to), or copies them.
func (m *Model) pool(x *ops.Tensor, from, to int, p Pooling) [][]float32 {
	if p == PoolNone {
		var rows [][]float32
		for r := from; r < to; r++ {
			rows = append(rows, slices.Clone(x.Row(r)))
		}
		return rows
	}
	v := make([]float32, x.Cols)
	task.Pool(m.dev.Kernels(), v, x, from, to, string(p))
	return [][]float32{v}
}

func (m *Model) normalize(vectors [][]float32) {
	for _, v := range vectors {
		if n := math.Sqrt(m.dev.Kernels().SumSquares(v)); n > 0 {
			m.dev.Kernels().Scale(v, v, float32(1/n))
		}
	}
}
