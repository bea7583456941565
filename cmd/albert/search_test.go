package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/files/npy"
	"albert/internal/formats"
)

// collection writes documents with ids, some of them twice, and gives their texts.
func collection(t *testing.T, path string, n int) (texts []string) {
	t.Helper()
	words := strings.Fields("reader writer buffer packet server client value network table error numbers line list tree opens closes returns copies sends")
	var b strings.Builder
	for i := range n {
		title, text := "", words[i*7%len(words)]+" the "+words[i*i%len(words)]
		if i%3 == 0 {
			title = "A " + words[i%len(words)]
		}
		if i%10 == 9 {
			text = words[0] + " twice"
		}
		fmt.Fprintf(&b, `{"_id": "d%d", "title": %q, "text": %q, "metadata": {}}`+"\n", i, title, text)
		texts = append(texts, strings.TrimSpace(title+" "+text))
	}
	writeText(t, path, b.String())
	return texts
}

// hitsOf reads the hits of a line.
func hitsOf(t *testing.T, line string) (hits []hit) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &hits); err != nil {
		t.Fatal(err, line)
	}
	return hits
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// A search in texts and one in their vectors find the same, which is what comparing all of them finds; ids come back, and equal scores are in the
// order of the documents.
func TestSearch(t *testing.T) {
	_, in := workplace(t)
	m := tinyModel(t, in)
	texts := collection(t, in("corpus.jsonl"), 60)
	writeText(t, in("texts"), strings.Join(texts, "\n")+"\n")
	must(t, "embed", m, in("texts"), "--format", "npy", "--output", in("v.npy"), "--quiet")
	documents := vectorsOf(t, must(t, "embed", m, in("texts")))
	queries := []string{"the reader opens", "a table", "reader twice"}
	writeText(t, in("queries"), strings.Join(queries, "\n")+"\n")
	vectors := vectorsOf(t, must(t, "embed", m, in("queries")))
	lines := strings.Split(strings.TrimSpace(must(t, "search", m, "--corpus", in("corpus.jsonl"), "--top-k", "60", in("queries"))), "\n")
	if len(lines) != len(queries) {
		t.Fatalf("%d lines", len(lines))
	}
	for q, line := range lines {
		hits := hitsOf(t, line)
		if len(hits) != 60 {
			t.Fatalf("%d hits", len(hits))
		}
		for i, h := range hits {
			if want := cosine(vectors[q], documents[h.Index]); math.Abs(float64(h.Score)-want) > 1e-6 || string(h.ID) != fmt.Sprintf(`"d%d"`, h.Index) {
				t.Errorf("%+v: the cosine is %v", h, want)
			}
			if i > 0 && (h.Score > hits[i-1].Score || h.Score == hits[i-1].Score && h.Index < hits[i-1].Index) {
				t.Errorf("%+v after %+v", h, hits[i-1])
			}
		}
	}
	for _, more := range [][]string{{"--threads", "1"}, {"--threads", "3"}} {
		again := must(t, append([]string{"search", m, "--vectors", in("v.npy"), "--top-k", "60", in("queries")}, more...)...)
		for i := range texts {
			again = strings.ReplaceAll(again, fmt.Sprintf(`"index":%d,"id":null`, i), fmt.Sprintf(`"index":%d,"id":"d%d"`, i, i))
		}
		if strings.TrimSpace(again) != strings.Join(lines, "\n") {
			t.Errorf("%s: vectors find\n%s, texts\n%s", more, again, lines)
		}
	}
	writeText(t, in("asked"), `{"text": "a table", "id": 7}`)
	line := must(t, "search", m, "--corpus", in("texts"), "--top-k", "1", in("asked"))
	if !strings.HasPrefix(line, `{"id":7,"result":[{"index":`) || !strings.Contains(line, `"id":null`) {
		t.Error(line)
	}
}

// Queries and documents get the prompts that a directory of sentence-transformers has for them; a prompt that is given is of the queries.
func TestSearchPrompts(t *testing.T) {
	_, in := workplace(t)
	m := tinyModel(t, in)
	if err := formats.WriteSentence(m, formats.PoolMean, false, 24, 40); err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(m, "config_sentence_transformers.json"),
		`{"prompts": {"query": "the reader opens ", "passage": "a table of ", "other": "two "}, "default_prompt_name": "other"}`)
	writeText(t, in("texts"), "a client\nthe value\n")
	documents := vectorsOf(t, must(t, "embed", m, in("texts"), "--prompt-name", "passage"))
	for _, k := range []struct{ search, embed []string }{
		{nil, []string{"--prompt-name", "query"}}, {[]string{"--prompt-name", "other"}, nil}, {[]string{"--prompt", ""}, []string{"--prompt", ""}},
	} {
		query := vectorsOf(t, must(t, append([]string{"embed", m, "numbers"}, k.embed...)...))[0]
		for _, h := range hitsOf(t, must(t, append([]string{"search", m, "--corpus", in("texts"), "numbers"}, k.search...)...)) {
			if want := cosine(query, documents[h.Index]); math.Abs(want-float64(h.Score)) > 1e-6 {
				t.Errorf("%q: %v, want %v", k.search, h.Score, want)
			}
		}
	}
}

// What cannot be searched in is one line that says where.
func TestSearchRefuses(t *testing.T) {
	_, in := workplace(t)
	m := tinyModel(t, in)
	matrix := func(name string, cols int, rows ...[]float32) string {
		err := npy.Write(in(name), cols, func(add func([]float32) error) error {
			for _, r := range rows {
				if err := add(r); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return in(name)
	}
	file := func(name, text string) string {
		writeText(t, in(name), text)
		return in(name)
	}
	broken := make([]float32, 24)
	broken[3] = float32(math.NaN())
	for _, k := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "give --corpus FILE"},
		{[]string{"--corpus", "a", "--vectors", "b"}, 2, "give --corpus FILE"},
		{[]string{"--corpus", in("none")}, 1, "no such file"},
		{[]string{"--corpus", file("empty.txt", "")}, 1, "empty.txt: the corpus is empty"},
		{[]string{"--corpus", file("empty.jsonl", "\n")}, 1, "empty.jsonl: the corpus is empty"},
		{[]string{"--corpus", file("twice.jsonl", "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"y\"}\n")}, 1, `twice.jsonl:2: the document "a" stands in line 1, too`},
		{[]string{"--corpus", file("untold.jsonl", `{"_id": "a"}`)}, 1, `untold.jsonl:1: no column "text"`},
		{[]string{"--corpus", file("latin", "caf\xe9\n")}, 1, "latin:1: not UTF-8"},
		{[]string{"--vectors", matrix("none.npy", 24)}, 1, "none.npy: no vectors in it"},
		{[]string{"--vectors", matrix("wide.npy", 3, []float32{1, 2, 3})}, 1, "wide.npy: vectors of 3 values, the model's have 24"},
		{[]string{"--vectors", matrix("nan.npy", 24, make([]float32, 24), broken)}, 1, "nan.npy: row 1 (from 0) has values that are NaN or infinite"},
		{[]string{"--vectors", file("text.npy", "a")}, 1, "text.npy: no .npy file"},
		{[]string{"--corpus", in("train.txt"), "--top-k", "0"}, 2, "--top-k 0: want at least 1"},
	} {
		status, stdout, stderr := call(t, append([]string{"search", m, "a query", "--quiet"}, k.args...)...)
		if status != k.status || !strings.Contains(stderr, k.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%q: %d, %q, want %q", k.args, status, stderr, k.want)
		}
	}
}

// Mined negatives are the nearest that may be some, by the model's own search: none is the anchor or an answer to it, the first are passed over, and
// none is nearer than the margin allows.
func TestMine(t *testing.T) {
	_, in := workplace(t)
	m := tinyModel(t, in)
	texts := collection(t, in("corpus.jsonl"), 40)
	type pair struct{ Query, Document, Negative string }
	var pairs []pair
	var lines strings.Builder
	for i, text := range texts {
		p := pair{Query: texts[(i+3)%20], Document: text} // an anchor may be another's positive
		if i == 5 {
			p.Negative = texts[7]
		}
		pairs = append(pairs, p)
		fmt.Fprintf(&lines, `{"query": %q, "document": %q`, p.Query, p.Document)
		if p.Negative != "" {
			fmt.Fprintf(&lines, `, "negative": %q`, p.Negative)
		}
		lines.WriteString("}\n")
	}
	writeText(t, in("pairs.jsonl"), lines.String())
	var unique []string
	for _, p := range pairs {
		if !slices.Contains(unique, p.Document) {
			unique = append(unique, p.Document)
		}
	}
	writeText(t, in("unique"), strings.Join(unique, "\n")+"\n")
	var queries strings.Builder
	for _, p := range pairs {
		queries.WriteString(p.Query + "\n")
	}
	writeText(t, in("queries"), queries.String())
	found := strings.Split(strings.TrimSpace(must(t, "search", m, "--corpus", in("unique"), "--top-k", "100", in("queries"))), "\n")
	for _, k := range []struct {
		skip   int
		margin string
	}{{0, ""}, {3, ""}, {3, "0.05"}, {0, "-0.02"}, {30, "0.3"}, {math.MaxInt, ""}} {
		args := []string{"mine", m, "--train", in("pairs.jsonl"), "--negatives", "2", "--skip", fmt.Sprint(k.skip), "--quiet", "--output", in("mined.jsonl")}
		margin := math.Inf(-1)
		if k.margin != "" {
			args = append(args, "--margin", k.margin)
			fmt.Sscan(k.margin, &margin)
		}
		status, _, stderr := call(t, args...)
		text, err := os.ReadFile(in("mined.jsonl"))
		if status != 0 || err != nil {
			t.Fatal(status, stderr, err)
		}
		fewer := 0
		rows := strings.Split(strings.TrimSpace(string(text)), "\n")
		for i, p := range pairs {
			var want []string
			var score float32
			hits := hitsOf(t, found[i])
			for _, h := range hits {
				if unique[h.Index] == p.Document {
					score = h.Score
				}
			}
			rank := 0
			for _, h := range hits {
				text := unique[h.Index]
				if text == p.Query || text == p.Negative || slices.Contains(pairs, pair{p.Query, text, ""}) || text == p.Document {
					continue
				}
				if rank++; rank > k.skip && float64(h.Score) <= float64(score)-margin && len(want) < 2 {
					want = append(want, text)
				}
			}
			if len(want) < 2 {
				fewer++
			}
			if p.Negative != "" {
				want = append([]string{p.Negative}, want...)
			}
			row := map[string]string{"query": p.Query, "document": p.Document}
			for j, text := range want {
				name := "negative"
				if j > 0 {
					name = fmt.Sprint("negative_", j+1)
				}
				row[name] = text
			}
			var got map[string]string
			if err := json.Unmarshal([]byte(rows[i]), &got); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(row) {
				t.Errorf("skip %d, margin %s, row %d:\n%v, want\n%v", k.skip, k.margin, i, got, row)
			}
		}
		if want := fmt.Sprintf("warning: %d of 40 pairs got fewer", fewer); fewer > 0 != strings.Contains(stderr, want) {
			t.Errorf("skip %d, margin %s: %q, want %q", k.skip, k.margin, stderr, want)
		}
	}
	writeText(t, in("scored.jsonl"), `{"sentence1": "a", "sentence2": "b", "score": 3}`)
	status, _, stderr := call(t, "mine", m, "--train", in("scored.jsonl"), "--output", in("no.jsonl"))
	if status != 1 || !strings.Contains(stderr, "scored.jsonl:1: negatives are searched for rows of anchor and positive") {
		t.Error(status, stderr)
	}
	if left, _ := filepath.Glob(in("*no.jsonl*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
