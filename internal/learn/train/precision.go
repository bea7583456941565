package train

import (
	"encoding/json"
	"fmt"

	"albert/internal/engine/cpu"
	"albert/internal/run"
)

// InPrecision gives the device for the precision that a run is asked for, and the precision. bf16 becomes the rule that the run was begun
// with, in one of dirs, or that the device is fast at; note tells of a run that keeps a rule which the device is not fast at.
func InPrecision(dev *cpu.Device, asked string, dirs ...run.Dir) (device *cpu.Device, precision, note string, err error) {
	p := dev.Resolve(cpu.Precision(asked))
	for _, d := range dirs {
		var was cpu.Precision
		m, err := d.ReadManifest()
		if err != nil || cpu.Precision(asked) != cpu.BF16 {
			continue
		}
		if text, ok := m.Settings.Get("precision").(json.RawMessage); !ok || json.Unmarshal(text, &was) != nil || was != cpu.BF16Tile && was != cpu.BF16Dot {
			continue
		}
		if was != p {
			note = fmt.Sprintf("%s was begun in %s and keeps it: the same bits; on this CPU a new run in bf16 would be in %s, which it is faster at", d, was, p)
		}
		p = was
		break
	}
	if p == cpu.Int8 {
		return nil, "", "", &run.FieldError{Field: "Precision", Value: asked, Problem: "is for inference: train in fp32 or bf16"}
	}
	device, err = dev.In(p)
	return device, string(p), note, err
}
