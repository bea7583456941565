package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"albert/internal/files/disk"
	"albert/internal/files/protobuf"

	"google.golang.org/protobuf/encoding/protowire"
)

// Event files as TensorBoard reads them: records framed as TFRecord (tensorflow/core/lib/io/record_writer.h), each an Event
// message (tensorflow/core/util/event.proto) with a Summary of scalars (summary.proto).

// Field numbers of the messages.
const (
	eventWallTime    = 1 // double
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog
	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimple      = 2 // float
	sessionStatus    = 1 // enum
	sessionStart     = 1 // SessionLog.START
)

// scalar is one value of a curve.
type scalar struct {
	tag   string
	value float32
}

// events writes one event file.
type events struct{ *appendFile }

// openEvents starts an event file for steps from first on. TensorBoard drops what older files hold of these steps. File names
// ascend, since TensorBoard reads them in that order.
func openEvents(dir string, first int, now time.Time) (*events, error) {
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	old, err := eventFiles(dir)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	seconds := now.Unix()
	name := func() string { return fmt.Sprintf("events.out.tfevents.%010d.%s", seconds, host) }
	for len(old) > 0 && name() <= old[len(old)-1] {
		var last int64
		if _, err := fmt.Sscanf(old[len(old)-1], "events.out.tfevents.%d", &last); err != nil {
			return nil, fmt.Errorf("%s: not a name of an event file", old[len(old)-1])
		}
		seconds = max(seconds, last) + 1
	}
	f, err := openAppend(filepath.Join(dir, name()))
	if err != nil {
		return nil, err
	}
	e := &events{f}
	version := protobuf.AppendBytes(event(now, 0), eventFileVersion, "brain.Event:2")
	start := protobuf.AppendBytes(event(now, first), eventSessionLog, protobuf.AppendVarint(nil, sessionStatus, sessionStart))
	if err := e.write(append(frame(version), frame(start)...)); err != nil {
		return e, err
	}
	return e, nil
}

// event is the beginning of an Event message.
func event(now time.Time, step int) []byte {
	b := protowire.AppendTag(nil, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(now.UnixNano())/1e9))
	if step != 0 {
		b = protobuf.AppendVarint(b, eventStep, uint64(step))
	}
	return b
}

// add writes the values of a step.
func (e *events) add(now time.Time, step int, values []scalar) error {
	var summary []byte
	for _, v := range values {
		value := protobuf.AppendFloat(protobuf.AppendBytes(nil, valueTag, v.tag), valueSimple, v.value)
		summary = protobuf.AppendBytes(summary, summaryValue, value)
	}
	return e.write(frame(protobuf.AppendBytes(event(now, step), eventSummary, summary)))
}

// scalars are the finite numbers among fields, under prefix/name.
func scalars(f Fields, prefix string) []scalar {
	var list []scalar
	for _, x := range f {
		if v := f.Number(x.Name); finite(v) && x.Name != "step" {
			list = append(list, scalar{prefix + "/" + x.Name, float32(v)})
		}
	}
	return list
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of TFRecord: rotated and shifted, so that a checksum of data that holds checksums stays good.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

// frame makes a TFRecord: length, its checksum, data, its checksum.
func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

// maxRecord bounds the records that are read back; ours are a few hundred bytes.
const maxRecord = 16 << 20

// readFrame reads a record. The error is io.EOF at the end of the file.
func readFrame(r io.Reader) ([]byte, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:])
	if binary.LittleEndian.Uint32(head[8:]) != maskedCRC(head[:8]) || n > maxRecord {
		return nil, errors.New("damaged record")
	}
	data := make([]byte, n+4)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	data, sum := data[:n], data[n:]
	if binary.LittleEndian.Uint32(sum) != maskedCRC(data) {
		return nil, errors.New("damaged record")
	}
	return data, nil
}

// stepOf reads the step of an Event message.
func stepOf(b []byte) (step int, err error) {
	err = protobuf.Read(b, func(f protobuf.Field) error {
		if f.Number == eventStep && f.Type == protobuf.Varint {
			step = int(f.Value)
		}
		return nil
	})
	return step, err
}

// eventFiles lists the names of the event files in a directory in their order, none where there is no directory.
func eventFiles(dir string) ([]string, error) {
	return fs.Glob(os.DirFS(dir), "events.out.tfevents.*")
}

// cutEvents cuts event files back to the first steps, so that a step stands once for readers that do not know restarts.
func cutEvents(dir string, steps int) error {
	files, err := eventFiles(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := cutEventFile(filepath.Join(dir, name), steps); err != nil {
			return err
		}
	}
	return nil
}

func cutEventFile(path string, steps int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	keep := int64(0)
	for {
		data, err := readFrame(f)
		if err != nil { // the end, or what a crash left of a record
			break
		}
		if step, err := stepOf(data); err != nil || step > steps {
			break
		}
		keep += int64(len(data)) + 16
	}
	return disk.Truncate(path, keep)
}
