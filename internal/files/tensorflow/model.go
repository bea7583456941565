package tensorflow

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"albert/internal/files/safetensors"
)

// Model presents the variables of Google's ALBERT or BERT under the names, and in the layout, of transformers' AlbertForPreTraining or
// BertForPreTraining. Heads of fine-tuned models are classifier (GLUE, RACE), qa_outputs (SQuAD), start_logits, end_logits and answer_class
// (ALBERT's of SQuAD 2.0).
// Unused are the variables that have no name there: optimizer slots (/adam_m, /adam_v), global_step, and whatever else there is.
// A model with E = H has no embedding_hidden_mapping_in in either. Closing the model closes r.
func Model(r safetensors.Reader) (m safetensors.Reader, unused []string, err error) {
	v := &view{r: r, of: map[string]source{}}
	names := namingOf(r.Names())
	for _, variable := range r.Names() {
		n, ok := names.toHF.name(plain(variable))
		if !ok {
			unused = append(unused, variable)
			continue
		}
		if s, twice := v.of[n.name]; twice {
			return nil, nil, fmt.Errorf("variables %s and %s are the same one", safetensors.Quote(s.variable), safetensors.Quote(variable))
		}
		v.of[n.name] = source{variable, n.transpose}
	}
	if len(v.of) == 0 {
		return nil, nil, fmt.Errorf("no variable of ALBERT's or BERT's among %d: not a checkpoint of one", len(unused))
	}
	v.names = slices.Sorted(maps.Keys(v.of))
	return v, unused, nil
}

// view is a reader under other names.
type view struct {
	r     safetensors.Reader
	of    map[string]source
	names []string
}

type source struct {
	variable  string
	transpose bool
}

func (v *view) Names() []string { return v.names }

func (v *view) Float32(tensor string) ([]float32, []int, error) {
	s, ok := v.of[tensor]
	if !ok {
		return nil, nil, fmt.Errorf("the checkpoint has no variable for tensor %s", safetensors.Quote(tensor))
	}
	values, shape, err := v.r.Float32(s.variable)
	if err != nil || !s.transpose {
		return values, shape, err
	}
	if len(shape) != 2 {
		return nil, nil, fmt.Errorf("variable %s has shape %v, want two dimensions", safetensors.Quote(s.variable), shape)
	}
	return safetensors.Transpose(values, shape[0], shape[1], 1), []int{shape[1], shape[0]}, nil
}

func (v *view) Close() error { return v.r.Close() }

const mapping = "albert.encoder.embedding_hidden_mapping_in."

// FromHuggingFace gives the tensors of an AlbertForPreTraining or BertForPreTraining, or of a fine-tuned model with one of the heads that [Model] knows,
// under Google's names and in its layout, in byte order of their names. Left out are copies (the decoder tied to the word
// embeddings), buffers (position_ids, token_type_ids), and, where E = H, the identity as map from one to the other, for which
// Google's code has no variable. A tensor that it has no name for is an error, and so is a copy or an identity that is none.
func FromHuggingFace(tensors []safetensors.Tensor) ([]safetensors.Tensor, error) {
	byName := make(map[string]safetensors.Tensor, len(tensors))
	for _, t := range tensors {
		if _, twice := byName[t.Name]; twice {
			return nil, fmt.Errorf("tensor %s given twice", safetensors.Quote(t.Name))
		}
		byName[t.Name] = t
	}
	var out []safetensors.Tensor
	for _, t := range tensors {
		skip, err := leftOut(t, byName)
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", safetensors.Quote(t.Name), err)
		}
		if skip {
			continue
		}
		n, ok := toGoogle(t.Name)
		if !ok {
			return nil, fmt.Errorf("tensor %s has no name in Google's code", safetensors.Quote(t.Name))
		}
		t.Name = n.name
		if n.transpose {
			if len(t.Shape) != 2 {
				return nil, fmt.Errorf("tensor %s has shape %v, want two dimensions", safetensors.Quote(t.Name), t.Shape)
			}
			if t.Fits() != nil {
				return nil, fmt.Errorf("tensor %s: %d bytes do not fit %s", safetensors.Quote(t.Name), len(t.Data), shapeOf(t.DType, t.Shape))
			}
			t.Data = safetensors.Transpose(t.Data, t.Shape[0], t.Shape[1], t.DType.Size())
			t.Shape = []int{t.Shape[1], t.Shape[0]}
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b safetensors.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// leftOut tells whether a tensor has nothing to say in Google's layout.
func leftOut(t safetensors.Tensor, all map[string]safetensors.Tensor) (bool, error) {
	if strings.HasSuffix(t.Name, ".position_ids") || strings.HasSuffix(t.Name, ".token_type_ids") {
		return true, nil
	}
	copies := map[string]string{"predictions.decoder.weight": "albert.embeddings.word_embeddings.weight", "predictions.decoder.bias": "predictions.bias"}
	if of, ok := copies[t.Name]; ok {
		if o, ok := all[of]; !ok || o.DType != t.DType || !bytes.Equal(o.Data, t.Data) {
			return false, fmt.Errorf("not the same as %s, as it is in Google's code", of)
		}
		return true, nil
	}
	if n, ok := strings.CutPrefix(t.Name, mapping); ok && (n == "weight" || n == "bias") {
		w := all[mapping+"weight"]
		if len(w.Shape) != 2 || w.Shape[0] != w.Shape[1] {
			return false, nil
		}
		values, err := t.Float32()
		if err != nil {
			return false, err
		}
		for i, v := range values {
			want := float32(0)
			if n == "weight" && i/w.Shape[0] == i%w.Shape[0] {
				want = 1
			}
			if v != want {
				return false, errors.New("Google's code has no map where E = H (embedding_size = hidden_size), and this model's is not the identity: other formats can hold it")
			}
		}
		return true, nil
	}
	return false, nil
}
