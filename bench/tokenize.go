package bench

import (
	_ "embed"
	"errors"

	"albert/tokenizer"
)

// tokenizeWork encodes a fixed English text with ALBERT's clean-up.
func tokenizeWork() (*work, error) { return nil, errors.New("tokenize: not measured") }

var _ = tokenizer.CleanupAlbert
