package examples_test

import (
	"fmt"
	"strings"

	"albert/internal/learn/examples"
)

// Two small documents, and two of the examples they give.
func Example() {
	words := strings.Fields("<pad> <unk> [CLS] [SEP] [MASK] ▁call ▁me ▁ish ma el . ▁some ▁years ▁ago ▁i ▁went ▁to ▁sea ▁it ▁is ▁a ▁way")
	id := map[string]int32{}
	v := examples.Vocabulary{CLS: 2, SEP: 3, Mask: 4, Starts: make([]bool, len(words))}
	for i, w := range words {
		id[w] = int32(i)
		if i > 4 {
			v.Starts[i] = w != "ma" && w != "el"
			v.Normal = append(v.Normal, int32(i))
		}
	}
	sentence := func(s string) (ids []int32) {
		for _, w := range strings.Fields(s) {
			ids = append(ids, id[w])
		}
		return ids
	}
	src := examples.NewMemory([][][]int32{
		{sentence("▁call ▁me ▁ish ma el ."), sentence("▁some ▁years ▁ago ▁i ▁went ▁to ▁sea ."), sentence("▁it ▁is ▁a ▁way .")},
		{sentence("▁i ▁went ▁to ▁sea ."), sentence("▁it ▁is ▁some ▁years ▁ago .")},
	})
	o := examples.DefaultOptions()
	o.MaxSeqLength, o.Seed = 32, 12
	sampler, err := examples.NewSampler(src, v, o)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, err := sampler.Batch(1, 2) // step 1: two examples
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range batch {
		var shown []string
		for _, id := range e.InputIDs {
			shown = append(shown, words[id])
		}
		fmt.Println(strings.Join(shown, " "))
		fmt.Println(" ", e.Sources, "label", e.Label)
		for i, p := range e.MaskedPositions {
			fmt.Println("  piece", p, "was", words[e.MaskedIDs[i]])
		}
	}
	// Output:
	// [CLS] ▁it ▁is ▁a ▁way . [SEP] ▁call ▁me ▁ish ma el . ▁some ▁years ▁some [MASK] ▁went ▁to [MASK] . [SEP]
	//   [{0 2 1} {0 0 2}] label 1
	//   piece 15 was ▁ago
	//   piece 16 was ▁i
	//   piece 19 was ▁sea
	// [CLS] ▁it ▁is ▁some ▁years ▁ago . [SEP] ▁i ▁went [MASK] ▁sea . [SEP]
	//   [{1 1 1} {1 0 1}] label 1
	//   piece 3 was ▁some
	//   piece 10 was ▁to
}
