package figure

import (
	"slices"

	"albert/internal/run"
)

// Run is a run that is drawn beside others. Those of a group, from 1 on, are of one setting: they have one colour.
type Run struct {
	Name, Dir string
	Group     int
}

// Losses draws the losses of the steps of several runs into one SVG file, a curve each: of many steps their means. It is an error if no run has
// a loss.
func Losses(path string, runs []Run) error {
	var curves []curve
	for _, r := range runs {
		log, err := readLog(run.Dir(r.Dir).Log())
		if err != nil {
			return err
		}
		for _, c := range log.choose("", func(name string) bool { return name == "loss" }) {
			c.name, c.group = r.Name, r.Group
			curves = append(curves, c)
		}
	}
	return lines(path, "Loss", "step", "loss", slices.Clip(curves))
}
