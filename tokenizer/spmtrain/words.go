package spmtrain

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"albert/internal/engine/numeric"
)

// Stats counts what was found in the text.
type Stats struct {
	Sentences   int64 // read, empty ones included
	Used        int64 // after sampling
	TooLong     int64 // longer than MaxSentenceLength, left out
	Reserved    int64 // with the reserved character U+2585, left out
	InvalidUTF8 int64 // sentences with bytes that were replaced
	Characters  int64 // of normal text, user-defined symbols counted as one each
	Words       int   // distinct, as far as pieces may be cut from them
	Required    int   // characters with a piece of their own
	Seeds       int   // candidates at the start
	Largest     int   // vocabulary that the text allows, if it was too small
}

// reserved is the character that spm_train puts in the place of unknown ones; it leaves out sentences that have it.
const reserved = "\u2585"

// follower is what follows letters in the text: the first byte of it, several different ones, or not known yet.
type follower uint16

const (
	endOfSentence follower = 0
	atUnknown     follower = 0xE2 // of spm_train's mark for unknown characters, U+2585
	several       follower = 256
	notKnown      follower = 257
)

// merge gives the follower of two occurrences of letters, followed by f and by g.
func (f follower) merge(g follower) follower {
	switch {
	case f == notKnown || f == g:
		return g
	case g == notKnown:
		return f
	}
	return several
}

// words are the distinct words of the text, one after another.
type words struct {
	letters []int32    // indices in the alphabet; after word i comes ^i; at the end comes each letter of the alphabet once
	start   []int32    // the index in letters of each word, and the end of the last
	freq    []int64    // how often each word is in the text
	next    []follower // what follows it in the text
	other   int64      // characters of the text that belong to no word
}

// of gives the letters of word i.
func (w *words) of(i int) []int32 { return w.letters[w.start[i] : w.start[i+1]-1] }

// at gives the word that an index in letters belongs to.
func (w *words) at(index int32) int {
	i, first := slices.BinarySearch(w.start, index)
	if !first {
		i--
	}
	return i
}

// counted is a run of characters of the text before the alphabet is known, and what follows it.
type counted struct {
	text string
	next follower
}

// counts adds up how often runs of characters are in the text. Threads share it: each counts its own sentences and adds the result to the
// shards, each of which has its own lock and holds the runs with certain hashes.
type counts struct {
	seed   maphash.Seed
	shards [64]struct {
		sync.Mutex
		m map[counted]int64
	}
}

func newCounts() *counts {
	c := &counts{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].m = map[counted]int64{}
	}
	return c
}

func (c *counts) add(found map[counted]int64) {
	for k, n := range found {
		s := &c.shards[maphash.String(c.seed, k.text)%uint64(len(c.shards))]
		s.Lock()
		if _, ok := s.m[k]; !ok {
			k.text = strings.Clone(k.text) // it is part of a sentence
		}
		s.m[k] += n
		s.Unlock()
	}
}

// batchBytes is how much text is normalised at a time.
const batchBytes = 4 << 20

// collect reads the sentences, samples them if there are more than wanted, and counts their words.
func (t *trainer) collect(sentences iter.Seq2[string, error]) error {
	found := newCounts()
	limit := t.o.InputSentenceSize
	pick := numeric.NewStream(t.o.Seed, numeric.PurposeReservoir, 0, 0, 0)
	var kept []string // the sample or, without a limit, the sentences that are not counted yet
	seen, size := 0, 0
	for s, err := range sentences {
		if err != nil {
			return err
		}
		if err := t.ctx.Err(); err != nil {
			return err
		}
		if t.stats.Sentences++; t.stats.Sentences%4096 == 0 {
			t.progress("reading", t.stats.Sentences, 0)
		}
		switch {
		case s == "":
			continue
		case len(s) > t.o.MaxSentenceLength:
			t.stats.TooLong++
			continue
		case strings.Contains(s, reserved):
			t.stats.Reserved++
			continue
		case !utf8.ValidString(s):
			t.stats.InvalidUTF8++
		}
		seen++
		switch {
		case limit == 0:
			kept = append(kept, s)
			if size += len(s); size >= batchBytes*t.threads {
				t.count(kept, found)
				kept, size = kept[:0], 0
			}
		case len(kept) < limit:
			kept = append(kept, strings.Clone(s)) // it may be part of something longer
		case t.o.ShuffleInputSentence: // a reservoir: each sentence so far has the same chance to be in it
			if i := pick.Intn(seen); i < limit {
				kept[i] = strings.Clone(s)
			}
		}
		if limit > 0 && !t.o.ShuffleInputSentence && len(kept) == limit {
			break
		}
	}
	for len(kept) > 0 {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		n, size := 0, 0
		for n < len(kept) && size < batchBytes*t.threads {
			size += len(kept[n])
			n++
		}
		t.count(kept[:n], found)
		clear(kept[:n]) // memory for the words
		kept = kept[n:]
		t.progress("counting words", t.stats.Used, t.stats.Used+int64(len(kept)))
	}
	return t.choose(found)
}

// count normalises sentences on all threads and adds their words up.
func (t *trainer) count(sentences []string, found *counts) {
	t.stats.Used += int64(len(sentences))
	const chunk = 512
	t.parallel((len(sentences)+chunk-1)/chunk, 1, func(int) func(int) {
		m := map[counted]int64{}
		return func(i int) {
			for _, s := range sentences[i*chunk : min(len(sentences), (i+1)*chunk)] {
				if t.ctx.Err() == nil {
					t.split(t.normalizer.Normalized(s), m)
				}
			}
			found.add(m)
			clear(m)
		}
	})
}

// boundary is the character as which a symbol is counted. Most normalisation rules remove this control character; if it is in the text
// nevertheless, no piece has it.
const boundary = "\x1f"

// split counts the words of a sentence in normal form. Symbols of the vocabulary separate words: no piece has any part of them.
func (t *trainer) split(s string, found map[counted]int64) {
	for s != "" {
		at, n := t.symbols.find(s)
		part := s[:at]
		s = s[at+n:]
		last := endOfSentence
		if n > 0 {
			found[counted{boundary, notKnown}]++
			last = atUnknown
		}
		for part != "" {
			w := t.o.word(part)
			part = part[len(w):]
			next := last
			if part != "" {
				next = follower(part[0])
			}
			found[counted{w, next}]++
		}
	}
}

// word gives the first word of normal text. Words begin with a space or, with TreatWhitespaceAsSuffix, end with one.
func (o *Options) word(s string) string {
	if !o.SplitByWhitespace {
		return s
	}
	mark := string(space)
	from := 0                    // where a space ends the word or begins the next one
	spaces := func(at int) int { // the end of those that begin there
		for more := true; more && strings.HasPrefix(s[at:], mark); more = o.AllowWhitespaceOnlyPieces {
			at += len(mark)
		}
		return at
	}
	if !o.TreatWhitespaceAsSuffix {
		from = spaces(0)
	}
	end := strings.Index(s[from:], mark)
	switch {
	case end < 0:
		return s
	case o.TreatWhitespaceAsSuffix:
		return s[:spaces(end)]
	}
	return s[:from+end]
}

// symbols finds certain texts in a text; of those that begin at the same byte, the longest.
type symbols struct{ byFirst [256][]string }

func newSymbols(texts []string) *symbols {
	s := &symbols{}
	for _, x := range texts {
		s.byFirst[x[0]] = append(s.byFirst[x[0]], x)
	}
	for _, list := range s.byFirst {
		slices.SortFunc(list, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	}
	return s
}

// find gives the offset and the length of the first symbol in a text; len(text) and 0 if there is none.
func (s *symbols) find(text string) (at, n int) {
	for i := range len(text) {
		for _, x := range s.byFirst[text[i]] {
			if strings.HasPrefix(text[i:], x) {
				return i, len(x)
			}
		}
	}
	return len(text), 0
}

// choose finds the characters that get pieces, cuts words at all others, and makes t.words of what is left.
func (t *trainer) choose(found *counts) error {
	freq := map[rune]int64{}
	entries := 0
	for i := range found.shards {
		for k, n := range found.shards[i].m {
			entries++
			for _, r := range k.text {
				if r != 0 {
					freq[r] += n
					t.stats.Characters += n
				}
			}
		}
	}
	if t.stats.Characters == 0 {
		return errors.New("the corpus is empty: no sentence with text")
	}
	t.require(freq)
	type run struct {
		counted
		n int64
	}
	runs := make([]run, 0, entries)
	for i := range found.shards {
		for k, n := range found.shards[i].m {
			start := 0
			for j, r := range k.text {
				if _, ok := t.letterOf[r]; ok {
					continue
				}
				if j > start {
					runs = append(runs, run{counted{k.text[start:j], atUnknown}, n})
				}
				t.words.other += n
				start = j + utf8.RuneLen(r)
				if r == utf8.RuneError {
					_, size := utf8.DecodeRuneInString(k.text[j:])
					start = j + size
				}
			}
			if start < len(k.text) {
				runs = append(runs, run{counted{k.text[start:], k.next}, n})
			}
		}
		found.shards[i].m = nil
	}
	slices.SortFunc(runs, func(a, b run) int { return strings.Compare(a.text, b.text) })
	w := &t.words
	total := 0
	for i, r := range runs {
		if i == 0 || r.text != runs[i-1].text {
			total += utf8.RuneCountInString(r.text) + 1
		}
	}
	if total += len(t.alphabet); total > math.MaxInt32 {
		return fmt.Errorf("the text has %d letters of distinct words, more than %d: lower --input-sentence-size", total, math.MaxInt32)
	}
	w.letters = make([]int32, 0, total)
	for i, r := range runs {
		if i > 0 && r.text == runs[i-1].text {
			w.freq[len(w.freq)-1] += r.n
			w.next[len(w.next)-1] = w.next[len(w.next)-1].merge(r.next)
			continue
		}
		w.start = append(w.start, int32(len(w.letters)))
		for _, c := range r.text {
			w.letters = append(w.letters, t.letterOf[c])
		}
		w.letters = append(w.letters, ^int32(len(w.freq)))
		w.freq, w.next = append(w.freq, r.n), append(w.next, r.next)
	}
	w.start = append(w.start, int32(len(w.letters)))
	for c := range int32(len(t.alphabet)) {
		w.letters = append(w.letters, c)
	}
	t.stats.Words, t.stats.Required = len(w.freq), len(t.alphabet)
	return nil
}

// require chooses the alphabet: the required characters, then the most frequent ones until they cover CharacterCoverage of the text.
func (t *trainer) require(freq map[rune]int64) {
	asked := map[rune]bool{}
	for _, r := range t.o.RequiredChars {
		if r != 0 {
			asked[r] = true
			freq[r] += 0
		}
	}
	order := slices.SortedFunc(maps.Keys(freq), func(a, b rune) int {
		switch {
		case asked[a] != asked[b]:
			return map[bool]int{true: -1, false: 1}[asked[a]]
		default:
			return cmp.Or(cmp.Compare(freq[b], freq[a]), cmp.Compare(a, b))
		}
	})
	sum := int64(0)
	for _, r := range order {
		// In float32, as spm_train compares.
		if float32(float64(sum)/float64(t.stats.Characters)) >= float32(t.o.CharacterCoverage) {
			break
		}
		sum += freq[r]
		if string(r) != boundary {
			t.alphabet = append(t.alphabet, r)
		}
	}
	slices.Sort(t.alphabet)
	t.letters = lettersOf(t.alphabet)
	t.letterOf = make(map[rune]int32, len(t.alphabet))
	t.charFreq = make([]int64, len(t.alphabet))
	for i, r := range t.alphabet {
		t.letterOf[r] = int32(i)
		t.charFreq[i] = freq[r]
	}
}
