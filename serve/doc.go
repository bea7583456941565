// Package serve answers over HTTP what a model can be asked, in the forms of clients that exist: text-embeddings-inference, OpenAI, Cohere and Jina,
// Hugging Face's pipelines, KServe's open inference protocol; and as streams of JSON lines. A [Server] is an [http.Handler] that can stand in
// anybody's server:
//
//	s, err := serve.New(serve.Options{Models: []serve.Model{{Name: "news", Path: "runs/news"}}})
//	if err == nil { err = s.Load() }
//	...
//	http.ListenAndServe("127.0.0.1:8080", s)
//
// All requests share one inference engine for each model: what arrives while a batch runs goes into the next, short texts before long ones
// (package infer). An answer's bits do not depend on who else asks; they are those of albert embed, fill and predict. docs/serving.md has the routes,
// the clients and the limits. It is not for training, and does not fetch models.
package serve
