package kernel

import "github.com/klauspost/cpuid/v2"

// twinTile computes tiles of a fixed height by the rule Tile.
type twinTile func(blocks int, a *float32, lda int, b, from *float32, ldfrom int, c *float32, ldc, tiles int, even *float32)

var twinsAVX2 = []twinTile{nil, bf16Twin1AVX2, bf16Twin2AVX2, bf16Twin3AVX2, bf16Twin4AVX2, bf16Twin5AVX2, bf16Twin6AVX2}

var twinsAVX512 = []twinTile{nil, bf16Twin1AVX512, bf16Twin2AVX512, bf16Twin3AVX512, bf16Twin4AVX512, bf16Twin5AVX512, bf16Twin6AVX512, bf16Twin7AVX512,
	bf16Twin8AVX512, bf16Twin9AVX512, bf16Twin10AVX512, bf16Twin11AVX512, bf16Twin12AVX512, bf16Twin13AVX512, bf16Twin14AVX512}

var dotsAVX512 = []func(pairs int, a *float32, lda int, b *float32, strip int, from *float32, ldfrom int, c *float32, ldc, tiles int){nil,
	bf16Dot1AVX512, bf16Dot2AVX512, bf16Dot3AVX512, bf16Dot4AVX512, bf16Dot5AVX512, bf16Dot6AVX512, bf16Dot7AVX512,
	bf16Dot8AVX512, bf16Dot9AVX512, bf16Dot10AVX512, bf16Dot11AVX512, bf16Dot12AVX512, bf16Dot13AVX512, bf16Dot14AVX512}

// addBF16 gives the sets their bf16 parts: twins of fused multiply-adds, and where this CPU has the instructions and they are faster, those. On the
// Xeons that have VDPBF16PS it does half of what fused multiply-adds do, on Zen 4 and 5 twice as much.
//
// The twins, AMX and VDPBF16PS ran, and gave the plain Go bits, on a Xeon with all of them in November 2026.
func addBF16() {
	has := cpuid.CPU.Supports(cpuid.AVX512BF16)
	for _, s := range sets {
		if s.Name == "generic" {
			continue
		}
		s.rules = twinRules(s.NR)
		if s.NR == pairColumns && has {
			s.rules[Dot-1].instruction = true
			if cpuid.CPU.VendorID == cpuid.AMD {
				s.rules[Dot-1] = dotRule
			}
		}
		if s.Name == "amx" && has && cpuid.CPU.Supports(cpuid.AMXBF16) {
			s.rules[Tile-1] = amxRule
		}
	}
}

// twinRules are the rules by fused multiply-adds: for panels of 32 columns AVX-512's, of 16 AVX2's.
func twinRules(nr int) [2]bf16Set {
	round, swap, twins := roundBF16AVX512, roundSwapBF16AVX512, twinsAVX512
	if nr == stripNR {
		round, swap, twins = roundBF16AVX2, roundSwapBF16AVX2, twinsAVX2
	}
	wrap := func(f func(dst, src *float32, n int)) func(dst, x []float32) {
		return func(dst, x []float32) {
			_ = dst[(len(x)+15)&^15-1]
			f(&dst[0], &x[0], len(x))
		}
	}
	product := func(m, k int, a []float32, lda int, b []float32, _ int, from []float32, ldfrom int, c []float32, ldc int, _ []float32, w *bf16Scratch) {
		most := len(twins) - 1
		even := &grown(&w.even, most*nr)[0]
		eachTile(m, most, maxTileFlops/(2*k*nr), func(r, n, height int) {
			twins[height](k/tileBlock, &a[r*lda], 4*lda, &b[0], &from[r*ldfrom], 4*ldfrom, &c[r*ldc], 4*ldc, n, even)
		})
	}
	return [2]bf16Set{{rule: Tile, round: wrap(round), product: product}, {rule: Dot, round: wrap(swap)}}
}

// narrowRow rounds by VCVTNEPS2BF16.
func narrowRow(dst, x []float32) {
	_ = dst[(len(x)+15)&^15/2-1]
	narrowAVX512(&dst[0], &x[0], len(x))
}

func narrowPairs(dst []float32, strip int, src []float32, ld, pairs int) {
	_, _ = dst[strip+pairs*stripNR-1], src[(2*pairs-1)*ld+pairColumns-1]
	narrowPairsAVX512(&dst[0], 4*strip, &src[0], 4*ld, pairs)
}

// dotRule is Dot by VDPBF16PS.
var dotRule = bf16Set{rule: Dot, pairs: true, instruction: true, round: narrowRow, packPairs: narrowPairs,
	peak: func(n int) int {
		peakDotAVX512(n, &peakSeeds[0])
		return n * 2 * 48 * 32
	},
	product: func(m, k int, a []float32, lda int, b []float32, strip int, from []float32, ldfrom int, c []float32, ldc int, _ []float32, _ *bf16Scratch) {
		eachTile(m, len(dotsAVX512)-1, maxTileFlops/(2*k*pairColumns), func(r, n, height int) {
			dotsAVX512[height](k/2, &a[r*lda], 4*lda, &b[0], 4*strip, &from[r*ldfrom], 4*ldfrom, &c[r*ldc], 4*ldc, n)
		})
	}}

// amxRule is Tile by TDPBF16PS.
var amxRule = bf16Set{rule: Tile, pairs: true, instruction: true, round: narrowRow, packPairs: narrowPairs,
	peak: amxPeak(peakBF16AMX, tileBlock),
	product: func(m, k int, a []float32, lda int, b []float32, strip int, from []float32, ldfrom int, c []float32, ldc int, next []float32, _ *bf16Scratch) {
		tilesAMX(bf16OneAMX, bf16TwoAMX, m, k/tileBlock, &a[0], 4*lda, &b[0], 4*strip, &from[0], 4*ldfrom, &c[0], 4*ldc, &next[0])
	}}
