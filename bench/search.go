package bench

import (
	"errors"
	"os"
	"path/filepath"

	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/files/npy"
	"albert/internal/search"
)

// searchWork finds the ten nearest of n vectors of so many values to each of some queries at once. The vectors are a mapped file, as of `albert
// search --vectors`; their lengths are known, as they are after the first query.
func searchWork(dev *cpu.Device, n, width, queries int) (*work, error) {
	dir, err := os.MkdirTemp("", "albert-bench-")
	if err != nil {
		return nil, err
	}
	undo := func() error { return os.RemoveAll(dir) }
	path := filepath.Join(dir, "vectors.npy")
	s := numeric.NewStream(3, numeric.PurposeInit, uint32(n), uint32(width), 0)
	row := func() []float32 {
		x := make([]float32, width)
		for i := range x {
			x[i] = float32(s.Float64() - 0.5)
		}
		return x
	}
	// Rows of a random pool in random order, each with a value of its own: to draw all of them takes a minute.
	pool := make([][]float32, 4096)
	for i := range pool {
		pool[i] = row()
	}
	err = npy.Write(path, width, func(add func([]float32) error) error {
		for range n {
			x := pool[s.Intn(len(pool))]
			x[s.Intn(width)] = float32(s.Float64() - 0.5)
			if err := add(x); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, undo())
	}
	m, err := npy.Open(path)
	if err != nil {
		return nil, errors.Join(err, undo())
	}
	var list [][]float32
	for range queries {
		list = append(list, row())
	}
	v := search.NewVectors(dev, m.Data, width)
	return &work{
		flops: 2 * float64(n) * float64(width) * float64(queries),
		bytes: 4 * float64(n) * float64(width),
		run: func() error {
			b := search.New(dev, list, search.Options{K: 10})
			b.Add(v)
			b.Hits()
			return nil
		},
		read: func() {
			const part = 64 << 10 // values of a task
			dev.Run((len(m.Data)+part-1)/part, func(t int) { dev.Kernels().Finite(m.Data[t*part : min(len(m.Data), (t+1)*part)]) })
		},
		close: func() error { return errors.Join(m.Close(), undo()) },
	}, nil
}
