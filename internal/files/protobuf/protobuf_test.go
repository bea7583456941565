package protobuf

import (
	"fmt"
	"strings"
	"testing"
)

// What is written is read again, field by field.
func TestRoundTrip(t *testing.T) {
	b := AppendVarint(nil, 1, 1<<64-1)
	b = AppendBytes(b, 2, "text")
	b = AppendFloat(b, 3, -0.5)
	b = AppendBytes(b, 2, []byte{7})
	b = append(b, 4<<3|1, 1, 2, 3, 4, 5, 6, 7, 8) // 64 bits, which nobody asks for
	var got strings.Builder
	var raw []byte
	err := Read(b, func(f Field) error {
		fmt.Fprintf(&got, "%d %d %d %q; ", f.Number, f.Type, f.Value, f.Bytes)
		if f.Number == 3 && f.Float() != -0.5 {
			t.Errorf("%v", f.Float())
		}
		raw = append(raw, f.Raw...)
		return nil
	})
	const want = `1 0 18446744073709551615 ""; 2 2 0 "text"; 3 5 3204448256 ""; 2 2 0 "\a"; 4 1 0 ""; `
	if err != nil || got.String() != want || string(raw) != string(b) {
		t.Errorf("%s, %v; want %s", got.String(), err, want)
	}
	stop := fmt.Errorf("stop")
	if err := Read(b, func(Field) error { return stop }); err != stop {
		t.Error(err)
	}
}

// Arbitrary bytes are a message or an error, never a panic.
func FuzzRead(f *testing.F) {
	f.Add(AppendBytes(AppendVarint(nil, 1, 5), 2, "text"))
	f.Add([]byte("\x08"))
	f.Add([]byte("\x12\x05a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var raw []byte
		err := Read(b, func(f Field) error {
			raw = append(raw, f.Raw...)
			return nil
		})
		if !strings.HasPrefix(string(b), string(raw)) || err == nil && len(raw) != len(b) {
			t.Errorf("%q of %q, %v", raw, b, err)
		}
	})
}
