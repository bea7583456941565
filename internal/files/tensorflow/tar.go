package tensorflow

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/safetensors"
	"albert/internal/files/stream"
)

// maxUnpacked bounds an archive's unpacked bytes. The largest that was released, xxlarge, has 0.9 GB of float32; with two slots for
// each weight, as a training run keeps them, 2.7 GB.
const maxUnpacked = 4 << 30

// maxMembers bounds an archive's files and directories; those released have six.
const maxMembers = 10000

// Files are the paths of a released model's parts; "" where there is none.
type Files struct {
	Checkpoint    string // the prefix
	Config        string // albert_config.json, bert_config.json
	SentencePiece string // 30k-clean.model
	Vocab         string // vocab.txt of WordPiece (BERT, the Chinese models)
	Cleanup       string // tokenizer_config.json, which Google's code does not know
}

// moveTo puts a directory before the paths.
func (f *Files) moveTo(dir string) {
	for _, p := range []*string{&f.Checkpoint, &f.Config, &f.SentencePiece, &f.Vocab, &f.Cleanup} {
		if *p != "" {
			*p = filepath.Join(dir, filepath.FromSlash(*p))
		}
	}
}

// Archive is an unpacked archive.
type Archive struct {
	Files
	dir string
}

// Close removes the unpacked files. Close what was opened of them first.
func (a *Archive) Close() error { return disk.RemoveAll(a.dir) }

// OpenTar unpacks what a model needs of a .tar.gz, .tar or .zip into a new temporary directory, which Close removes: the configuration, the
// tokenizer, the checkpoint without its graph. Members that would leave the directory, links, and names that appear twice are
// refused, and archives that unpack to more than 4 GiB.
func OpenTar(path string) (*Archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	dir, _, err := disk.Temporary("albert-")
	if err != nil {
		return nil, err
	}
	a := &Archive{dir: dir}
	var members []string
	if isZip(f) {
		members, err = unpackZip(f, st.Size(), dir, maxUnpacked)
	} else {
		members, err = unpack(f, dir, maxUnpacked)
	}
	if err == nil {
		a.Files, err = choose(members)
	}
	if err == nil && a.Checkpoint == "" {
		err = errors.New("no checkpoint (*.index) in it")
	}
	if err != nil {
		a.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.moveTo(dir)
	return a, nil
}

// Beside finds the parts of a model in the directory of its checkpoint.
func Beside(checkpoint string) (Files, error) {
	prefix := Prefix(checkpoint)
	dir := filepath.Dir(prefix)
	list, err := os.ReadDir(dir)
	if err != nil {
		return Files{}, err
	}
	var names []string
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), ".index") && needed(e.Name()) {
			names = append(names, e.Name())
		}
	}
	f, err := choose(names)
	if err != nil {
		return Files{}, fmt.Errorf("%s: %w", dir, err)
	}
	f.moveTo(dir)
	f.Checkpoint = prefix
	return f, nil
}

var vocabName = regexp.MustCompile(`^vocab[^/]*\.txt$`)

// cleanupName is the configuration of a tokenizer, as transformers names it.
const cleanupName = "tokenizer_config.json"

func isConfig(base string) bool {
	return strings.HasSuffix(base, "config.json") && base != cleanupName && base != "generation_config.json"
}
func isModel(base string) bool   { return strings.HasSuffix(base, ".model") }
func isIndex(base string) bool   { return strings.HasSuffix(base, ".index") }
func isCleanup(base string) bool { return base == cleanupName }

// needed tells whether a file is a part of a model, by its name.
func needed(name string) bool {
	base := path.Base(name)
	if strings.HasPrefix(base, ".") { // "._x" is what macOS adds of its own
		return false
	}
	return isConfig(base) || isCleanup(base) || isModel(base) || isIndex(base) || vocabName.MatchString(base) || dataSuffix.MatchString(base)
}

// choose tells which of the files is which.
func choose(names []string) (f Files, err error) {
	for _, part := range []struct {
		what      string
		is        func(base string) bool
		preferred []string
		to        *string
	}{
		{"checkpoints", isIndex, []string{"model.ckpt-best.index", "bert_model.ckpt.index"}, &f.Checkpoint},
		{"configurations", isConfig, []string{"albert_config.json", "bert_config.json"}, &f.Config},
		{"SentencePiece models", isModel, []string{"30k-clean.model"}, &f.SentencePiece},
		{"vocabularies", vocabName.MatchString, []string{"vocab.txt"}, &f.Vocab},
		{"tokenizers' configurations", isCleanup, nil, &f.Cleanup},
	} {
		var found []string
		for _, n := range names {
			if part.is(path.Base(n)) {
				found = append(found, n)
			}
		}
		if len(found) > 1 {
			best := slices.DeleteFunc(slices.Clone(found), func(n string) bool { return !slices.Contains(part.preferred, path.Base(n)) })
			if len(best) != 1 {
				return Files{}, fmt.Errorf("several %s: %s and %s", part.what, safetensors.Quote(found[0]), safetensors.Quote(found[1]))
			}
			found = best
		}
		if len(found) == 1 {
			*part.to = found[0]
		}
	}
	f.Checkpoint = strings.TrimSuffix(f.Checkpoint, ".index")
	return f, nil
}

// unpack writes the needed members of an archive into a directory and lists them, slashes between the parts of a name.
func unpack(r io.Reader, dir string, limit int64) (members []string, err error) {
	unpacked, err := stream.Reader(r)
	if err != nil {
		return nil, err
	}
	in := &bounded{r: unpacked, left: limit, limit: limit}
	if members, err = writeMembers(stream.Tar(in), dir, limit); err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // to the end, where gzip's checksum is
		return nil, err
	}
	return members, nil
}

// isZip tells whether a file is a zip archive, in which Google released BERT.
func isZip(f *os.File) bool {
	var head [4]byte
	_, err := f.ReadAt(head[:], 0)
	return err == nil && string(head[:]) == "PK\x03\x04"
}

// unpackZip is [unpack] of a zip archive of so many bytes.
func unpackZip(r io.ReaderAt, size int64, dir string, limit int64) (members []string, err error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, err
	}
	return writeMembers(zipMembers(z), dir, limit)
}

// zipMembers gives the members of a zip archive with headers as of tar. None has more bytes than its header says.
func zipMembers(z *zip.Reader) iter.Seq2[stream.Member, error] {
	return func(yield func(stream.Member, error) bool) {
		for _, m := range z.File {
			h, err := tar.FileInfoHeader(m.FileInfo(), "")
			if err != nil {
				yield(stream.Member{}, fmt.Errorf("member %s: %w", safetensors.Quote(m.Name), err))
				return
			}
			h.Name = m.Name
			r, err := m.Open()
			if err != nil {
				yield(stream.Member{}, fmt.Errorf("member %s: %w", safetensors.Quote(m.Name), err))
				return
			}
			more := yield(stream.Member{Header: h, Reader: r}, nil)
			r.Close()
			if !more {
				return
			}
		}
	}
}

// writeMembers writes the needed ones of an archive's members into a directory and lists them.
func writeMembers(in iter.Seq2[stream.Member, error], dir string, limit int64) (members []string, err error) {
	seen := map[string]bool{}
	count := 0
	var total int64 // what headers say: a sparse file has more bytes than it takes
	for m, err := range in {
		if err != nil {
			return nil, err
		}
		if count++; count > maxMembers {
			return nil, fmt.Errorf("more than %d members", maxMembers)
		}
		if m.Typeflag == tar.TypeXGlobalHeader { // a comment
			continue
		}
		name, err := memberName(m.Header)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w", safetensors.Quote(m.Name), err)
		}
		if m.Typeflag == tar.TypeDir {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("member %s appears twice", safetensors.Quote(name))
		}
		seen[name] = true
		if m.Size > limit-total {
			return nil, fmt.Errorf("member %s: with it %d bytes, the limit is %d", safetensors.Quote(name), uint64(total)+uint64(m.Size), limit)
		}
		total += m.Size
		if !needed(name) {
			continue
		}
		if err := writeMember(filepath.Join(dir, filepath.FromSlash(name)), m); err != nil {
			return nil, fmt.Errorf("member %s: %w", safetensors.Quote(name), err)
		}
		members = append(members, name)
	}
	return members, nil
}

// memberName checks a member's name and type.
func memberName(h *tar.Header) (string, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeLink, tar.TypeSymlink:
		return "", errors.New("a link, which is refused")
	default:
		return "", fmt.Errorf("neither a file nor a directory (type %q)", h.Typeflag)
	}
	name := path.Clean(h.Name)
	if strings.Contains(h.Name, `\`) || strings.Contains(h.Name, "\x00") || !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", errors.New("not a path inside the archive")
	}
	return name, nil
}

func writeMember(path string, r io.Reader) error {
	if err := disk.MkdirAll(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// bounded reads so many bytes and then fails.
type bounded struct {
	r           io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("unpacks to more than %d bytes", b.limit)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
