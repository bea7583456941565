// Command pairs lets the comparisons with transformers reach what the albert command does not show: it writes a tokenizer's files for
// transformers, and prepares pairs of texts.
//
//	pairs write TOKENIZER DIR
//	pairs prepare TOKENIZER < requests > answers    # a line of JSON each
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"albert/tokenizer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pairs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("want write or prepare, and a tokenizer")
	}
	t, err := tokenizer.Open(args[1])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "write" && len(args) == 3:
		return t.WriteDir(args[2])
	case args[0] == "prepare":
		return prepare(t)
	}
	return fmt.Errorf("%s: no such thing", args[0])
}

type request struct {
	A       string               `json:"a"`
	B       *string              `json:"b"`
	Most    int                  `json:"max"`
	How     tokenizer.Truncation `json:"how"`
	Overlap *int                 `json:"overlap"` // given: windows
}

type answer struct {
	IDs     []int32  `json:"ids"`
	Types   []int32  `json:"types"`
	Offsets [][2]int `json:"offsets"`
}

func prepare(t *tokenizer.Tokenizer) error {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), bufio.NewWriter(os.Stdout)
	to := json.NewEncoder(out)
	for {
		var q request
		if err := in.Decode(&q); err == io.EOF {
			return out.Flush()
		} else if err != nil {
			return err
		}
		a := t.Cut(q.A)
		var b *tokenizer.Text
		if q.B != nil {
			second := t.Cut(*q.B)
			b = &second
		}
		var made []tokenizer.Encoding
		var err error
		if q.Overlap != nil {
			made, err = t.Windows(a, b, q.Most, *q.Overlap, q.How)
		} else {
			made = make([]tokenizer.Encoding, 1)
			made[0], err = t.Prepare(a, b, q.Most, q.How)
		}
		answers := []answer{}
		if err == nil {
			for _, e := range made {
				made := answer{e.IDs, e.Types, make([][2]int, len(e.IDs))}
				copy(made.Offsets[e.A.At:], a.Offsets[e.A.From:e.A.To])
				if b != nil {
					copy(made.Offsets[e.B.At:], b.Offsets[e.B.From:e.B.To])
				}
				answers = append(answers, made)
			}
		}
		if err := to.Encode(answers); err != nil {
			return err
		}
	}
}
