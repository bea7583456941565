package serve

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"unicode/utf8"

	"albert/internal/files/safetensors"
	"albert/internal/infer"
	"albert/internal/model"
	"albert/tokenizer"
)

// The open inference protocol's forms (KServe v2), with its extension for binary tensors: raw bytes behind the JSON.

const jsonLength = "Inference-Header-Content-Length"

type tensorParameters struct {
	BinarySize *int  `json:"binary_data_size,omitempty"`
	Binary     *bool `json:"binary_data,omitempty"`
}

type tensor struct {
	Name       string            `json:"name"`
	Datatype   string            `json:"datatype"`
	Shape      []int             `json:"shape"`
	Parameters *tensorParameters `json:"parameters,omitempty"`
	Data       json.RawMessage   `json:"data,omitempty"`
}

type wantedTensor struct {
	Name       string            `json:"name"`
	Parameters *tensorParameters `json:"parameters,omitempty"`
}

type inferRequest struct {
	ID         string `json:"id,omitempty"`
	Parameters *struct {
		Binary *bool `json:"binary_data_output,omitempty"`
	} `json:"parameters,omitempty"`
	Inputs  []tensor       `json:"inputs"`
	Outputs []wantedTensor `json:"outputs,omitempty"`
}

type inferAnswer struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version"`
	ID           string   `json:"id,omitempty"`
	Outputs      []tensor `json:"outputs"`
}

type tensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

type serverMetadata struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

type modelMetadata struct {
	Name     string           `json:"name"`
	Versions []string         `json:"versions"`
	Platform string           `json:"platform"`
	Inputs   []tensorMetadata `json:"inputs"`
	Outputs  []tensorMetadata `json:"outputs"`
}

type modelReady struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

// modelVersion is the only version of a model.
const modelVersion = "1"

func (q *request) serverMetadata() error {
	return q.json(serverMetadata{"albert", q.s.o.Version, []string{"binary_tensor_data"}})
}

// useV2 takes the model that a route names.
func (q *request) useV2() error {
	if v := q.r.PathValue("version"); v != "" && v != modelVersion {
		return newProblem(kindNotFound, fmt.Sprintf("there is no version %q: want %s", v, modelVersion))
	}
	return q.use(q.r.PathValue("name"), true)
}

func (q *request) modelMetadata() error {
	if err := q.useV2(); err != nil {
		return err
	}
	m := modelMetadata{Name: q.modelName(), Versions: []string{modelVersion}, Platform: "albert_" + string(q.model.Format), Inputs: []tensorMetadata{
		{"text", "BYTES", []int{-1}}, {"text_pair", "BYTES", []int{-1}}, {"input_ids", "INT64", []int{-1, -1}}, {"token_type_ids", "INT64", []int{-1, -1}}}}
	if q.model.hasLogits() {
		m.Outputs = append(m.Outputs, tensorMetadata{"logits", "FP32", []int{-1, len(q.model.Labels())}})
	}
	m.Outputs = append(m.Outputs, tensorMetadata{"embedding", "FP32", []int{-1, q.model.Dimensions(lastLayer(nil))}},
		tensorMetadata{"last_hidden_state", "FP32", []int{-1, -1, q.model.Config.HiddenSize}})
	return q.json(m)
}

// hasLogits tells whether the head is over whole sequences.
func (o *opened) hasLogits() bool {
	return o.Kind == model.Classify || o.Kind == model.MultiLabel || o.Kind == model.Regress || o.Kind == model.Rank || o.Kind == model.Order
}

func (q *request) modelReady() error {
	if err := q.useV2(); err != nil {
		return err
	}
	return q.json(modelReady{q.modelName(), true})
}

// read2 reads a request: JSON, and the bytes of tensors behind it.
func (q *request) read2(b *inferRequest) (rest []byte, err error) {
	text, err := q.body()
	if err != nil {
		return nil, err
	}
	if h := q.r.Header.Get(jsonLength); h != "" {
		n, err := strconv.Atoi(h)
		if err != nil || n < 0 || n > len(text) {
			return nil, newProblem(kindMalformed, fmt.Sprintf("%s: %s of a body of %d bytes", jsonLength, headerText(h), len(text)))
		}
		text, rest = text[:n], text[n:]
	}
	return rest, decode(text, b)
}

// size is the number of a tensor's elements.
func (t *tensor) size() (int, error) {
	n := 1
	for _, d := range t.Shape {
		if d < 0 || d > 1<<24 || n*max(d, 1) > 1<<26 {
			return 0, invalid(t.Name, fmt.Sprintf("the shape of %q: %d", t.Name, t.Shape))
		}
		n *= d
	}
	return n, nil
}

// bytes takes a tensor's raw bytes from what stands behind the JSON; nil: its data are JSON.
func (t *tensor) bytes(rest *[]byte) ([]byte, error) {
	if t.Parameters == nil || t.Parameters.BinarySize == nil {
		return nil, nil
	}
	n := *t.Parameters.BinarySize
	if n < 0 || n > len(*rest) {
		return nil, invalid(t.Name, fmt.Sprintf("%q: binary_data_size %d, there are %d bytes", t.Name, n, len(*rest)))
	}
	raw := (*rest)[:n:n]
	*rest = (*rest)[n:]
	return raw, nil
}

// flat calls f for the elements of a list that may hold lists, in order.
func flat(raw json.RawMessage, f func(json.RawMessage) error) error {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return f(raw)
	}
	for _, x := range list {
		if len(x) > 0 && x[0] == '[' {
			if err := flat(x, f); err != nil {
				return err
			}
		} else if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// texts are the elements of a tensor of BYTES.
func (t *tensor) texts(raw []byte) (list []string, err error) {
	want, err := t.size()
	switch {
	case err != nil:
		return nil, err
	case t.Datatype != "BYTES":
		return nil, invalid(t.Name, fmt.Sprintf("%q is %s, want BYTES", t.Name, headerText(t.Datatype)))
	case raw == nil && t.Data == nil:
		return nil, invalid(t.Name, fmt.Sprintf("%q has no data", t.Name))
	case raw == nil:
		err = flat(t.Data, func(x json.RawMessage) error {
			var text *string
			if json.Unmarshal(x, &text) != nil || text == nil {
				return invalid(t.Name, fmt.Sprintf("%q: want texts", t.Name))
			}
			list = append(list, *text)
			return nil
		})
	}
	for len(raw) > 0 {
		if len(raw) < 4 || uint64(binary.LittleEndian.Uint32(raw)) > uint64(len(raw)-4) {
			return nil, invalid(t.Name, fmt.Sprintf("%q: its bytes end within an element", t.Name))
		}
		n := int(binary.LittleEndian.Uint32(raw))
		if list = append(list, string(raw[4:4+n])); !utf8.ValidString(list[len(list)-1]) {
			return nil, invalid(t.Name, fmt.Sprintf("%q: element %d is not UTF-8", t.Name, len(list)-1))
		}
		raw = raw[4+n:]
	}
	if err == nil && len(list) != want {
		err = invalid(t.Name, fmt.Sprintf("%q has %d elements, its shape %d says %d", t.Name, len(list), t.Shape, want))
	}
	return list, err
}

// rows are the rows of a tensor of whole numbers.
func (t *tensor) rows(raw []byte) (rows [][]int32, err error) {
	want, err := t.size()
	if err != nil {
		return nil, err
	}
	width := map[string]int{"INT32": 4, "INT64": 8}[t.Datatype]
	if width == 0 || len(t.Shape) != 2 {
		return nil, invalid(t.Name, fmt.Sprintf("%q: want INT64 or INT32 of two dimensions", t.Name))
	}
	var list []int32
	if raw == nil && t.Data != nil {
		err = flat(t.Data, func(x json.RawMessage) error {
			var n int32
			if string(x) == "null" || json.Unmarshal(x, &n) != nil {
				return invalid(t.Name, fmt.Sprintf("%q: want whole numbers of 32 bits", t.Name))
			}
			list = append(list, n)
			return nil
		})
	}
	for i := 0; i+width <= len(raw); i += width {
		n := int64(int32(binary.LittleEndian.Uint32(raw[i:])))
		if width == 8 {
			n = int64(binary.LittleEndian.Uint64(raw[i:]))
		}
		if n != int64(int32(n)) {
			return nil, invalid(t.Name, fmt.Sprintf("%q: %d is out of range", t.Name, n))
		}
		list = append(list, int32(n))
	}
	if err == nil && (len(list) != want || len(raw)%width != 0 || want == 0) {
		err = invalid(t.Name, fmt.Sprintf("%q has %d elements, its shape %d says %d, one at least", t.Name, len(list), t.Shape, want))
	}
	for n := t.Shape[1]; err == nil && len(list) > 0; list = list[n:] {
		rows = append(rows, list[:n])
	}
	return rows, err
}

// questions makes questions of the tensors.
func (b *inferRequest) questions(o *opened, rest []byte) (list []*infer.Question, err error) {
	all := map[string][]string{}
	ids := map[string][][]int32{}
	for i := range b.Inputs {
		t := &b.Inputs[i]
		raw, err := t.bytes(&rest)
		if err != nil {
			return nil, err
		}
		switch t.Name {
		case "text", "text_pair":
			all[t.Name], err = t.texts(raw)
		case "input_ids", "token_type_ids", "attention_mask":
			ids[t.Name], err = t.rows(raw)
		default:
			err = invalid("inputs", fmt.Sprintf("there is no input %q: want text and text_pair, or input_ids, token_type_ids and attention_mask", headerText(t.Name)))
		}
		if err != nil {
			return nil, err
		}
	}
	if rows := ids["input_ids"]; rows != nil {
		return encodings(rows, ids["token_type_ids"], ids["attention_mask"])
	}
	list = texts(all["text"]...)
	if pairs, ok := all["text_pair"]; ok {
		if len(pairs) != len(list) {
			return nil, invalid("text_pair", fmt.Sprintf("%d texts and %d of text_pair", len(list), len(pairs)))
		}
		for i := range list {
			list[i].Pair = &pairs[i]
		}
	}
	return list, nil
}

// encodings makes questions of rows of pieces, without those that the mask leaves out.
func encodings(ids, types, mask [][]int32) (list []*infer.Question, err error) {
	for name, other := range map[string][][]int32{"token_type_ids": types, "attention_mask": mask} {
		if other != nil && (len(other) != len(ids) || len(other[0]) != len(ids[0])) {
			return nil, invalid(name, name+" has another shape than input_ids")
		}
	}
	for i, row := range ids {
		e := tokenizer.Encoding{}
		for k, id := range row {
			if mask != nil && mask[i][k] == 0 {
				continue
			}
			t := int32(0)
			if types != nil {
				t = types[i][k]
			}
			e.IDs, e.Types = append(e.IDs, id), append(e.Types, t)
		}
		list = append(list, &infer.Question{Pieces: []tokenizer.Encoding{e}})
	}
	return list, nil
}

func (q *request) inferRoute() error {
	if err := q.useV2(); err != nil {
		return err
	}
	var b inferRequest
	rest, err := q.read2(&b)
	if err != nil {
		return err
	}
	questions, err := b.questions(q.model, rest)
	if err != nil {
		return err
	}
	wanted := b.Outputs
	if len(wanted) == 0 {
		wanted = []wantedTensor{{Name: "embedding"}}
		if q.model.hasLogits() && q.model.Kind != model.Order {
			wanted[0].Name = "logits"
		}
	}
	answer := inferAnswer{ModelName: q.modelName(), ModelVersion: modelVersion, ID: b.ID}
	var raw bytes.Buffer
	for _, w := range wanted {
		shape, data, err := q.output(w.Name, questions)
		if err != nil {
			return err
		}
		t := tensor{Name: w.Name, Datatype: "FP32", Shape: shape}
		if binary := w.Parameters; binary != nil && value(binary.Binary) || (binary == nil || binary.Binary == nil) && b.Parameters != nil && value(b.Parameters.Binary) {
			t.Parameters = &tensorParameters{BinarySize: new(4 * len(data))}
			raw.Write(safetensors.Bytes(data))
		} else if t.Data, err = json.Marshal(data); err != nil {
			return errNonFinite
		}
		answer.Outputs = append(answer.Outputs, t)
	}
	if raw.Len() == 0 {
		return q.json(answer)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return errNonFinite
	}
	q.timeHeaders()
	h := q.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set(jsonLength, strconv.Itoa(len(text)))
	h.Set("Content-Length", strconv.Itoa(len(text)+raw.Len()))
	q.w.WriteHeader(http.StatusOK)
	if _, err = q.w.Write(text); err == nil {
		_, err = q.w.Write(raw.Bytes())
	}
	return gone(err)
}

// output computes a tensor. Rows of texts of fewer pieces than the longest are filled up with zeros in last_hidden_state.
func (q *request) output(name string, questions []*infer.Question) (shape []int, data []float32, err error) {
	switch name {
	case "logits":
		if !q.model.hasLogits() {
			return nil, nil, &infer.KindError{Class: q.model.Class(), Has: q.model.Kind, Asked: "classify"}
		}
		rows, err := q.classify(q.model.Model, questions)
		return []int{len(rows), len(q.model.Labels())}, slices.Concat(rows...), err
	case "embedding":
		answers, err := q.embed(q.model.Model, questions, lastLayer(nil))
		for _, a := range answers {
			data = append(data, a.Vectors[0]...)
		}
		return []int{len(answers), q.model.Dimensions(lastLayer(nil))}, data, err
	case "last_hidden_state":
		o := lastLayer(nil)
		o.Pooling = infer.PoolNone
		answers, err := q.embed(q.model.Model, questions, o)
		longest, width := 0, q.model.Config.HiddenSize
		for _, a := range answers {
			longest = max(longest, len(a.Vectors))
		}
		if n := len(answers) * longest * width; n > math.MaxInt32/4 {
			return nil, nil, invalid("outputs", "last_hidden_state would be too large: send fewer texts at once")
		}
		for _, a := range answers {
			for _, v := range a.Vectors {
				data = append(data, v...)
			}
			data = append(data, make([]float32, (longest-len(a.Vectors))*width)...)
		}
		return []int{len(answers), longest, width}, data, err
	}
	return nil, nil, invalid("outputs", fmt.Sprintf("there is no output %q: want logits, embedding or last_hidden_state", headerText(name)))
}
