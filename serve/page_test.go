package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"albert/internal/model"
	"albert/internal/proof"
	"albert/internal/run"
	"albert/pretrain"
)

func accepting(t *testing.T, url, accept string) (int, string, http.Header) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("Accept", accept)
	return do(t, r)
}

// A browser gets the page at /, other clients the health; the page needs no key and can load nothing from elsewhere.
func TestPageIsForBrowsers(t *testing.T) {
	keys := Keys{{Name: "ann"}}
	_, h := start(t, Options{Keys: keys, Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	status, text, header := accepting(t, h.URL+"/", "text/html,application/xhtml+xml,*/*;q=0.8")
	if status != 200 || !strings.HasPrefix(text, "<!doctype html>") || header.Get("Content-Type") != "text/html; charset=utf-8" || header.Get("Vary") != "Accept" {
		t.Errorf("/ for a browser: %d %.200s %v", status, text, header)
	}
	if status, text, _ := accepting(t, h.URL+"/", "*/*"); status != 200 || text != "" {
		t.Errorf("/ for another client: %d %.200s", status, text)
	}
	loads := regexp.MustCompile(`(?:src|href)="(page/[^"]+)"|from "\./([^"]+)"`)
	for _, name := range pageNames() {
		status, text, header := get(t, h.URL+"/page/"+name)
		policy := header.Get("Content-Security-Policy")
		if status != 200 || header.Get("Content-Type") == "" || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %d %v", name, status, header)
		}
		for _, m := range loads.FindAllStringSubmatch(text, -1) {
			if file := strings.TrimPrefix(m[1]+m[2], "page/"); !slices.Contains(pageNames(), file) {
				t.Errorf("%s loads %q, which is not there", name, file)
			}
		}
		rest := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		if strings.Contains(rest, "http:") || strings.Contains(rest, "https:") || strings.Contains(rest, "style=") || strings.Contains(rest, "<script>") {
			t.Errorf("%s names another place, or has what its policy forbids", name)
		}
	}
	for path, want := range map[string]int{"/page/nope.js": 404, "/page/..%2fpage.go": 404, "/runs": 401, "/runs/m/log": 401} {
		if status, text, _ := get(t, h.URL+path); status != want || !json.Valid([]byte(text)) && want != 401 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _, header := post(t, h.URL+"/page/app.js", "{}"); status != 405 || header.Get("Allow") != "GET" {
		t.Errorf("POST to a file: %d", status)
	}
}

// The models' list says what each can be asked, and that is what its routes answer.
func TestModelsSayWhatTheyCanBeAsked(t *testing.T) {
	_, h := start(t, Options{})
	var list modelList
	_, text, _ := get(t, h.URL+"/v1/models")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"fill": "[fill classify embed]", "classify": "[classify zero-shot embed]", "tag": "[tag embed]", "answer": "[answer embed]",
		"choose": "[choose embed]", "rank": "[classify rerank embed]"}
	bodies := map[string][2]string{"fill": {"/models/%s/fill", `{"text":"a [MASK]"}`}, "classify": {"/models/%s/classify", `{"text":"a"}`}, "tag": {"/models/%s/tag", `{"text":"a"}`},
		"answer": {"/models/%s/answer", `{"question":"a","context":"b"}`}, "choose": {"/models/%s/choose", `{"context":"a","question":"b","choices":["c"]}`},
		"embed": {"/models/%s/embed", `{"text":"a"}`}, "rerank": {"/v1/rerank", `{"model":"%s","query":"a","documents":["b"]}`},
		"zero-shot": {"/models/%s/pipeline/zero-shot-classification", `{"inputs":"a","parameters":{"candidate_labels":["b"]}}`}}
	for _, m := range list.Data {
		if got := fmt.Sprint(m.Tasks); got != want[m.ID] {
			t.Errorf("%s can be asked %s, want %s", m.ID, got, want[m.ID])
		}
		for task, b := range bodies {
			path, body := strings.ReplaceAll(b[0], "%s", m.ID), strings.ReplaceAll(b[1], "%s", m.ID)
			status, text, _ := post(t, h.URL+path, body)
			if can := status == 200 && !strings.Contains(text, `"error"`); can != slices.Contains(m.Tasks, task) {
				t.Errorf("%s of %s: %d %s", task, m.ID, status, text)
			}
		}
	}
}

func logRows(t *testing.T, url string) (r runRows) {
	t.Helper()
	status, text, _ := get(t, url)
	if err := json.Unmarshal([]byte(text), &r); err != nil || status != 200 {
		t.Fatalf("%s: %d %s, %v", url, status, text, err)
	}
	return r
}

// A run that has no model yet is served: first as a run without a log, then with the rows that are whole, and as a model when a checkpoint is there.
func TestRunThatIsUnderWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "live")
	put := func(name, text string) {
		t.Helper()
		err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("manifest.json", `{"numerics":2,"settings":{"steps":9}}`)
	put("config.json", "{}")
	put("checkpoints/.keep", "")
	if s, _ := start(t, Options{Models: []Model{{Name: "live", Path: dir}}}); s.Ready() {
		t.Error("ready without any model")
	}
	s, h := start(t, Options{Models: []Model{{Name: "live", Path: dir}, {Name: "other", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	if _, text, _ := get(t, h.URL+"/runs"); text != `{"runs":[{"name":"live","model":"live"}]}` {
		t.Error(text)
	}
	if _, text, _ := get(t, h.URL+"/runs/live"); text != `{"name":"live","model":"live","manifest":{"numerics":2,"settings":{"steps":9}}}` {
		t.Error(text)
	}
	if r := logRows(t, h.URL+"/runs/live/log"); len(r.Rows) != 0 || r.Next != 0 || r.More {
		t.Errorf("without a log: %+v", r)
	}
	if status, text, _ := post(t, h.URL+"/models/live/embed", "a\n"); status != 503 || !strings.Contains(text, "first checkpoint") {
		t.Errorf("without a model: %d %s", status, text)
	}
	if status, _, _ := get(t, h.URL+"/health"); status != 200 || s.Reload("live") != nil {
		t.Error("the others are not served")
	}
	first := `{"step":1,"loss":0.7142562103344186}` + "\n"
	put("log.jsonl", first+"no row\n{broken\n"+`{"step":2,"loss":null,"skipped":true,"examples":["7"]}`+"\n"+`{"step":3,"lo`)
	r := logRows(t, h.URL+"/runs/live/log?offset=0")
	if len(r.Rows) != 2 || string(r.Rows[0])+"\n" != first || r.More {
		t.Errorf("rows: %+v", r)
	}
	if again := logRows(t, fmt.Sprint(h.URL, "/runs/live/log?offset=", r.Next)); len(again.Rows) != 0 || again.From != r.Next || again.Next != r.Next {
		t.Errorf("an unfinished row: %+v", again)
	}
	put("log.jsonl", first+"no row\n{broken\n"+`{"step":2,"loss":null,"skipped":true,"examples":["7"]}`+"\n"+`{"step":3,"loss":1}`+"\n")
	if rest := logRows(t, fmt.Sprint(h.URL, "/runs/live/log?offset=", r.Next)); len(rest.Rows) != 1 || string(rest.Rows[0]) != `{"step":3,"loss":1}` {
		t.Errorf("the row when it has its end: %+v", rest)
	}
	put("log.jsonl", first)
	if cut := logRows(t, fmt.Sprint(h.URL, "/runs/live/log?offset=", r.Next)); len(cut.Rows) != 1 || cut.From != 0 {
		t.Errorf("a log that was cut back: %+v", cut)
	}
	for offset, want := range map[string]int{"-1": 422, "x": 422, "99999999999999999999": 422, "3": 200} {
		if status, text, _ := get(t, h.URL+"/runs/live/log?offset="+offset); status != want {
			t.Errorf("offset %s: %d %s", offset, status, text)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "model"), os.DirFS(tiny(t, model.Order, model.PretrainingHeads))); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := post(t, h.URL+"/models/live/embed", "a\n"); status != 200 || !strings.Contains(text, "embedding") {
		t.Errorf("with a model: %d %s", status, text)
	}
}

// An answer with rows is bounded, and says that there are more; no row is lost or given twice.
func TestLogIsReadInParts(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, `{"step":%d,"note":"%s"}`+"\n", i+1, strings.Repeat("x", 100))
	}
	fmt.Fprintf(&text, `{"step":20001,"note":"%s"}`+"\n", strings.Repeat("y", 2*logBytes)) // longer than an answer
	for name, content := range map[string]string{"manifest.json": "{", "log.jsonl": text.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	_, h := start(t, Options{Models: []Model{{Name: "a/run", Path: dir}}})
	url, steps, next := h.URL+"/runs/a%2Frun", 0, int64(0)
	for more := true; more; {
		r := logRows(t, fmt.Sprint(url, "/log?offset=", next))
		if size := r.Next - r.From; r.From != next || size > logBytes && len(r.Rows) != 1 {
			t.Fatalf("an answer of %d bytes from %d, want from %d", size, r.From, next)
		}
		for _, row := range r.Rows {
			if steps++; !strings.HasPrefix(string(row), fmt.Sprintf(`{"step":%d,`, steps)) {
				t.Fatalf("row %d: %.80s", steps, row)
			}
		}
		next, more = r.Next, r.More
	}
	if steps != 20_001 || int(next) != text.Len() {
		t.Errorf("%d rows, up to byte %d", steps, next)
	}
	if status, text, _ := get(t, url); status != 200 || !strings.Contains(text, `"manifest":null`) {
		t.Errorf("a manifest that cannot be read: %d %s", status, text)
	}
	for _, path := range []string{"/card", "/examples"} {
		if status, text, _ := get(t, url+path); status != 404 || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

// pretrained is a run of two steps.
func pretrained(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads, c.MaxPositionEmbeddings = 500, 8, 16, 32, 2, 2, 64
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(strings.Repeat("The reader opens a file and finds the house by the river.\n", 6)+"\n", 10)
	for name, content := range map[string]string{"config.json": string(config), "text.txt": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := pretrain.Defaults()
	o.Output, o.Config, o.Tokenizer, o.Train = filepath.Join(dir, "run"), filepath.Join(dir, "config.json"), "../tokenizer/testdata/albert.model", []string{filepath.Join(dir, "text.txt")}
	o.Steps, o.BatchSize, o.MaxSeqLength, o.Threads, o.Quiet, o.WarmupSteps = 2, 10, 64, 1, true, 1
	if _, err := pretrain.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return o.Output
}

// The card and the examples of a step are those of the commands; a run's model directory means the run, and a folder of seeds each of them.
func TestCardAndExamplesOfARun(t *testing.T) {
	dir := pretrained(t)
	seeds := filepath.Join(t.TempDir(), "seeds")
	for n := 1; n <= 2; n++ {
		if err := os.CopyFS(string(run.Dir(seeds).Seed(n)), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}
	_, h := start(t, Options{Models: []Model{{Name: "own", Path: dir}, {Name: "model", Path: filepath.Join(dir, "model")}, {Name: "seeds", Path: seeds}}})
	if _, text, _ := get(t, h.URL+"/runs"); text != `{"runs":[{"name":"own","model":"own"},{"name":"model","model":"model"},{"name":"seeds/run-1","model":"seeds"},{"name":"seeds/run-2","model":"seeds"}]}` {
		t.Error(text)
	}
	card, err := proof.NewCard([]string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(card)
	if status, text, _ := get(t, h.URL+"/runs/own/card"); status != 200 || text != string(want) {
		t.Errorf("card: %d %s", status, text)
	}
	var lines strings.Builder
	if err := pretrain.WriteStep(context.Background(), &lines, dir, 2); err != nil {
		t.Fatal(err)
	}
	var got stepExamples
	status, text, _ := get(t, h.URL+"/runs/seeds%2Frun-2/examples?step=2")
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || got.Batch != 10 || len(got.Examples) != shownExamples {
		t.Fatalf("examples: %d %s, %v", status, text, err)
	}
	for i, line := range strings.Split(lines.String(), "\n")[:shownExamples] {
		var e struct {
			Example   uint64
			IDs       []int   `json:"input_ids"`
			Positions []int32 `json:"masked_positions"`
			Label     *int8   `json:"sop_label"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		x := got.Examples[i]
		var positions []int32
		for _, m := range x.Masked {
			positions = append(positions, m.Position)
		}
		if x.Example != e.Example || len(x.Pieces) != len(e.IDs) || x.Pieces[0] != "[CLS]" || !slices.Equal(positions, e.Positions) || *x.Label != *e.Label {
			t.Errorf("example %d: %+v, want %s", i, x, line)
		}
	}
	for step, want := range map[string]int{"0": 404, "3": 404, "x": 422, "": 200} {
		if status, text, _ := get(t, h.URL+"/runs/own/examples?step="+step); status != want {
			t.Errorf("step %q: %d %s", step, status, text)
		}
	}
	if status, text, _ := get(t, h.URL+"/runs/nope"); status != 404 || !strings.Contains(text, "nope") {
		t.Errorf("a run that is not there: %d %s", status, text)
	}
}
