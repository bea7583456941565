package pytorch

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"albert/internal/files/safetensors"
)

// alignment of a record's bytes in the file, that of torch.save: a mapped storage is aligned for any type.
const alignment = 64

// WriteTo writes tensors as a state dict, an OrderedDict in the order given, which torch.load reads with weights_only. The bytes depend on the
// tensors alone. U16, U32 and U64 are refused: PyTorch has no storages of them.
func WriteTo(w io.Writer, tensors []safetensors.Tensor) error {
	program, err := pickle(tensors)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	at := 0
	record := func(name string, data []byte) {
		if err == nil {
			err = writeRecord(z, &at, "archive/"+name, data)
		}
	}
	record("data.pkl", program)
	record("byteorder", []byte("little"))
	for i, t := range tensors {
		record("data/"+strconv.Itoa(i), t.Data)
	}
	record("version", []byte("3\n"))
	if err != nil {
		return err
	}
	return z.Close()
}

// writeRecord writes an entry, stored as it is. at is where its header begins, and then where the next one's does. An extra field,
// filled up as PyTorch fills its own, moves the data to a multiple of the alignment.
func writeRecord(z *zip.Writer, at *int, name string, data []byte) error {
	begin := *at + localHeader + len(name) + 4
	fill := -begin & (alignment - 1)
	extra := append([]byte{'F', 'B', byte(fill), 0}, bytes.Repeat([]byte("Z"), fill)...)
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Extra: extra, CreatorVersion: 20, ReaderVersion: 20,
		CRC32: crc32.ChecksumIEEE(data), CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(data)),
	})
	if err != nil {
		return err
	}
	*at = begin + fill + len(data)
	_, err = w.Write(data)
	return err
}

// pickle gives the program, in protocol 2, that makes an OrderedDict of the tensors, tensor i in storage i.
func pickle(tensors []safetensors.Tensor) ([]byte, error) {
	p := &program{memo: map[string]byte{}}
	p.WriteString("\x80\x02")
	p.emptyDict()
	p.WriteByte('(')
	seen := make(map[string]bool, len(tensors))
	for i, t := range tensors {
		class, err := check(t)
		if err == nil && seen[t.Name] {
			err = errors.New("given twice")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", safetensors.Quote(t.Name), err)
		}
		seen[t.Name] = true
		p.text(t.Name)
		p.global(rebuildTensor)
		p.WriteString("((") // the arguments of the call, in them the storage's id
		p.again("storage", p.text)
		p.global(class)
		p.text(strconv.Itoa(i))
		p.again("cpu", p.text)
		p.integer(len(t.Data) / t.DType.Size())
		p.WriteString("tQ")
		p.integer(0) // offset
		p.integers(t.Shape)
		p.integers(strides(t.Shape))
		p.WriteByte(0x89) // requires_grad: False
		p.emptyDict()     // backward_hooks
		p.WriteString("tR")
	}
	p.WriteString("u.")
	if p.Len() > maxPickle {
		return nil, fmt.Errorf("%d tensors make a pickle of %d bytes, the limit is %d", len(tensors), p.Len(), maxPickle)
	}
	return p.Bytes(), nil
}

// check gives the storage class for a tensor, or tells why it cannot be written.
func check(t safetensors.Tensor) (class string, err error) {
	if !utf8.ValidString(t.Name) || len(t.Name) > maxText {
		return "", errors.New("not a name for a tensor")
	}
	if len(t.Shape) > maxDims {
		return "", fmt.Errorf("%d dimensions, PyTorch has at most %d", len(t.Shape), maxDims)
	}
	for _, s := range storages {
		if s.dtype == t.DType {
			return s.class, t.Fits()
		}
	}
	return "", fmt.Errorf("PyTorch has no storage for dtype %s", safetensors.Quote(string(t.DType)))
}

// strides are those of a contiguous tensor.
func strides(shape []int) []int {
	out := make([]int, len(shape))
	next := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = next
		next *= max(shape[i], 1)
	}
	return out
}

// program is a pickle that is being written.
type program struct {
	bytes.Buffer
	memo map[string]byte // what has been written once and is remembered
}

// again writes a value by the function given, the first time, and recalls it from then on.
func (p *program) again(value string, write func(string)) {
	if i, ok := p.memo[value]; ok {
		p.Write([]byte{'h', i})
		return
	}
	write(value)
	i := byte(len(p.memo)) // of a dozen
	p.memo[value] = i
	p.Write([]byte{'q', i})
}

func (p *program) text(s string) {
	p.WriteByte('X')
	p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
	p.WriteString(s)
}

// global writes the name of a class or function.
func (p *program) global(name string) {
	p.again(name, func(name string) {
		dot := strings.LastIndexByte(name, '.')
		p.WriteString("c" + name[:dot] + "\n" + name[dot+1:] + "\n")
	})
}

func (p *program) emptyDict() {
	p.global(orderedDict)
	p.WriteString(")R")
}

// integer writes a number that is not negative.
func (p *program) integer(v int) {
	switch {
	case v < 1<<8:
		p.Write([]byte{'K', byte(v)})
	case v <= math.MaxInt32:
		p.WriteByte('J')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(v)))
	default:
		p.Write([]byte{0x8a, 8})
		p.Write(binary.LittleEndian.AppendUint64(nil, uint64(v)))
	}
}

// integers writes a tuple of numbers.
func (p *program) integers(v []int) {
	p.WriteByte('(')
	for _, x := range v {
		p.integer(x)
	}
	p.WriteByte('t')
}
