package albert_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"sync"
	"testing"

	"albert"
	"albert/internal/model"
)

// asked is a kind of question with its random inputs, and how they are asked.
type asked struct {
	kind  model.Kind
	heads model.Heads
	// ask asks inputs [from, to).
	ask func(m *albert.Model, ctx context.Context, from, to int) ([]any, error)
}

const inputs = 48 // of each kind

// anys makes a slice of answers one of any.
func anys[T any](list []T, err error) ([]any, error) {
	out := make([]any, len(list))
	for i, x := range list {
		out[i] = x
	}
	return out, err
}

// randomText has some words, now and then more than the model takes.
func randomText(r *rand.Rand) string {
	words := strings.Fields("the reader opens a file . writer closes door , Zoë is in São Paulo and returns 2000, errors ( nil )")
	n := r.Intn(20)
	if r.Intn(8) == 0 {
		n = 400 + r.Intn(400)
	}
	var b strings.Builder
	for range n + 1 {
		b.WriteString(words[r.Intn(len(words))] + " ")
	}
	return b.String()
}

// kinds are all kinds of questions over the inputs that a seed draws.
func kinds(seed int64) []asked {
	r := rand.New(rand.NewSource(seed))
	var texts, masked []string
	var pairs []albert.Input
	var questions []albert.Question
	var queries []albert.Query
	for range inputs {
		text, other := randomText(r), randomText(r)
		texts, masked = append(texts, text), append(masked, "the [MASK] "+text)
		pair := albert.Input{Text: text}
		if r.Intn(2) == 0 {
			pair.Pair = other
		}
		pairs = append(pairs, pair)
		queries = append(queries, albert.Query{Query: other, Texts: []string{text, other, "", "door"}[:1+r.Intn(4)]})
		questions = append(questions, albert.Question{Question: "who _ ?", Context: text, Choices: []string{"a", other, "door"}[:1+r.Intn(3)]})
	}
	return []asked{
		{model.Classify, model.PretrainingHeads, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Fill(ctx, masked[from:to], 3))
		}},
		{model.Classify, model.Heads{Pooler: true, Labels: 3}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Embed(ctx, texts[from:to]))
		}},
		{model.Classify, model.Heads{Pooler: true, Labels: 3}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Classify(ctx, pairs[from:to]))
		}},
		{model.Tag, model.Heads{Labels: 3}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Tag(ctx, texts[from:to]))
		}},
		{model.Answer, model.Heads{Spans: true}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Answer(ctx, questions[from:to]))
		}},
		{model.Answer, model.Heads{Beam: true}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Answer(ctx, questions[from:to]))
		}},
		{model.Choice, model.Heads{Pooler: true, Labels: 1}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Choose(ctx, questions[from:to]))
		}},
		{model.Rank, model.Heads{Pooler: true, Labels: 1}, func(m *albert.Model, ctx context.Context, from, to int) ([]any, error) {
			return anys(m.Rank(ctx, queries[from:to]))
		}},
	}
}

// An answer has one history: whatever is asked with it, in whatever slices, by however many goroutines, on however many threads, with
// whatever instructions, and however many others give up, its bits are those of the question asked alone.
func TestAnAnswerHasOneHistory(t *testing.T) {
	seed := int64(1)
	for _, k := range kinds(seed) {
		t.Run(fmt.Sprintf("%s %+v", k.kind, k.heads), func(t *testing.T) {
			files := tiny(k.kind, k.heads, "B-x", "I-x", "O")
			open := func(options ...albert.Option) *albert.Model {
				m, err := albert.OpenFS(files, "model", options...)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			alone := open(albert.Threads(1))
			want := make([]any, inputs)
			for i := range want {
				one, err := k.ask(alone, context.Background(), i, i+1)
				if err != nil {
					t.Fatal(err)
				}
				want[i] = one[0]
			}
			alone.Close()
			numbers := []int{1, 2, 5}
			if testing.Short() {
				numbers = numbers[1:2]
			}
			for _, threads := range numbers {
				m := open(albert.Threads(threads))
				var wg sync.WaitGroup
				for g := range 32 {
					wg.Go(func() {
						r := rand.New(rand.NewSource(seed*1000 + int64(g)))
						for range 3 {
							from := r.Intn(inputs)
							to := from + 1 + r.Intn(min(12, inputs-from))
							ctx, cancel := context.WithCancel(context.Background())
							if r.Intn(4) == 0 { // gives up, sooner or later
								go cancel()
							}
							got, err := k.ask(m, ctx, from, to)
							given := ctx.Err() != nil
							cancel()
							if err != nil {
								if !given || !errors.Is(err, context.Canceled) {
									t.Error(err)
								}
								continue
							}
							for i := range got {
								if !reflect.DeepEqual(got[i], want[from+i]) {
									t.Errorf("%d threads: input %d: %v, alone %v", threads, from+i, got[i], want[from+i])
								}
							}
						}
					})
				}
				wg.Wait()
				m.Close()
				if _, err := k.ask(m, context.Background(), 0, 1); !errors.Is(err, albert.ErrClosed) {
					t.Errorf("a closed model answers: %v", err)
				}
			}
		})
	}
}

// A model that is closed while 32 goroutines ask answers or refuses each, and crashes none.
func TestClosingWhileAsked(t *testing.T) {
	k := kinds(2)[1]
	m, err := albert.OpenFS(tiny(k.kind, k.heads, "a", "b", "c"), "model", albert.Threads(2))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 5 {
				if _, err := k.ask(m, context.Background(), 0, inputs); err != nil && !errors.Is(err, albert.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	m.Close()
	wg.Wait()
}

// A number below zero, an unknown pooling and a layer that is not there are refused before any work.
func TestMistakesAreRefusedFirst(t *testing.T) {
	files := tiny(model.Classify, model.PretrainingHeads)
	open := func(options ...albert.Option) *albert.Model {
		m, err := albert.OpenFS(files, "model", options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	ctx := context.Background()
	if _, err := open().Fill(ctx, []string{"a [MASK]"}, -1); err == nil || !strings.Contains(err.Error(), "-1") {
		t.Error(err)
	}
	if _, err := open(albert.Pooling("middle")).Embed(ctx, []string{"a"}); err == nil || !strings.Contains(err.Error(), `pooling "middle"`) {
		t.Error(err)
	}
	if _, err := open(albert.Layer(9)).EmbedQuery(ctx, "a"); err == nil || !strings.Contains(err.Error(), "layer 9") {
		t.Error(err)
	}
	if _, err := open().Tag(ctx, []string{"a"}); err == nil || !strings.Contains(err.Error(), "cannot tag") {
		t.Error(err)
	}
}

// What is said when a model is opened holds for its answers.
func TestOptions(t *testing.T) {
	ctx := context.Background()
	open := func(kind model.Kind, heads model.Heads, options ...albert.Option) *albert.Model {
		m, err := albert.OpenFS(tiny(kind, heads, "a", "b"), "model", options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	m := open(model.Classify, model.Heads{Pooler: true, Labels: 2}, albert.Normalize(), albert.Task("multilabel"))
	v, err := m.EmbedDocuments(ctx, []string{"a door"})
	length := 0.0
	for _, x := range v[0] {
		length += float64(x) * float64(x)
	}
	if err != nil || len(v[0]) != m.Dimensions() || length < 0.999 || length > 1.001 {
		t.Errorf("a vector of %d values, length %v, %v", len(v[0]), length, err)
	}
	labels, err := m.Classify(ctx, []albert.Input{{Text: "a door"}})
	if sum := labels[0][0].Score + labels[0][1].Score; err != nil || sum > 0.99 && sum < 1.01 { // sigmoids, not a softmax
		t.Errorf("%v %v", labels, err)
	}
	if !reflect.DeepEqual(m.Labels(), []string{"a", "b"}) || m.Tokenizer() == nil {
		t.Error(m.Labels())
	}
	long := []albert.Input{{Text: strings.Repeat("the reader opens a file ", 4*m.MaxPieces()/5)}}
	cut, err := m.Classify(ctx, long)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := open(model.Classify, model.Heads{Pooler: true, Labels: 2}, albert.Task("multilabel"), albert.Windows()).Classify(ctx, long)
	if err != nil || reflect.DeepEqual(cut, whole) {
		t.Errorf("windows give what a text that is cut does: %v, %v", whole, err)
	}
	question := []albert.Question{{Question: "who?", Context: "Zoë opens a file."}}
	none, err := open(model.Answer, model.Heads{Spans: true}, albert.NullThreshold(-1e9)).Answer(ctx, question)
	some, err2 := open(model.Answer, model.Heads{Spans: true}, albert.NullThreshold(1e9)).Answer(ctx, question)
	if err != nil || err2 != nil || none[0].Answer != "" || some[0].Answer == "" {
		t.Errorf("%+v, %+v, %v, %v", none, some, err, err2)
	}
	if _, err := albert.OpenFS(tiny(model.Tag, model.Heads{Labels: 2}), "model", albert.Task("answer")); err == nil || !strings.Contains(err.Error(), "no such head") {
		t.Error(err)
	}
}
