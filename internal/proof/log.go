package proof

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"albert/internal/files/jsonobject"
	"albert/internal/files/stream"
	"albert/internal/run"
)

// runLog is log.jsonl of a run.
type runLog struct {
	steps map[int][]byte      // rows
	dev   []jsonobject.Fields // rows of evaluations, in order
	last  int                 // step
	// wrong is the first row that is missing, there twice, or unreadable; nil: none is.
	wrong *Difference
}

// readLog reads the log of a run. An unfinished last line, as a program that was killed leaves it, is passed over.
func readLog(d run.Dir) (*runLog, error) {
	f, err := os.Open(d.Log())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l := &runLog{steps: map[int][]byte{}}
	lines := stream.NewLines(f)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			return l, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Log(), err)
		}
		var row struct {
			Step  int
			Split *string
		}
		if json.Unmarshal(line, &row) != nil {
			row.Step = 0
		}
		switch step := row.Step; {
		case step <= 0 && !lines.Ended:
			return l, nil
		case step <= 0:
			l.note(&Difference{Step: l.last + 1, Field: "step", Again: number(l.last + 1),
				Stored: quoted(fmt.Sprintf("line %d of log.jsonl is no row", lines.Number))})
		case row.Split != nil:
			var dev jsonobject.Fields
			if err := json.Unmarshal(line, &dev); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", d.Log(), lines.Number, err)
			}
			l.dev = append(l.dev, dev)
		case step <= l.last:
			l.note(&Difference{Step: step, Field: "step", Stored: quoted("more than one row"), Again: number(step)})
		default:
			if step > l.last+1 {
				l.note(missing(l.last + 1))
			}
			l.steps[step], l.last = slices.Clone(line), step
		}
	}
}

func (l *runLog) note(d *Difference) {
	if l.wrong == nil {
		l.wrong = d
	}
}

// missing is the difference of a step without a row.
func missing(step int) *Difference {
	return &Difference{Step: step, Field: "step", Stored: json.RawMessage("null"), Again: number(step)}
}

func number(n int) json.RawMessage { return json.RawMessage(fmt.Sprint(n)) }

// quoted is a text as JSON.
func quoted(text string) json.RawMessage {
	raw, err := jsonobject.Marshal(text)
	if err != nil {
		return json.RawMessage("null") // a string can be written
	}
	return raw
}
