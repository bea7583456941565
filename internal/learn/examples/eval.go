package examples

import (
	"slices"

	"albert/internal/engine/numeric"
)

// EvalExamples makes the examples that a model is evaluated on, in the order of the documents: every document once, cut and masked
// by random numbers that depend on the seed and on nothing else, so that they are the same at every evaluation. If there are more
// than most, that many of them are taken at random, the same ones each time; with most = 0 all are.
func EvalExamples(src Source, v Vocabulary, o Options, most int) ([]Example, error) {
	s, err := newSampler(src, v, o, true)
	if err != nil {
		return nil, err
	}
	t, _, err := s.epochs.at(0)
	if err != nil {
		return nil, err
	}
	count := t.Examples
	if most > 0 {
		count = min(count, uint64(most))
	}
	indices := make([]uint64, count)
	for i := range indices {
		indices[i] = uint64(i)
		if count < t.Examples {
			indices[i] = numeric.Permute(o.Seed, numeric.PurposeEval, 0, t.Examples, uint64(i))
		}
	}
	slices.Sort(indices)
	examples := make([]Example, count)
	for i, index := range indices {
		if examples[i], err = s.make(t, index); err != nil {
			return nil, err
		}
		examples[i].Index = index
	}
	return examples, nil
}

// Baseline is what a model must beat: the one piece that, given as the answer everywhere, is right most often (the lowest of equals),
// and how often that is, among the count targets that are seen as [MASK].
func Baseline(examples []Example, mask int32) (piece int32, hits, count int) {
	times := map[int32]int{}
	for _, e := range examples {
		for i, p := range e.MaskedPositions {
			if e.InputIDs[p] == mask {
				times[e.MaskedIDs[i]]++
				count++
			}
		}
	}
	for p, n := range times {
		if n > hits || n == hits && p < piece {
			piece, hits = p, n
		}
	}
	return piece, hits, count
}
