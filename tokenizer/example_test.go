package tokenizer_test

import (
	"fmt"

	"albert/tokenizer"
)

func Example() {
	t, err := tokenizer.Open("testdata/albert.model") // or a directory
	if err != nil {
		fmt.Println(err)
		return
	}
	t = t.With(tokenizer.DefaultOptions) // as a directory without tokenizer_config.json
	ids := t.Encode("This is a Test")
	fmt.Println(t.Decode(ids))
	pair, err := t.EncodePair("Who?", "Nobody.", 512, tokenizer.OnlySecond)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(pair.IDs) == 3+len(t.Encode("Who?"))+len(t.Encode("Nobody.")))
	// Output:
	// this is a test
	// true
}
