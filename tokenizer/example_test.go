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
	question, context := t.Cut("Who?"), t.Cut("Nobody.")
	pair, err := t.Prepare(question, &context, 512, tokenizer.OnlySecond)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(pair.IDs) == 3+len(question.IDs)+len(context.IDs))
	// Output:
	// this is a test
	// true
}
