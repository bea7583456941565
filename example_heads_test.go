package albert_test

import (
	"context"
	"fmt"
	"os"
	"testing/fstest"

	"albert"
	"albert/internal/model"
)

// tiny gives a random model with a head, in memory: what go:embed would hold.
func tiny(kind model.Kind, heads model.Heads, labels ...string) fstest.MapFS {
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers, c.NumAttentionHeads = 500, 8, 16, 32, 2, 2
	c.InitializerRange = 0.5
	names := map[int]string{}
	for i, l := range labels {
		names[i] = l
	}
	_ = c.SetExtra("id2label", names)
	_ = c.SetExtra("architectures", []string{kind.Class()})
	if kind == model.Rank {
		_ = c.SetCrossEncoder(model.Sigmoid)
	}
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := model.NewWith(c, heads, 1).Save(dir); err != nil {
		panic(err)
	}
	files := fstest.MapFS{}
	for name, path := range map[string]string{"config.json": dir + "/config.json", "model.safetensors": dir + "/model.safetensors",
		"spiece.model": "tokenizer/testdata/albert.model"} {
		data, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		files["model/"+name] = &fstest.MapFile{Data: data}
	}
	return files
}

// save writes a model in memory to a new directory.
func save(files fstest.MapFS) string {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		panic(err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		panic(err)
	}
	return dir
}

// A model can be a part of the program:
//
//	//go:embed model
//	var files embed.FS
func ExampleOpenFS() {
	files := tiny(model.Classify, model.Heads{Pooler: true, Labels: 2}, "bad", "good")
	m, err := albert.OpenFS(files, "model", albert.Threads(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	v, err := m.Embed(context.Background(), []string{"The door is closed."})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(v[0]), "values")
	// Output: 16 values
}

// A head over the whole text gives its labels, the likeliest first. This model is random.
func ExampleModel_Classify() {
	m, err := albert.OpenFS(tiny(model.Classify, model.Heads{Pooler: true, Labels: 2}, "bad", "good"), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	labels, err := m.Classify(context.Background(), []albert.Input{{Text: "The door is closed."}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range labels[0] {
		fmt.Printf("%s %.2f\n", l.Label, l.Score)
	}
	// Output:
	// bad 0.75
	// good 0.25
}

// A head over pieces gives entities with their places in code points: what stands there is []rune(text)[Start:End]. This model is random.
func ExampleModel_Tag() {
	m, err := albert.OpenFS(tiny(model.Tag, model.Heads{Labels: 3}, "PLACE", "O", "O"), "model", albert.JoinEntities())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	const text = "In São Paulo."
	entities, err := m.Tag(context.Background(), []string{text})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entities[0] {
		fmt.Printf("%s %q %.2f\n", e.Entity, string([]rune(text)[e.Start:e.End]), e.Score)
	}
	// Output:
	// PLACE "In São" 0.38
	// PLACE "Pau" 0.46
	// PLACE "o" 0.47
}

// An answer is a part of the context.
func ExampleModel_Answer() {
	m, err := albert.OpenFS(tiny(model.Answer, model.Heads{Spans: true}), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	const text = "Zoë is in São Paulo."
	answers, err := m.Answer(context.Background(), []albert.Question{{Question: "Where is Zoë?", Context: text}})
	if err != nil {
		fmt.Println(err)
		return
	}
	a := answers[0]
	fmt.Println(a.Answer == string([]rune(text)[a.Start:a.End]))
	// Output: true
}

// Each choice gets how likely it is, in the order in which they were given.
func ExampleModel_Choose() {
	m, err := albert.OpenFS(tiny(model.Choice, model.Heads{Pooler: true, Labels: 1}), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	chosen, err := m.Choose(context.Background(), []albert.Question{
		{Context: "Zoë is in São Paulo.", Question: "Who is _ ?", Choices: []string{"Zoë", "Paulo", "a door"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	scores := chosen[0].Scores
	fmt.Printf("%d scores, together %.2f\n", len(scores), scores[0]+scores[1]+scores[2])
	// Output: 3 scores, together 1.00
}

// A reranker says how well texts answer a query, the best first. This model is random.
func ExampleModel_Rank() {
	m, err := albert.OpenFS(tiny(model.Rank, model.Heads{Pooler: true, Labels: 1}), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	texts := []string{"Package zip reads archives.", "The door is closed.", "It is open."}
	ranked, err := m.Rank(context.Background(), []albert.Query{{Query: "Which door?", Texts: texts}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range ranked[0] {
		fmt.Printf("%.3f %s\n", r.Score, texts[r.Index])
	}
	// Output:
	// 0.132 Package zip reads archives.
	// 0.073 It is open.
	// 0.068 The door is closed.
}

// A model that knows entailment classifies by labels that it has never seen. This one is random.
func ExampleModel_ZeroShot() {
	m, err := albert.OpenFS(tiny(model.Classify, model.Heads{Pooler: true, Labels: 3}, "contradiction", "neutral", "entailment"), "model")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	labels, err := m.ZeroShot(context.Background(), []string{"The door is closed."}, albert.ZeroShot{Labels: []string{"doors", "cars"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range labels[0] {
		fmt.Printf("%s %.2f\n", l.Label, l.Score)
	}
	// Output:
	// doors 0.57
	// cars 0.43
}
