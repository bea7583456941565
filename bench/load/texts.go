package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

const (
	longWords = 350
	sample    = 512 // texts of a work, asked again and again
)

// texts are those of a work: short, SST-2's sentences; long, 350 words each; mixed, of 3 to 350 words, as many below 32 as above.
func (o *options) texts(work string) ([]string, error) {
	random := rand.New(rand.NewPCG(1, 2))
	if work == "short" {
		path := filepath.Join(o.data, "glue", "SST-2", "dev.tsv")
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var list []string
		for line := range strings.Lines(string(text)) {
			sentence, _, _ := strings.Cut(line, "\t")
			list = append(list, strings.TrimSpace(sentence))
		}
		list = list[1:] // the heading
		random.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		return list[:min(len(list), sample)], nil
	}
	words, err := o.novels()
	if err != nil {
		return nil, err
	}
	list := make([]string, sample)
	for i := range list {
		n := longWords
		if work == "mixed" {
			n = int(math.Round(3 * math.Pow(longWords/3.0, random.Float64())))
		} else if work != "long" {
			return nil, fmt.Errorf("--work: %q is none of short, long, mixed", work)
		}
		at := random.IntN(len(words) - n)
		list[i] = strings.Join(words[at:at+n], " ")
	}
	return list, nil
}

// novels are the words of some novels.
func (o *options) novels() ([]string, error) {
	f, err := os.Open(filepath.Join(o.data, "text", "novels-dev.txt.gz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	words := strings.Fields(strings.ToValidUTF8(string(text), " "))
	if err == nil && len(words) < 10000 {
		err = fmt.Errorf("%s has only %d words", f.Name(), len(words))
	}
	return words, err
}

// bodies ask for the vectors of texts, one each, as OpenAI's clients do unless told otherwise: in base64.
func bodies(texts []string) [][]byte {
	list := make([][]byte, len(texts))
	for i, text := range texts {
		list[i] = object("model", "m", "input", text, "encoding_format", "base64")
	}
	return list
}

// object is a JSON object of names and values.
func object(pairs ...any) []byte {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // texts and lists of them
	}
	return text
}

// The classes of texts by their lengths in words.
var classes = []struct {
	name string
	most int
}{{"to 20 words", 20}, {"to 100 words", 100}, {"to 350 words", longWords}}

func classOf(text string) int {
	n := len(strings.Fields(text))
	for i, c := range classes {
		if n <= c.most {
			return i
		}
	}
	return len(classes) - 1
}
