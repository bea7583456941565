package formats

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/safetensors"
	"albert/internal/model"
)

// wrappers are what PyTorch puts into names, anywhere in them, for a module that was compiled, sharded or checkpointed.
var wrappers = []string{"_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."}

// oldNorms are the names that normalisations have in files of BERT made before transformers, and theirs.
var oldNorms = strings.NewReplacer("LayerNorm.gamma", "LayerNorm.weight", "LayerNorm.beta", "LayerNorm.bias")

// wordTable is the tensor by which a model is found among a file's tensors.
const wordTable = "embeddings.word_embeddings.weight"

// renamed is a reader under other names.
type renamed struct {
	safetensors.Reader
	of    map[string]string // the reader's own names
	names []string
}

func (r *renamed) Names() []string { return r.names }

func (r *renamed) Float32(name string) ([]float32, []int, error) { return r.Reader.Float32(r.of[name]) }

// Tensor gives a tensor as the reader gives it.
func (r *renamed) Tensor(name string) (safetensors.Tensor, error) {
	if t, ok := r.Reader.(tensorReader); ok {
		return t.Tensor(r.of[name])
	}
	return safetensors.Tensor{}, fmt.Errorf("no tensor %s", safetensors.Quote(name))
}

// tensorReader is a reader that gives tensors as they are in its file.
type tensorReader interface {
	Tensor(name string) (safetensors.Tensor, error)
}

// plain offers a reader's tensors without what training code puts before their names: "module." (DataParallel), "model." (Lightning),
// "model_state_dict." (a dict inside the one that was saved), the name that a class of one's own gives its encoder, or several of
// these; without the [wrappers], and with BERT's old names of normalisations made new. What it is, is what the word table has before its name. without lists, quoted, what was left
// out; where nothing was, the reader comes back as it is. Two models in one file are an error, unless one of them has the plain names.
func plain(r safetensors.Reader, c *model.Config) (named safetensors.Reader, without []string, err error) {
	clean := make([]string, len(r.Names()))
	var before []string
	old := false
	for i, n := range r.Names() {
		clean[i] = n
		if c.IsBERT() && strings.Contains(n, "LayerNorm.") {
			clean[i] = oldNorms.Replace(n)
			old = old || clean[i] != n
		}
		for _, w := range wrappers {
			if strings.Contains(n, w) {
				clean[i] = strings.ReplaceAll(clean[i], w, "")
				if q := strconv.Quote(w); !slices.Contains(without, q) {
					without = append(without, q)
				}
			}
		}
		b, ok := strings.CutSuffix(clean[i], wordTable)
		if !ok || b != "" && !strings.HasSuffix(b, ".") {
			continue
		}
		if b == c.Prefix() || strings.HasSuffix(b, "."+c.Prefix()) {
			b = strings.TrimSuffix(b, c.Prefix())
		}
		if !slices.Contains(before, b) {
			before = append(before, b)
		}
	}
	switch {
	case slices.Contains(before, "") || len(before) == 0:
		before = []string{""}
	case len(before) > 1:
		return nil, nil, fmt.Errorf("several models in it, whose tensors' names begin with %s and %s: keep one of them",
			safetensors.Quote(before[0]), safetensors.Quote(before[1]))
	default:
		without = append([]string{strconv.Quote(safetensors.Clip(before[0]))}, without...)
	}
	if len(without) == 0 && !old {
		return r, nil, nil
	}
	v := &renamed{Reader: r, of: map[string]string{}}
	for i, n := range r.Names() {
		name := clean[i]
		for b := range strings.SplitAfterSeq(before[0], ".") { // heads stand beside the encoder, behind a part of what it has before it
			rest, ok := strings.CutPrefix(name, b)
			if !ok {
				break
			}
			name = rest
		}
		if twice, ok := v.of[name]; ok {
			return nil, nil, fmt.Errorf("tensors %s and %s are the same one of %s's", safetensors.Quote(twice), safetensors.Quote(n), strings.ToUpper(c.ModelType))
		}
		v.of[name] = n
	}
	v.names = slices.Sorted(maps.Keys(v.of))
	return v, without, nil
}
