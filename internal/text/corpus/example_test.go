package corpus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"albert/internal/text/corpus"
	"albert/tokenizer"
)

func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	t, err := tokenizer.Open("../../../tokenizer/testdata/albert.model")
	if err != nil {
		fmt.Println(err)
		return
	}
	shards := filepath.Join(dir, "shards")
	text := strings.NewReader("It is a word. So is this.\n\nAnother document.\n")
	meta, err := corpus.Prepare(context.Background(), corpus.PrepareOptions{Output: shards, Tokenizer: t, Read: corpus.ReadOptions{Stdin: text}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(meta.Documents, "documents,", meta.Sentences, "sentences")
	s, err := corpus.OpenShards(shards)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for doc := range s.Documents() {
		ends := s.Ends(doc, nil) // where its sentences end
		pieces := s.Pieces(doc, 0, int(ends[len(ends)-1]), nil)
		fmt.Println(len(ends), t.Decode(pieces))
	}
	// Output:
	// 2 documents, 3 sentences
	// 2 It is a word. So is this.
	// 1 Another document.
}
