package marge

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/nn"
)

// blockValues is how many neighbouring elements of a parameter one rank has. The CPU
// adds up squares by as many: the norm of gradients has the same bits for any number
// of ranks.
const blockValues = 1 << 14

// shards tells which elements of the parameters belong to which part, and with that to
// which rank. Blocks of blockValues elements, the last of a parameter may be shorter,
// are numbered through all parameters, and dealt out to the parts in turn. So any run
// of blocks is divided evenly, whatever is exchanged at a time, and the parts do not
// depend on that.
type shards struct {
	params []nn.Parameter
	parts  int
	own    int   // part of this rank
	first  []int // number of the first block of each parameter, and of all blocks
}

func newShards(params []nn.Parameter, parts, own int) shards {
	s := shards{params: params, parts: parts, own: own}
	blocks := 0
	for _, p := range params {
		s.first = append(s.first, blocks)
		blocks += ceil.Div(p.Len(), blockValues)
	}
	s.first = append(s.first, blocks)
	return s
}

// blocks returns the number of blocks of all parameters.
func (s *shards) blocks() int { return s.first[len(s.params)] }

// span returns which elements of a parameter the blocks first to end are.
func (s *shards) span(param, first, end int) (lo, hi int) {
	first, end = first-s.first[param], end-s.first[param]
	return first * blockValues, min(end*blockValues, s.params[param].Len())
}

// offset returns where a block begins among the elements of a parameter that its part
// has, which follow each other without gaps.
func (s *shards) offset(param, block int) int {
	before := block%s.parts - s.first[param]%s.parts // blocks until the first of this part
	if before < 0 {
		before += s.parts
	}
	return (block - s.first[param] - before) / s.parts * blockValues
}

// length returns how many elements of a parameter this rank has.
func (s *shards) length(param int) (n int) {
	for block := s.first[param]; block < s.first[param+1]; block++ {
		if block%s.parts == s.own {
			lo, hi := s.span(param, block, block+1)
			n += hi - lo
		}
	}
	return n
}

// bucket is what is exchanged at a time: blocks, those of each part together.
type bucket struct {
	runs []run
	ends []int // of the parts
}

// run is neighbouring blocks of a parameter.
type run struct{ param, first, end int }

// size returns the number of values of a bucket.
func (b *bucket) size() int { return b.ends[len(b.ends)-1] }

// divide divides parameters into buckets of at most so many values, which is no less
// than a block has, in their order.
func (s *shards) divide(order []int, values int) (list []bucket) {
	var b bucket
	size := 0
	flush := func() {
		if len(b.runs) > 0 {
			b.ends = make([]int, s.parts)
			for part := range b.ends {
				s.pieces(&b, part, func(_, _, _, n int) { b.ends[part] += n })
				if part > 0 {
					b.ends[part] += b.ends[part-1]
				}
			}
			list = append(list, b)
		}
		b, size = bucket{}, 0
	}
	for _, param := range order {
		for block := s.first[param]; block < s.first[param+1]; block++ {
			lo, hi := s.span(param, block, block+1)
			if size+hi-lo > values {
				flush()
			}
			size += hi - lo
			if n := len(b.runs); n > 0 && b.runs[n-1].param == param {
				b.runs[n-1].end++
			} else {
				b.runs = append(b.runs, run{param, block, block + 1})
			}
		}
	}
	flush()
	return list
}

// pieces calls fn with the blocks of a part of a bucket, in the order in which they
// stand there: the number of the run, that of the block, where it begins in the bucket,
// and how many values it has.
func (s *shards) pieces(b *bucket, part int, fn func(run, block, at, n int)) {
	at := 0
	if part > 0 {
		at = b.ends[part-1]
	}
	for i, r := range b.runs {
		skip := (part - r.first%s.parts + s.parts) % s.parts
		for block := r.first + skip; block < r.end; block += s.parts {
			lo, hi := s.span(r.param, block, block+1)
			fn(i, block, at, hi-lo)
			at += hi - lo
		}
	}
}

// pack sets a bucket to the elements of its runs, each a slice; nil stands for zeros.
func (s *shards) pack(b *bucket, x []float32, elements [][]float32) {
	s.move(b, func(run, at, lo, hi int) {
		if elements[run] == nil {
			clear(x[at : at+hi-lo])
		} else {
			copy(x[at:], elements[run][lo:hi])
		}
	})
}

// unpack is the reverse of pack.
func (s *shards) unpack(b *bucket, x []float32, elements [][]float32) {
	s.move(b, func(run, at, lo, hi int) { copy(elements[run][lo:hi], x[at:]) })
}

// move calls fn with all blocks of a bucket: where each begins in the bucket, and where
// it is among the elements of its run.
func (s *shards) move(b *bucket, fn func(run, at, lo, hi int)) {
	for part := range b.ends {
		s.pieces(b, part, func(run, block, at, n int) {
			lo := (block - b.runs[run].first) * blockValues
			fn(run, at, lo, lo+n)
		})
	}
}
