package formats

import (
	"encoding/json"

	"albert/internal/files/jsonobject"
	"albert/internal/model"
	"albert/tokenizer"
)

// maxLengthKey is the key of tokenizer_config.json for how many pieces a text has at most. CrossEncoder has it nowhere else.
const maxLengthKey = "model_max_length"

// maxLength reads how many pieces a text has at most from the tokenizer_config.json of a directory; 0: it does not say.
func (d sentenceDir) maxLength(name string) int {
	var c map[string]any
	if ok, err := d.json(name, &c); !ok || err != nil { // the tokenizer's reader reports what is broken
		return 0
	}
	if n, _ := c[maxLengthKey].(float64); n >= 2 && n < 1<<24 {
		return int(n)
	}
	return 0
}

// crossEncoder reads what a directory that sentence-transformers' CrossEncoder wrote says beside its config.json, into that. It tells whether it is one.
func (d sentenceDir) crossEncoder(list []module, config *model.Config) (bool, error) {
	var c struct {
		Type       string  `json:"model_type"`
		Activation string  `json:"activation_fn"`
		Prompt     *string `json:"default_prompt_name"`
	}
	if _, err := d.json(promptsFile, &c); err != nil || c.Type != "CrossEncoder" {
		return false, err
	}
	switch {
	case len(list) > 1:
		return true, d.fail(modulesFile, "module 1 is %q: a CrossEncoder is supported that is a Transformer alone", list[1].Type)
	case c.Prompt != nil && *c.Prompt != "":
		return true, d.fail(promptsFile, "default_prompt_name is %q: prompts of a CrossEncoder are not supported", *c.Prompt)
	case c.Activation == "" && config.IsCrossEncoder():
		return true, nil
	}
	return true, config.SetCrossEncoder(c.Activation)
}

// SetMaxLength puts how many pieces a pair has at most into the tokenizer_config.json among a tokenizer's files, where CrossEncoder and [Open]
// find it.
func SetMaxLength(files map[string][]byte, n int) error {
	var fields jsonobject.Fields
	if err := json.Unmarshal(files[tokenizer.ConfigFile], &fields); err != nil {
		return err
	}
	fields = append(fields, jsonobject.Field{Name: maxLengthKey, Value: n})
	text, err := json.MarshalIndent(fields, "", "  ")
	files[tokenizer.ConfigFile] = append(text, '\n')
	return err
}

// tokenizerFiles are those of the model's tokenizer, of a CrossEncoder with the length of its texts.
func (m *Model) tokenizerFiles() map[string][]byte {
	list := m.Tokenizer.DirFiles()
	if m.MaxLength > 0 && m.Config.IsCrossEncoder() {
		if err := SetMaxLength(list, m.MaxLength); err != nil {
			panic(err) // the tokenizer wrote it
		}
	}
	return list
}
