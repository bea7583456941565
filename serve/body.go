package serve

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	bodyFirst = 512       // bytes that a body takes at first
	bodyHead  = 64 << 10  // bytes from which on it is read into blocks
	bodyBlock = 256 << 10 // bytes of a block
	largeBody = 1 << 20   // above that a body is refused when twice the greatest size is held, by all requests together; below when it is four times that
	bodyPace  = 64 << 10  // bytes a second at least, after bodyGrace
	bombRatio = 100       // so many times its size a body may unpack to, after bombFrom bytes: JSON of texts and tensors is below 50
	bombFrom  = 1 << 20
)

// gathered is what was read of a body: n bytes, in a head that grows and then in blocks that are used again. One piece of memory that grows with a large
// body would be copied four times, and each time into memory that the system has to clear.
type gathered struct {
	n      int64
	head   []byte
	blocks []*[bodyBlock]byte
}

var blocks = sync.Pool{New: func() any { return new([bodyBlock]byte) }}

// room is where the next bytes go.
func (g *gathered) room() []byte {
	if g.n == int64(len(g.head)) && len(g.head) < bodyHead {
		g.head = append(g.head, make([]byte, max(bodyFirst, len(g.head)))...)
	}
	if g.n < int64(len(g.head)) {
		return g.head[g.n:]
	}
	at := g.n - int64(len(g.head))
	if at == int64(len(g.blocks))*bodyBlock {
		g.blocks = append(g.blocks, blocks.Get().(*[bodyBlock]byte))
	}
	return g.blocks[at/bodyBlock][at%bodyBlock:]
}

// bytes is all, in one piece that stays.
func (g *gathered) bytes() []byte {
	if len(g.blocks) == 0 {
		return g.head[:g.n]
	}
	out := append(make([]byte, 0, g.n), g.head...)
	for _, b := range g.blocks {
		out = append(out, b[:min(bodyBlock, g.n-int64(len(out)))]...)
	}
	return out
}

func (g *gathered) free() {
	for _, b := range g.blocks {
		blocks.Put(b)
	}
}

// counted counts what was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

var bodyGrace = 20 * time.Second // less in a test

// unpacked is a reader of the body without its Content-Encoding.
func unpacked(r *http.Request, body io.Reader) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, newProblem(kindMalformed, "the body is not gzip, as Content-Encoding says")
		}
		return z, nil
	case "deflate":
		var head [2]byte
		n, _ := io.ReadFull(body, head[:])
		all := io.MultiReader(bytes.NewReader(head[:n]), body)
		if n == 2 && head[0]&15 == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(all)
		}
		return flate.NewReader(all), nil
	}
	p := newProblem(kindMalformed, "Content-Encoding: want gzip, deflate or none")
	p.status = http.StatusUnsupportedMediaType
	return nil, p
}

// bodyWithin bounds the time in which the body is read, by us or, after the answer, by net/http.
func (q *request) bodyWithin(d time.Duration) {
	_ = http.NewResponseController(q.w).SetReadDeadline(time.Now().Add(d)) // not every writer has one
}

// body reads the request's body, unpacked, within the limits.
func (q *request) body() ([]byte, error) {
	most := q.s.o.MaxBody
	tooLarge := func() error {
		return newProblem(kindTooLarge, fmt.Sprintf("the body has more than %d bytes: send fewer texts at once, "+
			"or lines to /models/NAME/embed and others, which are not bounded", most))
	}
	if q.r.ContentLength > most {
		return nil, tooLarge()
	}
	q.bodyWithin(bodyGrace + time.Duration(max(q.r.ContentLength, 0)/bodyPace)*time.Second)
	packed := &counted{Reader: http.MaxBytesReader(q.w, q.r.Body, most)}
	in, err := unpacked(q.r, packed)
	var read gathered
	defer read.free()
	for err == nil && read.n <= most {
		if read.n > bombFrom+bombRatio*packed.n {
			return nil, newProblem(kindTooLarge, fmt.Sprintf("the body unpacks to more than %d times its size: send it as it is", bombRatio))
		}
		room := read.room()
		if err = q.hold(read.n + int64(len(room))); err == nil {
			var n int
			n, err = in.Read(room)
			read.n += int64(n)
		}
	}
	var large *http.MaxBytesError
	var p *problem
	switch {
	case errors.As(err, &p):
		return nil, err
	case errors.As(err, &large) || read.n > most:
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, newProblem(kindSlow, "the body comes too slowly")
	case err != io.EOF:
		return nil, newProblem(kindMalformed, "the body cannot be read: "+err.Error())
	}
	_ = http.NewResponseController(q.w).SetReadDeadline(time.Time{}) // all is read: the answer may take any time
	return read.bytes(), nil
}

// hold counts that the body takes so many bytes, unless all bodies together take too many. The last half of what may be held is for bodies that are not
// large: they need not wait for those that are large, or slow.
func (q *request) hold(bytes int64) error {
	more := bytes - q.held
	q.held = bytes
	limit := 4 * q.s.o.MaxBody
	if bytes > largeBody {
		limit = 2 * q.s.o.MaxBody
	}
	if all := q.s.bodies.Add(more); more > 0 && all > limit && all > bytes {
		return newProblem(kindOverloaded, "too busy: too many bytes of requests are held: send smaller ones, or try again later")
	}
	return nil
}
