package serve_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing/fstest"

	"albert/internal/model"
	"albert/serve"
)

// A model that is a part of the program, beside a handler of one's own:
//
//	//go:embed model
//	var files embed.FS
func ExampleNew() {
	files := embedded()
	s, err := serve.New(serve.Options{Models: []serve.Model{{Name: "news", Path: "model", FS: files}}, Threads: 1})
	if err == nil {
		err = s.Load()
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	mux := http.NewServeMux()
	mux.Handle("/albert/", http.StripPrefix("/albert", s))
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })

	answer := httptest.NewRecorder() // in place of http.ListenAndServe("127.0.0.1:8080", mux)
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/albert/v1/embeddings", strings.NewReader(`{"input": "The door is closed."}`)))
	fmt.Println(answer.Code, strings.Contains(answer.Body.String(), `"model":"news"`))
	// Output: 200 true
}

// embedded is what go:embed would hold: here a small random model.
func embedded() fs.FS {
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 500, 8, 16, 32, 2, 2
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := model.NewWith(c, model.PretrainingHeads, 1).Save(dir); err != nil {
		panic(err)
	}
	files := fstest.MapFS{}
	for name, path := range map[string]string{"config.json": dir + "/config.json", "model.safetensors": dir + "/model.safetensors",
		"spiece.model": "../tokenizer/testdata/albert.model"} {
		data, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		files["model/"+name] = &fstest.MapFile{Data: data}
	}
	return files
}
