package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/model"
	"albert/tokenizer"
)

// tiny writes a random model with a head to a directory.
func tiny(t testing.TB, kind model.Kind, heads model.Heads, labels ...string) string {
	t.Helper()
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 500, 8, 32, 64, 2, 2
	c.InitializerRange = 0.3
	names := map[int]string{}
	for i, l := range labels {
		names[i] = l
	}
	_ = c.SetExtra("id2label", names)
	_ = c.SetExtra("architectures", []string{kind.Class()})
	if kind == model.Rank {
		_ = c.SetCrossEncoder(model.Sigmoid)
	}
	if heads.SOP {
		_ = c.SetExtra("architectures", []string{model.PreTraining})
	}
	dir := t.TempDir()
	if err := model.NewWith(c, heads, 1).Save(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../tokenizer/testdata/albert.model")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "spiece.model"), data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// models are tiny ones of every kind, by what they do.
func models(t testing.TB) []Model {
	return []Model{{Name: "fill", Path: tiny(t, model.Order, model.PretrainingHeads)}, {Name: "classify", Path: tiny(t, model.Classify, model.Heads{Pooler: true, Labels: 3}, "entailment", "neutral", "contradiction")},
		{Name: "tag", Path: tiny(t, model.Tag, model.Heads{Labels: 3}, "B-x", "I-x", "O")}, {Name: "answer", Path: tiny(t, model.Answer, model.Heads{Spans: true})},
		{Name: "choose", Path: tiny(t, model.Choice, model.Heads{Pooler: true, Labels: 1})}, {Name: "rank", Path: tiny(t, model.Regress, model.Heads{Pooler: true, Labels: 1}, "LABEL_0")}}
}

// start serves models.
func start(t testing.TB, o Options) (*Server, *httptest.Server) {
	t.Helper()
	if o.Models == nil {
		o.Models = models(t)
	}
	if o.Threads == 0 {
		o.Threads = 2
	}
	s, err := New(o)
	if err == nil {
		err = s.Load()
	}
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(func() { h.Close(); s.Close() })
	return s, h
}

// post asks, and gives the status and the body.
func post(t testing.TB, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(t, r)
}

func do(t testing.TB, r *http.Request) (int, string, http.Header) {
	t.Helper()
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Error(err)
	}
	return w.StatusCode, string(text), w.Header
}

func get(t testing.TB, url string) (int, string, http.Header) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	return do(t, r)
}

// Every route gives its family's form.
func TestForms(t *testing.T) {
	_, h := start(t, Options{})
	for _, c := range []struct{ path, body, want string }{ // of the answer's JSON the shape, see shape
		{"/embed", `{"inputs":"a text"}`, "[[#]]"},
		{"/embed", `{"inputs":["a text","b"],"truncate":true,"prompt_name":null,"truncation_direction":"Left","normalize":false,"dimensions":7}`, "[[#]]"},
		{"/embed", `{"inputs":[5,6,7]}`, "[[#]]"},
		{"/embed", `{"inputs":[[5,6,7],[8]],"encoding_format":"base64"}`, "[s]"},
		{"/embed_all", `{"inputs":["a text"]}`, "[[[#]]]"},
		{"/", `{"inputs":["a text"]}`, "[[#]]"},
		{"/invocations", `{"inputs":{"source_sentence":"a","sentences":["a","b"]}}`, "[#]"},
		{"/similarity", `{"inputs":{"source_sentence":"a","sentences":["a","b"]},"parameters":{}}`, "[#]"},
		{"/tokenize", `{"inputs":"a text"}`, "[[{id:#,special:b,start:null,stop:null,text:s}]]"},
		{"/decode", `{"ids":[5,6]}`, "[s]"},
		{"/predict", `{"inputs":"a text"}`, "[{label:s,score:#}]"}, // the order of sentences
		{"/predict", `{"inputs":[["a"],["b","c"]],"raw_scores":true}`, "[[{label:s,score:#}]]"},
		{"/v1/embeddings", `{"model":"fill","input":"a text","user":"x"}`, "{data:[{embedding:[#],index:#,object:s}],model:s,object:s,usage:{prompt_tokens:#,total_tokens:#}}"},
		{"/v1/embeddings", `{"model":"tag","input":["a","b"],"encoding_format":"base64"}`, "{data:[{embedding:s,index:#,object:s}],model:s,object:s,usage:{prompt_tokens:#,total_tokens:#}}"},
		{"/v2/rerank", `{"model":"rank","query":"a","documents":["b","c"],"top_n":1}`, "{id:s,meta:{api_version:{version:s},billed_units:{search_units:#}},model:s,results:[{index:#,relevance_score:#}],usage:{prompt_tokens:#,total_tokens:#}}"},
		{"/v1/rerank", `{"model":"rank","query":"a","documents":[{"text":"b"}],"return_documents":true}`, "{id:s,meta:{api_version:{version:s},billed_units:{search_units:#}},model:s,results:[{document:{text:s},index:#,relevance_score:#}],usage:{prompt_tokens:#,total_tokens:#}}"},
		{"/models/classify", `{"inputs":"a"}`, "[[{label:s,score:#}]]"},
		{"/models/classify", `{"inputs":[{"text":"a","text_pair":"b"}],"parameters":{"top_k":1,"function_to_apply":"sigmoid"}}`, "[[{label:s,score:#}]]"},
		{"/models/classify", `{"inputs":"a","parameters":{"candidate_labels":["x","y"]}}`, "[{label:s,score:#}]"},
		{"/models/classify", `{"inputs":["a","b"],"parameters":{"candidate_labels":"x,y","multi_label":true,"hypothesis_template":"It is {}."}}`, "[[{label:s,score:#}]]"},
		{"/models/tag", `{"inputs":"a door in a house","parameters":{"ignore_labels":[]}}`, "[{end:#,entity_group:s,score:#,start:#,word:s}]"},
		{"/models/tag", `{"inputs":"a door","parameters":{"aggregation_strategy":"none","ignore_labels":[]}}`, "[{end:#,entity:s,index:#,score:#,start:#,word:s}]"},
		{"/models/tag", `{"inputs":["a door"],"parameters":{"aggregation_strategy":"average","ignore_labels":[],"stride":8}}`, "[[{end:#,entity_group:s,score:#,start:#,word:s}]]"},
		{"/models/answer", `{"inputs":{"question":"who?","context":"Tom is here."}}`, "{answer:s,end:#,score:#,start:#}"},
		{"/models/answer", `{"inputs":{"question":"who?","context":"Tom is here."},"parameters":{"top_k":2,"handle_impossible_answer":true,"doc_stride":4,"max_seq_len":16,"align_to_words":false}}`, "[{answer:s,end:#,score:#,start:#}]"},
		{"/models/fill", `{"inputs":"a [MASK]."}`, "[{score:#,sequence:s,token:#,token_str:s}]"},
		{"/models/fill", `{"inputs":"[MASK] [MASK]","parameters":{"top_k":2}}`, "[[{score:#,sequence:s,token:#,token_str:s}]]"},
		{"/models/fill", `{"inputs":["a [MASK]"],"parameters":{"targets":["a","door"]}}`, "[[{score:#,sequence:s,token:#,token_str:s}]]"},
		{"/models/fill/pipeline/feature-extraction", `{"inputs":["a"],"normalize":true}`, "[[#]]"},
		{"/models/tag/pipeline/sentence-similarity", `{"inputs":{"source_sentence":"a","sentences":["b"]}}`, "[#]"},
		{"/v2/models/classify/infer", `{"id":"7","inputs":[{"name":"text","datatype":"BYTES","shape":[2],"data":["a","b"]}]}`, "{id:s,model_name:s,model_version:s,outputs:[{data:[#],datatype:s,name:s,shape:[#]}]}"},
		{"/v2/models/fill/versions/1/infer", `{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[1,3],"data":[[2,9,3]]}],"outputs":[{"name":"embedding"},{"name":"last_hidden_state"}]}`,
			"{model_name:s,model_version:s,outputs:[{data:[#],datatype:s,name:s,shape:[#]}]}"},
		{"/models/fill/embed", "one\n", "{embedding:[#]}"},
		{"/models/fill/embed?pooling=none&layer=1", "one\n", "{embedding:[[#]]}"},
		{"/models/fill/fill?top_k=2", "a [MASK]\n", "[{score:#,sequence:s,token:#,token_str:s}]"},
		{"/models/classify/classify?all=true", `{"text":"a","id":3}`, "{id:#,labels:[{label:s,score:#}]}"},
		{"/models/choose/choose", `{"context":"a","question":"b _","choices":["c","d"]}`, "{choice:#,scores:[#]}"},
		{"/models/answer/answer", `{"question":"who?","context":"Tom."}`, "{answer:s,end:#,score:#,start:#}"},
		{"/models/tag/tag?logits=1", "a\n", "{logits:[[#]]}"},
	} {
		status, text, header := post(t, h.URL+c.path, c.body)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil || status != 200 || shape(v) != c.want {
			t.Errorf("%s %s: %d, %v, shape %s, want %s: %.300s", c.path, c.body, status, err, shape(v), c.want, text)
		}
		if header.Get("Traceparent") == "" || !strings.HasPrefix(c.path, "/models/") && header.Get("X-Inference-Time") == "" {
			t.Errorf("%s: headers %v", c.path, header)
		}
	}
	for _, c := range []struct{ path, want string }{
		{"/v1/models", "{data:[{created:#,id:s,object:s,owned_by:s,tasks:[s]}],object:s}"}, {"/v1/models/tag", "{created:#,id:s,object:s,owned_by:s,tasks:[s]}"},
		{"/v2", "{extensions:[s],name:s,version:s}"}, {"/v2/health/live", "{live:b}"}, {"/v2/models/tag/ready", "{name:s,ready:b}"},
		{"/v2/models/tag", "{inputs:[{datatype:s,name:s,shape:[#]}],name:s,outputs:[{datatype:s,name:s,shape:[#]}],platform:s,versions:[s]}"},
	} {
		status, text, _ := get(t, h.URL+c.path)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil || status != 200 || shape(v) != c.want {
			t.Errorf("%s: %d, %v, %s", c.path, status, err, text)
		}
	}
	for _, path := range []string{"/health", "/ping", "/"} {
		if status, text, _ := get(t, h.URL+path); status != 200 || text != "" {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
	if status, text, _ := get(t, h.URL+"/metrics"); status != 200 || !strings.Contains(text, `albert_requests_total{model="tag",route="/v1/embeddings",status="200"} 1`) ||
		!strings.Contains(text, "te_request_count") || !strings.Contains(text, "albert_padding_pieces_total 0") {
		t.Errorf("metrics: %d\n%s", status, text)
	}
}

// shape writes what a JSON value is made of: # a number, s a text, b a truth; of a list its first element.
func shape(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "b"
	case float64:
		return "#"
	case string:
		return "s"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shape(v[0]) + "]"
	case map[string]any:
		var list []string
		for k, x := range v {
			list = append(list, k+":"+shape(x))
		}
		slices.Sort(list)
		return "{" + strings.Join(list, ",") + "}"
	}
	return "?"
}

// A mistake is told in the family's form and status, always in JSON.
func TestMistakes(t *testing.T) {
	_, h := start(t, Options{MaxBody: 5000})
	deep := `{"inputs":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}"
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/embed", `{"inputs":[]}`, 400, `"error_type":"Empty"`},
		{"/embed", `{"inputs":`, 400, `"error":"broken JSON`},
		{"/embed", ``, 400, `"error":"broken JSON`},
		{"/embed", `{"inputs":5}`, 422, `"error_type":"Validation"`},
		{"/embed", `[5]`, 422, "the body: a JSON array does not fit here"},
		{"/similarity", `{"inputs":{"sentences":5}}`, 422, "inputs.sentences: a JSON number does not fit here"},
		{"/embed", `{"inputs":["a",null]}`, 422, `"error_type":"Validation"`},
		{"/embed", `{"inputs":[501]}`, 422, "501"},
		{"/embed", `{"inputs":"a","dimensions":99}`, 422, "dimensions 99"},
		{"/embed", `{"inputs":"a","prompt_name":"x"}`, 422, "Available prompts: []"},
		{"/embed", `{"inputs":"a","truncation_direction":"up"}`, 422, "Left or Right"},
		{"/embed", `{"inputs":"` + strings.Repeat("a b ", 600) + `","truncate":false}`, 422, "longer than the model takes"},
		{"/embed", "{\"inputs\":\"a\xff\"}", 400, "UTF-8"},
		{"/embed", `{"inputs":"` + strings.Repeat("a", 6000) + `"}`, 413, "5000 bytes"},
		{"/embed", deep[:4000], 400, "deep"},
		{"/predict", `{"inputs":["a","b","c"]}`, 422, "no pair"},
		{"/rerank", `{"query":"a","texts":["b"]}`, 424, "no reranker"},
		{"/decode", `{"ids":[9999]}`, 422, "9999"},
		{"/v1/embeddings", `{"model":"nope","input":"a"}`, 404, `"code":"model_not_found"`},
		{"/v1/embeddings", `{"model":"fill","input":[1,2]}`, 400, "--allow-token-ids"},
		{"/v1/embeddings", `{"model":"fill"}`, 400, `"type":"invalid_request_error"`},
		{"/v2/rerank", `{"model":"rank","documents":["a"]}`, 400, `{"message":"there is no query"}`},
		{"/models/tag", `{"inputs":"a","parameters":{"aggregation_strategy":"all"}}`, 422, "aggregation_strategy"},
		{"/models/nope", `{"inputs":"a"}`, 404, "nope"},
		{"/models/tag/pipeline/nope", `{"inputs":"a"}`, 404, "nope"},
		{"/models/tag/pipeline/fill-mask", `{"inputs":"a [MASK]"}`, 422, "no head"},
		{"/models/fill", `{"inputs":"a"}`, 422, "no [MASK]"},
		{"/models/tag/classify", "a\n", 424, "cannot classify"},
		{"/models/fill/embed?poling=max", "a\n", 422, "poling"},
		{"/models/fill/embed?layer=x", "a\n", 422, "layer"},
		{"/models/tag/tag?long=window", "a\n", 422, "want truncate or windows"},
		{"/models/classify/classify?long=window", "a\n", 422, "want truncate or windows"},
		{"/models/fill/reload", "", 403, "--api-key-file"},
		{"/v2/models/fill/infer", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[3],"data":["a"]}]}`, 400, "its shape"},
		{"/v2/models/fill/infer", `{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[-1,-1],"data":[1]}]}`, 400, "shape"},
		{"/v2/models/fill/versions/9/infer", `{}`, 404, `{"error":"there is no version`},
		{"/nope", `{}`, 404, "no route"},
		{"/health", `{}`, 405, "want GET"},
	} {
		status, text, header := post(t, h.URL+c.path, c.body)
		if status != c.status || !strings.Contains(text, c.want) || !json.Valid([]byte(text)) || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %.80s: %d %s, want %d %s", c.path, c.body, status, text, c.status, c.want)
		}
	}
	if status, text, _ := post(t, h.URL+"/embed", `{"inputs":"a"}`, "X-Request-Timeout", "1e-9"); status != 504 {
		t.Errorf("a request without time: %d %s", status, text)
	}
	if status, text, _ := post(t, h.URL+"/embed", `{"inputs":"a"}`, "X-Request-Timeout", "soon"); status != 400 {
		t.Errorf("a wrong timeout: %d %s", status, text)
	}
	if status, _, header := get(t, h.URL+"/embed"); status != 405 || header.Get("Allow") != "POST" {
		t.Errorf("GET /embed: %d %v", status, header)
	}
}

// Texts that are too long are cut at the end that is asked for.
func TestTextsAreCutAtTheGivenEnd(t *testing.T) {
	_, h := start(t, Options{})
	long := strings.Repeat("the reader opens a file ", 200)
	for _, c := range [][2]string{{"/embed", `{"inputs":"%s","truncation_direction":"%s"}`}, {"/predict", `{"inputs":"%s","truncation_direction":"%s"}`}} {
		seen := map[string]bool{}
		for _, text := range []string{"door " + long, "house " + long} { // they differ at the left alone
			for _, side := range []string{"Left", "Right"} {
				status, answer, _ := post(t, h.URL+c[0], fmt.Sprintf(c[1], text, side))
				if status != 200 {
					t.Error(status, answer)
				}
				seen[answer] = true
			}
		}
		if len(seen) != 3 {
			t.Errorf("%s: %d answers, want 3", c[0], len(seen))
		}
	}
}

// A key is asked for everywhere but at the health routes; every key of the file is one.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("# who\nann first\n\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := ReadKeys(file)
	if err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	var log bytes.Buffer
	_, h := start(t, Options{Keys: keys, Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}, Log: &log, CORSOrigin: "https://a.example"})
	for key, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer first": 200, "first": 200, "bearer second": 200} {
		if status, text, header := post(t, h.URL+"/v1/embeddings", `{"input":"a"}`, "Authorization", key); status != want ||
			status == 401 && (!strings.Contains(text, "invalid_api_key") || header.Get("WWW-Authenticate") == "") {
			t.Errorf("%q: %d %s", key, status, text)
		}
	}
	for path, want := range map[string]int{"/health": 200, "/v2/health/ready": 200, "/openapi.json": 200, "/docs": 200, "/metrics": 401, "/v1/models": 401} {
		if status, text, _ := get(t, h.URL+path); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	trace := "0af7651916cd43dd8448eb211c80319c"
	status, text, header := post(t, h.URL+"/models/m/reload", "", "Authorization", "Bearer first", "Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	if status != 200 || !strings.Contains(header.Get("Traceparent"), trace) || header.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("reload: %d %s %v", status, text, header)
	}
	for _, want := range []string{`"key":"ann"`, `"trace_id":"` + trace + `"`, `"parent_id":"b7ad6b7169203331"`, `"msg":"reloaded"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the log", want)
		}
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	r, _ := http.NewRequest(http.MethodOptions, h.URL+"/embed", nil)
	r.Header.Set("Access-Control-Request-Method", "POST")
	if status, _, _ := do(t, r); status != 204 {
		t.Errorf("a browser's question: %d", status)
	}
}

// numbers gives all numbers of a JSON text, as float32, in their order.
func numbers(t testing.TB, text string) (list []float32) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		x, err := d.Token()
		if err != nil {
			return list
		}
		if n, ok := x.(json.Number); ok {
			f, _ := n.Float64()
			list = append(list, float32(f))
		}
	}
}

// An answer has the bits of the engine asked alone, whatever else is asked at the same time, over every route and in each precision.
func TestSameBitsWhoeverElseAsks(t *testing.T) {
	list := models(t)
	for _, precision := range []string{"fp32", "int8"} {
		_, h := start(t, Options{Models: list, Precision: precision})
		direct := map[string]*infer.Model{}
		for _, m := range list {
			x, err := infer.Open(m.Path, infer.Options{Threads: 1, Precision: infer.Precision(precision)})
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			direct[m.Name] = x
		}
		embed := func(name, text string, normalize *bool) []float32 {
			for a, err := range must(direct[name].Embed(context.Background(), slices.Values(texts(text)), lastLayer(normalize))) {
				if err != nil {
					t.Fatal(err)
				}
				return a.Vectors[0]
			}
			return nil
		}
		text := "the reader opens a file."
		quoted := `"` + text + `"`
		classified := func(name, pair string) (a infer.Classified) {
			q := texts(text)
			if pair != "" {
				q[0].Pair = &pair
			}
			for a = range must(direct[name].Classify(context.Background(), slices.Values(q), false)) {
			}
			return a
		}
		var scores []float32
		for _, l := range classified("classify", "").Labels {
			scores = append(scores, l.Score)
		}
		var filled []float32
		for a := range must(direct["fill"].Fill(context.Background(), slices.Values(texts("a [MASK].")), infer.FillOptions{TopK: 5})) {
			for _, f := range a.Masks[0] {
				filled = append(filled, f.Score, float32(f.Token))
			}
		}
		pair := classified("rank", "a door")
		checks := []struct {
			path, body string
			want       []float32
		}{
			{"/embed", `{"inputs":` + quoted + `}`, embed("fill", text, new(true))},
			{"/embed", `{"inputs":` + quoted + `,"normalize":false}`, embed("fill", text, nil)},
			{"/v1/embeddings", `{"model":"tag","input":` + quoted + `,"encoding_format":"base64"}`, embed("tag", text, new(true))},
			{"/models/tag/embed", text, embed("tag", text, nil)},
			{"/v2/models/tag/infer", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":[` + quoted + `]}],"outputs":[{"name":"embedding","parameters":{"binary_data":true}}]}`, embed("tag", text, nil)},
			{"/models/classify", `{"inputs":` + quoted + `}`, scores},
			{"/models/classify/classify?logits=1", text, classified("classify", "").Logits},
			{"/v2/rerank", `{"model":"rank","query":` + quoted + `,"documents":["a door"]}`, infer.Scores(model.Rank, pair.Logits)},
			{"/models/rank/classify?logits=1", `{"text":` + quoted + `,"text_pair":"a door"}`, pair.Logits},
			{"/models/fill", `{"inputs":"a [MASK]."}`, filled},
		}
		var wg sync.WaitGroup
		gate := make(chan bool)
		for i := range 200 { // others, of all lengths
			wg.Go(func() {
				<-gate
				other := strings.Repeat("an opened door ", 1+i*i%150)
				name := list[i%len(list)].Name
				post(t, h.URL+"/models/"+name+"/embed", other)
			})
		}
		for range 3 {
			for _, c := range checks {
				wg.Go(func() {
					<-gate
					status, body, header := post(t, h.URL+c.path, c.body)
					got := vectorOf(t, c.path, body, header)
					if status != 200 || !slices.Equal(got, c.want) {
						t.Errorf("%s %s %s: %d, %d numbers, want %d: %.200s", precision, c.path, c.body, status, len(got), len(c.want), body)
					}
				})
			}
		}
		close(gate)
		wg.Wait()
	}
}

// vectorOf takes the numbers out of a body.
func vectorOf(t testing.TB, path, body string, header http.Header) (v []float32) {
	t.Helper()
	raw := []byte{}
	switch {
	case strings.HasPrefix(path, "/v1/embeddings"):
		var a struct {
			Data []struct{ Embedding string }
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Data) != 1 {
			t.Error(err, body)
			return nil
		}
		raw, _ = base64.StdEncoding.DecodeString(a.Data[0].Embedding)
	case strings.HasPrefix(path, "/v2/rerank"):
		var a cohereAnswer
		if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Results) != 1 {
			t.Error(err, body)
			return nil
		}
		return []float32{a.Results[0].Score}
	case header.Get(jsonLength) != "":
		n := 0
		fmt.Sscan(header.Get(jsonLength), &n)
		raw = []byte(body)[n:]
	default:
		return numbers(t, body)
	}
	for ; len(raw) >= 4; raw = raw[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return v
}

func must[A any](answers iter.Seq2[A, error], err error) iter.Seq2[A, error] {
	if err != nil {
		panic(err)
	}
	return answers
}

// A model that albert finetune --task rerank made answers on all routes of classification, with the score by which it ranks.
func TestARankingModelClassifiesPairs(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Rank, model.Heads{Pooler: true, Labels: 1})}}})
	_, text, _ := post(t, h.URL+"/models/m/rank", `{"query":"who?","texts":["a door"]}`)
	_, logits, _ := post(t, h.URL+"/models/m/rank?logits=1", `{"query":"who?","texts":["a door"]}`)
	score, logit := numbers(t, text)[1], numbers(t, logits)[0]
	pair := `{"text":"who?","text_pair":"a door"}`
	for _, c := range []struct {
		path, body string
		want       float32
	}{
		{"/predict", `{"inputs":["who?","a door"]}`, score}, {"/", `{"inputs":[["who?","a door"]]}`, score},
		{"/predict", `{"inputs":["who?","a door"],"raw_scores":true}`, logit},
		{"/models/m", `{"inputs":` + pair + `}`, score}, {"/models/m/pipeline/text-classification", `{"inputs":` + pair + `,"parameters":{"function_to_apply":"none"}}`, logit},
		{"/v2/models/m/infer", `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["who?"]},{"name":"text_pair","datatype":"BYTES","shape":[1],"data":["a door"]}]}`, logit},
	} {
		status, text, _ := post(t, h.URL+c.path, c.body)
		if got := numbers(t, text); status != 200 || !slices.Contains(got, c.want) {
			t.Errorf("%s %s: %d %s, want %v", c.path, c.body, status, text, c.want)
		}
	}
}

// Of the pieces that may fill a mask the five likeliest are given, as by the pipeline.
func TestTargets(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	scores := map[int32]float32{}
	for body, want := range map[string]int{`"top_k":500`: 500, `"targets":["the","and","in","is","was","for","with","the"]`: 5, `"targets":["the","in"],"top_k":9`: 2, `"targets":["the","in"],"top_k":1`: 1} {
		var list []infer.Filling
		_, text, _ := post(t, h.URL+"/models/m", `{"inputs":"a [MASK].","parameters":{`+body+`}}`)
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != want || !slices.IsSortedFunc(list, func(a, b infer.Filling) int { return cmp.Compare(b.Score, a.Score) }) {
			t.Errorf("%s: %v, %d fillings, want %d: %.300s", body, err, len(list), want, text)
		}
		for _, f := range list {
			if s, ok := scores[f.Token]; ok && s != f.Score {
				t.Errorf("%s: the score of %q is %v, and %v among others", body, f.TokenStr, f.Score, s)
			}
			scores[f.Token] = f.Score
		}
	}
}

// WordPiece tells the pieces that go on with a word: punctuation does not.
func TestWordsOfWordPiece(t *testing.T) {
	tok, err := tokenizer.NewWordPiece([]byte("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ndoor\n##s\n.\n"), tokenizer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := &opened{Model: &infer.Model{Model: &formats.Model{Tokenizer: tok}}}
	list := o.pieces("doors.", [][]float32{{0}, {1}, {1}, {1}, {0}})
	if len(list) != 3 || list[0].subword || !list[1].subword || list[2].subword {
		t.Errorf("%+v", list)
	}
}

// /info names the precision that runs: of weights that are kept in int8, that.
func TestInfoNamesThePrecision(t *testing.T) {
	dir := tiny(t, model.Order, model.PretrainingHeads)
	m, err := formats.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	dev, err := cpu.New("", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if _, err := infer.Prepare(m, infer.Int8, dev); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"float32", "int8"} {
		_, h := start(t, Options{Models: []Model{{Name: "m", Path: dir}}})
		if _, text, _ := get(t, h.URL+"/info"); !strings.Contains(text, `"model_dtype":"`+want+`"`) {
			t.Errorf("want %s: %s", want, text)
		}
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// A model that makes NaN gives 500 in every family, a count, and no number.
func TestBrokenWeightsAreSaid(t *testing.T) {
	dir := tiny(t, model.Order, model.PretrainingHeads)
	m, err := formats.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params.List {
		for i := range p.Data {
			p.Data[i] = float32(math.NaN())
		}
	}
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: dir}}})
	for path, body := range map[string]string{"/embed": `{"inputs":"a"}`, "/v1/embeddings": `{"input":"a","encoding_format":"base64"}`, "/models/m": `{"inputs":"a [MASK]"}`,
		"/v2/models/m/infer": `{"parameters":{"binary_data_output":true},"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}],"outputs":[{"name":"embedding"}]}`} {
		if status, text, _ := post(t, h.URL+path, body); status != 500 || !strings.Contains(text, "not finite") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if _, text, _ := post(t, h.URL+"/models/m/embed", "a\n"); !strings.Contains(text, `"error":"the model gives a number that is not finite`) {
		t.Error(text)
	}
	if _, text, _ := get(t, h.URL+"/metrics"); !strings.Contains(text, `albert_nonfinite_total{model="m"} 5`) {
		t.Error("no count of what is not finite")
	}
}
