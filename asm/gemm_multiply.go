package asm

import "github.com/marge-go/marge/internal/ceil"

// gemmSlab is columns n0 to n1 and blocks kb0 to kb1 of B.
type gemmSlab struct{ n0, n1, kb0, kb1 int }

// gemmStep is one step of multiplySlab: rows i0 to i1 of C, block kb of the
// products.
type gemmStep struct {
	gemmSlab
	kept         bool // whether all panels of the slab have their places in the buffer
	i0, i1, kb   int
	packB        bool      // the panels of B were not packed by a step before
	nextA, nextB []float32 // what the next step packs or multiplies first, or nil
}

// multiply computes rows r0 to r1 and columns n0 to n1 of C.
func (t *gemmTask) multiply(w *gemmWork, p gemmProblem, r0, r1, n0, n1 int) {
	if r0 >= r1 || n0 >= n1 {
		return
	}
	if !t.slabs(r1 - r0) {
		t.multiplySlab(w, p, r0, r1, gemmSlab{n0, n1, 0, t.kblocks})
		return
	}
	for n := n0; n < n1; n += t.slabCols {
		for kb := 0; kb < t.kblocks; kb += t.slabBlocks {
			t.multiplySlab(w, p, r0, r1, gemmSlab{n, min(n+t.slabCols, n1), kb, min(kb+t.slabBlocks, t.kblocks)})
		}
	}
}

// multiplySlab multiplies rows r0 to r1 of A with a slab.
func (t *gemmTask) multiplySlab(w *gemmWork, p gemmProblem, r0, r1 int, slab gemmSlab) {
	mr, rowBlocks := t.mr, ceil.Div(r1-r0, t.rows)
	kept := t.slabs(r1 - r0)
	for rb := range rowBlocks {
		from, to := span(ceil.Div(r1-r0, mr), rowBlocks, rb)
		for kb := slab.kb0; kb < slab.kb1; kb++ {
			s := gemmStep{gemmSlab: slab, kept: kept, i0: r0 + from*mr, i1: min(r0+to*mr, r1), kb: kb, packB: !kept || rb == 0}
			switch {
			case kb+1 < slab.kb1:
				k, _ := t.block(kb + 1)
				s.nextA = t.atA(p.a, s.i0, k)
				if s.packB {
					s.nextB = t.atB(p.b, k, s.n0)
				}
			case rb+1 < rowBlocks:
				k, _ := t.block(slab.kb0)
				s.nextA = t.atA(p.a, s.i1, k)
			}
			t.multiplyRows(w, p, &s)
		}
	}
}

// atA returns A, starting at row i of op(A) and product k.
func (t *gemmTask) atA(a []float32, i, k int) []float32 {
	k *= t.each
	if t.TransA {
		return a[k*t.LDA+i:]
	}
	return a[i*t.LDA+k:]
}

// atB returns B, starting at product k and column j of op(B).
func (t *gemmTask) atB(b []float32, k, j int) []float32 {
	k *= t.each
	if t.TransB {
		return b[j*t.LDB+k:]
	}
	return b[k*t.LDB+j:]
}

// multiplyRows carries out a step of at most t.rows rows. While it multiplies a
// tile of A it prefetches the next one, and at the end the next rows of B. If A is
// packed, it packs first, tiles of bfloat16 values one by one.
func (t *gemmTask) multiplyRows(w *gemmWork, p gemmProblem, s *gemmStep) {
	kern, i0, n1 := t.kern, s.i0, s.n1
	k0, k1 := t.block(s.kb)
	depth, last := k1-k0, s.kb == t.kblocks-1
	tiles := ceil.Div(s.i1-i0, t.mr)
	sums := p.sums()
	if t.packA && !t.BF16 {
		t.packTiles(w.a, p.a, i0, s.i1, k0, k1)
	}
	beta := t.Beta
	if s.kb > 0 {
		beta = 1
	} else if beta == 0 {
		beta = 0 // and not -0
	}
	for g0 := s.n0; g0 < n1; g0 += kern.group * kern.nr {
		g1 := min(g0+kern.group*kern.nr, n1)
		panels, nextB := w.b, s.nextB
		if s.kept {
			panels = w.b[t.place(s, k0, k1, g0):]
		}
		if s.packB {
			t.packGroup(w, panels, p.b, k0, k1, g0, g1)
			if g1 < n1 {
				nextB = t.atB(p.b, k0, g1)
			}
		}
		for tile := range tiles {
			from, to := t.tile(s.i1-i0, tile)
			if t.BF16 && g0 == s.n0 {
				t.packTileBF16(w.a[from*depth:], p.a, i0+from, i0+to, k0, k1)
			}
			var a []float32
			ars, acs := t.LDA, 1
			switch {
			case t.BF16 && !t.TransA:
				a, ars = w.a[from*depth:], depth
			case t.packA:
				a, ars, acs = w.a[from*depth:], 1, to-from
			default:
				a = t.atA(p.a, i0+from, k0)
				if t.TransA {
					ars, acs = acs, ars
				}
			}
			nextA, packed, byTile := s.nextA, t.BF16 && g1 < n1, t.BF16 || !t.packA
			if tile+1 < tiles {
				nextA, packed = t.atA(p.a, i0+to, k0), t.BF16 && g0 > s.n0
			}
			if packed {
				nextA = nil
			}
			var fetch gemmFetch
			width, values := ceil.Div(g1-g0, kern.nr), depth*t.each
			switch strip := tile - max(tiles-gemmStrip, 0); {
			case nextB != nil && strip >= 0:
				fetch = fetchStrip(nextB, t.LDB, t.TransB, strip, kern.group*kern.nr, width, values)
			case !t.TransA:
				fetch = fetchStrip(nextA, t.LDA, true, 0, t.mr, width, values)
			case byTile && len(nextA) >= t.mr: // the line of the last value of a tile
				fetch = fetchStrip(nextA[t.mr-1:], t.LDA, false, 0, t.mr, width, values)
			case !byTile && g1 == n1 && (s.i1-i0)*depth <= gemmFetched:
				fetch = fetchStrip(s.nextA, t.LDA, false, tile, s.i1-i0, width, values)
			}
			for j, end := g0, g1; j < g1; j, end = end, g1 {
				b, brs, bps := panels[(j-g0)*depth:], kern.nr, kern.nr*depth
				if whole := g1 - (g1-j)%kern.nr; !t.packB && j < whole {
					b, brs, bps, end = p.b[k0*t.LDB+j:], t.LDB, kern.nr, whole
				}
				var bias []float32
				if last && t.Bias != nil {
					bias = t.Bias[j:end]
				}
				kern.tile[to-from](sums[(i0+from)*t.LDC+j:], t.LDC, a, ars, acs,
					b, brs, bps, depth, bias, t.Alpha, beta, end-j, fetch)
			}
			if last && t.Activation != NoActivation {
				t.activate(p, i0+from, i0+to, g0, g1)
			}
		}
	}
}

// tile returns the bounds of a tile of n rows. Tiles have mr rows, except the last
// two, which share the remaining rows evenly.
func (t *gemmTask) tile(n, tile int) (from, to int) {
	whole := max(ceil.Div(n, t.mr)-2, 0)
	if tile < whole {
		return tile * t.mr, (tile + 1) * t.mr
	}
	from, to = span(n-whole*t.mr, min(ceil.Div(n, t.mr), 2), tile-whole)
	return whole*t.mr + from, whole*t.mr + to
}

// gemmFetch tells a kernel what to prefetch into the second-level cache: after
// every 12 products, or 8 pairs of bfloat16 values, the cache lines of two values,
// first at and at+pair, then those slot further, and so on. For the next tile of the
// row it starts at at+panel. A nil at means nothing.
type gemmFetch struct {
	at                *float32
	pair, slot, panel int
}

// gemmStrip is the number of values in a cache line, and the number of strips
// of fetchStrip in a group of panels of 256 columns.
const gemmStrip = 16

// fetchStrip returns the prefetch plan of a row of tiles: a strip of x, of which
// the next step uses width rows (byRow) or columns, for depth products. A strip is
// two rows for every tile, or a cache line of columns. Beyond the width it is empty.
func fetchStrip(x []float32, ld int, byRow bool, strip, width, tiles, depth int) gemmFetch {
	first, at := strip*gemmStrip, strip*gemmStrip
	fetch := gemmFetch{pair: ld, slot: 2 * ld, panel: ceil.Div(depth, 2*tiles) * 2 * ld}
	if byRow {
		first, at = strip*2*tiles, strip*2*tiles*ld
		fetch = gemmFetch{pair: tiles * ld, slot: gemmStrip, panel: ld}
	}
	if first >= width || at >= len(x) {
		return gemmFetch{}
	}
	fetch.at = &x[at]
	return fetch
}
