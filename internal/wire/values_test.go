package wire

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"albert/internal/files/stream"
)

// read gives the items of a text in short: the text, or "!" and the error, with the line.
func read(in, file string) string {
	var out []string
	for it := range Lines(iotest.OneByteReader(strings.NewReader(in)), file) {
		s := it.Text
		if it.Err != nil {
			s = "!" + it.Err.Error()
		}
		if it.ID != nil {
			s = string(it.ID) + "=" + s
		}
		out = append(out, fmt.Sprintf("%d:%s", it.Line, s))
	}
	return strings.Join(out, "|")
}

// A text is lines, a JSON list or JSON objects over several lines, whatever blanks stand before; what only looks like JSON stays a text, and what
// is JSON and broken is an error.
func TestFormsOfQuestions(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"[\n {\n  \"text\": \"a\"\n },\n {\n  \"text\": \"b\", \"id\": 7\n }\n]", "2:a|5:7=b"},
		{`[{"text": "a"}, "b", {"text": 3}, 4, null, ["c"]]`, `1:a|1:b|1:!"text" is a number, want a text|` +
			strings.TrimSuffix(strings.Repeat(`1:!an element of a JSON list is a text, or an object: want {"text": ...}|`, 3), "|")},
		{" \n\n\t[\"a\",\n\"b\"\n]\n \n", "3:a|4:b"},
		{"[]\n", ""},
		{"  {\"text\": \"a\"}\n\t{\"text\": \"b\"}\r\nc\n", "1:a|2:b|3:c"},
		{"\n {\"text\": \"a\"}\n", "1:|2:a"},
		{"{\n\"text\": \"a\"\n}\n{\"text\": \"b\"} {\n\"text\":\n\"c\"}", "1:a|4:b|4:c"},
		// Texts.
		{"[MASK] is a town.\n[1] Smith\n", "1:[MASK] is a town.|2:[1] Smith"},
		{"[1] Smith\n", "1:[1] Smith"},
		{"[[MASK] is\n", "1:[[MASK] is"},
		{"[\"Yes\", he said] and left\n", "1:[\"Yes\", he said] and left"},
		{"[\"Yes\n", "1:[\"Yes"},
		{"[\"a\"] or [\"b\"]\n", "1:[\"a\"] or [\"b\"]"},
		{"\n\n", "1:|2:"},
		{"", ""},
		{"a\n[\"b\"]\n", "1:a|2:[\"b\"]"},
		// Broken.
		{"[{\"text\": \"a\"}, {broken}]", "1:a|1:!JSON list, element 2: invalid character 'b' looking for beginning of object key string"},
		{"[{broken}]", "1:!JSON list, element 1: invalid character 'b' looking for beginning of object key string"},
		{"[\n{\"text\": \"a\"},\n{\"text\": ", "2:a|3:!JSON list, element 2: cut short: the file ends in the middle"},
		{"[{\"text\": \"a\"}", "1:a|1:!JSON list, element 2: cut short: the file ends in the middle"},
		{"[\"a\"]\n[\"b\"]\n", "1:a|2:!text after the JSON list"},
		{"{\n\"text\": \"a\"\nno", "1:!JSON objects, element 1: invalid character 'n' after object key:value pair"},
		{"{\"text\": \"a\"\n{\"text\": \"b\"}\n", "1:!broken JSON: unexpected EOF|2:b"},
		{"{\"text\": \"a\n{\"text\": \"b\"}\n", "1:!broken JSON: unexpected EOF|2:b"},
		{"{broken\nb\n", "1:!broken JSON: invalid character 'b' looking for beginning of object key string|2:b"},
	} {
		got := read(c.in, "f")
		if got != c.want {
			t.Errorf("%q:\n%s, want\n%s", c.in, got, c.want)
		}
	}
}

// Who asks through a pipe line by line has the answer to a blank line before the next one.
func TestABlankLineOfAPipeIsNotHeldBack(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	go io.WriteString(w, "\n")
	for it := range Lines(r, "") {
		if it.Text != "" || it.Line != 1 {
			t.Errorf("%+v", it)
		}
		break
	}
	if got := read("\n[\"a\"]", ""); got != "1:|2:a" {
		t.Error(got)
	}
}

// repeated gives head, n times body, and tail.
type repeated struct {
	head, body, tail string
	n                int
	rest             string
}

func (r *repeated) Read(p []byte) (int, error) {
	for r.rest == "" {
		switch {
		case r.head != "":
			r.rest, r.head = r.head, ""
		case r.n > 0:
			r.rest = r.body
			r.n--
		case r.tail != "":
			r.rest, r.tail = r.tail, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// A list is not held in memory, be it all on one line.
func TestAListIsStreamed(t *testing.T) {
	const n = 30_000
	body := `{"text": "` + strings.Repeat("x", 1000) + `"}, `
	var m runtime.MemStats
	count, most := 0, uint64(0)
	for it := range Lines(&repeated{head: "[", body: body, n: n, tail: `"end"]`}, "f") {
		if it.Err != nil {
			t.Fatal(it.Err)
		}
		if count++; count%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if count != n+1 || most > 20<<20 {
		t.Errorf("%d items, up to %d MB", count, most>>20)
	}
	maxValue = 1 << 20
	defer func() { maxValue = stream.MaxLine }()
	for it := range Lines(&repeated{head: `["`, body: strings.Repeat("x", 1<<10), n: 1 << 30}, "f") {
		if !errors.Is(it.Err, errLongValue) {
			t.Error(it.Err)
		}
	}
}

// Bytes that are no UTF-8 are no question: of what they stand for nothing is known. A U+FFFD that somebody wrote is one.
func TestOtherEncodingsAreNamed(t *testing.T) {
	const in = "caf\xe9 cr\xe8me\nplain\n{\"id\": 1, \"text\": \"caf\xe9\"}\na \uFFFD\n"
	want := "1:!not UTF-8: byte 0xE9 after 3 characters (of a file in another encoding: convert it to UTF-8)|2:plain|" +
		"3:1=!not UTF-8: byte 0xE9 after 22 characters (of a file in another encoding: convert it to UTF-8)|4:a \uFFFD"
	if got := read(in, "f"); got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
	if got := read("[\"a\", \"caf\xe9\", {\"text\": \"\xe9\"}]", "f"); strings.Count(got, "!not UTF-8: byte 0xE9") != 2 {
		t.Error(got)
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"a\nb", `["a", {"text": "b"}]`, "[\n{\n\"text\": \"a\"}\n]", "{\n\"text\": \"a\"}\n{}", "\n [MASK]", "[1] a"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, in string, named bool) {
		n, lines := 0, strings.Count(in, "\n")+1
		for it := range Lines(strings.NewReader(in), map[bool]string{true: "f"}[named]) {
			if n++; it.Line < 1 || it.Line > lines {
				t.Errorf("line %d of %d", it.Line, lines)
			}
			if _, err := answerLine(it, []int{1}, false, it.Err); err != nil {
				t.Error(err)
			}
		}
	})
}
