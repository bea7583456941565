package model

import "encoding/json"

// Kind says what a head answers.
type Kind string

// The kinds of head. Fine-tuning learns all but None and Order, which pretrained models have.
const (
	None       Kind = ""           // no head but that of masked pieces, or none
	Order      Kind = "order"      // whether two texts stand in order (AlbertForPreTraining)
	Classify   Kind = "classify"   // one label of several, over the pooled output
	MultiLabel Kind = "multilabel" // any of the labels
	Regress    Kind = "regress"    // numbers
	Tag        Kind = "tag"        // a label for each piece
	Answer     Kind = "answer"     // where a context answers a question
	Choice     Kind = "choice"     // one of several sequences
	Embed      Kind = "embed"      // a vector: no head, what the encoder gives is pooled
	Rank       Kind = "rerank"     // how well a text answers a query: one logit over the pooled output of the pair
)

// Class is the transformers class whose head it is, by ALBERT's name (see [Config.ClassName]).
func (k Kind) Class() string {
	switch k {
	case Tag:
		return TokenClassification
	case Answer:
		return QuestionAnswering
	case Choice:
		return MultipleChoice
	case Embed:
		return Bare
	}
	return SequenceClassification
}

// Heads are the heads that a model of this kind has, its classifier with so many outputs.
func (k Kind) Heads(outputs int) Heads {
	switch k {
	case Tag:
		return Heads{Labels: outputs}
	case Answer: // or the beam head
		return Heads{Spans: true}
	case Choice, Rank:
		return Heads{Pooler: true, Labels: 1}
	}
	return Heads{Pooler: true, Labels: outputs}
}

// Kind is what the model's head answers, by config.json's architectures and problem_type, and the head that there is.
func (m *Model) Kind() Kind {
	if m.Beam.Start.W != nil {
		return Answer
	}
	switch m.class() {
	case PreTraining, NextSentence:
		return Order
	case TokenClassification:
		return Tag
	case QuestionAnswering:
		return Answer
	case MultipleChoice:
		return Choice
	case SequenceClassification:
		var problem string
		_ = json.Unmarshal(m.Config.Extra("problem_type"), &problem) // null or absent: by the number of labels
		switch {
		case m.Config.IsCrossEncoder() && m.Classifier.W.Rows() == 1:
			return Rank
		case problem == "multi_label_classification":
			return MultiLabel
		case problem == "regression", problem == "" && m.Classifier.W.Rows() == 1:
			return Regress
		}
		return Classify
	}
	return None
}
