package gradcheck

import (
	"math"
	"sort"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// attention is what Attention and its backward pass have in common.
type attention struct {
	o             *tensor.AttentionOptions
	q, k, v, bias *matrix
	width         int // of a head
	group         int // heads of q for each of k and v
}

func newAttention(q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) *attention {
	return &attention{o, matrixOf(q), matrixOf(k), matrixOf(v), matrixOf(bias), q.Dim(1) / o.Heads, q.Dim(1) / k.Dim(1)}
}

// head returns the part of a row of head h.
func (a *attention) head(row []float64, h int) []float64 { return row[h*a.width : (h+1)*a.width] }

// segment returns the segment that row i belongs to.
func segment(offsets []int32, i int) int {
	return sort.Search(len(offsets)-1, func(s int) bool { return int(offsets[s+1]) > i })
}

// keys returns the rows of the keys that query i attends to.
func (a *attention) keys(i int) (lo, hi int) {
	if a.bias != nil {
		return 0, a.k.rows
	}
	s := segment(a.o.QOffsets, i)
	lo, hi = int(a.o.KOffsets[s]), int(a.o.KOffsets[s+1])
	if a.o.KLengths != nil {
		hi = lo + int(a.o.KLengths[s])
	}
	if a.o.Causal {
		hi -= int(a.o.QOffsets[s+1]) - 1 - i
	}
	if a.o.Window > 0 {
		lo = max(lo, hi-a.o.Window)
	}
	return lo, hi
}

// biasAt returns the place of the bias of query i and key j.
func (a *attention) biasAt(i, j int) (row, col int) {
	return segment(a.o.QOffsets, i), segment(a.o.KOffsets, j)
}

// scores returns the scores of query i and the keys lo:hi.
func (a *attention) scores(h, i, lo, hi int) []float64 {
	scores := make([]float64, hi-lo)
	for j := range scores {
		scores[j] = float64(a.o.Scale) * dot(a.head(a.q.row(i), h), a.head(a.k.row(lo+j), h/a.group))
		if a.bias != nil {
			row, col := a.biasAt(i, lo+j)
			scores[j] += a.bias.row(row)[col]
		}
	}
	return scores
}

// mask returns what dropout multiplies the weights of query i and the keys lo:hi by.
func (a *attention) mask(h, i, lo, hi int) []float64 {
	n := hi - lo
	if a.o.Dropout == 0 {
		ones := make([]float64, n)
		for j := range ones {
			ones[j] = 1
		}
		return ones
	}
	if a.bias == nil { // keys count from the beginning of the segment
		lo -= int(a.o.KOffsets[segment(a.o.QOffsets, i)])
	}
	counter := a.o.Stream*dropoutStream + uint64(h*a.q.rows+i)*uint64(a.k.rows) + uint64(lo)
	return reference.DropoutMask(n, a.o.Dropout, a.o.Seed, counter)
}

func logSumExp(x []float64) float64 {
	greatest := math.Inf(-1)
	for _, v := range x {
		greatest = max(greatest, v)
	}
	if math.IsInf(greatest, -1) {
		return greatest
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - greatest)
	}
	return greatest + math.Log(sum)
}

func (backend) Attention(out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) {
	a := newAttention(q, k, v, bias, o)
	y, sums := matrixOf(out), values(lse)
	y.clear(false)
	for h := range o.Heads {
		for i := range a.q.rows {
			lo, hi := a.keys(i)
			scores, m := a.scores(h, i, lo, hi), a.mask(h, i, lo, hi)
			sum := logSumExp(scores)
			sums[h*a.q.rows+i] = sum
			if math.IsInf(sum, -1) {
				continue
			}
			for j, s := range scores {
				add(a.head(y.row(i), h), m[j]*math.Exp(s-sum), a.head(a.v.row(lo+j), h/a.group))
			}
		}
	}
}

func (backend) AttentionBackward(
	dq, dk, dv, dbias, dout, _, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions, accumulate [4]bool,
) {
	a := newAttention(q, k, v, bias, o)
	dy, sums := matrixOf(dout), values(lse)
	gq, gk, gv, gbias := matrixOf(dq), matrixOf(dk), matrixOf(dv), matrixOf(dbias)
	for i, m := range []*matrix{gq, gk, gv, gbias} {
		m.clear(accumulate[i])
	}
	for h := range o.Heads {
		for i := range a.q.rows {
			lo, hi := a.keys(i)
			sum := sums[h*a.q.rows+i]
			if math.IsInf(sum, -1) {
				continue
			}
			weights, m, d := a.scores(h, i, lo, hi), a.mask(h, i, lo, hi), make([]float64, hi-lo)
			for j, s := range weights {
				weights[j] = math.Exp(s - sum)
				d[j] = m[j] * dot(a.head(dy.row(i), h), a.head(a.v.row(lo+j), h/a.group))
			}
			mean := dot(weights, d)
			for j, w := range weights {
				slope := w * (d[j] - mean) // the gradient by the score
				if gq != nil {
					add(a.head(gq.row(i), h), float64(o.Scale)*slope, a.head(a.k.row(lo+j), h/a.group))
				}
				if gk != nil {
					add(a.head(gk.row(lo+j), h/a.group), float64(o.Scale)*slope, a.head(a.q.row(i), h))
				}
				if gv != nil {
					add(a.head(gv.row(lo+j), h/a.group), m[j]*w, a.head(dy.row(i), h))
				}
				if gbias != nil {
					row, col := a.biasAt(i, lo+j)
					gbias.row(row)[col] += slope
				}
			}
		}
	}
}

func (backend) AttentionRows(out, mass, q, k, v *tensor.Tensor, o *tensor.AttentionRowsOptions) {
	y, sums, queries, keys, vals := matrixOf(out), matrixOf(mass), matrixOf(q), matrixOf(k), matrixOf(v)
	width, seen := queries.cols/o.Heads, 0
	y.clear(false)
	sums.clear(false)
	for i := range queries.rows {
		lo, hi := int(o.Seen[2*i]), int(o.Seen[2*i+1])
		rows := o.Rows[o.Offsets[lo]:o.Offsets[hi]]
		for h := range o.Heads {
			head := func(row []float64, h int) []float64 { return row[h*width : (h+1)*width] }
			kv := h / (o.Heads / o.KVHeads)
			scores := make([]float64, len(rows))
			for t, row := range rows {
				scores[t] = float64(o.Scale) * dot(head(queries.row(i), h), head(keys.row(int(row)), kv))
			}
			for s := lo; s < hi && o.Bias != nil; s++ {
				for t := o.Offsets[s]; t < o.Offsets[s+1]; t++ {
					scores[t-o.Offsets[lo]] += float64(o.Bias[s])
				}
			}
			sum := logSumExp(scores)
			if math.IsInf(sum, -1) {
				continue
			}
			for s := lo; s < hi; s++ {
				for t := o.Offsets[s] - o.Offsets[lo]; t < o.Offsets[s+1]-o.Offsets[lo]; t++ {
					p := math.Exp(scores[t] - sum)
					add(head(y.row(i), h), p, head(vals.row(int(rows[t])), kv))
					if sums != nil {
						sums.row(h)[seen+s-lo] += p
					}
				}
			}
		}
		seen += hi - lo
	}
}

func (backend) CrossEntropy(
	loss, nll, dhidden, dtable, hidden, table, targets, _ *tensor.Tensor, smoothing, scale float32,
) {
	h, w, losses, dh, dw := matrixOf(hidden), matrixOf(table), values(nll), matrixOf(dhidden), matrixOf(dtable)
	dh.clear(false)
	dw.clear(false)
	s, total := float64(smoothing), 0.0
	for i, target := range ids(targets) {
		logits, mean := make([]float64, w.rows), 0.0
		for j := range logits {
			logits[j] = dot(h.row(i), w.row(j))
			mean += logits[j] / float64(w.rows)
		}
		sum := logSumExp(logits)
		losses[i] = sum - (1-s)*logits[target] - s*mean
		total += losses[i]
		for j := range logits {
			slope := math.Exp(logits[j]-sum) - s/float64(w.rows)
			if j == int(target) {
				slope -= 1 - s
			}
			slope *= float64(scale)
			if dh != nil {
				add(dh.row(i), slope, w.row(j))
			}
			if dw != nil {
				add(dw.row(j), slope, h.row(i))
			}
		}
	}
	values(loss)[0] = total * float64(scale)
}
