package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wordTokenizer makes a piece of every word; "nothing" becomes none.
type wordTokenizer struct{ vocab int }

func (w wordTokenizer) Encode(text string) (ids []int32) {
	for word := range strings.FieldsSeq(text) {
		if word != "nothing" {
			ids = append(ids, int32(crc32.ChecksumIEEE([]byte(word))%uint32(w.vocab)))
		}
	}
	return ids
}
func (w wordTokenizer) VocabSize() int { return w.vocab }
func (w wordTokenizer) SHA256() string {
	sum := sha256.Sum256(w.Files()["words.model"])
	return hex.EncodeToString(sum[:])
}
func (w wordTokenizer) Files() map[string][]byte {
	return map[string][]byte{"words.model": []byte(fmt.Sprint(w.vocab)), "config.json": []byte("{}")}
}

// novel is text of some documents with n sentences each.
func novel(documents, n int) string {
	var b strings.Builder
	for d := range documents {
		for s := range n + d%3 {
			fmt.Fprintf(&b, "Sentence %d of document %d has %s words.", s, d, strings.Repeat("many ", (7*s+d)%11))
			if s%4 == 3 {
				b.WriteByte('\n')
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString("\n\n")
	}
	return b.String()
}

// files gives the names and hashes of the files in a directory.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		m[e.Name()] = hex.EncodeToString(sum[:8])
	}
	return m
}

func options(t testing.TB, input ...string) PrepareOptions {
	return PrepareOptions{Output: filepath.Join(t.TempDir(), "made", "shards"), Tokenizer: wordTokenizer{1000}, Cleanup: "albert", Inputs: input, ShardPieces: 20_000}
}

func prepare(t testing.TB, o PrepareOptions) Meta {
	t.Helper()
	m, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The bytes of shards are the same for any number of threads, and from one version to the next.
func TestPrepareThreads(t *testing.T) {
	// Made by this test; a change of any bit of the text's way to pieces, or of the format, raises shardVersion or numeric.Version.
	golden := map[string]string{"shard-00000.bin": "43b2545934057986", "shard-00001.bin": "857e70fd4c526951"}
	dir := write(t, "a.txt", novel(300, 20), "b.jsonl.gz", zipped(`{"text": "One sentence only."}`+"\n"+`{"text": "nothing"}`+"\n"+`{"text": " "}`+"\n"), "c.txt", novel(70, 40))
	t.Chdir(dir) // the inputs' names stand in shards.json
	var first map[string]string
	for _, threads := range []int{1, 2, 7} {
		o := options(t, "a.txt", "b.jsonl.gz", "c.txt")
		o.Threads = threads
		m := prepare(t, o)
		got := files(t, o.Output)
		if first == nil {
			first = got
			for name, want := range golden {
				if got[name] != want {
					t.Errorf("%s: hash %s, want %s", name, got[name], want)
				}
			}
		}
		if !maps.Equal(got, first) {
			t.Errorf("%d threads: %v, one: %v", threads, got, first)
		}
		if len(m.Shards) < 3 || m.Documents != 371 || m.Counts.Empty != 2 || m.Counts.Documents != 371 || len(m.Files) != 3 {
			t.Errorf("%d threads: %d shards, %d documents, %+v, %+v", threads, len(m.Shards), m.Documents, m.Counts, m.Files)
		}
	}
}

// Shards give back what the tokenizer made of every sentence, document by document.
func TestShardsRoundTrip(t *testing.T) {
	dir := write(t, "a.txt", novel(200, 20)+"One sentence.\n\nnothing\n\nnothing. It ends.")
	for _, vocab := range []int{1000, 1 << 16, 1<<16 + 1} {
		o := options(t, dir)
		o.Tokenizer = wordTokenizer{vocab}
		m := prepare(t, o)
		s, err := OpenShards(o.Output)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Meta().Pieces != m.Pieces || s.Dir() != o.Output || len(m.Shards) < 2 {
			t.Errorf("%+v", s.Meta())
		}
		n := 0
		for d, err := range Documents(t.Context(), o.Inputs, ReadOptions{}, nil) {
			if err != nil {
				t.Fatal(err)
			}
			var pieces, ends []int32
			for _, sentence := range d.Sentences {
				if ids := o.Tokenizer.Encode(sentence); len(ids) > 0 {
					pieces = append(pieces, ids...)
					ends = append(ends, int32(len(pieces)))
				}
			}
			if len(ends) == 0 {
				continue
			}
			if got := s.Ends(n, nil); !slices.Equal(got, ends) {
				t.Fatalf("document %d: ends %v, want %v", n, got, ends)
			}
			if got := s.Pieces(n, 0, len(pieces), nil); !slices.Equal(got, pieces) {
				t.Fatalf("document %d: pieces %v, want %v", n, got, pieces)
			}
			if got := s.Pieces(n, 1, len(pieces)-1, make([]int32, 5)); !slices.Equal(got, pieces[1:len(pieces)-1]) {
				t.Fatalf("document %d: inner pieces %v", n, got)
			}
			n++
		}
		if n != s.Documents() || n != 202 {
			t.Errorf("%d documents, the shards have %d", n, s.Documents())
		}
	}
}

// stopAfter makes a context's cancel come after so many pieces.
func stopAfter(o *PrepareOptions, n int64, cancel func()) {
	o.Progress = func(_ Counts, pieces int64) {
		if pieces >= n {
			cancel()
		}
	}
}

// A run that was stopped goes on, keeps the whole shards, and ends with the same files.
func TestPrepareResume(t *testing.T) {
	dir := write(t, "a.txt", novel(300, 20), "b.txt", novel(300, 30), "c.txt", novel(100, 20))
	whole := options(t, dir)
	m := prepare(t, whole)
	want := files(t, whole.Output)
	o := options(t, dir)
	for at := int64(10_000); at < m.Pieces; at += 33_000 {
		ctx, cancel := context.WithCancel(t.Context())
		stopAfter(&o, at, cancel)
		if _, err := Prepare(ctx, o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// What a kill leaves beside.
		if _, err := os.Stat(o.Output); err == nil {
			for _, name := range []string{".shard-00003.bin.123", "shard-00099.bin"} {
				if err := os.WriteFile(filepath.Join(o.Output, name), []byte("half"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := OpenShards(o.Output); err == nil || !strings.Contains(err.Error(), "not finished") {
				t.Errorf("opening what is not finished: %v", err)
			}
		}
	}
	o.Progress = nil
	kept := files(t, o.Output)["shard-00000.bin"]
	before, err := os.Stat(filepath.Join(o.Output, "shard-00000.bin"))
	if err != nil {
		t.Fatal(err)
	}
	prepare(t, o)
	if got := files(t, o.Output); !maps.Equal(got, want) || kept != want["shard-00000.bin"] {
		t.Errorf("after stops: %v, without: %v", got, want)
	}
	if after, err := os.Stat(filepath.Join(o.Output, "shard-00000.bin")); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("a whole shard was written again: %v", err)
	}
	// Once more does nothing.
	if got := prepare(t, o); got.Documents != m.Documents || got.Pieces != m.Pieces {
		t.Errorf("%+v, want %+v", got, m)
	}
}

// Stopped before the first shard is whole, nothing is left.
func TestPrepareStoppedEarly(t *testing.T) {
	o := options(t, write(t, "a.txt", novel(300, 20)))
	ctx, cancel := context.WithCancel(t.Context())
	stopAfter(&o, 1, cancel)
	if _, err := Prepare(ctx, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	nothingLeft(t, o)
}

func nothingLeft(t *testing.T, o PrepareOptions) {
	t.Helper()
	if _, err := os.Stat(filepath.Dir(o.Output)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", files(t, o.Output))
	}
}

// Other settings or other text are refused by name, whether the run was finished or not.
func TestPrepareRefusesChanges(t *testing.T) {
	dir := write(t, "a.txt", novel(400, 20), "b.txt", novel(400, 30))
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, finished := range []bool{true, false} {
		o := options(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		if !finished {
			stopAfter(&o, 120_000, cancel) // in b.txt
		}
		if _, err := Prepare(ctx, o); errors.Is(err, context.Canceled) == finished {
			t.Fatal(err)
		}
		cancel()
		o.Progress = nil
		before := files(t, o.Output)
		restore := func(name, content string) func() {
			return func() {
				if err := os.WriteFile(in(name), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		a, b := novel(400, 20), novel(400, 30)
		cases := []struct {
			name   string
			change func(o *PrepareOptions)
			undo   func()
			want   string
		}{
			{"tokenizer", func(o *PrepareOptions) { o.Tokenizer = wordTokenizer{1001} }, nil, "another tokenizer"},
			{"clean-up", func(o *PrepareOptions) { o.Cleanup = "none" }, nil, "the clean-up albert, not none"},
			{"sentences", func(o *PrepareOptions) { o.Read.Sentences = SentencesLines }, nil, "--sentences auto, not lines"},
			{"column", func(o *PrepareOptions) { o.Read.TextColumn = "body" }, nil, `--text-column "", not "body"`},
			{"inputs", func(o *PrepareOptions) { o.Inputs = []string{in("a.txt")} }, nil, "the inputs ["},
			{"go-doc", func(o *PrepareOptions) { o.Read.GoDoc = true }, nil, "--go-doc"},
			{"a letter", func(*PrepareOptions) { restore("a.txt", strings.Replace(a, "many", "mamy", 1))() }, restore("a.txt", a), in("a.txt") + " has changed"},
			{"a file gone", func(*PrepareOptions) { os.Remove(in("a.txt")) }, restore("a.txt", a), in("a.txt")},
			{"a file more", func(*PrepareOptions) { restore("a0.txt", "New.")() }, func() { os.Remove(in("a0.txt")) }, "other text: " + dir},
			{"a letter of the second file", func(*PrepareOptions) { restore("b.txt", strings.Replace(b, "many", "mamy", 1))() }, restore("b.txt", b), in("b.txt")},
			{"less text", func(*PrepareOptions) { restore("b.txt", "Little.")() }, restore("b.txt", b), ""},
		}
		for _, c := range cases {
			o := o
			c.change(&o)
			_, err := Prepare(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), o.Output) || strings.Contains(err.Error(), "\n") {
				t.Errorf("finished %t, %s: %v; want %q", finished, c.name, err, c.want)
			}
			if c.undo != nil {
				c.undo()
			}
			if got := files(t, o.Output); !maps.Equal(got, before) {
				t.Errorf("finished %t, %s: the files changed: %v, were %v", finished, c.name, got, before)
			}
		}
		if finished { // shards outlive their text
			gone := options(t, in("gone.txt"))
			restore("gone.txt", "Text.")()
			prepare(t, gone)
			os.Remove(in("gone.txt"))
			prepare(t, gone)
		}
		prepare(t, o)
	}
}

// Errors come as they are, and nothing half-written is left.
func TestPrepareErrors(t *testing.T) {
	long := novel(200, 20)
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "the corpus is empty"},
		{"blank", "\n \n", "the corpus is empty"},
		{"nothing to encode", "nothing\n\nnothing", "the corpus is empty"},
		{"binary at the end", long + "\x00", "a zero byte"},
		{"truncated", zipped(long)[:len(zipped(long))-100], "cut short"},
	} {
		o := options(t, write(t, "in", c.content))
		o.ShardPieces = 1 << 30
		if _, err := Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "writing") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
		nothingLeft(t, o)
	}
	o := options(t, filepath.Join(t.TempDir(), "no such file"))
	if _, err := Prepare(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	nothingLeft(t, o)
	made := options(t, write(t, "in", long))
	prepare(t, made)
	o = options(t, write(t, "in", long), made.Output)
	if _, err := Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), made.Output+" holds shards, not text") {
		t.Errorf("shards among texts: %v", err)
	}
	nothingLeft(t, o)
	o = options(t)
	o.Read.Stdin = strings.NewReader("Some text.")
	o.Output = write(t, "model.safetensors", "weights")
	if _, err := Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), "not empty (model.safetensors)") {
		t.Errorf("a directory of something else: %v", err)
	}
	o.Output = filepath.Join(o.Output, "model.safetensors")
	if _, err := Prepare(t.Context(), o); err == nil {
		t.Error("a file as output")
	}
	o.Output = ""
	if _, err := Prepare(t.Context(), o); err == nil {
		t.Error("no output")
	}
}

// badTokenizer gives pieces that its vocabulary lacks.
type badTokenizer struct{ wordTokenizer }

func (badTokenizer) Encode(string) []int32 { return []int32{1000} }

func TestPrepareRefusesPieces(t *testing.T) {
	o := options(t, write(t, "in", "Some text."))
	o.Tokenizer = badTokenizer{wordTokenizer{1000}}
	if _, err := Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), "piece 1000 of a vocabulary of 1000") {
		t.Error(err)
	}
}

// Documents may come from elsewhere than files, of any size.
func TestPrepareDocuments(t *testing.T) {
	o := options(t, "name")
	huge := strings.TrimSpace(strings.Repeat("word ", 3_000_000))
	o.Documents = func(yield func(Document, error) bool) {
		_ = yield(Document{Name: "a", Sentences: []string{"One.", "Two words."}}, nil) && yield(Document{}, nil) &&
			yield(Document{Name: "b", Sentences: []string{huge}}, nil)
	}
	m := prepare(t, o)
	if m.Documents != 2 || m.Sentences != 3 || m.Pieces != 3_000_003 || m.Counts.Words != 3_000_003 || m.Counts.Empty != 1 {
		t.Errorf("%+v", m)
	}
	o = options(t, "name")
	o.Documents = func(yield func(Document, error) bool) { yield(Document{}, io.ErrClosedPipe) }
	if _, err := Prepare(t.Context(), o); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}
