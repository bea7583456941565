package examples

// Pairing says what the second segment of an example is, and so what the sentence loss asks.
type Pairing string

// The pairings.
const (
	SOP  Pairing = "sop"  // two consecutive runs of sentences, swapped half of the time
	NSP  Pairing = "nsp"  // the second run comes from another document half of the time
	None Pairing = "none" // the ordered pair, without a label
)

// Options say how documents become examples. Every field reaches the examples' bits.
type Options struct {
	Objective Pairing `enum:"sop,nsp,none"`
	// MaxSeqLength is how many pieces an example has at most: at least two, [CLS] and two [SEP].
	MaxSeqLength   int     `range:"[5,16777216]"`
	ShortSeqProb   float64 `range:"[0,1]"` // how often a pair is given a shorter length, uniform from 2 on
	MaskRate       float64 `range:"[0,1)"` // masked pieces to all pieces
	MaxPredictions int     // masked pieces of an example at most; 0: no cap
	// NGram is how many words are masked together at most: up to 16, the numbers 1/n have a common denominator that fits anywhere.
	NGram             int  `range:"[1,16]"`
	FavorShorterNGram bool // p(n) ~ 1/n; false: the same probabilities in reverse
	UpstreamQuirks    bool // SPEC 2.3 to the letter
	Seed              uint64
}
