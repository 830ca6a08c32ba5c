package asm

import "github.com/marge-go/marge/internal/ceil"

// A^T is multiplied in place for up to gemmDirectCols panels of columns, and B for
// up to gemmDirectRows tiles of rows. Packing pays for operands that are used more.
const (
	gemmDirectCols = 16
	gemmDirectRows = 2
	// gemmLargeA is the number of values of the smallest transposed A to be packed.
	gemmLargeA = 1 << 20
)

// B is multiplied in place if it has at most gemmSmallB values, or twice as many
// in rows at most gemmNearRows values apart. With gemmManyRows rows of A or more,
// the rows of B may be only half as far apart.
const (
	gemmSmallB   = 1 << 18
	gemmNearRows = 512
	gemmManyRows = 1 << 9
)

// A^T is packed gemmRows rows at a time. With gemmManyTiles tiles of rows or more,
// it is as many rows as take 3/8 of the second-level cache, beside a group of
// panels of B: with fewer rows, the contiguous pieces of A^T are short.
const (
	gemmRows      = 4096
	gemmManyTiles = 96
)

// gemmFetched is the largest number of values of A^T that are prefetched before
// packing: half of a second-level cache.
const gemmFetched = 1 << 17

// gemmPartWork is the smallest number of multiplications worth a thread.
const gemmPartWork = 1 << 18

// plan decides how t is blocked and divided. It does not affect the order of
// additions, which depends on K and the kernels only.
func (t *gemmTask) plan(threads int) {
	t.kern, t.each = gemmKernelsOf(isa), 1
	if t.BF16 {
		t.kern = bf16Kernels()
		t.values, t.K, t.each = t.K, ceil.Div(t.K, 2), 2
	}
	k := t.kern
	t.kblocks = ceil.Div(t.K, k.kc)
	kc := t.depth()
	t.thin, t.mr, t.packA, t.packB = false, k.mr, true, true
	if !t.BF16 {
		t.planFloat32()
	}

	work := t.M * t.N * t.K
	if t.thin { // reading B takes as long as multiplying it by some rows
		work = max(t.M, gemmThinRows) * t.N * t.K
	}
	t.parts = max(min(threads, work*t.Batch/gemmPartWork), 1)
	t.perPart = t.Batch > 1 && (t.Batch >= 2*t.parts || t.Batch%t.parts == 0)
	t.pm, t.pn = 1, 1
	if t.thin {
		t.planThin()
		return
	}
	if t.small = t.isSmall(); t.small {
		t.planSmall()
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
		packedA = ceil.Div(t.rows, t.mr) * t.mr * kc
	}
	if t.slabs(ceil.Div(t.M, t.pm)) {
		// Half of the third-level cache for the slabs, but no more than an eighth for one.
		panels := ceil.Div(ceil.Div(t.N, k.nr), t.pn)
		budget := max(gemmL3()/max(8, 2*t.parts)/4/(kc*k.nr), 1) // panels of one block
		t.slabBlocks = min(t.kblocks, max(budget/min(panels, 64), 1))
		t.slabCols = min(max(budget/t.slabBlocks, 1), panels) * k.nr
		packedB = max(packedB, t.slabCols*t.slabBlocks*kc)
	}
	t.buffers(packedA, packedB)
}

// planFloat32 decides which operands are packed, and whether there are few products.
func (t *gemmTask) planFloat32() {
	t.thin = t.TransB && (t.Rowwise || t.M <= gemmThinRows && t.K >= t.M*gemmThinDepth)
	if !t.TransA && t.LDA%1024 == 0 {
		// The kernel reads the rows of a tile side by side. They map to the same
		// sets of the cache as those of B and C, and evict each other if there are
		// more than the ways of a set. Otherwise a quarter of the speed is lost at
		// some addresses.
		t.mr = min(t.mr, gemmWays()*3/4)
	}
	t.packA = t.packsA()
	t.packB = t.TransB || t.M > gemmDirectRows*t.mr && !t.nearB()
}

// slabs reports whether a part with the given number of rows packs slabs of B.
func (t *gemmTask) slabs(rows int) bool { return t.packB && rows > t.rows }

// packsA reports whether A is packed. That pays only for A^T, where the products of
// a tile are LDA apart.
func (t *gemmTask) packsA() bool {
	switch {
	case !t.TransA:
		return false
	case t.N > gemmDirectCols*t.kern.nr:
		return true
	case t.M <= t.mr:
		return false
	case t.N <= 2*t.kern.nr:
		// The next tile is not prefetched in time where its products map to a few
		// sets of the cache.
		return t.K >= 256 && t.LDA%512 == 0
	}
	if t.M*t.K >= gemmLargeA {
		return true
	}
	// Narrow tiles use a part of each cache line. The lines are evicted before the
	// next tile uses the rest if they map to the same sets of the first-level cache,
	// or fill it together with a panel of B.
	narrow := t.mr <= 8
	full := t.N > gemmDirectCols/2*t.kern.nr && t.depth()*(64+4*t.kern.nr) >= 4096*gemmWays()
	return narrow && (t.LDA%512 == 0 || full)
}

// nearB reports whether B is multiplied as fast in place as packed: the processor
// prefetches its rows in time, or B stays in the second-level cache. Rows a multiple
// of 4 KiB apart evict each other from the first-level cache; rows 2 KiB apart cost
// 8% with 2,048 rows of A.
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
		if t.BF16 && t.TransB {
			grow(&t.work[i].rows, t.kern.nr*t.depth()+gemmSlack)
		}
	}
}

// cut returns pm and pn with pm*pn = parts that minimise the work of the slowest
// part. A row of a panel costs 1 unit, a row of A about 0.3, packing a panel of B
// about 5, and reading it 1.
func (t *gemmTask) cut(parts int) (pm, pn int) {
	best, panel := -1, 10
	if t.packB {
		panel = 50
	}
	for m := 1; m <= parts; m++ {
		if parts%m != 0 {
			continue
		}
		rows := ceil.Div(t.M, m)
		panels := ceil.Div(ceil.Div(t.N, t.kern.nr), parts/m)
		if cost := 10*rows*panels + 3*rows + panel*panels; best < 0 || cost < best {
			best, pm, pn = cost, m, parts/m
		}
	}
	return pm, pn
}
