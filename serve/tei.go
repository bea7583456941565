package serve

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/tokenizer"
)

// teiInputs are texts to embed: a text, a list of texts, a list of ids, or a list of such lists.
type teiInputs struct {
	texts []string
	ids   [][]int32
	list  bool
}

func (t *teiInputs) UnmarshalJSON(raw []byte) error {
	*t = teiInputs{}
	var text string
	var ids []int32
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		t.texts = []string{text}
		return nil
	case raw[0] == '[':
		t.list = true
		if json.Unmarshal(raw, &t.texts) == nil && !hasNull(raw) {
			return nil
		}
		t.texts = nil
		if json.Unmarshal(raw, &ids) == nil && !hasNull(raw) {
			t.ids, t.list = [][]int32{ids}, false
			return nil
		}
		if json.Unmarshal(raw, &t.ids) == nil && !hasNull(raw) {
			return nil
		}
	}
	return invalid("inputs", "want a text, a list of texts, a list of ids, or a list of lists of ids")
}

// hasNull tells whether a list has an element null, which json reads as nothing.
func hasNull(raw []byte) bool {
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list) // it is a list
	return slices.ContainsFunc(list, func(x json.RawMessage) bool { return string(x) == "null" })
}

// questions are those of the inputs; whole: none must be cut.
func (t *teiInputs) questions(o *opened, whole bool) ([]*infer.Question, error) {
	list := texts(t.texts...)
	for _, ids := range t.ids {
		if len(ids) == 0 {
			return nil, invalid("inputs", "a list of ids is empty")
		}
		e, err := o.given(ids)
		if err != nil {
			return nil, err
		}
		list = append(list, &infer.Question{Pieces: []tokenizer.Encoding{e}})
	}
	for _, x := range list {
		x.Whole = whole
	}
	return list, nil
}

// embedRequest is the body of /embed and of the pipeline feature-extraction.
type embedRequest struct {
	Inputs     teiInputs `json:"inputs" doc:"a text, several, or their ids"`
	Truncate   *bool     `json:"truncate,omitempty" doc:"false: a text that is too long is an error"`
	Direction  *string   `json:"truncation_direction,omitempty" doc:"Left or Right: the end at which texts are cut"`
	PromptName *string   `json:"prompt_name,omitempty" doc:"one of the model's prompts, to put before every text"`
	Normalize  *bool     `json:"normalize,omitempty" doc:"false: vectors as they are, not of length 1"`
	Dimensions *int      `json:"dimensions,omitempty" doc:"so many first values are kept"`
	Encoding   *string   `json:"encoding_format,omitempty" doc:"float or base64 (little-endian float32)"`
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) (x T) {
	if p != nil {
		x = *p
	}
	return x
}

// vectors embeds a request's texts.
func (b *embedRequest) vectors(q *request, pooling infer.Pooling) ([]infer.Embedded, error) {
	m, err := q.cutAt(value(b.Direction))
	if err != nil {
		return nil, err
	}
	questions, err := b.Inputs.questions(q.model, b.Truncate != nil && !*b.Truncate)
	if err != nil {
		return nil, err
	}
	o := lastLayer(new(b.Normalize == nil || *b.Normalize))
	o.Pooling, o.PromptName, o.Dimensions = pooling, value(b.PromptName), value(b.Dimensions)
	if pooling == infer.PoolNone {
		o.Normalize = new(false)
	}
	return q.embed(m, questions, o)
}

// embedRoute answers with a vector for each text, numbers or base64.
func (q *request) embedRoute(b *embedRequest) error {
	encode, err := encoding(value(b.Encoding))
	if err != nil {
		return err
	}
	answers, err := b.vectors(q, "")
	if err != nil {
		return err
	}
	list := make([]any, len(answers))
	for i, a := range answers {
		list[i] = encode(a.Vectors[0])
	}
	return q.json(list)
}

func (q *request) embedAllRoute(b *embedRequest) error {
	answers, err := b.vectors(q, infer.PoolNone)
	if err != nil {
		return err
	}
	list := make([][][]float32, len(answers))
	for i, a := range answers {
		list[i] = a.Vectors
	}
	return q.json(list)
}

// predictInputs are texts to classify: a text, a pair, or a list of lists of one text or two.
type predictInputs struct {
	list [][]string
	many bool
}

func (t *predictInputs) UnmarshalJSON(raw []byte) error {
	*t = predictInputs{}
	var text string
	var pair []string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		t.list = [][]string{{text}}
		return nil
	case json.Unmarshal(raw, &pair) == nil && len(pair) > 0 && !hasNull(raw):
		if len(pair) != 2 {
			return invalid("inputs", fmt.Sprintf("a list of %d texts is no pair: several texts are a list of lists, [[text], [text], ...]", len(pair)))
		}
		t.list = [][]string{pair}
		return nil
	case json.Unmarshal(raw, &t.list) == nil && !hasNull(raw):
		t.many = true
		for _, x := range t.list {
			if len(x) < 1 || len(x) > 2 {
				return invalid("inputs", fmt.Sprintf("a list of %d texts: want one text, or two", len(x)))
			}
		}
		return nil
	}
	return invalid("inputs", "want a text, a pair of texts, or a list of lists of one text or two")
}

type predictRequest struct {
	Inputs    predictInputs `json:"inputs" doc:"a text, a pair, or a list of lists of one text or two"`
	RawScores bool          `json:"raw_scores,omitempty" doc:"logits instead"`
	Truncate  *bool         `json:"truncate,omitempty"`
	Direction *string       `json:"truncation_direction,omitempty"`
}

type prediction struct {
	Score float32 `json:"score"`
	Label string  `json:"label"`
}

func (q *request) predictRoute(b *predictRequest) error {
	m, err := q.cutAt(value(b.Direction))
	if err != nil {
		return err
	}
	questions := make([]*infer.Question, len(b.Inputs.list))
	for i, x := range b.Inputs.list {
		questions[i] = &infer.Question{Text: x[0], Whole: b.Truncate != nil && !*b.Truncate}
		if len(x) == 2 {
			questions[i].Pair = &x[1]
		}
	}
	answers, err := q.classify(m, questions)
	if err != nil {
		return err
	}
	out, labels := make([][]prediction, len(answers)), q.model.Labels()
	for i, logits := range answers {
		if !b.RawScores {
			logits = infer.Scores(q.model.scoring(), logits)
		}
		out[i] = predictions(labels, logits)
	}
	if !b.Inputs.many {
		return q.json(out[0])
	}
	return q.json(out)
}

// predictions are labels with scores, best first.
func predictions(labels []string, scores []float32) []prediction {
	list := make([]prediction, len(scores))
	for i, x := range scores {
		list[i] = prediction{x, labels[i]}
	}
	slices.SortStableFunc(list, func(a, b prediction) int { return cmp.Compare(b.Score, a.Score) })
	return list
}

type rerankRequest struct {
	Query      string   `json:"query"`
	Texts      []string `json:"texts"`
	RawScores  bool     `json:"raw_scores,omitempty" doc:"logits instead of their sigmoids"`
	ReturnText bool     `json:"return_text,omitempty"`
	Truncate   *bool    `json:"truncate,omitempty"`
	Direction  *string  `json:"truncation_direction,omitempty"`
}

type rerankAnswer struct {
	Index int     `json:"index"`
	Text  *string `json:"text,omitempty"`
	Score float32 `json:"score"`
}

func (q *request) rerankRoute(b *rerankRequest) error {
	m, err := q.cutAt(value(b.Direction))
	if err != nil {
		return err
	}
	list, err := q.rank(m, b.Query, b.Texts, b.RawScores, b.Truncate != nil && !*b.Truncate)
	if err != nil {
		return err
	}
	out := make([]rerankAnswer, len(list))
	for i, r := range list {
		out[i] = rerankAnswer{Index: r.Index, Score: r.Score}
		if b.ReturnText {
			out[i].Text = &b.Texts[r.Index]
		}
	}
	return q.json(out)
}

type similarityRequest struct {
	Inputs     similarityInputs `json:"inputs"`
	Parameters *struct {
		Truncate   *bool   `json:"truncate,omitempty"`
		Direction  *string `json:"truncation_direction,omitempty"`
		PromptName *string `json:"prompt_name,omitempty"`
	} `json:"parameters,omitempty"`
}

type similarityInputs struct {
	Source    *string  `json:"source_sentence"`
	Sentences []string `json:"sentences"`
}

func (q *request) similarityRoute(b *similarityRequest) error {
	if b.Inputs.Source == nil || len(b.Inputs.Sentences) == 0 {
		return invalid("inputs", `want {"source_sentence": ..., "sentences": [...]}`)
	}
	e := embedRequest{Inputs: teiInputs{texts: append([]string{*b.Inputs.Source}, b.Inputs.Sentences...)}}
	if p := b.Parameters; p != nil {
		e.Truncate, e.Direction, e.PromptName = p.Truncate, p.Direction, p.PromptName
	}
	answers, err := e.vectors(q, "")
	if err != nil {
		return err
	}
	out := make([]float32, len(b.Inputs.Sentences))
	for i := range out {
		out[i] = float32(task.CosineOf(answers[0].Vectors[0], answers[i+1].Vectors[0]))
	}
	return q.json(out)
}

// rootRoute is POST / and /invocations: what the first model is for.
func (q *request) rootRoute() error {
	text, err := q.body()
	if err != nil {
		return err
	}
	var b struct {
		Inputs json.RawMessage `json:"inputs"`
		Query  json.RawMessage `json:"query"`
	}
	if err := decode(text, &b); err != nil {
		return err
	}
	switch q.model.Kind {
	case model.Classify, model.MultiLabel, model.Regress, model.Rank:
		if b.Query != nil && ranker(q.model.Model) != nil {
			return decoded(q, text, (*request).rerankRoute)
		}
		return decoded(q, text, (*request).predictRoute)
	case model.Tag, model.Answer, model.Choice:
		return newProblem(kindBackend, "this model answers at /models/"+q.modelName())
	}
	if len(b.Inputs) > 0 && b.Inputs[0] == '{' {
		return decoded(q, text, (*request).similarityRoute)
	}
	return decoded(q, text, (*request).embedRoute)
}

type info struct {
	ModelID             string         `json:"model_id"`
	ModelSHA            *string        `json:"model_sha"`
	ModelDType          string         `json:"model_dtype"`
	ServedModelName     string         `json:"served_model_name"`
	ModelType           map[string]any `json:"model_type"`
	MaxConcurrent       int            `json:"max_concurrent_requests"`
	MaxInputLength      int            `json:"max_input_length"`
	MaxBatchTokens      int            `json:"max_batch_tokens"`
	MaxBatchRequests    *int           `json:"max_batch_requests"`
	MaxClientBatchSize  int            `json:"max_client_batch_size"`
	AutoTruncate        bool           `json:"auto_truncate"`
	TokenizationWorkers int            `json:"tokenization_workers"`
	Version             string         `json:"version"`
	SHA                 *string        `json:"sha"`
	DockerLabel         *string        `json:"docker_label"`
	MaxQueueTokens      int            `json:"max_queue_tokens"`
	Models              []string       `json:"models"`
}

func (q *request) infoRoute() error {
	m, o := q.model, q.s.o
	x := info{ModelID: m.entry.name, ModelDType: m.dtype(), ServedModelName: m.entry.name, MaxConcurrent: o.MaxQueueTokens, MaxInputLength: m.Config.MaxPositionEmbeddings,
		MaxBatchTokens: o.MaxBatchTokens, MaxClientBatchSize: 1 << 20, AutoTruncate: true, TokenizationWorkers: 1, Version: o.Version, MaxQueueTokens: o.MaxQueueTokens}
	labels := map[string]any{}
	ids := map[string]any{}
	for i, l := range m.Labels() {
		labels[strconv.Itoa(i)], ids[l] = l, i
	}
	both := map[string]any{"id2label": labels, "label2id": ids}
	switch {
	case ranker(m.Model) != nil:
		x.ModelType = map[string]any{"reranker": both}
	case m.Kind == model.Classify || m.Kind == model.MultiLabel || m.Kind == model.Regress || m.Kind == model.Tag:
		x.ModelType = map[string]any{"classifier": both}
	default:
		pooling := "mean"
		if m.Sentence != nil && len(m.Sentence.Pooling) > 0 {
			pooling = string(m.Sentence.Pooling[0])
		}
		x.ModelType = map[string]any{"embedding": map[string]any{"pooling": pooling}}
	}
	for _, e := range q.s.models {
		x.Models = append(x.Models, e.name)
	}
	return q.json(x)
}

// dtype is the precision of a model's products, by TEI's words where it has one.
func (o *opened) dtype() string {
	if o.Precision == infer.FP32 {
		return "float32"
	}
	return string(o.Precision)
}
