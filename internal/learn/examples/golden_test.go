package examples

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
)

// The first 200 examples of fixed documents. A change here changes the bits of every run: raise `numerics` with it.
func TestGolden(t *testing.T) {
	v := testVocabulary(8000)
	docs := randomDocuments(99, 60, 40, 25, 8000)
	for _, c := range []struct {
		name, want string
		change     func(*Options)
	}{
		{"sop", "2011f0d5c006afa2d8baf3436d788cb2ce1b557f11ade7e89cb95bd39982a75f", nil},
		{"nsp", "d91eeeb1de5051965de1241981459fe8ce551e3a95f3ec2087506f37423f5a37", func(o *Options) { o.Objective = NSP }},
		{"none", "9cfc7cdeb45f15bbc56f60c202522180430bf4fa62ae7d06fe7d0cdd60160b43", func(o *Options) { o.Objective = None }},
		{"upstream", "6f31f18cbef493aa60ca79668a84cb84577c072c500715ca6c56bb1d1d03e9db", func(o *Options) { o.UpstreamQuirks, o.MaxPredictions = true, 20 }},
		{"upstream nsp", "00cbd475c44ea2c148b79b1b7401bb6624a08cfc9cb387f8540e03d82d1ff462", func(o *Options) { o.UpstreamQuirks, o.Objective = true, NSP }},
	} {
		o := DefaultOptions()
		o.MaxSeqLength, o.Seed = 128, 12345
		if c.change != nil {
			c.change(&o)
		}
		batch, err := sampler(t, docs, v, o).Batch(1, 200)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		for _, e := range batch {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			hash.Write(append(line, '\n'))
		}
		if got := fmt.Sprintf("%x", hash.Sum(nil)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
