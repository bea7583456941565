package spmtrain

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"albert/numeric"
)

const space = '\u2581'

// Stats is what was seen of the text.
type Stats struct {
	Sentences   int64 // read
	Used        int64 // after sampling
	TooLong     int64
	InvalidUTF8 int64 // sentences with bytes that were replaced
	Characters  int64
	Words       int // distinct
	Required    int // characters with a piece of their own
	Largest     int // vocabulary that the text allows, if it was too small
}

// word is a run of characters that pieces may be cut from, and how often it stands in the text.
type word struct {
	text []rune
	freq int64
}

// text is the words of the sentences and the characters that must have pieces.
type text struct {
	words    []word
	required map[rune]bool
	charFreq map[rune]int64
}

// batchSentences is how many sentences are normalised at a time.
const batchSentences = 2048

// collect reads sentences, samples them if there are more than wanted, and counts their words.
func (t *trainer) collect(ctx context.Context, sentences iter.Seq2[string, error]) error {
	words := map[string]int64{}
	limit := t.o.InputSentenceSize
	var reservoir []string
	pick := numeric.NewStream(t.o.Seed, numeric.PurposeReservoir, 0, 0, 0)
	var batch []string
	flush := func() {
		t.count(batch, words)
		batch = batch[:0]
	}
	for s, err := range sentences {
		if err != nil {
			return err
		}
		t.stats.Sentences++
		if t.stats.Sentences%10_000 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			t.progress("reading", int(t.stats.Sentences), 0)
		}
		if s == "" {
			continue
		}
		if len(s) > t.o.MaxSentenceLength {
			t.stats.TooLong++
			continue
		}
		if !utf8.ValidString(s) {
			t.stats.InvalidUTF8++
		}
		if limit == 0 {
			if batch = append(batch, strings.Clone(s)); len(batch) == batchSentences {
				flush()
			}
			continue
		}
		// A reservoir of limit sentences, each as likely as any other.
		if len(reservoir) < limit {
			reservoir = append(reservoir, strings.Clone(s))
		} else if t.o.ShuffleInputSentence {
			if i := pick.Intn(int(t.stats.Sentences)); i < limit {
				reservoir[i] = strings.Clone(s)
			}
		}
	}
	flush()
	for len(reservoir) > 0 {
		n := min(batchSentences, len(reservoir))
		t.count(reservoir[:n], words)
		clear(reservoir[:n])
		reservoir = reservoir[n:]
	}
	if len(words) == 0 {
		return fmt.Errorf("the corpus is empty: no sentence with text")
	}
	t.choose(words)
	return nil
}

// count normalises sentences on all threads and adds their words up: sums of integers, whose order does not matter.
func (t *trainer) count(sentences []string, words map[string]int64) {
	if len(sentences) == 0 {
		return
	}
	t.stats.Used += int64(len(sentences))
	parts := make([]map[string]int64, t.threads)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			m := map[string]int64{}
			for _, s := range sentences[len(sentences)*i/t.threads : len(sentences)*(i+1)/t.threads] {
				t.split(t.normalizer.Normalized(s), m)
			}
			parts[i] = m
		})
	}
	wg.Wait()
	for _, m := range parts {
		for w, n := range m {
			words[w] += n
		}
	}
}

// split cuts normal text into words: a word begins with the sign of the space before it. User-defined symbols stand apart: no piece
// has any part of them.
func (t *trainer) split(s string, words map[string]int64) {
	for s != "" {
		i := strings.IndexRune(s[1:], space)
		w := s
		if i >= 0 {
			w = s[:i+1]
		}
		s = s[len(w):]
		for w != "" {
			at, n := t.userDefined(w)
			if at > 0 {
				words[w[:at]]++
			}
			w = w[at+n:]
		}
	}
}

// userDefined finds the first user-defined symbol in s and its length; len(s) and 0 without one.
func (t *trainer) userDefined(s string) (at, n int) {
	if t.symbols == nil {
		return len(s), 0
	}
	for i := range s {
		for _, u := range t.symbols[s[i]] {
			if strings.HasPrefix(s[i:], u) {
				return i, len(u)
			}
		}
	}
	return len(s), 0
}

// choose finds the characters that must have pieces, and cuts words at all others.
func (t *trainer) choose(counted map[string]int64) {
	freq := map[rune]int64{}
	for w, n := range counted {
		for _, r := range w {
			freq[r] += n
		}
	}
	for _, n := range freq {
		t.stats.Characters += n
	}
	chars := slices.SortedFunc(maps.Keys(freq), func(a, b rune) int { return cmp.Or(cmp.Compare(freq[b], freq[a]), cmp.Compare(a, b)) })
	required := map[rune]bool{}
	for _, r := range t.o.RequiredChars {
		required[r] = true
	}
	sum := int64(0)
	for _, r := range chars {
		// As in spm_train: until the share is reached, counting only what was taken.
		if float64(sum)/float64(t.stats.Characters) >= t.o.CharacterCoverage {
			break
		}
		if r != utf8.RuneError && r != 0 {
			required[r] = true
		}
		sum += freq[r]
	}
	cut := map[string]int64{}
	for w, n := range counted {
		start := -1
		for i, r := range w {
			switch {
			case required[r] && start < 0:
				start = i
			case !required[r] && start >= 0:
				cut[w[start:i]] += n
				start = -1
			}
		}
		if start >= 0 {
			cut[w[start:]] += n
		}
	}
	t.text.required, t.text.charFreq = required, freq
	for _, w := range slices.Sorted(maps.Keys(cut)) {
		t.text.words = append(t.text.words, word{[]rune(w), cut[w]})
	}
	t.stats.Words, t.stats.Required = len(t.text.words), len(required)
}

// scripts finds the script of a character.
type scripts struct{ cache map[rune]string }

var scriptNames = slices.Sorted(maps.Keys(unicode.Scripts))

func (s *scripts) of(r rune) string {
	if name, ok := s.cache[r]; ok {
		return name
	}
	name := ""
	for _, n := range scriptNames {
		if unicode.Is(unicode.Scripts[n], r) {
			name = n
			break
		}
	}
	if name == "Hiragana" || name == "Katakana" || r == 0x30fc {
		name = "Han"
	}
	s.cache[r] = name
	return name
}

// valid tells whether characters may be a piece: short enough, no space sign inside, one script, digits alone where asked.
func (t *trainer) valid(p []rune) bool {
	if len(p) == 0 || len(p) > t.o.MaxSentencepieceLen {
		return false
	}
	before := ""
	for i, r := range p {
		if r == space {
			if i > 0 {
				return false
			}
			continue
		}
		digit := r >= '0' && r <= '9'
		if t.o.SplitDigits && digit && len(p) > 1 {
			return false
		}
		script := t.scripts.of(r)
		if script == "Inherited" {
			script = before
		}
		if !t.o.SplitByNumber && digit {
			script = ""
		}
		if t.o.SplitByUnicodeScript && script != "" && before != "" && before != script {
			return false
		}
		before = script
	}
	return true
}
