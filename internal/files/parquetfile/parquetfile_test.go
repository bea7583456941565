package parquetfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestOpen(t *testing.T) {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[struct{ Text string }](&b)
	if _, err := w.Write([]struct{ Text string }{{"a"}, {"b"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in := bytes.NewReader(b.Bytes())
	if f, err := Open(in, in.Size()); !Is(in) || err != nil || f.NumRows() != 2 {
		t.Errorf("%v, %v", f, err)
	}
	if Is(strings.NewReader("PA")) || Is(strings.NewReader("text")) {
		t.Error("text is taken for Parquet")
	}
	for n := range b.Len() { // whatever is missing
		if _, err := Open(in, int64(n)); err == nil {
			t.Errorf("%d of %d bytes are opened", n, b.Len())
		}
	}
}

func TestGuard(t *testing.T) {
	if err := Guard(func() error { panic("index out of range") }); err == nil || err.Error() != "damaged: index out of range" {
		t.Error(err)
	}
	own := errors.New("own")
	if err := Guard(func() error { return own }); err != own {
		t.Error(err)
	}
}
