package bench

import (
	"context"
	"strings"

	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
)

// text is what tokenize encodes, and what its tokenizer was trained on.
const text = `A tokenizer cuts text into pieces. Each piece stands for a run of characters that was met often enough to deserve an entry of its own.
Words that everyone uses are one piece, rare words are several, and a word that was never seen before is spelled out letter by letter.
The best way to cut a sentence is the one whose pieces are together the likeliest; it is found by looking at every place once.
Reading a corpus takes longer than writing about it, so that the speed of this loop decides how soon a training run can begin.
The clean-up comes first: spaces are collapsed, quotes made alike, accents taken off, and capital letters made small, as the model expects.
Numbers such as 1906 and prices such as 3,000 pounds are cut differently from names, and a comma after a digit is a piece by itself.
`

// tokenizeWork encodes a fixed English text with ALBERT's clean-up, line by line, on one thread. After the first rounds the tokenizer
// remembers all of its words.
func tokenizeWork() (*work, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	o := spmtrain.DefaultOptions()
	o.VocabSize, o.HardVocabLimit = 400, false
	m, _, err := spmtrain.Train(context.Background(), func(yield func(string, error) bool) {
		for range 20 {
			for _, l := range lines {
				if !yield(tokenizer.DefaultOptions.Clean(l), nil) {
					return
				}
			}
		}
	}, o)
	if err != nil {
		return nil, err
	}
	t, err := tokenizer.New(m.Marshal(), tokenizer.DefaultOptions)
	if err != nil {
		return nil, err
	}
	return &work{
		bytes: float64(len(text)),
		run: func() error {
			for _, l := range lines {
				t.Encode(l)
			}
			return nil
		},
	}, nil
}
