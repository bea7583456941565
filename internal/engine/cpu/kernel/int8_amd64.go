package kernel

import (
	"slices"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// int8Tile computes sums of tiles of a fixed height; k is a multiple of 16.
type int8Tile func(k int, a *int8, lda int, b *int8, strip int, c *int32, tiles int, next *int8)

// int8Asm is the generated functions of one instruction set for int8.
type int8Asm struct {
	flip       byte
	cols       int        // columns of a tile
	tiles      []int8Tile // by height
	span       func(x *float32, n int) (lo, hi, check float32)
	quantize   func(dst *int8, x *float32, inv float32, zero int32, flip uint32, n int)
	softmax    func(dst *int8, x *float32, scale float32, flip uint32, n int) float32
	dequantize func(y *float32, ldy int, acc *int32, rows *float32, m int, sum *int32, scale, bias *float32, n int)
	peak       func(n int, seeds *float32)
	peakOps    int // of one iteration
}

var int8AVX2 = int8Asm{cols: stripNR, tiles: []int8Tile{nil, int8Tile1AVX2, int8Tile2AVX2, int8Tile3AVX2, int8Tile4AVX2},
	span: spanAVX2, quantize: quantizeAVX2,
	softmax: softmaxInt8AVX2, dequantize: dequantizeAVX2, peak: peakInt8AVX2, peakOps: 2 * 8 * 32}

var int8AVXVNNI = int8Asm{flip: 0x80, cols: stripNR, tiles: []int8Tile{nil, int8Tile1AVXVNNI, int8Tile2AVXVNNI, int8Tile3AVXVNNI, int8Tile4AVXVNNI,
	int8Tile5AVXVNNI, int8Tile6AVXVNNI}, span: spanAVX2, quantize: quantizeAVX2,
	softmax: softmaxInt8AVX2, dequantize: dequantizeAVX2, peak: peakAVXVNNI, peakOps: 2 * 24 * 32}

var int8AVX512 = int8Asm{flip: 0x80, cols: Int8Columns, tiles: []int8Tile{nil, int8Tile1AVX512, int8Tile2AVX512, int8Tile3AVX512, int8Tile4AVX512,
	int8Tile5AVX512, int8Tile6AVX512, int8Tile7AVX512, int8Tile8AVX512, int8Tile9AVX512, int8Tile10AVX512, int8Tile11AVX512, int8Tile12AVX512,
	int8Tile13AVX512, int8Tile14AVX512}, span: spanAVX512, quantize: quantizeAVX512,
	softmax: softmaxInt8AVX512, dequantize: dequantizeAVX512, peak: peakVNNIAVX512, peakOps: 2 * 48 * 64}

// addInt8 gives the sets their int8 part. AVX-512 without VNNI does what AVX2 does. A CPU with AVX-VNNI and one with AMX get sets of their
// own, whose other functions are those of AVX2 and of AVX-512.
//
// All four ran, and gave the plain Go bits, on a Xeon with AVX-VNNI, AVX-512, VNNI and AMX in November 2026.
func addInt8() {
	for i, s := range slices.Clone(sets) {
		switch {
		case s.Name == "avx2":
			s.int8 = assembleInt8(int8AVX2)
			if cpuid.CPU.Supports(cpuid.AVXVNNI) {
				vnni := *s
				vnni.Name, vnni.int8 = "avxvnni", assembleInt8(int8AVXVNNI)
				sets = slices.Insert(sets, i+1, &vnni)
			}
		case s.Name == "avx512" && !cpuid.CPU.Supports(cpuid.AVX512VNNI):
			s.int8 = assembleInt8(int8AVX2)
		case s.Name == "avx512":
			s.int8 = assembleInt8(int8AVX512)
			if cpuid.CPU.Supports(cpuid.AMXTILE, cpuid.AMXINT8) && permitAMX() {
				amx := *s
				amx.Name, amx.int8.panel, amx.int8.peak = "amx", amxPanel, amxPeak(peakInt8AMX, 64)
				sets = append(sets, &amx)
			}
		}
	}
}

// assembleInt8 wraps generated functions, which take pointers, into functions of slices.
func assembleInt8(f int8Asm) int8Set {
	s := int8Set{flip: f.flip}
	s.peak = func(n int) int {
		f.peak(n, &peakSeeds[0])
		return n * f.peakOps
	}
	s.span = func(x []float32) (lo, hi, check float32) {
		if len(x) == 0 {
			return 0, 0, 0
		}
		return f.span(&x[0], len(x))
	}
	s.quantize = func(dst []int8, x []float32, inv float32, zero int32, flip byte) {
		if n := len(x); n > 0 {
			_ = dst[(n+15)/16*16-1]
			f.quantize(&dst[0], &x[0], inv, zero, uint32(flip)*0x01010101, n)
		}
	}
	s.softmax = func(dst []int8, x []float32, scale float32, flip byte) float32 {
		n := len(x)
		if n == 0 {
			return 0
		}
		_ = dst[(n+15)/16*16-1]
		return f.softmax(&dst[0], &x[0], scale, uint32(flip)*0x01010101, n)
	}
	s.dequantize = func(y []float32, ldy int, acc []int32, rows []Int8Row, sum []int32, scale, bias []float32) {
		m, n := len(rows), len(scale)
		if m == 0 || n == 0 {
			return
		}
		_ = y[(m-1)*ldy+n-1]
		_ = acc[m*Int8Columns-1]
		var b *float32
		if bias != nil {
			b = &bias[:n][0]
		}
		f.dequantize(&y[0], ldy, &acc[0], &rows[0].Scale, m, &sum[:n][0], &scale[0], b, n)
	}
	s.panel = func(m, k int, a []int8, lda int, b []int8, strip, cols int, c []int32, next []int8) {
		_ = c[m*Int8Columns-1]
		k = (k + 15) &^ 15
		for at := 0; at < cols; at += f.cols {
			b := b[at/stripNR*strip:]
			eachTile(m, len(f.tiles)-1, maxTileOps/(2*k*f.cols), func(r, n, height int) {
				f.tiles[height](k, &a[r*lda], lda, &b[0], strip, &c[r*Int8Columns+at], n, address(next, r*k/4))
			})
		}
	}
	return s
}

// maxTileOps bounds the work of one call into assembly, which cannot be preempted: some 100 us, where VNNI does 800 GOP/s.
const maxTileOps = 40_000_000

// eachTile cuts m rows into tiles of nearly equal height, at most most, and calls f for runs of at most limit rows of the same height.
func eachTile(m, most, limit int, f func(r, n, height int)) {
	tiles := (m + most - 1) / most
	height, high := m/tiles, m%tiles // the first tiles have a row more
	r := 0
	for t := 0; t < tiles; {
		h, n := height, tiles-t
		if t < high {
			h, n = height+1, high-t
		}
		n = min(n, max(1, limit/h))
		f(r, n, h)
		r, t = r+n*h, t+n
	}
}

// address is that of an element, the last if there are not so many; nil of nothing.
func address(x []int8, i int) *int8 {
	if len(x) == 0 {
		return nil
	}
	return &x[min(i, len(x)-1)]
}

// tileConfigs are those of two tiles of rows, the first of 16: by the rows of the second; and of one tile, by its rows.
var tileConfigs = func() (c [2][17][64]byte) {
	set := func(c *[64]byte, first, second int) {
		c[0] = 1
		for i, rows := range [8]int{first, first, second, second, first, second, 16, 16} {
			if rows > 0 {
				c[16+2*i], c[48+i] = 64, byte(rows) // bytes of a row, rows
			}
		}
	}
	for rows := 1; rows <= 16; rows++ {
		set(&c[0][rows], 16, rows)
		set(&c[1][rows], rows, 0)
	}
	return c
}()

// amxPanel is panel by AMX: 32 rows at a time, then what is left.
func amxPanel(m, k int, a []int8, lda int, b []int8, strip, _ int, c []int32, next []int8) {
	_ = c[m*Int8Columns-1]
	filled := int8Filled(k)
	block := amxBytes(m)
	for k0 := 0; k0 < filled; k0 += block {
		from, ldfrom := &zeroSums[0], 0
		if k0 > 0 {
			from, ldfrom = &c[0], 4*Int8Columns
		}
		then := address(next, 0)
		if k0+block < filled {
			then = &b[(k0+block)*stripNR]
		}
		tilesAMX(int8OneAMX, int8TwoAMX, m, min(block, filled-k0)/int8K, &a[k0], lda, &b[k0*stripNR], strip, from, ldfrom, &c[0], 4*Int8Columns, then)
	}
}

var zeroSums [Int8Columns]int32

// amxPeak is a loop of products of tiles, k of them deep.
func amxPeak(f func(n int, seeds *float32, config *byte), k int) func(n int) int {
	return func(n int) int {
		n = (n + 1) / 2 // as long as a loop of 48 fused multiply-adds
		f(n, &peakSeeds[0], &tileConfigs[0][16][0])
		return n * 4 * 2 * 16 * 16 * k
	}
}

// tilesAMX calls the functions for two tiles of rows and for one, 32 rows at a time, then for what is left. Distances are in bytes.
func tilesAMX[I, O any](one, two func(steps int, a *I, lda int, b *I, strip int, from *O, ldfrom int, c *O, ldc, tiles int, config *byte, next *I),
	m, steps int, a *I, lda int, b *I, strip int, from *O, ldfrom int, c *O, ldc int, next *I) {
	pairs, rest := m/32, m%32
	if pairs > 0 {
		two(steps, a, lda, b, strip, from, ldfrom, c, ldc, pairs, &tileConfigs[0][16][0], next)
	}
	r := 32 * pairs
	if rest > 0 {
		a, from, c = forward(a, r*lda), forward(from, r*ldfrom), forward(c, r*ldc)
	}
	switch {
	case rest > 16:
		two(steps, a, lda, b, strip, from, ldfrom, c, ldc, 1, &tileConfigs[0][rest-16][0], next)
	case rest > 0:
		one(steps, a, lda, b, strip, from, ldfrom, c, ldc, 1, &tileConfigs[1][rest][0], next)
	}
}

// forward is p so many bytes on, in the same array.
func forward[T any](p *T, bytes int) *T { return (*T)(unsafe.Add(unsafe.Pointer(p), bytes)) }
