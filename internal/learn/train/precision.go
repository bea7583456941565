package train

import (
	"encoding/json"
	"fmt"
	"io"

	"albert/internal/engine/cpu"
	"albert/internal/run"
)

// NewDevice makes the device of a run by its settings, whose Precision it resolves: bf16 becomes the rule that the run was begun with, in one
// of dirs, or that this CPU is fast at. A run that keeps a rule which this CPU is not fast at is told of.
func NewDevice(c *run.Common, messages io.Writer, dirs ...run.Dir) (*cpu.Device, error) {
	dev, err := cpu.New("", c.Threads)
	if err != nil {
		return nil, err
	}
	p := dev.Resolve(cpu.Precision(c.Precision))
	for _, d := range dirs {
		was := begunIn(d)
		if c.Precision != string(cpu.BF16) || was != cpu.BF16Tile && was != cpu.BF16Dot {
			continue
		}
		if was != p && messages != nil {
			fmt.Fprintf(messages, "%s was begun in %s and keeps it: the same bits; on this CPU a new run in bf16 would be in %s, which it is faster at\n", d, was, p)
		}
		p = was
		break
	}
	device, err := dev.In(p)
	if p == cpu.Int8 {
		err = &run.FieldError{Field: "Precision", Value: c.Precision, Problem: "is for inference: train in fp32 or bf16"}
	}
	if err != nil {
		dev.Close()
		return nil, err
	}
	c.Precision = string(p)
	return device, nil
}

// begunIn is the precision in the manifest of a run; "" where there is none.
func begunIn(d run.Dir) (p cpu.Precision) {
	m, err := d.ReadManifest()
	if err != nil {
		return ""
	}
	if text, ok := m.Settings.Get("precision").(json.RawMessage); ok {
		_ = json.Unmarshal(text, &p)
	}
	return p
}
