package tokenizer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// RuleNames lists the rules that [NormalizationRule] knows, by SentencePiece's names.
var RuleNames = []string{"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"}

var rules = map[string]func() ([]byte, error){
	"nmt_nfkc":    sync.OnceValues(func() ([]byte, error) { return BuildCharsMap(ruleMap(true, false)) }),
	"nfkc":        sync.OnceValues(func() ([]byte, error) { return BuildCharsMap(ruleMap(false, false)) }),
	"nmt_nfkc_cf": sync.OnceValues(func() ([]byte, error) { return BuildCharsMap(ruleMap(true, true)) }),
	"nfkc_cf":     sync.OnceValues(func() ([]byte, error) { return BuildCharsMap(ruleMap(false, true)) }),
	"identity":    func() ([]byte, error) { return nil, nil },
}

// NormalizationRule gives the precompiled charsmap of a rule: Unicode's NFKC, with "nmt" also special spaces and control characters,
// with "cf" also case folding, "identity" nothing. They are made from Unicode's tables and have the same rules as those of the C++
// library 0.2.3 (Unicode 17). The bytes are shared and must not be changed.
func NormalizationRule(name string) ([]byte, error) {
	f, ok := rules[name]
	if !ok {
		return nil, fmt.Errorf("unknown normalization rule %q: want one of %v", name, RuleNames)
	}
	return f()
}

// ruleMap gives the replacements of a rule.
func ruleMap(nmt, fold bool) map[string]string {
	m := nfkcMap()
	if nmt {
		addNMT(m)
	}
	if fold {
		addFold(m)
	}
	return withoutRedundant(m)
}

// nfkcMap maps what is not in NFKC to what is: characters, and sequences that compose. A sequence is one that some character
// decomposes to, each of its characters in all the forms that decompose to it.
func nfkcMap() map[string]string {
	m := map[string]string{}
	forms := map[rune][]rune{}           // single characters by the one that they decompose to
	sequences := map[string]struct{}{}   // decompositions of more than one character
	for r := range unicodeCharacters() { // ascending
		d := decompose(r)
		if d == "" {
			continue
		}
		s := string(r)
		if c := compose(d); c != s {
			m[s] = c
		}
		if first, n := utf8.DecodeRuneInString(d); n == len(d) {
			forms[first] = append(forms[first], r)
		} else {
			sequences[d] = struct{}{}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(sequences)) {
		c := compose(d)
		if c == d {
			continue
		}
		expanded := []string{""}
		for _, r := range d {
			var longer []string
			for _, e := range expanded {
				longer = append(longer, e+string(r))
				for _, f := range forms[r] {
					longer = append(longer, e+string(f))
				}
			}
			expanded = longer
		}
		for _, e := range expanded {
			if e != c {
				m[e] = c
			}
		}
	}
	return m
}

// withoutRedundant leaves out the rules whose result shorter rules give, too.
func withoutRedundant(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	shorter := func(a, b string) int { return cmp.Compare(utf8.RuneCountInString(a), utf8.RuneCountInString(b)) }
	for _, k := range slices.SortedFunc(maps.Keys(m), shorter) {
		if n := utf8.RuneCountInString(k); n == 1 || replaced(k, out, n-1) != m[k] {
			out[k] = m[k]
		}
	}
	return out
}

// replaced is what rules for at most most characters make of a text: at each place the one for the most characters is applied.
func replaced(s string, rules map[string]string, most int) string {
	var text []byte
	for s != "" {
		end := prefixOfRunes(s, most)
		v, ok := rules[s[:end]]
		for !ok {
			_, last := utf8.DecodeLastRuneInString(s[:end])
			if end == last {
				v = s[:end]
				break
			}
			end -= last
			v, ok = rules[s[:end]]
		}
		text, s = append(text, v...), s[end:]
	}
	return string(text)
}

// prefixOfRunes gives the length in bytes of the first n characters of s, or of s if it has fewer.
func prefixOfRunes(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// addNMT adds what SentencePiece's default rule has beyond NFKC: control characters are removed, special spaces become spaces.
func addNMT(m map[string]string) {
	for r := rune(1); r < ' '; r++ {
		m[string(r)] = ""
	}
	for _, r := range []rune{0x7f, 0x8f, 0x9f} {
		m[string(r)] = ""
	}
	for _, r := range "\t\n\f\r\u061c\u1680\u200b\u200c\u200e\u200f\u2028\u2029\u2581\ufeff\ufffd" {
		m[string(r)] = " "
	}
	delete(m, "\uff5e") // the full-width tilde, which in Japanese is another sign than the tilde
}

// addFold applies case folding to the replacements in m, and adds a rule for each other character that case folding changes.
func addFold(m map[string]string) {
	for k, v := range m {
		folded := ""
		for _, r := range v {
			folded += string(foldRune(r))
		}
		m[k] = folded
	}
	for r := range unicodeCharacters() {
		if _, ok := m[string(r)]; ok {
			continue
		}
		if f := foldRune(r); f != r {
			m[string(r)] = string(f)
		}
	}
}

// unicodeCharacters yields the code points from U+0001 to U+2FFFF without surrogates, in ascending order. No rule has characters above.
func unicodeCharacters() func(yield func(rune) bool) {
	return func(yield func(rune) bool) {
		for r := rune(1); r < 0x30000; r++ {
			if r >= 0xd800 && r < 0xe000 {
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// decompose is the full compatibility decomposition of a character, "" if it has none.
func decompose(r rune) string {
	if d, ok := newDecompositions()[r]; ok {
		return d
	}
	if d := norm.NFKD.String(string(r)); d != string(r) {
		return d
	}
	return ""
}

// compose is NFKC of a decomposition.
func compose(d string) string {
	if r, ok := newCompositions()[d]; ok {
		return string(r)
	}
	return norm.NFKC.String(d)
}

// newDecompositions gives the full decompositions that Unicode 16 and 17 have added (UnicodeData.txt): golang.org/x/text has those of
// Unicode 15.
var newDecompositions = sync.OnceValue(func() map[rune]string {
	m := map[rune]string{
		0xa7f1:  "S",
		0x105c9: "\U000105d2\u0307", 0x105e4: "\U000105da\u0307",
		0x11383: "\U00011382\U000113c9", 0x11385: "\U00011384\U000113bb", 0x1138e: "\U0001138b\U000113c2", 0x11391: "\U00011390\U000113c9",
		0x113c5: "\U000113c2\U000113c2", 0x113c7: "\U000113c2\U000113b8", 0x113c8: "\U000113c2\U000113c9",
		0x16121: "\U0001611e\U0001611e", 0x16122: "\U0001611e\U00016129", 0x16123: "\U0001611e\U0001611f", 0x16124: "\U00016129\U0001611f",
		0x16125: "\U0001611e\U00016120", 0x16126: "\U0001611e\U0001611e\U0001611f", 0x16127: "\U0001611e\U00016129\U0001611f",
		0x16128: "\U0001611e\U0001611e\U00016120",
		0x16d68: "\U00016d67\U00016d67", 0x16d69: "\U00016d63\U00016d67", 0x16d6a: "\U00016d63\U00016d67\U00016d67",
	}
	for i, r := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" {
		m[0x1ccd6+rune(i)] = string(r)
	}
	return m
})

// newCompositions gives the characters of newDecompositions by their decompositions, where these have more than one character.
var newCompositions = sync.OnceValue(func() map[string]rune {
	m := map[string]rune{}
	for r, d := range newDecompositions() {
		if len(d) > 1 {
			m[d] = r
		}
	}
	return m
})

// foldRune is simple case folding (CaseFolding.txt, C and S), with the letters of Unicode 16 and 17 that package unicode lacks.
func foldRune(r rune) rune {
	switch {
	case r == 'İ' || r == 'ı':
		return r
	case r >= 0x13a0 && r <= 0x13f5: // Cherokee folds to the capital letters, which are the older ones
		return r
	case r >= 0x13f8 && r <= 0x13fd:
		return r - 8
	case r >= 0xab70 && r <= 0xabbf:
		return r - 0xab70 + 0x13a0
	case r >= 0x10d50 && r <= 0x10d65: // Garay
		return r + 0x20
	case r >= 0x16ea0 && r <= 0x16eb8: // Beria Erfe
		return r + 0x1b
	}
	if f, ok := newFolds[r]; ok {
		return f
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

var newFolds = map[rune]rune{0x1c89: 0x1c8a, 0xa7cb: 0x264, 0xa7cc: 0xa7cd, 0xa7ce: 0xa7cf, 0xa7d2: 0xa7d3, 0xa7d4: 0xa7d5, 0xa7da: 0xa7db, 0xa7dc: 0x19b}
