package pretrain

import (
	"fmt"
	"hash/maphash"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/learn/signs"
	"albert/internal/text/corpus"
)

const (
	countedPieces = 1 << 21 // of the text at most: their frequencies are those of all
	fewSentences  = 10      // a text with fewer different ones repeats itself
	someDocuments = 20      // of which half should differ
)

// newWatch looks for the signs of pretraining that does not learn. A warning on the text itself may come with it.
func (c *job) newWatch() (w *signs.Watch, warning string) {
	frequencies, warning := count(c.train)
	w = &signs.Watch{Loss: "mlm_loss", Guess: signs.Entropy(frequencies), Guessing: "guessing pieces by their frequency",
		Uniform: numeric.Log64(float64(c.vocabulary.Size())), From: c.WarmupSteps + 2*signs.Watched - 1, Steps: c.Steps, Advice: c.advice}
	return w, warning
}

// advice names the likely cause of a sign and the settings to try.
func (c *job) advice(s signs.Sign) string {
	slower := fmt.Sprintf("`LearningRate` %.2g, `WarmupSteps` %d", c.LearningRate/10, max(2*c.WarmupSteps, c.Steps/20, 1))
	switch s {
	case signs.Order:
		text := "it is learned late: more `Steps`"
		if c.MaxSeqLength < 256 {
			text += fmt.Sprintf(", `MaxSeqLength` %d (long segments show more of it)", 2*c.MaxSeqLength)
		}
		if c.Objective == "sop" {
			text += ", or `Objective` nsp or none"
		}
		return text
	case signs.Chance:
		var try []string
		if c.MaxSeqLength > 64 {
			try = append(try, "`MaxSeqLength` 64 at first")
		}
		if c.MaskRate < 0.25 {
			try = append(try, "`MaskRate` 0.25")
		}
		return "the learning rate is probably too high or too low for this model: try " + strings.Join(append(try, slower), ", ") +
			fmt.Sprintf(" or `LearningRate` %.2g; text whose words are in random order teaches no more", 5*c.LearningRate)
	case signs.Vanishing:
		return fmt.Sprintf("the learning rate was probably too high: try %s", slower)
	}
	return "the learning rate is probably too high for this model: try " + slower
}

// count counts pieces, and warns of a text that repeats itself.
func count(s *corpus.Shards) (frequencies map[int32]int, warning string) {
	frequencies = map[int32]int{}
	documents, sentences := map[uint64]bool{}, map[uint64]bool{}
	seed, n, seen := maphash.MakeSeed(), 0, 0
	var ends, pieces []int32
	for d := 0; d < s.Documents() && n < countedPieces; d++ {
		ends = s.Ends(d, ends[:0])
		pieces = s.Pieces(d, 0, int(ends[len(ends)-1]), pieces[:0])
		for _, p := range pieces {
			frequencies[p]++
		}
		documents[hash(seed, pieces)] = true
		from := int32(0)
		for _, end := range ends {
			if len(sentences) < fewSentences {
				sentences[hash(seed, pieces[from:end])] = true
			}
			from = end
		}
		n, seen = n+len(pieces), seen+1
	}
	switch {
	case n > 100*fewSentences && len(sentences) < fewSentences:
		warning = fmt.Sprintf("the text has only %d different sentences: little can be learned from it; look at the files and at `TextColumn`", len(sentences))
	case seen >= someDocuments && 2*len(documents) < seen:
		warning = fmt.Sprintf("of %d documents only %d are different: the text repeats itself; look at the files and at `TextColumn`", seen, len(documents))
	}
	return frequencies, warning
}

func hash(seed maphash.Seed, pieces []int32) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range pieces {
		maphash.WriteComparable(&h, p)
	}
	return h.Sum64()
}
