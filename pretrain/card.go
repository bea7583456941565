package pretrain

import (
	"fmt"
	"path/filepath"
	"strings"

	"albert/internal/files/disk"

	"albert/internal/model"
)

// writeCard writes the model's README.md, a model card as Hugging Face shows it.
func writeCard(dir string, c *RunConfig, m *model.Model) error {
	var b strings.Builder
	fmt.Fprintf(&b, "---\nlibrary_name: transformers\ntags:\n- albert\n- fill-mask\n---\n\n# %s\n\n", filepath.Base(filepath.Clean(c.Output)))
	fmt.Fprintf(&b, "An ALBERT pretrained with `albert pretrain`: %d parameters, %d layers of width %d, %d pieces in its vocabulary.\n\n",
		m.Params.Size(), m.Config.NumHiddenLayers, m.Config.HiddenSize, m.Config.VocabSize)
	fmt.Fprintf(&b, "| setting | value |\n|---|---|\n")
	for _, f := range c.settings() {
		if f.Name != "config" {
			fmt.Fprintf(&b, "| %s | %v |\n", f.Name, f.Value)
		}
	}
	fmt.Fprintf(&b, "\nweights_sha256: `%s`\n", m.Hash())
	return disk.WriteFile(filepath.Join(dir, "README.md"), []byte(b.String()))
}
