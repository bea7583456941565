package tokenizer

import "strings"

// Decode gives the text of pieces as SentencePiece does: space signs become spaces, but for the one at the front; control
// pieces give nothing; bytes are joined to characters. Ids outside the vocabulary are left out.
func (e *Encoder) Decode(ids []int32) string {
	spec := &e.model.Normalizer
	var b strings.Builder
	var raw []byte
	flush := func() {
		b.WriteString(string([]rune(string(raw)))) // a byte that is not UTF-8 becomes U+FFFD
		raw = raw[:0]
	}
	front := spec.AddDummyPrefix || spec.RemoveExtraWhitespaces // a space sign at the front was added when the text was encoded
	for _, id := range ids {
		if id < 0 || int(id) >= len(e.model.Pieces) {
			continue
		}
		p := &e.model.Pieces[id]
		if p.Type == Byte {
			raw = append(raw, byte(byteOf(p.Text)))
			continue
		}
		flush()
		front = front && b.Len() == 0
		switch p.Type {
		case Control:
		case Unknown:
			b.WriteString(e.model.UnkSurface)
		default:
			text := p.Text
			if front {
				rest, cut := strings.CutPrefix(text, space)
				text = rest
				// One such sign is the dummy prefix; where extra spaces are removed, all of them go.
				front = !cut || spec.RemoveExtraWhitespaces
			}
			b.WriteString(strings.ReplaceAll(text, space, " "))
		}
	}
	flush()
	if e.denormalizer != nil {
		var n normal
		e.denormalizer.normalize(b.String(), &n)
		return string(n.text)
	}
	return b.String()
}
