// Package vectors gives the vectors of a model opened by package albert to libraries that search in texts: chromem-go and langchaingo.
package vectors

import (
	"context"
	"fmt"
	"testing"

	"albert"

	"github.com/philippgille/chromem-go"
)

// newCollection makes a collection of chromem-go, which takes EmbedQuery to make vectors. A path to a model of your own stands in place of the argument.
func newCollection(model string) (*chromem.Collection, *albert.Model, error) {
	m, err := albert.Open(model, albert.Normalize())
	if err != nil {
		return nil, nil, err
	}
	c, err := chromem.NewDB().CreateCollection("texts", nil, m.EmbedQuery)
	return c, m, err
}

func TestChromem(t *testing.T) {
	ctx := context.Background()
	c, m, err := newCollection(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i, text := range []string{"The reader opens a file.", "A writer closes it.", "The door is red."} {
		if err := c.AddDocument(ctx, chromem.Document{ID: fmt.Sprint(i), Content: text}); err != nil {
			t.Fatal(err)
		}
	}
	found, err := c.Query(ctx, "A writer closes it.", 1, nil, nil)
	if err != nil || len(found) != 1 || found[0].ID != "1" {
		t.Errorf("%+v, %v: want text 1", found, err)
	}
}
