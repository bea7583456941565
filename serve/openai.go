package serve

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"albert/internal/files/safetensors"
)

// embeddingsRequest is the body of /v1/embeddings.
type embeddingsRequest struct {
	Model      *string   `json:"model,omitempty"`
	Input      teiInputs `json:"input" doc:"a text or a list of texts; ids only with --allow-token-ids"`
	Encoding   *string   `json:"encoding_format,omitempty" doc:"float or base64 (little-endian float32)"`
	Dimensions *int      `json:"dimensions,omitempty"`
	User       *string   `json:"user,omitempty"`
}

type embeddingObject struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // numbers or base64
}

type usage struct {
	PromptTokens int64 `json:"prompt_tokens"`
	TotalTokens  int64 `json:"total_tokens"`
}

type embeddingsAnswer struct {
	Object string            `json:"object"`
	Model  string            `json:"model"`
	Data   []embeddingObject `json:"data"`
	Usage  usage             `json:"usage"`
}

// encoding is how a vector is written.
func encoding(format string) (func(v []float32) any, error) {
	switch format {
	case "", "float":
		return func(v []float32) any { return v }, nil
	case "base64":
		return func(v []float32) any { return base64.StdEncoding.EncodeToString(safetensors.Bytes(v)) }, nil
	}
	return nil, invalid("encoding_format", fmt.Sprintf("encoding_format %q: want float or base64", format))
}

func (q *request) embeddingsRoute(b *embeddingsRequest) error {
	if err := q.use(value(b.Model), false); err != nil {
		return err
	}
	encode, err := encoding(value(b.Encoding))
	if err != nil {
		return err
	}
	if b.Input.ids != nil && !q.s.o.AllowTokenIDs {
		return invalid("input", "token ids are not taken, as those of another tokenizer would give wrong vectors: send texts "+
			"(langchain: check_embedding_ctx_length=False), or start the server with --allow-token-ids")
	}
	if len(b.Input.texts)+len(b.Input.ids) == 0 {
		return invalid("input", "there is no text in input")
	}
	if b.Dimensions != nil && *b.Dimensions <= 0 {
		return invalid("dimensions", "dimensions must be at least 1")
	}
	e := embedRequest{Inputs: b.Input, Dimensions: b.Dimensions}
	answers, err := e.vectors(q, "")
	if err != nil {
		return err
	}
	n := q.trace.Pieces.Load()
	out := embeddingsAnswer{Object: "list", Model: q.modelName(), Data: make([]embeddingObject, len(answers)), Usage: usage{n, n}}
	for i, a := range answers {
		out.Data[i] = embeddingObject{"embedding", i, encode(a.Vectors[0])}
	}
	return q.json(out)
}

type modelObject struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	OwnedBy string   `json:"owned_by"`
	Tasks   []string `json:"tasks" doc:"what it can be asked: routes of /models/NAME, rerank, zero-shot; none as long as it is not loaded"`
}

type modelList struct {
	Object string        `json:"object"`
	Data   []modelObject `json:"data"`
}

func (e *entry) object() modelObject {
	o := modelObject{ID: e.name, Object: "model", OwnedBy: "albert", Tasks: []string{}}
	if m := e.hold(); m != nil {
		o.Created, o.Tasks = m.since.Unix(), m.asks()
		m.release()
	}
	return o
}

func (q *request) modelsRoute() error {
	out := modelList{Object: "list"}
	for _, e := range q.s.models {
		out.Data = append(out.Data, e.object())
	}
	return q.json(out)
}

func (q *request) modelRoute() error {
	e := q.s.entry(q.r.PathValue("id"))
	if e == nil {
		return newProblem(kindNotFound, fmt.Sprintf("there is no model %q", q.r.PathValue("id")))
	}
	return q.json(e.object())
}

// cohereRequest is the body of /v1/rerank and /v2/rerank, of Cohere and of Jina.
type cohereRequest struct {
	Model           *string          `json:"model,omitempty"`
	Query           *string          `json:"query"`
	Documents       []cohereDocument `json:"documents" doc:"texts, or objects with a field text"`
	TopN            *int             `json:"top_n,omitempty"`
	ReturnDocuments *bool            `json:"return_documents,omitempty"`
	MaxTokens       *int             `json:"max_tokens_per_doc,omitempty" doc:"without effect: documents are cut to what the model takes"`
}

// cohereDocument is a text, or an object that has one.
type cohereDocument struct {
	Text string `json:"text"`
}

func (d *cohereDocument) UnmarshalJSON(raw []byte) error {
	var object struct {
		Text *string `json:"text"`
	}
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &d.Text) == nil:
		return nil
	case json.Unmarshal(raw, &object) == nil && object.Text != nil:
		d.Text = *object.Text
		return nil
	}
	return invalid("documents", `want texts, or objects {"text": ...}`)
}

type cohereResult struct {
	Index    int             `json:"index"`
	Score    float32         `json:"relevance_score"`
	Document *cohereDocument `json:"document,omitempty"`
}

type cohereAnswer struct {
	ID      string         `json:"id"`
	Model   string         `json:"model"`
	Results []cohereResult `json:"results"`
	Meta    map[string]any `json:"meta"`
	Usage   usage          `json:"usage"`
}

func (q *request) cohereRoute(b *cohereRequest) error {
	if err := q.use(value(b.Model), false); err != nil {
		return err
	}
	if b.Query == nil {
		return invalid("query", "there is no query")
	}
	if b.TopN != nil && *b.TopN < 1 {
		return invalid("top_n", "top_n must be at least 1")
	}
	list := make([]string, len(b.Documents))
	for i, d := range b.Documents {
		list[i] = d.Text
	}
	ranks, err := q.rank(q.model.Model, *b.Query, list, false, false)
	if err != nil {
		return err
	}
	if b.TopN != nil {
		ranks = ranks[:min(len(ranks), *b.TopN)]
	}
	n := q.trace.Pieces.Load()
	out := cohereAnswer{ID: q.ids.trace, Model: q.modelName(), Results: make([]cohereResult, len(ranks)), Usage: usage{n, n},
		Meta: map[string]any{"api_version": map[string]any{"version": q.r.URL.Path[2:3]}, "billed_units": map[string]any{"search_units": 1}}}
	for i, r := range ranks {
		out.Results[i] = cohereResult{Index: r.Index, Score: r.Score}
		if value(b.ReturnDocuments) {
			out.Results[i].Document = &b.Documents[r.Index]
		}
	}
	return q.json(out)
}
