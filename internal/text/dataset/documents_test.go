package dataset

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// documentsOf gives a file's documents in short, and the error that ends them.
func documentsOf(path string) string {
	var out []string
	for d, err := range Documents(path) {
		if err != nil {
			return strings.Join(append(out, "!"+err.Error()), "|")
		}
		out = append(out, fmt.Sprintf("%s=%s", d.ID, d.Text))
	}
	return strings.Join(out, "|")
}

func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("{\"_id\": 7, \"title\": \"T\", \"text\": \"a\"}\n{\"text\": \"b\"}\n"))
	z.Close()
	for name, k := range map[string]struct{ text, want string }{
		"lines.txt":      {"a\n\nb c\r\n[MASK] {d", "=a|=|=b c|=[MASK] {d"},
		"packed.json.gz": {packed.String(), "7=T a|=b"},
		"named.jsonl":    {`[{"id": "x", "text": "a"}, {"id": null, "text": "b"}]`, `"x"=a|=b`},
		"seen":           {`{"id": "x", "title": null, "text": " a "}`, `"x"=a`},
		"twice.jsonl":    {"{\"id\": 1, \"text\": \"a\"}\n{\"id\": \"1\", \"text\": \"b\"}", `1=a|!twice.jsonl:2: the document "1" stands in line 1, too`},
		"list.jsonl":     {`{"id": [], "text": "a"}`, `!list.jsonl:1: column "id" is neither a text nor a number`},
		"none.jsonl":     {"", ""},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(k.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(documentsOf(path), dir+string(filepath.Separator), ""); got != k.want {
			t.Errorf("%s: %s, want %s", name, got, k.want)
		}
	}
	for d := range Documents(filepath.Join(dir, "lines.txt")) { // who wants no more gets none
		if d.Text != "a" {
			t.Error(d)
		}
		break
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte("a\nb"), false)
	f.Add([]byte(`{"_id": "x", "title": "T", "text": "a"}`), true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, json bool) {
		path := filepath.Join(dir, fmt.Sprintf("%d.%s", os.Getpid(), map[bool]string{true: "jsonl", false: "txt"}[json]))
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		failed := false
		for _, err := range Documents(path) {
			if failed {
				t.Fatal("a document after an error")
			}
			failed = err != nil
		}
	})
}
