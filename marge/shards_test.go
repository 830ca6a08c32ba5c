package marge

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor/dry"
)

// Every element belongs to one part, the parts of all that is exchanged at a time are
// equal but for a block, and what is packed comes out as it was.
func TestShards(t *testing.T) {
	b := dry.New()
	rng := rand.New(rand.NewPCG(1, 2))
	const bucketValues = 12 * blockValues
	for _, parts := range []int{1, 2, 3, 8} {
		var params []nn.Parameter
		for _, n := range []int{
			0, 1, blockValues - 1, blockValues, blockValues + 1, 5, 20 * blockValues, 9, 15*blockValues + 3,
		} {
			params = append(params, nn.Parameter{Tensor: nn.NewParameter(b, n)})
		}
		owned := make([]int, len(params))
		for own := range parts {
			s := newShards(params, parts, own)
			values := make([][]float32, len(params))
			parted := make([][]float32, len(params)) // those of this part, put together from buckets
			for i, p := range params {
				owned[i] += s.length(i)
				parted[i] = make([]float32, s.length(i))
				for range p.Len() {
					values[i] = append(values[i], rng.Float32())
				}
			}
			seen := 0
			order := rng.Perm(len(params))
			for _, bk := range s.divide(order, bucketValues) {
				if bk.size() > bucketValues {
					t.Errorf("a bucket of %d values", bk.size())
				}
				if len(bk.runs) == 1 && bk.size() == bucketValues {
					for part, end := range bk.ends {
						if want := bucketValues / parts; end < (part+1)*want-blockValues*parts || end > (part+1)*want+blockValues*parts {
							t.Errorf("%d parts: part %d of %d values ends at %d", parts, part, bk.size(), end)
						}
					}
				}
				seen += bk.size()
				var from, to [][]float32
				for _, r := range bk.runs {
					lo, hi := s.span(r.param, r.first, r.end)
					from, to = append(from, values[r.param][lo:hi]), append(to, make([]float32, hi-lo))
				}
				x := make([]float32, bk.size())
				s.pack(&bk, x, from)
				s.unpack(&bk, x, to)
				for i := range from {
					if !slices.Equal(from[i], to[i]) {
						t.Errorf("%d parts: parameter %d comes out otherwise", parts, bk.runs[i].param)
					}
				}
				s.pieces(&bk, own, func(run, block, at, n int) {
					param := bk.runs[run].param
					copy(parted[param][s.offset(param, block):][:n], x[at:])
				})
				to[0] = nil
				s.pack(&bk, x, to)
				sum := float32(0)
				s.move(&bk, func(run, at, lo, hi int) {
					for _, v := range x[at : at+hi-lo] {
						if run == 0 {
							sum += v
						}
					}
				})
				if sum != 0 {
					t.Error("what is nil is not packed as zeros")
				}
			}
			all := 0
			for i, p := range params {
				all += p.Len()
				at := 0
				for block := s.first[i]; block < s.first[i+1]; block++ {
					if block%parts != own {
						continue
					}
					lo, hi := s.span(i, block, block+1)
					if !slices.Equal(parted[i][at:at+hi-lo], values[i][lo:hi]) {
						t.Errorf("%d parts: block %d of parameter %d is elsewhere in part %d", parts, block, i, own)
					}
					at += hi - lo
				}
				if at != s.length(i) {
					t.Errorf("%d parts: part %d has %d elements of parameter %d, want %d", parts, own, s.length(i), i, at)
				}
			}
			if seen != all {
				t.Errorf("%d values in all buckets, want %d", seen, all)
			}
		}
		for i, p := range params {
			if owned[i] != p.Len() {
				t.Errorf("%d parts have %d elements of parameter %d, want %d", parts, owned[i], i, p.Len())
			}
		}
	}
}
