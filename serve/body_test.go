package serve

import (
	"bytes"
	"testing"
)

// A body comes out as it went in, whatever the sizes of the parts it came in, and over the borders of its blocks.
func TestGathered(t *testing.T) {
	for _, n := range []int{0, 1, bodyFirst, bodyHead - 1, bodyHead, bodyHead + 1, bodyHead + bodyBlock, bodyHead + bodyBlock + 1, bodyHead + 3*bodyBlock - 1} {
		want := make([]byte, n)
		for i := range want {
			want[i] = byte(i * i >> 7)
		}
		for _, most := range []int{1 << 30, 70001} { // bytes of a part
			var g gathered
			for rest := want; ; {
				k := copy(g.room()[:min(len(g.room()), most)], rest)
				g.n += int64(k)
				if rest = rest[k:]; len(rest) == 0 {
					break
				}
			}
			got := g.bytes()
			g.free()
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes in parts of %d at most: %d bytes, or others", n, most, len(got))
			}
		}
	}
}
