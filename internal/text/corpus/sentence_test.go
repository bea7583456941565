package corpus

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Each text has a bar where a sentence ends.
var splits = []struct{ name, text string }{
	{"plain", "He came.| He saw.| He won."},
	{"question and exclamation", "Is it so?| It is!| Good."},
	{"several marks", "What?!| No!!| Really...?| Yes."},
	{"title", "Mr. Smith and Mrs. Jones met Dr. Watson.| They spoke."},
	{"title in capitals", "MR. AND MRS. SMITH MET DR. WATSON.| THEY SPOKE."},
	{"military title", "Col. Newcome and Lieut. Grey saluted Gen. Lee.| He smiled."},
	{"french title", "M. Dupont greeted Mme. Bovary.| She bowed."},
	{"saint", "St. Paul's stands in St. James's.| It is old."},
	{"street", "He lives in Elm St.| His house is old."},
	{"initials", "J. R. R. Tolkien wrote it.| H. G. Wells did not."},
	{"initials together", "J.R.R. Tolkien wrote it.| E.B. White read it."},
	{"initial before a starter", "He lacks vitamin C.| This is bad."},
	{"the pronoun I", "You are older than I.| Tom is younger."},
	{"an initial I", "It was found by I. Newton in a garden."},
	{"king", "He served Charles V.| He was rewarded."},
	{"for example", "Use a fruit, e.g. Granny Smith apples, i.e. sour ones.| Then bake."},
	{"etc. at the end", "Bring pens, paper, etc.| Bob has glue."},
	{"etc. within", "Pens, paper, etc. are here.| Take some."},
	{"versus", "It was Smith vs. Jones again.| Jones won."},
	{"et al.", "See Smith et al. (2019) for more.| It is long."},
	{"compare", "It fails, cf. Jones, for small n.| Try more."},
	{"U.S. within", "The U.S. Army came.| It left."},
	{"U.S. at the end", "He went to the U.S.| He stayed there."},
	{"D.C.", "She moved to Washington, D.C.| The city was hot."},
	{"degree", "Jane Roe, Ph.D., and John Doe, M.D., came.| We met."},
	{"company", "Acme Inc. Chairman Bob Roe left Foo Ltd. yesterday.| It fell."},
	{"company at the end", "He founded Acme Co.| It grew."},
	{"junior", "Martin Luther King Jr. was here.| We heard him."},
	{"number", "See No. 5 and no. 7.| They differ."},
	{"no as an answer", "Did he go?| No.| I asked him."},
	{"figure", "As Fig. 3 and Figs. 4a show, Eq. (5) holds.| Proof follows."},
	{"volume", "Read vol. II, ch. IV, pp. 3-9.| It is good."},
	{"art is a word", "He loved art.| The museum was free."},
	{"arts before I", "He was a Bachelor of Arts.| I suppose so."},
	{"sat is a word", "He sat.| Then he stood."},
	{"month", "On Jan. 5 and Sept. 12 it rained.| We stayed."},
	{"month at the end", "It will be done by Dec.| Nobody believes it."},
	{"hour", "It starts at 5 p.m. Monday.| Come early."},
	{"hour at the end", "We woke at 6 a.m.| Breakfast was cold."},
	{"decimals", "It costs 3.14 dollars.| That is 2.5 % more."},
	{"year", "He died in 1914.| War came."},
	{"number begins a sentence", "He left.| 3 men came."},
	{"enumeration", "1. Mix the flour.| 2. Add the eggs."},
	{"enumeration with letters", "A. The first answer.| B. The second."},
	{"chapter", "IV. Of wealth.| It is scarce."},
	{"quotes", "“I am here.”| “Are you?”| “Yes.”"},
	{"straight quotes", "\"I am here.\"| \"Are you?\"| 'Yes.'"},
	{"quote goes on in lower case", "“Come here!” he said.| She came."},
	{"quote and a name that speaks", "“Come here!” John said.| She came."},
	{"quote and I", "\"Why?\" I asked.| He was silent."},
	{"quote and a titled name", "“Why?” Mr. Smith asked.| He was silent."},
	{"quote and a full name", "“Why?” Robert Audley asked.| He was silent."},
	{"quote and another sentence", "“Come here!”| The door opened."},
	{"quote within", "He asked, 'Why?' and left.| She stayed."},
	{"brackets", "(He left.)| Then she left (it was late).| Bye."},
	{"brackets within", "He (Mr. Roe) left [sic].| She stayed."},
	{"footnote", "It is known.[3]| It was proved.[12][13]| So there."},
	{"ellipsis within", "He paused... and went on.| Well... I think so.| Yes… perhaps."},
	{"ellipsis at the end", "He paused...| Then he left.| So…| We wait."},
	{"spaced ellipsis", "It was . . . and then . . . nothing.| So it ended."},
	{"dash", "“Stop!” — cried he.| He ran."},
	{"dash before a sentence", "Yes.| — No, never."},
	{"no space", "See example.com or file.go for v1.2.Then read."},
	{"lower case throughout", "he came. |she saw? |mr. smith won at 5 p.m. |they left."},
	{"abbreviated names", "Wm. Shakespeare and Geo. Washington never met.| Pity."},
	{"wide marks", "今日は。|元気ですか？|はい！|そう"},
	{"accents", "Élan vital.| Était-ce vrai?| Ça va."},
	{"nothing to split", "A heading without a stop"},
	{"only marks", "..."},
	{"empty", "   "},
}

func TestSplit(t *testing.T) {
	for _, c := range splits {
		var want []string
		for part := range strings.SplitSeq(c.text, "|") {
			if part = strings.TrimSpace(part); part != "" {
				want = append(want, part)
			}
		}
		if got := Split(strings.ReplaceAll(c.text, "|", "")); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
	}
}

// Spaces are collapsed; nothing else of a paragraph is lost or changed.
func TestSplitKeepsText(t *testing.T) {
	for _, c := range splits {
		checkSplit(t, c.text)
	}
	if got := Split("  One.\t Two. \n Three  goes on? "); !slices.Equal(got, []string{"One.", "Two.", "Three goes on?"}) {
		t.Errorf("%q", got)
	}
}

func checkSplit(t *testing.T, text string) {
	t.Helper()
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	got := Split(text)
	if squeeze(strings.Join(got, "")) != squeeze(text) {
		t.Errorf("%q became %q", text, got)
	}
	for _, s := range got {
		if s == "" || s != strings.TrimSpace(s) || len(s) > maxSentence+utf8.UTFMax || utf8.ValidString(text) && !utf8.ValidString(s) {
			t.Errorf("a sentence %q of %q", s, text)
		}
	}
}

// Text without full stops does not become one endless sentence.
func TestSplitLongSentence(t *testing.T) {
	checkSplit(t, strings.Repeat("word ", 5000))
	checkSplit(t, strings.Repeat("ü", 50000))
	if n := len(Split(strings.Repeat("word ", 5000))); n < 6 || n > 7 {
		t.Errorf("%d sentences of 25,000 bytes", n)
	}
}

func FuzzSplit(f *testing.F) {
	for _, c := range splits {
		f.Add(c.text)
	}
	f.Fuzz(checkSplit)
}

func TestParagraphs(t *testing.T) {
	wrapped := strings.Split(`It was the best of times, it was the worst of times, it was the
age of wisdom, it was the age of foolishness, it was the epoch of
belief, it was the epoch of incredulity.
CHAPTER II
In short, the period was so far like the present period, that some
of its noisiest authorities insisted on its being received, for good
or for evil, in the superlative degree of comparison only.`, "\n")
	got := paragraphs(wrapped)
	want := []string{strings.Join(wrapped[:3], " "), wrapped[3], strings.Join(wrapped[4:], " ")}
	if !slices.Equal(got, want) {
		t.Errorf("hard-wrapped lines became\n%q", got)
	}
	for name, lines := range map[string][]string{
		"sentences, one a line":       {"The first sentence of this text is here.", "Another sentence follows it on its own line.", "Then there is a third one, longer than them.", "And a last one that ends it, not in the middle."},
		"titles, one a line":          {"A Tale of Two Cities", "Great Expectations", "The Old Curiosity Shop and Other Stories of London", "Hard Times"},
		"lower case, no full stops":   {"a man plays a guitar", "two dogs run on a beach in the sun", "a woman is cooking dinner", "people are waiting for a train at a very old station"},
		"long paragraphs":             {strings.Repeat("word ", 50), strings.Repeat("word ", 60), "short"},
		"one line":                    {"It was the best of times, it was the worst of times, it was the"},
		"two sentences of one length": {"The quick brown fox jumps over the lazy dog today.", "The quick brown fox jumps over the lazy cat today."},
	} {
		if got := paragraphs(lines); !slices.Equal(got, lines) {
			t.Errorf("%s: became %q", name, got)
		}
	}
}
