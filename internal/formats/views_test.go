package formats

import (
	"path/filepath"
	"runtime"
	"testing"

	"albert/internal/model"
)

// OpenViews reads values where they lie in the file: it takes less memory than they have.
func TestOpenViewsCopiesNothing(t *testing.T) {
	c, _ := model.NamedConfig("base")
	c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads, c.NumHiddenLayers = 64, 64, 2, 1
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(c, 1).Save(dir); err != nil {
		t.Fatal(err)
	}
	allocated := func(open func(string) (*Model, error)) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		m.Own()
		return after.TotalAlloc - before.TotalAlloc
	}
	table := uint64(4 * c.VocabSize * c.EmbeddingSize)
	if n := allocated(OpenViews); n > table/4 {
		t.Errorf("%d bytes for a word table of %d", n, table)
	}
	if n := allocated(Open); n < table {
		t.Errorf("a copy takes %d bytes, its word table has %d", n, table)
	}
}
