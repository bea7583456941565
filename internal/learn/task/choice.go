package task

import (
	"strings"

	"albert/tokenizer"
)

// MaxChoicePieces is how many pieces of question and choice are kept, the last ones (race_utils.py: max_qa_length).
const MaxChoicePieces = 128

// Choices lays out a question with choices, one input each: [CLS] context [SEP] question and choice [SEP]. Where the question has
// "_" the choice stands in place of every one of them, else after it. The context, given as pieces, is cut at its end. most counts
// special pieces too. (race_utils.py)
func Choices(tok *tokenizer.Tokenizer, context []int32, question string, choices []string, most int) []Input {
	inputs := make([]Input, len(choices))
	for i, choice := range choices {
		text := question + " " + choice
		if strings.Contains(question, "_") {
			text = strings.ReplaceAll(question, "_", choice)
		}
		a, b := context, tok.Encode(text)
		over := len(b) - min(MaxChoicePieces, max(0, most-3))
		b = b[max(0, over):]
		room := max(0, most-3-len(b))
		inputs[i] = joined(tok, a[:min(len(a), room)], b)
		inputs[i].Truncated = over > 0 || len(a) > room
	}
	return inputs
}
