package cpu

import (
	"albert/internal/engine/ops"
)

// DecoderLoss computes the logits of a block of rows at a time: with 30,000 classes a block is 15 MB. Blocks ascend, so that every
// gradient stays one chain over the rows.
func (d *Device) DecoderLoss(loss *ops.Loss, g *ops.Grads, dx *ops.Tensor, accumulate bool, x *ops.Tensor, table, bias *ops.Param,
	targets []int32, scale float32) {
	if x.Rows == 0 {
		return
	}
	classes := table.Rows()
	logits := d.New(min(x.Rows, rowBlock), classes)
	defer d.Free(logits)
	for r0 := 0; r0 < x.Rows; r0 += rowBlock {
		rows := min(rowBlock, x.Rows-r0)
		xb := &ops.Tensor{Rows: rows, Cols: x.Cols, Stride: x.Stride, Data: x.Data[r0*x.Stride:]}
		d.Linear(&ops.Tensor{Rows: rows, Cols: classes, Stride: logits.Stride, Data: logits.Data}, nil, xb, ops.Identity,
			[]ops.Affine{{W: table, B: bias}})
		d.crossEntropy(loss, logits, rows, r0, targets, scale, g != nil)
		if g == nil {
			continue
		}
		d.columnSums(g.Of(bias), logits.Data, logits.Stride, rows)
		xp := d.packActivations(xb)
		d.outerAccumulate(g.Of(table), logits.Data, logits.Stride, classes, rows, xp)
		d.putPanels(xp)
		d.gemm(rows, logits.Data, logits.Stride, d.weight(table, false), dx.Data[r0*dx.Stride:], dx.Stride, nil, startOf(accumulate), nil)
	}
}

// crossEntropy finds the losses of rows of logits, the first of which is row r0 of the whole, and turns the logits into gradients.
func (d *Device) crossEntropy(loss *ops.Loss, logits *ops.Tensor, rows, r0 int, targets []int32, scale float32, gradient bool) {
	d.pool.run(rows, func(r int) {
		row := logits.Data[r*logits.Stride : r*logits.Stride+logits.Cols]
		var argmax int
		if gradient {
			loss.Values[r0+r], argmax = d.k.CrossEntropy(row, int(targets[r0+r]), scale)
		} else {
			loss.Values[r0+r], argmax = d.k.LogSumExp(row, int(targets[r0+r]))
		}
		loss.Argmax[r0+r] = int32(argmax)
	})
}

// SoftmaxLoss: few classes, all rows at once.
func (d *Device) SoftmaxLoss(loss *ops.Loss, dx *ops.Tensor, accumulate bool, x *ops.Tensor, targets []int32, scale float32) {
	logits := x
	switch {
	case accumulate:
		logits = d.New(x.Rows, x.Cols)
		defer d.Free(logits)
	case dx != nil:
		logits = dx
	}
	if dx != nil {
		for r := range x.Rows {
			copy(logits.Row(r), x.Row(r))
		}
	}
	d.crossEntropy(loss, logits, x.Rows, 0, targets, scale, dx != nil)
	if accumulate {
		d.eachRow(x.Rows, func(r int) { d.k.AddTo(dx.Row(r), logits.Row(r)) })
	}
}
