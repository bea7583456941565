// Package albert opens a trained ALBERT and asks it questions: fill in masked words, embed, classify and tag texts, answer questions from a
// context, choose among answers, rank texts for a query, classify by labels that the model has not learned.
//
//	m, err := albert.Open("albert-quickstart")
//	if err != nil { ... }
//	defer m.Close()
//	filled, err := m.Fill(ctx, []string{"The [MASK] is closed."}, 0)   // filled[0][0]: the five likeliest pieces for the first mask
//	vectors, err := m.Embed(ctx, []string{"Package zip reads and writes archives."})
//
// There is one method for each kind of question. Each takes a context and a slice of questions, and gives a slice of
// answers in the same order. Zero values mean the defaults. What a model can be asked follows from its head: a pretrained
// one fills and embeds, a fine-tuned one ("albert finetune", or package [albert/finetune]) does what it has learned; all embed. A
// question that the head cannot answer is an error that names the head.
//
// A [Model] is safe for concurrent use by any number of goroutines. The bits of an answer depend on the model and the question alone: not on
// threads, nor on what else is asked at the same time.
//
// What it costs: a model keeps its weights in memory once, packed for the kernels (base: 47 MB, in int8 12). A batch
// takes some 6 MB more of base, however much is asked. Time grows with the number of pieces: base takes 0.05 to 0.15 s for 128
// on two cores. Texts longer than the model takes ([Model.MaxPieces], usually 512) are cut; contexts of questions are read in windows
// and never cut. [Model.Close] ends the threads once the questions under way are answered; later ones get [ErrClosed].
//
// Where a question is at fault, the others are answered all the same, and each fault is an [InputError] with the question's index
// ([errors.As] finds the first). When the context ends, its error is returned.
//
// Training is in packages pretrain and finetune, tokenizers in package tokenizer, everything else in the albert command.
package albert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// Model is an opened model with its tokenizer.
type Model struct {
	m *infer.Model
	o options
}

// Option changes how a model is opened; see the functions that make one.
type Option func(*options)

type options struct {
	infer     infer.Options
	embed     infer.EmbedOptions
	join      bool
	windows   bool
	threshold *float64
}

// Threads sets the number of threads; by default all that Go uses.
func Threads(n int) Option { return func(o *options) { o.infer.Threads = n } }

// Precision sets that of matrix products: "fp32", the default; "bf16", by the rule that the CPU is fast at, or by a named one, "bf16-tile" or
// "bf16-dot", which has the same bits on every CPU; or "int8", which is several times as fast and takes a quarter of the memory;
// docs/numerics.md says what it costs. A model that was converted to int8 is opened in it.
func Precision(name string) Option {
	return func(o *options) { o.infer.Precision = infer.Precision(name) }
}

// Task says what the head is for where config.json does not: classify, multilabel, regress, tag, answer, choice, order or rerank.
func Task(name string) Option { return func(o *options) { o.infer.Kind = model.Kind(name) } }

// Pooling says how [Model.Embed] makes one vector of all: mean, cls, pooler or max; by default what a directory of sentence-transformers says,
// else mean.
func Pooling(name string) Option { return func(o *options) { o.embed.Pooling = infer.Pooling(name) } }

// Layer lets [Model.Embed] take the output of a layer from 0, the embedding, on; by default the last.
func Layer(n int) Option { return func(o *options) { o.embed.Layer = n } }

// Normalize lets [Model.Embed] give vectors of length 1.
func Normalize() Option { return func(o *options) { o.embed.Normalize = new(true) } }

// JoinEntities lets [Model.Tag] join the neighbouring pieces of an entity.
func JoinEntities() Option { return func(o *options) { o.join = true } }

// Windows lets [Model.Classify] read a text that is too long in windows, and average over them, instead of cutting it.
func Windows() Option { return func(o *options) { o.windows = true } }

// NullThreshold is above which score [Model.Answer] gives no answer; by default what the model was trained with.
func NullThreshold(x float64) Option { return func(o *options) { o.threshold = &x } }

// Open opens a model directory in Hugging Face layout, a run directory of training, or a file in another format: PyTorch, TensorFlow, ONNX
// (docs/formats.md has the list).
func Open(path string, options ...Option) (*Model, error) {
	f, err := formats.OpenViews(path)
	return start(f, err, options)
}

// OpenFS is Open for a directory in Hugging Face layout, or one of sentence-transformers, of a file system, such as one that go:embed makes.
func OpenFS(fsys fs.FS, dir string, options ...Option) (*Model, error) {
	f, err := formats.OpenFS(fsys, dir)
	return start(f, err, options)
}

func start(f *formats.Model, err error, list []Option) (*Model, error) {
	if err != nil {
		return nil, err
	}
	o := options{embed: infer.EmbedOptions{Layer: -1}}
	for _, set := range list {
		set(&o)
	}
	if o.embed.Pooling == infer.PoolNone {
		return nil, errors.New("pooling none gives many vectors a text: want mean, cls, pooler or max")
	}
	m, err := infer.New(f, o.infer)
	if err != nil {
		return nil, err
	}
	return &Model{m, o}, nil
}

// Close ends the model's threads after the questions under way.
func (m *Model) Close() error {
	m.m.Close()
	return nil
}

// Tokenizer is the model's tokenizer, nil if there was none beside it.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.m.Tokenizer }

// Labels are the names of what a classifier tells apart: config.json's id2label.
func (m *Model) Labels() []string { return m.m.Labels() }

// Dimensions is the length of the vectors that [Model.Embed] gives.
func (m *Model) Dimensions() int { return m.m.Dimensions(m.o.embed) }

// MaxPieces is the longest text in pieces, special ones included.
func (m *Model) MaxPieces() int { return m.m.Config.MaxPositionEmbeddings }

// Errors that [errors.Is] and [errors.As] find.
var (
	ErrClosed      = infer.ErrClosed      // the model was closed
	ErrNoMask      = infer.ErrNoMask      // a text to fill has no [MASK]
	ErrNoTokenizer = infer.ErrNoTokenizer // the model has no tokenizer
)

type (
	// InputError is a mistake in what was asked: which input, counted from 0, and which field of it.
	InputError = infer.InputError
	// Filling is one way to fill a mask.
	Filling = infer.Filling
	// Label is a class and how likely it is.
	Label = infer.Label
	// Entity is a tagged piece of a text, or several joined.
	Entity = infer.Entity
	// Span is an answer found in a context.
	Span = infer.Span
	// Chosen is one of several choices, with the scores of all.
	Chosen = infer.Chosen
	// Ranked is a text, by its index, and how well it answers a query.
	Ranked = infer.Ranked
	// ZeroShot says by which labels [Model.ZeroShot] classifies, and how.
	ZeroShot = infer.ZeroShotOptions
)

// Input is a text to classify, or a pair of texts.
type Input struct{ Text, Pair string }

// Question is asked about a context.
type Question struct {
	Question, Context string
	Choices           []string // of [Model.Choose]
}

// Query is asked of texts.
type Query struct {
	Query string
	Texts []string
}

// Fill gives the k likeliest pieces for every [MASK] of texts, best first; 0 means 5.
func (m *Model) Fill(ctx context.Context, texts []string, k int) ([][][]Filling, error) {
	if k < 0 {
		return nil, fmt.Errorf("k is %d: want at least 1, or 0 for 5", k)
	}
	if k == 0 {
		k = 5
	}
	answers, err := m.m.Fill(ctx, questions(texts, textQuestion), infer.FillOptions{TopK: k})
	return collect(len(texts), answers, err, func(a infer.Filled) [][]Filling { return a.Masks })
}

// Embed gives a vector for each text, [Model.Dimensions] values each.
func (m *Model) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	answers, err := m.m.Embed(ctx, questions(texts, textQuestion), m.o.embed)
	return collect(len(texts), answers, err, func(a infer.Embedded) []float32 { return a.Vectors[0] })
}

// EmbedDocuments is [Model.Embed], by the name that langchaingo's embeddings.Embedder has for it.
func (m *Model) EmbedDocuments(ctx context.Context, texts []string) ([][]float32, error) {
	return m.Embed(ctx, texts)
}

// EmbedQuery is [Model.Embed] for one text: langchaingo's name for it, and what chromem-go takes as its EmbeddingFunc.
func (m *Model) EmbedQuery(ctx context.Context, text string) ([]float32, error) {
	all, err := m.Embed(ctx, []string{text})
	return all[0], err
}

// Classify gives the labels of texts or pairs, the likeliest first. Where any number of labels may hold each score stands for itself; of a
// model that gives numbers the scores are these.
func (m *Model) Classify(ctx context.Context, inputs []Input) ([][]Label, error) {
	answers, err := m.m.Classify(ctx, questions(inputs, func(in Input) *infer.Question {
		q := &infer.Question{Text: in.Text}
		if in.Pair != "" {
			q.Pair = &in.Pair
		}
		return q
	}), m.o.windows)
	return collect(len(inputs), answers, err, func(a infer.Classified) []Label { return a.Labels })
}

// Tag gives the pieces of texts that are labelled otherwise than "O".
func (m *Model) Tag(ctx context.Context, texts []string) ([][]Entity, error) {
	answers, err := m.m.Tag(ctx, questions(texts, textQuestion), infer.TagOptions{Join: m.o.join})
	return collect(len(texts), answers, err, func(a infer.Tagged) []Entity { return a.Entities })
}

// Answer finds the part of each context that answers its question best. A long context is read in windows.
func (m *Model) Answer(ctx context.Context, list []Question) ([]Span, error) {
	answers, err := m.m.Answer(ctx, questions(list, aboutContext), task.DefaultSpanOptions)
	return collect(len(list), answers, err, func(a infer.Answered) Span { return m.m.Best(&a.Spans, 1, m.o.threshold)[0] })
}

// Choose gives which of each question's choices is right.
func (m *Model) Choose(ctx context.Context, list []Question) ([]Chosen, error) {
	answers, err := m.m.Choose(ctx, questions(list, aboutContext))
	return collect(len(list), answers, err, func(a infer.Chosen) Chosen { return a })
}

// Rank gives each query's texts by how well they answer it, best first.
func (m *Model) Rank(ctx context.Context, list []Query) ([][]Ranked, error) {
	answers, err := m.m.Rank(ctx, questions(list, func(q Query) *infer.Question {
		return &infer.Question{Text: q.Query, Texts: append([]string{}, q.Texts...)}
	}))
	return collect(len(list), answers, err, func(a infer.Ranking) []Ranked { return a.Ranked })
}

// ZeroShot classifies texts by labels that the model has not learned, best first; it must know entailment, as one fine-tuned on MNLI does.
func (m *Model) ZeroShot(ctx context.Context, texts []string, by ZeroShot) ([][]Label, error) {
	answers, err := m.m.ZeroShot(ctx, questions(texts, textQuestion), by)
	return collect(len(texts), answers, err, func(a infer.Classified) []Label { return a.Labels })
}

func textQuestion(text string) *infer.Question { return &infer.Question{Text: text} }

func aboutContext(q Question) *infer.Question {
	return &infer.Question{Text: q.Question, Pair: &q.Context, Choices: q.Choices}
}

// questions are the engine's questions for inputs.
func questions[T any](inputs []T, of func(T) *infer.Question) iter.Seq[*infer.Question] {
	return func(yield func(*infer.Question) bool) {
		for _, in := range inputs {
			if !yield(of(in)) {
				return
			}
		}
	}
}

// collect gathers n answers, unless err says that there are none. Errors of single questions are joined; the answers of these are zero.
func collect[A, T any](n int, answers iter.Seq2[A, error], err error, of func(A) T) ([]T, error) {
	if err != nil {
		return make([]T, n), err
	}
	out := make([]T, n)
	var failed []error
	i := 0
	for a, err := range answers {
		if err == nil {
			out[i] = of(a)
		} else {
			var in *InputError
			if errors.As(err, &in) {
				in.Index = i
				if n > 1 {
					err = fmt.Errorf("input %d: %w", i, err)
				}
			}
			failed = append(failed, err)
		}
		i++
	}
	return out, errors.Join(failed...)
}
