// Package pystring is what Python's str does with characters, where code that is compared with Python's must do the same: ALBERT's clean-up
// of text and the SQuAD scripts. Its tables are Go's (Unicode 15); Python 3.12 has the same.
package pystring

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsSpace tells whether str.split and str.strip take a character for white space: Go's [unicode.IsSpace] and four separators of ASCII.
func IsSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// IsDigit is str.isdigit for one character: those with a digit value, the decimal ones and superscripts, circled ones and the like.
func IsDigit(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9'
	}
	return unicode.Is(unicode.Nd, r) || unicode.Is(digitForms, r)
}

// digitForms have a digit value and are not decimal (UnicodeData.txt, field 7 without field 6).
var digitForms = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0xb2, 0xb3, 1}, {0xb9, 0xb9, 1}, {0x1369, 0x1371, 1}, {0x19da, 0x19da, 1}, {0x2070, 0x2070, 1}, {0x2074, 0x2079, 1},
		{0x2080, 0x2089, 1}, {0x2460, 0x2468, 1}, {0x2474, 0x247c, 1}, {0x2488, 0x2490, 1}, {0x24ea, 0x24ea, 1}, {0x24f5, 0x24fd, 1},
		{0x24ff, 0x24ff, 1}, {0x2776, 0x277e, 1}, {0x2780, 0x2788, 1}, {0x278a, 0x2792, 1},
	},
	R32: []unicode.Range32{
		{0x10a40, 0x10a43, 1}, {0x10e60, 0x10e68, 1}, {0x11052, 0x1105a, 1}, {0x1f100, 0x1f10a, 1},
	},
	LatinOffset: 2,
}

// IsPunctuation tells whether a character is one of string.punctuation: what ASCII has that is neither letter nor digit nor space.
func IsPunctuation(r rune) bool {
	return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
}

// Lower is str.lower. Bytes that are not UTF-8 become U+FFFD.
func Lower(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == 'Σ' {
			b.WriteRune(LowerSigma([]byte(s), i))
		} else {
			b.WriteString(LowerRune(r))
		}
	}
	return b.String()
}

// LowerRune is str.lower for one character on its own.
func LowerRune(r rune) string {
	if r == 'İ' {
		return "i\u0307"
	}
	return string(unicode.ToLower(r))
}

// LowerSigma gives what str.lower makes of the capital sigma at s[i:]: the form for the end of a word if a letter stands before it and none
// after it, signs such as apostrophes not counted (The Unicode Standard, section 3.13, Final_Sigma).
func LowerSigma(s []byte, i int) rune {
	before, _ := utf8.DecodeLastRune(bytes.TrimRightFunc(s[:i], isCaseIgnorable))
	after, _ := utf8.DecodeRune(bytes.TrimLeftFunc(s[i+len("Σ"):], isCaseIgnorable))
	if isCased(before) && !isCased(after) {
		return 'ς'
	}
	return 'σ'
}

// isCased is Unicode's derived property Cased.
func isCased(r rune) bool {
	return unicode.IsLower(r) || unicode.IsUpper(r) || unicode.IsTitle(r) || unicode.In(r, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// isCaseIgnorable is Unicode's derived property Case_Ignorable.
func isCaseIgnorable(r rune) bool {
	// The word-break classes MidLetter, MidNumLet and Single_Quote.
	if strings.ContainsRune("'.:·\u0387\u055f\u05f4‘’․‧︓﹒﹕＇．：", r) {
		return true
	}
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk)
}
