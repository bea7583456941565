package model

// Kind says what a head learns.
type Kind string

// The kinds of head. None and Order are not learned here: they are what a pretrained model has.
const (
	None       Kind = ""           // no head but that of masked pieces, or none
	Order      Kind = "order"      // whether two texts stand in order (AlbertForPreTraining)
	Classify   Kind = "classify"   // one label of several, over the pooled output
	MultiLabel Kind = "multilabel" // any of the labels
	Regress    Kind = "regress"    // numbers
	Tag        Kind = "tag"        // a label for each piece
	Answer     Kind = "answer"     // where a context answers a question
	Choice     Kind = "choice"     // one of several sequences
)

// Class is the transformers class whose head it is.
func (k Kind) Class() string {
	switch k {
	case Tag:
		return TokenClassification
	case Answer:
		return QuestionAnswering
	case Choice:
		return MultipleChoice
	}
	return SequenceClassification
}

// Heads are what a model needs for a kind with so many outputs.
func (k Kind) Heads(outputs int) Heads {
	switch k {
	case Tag:
		return Heads{Labels: outputs}
	case Answer: // or the beam head
		return Heads{Spans: true}
	case Choice:
		return Heads{Pooler: true, Labels: 1}
	}
	return Heads{Pooler: true, Labels: outputs}
}
