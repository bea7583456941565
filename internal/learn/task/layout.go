package task

import (
	"strings"

	"albert/tokenizer"
)

// Layout lays out a text, or a pair if b is not nil, as one encoding of at most so many pieces, special ones included. While it is too
// long the longer text loses its last piece, b where they are equal; cut at the left ([tokenizer.Side]), the first.
func Layout(tok *tokenizer.Tokenizer, a, b []int32, most int) (tokenizer.Encoding, error) {
	return tok.Prepare(tokenizer.Text{IDs: a}, second(b), most, tokenizer.LongestFirst)
}

func second(b []int32) *tokenizer.Text {
	if b == nil {
		return nil
	}
	return &tokenizer.Text{IDs: b}
}

// LayoutLong is [Layout] that cuts nothing off: one encoding where all fits, else windows over the text, or over the longer one of a
// pair, which overlap by half. The other text of a pair stands whole in each window; only if it needs more than half the room it is cut
// to that.
func LayoutLong(tok *tokenizer.Tokenizer, a, b []int32, most int) ([]tokenizer.Encoding, error) {
	windowed, room := tokenizer.OnlyFirst, max(1, most-2)
	cut := false
	if b != nil {
		room = max(1, most-3)
		if len(a)+len(b) > room {
			other := &b
			if len(b) >= len(a) {
				windowed, other = tokenizer.OnlySecond, &a
			}
			if kept := room / 2; len(*other) > kept {
				from, to := tok.TruncationSide.Keep(len(*other), kept)
				*other, cut = (*other)[from:to], true
			}
			room -= len(*other)
		}
	}
	list, err := tok.Windows(tokenizer.Text{IDs: a}, second(b), most, room-max(1, room/2), windowed)
	for i := range list {
		list[i].Truncated = cut
	}
	return list, err
}

// LayoutTagged is [LayoutLong] of a text whose pieces are tagged, and gives for each piece the window and the row there in which it has
// most pieces around it: there its tag is learned, and there it is read.
func LayoutTagged(tok *tokenizer.Tokenizer, ids []int32, most int) (list []tokenizer.Encoding, at [][2]int, err error) {
	if list, err = LayoutLong(tok, ids, nil, most); err != nil {
		return nil, nil, err
	}
	return list, places(list), nil
}

// places are where the pieces of a text stand in its windows: in which one, and in which of its rows.
func places(windows []tokenizer.Encoding) (at [][2]int) {
	parts := make([]tokenizer.Part, len(windows))
	for k := range windows {
		parts[k] = windows[k].A
	}
	for i, k := range mostContext(parts, parts[len(parts)-1].To) {
		at = append(at, [2]int{k, parts[k].At + i - parts[k].From})
	}
	return at
}

// JoinWindows gives the pieces of a text's windows as one encoding, and a row of logits for each.
func JoinWindows(windows []Example, outs []Output) (e tokenizer.Encoding, logits [][]float32) {
	if len(windows) == 1 {
		return windows[0].Inputs[0], outs[0].Logits
	}
	list := make([]tokenizer.Encoding, len(windows))
	for k, w := range windows {
		list[k] = w.Inputs[0]
	}
	end := len(list) - 1
	rows := append([][2]int{{0, 0}}, places(list)...) // with [CLS] and [SEP]
	e.A = tokenizer.Part{At: 1, To: len(rows) - 1}
	for _, at := range append(rows, [2]int{end, len(list[end].IDs) - 1}) {
		e.IDs, logits = append(e.IDs, list[at[0]].IDs[at[1]]), append(logits, outs[at[0]].Logits[at[1]])
	}
	return e, logits
}

// MaxChoicePieces is how many pieces of question and choice are kept, the last ones (race_utils.py: max_qa_length).
const MaxChoicePieces = 128

// Choices lays out a question with choices, one encoding each: [CLS] context [SEP] continuation [SEP] (see [Continuations]). The
// context, given as pieces, is cut at its end, or where the tokenizer says. most counts special pieces too. (race_utils.py)
func Choices(tok *tokenizer.Tokenizer, context []int32, question string, choices []string, most int) ([]tokenizer.Encoding, error) {
	var list []tokenizer.Encoding
	for _, text := range Continuations(question, choices) {
		b := tok.Encode(text)
		over := len(b) - min(MaxChoicePieces, max(0, most-3))
		b = b[max(0, over):]
		room := max(0, most-3-len(b))
		from, to := tok.TruncationSide.Keep(len(context), room)
		e, err := tok.Prepare(tokenizer.Text{IDs: context[from:to]}, &tokenizer.Text{IDs: b}, 0, tokenizer.DoNotTruncate)
		if err != nil {
			return nil, err
		}
		e.Truncated = over > 0 || len(context) > room
		list = append(list, e)
	}
	return list, nil
}

// blank are the characters that are a blank to fill in a question, once ALBERT's clean-up has made them "_".
const blank = "_\uff3f\ufe33\ufe34\ufe4d\ufe4e\ufe4f"

// Continuations are what follows the context for each choice: the question with every "_" replaced by the choice or, where it has none,
// the question, a space and the choice. (race_utils.py)
func Continuations(question string, choices []string) []string {
	out := make([]string, len(choices))
	hasBlank := strings.ContainsAny(question, blank)
	for i, choice := range choices {
		switch {
		case question == "":
			out[i] = choice
		case !hasBlank:
			out[i] = question + " " + choice
		default:
			var b strings.Builder
			for _, q := range question {
				if strings.ContainsRune(blank, q) {
					b.WriteString(choice)
				} else {
					b.WriteRune(q)
				}
			}
			out[i] = b.String()
		}
	}
	return out
}
