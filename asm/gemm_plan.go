package asm

// Up to gemmDirectCols panels of columns, A^T is multiplied where it lies; up to
// gemmDirectRows tiles of rows, so is B. Packing pays where it is used more.
const (
	gemmDirectCols = 16
	gemmDirectRows = 2
	// gemmLargeA is the number of values from which on a transposed A is packed.
	gemmLargeA = 1 << 20
)

// B is multiplied where it lies if it has at most gemmSmallB values, or twice as
// many in rows at most gemmNearRows values apart; from gemmManyRows rows of A on
// only if its rows are at most half as far apart.
const (
	gemmSmallB   = 1 << 18
	gemmNearRows = 512
	gemmManyRows = 1 << 9
)

// A^T is packed gemmRows rows at a time. From gemmManyTiles tiles of rows on it is
// as many as take 3/8 of the second-level cache, where they stay beside a group
// of panels of B: of fewer rows the pieces of A^T that lie side by side are short.
const (
	gemmRows      = 4096
	gemmManyTiles = 96
)

// gemmFetched is the largest number of values of A^T that are fetched before
// they are packed: half of a second-level cache.
const gemmFetched = 1 << 17

// gemmPartWork is the number of multiplications that is worth a thread.
const gemmPartWork = 1 << 18

// plan decides how t is blocked and divided. Nothing here changes the order of
// additions: that depends on K and the kernels only.
func (t *gemmTask) plan(threads int) {
	t.kern = gemmKernelsOf(isa)
	k := t.kern
	t.kblocks = ceilDiv(t.K, k.kc)
	kc := t.depth()
	t.thin = t.TransB && t.M <= gemmThinRows && t.K >= t.M*gemmThinDepth
	t.mr = k.mr
	if !t.TransA && t.LDA%1024 == 0 {
		// The rows of a tile are read side by side and fall on the same cache
		// lines, beside those of B and C: more than there is room for push each
		// other out. With all but these, a quarter of the speed is lost at some
		// addresses.
		t.mr = min(k.mr, gemmWays()*3/4)
	}
	t.packA = t.packsA()
	t.packB = t.TransB || t.M > gemmDirectRows*t.mr && !t.nearB()

	work := t.M * t.N * t.K
	t.parts = max(min(threads, work*t.Batch/gemmPartWork), 1)
	t.perPart = t.Batch > 1 && (t.Batch >= 2*t.parts || t.Batch%t.parts == 0)
	t.pm, t.pn = 1, 1
	if t.thin {
		t.planThin()
		return
	}
	if !t.perPart {
		t.pm, t.pn = t.cut(t.parts)
	}
	t.rows = t.M
	if t.packA {
		t.rows = min(t.M, gemmRows)
		if t.Batch == 1 && t.M > gemmManyTiles*t.mr {
			t.rows = max(gemmL2()*3/8/4/k.kc/t.mr, 1) * t.mr
		}
	}
	packedA, packedB := 0, kc*k.nr*k.group
	if t.packA {
		packedA = ceilDiv(t.rows, t.mr) * t.mr * kc
	}
	if t.slabs(ceilDiv(t.M, t.pm)) {
		// Half of the third-level cache for the slabs, but no more than an eighth for one.
		panels := ceilDiv(ceilDiv(t.N, k.nr), t.pn)
		budget := max(gemmL3()/max(8, 2*t.parts)/4/(kc*k.nr), 1) // panels of one block
		t.slabBlocks = min(t.kblocks, max(budget/min(panels, 64), 1))
		t.slabCols = min(max(budget/t.slabBlocks, 1), panels) * k.nr
		packedB = max(packedB, t.slabCols*t.slabBlocks*kc)
	}
	t.buffers(packedA, packedB)
}

// slabs tells whether a part with that many rows packs slabs of B.
func (t *gemmTask) slabs(rows int) bool { return t.packB && rows > t.rows }

// packsA tells whether A is packed, which is worth it for A^T alone, where the
// products of a tile are LDA apart.
func (t *gemmTask) packsA() bool {
	switch {
	case !t.TransA:
		return false
	case t.N > gemmDirectCols*t.kern.nr:
		return true
	case t.M <= t.mr:
		return false
	case t.N <= 2*t.kern.nr:
		// The next tile does not come in time where its products fall on few
		// cache lines.
		return t.K >= 256 && t.LDA%512 == 0
	}
	if t.M*t.K >= gemmLargeA {
		return true
	}
	// Narrow tiles use a part of each line. They lose the rest before the next
	// tile comes to it where the lines fall on the same places of the first-level
	// cache, or fill it together with a panel of B.
	narrow := t.mr <= 8
	full := t.N > gemmDirectCols/2*t.kern.nr && t.depth()*(64+4*t.kern.nr) >= 4096*gemmWays()
	return narrow && (t.LDA%512 == 0 || full)
}

// nearB tells whether B is multiplied as fast where it lies as when it is packed:
// the processor fetches its rows in time, or it stays in the second-level cache.
// Rows a multiple of 4 KiB apart push each other out of the first; those 2 KiB
// apart lose 8% under 2,048 rows of A.
func (t *gemmTask) nearB() bool {
	size := t.K * t.LDB
	if t.LDB%1024 == 0 || t.M >= gemmManyRows && t.LDB > gemmNearRows/2 {
		return false
	}
	return size <= gemmSmallB || size <= 2*gemmSmallB && t.LDB <= gemmNearRows
}

// buffers gives every part pack buffers for a values of A and b values of B.
func (t *gemmTask) buffers(a, b int) {
	for len(t.work) < t.parts {
		t.work = append(t.work, gemmWork{})
	}
	for i := range t.work[:t.parts] {
		grow(&t.work[i].a, a+gemmSlack)
		grow(&t.work[i].b, b+gemmSlack)
	}
}

// cut returns pm*pn = parts such that the slowest part has the least to do:
// a row of a panel costs one unit, a row of A about 0.3, packing a panel of B
// about 5, reading it 1.
func (t *gemmTask) cut(parts int) (pm, pn int) {
	best, panel := -1, 10
	if t.packB {
		panel = 50
	}
	for m := 1; m <= parts; m++ {
		if parts%m != 0 {
			continue
		}
		rows := ceilDiv(t.M, m)
		panels := ceilDiv(ceilDiv(t.N, t.kern.nr), parts/m)
		if cost := 10*rows*panels + 3*rows + panel*panels; best < 0 || cost < best {
			best, pm, pn = cost, m, parts/m
		}
	}
	return pm, pn
}
