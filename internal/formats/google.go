package formats

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"albert/internal/files/safetensors"
	"albert/internal/files/tensorflow"
	"albert/internal/model"
	"albert/tokenizer"
)

// unpacked is a directory as it comes out of a released archive; nil if there is no checkpoint in it.
func unpacked(dir string) (*source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); strings.HasSuffix(path, ".index") && tensorflow.IsCheckpoint(path) {
			list = append(list, path)
		}
	}
	switch len(list) {
	case 0:
		return nil, nil
	case 1:
		return checkpoint(list[0])
	}
	return nil, fmt.Errorf("%s has %d checkpoints: name one, such as %s", dir, len(list), tensorflow.Prefix(list[0]))
}

// checkpoint is a checkpoint of TensorFlow with the files beside it.
func checkpoint(path string) (*source, error) {
	files, err := tensorflow.Beside(path)
	if err != nil {
		return nil, err
	}
	return google(TensorFlow, path, files)
}

// archive is a released archive, which is unpacked until the source is closed.
func archive(path string) (*source, error) {
	a, err := tensorflow.OpenTar(path)
	if err != nil {
		return nil, err
	}
	s, err := google(Tar, path, a.Files)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	s.close = a.Close
	return s, nil
}

// google is a model in Google's files.
func google(f Format, path string, files tensorflow.Files) (*source, error) {
	if files.Checkpoint == "" {
		return nil, fmt.Errorf("%s: no checkpoint in it (a .index and a .data file)", path)
	}
	if files.Config == "" {
		return nil, fmt.Errorf("%s: no albert_config.json or bert_config.json beside the checkpoint", path)
	}
	return &source{format: f, weights: path, config: files.Config,
		reader: func() (safetensors.Reader, error) {
			r, err := tensorflow.Open(files.Checkpoint)
			if err != nil {
				return nil, err
			}
			m, _, err := tensorflow.Model(r)
			if err = cmp.Or(foreign(r), err); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", path, err), r.Close())
			}
			return m, nil
		},
		tokenizer: func() (*tokenizer.Tokenizer, error) {
			switch {
			case files.SentencePiece != "":
				return tokenizer.OpenClean(files.SentencePiece, files.Cleanup)
			case files.Vocab != "":
				return tokenizer.OpenClean(files.Vocab, files.Cleanup)
			}
			return nil, tokenizer.ErrNone
		},
	}, nil
}

// googleBERTNotes say where a BERT in Google's files may be meant otherwise than it is read.
func (m *Model) googleBERTNotes() (notes []string) {
	if m.Config.HiddenAct == "gelu_new" {
		notes = append(notes, `gelu is the approximation by tanh, as in Google's code; "model_type": "bert" in `+model.GoogleBERTFile+` makes it that by erf, as in transformers`)
	}
	if t := m.Tokenizer; t != nil && t.Type() == "wordpiece" && t.Lower && t.Contradiction() != "" {
		notes = append(notes, `the vocabulary has capital letters, but text is made lower-case, as in Google's code unless told: {"do_lower_case": false} in a `+
			tokenizer.ConfigFile+" beside it keeps them")
	}
	return notes
}
