package infer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"albert/internal/engine/cpu"
	"albert/internal/formats"
	"albert/internal/model"
	"albert/tokenizer"
)

// Model is an opened model that answers questions. It is safe for concurrent use.
type Model struct {
	*formats.Model
	Kind      model.Kind // what its head answers
	Precision Precision  // of its products; "" where [On] got a device

	engine *Engine
	dev    *cpu.Device
}

// Options of [Open].
type Options struct {
	Threads int        // 0: GOMAXPROCS
	Kind    model.Kind // what the head is for; None: what the model's config says
	// TruncationSide is the end at which texts that are too long are cut; "": what the tokenizer says.
	TruncationSide tokenizer.Side
	Precision      Precision
	BatchPieces    int         // of a batch at most, unless one example alone has more; 0: [BatchPieces]
	QueuePieces    int         // a question whose pieces would be more than so many that wait fails with a [BusyError]; 0: all wait
	OnBatch        func(Batch) // called for every batch that ran
}

// Open opens a model as [formats.Open] does and starts its threads.
func Open(path string, o Options) (*Model, error) {
	f, err := formats.OpenViews(path)
	if err != nil {
		return nil, err
	}
	return New(f, o)
}

// New makes an opened model ready. Its weights are packed and cannot be read, changed or trained any more; views of a file are given up, as by
// [formats.Model.Own].
func New(f *formats.Model, o Options) (*Model, error) {
	defer f.Own()
	m := &Model{Model: f, Kind: o.Kind, Precision: precisionOf(f, o.Precision)}
	if err := m.checkKind(); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	if m.Kind == model.None {
		m.Kind = f.Kind()
	}
	if f.Tokenizer != nil {
		f.Tokenizer = f.Tokenizer.CutAt(o.TruncationSide)
	}
	dev, err := cpu.New("", o.Threads)
	if err != nil {
		return nil, err
	}
	device, err := Prepare(f, o.Precision, dev)
	if err != nil {
		dev.Close()
		return nil, err
	}
	device.Keep(f.LinearWeights())
	device.Reserve(min(reserved, dev.Threads()*f.Config.ActivationValues(max(BatchPieces, f.Config.MaxPositionEmbeddings))))
	m.dev, m.engine = dev, NewEngine(device, f.Config.ActivationBytes())
	m.engine.most, m.engine.limit, m.engine.onBatch = cmp.Or(o.BatchPieces, BatchPieces), o.QueuePieces, o.OnBatch
	return m, nil
}

// reserved is the most values that are reserved for activations; with a hundred threads, more would not be used.
const reserved = 64 << 20

// Waiting is how many pieces wait for a batch.
func (m *Model) Waiting() int { return m.engine.Waiting() }

// On makes an opened model ready on a device that stays the caller's, and is made by [Prepare] where the precision is not fp32. It needs no Close.
func On(f *formats.Model, dev *cpu.Device) *Model {
	return &Model{Model: f, Kind: f.Kind(), dev: dev, engine: NewEngine(dev, f.Config.ActivationBytes())}
}

// Close ends the model's threads once the questions that are being answered have their answers; later ones get [ErrClosed].
func (m *Model) Close() {
	m.engine.Close()
	m.dev.Close()
}

// checkKind reports a kind that the model has no head for.
func (m *Model) checkKind() error {
	has := false
	switch m.Kind {
	case model.None:
		has = true
	case model.Order:
		has = m.SOP.W != nil
	case model.Answer:
		has = m.Spans.W != nil || m.Beam.Start.W != nil
	case model.Classify, model.MultiLabel, model.Regress, model.Tag:
		has = m.Classifier.W != nil
	case model.Choice, model.Rank:
		has = m.Classifier.W != nil && m.Classifier.W.Rows() == 1
	default:
		return fmt.Errorf("task %q is not known", m.Kind)
	}
	if !has {
		return fmt.Errorf("task %q: the model (%s) has no such head", m.Kind, m.Class())
	}
	return nil
}

// A KindError tells that a model has another head than what is asked of it.
type KindError struct {
	Class string     // of the model
	Has   model.Kind // what its head answers
	Asked string     // what was asked of it, a verb
}

func (e *KindError) Error() string {
	has := string(e.Has)
	if has == "" {
		has = "no task's"
	}
	return fmt.Sprintf("the model (%s) has %s head, it cannot %s", e.Class, has, e.Asked)
}

// answers reports what keeps the model from doing what is asked, a verb, which heads of those kinds can.
func (m *Model) answers(asked string, kinds ...model.Kind) error {
	switch {
	case !slices.Contains(kinds, m.Kind):
		return &KindError{Class: m.Class(), Has: m.Kind, Asked: asked}
	case m.Kind.Heads(1).Pooler && m.Pooler.W == nil:
		return fmt.Errorf("the model has no pooler (%s), which its head needs", m.Config.TensorName("albert.pooler"))
	}
	return nil
}

// Labels are the names of the head's outputs: config.json's id2label, else LABEL_0 and so on, as transformers has it.
func (m *Model) Labels() []string {
	if m.Kind == model.Order && m.Config.IsBERT() { // as transformers has them: 0 is that the second text follows the first
		labels, _ := Labels(&m.Config, 2)
		return labels
	}
	if m.Kind == model.Order {
		return []string{"ordered", "swapped"}
	}
	if m.Classifier.W == nil {
		return nil
	}
	labels, _ := Labels(&m.Config, m.Classifier.W.Rows())
	return labels
}

// Labels are the names of n outputs: config.json's id2label, else LABEL_0 and so on. It tells whether the configuration names all of them.
func Labels(c *model.Config, n int) (labels []string, all bool) {
	var named map[string]string
	_ = json.Unmarshal(c.Extra("id2label"), &named) // anything else names none
	labels, all = make([]string, n), true
	for i := range labels {
		var ok bool
		if labels[i], ok = named[strconv.Itoa(i)]; !ok {
			labels[i], all = fmt.Sprintf("LABEL_%d", i), false
		}
	}
	return labels, all
}

// NullThreshold is above what a model trained on questions without answers gives none (config.json's null_threshold); nil: it always
// answers.
func NullThreshold(c *model.Config) *float64 {
	var t *float64
	_ = json.Unmarshal(c.Extra("null_threshold"), &t) // absent: nil
	return t
}

// special gives the ids of [SEP] and [MASK]: the tokenizer's, without one those of ALBERT's or BERT's published ones.
func (m *Model) special() (sep, mask int32) {
	switch {
	case m.Tokenizer == nil && m.Config.IsBERT():
		return 102, 103
	case m.Tokenizer == nil:
		return 3, 4
	}
	return m.Tokenizer.SEP, m.Tokenizer.MASK
}

// check reports the first thing about given pieces that the model cannot take.
func (m *Model) check(e tokenizer.Encoding) error {
	c := &m.Config
	if len(e.IDs) == 0 {
		return inputError("input_ids", "input_ids is empty")
	}
	if len(e.IDs) > c.MaxPositionEmbeddings {
		return inputError("input_ids", "%d input_ids, the model takes %d: %w", len(e.IDs), c.MaxPositionEmbeddings, ErrTooLong)
	}
	if len(e.Types) != len(e.IDs) {
		return inputError("token_type_ids", "%d token_type_ids for %d input_ids", len(e.Types), len(e.IDs))
	}
	for i, id := range e.IDs {
		if id < 0 || int(id) >= c.VocabSize {
			return inputError("input_ids", "input_ids[%d] is %d, the vocabulary has %d pieces", i, id, c.VocabSize)
		}
		if t := e.Types[i]; t < 0 || int(t) >= c.TypeVocabSize {
			return inputError("token_type_ids", "token_type_ids[%d] is %d, the model has %d types", i, t, c.TypeVocabSize)
		}
	}
	return nil
}

// CutAt is the model with texts that are too long cut at a side. It shares all else, and is closed with it.
func (m *Model) CutAt(s tokenizer.Side) *Model {
	f, cut := *m.Model, *m
	if f.Tokenizer != nil {
		f.Tokenizer = f.Tokenizer.CutAt(s)
	}
	cut.Model = &f
	return &cut
}
