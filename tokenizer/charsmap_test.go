package tokenizer

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCharsMapHasItsRules(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		want := map[string]string{}
		for range rnd.IntN(400) {
			k, v := "", ""
			for range 1 + rnd.IntN(5) {
				k += string(rune("abcé\u0301漢\U0001f600\xff"[0]) + rune(rnd.IntN(1<<uint(1+rnd.IntN(16)))))
			}
			for range rnd.IntN(4) {
				v += string(rune('a' + rnd.IntN(3)))
			}
			want[k] = v
		}
		blob, err := BuildCharsMap(want)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := BuildCharsMap(maps.Clone(want)); !bytes.Equal(blob, again) {
			t.Error("the same rules give other bytes")
		}
		if got := charsMapRules(t, blob); !maps.Equal(got, want) {
			t.Fatalf("round %d: %d rules, want %d", round, len(got), len(want))
		}
		c, err := parseCharsMap(blob)
		if err != nil {
			t.Fatal(err)
		}
		keys := slices.Sorted(maps.Keys(want))
		for range 200 {
			if len(keys) == 0 {
				break
			}
			text := keys[rnd.IntN(len(keys))]
			text = text[:rnd.IntN(len(text)+1)] + "x" + keys[rnd.IntN(len(keys))]
			longest := ""
			for _, k := range keys {
				if strings.HasPrefix(text, k) && len(k) > len(longest) {
					longest = k
				}
			}
			if got, n := c.longest(text); n != len(longest) || got != want[longest] {
				t.Fatalf("%q: %d bytes become %q, want %d and %q", text, n, got, len(longest), want[longest])
			}
		}
	}
}

func TestCharsMapRefusesWhatItCannotHold(t *testing.T) {
	many := map[string]string{}
	for n := range maxRules {
		many[strings.Repeat("a", n+1)] = fmt.Sprint(n)
	}
	for want, m := range map[string]map[string]string{
		"no empty text":           {"": "a"},
		"a zero byte":             {"a": "b\x00"},
		"begins with 31 other":    many,
		"zero byte in \"a\\x00\"": {"a\x00": "b"},
	} {
		if _, err := BuildCharsMap(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if blob, err := BuildCharsMap(nil); err != nil || blob != nil {
		t.Error("no rules:", blob, err)
	}
}

// TestLargeTrie has more states than an offset of one step reaches.
func TestLargeTrie(t *testing.T) {
	if testing.Short() {
		t.Skip("a trie of some million states")
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	seen := map[string]struct{}{}
	for len(seen) < 220000 {
		k := make([]byte, 4+rnd.IntN(20))
		for i := range k {
			k[i] = byte(1 + rnd.IntN(255))
		}
		seen[string(k)] = struct{}{}
	}
	keys := slices.Sorted(maps.Keys(seen))
	var values []trieKey
	for i, k := range keys {
		values = append(values, newTrieKey(k, uint32(i)))
	}
	d, err := newDoubleArray(values, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(d) < 1<<21 {
		t.Fatalf("%d states are too few to try it", len(d))
	}
	if err := d.check(len(keys)); err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if v, n := d.longest(k+"\x01", 1<<30); n < len(k) || n == len(k) && v != uint32(i) {
			t.Fatalf("key %d: value %d, length %d", i, v, n)
		}
	}
}

func TestPlainTextIsNormalisedAsAllOther(t *testing.T) {
	rules := must(BuildCharsMap(map[string]string{"e\u0301": "é", " \u0301": " x", "A": "a", "ff": "f", "\u2028": " ", "~\u0301": ""}))
	foreign := must(BuildCharsMap(map[string]string{"e\u0301": "é", " \u0301": " x", "\u2028": " "})) // none of ASCII alone
	parts := []string{"the", "word", " ", " ", "  ", "e", "A", "ff", "ab", " c", "(", "~", "\t", "\x7f", "\xff", "\u0301", "\u2028", "é", "."}
	for i, c := range []struct {
		rules []byte
		user  []trieKey
	}{{nil, nil}, {foreign, nil}, {rules, nil}, {rules, []trieKey{newTrieKey("(", 0), newTrieKey("ab", 1), newTrieKey(" c", 2)}}} {
		for _, collapse := range []bool{true, false} {
			spec := defaultNormalizer
			spec.CharsMap, spec.RemoveExtraWhitespaces = c.rules, collapse
			n := must(newNormalizer(&spec, c.user, false))
			slow := *n
			slow.plain, slow.plainSpace, slow.allPlain = [utf8.RuneSelf]bool{}, false, false
			r := rand.New(rand.NewPCG(uint64(i), 1))
			for range 300 {
				var b strings.Builder
				for size := []int{3, 10, 50, 5000}[r.IntN(4)]; b.Len() < size; {
					b.WriteString(parts[r.IntN(len(parts))])
				}
				for _, aligned := range []bool{true, false} {
					got, want := normal{aligned: aligned}, normal{aligned: aligned}
					n.normalize(b.String(), &got)
					slow.normalize(b.String(), &want)
					if string(got.text) != string(want.text) || !slices.Equal(got.from, want.from) {
						t.Fatalf("rules %d, %.200q: %.200q, want %.200q", i, b.String(), got.text, want.text)
					}
				}
			}
			at := strings.Repeat("x", 1<<12-1) // as much as is taken at once, less one
			for _, text := range []string{at + "e\u0301", at + " \u0301", at + "ae\u0301", at + " ", at + "  b"} {
				var got, want normal
				n.normalize(text, &got)
				slow.normalize(text, &want)
				if string(got.text) != string(want.text) {
					t.Errorf("rules %d: %q after %d letters is %q, want %q", i, text[len(at):], len(at), got.text[len(at):], want.text[len(at):])
				}
			}
		}
	}
}
