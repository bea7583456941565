package corpus

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
)

// write makes files, given as name and content, in a new directory.
func write(t testing.TB, files ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// read gives the documents of inputs, their sentences with bars between them.
func read(o ReadOptions, inputs ...string) (docs []string, counts Counts, err error) {
	for d, err := range Documents(context.Background(), inputs, o, &counts) {
		if err != nil {
			return docs, counts, err
		}
		docs = append(docs, strings.Join(d.Sentences, "|"))
	}
	return docs, counts, nil
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func zstded(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func tarred(files ...string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, Typeflag: tar.TypeReg})
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.String()
}

func parquetOf[T any](rows []T) string {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(3), parquet.Compression(&parquet.Zstd))
	if _, err := w.Write(rows); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

const squadJSON = `{"version": "1.1", "data": [{"title": "A", "paragraphs": [
	{"context": "One here. Two here.", "qas": [{"id": "1", "question": "Q?", "answers": []}]},
	{"context": "Three here.", "qas": []}, {"context": "One here. Two here.", "qas": []}]}]}`

type textRow struct {
	ID   int64  `parquet:"id"`
	Text string `parquet:"text"`
}

func textRows(n int) (rows []textRow) {
	for i := range n {
		rows = append(rows, textRow{int64(i), fmt.Sprintf("Row %d is here. It ends.", i)})
	}
	return rows
}

// Every kind of input gives its documents, told by content, whatever the file is called.
func TestDocuments(t *testing.T) {
	plain := "One. Two.\nThree here\n\n \n\nFour!\r\n"
	want := []string{"One.|Two.|Three here", "Four!"}
	race := func(article string) string {
		return fmt.Sprintf(`{"article": %q, "questions": ["Q?"], "options": [["a"]], "answers": ["A"], "id": "x"}`, article)
	}
	rows := []string{"Row 0 is here.|It ends.", "Row 1 is here.|It ends."}
	for _, c := range []struct {
		name, content string
		want          []string
	}{
		{"text", plain, want},
		{"no newline at the end", strings.TrimSpace(plain), want},
		{"byte order mark", "\ufeff" + plain, want},
		{"gzip", zipped(plain), want},
		{"two gzip members", zipped("One. Two.\n") + zipped("Three here\n\nFour!"), want},
		{"zstd", zstded(plain), want},
		{"zstd in gzip", zipped(zstded(plain)), want},
		{"tar", tarred("b/x.txt", "One. Two.\nThree here", "b/.hidden", "no", "a.txt", "Four!"), want},
		{"tar.gz", zipped(tarred("b/x.txt", "One. Two.\nThree here", "a.txt.gz", zipped("Four!"))), want},
		{"JSONL", "{\"id\": 1, \"text\": \"One. Two.\\nThree here\"}\n\n{\"text\": \"Four!\", \"meta\": {\"a\": [1, {}]}}\n{\"text\": null}", want},
		{"JSONL with a paragraph break", `{"text": "One. Two.\n\nThree here"}` + "\n" + `{"text":"Four!"}`, want},
		{"JSONL with a column data", `{"data": [{"a": 1}, "b", 3], "text": "One. Two.\nThree here"}` + "\n" + `{"data": {"x": []}, "text": "Four!"}` + "\n" + `{"data": 1, "text": ""}`, want},
		{"list of rows", "[\n{\"text\": \"One. Two.\\nThree here\"},\n{\"text\": \"Four!\"}\n]", want},
		{"rows over several lines", "{\n\"text\":\n\"One. Two.\\nThree here\"\n}\n{\"text\": \"Four!\"\n}", want},
		{"SQuAD", squadJSON, []string{"One here.|Two here.", "Three here."}},
		{"SQuAD without line breaks", strings.ReplaceAll(squadJSON, "\n", ""), []string{"One here.|Two here.", "Three here."}},
		{"rows of SQuAD", `{"id": 1, "context": "One here.", "question": "Q?"}` + "\n" + `{"id": 2, "context": "One here.", "question": "R?"}`, []string{"One here."}},
		{"RACE", race("One here.") + "\n" + race("Two here.") + "\n" + race("One here."), []string{"One here.", "Two here."}},
		{"RACE archive", zipped(tarred("RACE/train/high/1.txt", race("One here."), "RACE/train/high/2.txt", race("Two here."))), []string{"One here.", "Two here."}},
		{"Parquet", parquetOf(textRows(2)), rows},
		{"text that begins with a bracket", "[Illustration]\n\n{\\rtf1 it is not JSON.}", []string{"[Illustration]", "{\\rtf1 it is not JSON.}"}},
		{"nothing", "", nil},
		{"blank lines", " \n\n\t\n", nil},
	} {
		dir := write(t, "input", c.content)
		got, counts, err := read(ReadOptions{}, filepath.Join(dir, "input"))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
		if counts.Documents != int64(len(c.want)) || counts.Files != 1 || counts.Read < int64(len(c.content)) {
			t.Errorf("%s: %+v", c.name, counts)
		}
		if strings.HasPrefix(c.name, "Parquet") {
			continue
		}
		// The same from stdin, a byte at a time.
		got, _, err = read(ReadOptions{Stdin: iotest.OneByteReader(strings.NewReader(c.content))})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v from stdin; want %q", c.name, got, err, c.want)
		}
	}
}

func TestDocumentsOptions(t *testing.T) {
	dir := write(t, "a", "It is. It was.\n  two \n\nthree", "b", `{"body": "One. Two.", "text": "no"}`, "c.parquet", parquetOf(textRows(7)))
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		o     ReadOptions
		input string
		want  []string
	}{
		{ReadOptions{Sentences: SentencesLines}, "a", []string{"It is. It was.|two", "three"}},
		{ReadOptions{TextColumn: "body"}, "b", []string{"One.|Two."}},
	} {
		if got, _, err := read(c.o, in(c.input)); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, %v; want %q", c.o, got, err, c.want)
		}
	}
	if got, _, err := read(ReadOptions{}, in("c.parquet")); err != nil || len(got) != 7 || got[6] != "Row 6 is here.|It ends." {
		t.Errorf("three row groups: %q, %v", got, err)
	}
}

// A directory's files come by byte order of their paths; links are followed, hidden files left out.
func TestDirectory(t *testing.T) {
	dir := write(t, "d/b.txt", "B.", "d/a/z.txt", "Z.", "d/a.txt", "A.", "d/.hidden", "no", "d/.git/x", "no", "other/l.txt", "L.")
	if err := os.Symlink(filepath.Join(dir, "other"), filepath.Join(dir, "d", "link")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join(dir, "other", "l.txt"), filepath.Join(dir, "d", "c.txt")); err != nil {
		t.Fatal(err)
	}
	got, _, err := read(ReadOptions{}, filepath.Join(dir, "d"), filepath.Join(dir, "other", "l.txt"))
	if want := []string{"A.", "Z.", "B.", "L.", "L.", "L."}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if err := os.Symlink(filepath.Join(dir, "d"), filepath.Join(dir, "d", "circle")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := read(ReadOptions{}, filepath.Join(dir, "d")); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle of links: %v", err)
	}
}

// Text is the same in every encoding and with every line end; of Latin-1, which cannot be told, bytes are replaced and counted.
func TestEncodingsAndLineEnds(t *testing.T) {
	want := []string{"Größe hat er.|Ein Satz.", "zwölf."}
	for _, end := range []string{"\n", "\r\n", "\r"} {
		for name, text := range map[string]string{"text": "Größe hat er.\nEin Satz.\n\nzwölf.\n",
			"JSONL": "{\"text\": \"Größe hat er. Ein Satz.\"}\n{\"text\": \"zwölf.\"}\n"} {
			text = strings.ReplaceAll(text, "\n", end)
			for _, in := range []string{text, "\ufeff" + text, string(inUTF16(text, false)), string(inUTF16(text, true)), string(inUTF16("\ufeff"+text, false)),
				string(inUTF16("\ufeff"+text, true))} {
				docs, _, err := read(ReadOptions{}, filepath.Join(write(t, "input", in), "input"))
				if err != nil || !slices.Equal(docs, want) {
					t.Errorf("%s, %q, %q: %q, %v", name, end, in[:4], docs, err)
				}
			}
			_, counts, err := read(ReadOptions{}, filepath.Join(write(t, "input", strings.NewReplacer("ö", "\xf6", "ß", "\xdf").Replace(text)), "input"))
			if err != nil || counts.InvalidUTF8 != 3 {
				t.Errorf("%s in Latin-1: %d bytes, %v", name, counts.InvalidUTF8, err)
			}
		}
	}
}

func inUTF16(text string, big bool) (b []byte) {
	for _, u := range utf16.Encode([]rune(text)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

// What cannot be read is one clear line with the place.
func TestBadInput(t *testing.T) {
	long := strings.Repeat("Some text that is here. ", 1000)
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(i*i*7+i>>3)%250 + 1
	}
	for _, c := range []struct{ name, content, want string }{
		{"binary", "ab\x00\x01", "a binary file, not text (byte 2 is zero)"},
		{"noise", string(random), "not text in UTF-8"},
		{"controls", strings.Repeat("\x01a\x02", 100), "control characters"},
		{"late zero", strings.Repeat(long+"\n", 4) + "ab\x00", "input:5: a zero byte: not text"},
		{"half of UTF-16", "\xff\xfea\x00\x00\xd8", "UTF-16: half a character"},
		{"Latin-1", strings.Repeat("\xe4\xf6\xfc\xdf", 9), "Latin-1?): convert it: iconv -f latin1 -t utf-8"},
		{"zip", "PK\x03\x04abc", "a zip archive"},
		{"PDF", "%PDF-1.4\n", "a PDF"},
		{"truncated gzip", zipped(long)[:100], "gzip: cut short"},
		{"damaged gzip", strings.Replace(zipped(long), zipped(long)[30:34], "abcd", 1), "gzip: damaged"},
		{"truncated zstd", zstded(long)[:30], "zstd: cut short"},
		{"damaged zstd", zstded(long)[:10] + "abc" + zstded(long)[13:], "zstd: "},
		{"truncated tar", tarred("a", long)[:5000], "cut short"},
		{"gzip in gzip in gzip ...", zipped(zipped(zipped(zipped(zipped("a"))))), "packed more than 4 times"},
		{"broken JSONL", "{\"text\": \"a\"}\n\n{\"text\": \"b\",}\n", "input:3: broken JSON"},
		{"JSONL cut short", "{\"text\": \"a\"}\n{\"text\": \"b", "input:2: broken JSON: the file ends in the middle"},
		{"JSONL with a number", "{\"text\": \"a\"}\n7", "input:2: not an object"},
		{"list cut short", "[\n{\"text\": \"a\"},\n", "broken JSON: the file ends in the middle"},
		{"no such column", "{\"text\": \"a\"}\n{\"b\": 1, \"a\": \"x\"}", `input:2: no column "text"; there are "a", "b": choose with --text-column`},
		{"column of numbers", `{"text": 3}`, `column "text" is not a string`},
		{"SQuAD without context", `{"data": [{"paragraphs": [{"qas": []}]}]}`, `without "context"`},
		{"SQuAD cut short", squadJSON[:len(squadJSON)-8], "broken JSON: the file ends in the middle"},
		{"Parquet without the column", parquetOf([]struct{ B, A string }{{"x", "y"}}), `no column "text"; there are "A", "B"`},
		{"Parquet with numbers", parquetOf([]struct {
			Text int64 `parquet:"text"`
		}{{1}}), `column "text" is not a string`},
		{"Parquet cut short", parquetOf(textRows(9))[:200], "Parquet: "},
		{"Parquet without end", "PAR1", "Parquet: "},
	} {
		dir := write(t, "input", c.content)
		_, _, err := read(ReadOptions{}, filepath.Join(dir, "input"))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Join(dir, "input")) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	dir := write(t, "empty/.x", "")
	for _, in := range []string{filepath.Join(dir, "nothing"), filepath.Join(dir, "empty")} {
		if _, _, err := read(ReadOptions{}, in); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("%s: %v", in, err)
		}
	}
	broken := errors.New("the cable is out")
	if _, _, err := read(ReadOptions{Stdin: io.MultiReader(strings.NewReader(long), iotest.ErrReader(broken))}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "stdin") {
		t.Errorf("a failing reader: %v", err)
	}
	if _, _, err := read(ReadOptions{Stdin: strings.NewReader(parquetOf(textRows(1)))}); err == nil || !strings.Contains(err.Error(), "Parquet") {
		t.Errorf("Parquet from stdin: %v", err)
	}
}

// Bytes that are not UTF-8 are replaced and counted, also where they stand at the edge of a buffer.
func TestInvalidUTF8(t *testing.T) {
	good := strings.Repeat("Grüße an alle. ", 10_000)
	text := good + "\xff\xfe x\n" + good + "\xe2\x82 y\xc3"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text))} {
		docs, counts, err := read(ReadOptions{Stdin: r, Sentences: SentencesLines})
		want := strings.TrimSpace(good) + " \ufffd\ufffd x|" + strings.TrimSpace(good) + " \ufffd\ufffd y\ufffd"
		if err != nil || counts.InvalidUTF8 != 5 || len(docs) != 1 || docs[0] != want {
			t.Errorf("%s: %+v, %v, %d documents", name, counts, err, len(docs))
		}
	}
	dir := write(t, "p", parquetOf([]textRow{{1, "a\xff b."}}), "j", "{\"text\": \"a\xff b.\"}")
	for _, f := range []string{"p", "j"} {
		docs, counts, err := read(ReadOptions{}, filepath.Join(dir, f))
		if err != nil || counts.InvalidUTF8 != 1 || len(docs) != 1 || docs[0] != "a\ufffd b." {
			t.Errorf("%s: %q, %+v, %v", f, docs, counts, err)
		}
	}
}

// A document without end is cut into pieces of bounded size, at lines or words, and nothing is lost.
func TestHugeDocument(t *testing.T) {
	const words = 800_000
	line := strings.Repeat("wordy ", 20)
	for name, text := range map[string]string{
		"one line": strings.Repeat("wordy ", words),
		"lines":    strings.Repeat(line+"\n", words/20),
		"JSON":     `{"text": "` + strings.Repeat(line+`\n`, words/20) + `"}`,
	} {
		got, docs := 0, 0
		var counts Counts
		for d, err := range Documents(t.Context(), nil, ReadOptions{Stdin: strings.NewReader(text)}, &counts) {
			if err != nil {
				t.Fatal(name, err)
			}
			size := 0
			for _, s := range d.Sentences {
				got += strings.Count(s, "wordy")
				size += len(s)
			}
			if docs++; size > maxDocument {
				t.Errorf("%s: a document of %d bytes", name, size)
			}
		}
		if got != words || docs != 3 || counts.Cut != int64(docs-1) {
			t.Errorf("%s: %d words, %d documents, %+v", name, got, docs, counts)
		}
	}
	// Nor does a word without end take memory without end.
	docs, _, err := read(ReadOptions{Stdin: strings.NewReader(strings.Repeat("ü", 3<<20)), Sentences: SentencesLines})
	if err != nil || len(docs) != 3 || strings.Count(strings.Join(docs, ""), "ü") != 3<<20 {
		t.Errorf("%d documents, %v", len(docs), err)
	}
}

func TestDocumentsStop(t *testing.T) {
	n := 0
	for range Documents(t.Context(), nil, ReadOptions{Stdin: strings.NewReader("a.\n\nb.\n\nc.")}, nil) {
		if n++; n == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range Documents(ctx, nil, ReadOptions{Stdin: strings.NewReader("a.\n\nb.\n\nc.")}, nil) {
		last = err
		cancel()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d documents, then %v", n, last)
	}
}

// Arbitrary bytes give documents or an error, never a panic.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{"One. Two.\n\nThree", squadJSON, `{"text": "a"}` + "\n" + `{"text": null}`, `[{"text": "a"}]`, `{"data": {"a": 1}, "article": "x", "questions": []}`,
		zipped("a"), tarred("a", "b"), "a\xff\xe2\x82", "\ufeff[", "{\"data\":[[1]]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("\x28\xb5\x2f\xfd")) {
			return // zstd, which a few bytes can make unpack to gigabytes: the stream package fuzzes it within bounds
		}
		for _, s := range []Sentences{SentencesAuto, SentencesLines} {
			for d, err := range Documents(t.Context(), nil, ReadOptions{Stdin: bytes.NewReader(data), Sentences: s}, nil) {
				if err == nil && (len(d.Sentences) == 0 || slices.Contains(d.Sentences, "")) {
					t.Errorf("a document %q", d.Sentences)
				}
			}
		}
	})
}
