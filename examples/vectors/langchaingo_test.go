package vectors

import (
	"context"
	"reflect"
	"testing"

	"albert"

	"github.com/tmc/langchaingo/embeddings"
)

// A model is what langchaingo takes to make vectors, as it is.
var _ embeddings.Embedder = (*albert.Model)(nil)

// newEmbedder is for what langchaingo's own embedder does besides: new lines become spaces, and texts go in batches.
func newEmbedder(m *albert.Model) (embeddings.Embedder, error) {
	return embeddings.NewEmbedder(embeddings.EmbedderClientFunc(m.Embed))
}

func TestLangchaingo(t *testing.T) {
	m, err := albert.Open(tinyModel(t), albert.Normalize())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	e, err := newEmbedder(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, texts := context.Background(), []string{"The reader opens a file.", "The door is red."}
	want, err := m.EmbedDocuments(ctx, texts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.EmbedDocuments(ctx, texts)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("documents: %v, %v", got, err)
	}
	one, err := e.EmbedQuery(ctx, texts[1])
	if err != nil || !reflect.DeepEqual(one, want[1]) {
		t.Errorf("query: %v, %v", one, err)
	}
}
