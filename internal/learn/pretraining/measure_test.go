package pretraining

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/mpi"
	"albert/internal/engine/ops"
	"albert/internal/learn/examples"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// counting counts batches: each is embedded whole, or goes apart in groups.
type counting struct {
	ops.Device
	batches atomic.Int64
}

func (c *counting) Embed(y *ops.Tensor, b *ops.Batch, word, position, tokenType *ops.Param) {
	c.batches.Add(1)
	c.Device.Embed(y, b, word, position, tokenType)
}

func (c *counting) Apart(n int, f func(i int, d ops.Device)) {
	c.batches.Add(1)
	c.Device.Apart(n, f)
}

// Ranks share the batches of an evaluation, and rank 0 has the numbers of one process.
func TestRanksMeasureTogether(t *testing.T) {
	c, err := model.ParseConfig([]byte(`{"model_type":"albert","vocab_size":50,"embedding_size":8,"hidden_size":12,"num_hidden_layers":1,"num_attention_heads":2,
		"intermediate_size":16,"max_position_embeddings":128}`))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	list := make([]examples.Example, 200)
	for i := range list {
		e := &list[i]
		for range 20 + rng.IntN(100) {
			e.InputIDs, e.TokenTypes = append(e.InputIDs, int32(rng.IntN(50))), append(e.TokenTypes, 0)
		}
		e.Index, e.MaskedPositions, e.MaskedIDs, e.Label = uint64(i), []int32{3, 7}, []int32{int32(rng.IntN(50)), 9}, int8(i%3-1)
	}
	want, batches := "", int64(0)
	for _, n := range []int{1, 2, 3, 5} {
		counts, errs := make([]int64, n), make([]error, n)
		var fields train.Fields
		var group sync.WaitGroup
		for rank, w := range mpi.Loopback(n, mpi.Delay(uint64(n))) {
			group.Go(func() {
				dev, err := cpu.New("", 1)
				if err != nil {
					errs[rank] = err
					return
				}
				defer dev.Close()
				counted := &counting{Device: dev}
				o := &Objective{Model: model.New(c, 1), Device: counted}
				f, err := o.Measure(train.WithRanks(t.Context(), w), list, 4)
				if rank == 0 {
					fields = f
				} else if errors.Is(err, train.ErrElsewhere) {
					err = nil
				}
				counts[rank], errs[rank] = counted.batches.Load(), errors.Join(err, w.Close())
			})
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("%d ranks: %v", n, err)
		}
		if n == 1 {
			want, batches = fmt.Sprint(fields), counts[0]
		}
		if got := fmt.Sprint(fields); got != want {
			t.Errorf("%d ranks: %s, want %s", n, got, want)
		}
		for rank, count := range counts {
			if k := int64(n); count != (batches+k-1-int64(rank))/k || count == 0 {
				t.Errorf("rank %d of %d computes %d of %d batches", rank, n, count, batches)
			}
		}
	}
}
