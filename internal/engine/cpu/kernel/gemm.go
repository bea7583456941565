package kernel

// kcBlock is how much of k one pass over a panel takes: 768 rows of an AVX-512 panel are 96 KB and stay in L2 with the rows of A
// that they meet. The chain goes on from C, so that the cut changes no bits.
const kcBlock = 768

// maxTileFlops bounds the work of one call into assembly, which cannot be preempted: some 100 us.
const maxTileFlops = 20_000_000

// PanelsLen is the length of Data for B[K,N].
func (s *Set) PanelsLen(K, N int) int {
	if f := s.bf16; f != nil {
		K = f.words(f.filled(K))
	}
	return (N + s.NR - 1) / s.NR * s.NR * K
}

// PackRows packs panels p0 to p1 of B from src[K][N], rows ld apart.
func (s *Set) PackRows(b *Panels, src []float32, ld, p0, p1 int) {
	if b.K == 0 {
		return
	}
	if s.bf16 != nil {
		s.packRowsBF16(b, src, ld, p0, p1)
		return
	}
	for p := p0; p < p1; p++ {
		n := p * s.NR
		dst := b.Data[n*b.K : (n+s.NR)*b.K]
		if n+s.NR <= b.N {
			s.packRows(dst, src[n:], ld, b.K)
			continue
		}
		for k := range b.K {
			row := dst[k*s.NR : (k+1)*s.NR]
			clear(row[copy(row, src[k*ld+n:k*ld+b.N]):])
		}
	}
}

// PackCols packs panels p0 to p1 of B from its transpose src[N][K], rows ld apart.
func (s *Set) PackCols(b *Panels, src []float32, ld, p0, p1 int) {
	if b.K == 0 {
		return
	}
	if s.bf16 != nil {
		s.packColsBF16(b, src, ld, p0, p1)
		return
	}
	for p := p0; p < p1; p++ {
		n := p * s.NR
		dst := b.Data[n*b.K : (n+s.NR)*b.K]
		cols := min(s.NR, b.N-n)
		if cols < s.NR {
			clear(dst)
		}
		s.Transpose(dst, s.NR, src[n*ld:], ld, cols, b.K)
	}
}

// Transpose: dst[c][r] = src[r][c].
func (s *Set) Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	if rows > 0 && cols > 0 {
		s.transpose(dst, ldd, src, lds, rows, cols)
	}
}

// Gemm computes columns p0*NR to min(N, p1*NR) of C[m,N] = init + A[m,K] B. Each element is one chain of fused multiply-adds over
// ascending k from +0, from bias[n] or from C, or goes by the rule of bf16 that the set is for. Nothing outside these columns is written.
func (s *Set) Gemm(m int, a []float32, lda int, b *Panels, p0, p1 int, c []float32, ldc int, bias []float32, init Init) {
	if m == 0 || p0 >= p1 {
		return
	}
	if b.K == 0 {
		s.gemmEmpty(m, b, p0, p1, c, ldc, bias, init)
		return
	}
	_ = a[(m-1)*lda+b.K-1]
	_ = c[(m-1)*ldc+min(b.N, p1*s.NR)-1]
	if s.bf16 != nil {
		s.gemmBF16(m, a, lda, b, p0, p1, c, ldc, bias, init)
	} else {
		s.gemm(m, a, lda, b, p0, p1, c, ldc, bias, init, 0, nil, nil)
	}
}

// GemmAhead is [Set.Gemm] in fp32 over all of B, which is not empty, from +0, for A in memory that is slow and B in a cache: meanwhile it brings
// memory closer from ahead on, a line of 16 values for every 4 values of k of each tile.
func (s *Set) GemmAhead(m int, a []float32, lda int, b *Panels, c []float32, ldc int, ahead []float32) {
	if m == 0 {
		return
	}
	_ = a[(m-1)*lda+b.K-1]
	_ = c[(m-1)*ldc+b.N-1]
	s.gemm(m, a, lda, b, 0, (b.N+s.NR-1)/s.NR, c, ldc, nil, Zero, 0, ahead, nil)
}

// flush is added to an Init that a tile starts from: subnormal numbers are zeros.
const flush Init = 4

// gemm is Gemm by fused multiply-adds, and GemmAhead. What a has for a block along k is rounded where round is not nil.
func (s *Set) gemm(m int, a []float32, lda int, b *Panels, p0, p1 int, c []float32, ldc int, bias []float32, init, mode Init, ahead []float32, round *rounding) {
	blocks := (b.K + kcBlock - 1) / kcBlock
	for i := range blocks {
		k0, k1 := b.K*i/blocks&^3, b.K*(i+1)/blocks&^3
		if i == blocks-1 {
			k1 = b.K
		}
		start := init
		if k0 > 0 {
			start = Accumulate
		}
		left, ld := a[k0:], lda
		if round != nil {
			left, ld = round.block(m, a, lda, k0, k1)
		}
		for p := p0; p < p1; p++ {
			n := p * s.NR
			cols := min(s.NR, b.N-n)
			var bp *float32
			if start == Bias {
				bp = &bias[n : n+cols][0]
				if cols < s.NR {
					bp = &append(make([]float32, 0, s.NR), bias[n:n+cols]...)[:s.NR][0]
				}
			}
			panel := b.Data[n*b.K+k0*s.NR : n*b.K+k1*s.NR]
			next, nextC := panel, c[p0*s.NR:]
			if p+1 < p1 {
				next, nextC = b.Data[(n+s.NR)*b.K+k0*s.NR:], c[n+s.NR:]
			}
			fetch := s.NR / 4 // tiles whose rounds take the next panel's lines: one line of 16 values for 4 rows of a panel
			if len(ahead) > 0 {
				next, fetch = ahead, m
			}
			tiles := s.rows(m, left, ld, panel, k1-k0, c[n:], ldc, cols, bp, start|mode, next, fetch, nextC)
			ahead = ahead[min(len(ahead), tiles*(k1-k0)*4):]
		}
	}
}

// rows runs the tiles of one panel over m rows. Tiles are of nearly equal height: 128 rows are 8 tiles of 13 and 2 of 12 rather than
// 9 of 14 and one of 2, which could not hide the latency of its FMAs. The rounds of the first fetch tiles bring next closer. It gives the
// number of tiles.
func (s *Set) rows(m int, a []float32, lda int, panel []float32, kc int, c []float32, ldc, cols int, bias *float32, init Init,
	next []float32, fetch int, nextC []float32) int {
	mr := s.MR
	if cols <= s.NR/2 {
		mr = s.halfMR
	}
	tiles := (m + mr - 1) / mr
	height, high := m/tiles, m%tiles // the first tiles have a row more
	perCall := max(1, maxTileFlops/(2*kc*s.NR*(height+1)))
	r := 0
	for t := 0; t < tiles; {
		h, n := height, tiles-t
		if t < high {
			h, n = height+1, high-t
		}
		n = min(n, perCall)
		near := &panel[0]
		if t < fetch {
			n = min(n, fetch-t)
			near = &next[min(len(next)-1, t*kc*4)]
		}
		after := &nextC[0]
		if t+n < tiles {
			after = &c[(r+h*n)*ldc]
		}
		s.tile(kc, &a[r*lda], 4*lda, &panel[0], &c[r*ldc], 4*ldc, n, h, cols, bias, int(init), near, after)
		r += h * n
		t += n
	}
	return tiles
}

// gemmEmpty is a product over no k at all: the start alone.
func (s *Set) gemmEmpty(m int, b *Panels, p0, p1 int, c []float32, ldc int, bias []float32, init Init) {
	n0, n1 := p0*s.NR, min(b.N, p1*s.NR)
	for r := range m {
		row := c[r*ldc+n0 : r*ldc+n1]
		switch init {
		case Zero:
			clear(row)
		case Bias:
			copy(row, bias[n0:n1])
		}
	}
}
