// Package albert opens a trained ALBERT and asks it questions: fill in masked words, embed sentences, tokenize.
//
//	m, err := albert.Open("albert-quickstart")
//	answers, err := m.Fill("The [MASK] is closed.", 5)
//
// A Model is safe for concurrent use. The bits of an answer depend on the model and the text alone: not on threads, and not on
// what else is asked at the same time. Training is in the packages below this one, and in the albert command.
package albert

import (
	"errors"
	"fmt"
	"io/fs"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// Model is an opened model with its tokenizer.
type Model struct {
	net *model.Model
	tok *tokenizer.Tokenizer // nil: only piece ids can be asked
	dev *cpu.Device

	task Task // of Options
}

// Options of [OpenWith].
type Options struct {
	Threads        int    // 0: GOMAXPROCS
	InstructionSet string // "": what ALBERT_CPU says, else the best
	Task           Task   // what the head is for; "": what the model's config says
}

// Open opens a model directory in Hugging Face layout (config.json, model.safetensors, spiece.model), a run directory, whose model or
// newest checkpoint is meant, or a file of another format: see [albert/formats.Open].
func Open(path string) (*Model, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options.
func OpenWith(path string, o Options) (*Model, error) {
	f, err := formats.Open(path)
	if err != nil {
		return nil, err
	}
	return start(f, o)
}

// OpenFS is OpenWith for a directory in Hugging Face layout of a file system, such as one that go:embed makes.
func OpenFS(fsys fs.FS, dir string, o Options) (*Model, error) {
	f, err := formats.OpenFS(fsys, dir)
	if err != nil {
		return nil, err
	}
	return start(f, o)
}

// start makes an opened model ready.
func start(f *formats.Model, o Options) (*Model, error) {
	dev, err := cpu.New(o.InstructionSet, o.Threads)
	if err != nil {
		return nil, err
	}
	m := &Model{net: f.Model, tok: f.Tokenizer, dev: dev, task: o.Task}
	if err := m.checkTask(); err != nil {
		dev.Close()
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return m, nil
}

// checkTask reports a task that the model has no head for.
func (m *Model) checkTask() error {
	has := false
	switch m.task {
	case TaskNone:
		has = true
	case TaskOrder:
		has = m.net.SOP.W != nil
	case TaskAnswer:
		has = m.net.Spans.W != nil || m.net.Beam.Start.W != nil
	case TaskClassify, TaskMultiLabel, TaskRegress, TaskTag:
		has = m.net.Classifier.W != nil
	case TaskChoice:
		has = m.net.Classifier.W != nil && m.net.Classifier.W.Rows() == 1
	default:
		return fmt.Errorf("task %q is not known", m.task)
	}
	if !has {
		return fmt.Errorf("task %q: the model (%s) has no such head", m.task, m.net.Class())
	}
	return nil
}

// Close ends the model's threads.
func (m *Model) Close() { m.dev.Close() }

// Config is the model's configuration.
func (m *Model) Config() model.Config { return m.net.Config }

// Tokenizer is the model's tokenizer, nil if there was none beside it.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Input is one text or pair of texts as pieces, special ones included.
type Input = task.Input

// SEP is the id of the piece between texts.
func (m *Model) SEP() int32 {
	if m.tok == nil {
		return 3 // ALBERT's own
	}
	return m.tok.SEP
}

// ErrTooLong is wrapped by the error for a text that is longer than the model takes and must not be cut.
var ErrTooLong = errors.New("longer than the model takes")

// MaxPieces is the longest input, special pieces included.
func (m *Model) MaxPieces() int { return m.net.Config.MaxPositionEmbeddings }

// errNoTokenizer is what texts meet in a model without a tokenizer.
var errNoTokenizer = errors.New("the model has no tokenizer (spiece.model): give input_ids")

// Encode makes pieces of a text: [CLS] text [SEP]. A text that is too long is cut at its end.
func (m *Model) Encode(text string) (Input, error) {
	if m.tok == nil {
		return Input{}, errNoTokenizer
	}
	return task.Single(m.tok, m.tok.Encode(text), m.MaxPieces()), nil
}

// EncodePair makes pieces of two texts: [CLS] a [SEP] b [SEP], token types 0 and 1. If they are too long, the longer one loses its
// last pieces, one by one.
func (m *Model) EncodePair(a, b string) (Input, error) {
	if m.tok == nil {
		return Input{}, errNoTokenizer
	}
	return task.Pair(m.tok, m.tok.Encode(a), m.tok.Encode(b), m.MaxPieces()), nil
}

// EncodeLong is Encode or, with a pair, EncodePair that cuts nothing off: a text that is too long becomes several inputs, windows that
// overlap by half (see [task.Long]). The mean of their logits is an answer that knows the whole text.
func (m *Model) EncodeLong(text string, pair *string) ([]Input, error) {
	if m.tok == nil {
		return nil, errNoTokenizer
	}
	var second []int32
	if pair != nil {
		second = m.tok.Encode(*pair)
	}
	return task.Long(m.tok, m.tok.Encode(text), second, pair != nil, m.MaxPieces()), nil
}

// Check reports the first thing about pieces that the model cannot take.
func (m *Model) Check(in Input) error {
	c := &m.net.Config
	if len(in.IDs) == 0 {
		return errors.New("input_ids is empty")
	}
	if len(in.IDs) > c.MaxPositionEmbeddings {
		return fmt.Errorf("%d input_ids, the model takes %d: %w", len(in.IDs), c.MaxPositionEmbeddings, ErrTooLong)
	}
	if len(in.Types) != len(in.IDs) {
		return fmt.Errorf("%d token_type_ids for %d input_ids", len(in.Types), len(in.IDs))
	}
	for i, id := range in.IDs {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("input_ids[%d] is %d, the vocabulary has %d pieces", i, id, c.VocabSize)
		}
		if t := in.Types[i]; t < 0 || int(t) >= c.TypeVocabSize {
			return fmt.Errorf("token_type_ids[%d] is %d, the model has %d types", i, t, c.TypeVocabSize)
		}
	}
	return nil
}

// batch lays inputs one after another.
func batch(inputs []Input) *ops.Batch {
	b := &ops.Batch{Offsets: []int32{0}}
	for _, in := range inputs {
		b.IDs = append(b.IDs, in.IDs...)
		b.Types = append(b.Types, in.Types...)
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
	}
	return b
}

func (m *Model) checkAll(inputs []Input) error {
	for i, in := range inputs {
		if err := m.Check(in); err != nil {
			if len(inputs) > 1 {
				return fmt.Errorf("input %d: %w", i, err)
			}
			return err
		}
	}
	return nil
}

// Tokenize gives the pieces of a text, without special ones.
func (m *Model) Tokenize(text string) ([]string, error) {
	if m.tok == nil {
		return nil, errNoTokenizer
	}
	var out []string
	for _, id := range m.tok.Encode(text) {
		out = append(out, m.tok.Piece(id))
	}
	return out, nil
}
