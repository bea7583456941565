package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// pipelineRequest is the body of the routes of Hugging Face's pipelines; what feature-extraction takes stands at its root.
type pipelineRequest struct {
	Inputs     json.RawMessage `json:"inputs"`
	Parameters *parameters     `json:"parameters,omitempty"`
}

// parameters are those of all tasks, by the names of the pipelines.
type parameters struct {
	TopK     *int    `json:"top_k,omitempty" doc:"so many answers"`
	Function *string `json:"function_to_apply,omitempty" doc:"text-classification: sigmoid, softmax or none"`

	Aggregation *string   `json:"aggregation_strategy,omitempty" doc:"token-classification: none, simple, first, average or max"`
	Ignore      *[]string `json:"ignore_labels,omitempty" doc:"token-classification: [\"O\"] by default"`
	Stride      *int      `json:"stride,omitempty" doc:"token-classification: a long text is read in windows"`

	DocStride    *int  `json:"doc_stride,omitempty"`
	MaxAnswer    *int  `json:"max_answer_len,omitempty"`
	MaxQuestion  *int  `json:"max_question_len,omitempty"`
	MaxSeq       *int  `json:"max_seq_len,omitempty"`
	Impossible   *bool `json:"handle_impossible_answer,omitempty"`
	AlignToWords *bool `json:"align_to_words,omitempty"`

	Targets stringOrList `json:"targets,omitempty" doc:"fill-mask: only these"`

	Labels     labelList `json:"candidate_labels,omitempty" doc:"zero-shot-classification"`
	Hypothesis *string   `json:"hypothesis_template,omitempty"`
	MultiLabel *bool     `json:"multi_label,omitempty"`
}

// labelList is a list of labels, or a text of them with commas between.
type labelList []string

func (l *labelList) UnmarshalJSON(raw []byte) error {
	var list stringOrList
	if err := list.UnmarshalJSON(raw); err != nil {
		return invalid("candidate_labels", "want a list of labels")
	}
	if raw[0] == '"' {
		list = strings.Split(list[0], ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
	}
	*l = labelList(list)
	return nil
}

// The tasks, by the pipelines' names.
const (
	textClassification  = "text-classification"
	tokenClassification = "token-classification"
	questionAnswering   = "question-answering"
	fillMask            = "fill-mask"
	featureExtraction   = "feature-extraction"
	sentenceSimilarity  = "sentence-similarity"
	zeroShot            = "zero-shot-classification"
)

var tasks = []string{textClassification, tokenClassification, questionAnswering, fillMask, featureExtraction, sentenceSimilarity, zeroShot}

// taskOf is what a model answers where the route names no task.
func (o *opened) taskOf(b *pipelineRequest) string {
	var similarity similarityInputs
	switch {
	case b.Parameters != nil && b.Parameters.Labels != nil:
		return zeroShot
	case json.Unmarshal(b.Inputs, &similarity) == nil && similarity.Source != nil:
		return sentenceSimilarity
	}
	switch o.Kind {
	case model.Classify, model.MultiLabel, model.Regress, model.Rank:
		return textClassification
	case model.Tag:
		return tokenClassification
	case model.Answer:
		return questionAnswering
	case model.Order:
		return fillMask
	}
	if o.MLMDense.W != nil {
		return fillMask
	}
	return featureExtraction
}

func (q *request) pipelineRoute() error {
	if err := q.use(q.r.PathValue("name"), true); err != nil {
		return err
	}
	text, err := q.body()
	if err != nil {
		return err
	}
	var b pipelineRequest
	if err := decode(text, &b); err != nil {
		return err
	}
	if b.Inputs == nil || string(b.Inputs) == "null" {
		return invalid("inputs", "there are no inputs")
	}
	if b.Parameters == nil {
		b.Parameters = &parameters{}
	}
	if k := b.Parameters.TopK; k != nil && *k < 1 {
		return invalid("top_k", "top_k must be at least 1")
	}
	asked := q.r.PathValue("task")
	if asked == "" {
		asked = q.model.taskOf(&b)
	}
	switch asked {
	case textClassification, "sentiment-analysis":
		return q.textClassification(&b)
	case tokenClassification, "ner":
		return q.tokenClassification(&b)
	case questionAnswering:
		return q.questionAnswering(&b)
	case fillMask:
		return q.fillMask(&b)
	case zeroShot:
		return q.zeroShot(&b)
	case featureExtraction:
		return decoded(q, text, (*request).embedRoute)
	case sentenceSimilarity:
		return decoded(q, text, (*request).similarityRoute)
	}
	return newProblem(kindNotFound, fmt.Sprintf("there is no task %q", asked))
}

// inputsOf reads inputs: one, or a list.
func inputsOf[T any](raw json.RawMessage, want string) (list []T, many bool, err error) {
	if raw[0] == '[' {
		if hasNull(raw) || json.Unmarshal(raw, &list) != nil {
			return nil, true, invalid("inputs", "want "+want+", or a list of them")
		}
		return list, true, nil
	}
	list = make([]T, 1)
	if json.Unmarshal(raw, &list[0]) != nil {
		return nil, false, invalid("inputs", "want "+want+", or a list of them")
	}
	return list, false, nil
}

// oneOf is the answer to one input where one was given, else the list.
func oneOf[T any](list []T, many bool) any {
	if many {
		return list
	}
	return list[0]
}

// textInput is a text, or an object with a text and its pair.
type textInput struct {
	Text string
	Pair *string
}

func (t *textInput) UnmarshalJSON(raw []byte) error {
	var object struct {
		Text *string `json:"text"`
		Pair *string `json:"text_pair"`
	}
	switch {
	case json.Unmarshal(raw, &t.Text) == nil:
		return nil
	case json.Unmarshal(raw, &object) == nil && object.Text != nil:
		t.Text, t.Pair = *object.Text, object.Pair
		return nil
	}
	return invalid("inputs", "no text")
}

func (q *request) textClassification(b *pipelineRequest) error {
	list, _, err := inputsOf[textInput](b.Inputs, `a text, or {"text": ..., "text_pair": ...}`)
	if err != nil {
		return err
	}
	kind := q.model.scoring()
	switch f := value(b.Parameters.Function); f {
	case "":
	case "sigmoid":
		kind = model.MultiLabel
	case "softmax":
		kind = model.Classify
	case "none":
		kind = model.Regress
	default:
		return invalid("function_to_apply", fmt.Sprintf("function_to_apply %q: want sigmoid, softmax or none", f))
	}
	questions := make([]*infer.Question, len(list))
	for i, t := range list {
		questions[i] = &infer.Question{Text: t.Text, Pair: t.Pair}
	}
	answers, err := q.classify(q.model.Model, questions)
	if err != nil {
		return err
	}
	out, labels := make([][]prediction, len(answers)), q.model.Labels()
	for i, logits := range answers {
		out[i] = predictions(labels, infer.Scores(kind, logits))
		if k := b.Parameters.TopK; k != nil {
			out[i] = out[i][:min(len(out[i]), *k)]
		}
	}
	return q.json(out)
}

type qaInput struct {
	Question *string `json:"question"`
	Context  *string `json:"context"`
}

// spanOptions are those of a question, whose stride is by which windows overlap.
func (p *parameters) spanOptions(q *request, question string) (task.SpanOptions, error) {
	o := task.SpanOptions{MaxSeqLength: 384, MaxQueryLength: 64, MaxAnswerLength: 15, NBest: 20}
	set := func(name string, from *int, to *int, least int) error {
		if from == nil {
			return nil
		}
		if *from < least {
			return invalid(name, fmt.Sprintf("%s must be at least %d", name, least))
		}
		*to = *from
		return nil
	}
	err := set("max_seq_len", p.MaxSeq, &o.MaxSeqLength, 8)
	o.MaxSeqLength = min(o.MaxSeqLength, q.model.Config.MaxPositionEmbeddings)
	overlap := min(o.MaxSeqLength/2, 128)
	err = cmp.Or(err, set("max_question_len", p.MaxQuestion, &o.MaxQueryLength, 1), set("max_answer_len", p.MaxAnswer, &o.MaxAnswerLength, 1),
		set("doc_stride", p.DocStride, &overlap, 0))
	o.NBest = max(o.NBest, value(p.TopK))
	if q.model.Tokenizer != nil {
		n := min(len(q.model.Tokenizer.Encode(question)), o.MaxQueryLength, o.MaxSeqLength-4)
		o.DocStride = max(1, o.MaxSeqLength-n-3-overlap)
	}
	return o, err
}

func (q *request) questionAnswering(b *pipelineRequest) error {
	p := b.Parameters
	list, many, err := inputsOf[qaInput](b.Inputs, `{"question": ..., "context": ...}`)
	if err != nil {
		return err
	}
	k := max(1, value(p.TopK))
	out := make([]any, len(list))
	for i, in := range list {
		if in.Question == nil || in.Context == nil {
			return invalid("inputs", `want {"question": ..., "context": ...}`)
		}
		o, err := p.spanOptions(q, *in.Question)
		if err != nil {
			return err
		}
		answers, err := ask(q, []*infer.Question{{Text: *in.Question, Pair: in.Context}},
			func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Answered, error], error) {
				return q.model.Answer(ctx, list, o)
			})
		if err != nil {
			return err
		}
		spans := q.model.Best(&answers[0].Spans, k, new(math.Inf(1)))
		if none := answers[0].Spans.Null.Score; value(p.Impossible) && len(answers[0].Spans.Best) > 0 {
			at := slices.IndexFunc(spans, func(s infer.Span) bool { return s.Score < none })
			if at < 0 {
				at = len(spans)
			}
			spans = slices.Insert(spans, at, infer.Span{Score: none})
			spans = spans[:min(k, len(spans))]
		}
		if p.AlignToWords == nil || *p.AlignToWords {
			for i := range spans {
				alignToWords(&spans[i], []rune(*in.Context))
			}
		}
		if out[i] = spans; k == 1 {
			out[i] = spans[0]
		}
	}
	return q.json(oneOf(out, many))
}

// alignToWords makes an answer begin and end with whole words: what stands between spaces.
func alignToWords(s *infer.Span, context []rune) {
	if s.Start == s.End {
		return
	}
	space := func(i int) bool { return strings.ContainsRune(" \t\r\n", context[i]) }
	for s.Start > 0 && !space(s.Start-1) && !space(s.Start) {
		s.Start--
	}
	for s.End < len(context) && !space(s.End) && !space(s.End-1) {
		s.End++
	}
	s.Answer = string(context[s.Start:s.End])
}

func (q *request) fillMask(b *pipelineRequest) error {
	list, many, err := inputsOf[string](b.Inputs, "a text with [MASK]")
	if err != nil {
		return err
	}
	o := infer.FillOptions{TopK: 5}
	if k := b.Parameters.TopK; k != nil {
		o.TopK = *k
	}
	if o.Targets, err = q.model.targets(b.Parameters.Targets); err != nil {
		return err
	}
	answers, err := ask(q, texts(list...), func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Filled, error], error) {
		return q.model.Fill(ctx, list, o)
	})
	if err != nil {
		return err
	}
	out := make([]any, len(answers))
	for i, a := range answers {
		if out[i] = a.Masks; len(a.Masks) == 1 {
			out[i] = a.Masks[0]
		}
	}
	return q.json(oneOf(out, many))
}

// targets are the first pieces of texts, each once; nil: there are no texts.
func (o *opened) targets(list []string) (ids []int32, err error) {
	if len(list) > 0 && o.Tokenizer == nil {
		return nil, infer.ErrNoTokenizer
	}
	for _, t := range list {
		pieces := o.Tokenizer.Encode(t)
		if len(pieces) == 0 || int(pieces[0]) >= o.Config.VocabSize {
			return nil, invalid("targets", fmt.Sprintf("the target %q has no piece", t))
		}
		if !slices.Contains(ids, pieces[0]) {
			ids = append(ids, pieces[0])
		}
	}
	return ids, nil
}

func (q *request) zeroShot(b *pipelineRequest) error {
	p := b.Parameters
	o := infer.ZeroShotOptions{Labels: p.Labels, Template: value(p.Hypothesis), MultiLabel: value(p.MultiLabel)}
	if err := o.Check(); err != nil {
		return invalid("candidate_labels", err.Error())
	}
	list, many, err := inputsOf[string](b.Inputs, "a text")
	if err != nil {
		return err
	}
	answers, err := ask(q, texts(list...), func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Classified, error], error) {
		return q.model.ZeroShot(ctx, list, o)
	})
	if err != nil {
		return err
	}
	out := make([][]infer.Label, len(list))
	for i, a := range answers {
		out[i] = a.Labels
	}
	return q.json(oneOf(out, many))
}
