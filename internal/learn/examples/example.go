package examples

import "strconv"

// Segment says where a segment comes from, before truncation: sentences [FirstSentence, FirstSentence+Sentences) of a document.
type Segment struct {
	Document      int
	FirstSentence int
	Sentences     int
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
	b := make([]byte, 0, 256+10*len(e.InputIDs))
	b = append(b, `{"example":`...)
	b = strconv.AppendUint(b, e.Index, 10)
	b = append(b, `,"epoch":`...)
	b = strconv.AppendUint(b, uint64(e.Epoch), 10)
	b = appendList(b, `,"input_ids":`, e.InputIDs)
	b = appendList(b, `,"token_type_ids":`, e.TokenTypes)
	b = appendList(b, `,"masked_positions":`, e.MaskedPositions)
	b = appendList(b, `,"masked_ids":`, e.MaskedIDs)
	b = append(b, `,"sop_label":`...)
	if e.Label < 0 {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(e.Label), 10)
	}
	b = append(b, `,"source":[`...)
	for i, s := range e.Sources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"document":`...)
		b = strconv.AppendInt(b, int64(s.Document), 10)
		b = append(b, `,"first_sentence":`...)
		b = strconv.AppendInt(b, int64(s.FirstSentence), 10)
		b = append(b, `,"sentences":`...)
		b = strconv.AppendInt(b, int64(s.Sentences), 10)
		b = append(b, '}')
	}
	return append(b, "]}"...), nil
}

func appendList[T uint8 | int32](b []byte, name string, list []T) []byte {
	b = append(b, name...)
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return append(b, ']')
}
