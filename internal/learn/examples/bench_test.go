package examples

import (
	"fmt"
	"testing"

	"albert/internal/engine/numeric"
)

// prose is documents of sentences of about 25 pieces.
func prose(documents, sentences int) [][][]int32 {
	docs := make([][][]int32, documents)
	for d := range docs {
		r := numeric.NewStream(1, numeric.PurposeSample, uint32(d), 0, 0)
		for range sentences {
			sentence := make([]int32, 5+r.Intn(41))
			for i := range sentence {
				sentence[i] = int32(5 + r.Intn(29995))
			}
			docs[d] = append(docs[d], sentence)
		}
	}
	return docs
}

// Pieces a second of one thread making examples.
func BenchmarkExamples(b *testing.B) {
	v := testVocabulary(30000)
	for _, shape := range []struct{ documents, sentences int }{{2000, 50}, {1, 100_000}} {
		docs := prose(shape.documents, shape.sentences)
		for _, length := range []int{64, 512} {
			for _, quirks := range []bool{false, true} {
				b.Run(fmt.Sprintf("%dx%d/%d/quirks=%v", shape.documents, shape.sentences, length, quirks), func(b *testing.B) {
					o := DefaultOptions()
					o.MaxSeqLength, o.UpstreamQuirks = length, quirks
					s := sampler(b, docs, v, o)
					n := 0
					b.ReportAllocs()
					for i := uint64(0); b.Loop(); i++ {
						e, err := s.Example(i)
						if err != nil {
							b.Fatal(err)
						}
						n += len(e.InputIDs)
					}
					b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "pieces/s")
				})
			}
		}
	}
}

// many is a source of equal documents.
type many struct {
	documents int
	ends      []int32
}

func (m many) Documents() int                            { return m.documents }
func (m many) Ends(int, []int32) []int32                 { return m.ends }
func (m many) Pieces(_, from, to int, _ []int32) []int32 { return make([]int32, to-from) }

// The table of an epoch of ten million documents of 20 sentences.
func BenchmarkTable(b *testing.B) {
	src := many{documents: 10_000_000}
	for i := range 20 {
		src.ends = append(src.ends, int32(25*(i+1)))
	}
	for _, quirks := range []bool{false, true} {
		b.Run(fmt.Sprintf("quirks=%v", quirks), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := newTable(cutter{Options: options(func(o *Options) { o.UpstreamQuirks, o.MaxSeqLength = quirks, 512 })}, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
