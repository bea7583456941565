package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
)

// progress is the file progress.json: the shards of an unfinished run that are whole, and how far in the text they reach.
type progress struct {
	Meta
	Read int64  `json:"documents_read"` // those dropped included
	Text uint64 `json:"text_crc64,string"`
}

// resume reads how far an earlier call came; done tells that it was finished. A directory that holds anything else is refused.
func resume(o *PrepareOptions, meta *Meta) (p progress, done bool, err error) {
	p = progress{Meta: *meta}
	entries, err := os.ReadDir(o.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	names := map[string]bool{}
	other := ""
	for _, e := range entries {
		names[e.Name()] = true
		if !strings.HasPrefix(e.Name(), ".") && other == "" {
			other = e.Name()
		}
	}
	name := metaFile
	if !names[name] {
		name = progressFile
	}
	if !names[name] {
		if other != "" {
			return p, false, fmt.Errorf("%s: not empty (%s), and holds no shards: give another --output", o.Output, other)
		}
		return p, false, p.removeOthers(o.Output, names)
	}
	path := filepath.Join(o.Output, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return p, false, err
	}
	var old progress
	if err := json.Unmarshal(text, &old); err != nil {
		return p, false, fmt.Errorf("%s: %w", path, err)
	}
	if what := changed(&old.Meta, meta); what != "" {
		return p, false, &Mismatch{o.Output, what}
	}
	if name == metaFile && o.Documents == nil { // otherwise it shows when the text is read again
		if err := sameFiles(old.Files, o.Inputs, o.Read); err != nil {
			return p, false, &Mismatch{o.Output, "other text: " + err.Error()}
		}
	}
	if err := old.removeOthers(o.Output, names); err != nil {
		return p, false, err
	}
	return old, name == metaFile, nil
}

// Mismatch is the error of going on with shards that were made with other settings, of other text or by another program.
type Mismatch struct{ Dir, MadeWith string }

func (e *Mismatch) Error() string {
	return fmt.Sprintf("%s holds shards made with %s: give the same again, or another --output", e.Dir, e.MadeWith)
}

// removeOthers removes what an earlier call that was killed left beside the files it had finished: files written aside, under a name
// that begins with a dot, and a shard that progress.json does not have yet.
func (p *progress) removeOthers(dir string, names map[string]bool) error {
	ours := []string{shardPrefix, metaFile + ".", progressFile + "."}
	for name := range p.TokenizerFiles {
		ours = append(ours, name+".")
	}
	for name := range names {
		final, aside := strings.CutPrefix(name, ".")
		switch {
		case aside && slices.ContainsFunc(ours, func(o string) bool { return strings.HasPrefix(final, o) }):
		case strings.HasPrefix(name, shardPrefix) && !slices.ContainsFunc(p.Shards, func(m ShardMeta) bool { return m.File == name }):
		case name == progressFile && names[metaFile]:
		default:
			continue
		}
		if err := disk.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// changed says which setting differs, and how.
func changed(old, now *Meta) string {
	was, is := old.Settings, now.Settings
	switch {
	case old.Version != now.Version:
		return fmt.Sprintf("an albert that writes version %d of them (this one: %d)", old.Version, now.Version)
	case old.Numerics != now.Numerics:
		return fmt.Sprintf("an albert of numerics %d (this one: %d)", old.Numerics, now.Numerics)
	case old.TokenizerSHA256 != now.TokenizerSHA256:
		return fmt.Sprintf("another tokenizer (sha256 %.8s..., now %.8s...)", old.TokenizerSHA256, now.TokenizerSHA256)
	case was.Cleanup != is.Cleanup:
		return fmt.Sprintf("the clean-up %s, not %s", was.Cleanup, is.Cleanup)
	case was.Sentences != is.Sentences:
		return fmt.Sprintf("--sentences %s, not %s", was.Sentences, is.Sentences)
	case was.TextColumn != is.TextColumn:
		return fmt.Sprintf("--text-column %q, not %q", was.TextColumn, is.TextColumn)
	case was.GoDoc != is.GoDoc:
		return fmt.Sprintf("--go-doc=%t", was.GoDoc)
	case !slices.Equal(was.Inputs, is.Inputs):
		return fmt.Sprintf("the inputs %q, not %q", was.Inputs, is.Inputs)
	}
	return ""
}

// textSum adds a document to a checksum of those before it, which tells whether a resumed call reads the same text as the first one.
func textSum(sum uint64, d *Document) uint64 {
	for _, s := range d.Sentences {
		sum = crc64.Update(sum, ecma, []byte(s))
		sum = crc64.Update(sum, ecma, []byte{'\n'})
	}
	return crc64.Update(sum, ecma, []byte{'\f'})
}

var ecma = crc64.MakeTable(crc64.ECMA)
