package examples

import "albert/internal/files/jsonobject"

// Segment says where a segment comes from, before truncation: sentences [FirstSentence, FirstSentence+Sentences) of a document.
type Segment struct {
	Document      int `json:"document"`
	FirstSentence int `json:"first_sentence"`
	Sentences     int `json:"sentences"`
}

// Example is a masked example, as the model sees it.
type Example struct {
	Index           uint64    // its position in the run's endless row of examples
	Epoch           uint32    // from 0
	InputIDs        []int32   // [CLS] first [SEP] second [SEP], after masking
	TokenTypes      []uint8   // 0 up to the first [SEP], then 1
	MaskedPositions []int32   // ascending
	MaskedIDs       []int32   // the original pieces there
	Label           int8      // 1 when the segments are swapped (NSP: when the second is random), 0 when not; -1: no label
	Sources         []Segment // one for each segment, in the order in which they stand
}

// MarshalJSON writes a line of `albert inspect RUN --step K`.
func (e Example) MarshalJSON() ([]byte, error) {
	types := make([]int, len(e.TokenTypes)) // encoding/json would take bytes for text
	for i, t := range e.TokenTypes {
		types[i] = int(t)
	}
	var label any
	if e.Label >= 0 {
		label = e.Label
	}
	return jsonobject.Fields{{Name: "example", Value: e.Index}, {Name: "epoch", Value: e.Epoch}, {Name: "input_ids", Value: e.InputIDs},
		{Name: "token_type_ids", Value: types}, {Name: "masked_positions", Value: e.MaskedPositions}, {Name: "masked_ids", Value: e.MaskedIDs},
		{Name: "sop_label", Value: label}, {Name: "source", Value: e.Sources}}.MarshalJSON()
}
