package model_test

import (
	"fmt"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/model"
)

func BenchmarkForward(b *testing.B) {
	c, _ := model.NamedConfig("base")
	m := model.New(c, 1)
	for _, size := range [][2]int{{1, 128}, {8, 128}, {1, 512}} {
		batch := &ops.Batch{Offsets: []int32{0}}
		for range size[0] {
			for i := range size[1] {
				batch.IDs = append(batch.IDs, int32(5+(i*7919)%29000))
				batch.Types = append(batch.Types, 0)
			}
			batch.Offsets = append(batch.Offsets, int32(len(batch.IDs)))
		}
		for threads := 1; threads <= 2; threads++ {
			b.Run(fmt.Sprintf("%dx%d/%d", size[0], size[1], threads), func(b *testing.B) {
				dev, err := cpu.New("", threads)
				if err != nil {
					b.Fatal(err)
				}
				defer dev.Close()
				t := ops.NewTape(dev, nil)
				for b.Loop() {
					m.Encode(t, batch, model.NoDropout)
					t.Reset()
				}
				b.ReportMetric(float64(size[0])*c.FlopsForward(size[1])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
