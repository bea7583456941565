package pytorch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"albert/internal/files/safetensors"
)

// magic is the number that a file of torch.save before 1.6 begins with; protocol is the one that follows.
var magic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

const protocol = 1001

// readLegacy reads the pickles of the magic number, the protocol, the system, the object and the keys of its storages, and behind them
// for each key the number of its values, as int64, and the values.
func readLegacy(data []byte, b *builder) (any, error) {
	at := 0
	var err error
	next := func(b *builder) (v any) { // nil after an error
		if err == nil {
			var n int
			v, n, err = unpickle(data[at:], b)
			at += n
		}
		return v
	}
	scratch := func() *builder { return &builder{storages: map[string]*storage{}, limit: b.limit} }
	if len(data) == 0 || data[0] != 0x80 && data[0] != 'L' {
		return nil, errors.New("neither a zip file nor a pickle of torch.save")
	}
	n, ok := next(scratch()).(*big.Int)
	if err == nil && (!ok || n.Cmp(magic) != 0) {
		return nil, errors.New("a pickle, but not one of torch.save: its magic number is missing")
	}
	if v := next(scratch()); err == nil && v != any(int64(protocol)) {
		return nil, fmt.Errorf("not protocol %d of torch.save", protocol)
	}
	v := next(scratch())
	if err != nil {
		return nil, err
	}
	system, ok := v.(*dict)
	if !ok {
		return nil, errors.New("the third pickle does not describe a system")
	}
	for _, e := range system.entries {
		if e.key == any("little_endian") && e.value != any(true) {
			return nil, errors.New("written on a big-endian machine: only little-endian files are read")
		}
	}
	object := next(b)
	v = next(scratch())
	if err != nil {
		return nil, err
	}
	keys, ok := v.(*list)
	if !ok {
		return nil, errors.New("the fifth pickle does not list storages")
	}
	for _, k := range keys.items {
		key, _ := k.(string)
		s := b.storages[key]
		if s == nil || s.load != nil {
			return nil, fmt.Errorf("storage %s is listed twice, or not used", safetensors.Quote(key))
		}
		if len(data)-at < 8 {
			return nil, fmt.Errorf("truncated: storage %s is missing", safetensors.Quote(key))
		}
		if n := binary.LittleEndian.Uint64(data[at:]); n != uint64(s.count) {
			return nil, fmt.Errorf("storage %s: %d values where %d are expected", safetensors.Quote(key), n, s.count)
		}
		at += 8
		if s.bytes() > len(data)-at {
			return nil, fmt.Errorf("truncated: storage %s goes on after the end of the file", safetensors.Quote(key))
		}
		values := data[at : at+s.bytes()]
		at += len(values)
		s.load = func() ([]byte, error) { return values, nil }
	}
	for key, s := range b.storages {
		if s.load == nil {
			return nil, fmt.Errorf("storage %s is not in the file", safetensors.Quote(key))
		}
	}
	if at != len(data) {
		return nil, fmt.Errorf("%d bytes after the last storage", len(data)-at)
	}
	return object, nil
}
