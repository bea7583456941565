package train

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"albert/internal/run"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record that TensorFlow 2 wrote: tf.io.TFRecordWriter.write(b"hello").
func TestFrame(t *testing.T) {
	got := frame([]byte("hello"))
	if n := len(got); n != 21 || got[0] != 5 {
		t.Fatalf("%x", got)
	}
	// crc32c("123456789") is e3069283 (RFC 3720).
	if c := maskedCRC([]byte("123456789")); c != (0xe3069283>>15|0xe3069283<<17&0xffffffff)+0xa282ead8 {
		t.Errorf("masked crc %08x", c)
	}
	data, err := readFrame(bytes.NewReader(got))
	if err != nil || string(data) != "hello" {
		t.Errorf("%q, %v", data, err)
	}
	for i := range got {
		bad := bytes.Clone(got)
		bad[i] ^= 4
		if _, err := readFrame(bytes.NewReader(bad)); err == nil {
			t.Errorf("a flipped bit in byte %d is not seen", i)
		}
	}
}

// point is a value read back.
type point struct {
	step  int
	tag   string
	value float32
}

// readEvents reads the curves of a directory as a plain reader does, and the steps at which starts tell of themselves.
func readEvents(t *testing.T, dir string) (points []point, starts []int) {
	t.Helper()
	files, err := eventFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		path := filepath.Join(dir, name)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for first := true; ; first = false {
			data, err := readFrame(f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			e := fieldsOf(t, data)
			if first && string(e[eventFileVersion][0].bytes) != "brain.Event:2" {
				t.Errorf("%s begins with %x", path, data)
			}
			step := 0
			if s := e[eventStep]; s != nil {
				step = int(s[0].number)
			}
			if math.Abs(math.Float64frombits(e[eventWallTime][0].number)-float64(time.Now().Unix())) > 600 {
				t.Error("wrong time")
			}
			if e[eventSessionLog] != nil {
				starts = append(starts, step)
			}
			for _, summary := range e[eventSummary] {
				for _, v := range fieldsOf(t, summary.bytes)[summaryValue] {
					value := fieldsOf(t, v.bytes)
					points = append(points, point{step, string(value[valueTag][0].bytes), math.Float32frombits(uint32(value[valueSimple][0].number))})
				}
			}
		}
	}
	return points, starts
}

type wire struct {
	number uint64
	bytes  []byte
}

func fieldsOf(t *testing.T, b []byte) map[protowire.Number][]wire {
	t.Helper()
	m := map[protowire.Number][]wire{}
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatalf("%x: %v", b, protowire.ParseError(n))
		}
		b = b[n:]
		var w wire
		switch kind {
		case protowire.VarintType:
			w.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			w.number = uint64(v)
		case protowire.Fixed64Type:
			w.number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			w.bytes, n = protowire.ConsumeBytes(b)
		default:
			t.Fatalf("wire type %d", kind)
		}
		if n < 0 {
			t.Fatalf("%x: %v", b, protowire.ParseError(n))
		}
		b = b[n:]
		m[num] = append(m[num], w)
	}
	return m
}

// After any number of stops every step has one point on every curve, and file names ascend.
func TestEventFiles(t *testing.T) {
	dir := t.TempDir()
	for _, stop := range []int{6, 11, 0} {
		c := testConfig(dir)
		s := newSquares(40, 30)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.onLeaf = func(step, _, _ int) {
			if step == stop {
				cancel()
			}
		}
		if err := Run(ctx, c, s.params, s); err != nil && !errors.Is(err, ErrStopped) {
			t.Fatal(err)
		}
		if stop == 6 { // and steps that a kill left behind
			files, err := eventFiles(run.Dir(dir).Events())
			if err != nil {
				t.Fatal(err)
			}
			a, err := openAppend(filepath.Join(run.Dir(dir).Events(), files[0]))
			if err != nil {
				t.Fatal(err)
			}
			e := &events{a}
			for step := 6; step < 9; step++ {
				if err := e.add(time.Now(), step, []scalar{{"train/loss", 9}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.write([]byte("half")); err != nil {
				t.Fatal(err)
			}
			a.close()
		}
	}
	points, starts := readEvents(t, run.Dir(dir).Events())
	count := map[string]int{}
	last := 0
	for _, p := range points {
		if p.step < last {
			t.Errorf("step %d after %d", p.step, last)
		}
		last = p.step
		count[p.tag]++
	}
	for tag, want := range map[string]int{"train/loss": 20, "train/learning_rate": 20, "train/grad_norm": 20, "train/tokens_per_second": 20,
		"dev/loss": 4, "dev/accuracy": 4, "train/step": 0} {
		if count[tag] != want {
			t.Errorf("%s has %d points, want %d", tag, count[tag], want)
		}
	}
	if len(starts) != 3 || starts[0] != 1 || starts[1] != 6 || starts[2] != 11 {
		t.Errorf("starts at %v", starts)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add(frame(event(time.Unix(0, 0), 3)))
	b, err := hex.DecodeString("0500000000000000")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "events.out.tfevents.1")
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := cutEventFile(path, 2); err != nil {
			t.Error(err)
		}
		_, _ = stepOf(data) // must not panic
	})
}
