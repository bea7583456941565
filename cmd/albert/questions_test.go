package main

import (
	"os"
	"strings"
	"testing"
)

// Questions in the forms in which people have them: the same answers as one text a line.
func TestQuestionsInEveryForm(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	write := func(name, text string) string {
		t.Helper()
		if err := os.WriteFile(in(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return in(name)
	}
	want := must(t, "embed", in("run"), "the reader opens", "a writer")
	for name, text := range map[string]string{
		"list.json":   "[\n {\n  \"text\": \"the reader opens\"\n },\n {\n  \"text\": \"a writer\"\n }\n]",
		"texts.json":  `["the reader opens", "a writer"]`,
		"blank.jsonl": " {\"text\": \"the reader opens\"}\n \t{\"text\": \"a writer\"}\n",
		"objects":     "\n{\n\"text\": \"the reader opens\"\n}\n{\n\"text\": \"a writer\"\n}\n",
	} {
		if got := must(t, "embed", in("run"), "--input", write(name, text)); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if got, stderr, status := runOutput(t, strings.TrimSpace(text), "embed", in("run")); got != want || status != 0 {
			t.Errorf("%s from stdin: status %d, %s", name, status, stderr)
		}
		ids := must(t, "tokenizer", "encode", "--model", in("run"), "--input-format", "auto", in(name))
		if want := must(t, "tokenizer", "encode", "--model", in("run"), write("lines", "the reader opens\na writer\n")); ids != want && name != "objects" {
			t.Errorf("%s: encoded %s, want %s", name, ids, want)
		}
	}
	if got, want := must(t, "fill", in("run"), "--input", write("text", "[MASK] is here\n")), must(t, "fill", in("run"), "[MASK] is here"); got != want {
		t.Errorf("a text that begins with [MASK]: %s", got)
	}
	for name, c := range map[string]struct{ text, want string }{
		"cut.json":   {`[{"text": "a"}, {"text": `, `{"error":"JSON list, element 2: cut short: the file ends in the middle","line":1,"file":"`},
		"broken":     {"{\n\"text\": \"a\"\n", `{"error":"JSON objects, element 1: cut short: the file ends in the middle","line":1`},
		"latin1.txt": {"plain\ncaf\xe9 cr\xe8me\n", `{"error":"not UTF-8: byte 0xE9 after 3 characters (of a file in another encoding: convert it to UTF-8)","line":2`},
	} {
		status, out, errs := call(t, "embed", in("run"), write(name, c.text))
		if status != 1 || !strings.Contains(out, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %s%s, want %s", name, status, out, errs, c.want)
		}
	}
	if _, stderr, status := runOutput(t, "caf\xe9\n", "tokenizer", "encode", "--model", tokenizerModel); status != 0 || !strings.HasPrefix(stderr, "warning: 1 lines are not all UTF-8") {
		t.Errorf("encode: status %d, %s", status, stderr)
	}
}

// A mask that is cut off is an error that says which one: there would be an answer for fewer masks, or "no [MASK]".
func TestMasksThatAreCutOff(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	long := strings.Repeat("the reader opens ", 30)
	for text, want := range map[string]string{
		long + "[MASK]":                        "[MASK] 1 of 1 was cut off: the text is longer than the model takes (48 pieces)",
		"[MASK] and " + long + "[MASK] [MASK]": "[MASK] 2, 3 of 3 was cut off",
		`{"text": "` + long + `", "text_pair": "` + long + `[MASK]"}`: "[MASK] 1 of 1 was cut off",
		long: "no [MASK] in the text",
	} {
		status, out, _ := call(t, "fill", in("run"), text)
		if status != 1 || !strings.Contains(out, want) || !strings.HasPrefix(out, `{"error":`) {
			t.Errorf("%.20s...: status %d, %s, want %s", text, status, out, want)
		}
	}
	if status, out, _ := call(t, "fill", in("run"), "[MASK] "+long); status != 0 || !strings.Contains(out, `"truncated":true`) {
		t.Errorf("a mask that is kept: status %d, %s", status, out)
	}
}
