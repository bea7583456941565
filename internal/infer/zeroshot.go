package infer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/files/jsonobject"
	"albert/internal/model"
	"albert/tokenizer"
)

// DefaultTemplate is the hypothesis that transformers' zero-shot pipeline makes of a label.
const DefaultTemplate = "This example is {}."

// ZeroShotOptions of [Model.ZeroShot].
type ZeroShotOptions struct {
	Labels     []string // one at least
	Template   string   // a hypothesis with {} where the label stands; "": DefaultTemplate
	MultiLabel bool     // any number of labels may hold; each is judged alone
}

// Check reports what is wrong with the options.
func (o *ZeroShotOptions) Check() error {
	_, err := o.hypotheses()
	return err
}

// hypotheses are the second texts, one for each label.
func (o *ZeroShotOptions) hypotheses() ([]string, error) {
	template := cmp.Or(o.Template, DefaultTemplate)
	before, after, ok := strings.Cut(template, "{}")
	switch {
	case len(o.Labels) == 0:
		return nil, errors.New("zero-shot: there are no labels")
	case !ok || strings.ContainsAny(before+after, "{}"):
		return nil, fmt.Errorf("zero-shot: the template %q has no place for the label, or more: want {} once, as in %q", template, DefaultTemplate)
	}
	list := make([]string, len(o.Labels))
	for i, l := range o.Labels {
		list[i] = before + l + after
	}
	return list, nil
}

// ZeroShot says which labels fit texts, by a model that tells whether one text follows from another, as transformers' zero-shot-classification
// pipeline computes it: each label makes a hypothesis; the scores are the softmax of their entailment over the labels, or, with MultiLabel or
// one label, for each label that of entailment against contradiction. Labels come best first. A text that is too long is cut, a hypothesis
// never.
func (m *Model) ZeroShot(ctx context.Context, questions iter.Seq[*Question], o ZeroShotOptions) (iter.Seq2[Classified, error], error) {
	hypotheses, err := o.hypotheses()
	entailment, e := m.entailment()
	split := func(p *paired) {
		switch q := p.q; {
		case q.Pair != nil || q.Pieces != nil || q.Texts != nil:
			p.err = inputError("text", `zero-shot classification takes one text: want {"text": ...}`)
		case m.Tokenizer == nil:
			p.err = &InputError{Field: "text", Err: ErrNoTokenizer}
		}
		var text tokenizer.Text
		p.n, p.encode = len(hypotheses), func(i int) (tokenizer.Encoding, error) {
			if i == 0 {
				text.IDs = m.Tokenizer.Encode(p.q.Text)
			}
			e, err := m.Tokenizer.Prepare(text, &tokenizer.Text{IDs: m.Tokenizer.Encode(hypotheses[i])}, m.pairPieces(), tokenizer.OnlyFirst)
			if err != nil {
				err = inputError("text", "label %q: %w", o.Labels[i], err)
			}
			return e, err
		}
	}
	return eachPaired(ctx, m, questions, cmp.Or(err, e), split, func(p *paired) Classified {
		c := Classified{Truncated: p.truncated}
		for _, row := range p.logits {
			c.Logits = append(c.Logits, row[entailment])
		}
		scores := make([]float32, len(o.Labels))
		if copy(scores, c.Logits); !o.MultiLabel && len(scores) > 1 {
			portable.Softmax(scores, 1)
		} else {
			against := 0 // what the pipeline takes as contradiction
			for i, row := range p.logits {
				if entailment == 0 {
					against = len(row) - 1
				}
				scores[i] = float32(1 / (1 + numeric.Exp64(float64(row[against])-float64(row[entailment]))))
			}
		}
		for i, l := range o.Labels {
			c.Labels = append(c.Labels, Label{l, scores[i]})
		}
		slices.SortStableFunc(c.Labels, func(a, b Label) int { return cmp.Compare(a.Score, b.Score) })
		slices.Reverse(c.Labels) // so do equal ones, as in the pipeline
		return c
	})
}

// entailment is the output that says that the second text follows from the first: that of the first label in config.json's label2id, else
// in id2label, that begins with "entail", in any case.
func (m *Model) entailment() (int, error) {
	if err := m.answers("", model.Classify, model.MultiLabel); err != nil || m.Classifier.W.Rows() < 2 {
		return 0, &KindError{Class: m.Class(), Has: m.Kind, Asked: "classify without training: that takes a model that knows entailment (of MNLI, say)"}
	}
	n := m.Classifier.W.Rows()
	names, _ := Labels(&m.Config, n)
	entails := func(name string) bool { return strings.HasPrefix(strings.ToLower(name), "entail") }
	var ids jsonobject.Fields
	if json.Unmarshal(m.Config.Extra("label2id"), &ids) == nil {
		for _, f := range ids {
			var id int
			if raw, ok := f.Value.(json.RawMessage); ok && entails(f.Name) && json.Unmarshal(raw, &id) == nil && id >= 0 && id < n {
				return id, nil
			}
		}
	}
	if id := slices.IndexFunc(names, entails); id >= 0 {
		return id, nil
	}
	return 0, fmt.Errorf("zero-shot: the model does not know entailment: none of its labels (%s) begins with \"entail\"", strings.Join(names, ", "))
}
