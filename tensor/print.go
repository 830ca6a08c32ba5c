package tensor

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Tensors of more than printLimit elements are shortened to printEdge at both ends
// of each dimension. Lines have up to printWidth characters.
const (
	printLimit     = 1000
	printEdge      = 3
	printWidth     = 75
	printPrecision = 4
)

// String returns type and shape, such as float32[2 3], for messages. See Format for
// the values.
func (t *Tensor) String() string {
	if t == nil {
		return "nil"
	}
	return t.dtype.String() + strings.Join(strings.Fields(fmt.Sprint(t.Shape())), " ")
}

// Format implements fmt.Formatter. The verb %+v prints the values as NumPy does:
// four decimals at most, or as many as a precision asks for, as in %+.2v; columns
// aligned; in scientific notation where the magnitudes differ by more than 1000, reach
// 1e8 or fall below 1e-4; shortened where there are more than 1000. Other verbs print
// type and shape as String does, so that messages which mention a tensor stay short.
func (t *Tensor) Format(f fmt.State, verb rune) {
	if verb != 'v' || !f.Flag('+') || t == nil || t.store == nil || t.dtype == BFloat16 || t.dtype == Int8 ||
		t.dtype == Int32 && t.store.Device != nil {
		fmt.Fprintf(f, fmt.FormatString(plain{f}, verb), t.String())
		return
	}
	precision, ok := f.Precision()
	if !ok {
		precision = printPrecision
	}
	if t.Len() == 0 {
		io.WriteString(f, "[]")
		return
	}
	p := printer{t: t, shorten: t.Len() > printLimit}
	if t.dtype == Float32 {
		p.floats = make([]float32, t.Len())
		t.CopyTo(p.floats)
	}
	p.format(precision)
	io.WriteString(f, p.block(0, 0, 1))
}

// plain is a fmt.State without the flag +, which has no meaning for strings.
type plain struct{ fmt.State }

func (p plain) Flag(c int) bool { return c != '+' && p.State.Flag(c) }

// printer prints a tensor. Cells are what is shown, in row-major order.
type printer struct {
	t       *Tensor
	shorten bool
	floats  []float32 // the elements in row-major order; nil if they are int32
	cells   []string
	next    int // cell
}

// shown returns the indices of a dimension that are shown; -1 stands for those that
// are left out.
func (p *printer) shown(dim int) []int {
	var at []int
	n := p.t.shape[dim]
	for i := 0; i < n; i++ {
		if p.shorten && n > 2*printEdge && i == printEdge {
			at, i = append(at, -1), n-printEdge
		}
		at = append(at, i)
	}
	return at
}

// visit calls f with the row-major number and the place in memory of each element
// that is shown.
func (p *printer) visit(dim, index, offset int, f func(index, offset int)) {
	if dim == p.t.rank {
		f(index, offset)
		return
	}
	for _, i := range p.shown(dim) {
		if i >= 0 {
			p.visit(dim+1, index*p.t.shape[dim]+i, offset+i*p.t.strides[dim], f)
		}
	}
}

// format makes the cells, all of one width.
func (p *printer) format(precision int) {
	if p.floats == nil {
		p.visit(0, 0, p.t.offset, func(_, offset int) {
			p.cells = append(p.cells, strconv.Itoa(int(p.t.store.I32[offset])))
		})
		p.align()
		return
	}
	var values []float64
	p.visit(0, 0, 0, func(index, _ int) { values = append(values, float64(p.floats[index])) })
	style, room := byte('f'), 0
	if scientific(values) {
		style = 'e'
	}
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			room = max(room, decimals(v, style, precision))
		}
	}
	for _, v := range values {
		p.cells = append(p.cells, number(v, style, room))
	}
	p.align()
}

// align pads the cells on the left to the same width.
func (p *printer) align() {
	width := 0
	for _, c := range p.cells {
		width = max(width, len(c))
	}
	for i, c := range p.cells {
		p.cells[i] = strings.Repeat(" ", width-len(c)) + c
	}
}

// scientific reports whether values are printed in scientific notation.
func scientific(values []float64) bool {
	least, greatest := math.Inf(1), 0.0
	for _, v := range values {
		if v = math.Abs(v); v > 0 && !math.IsInf(v, 0) { // not NaN
			least, greatest = min(least, v), max(greatest, v)
		}
	}
	a, b := float32(least), float32(greatest) // NumPy compares in the array's type
	return b >= 1e8 || b > 0 && (a < 1e-4 || b/a > 1000)
}

// decimals returns how many decimals v needs, at most as many as precision.
func decimals(v float64, style byte, precision int) int {
	s, _, _ := strings.Cut(digits(v, style, precision), "e")
	_, fraction, _ := strings.Cut(s, ".")
	return len(strings.TrimRight(fraction, "0"))
}

// digits formats v with as many decimals as tell it from other float32 numbers, at
// most as many as precision.
func digits(v float64, style byte, precision int) string {
	s := strconv.FormatFloat(v, style, -1, 32)
	mantissa, _, _ := strings.Cut(s, "e")
	if _, fraction, _ := strings.Cut(mantissa, "."); len(fraction) > precision {
		s = strconv.FormatFloat(v, style, precision, 64)
	}
	return s
}

// number formats a value with room for the decimals that all have: zeros in scientific
// notation, spaces otherwise.
func number(v float64, style byte, room int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	mantissa, exponent, scientific := strings.Cut(digits(v, style, room), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	fraction = strings.TrimRight(fraction, "0")
	if !scientific {
		return fmt.Sprintf("%s.%-*s", whole, room, fraction)
	}
	return whole + "." + fraction + strings.Repeat("0", room-len(fraction)) + "e" + exponent
}

// block returns dimension dim and those after it. Its first line begins at a column;
// brackets are the ones that close after it.
func (p *printer) block(dim, column, brackets int) string {
	if dim == p.t.rank {
		p.next++
		return p.cells[p.next-1]
	}
	var b strings.Builder
	b.WriteByte('[')
	column++
	at, indent := column, strings.Repeat(" ", column)
	last := dim == p.t.rank-1
	shown := p.shown(dim)
	for k, i := range shown {
		var s string
		if i < 0 {
			s = "..."
		} else {
			after := 1
			if k == len(shown)-1 {
				after = brackets + 1
			}
			s = p.block(dim+1, column, after)
		}
		switch {
		case k == 0:
		case !last: // blank lines between matrices
			b.WriteString(strings.Repeat("\n", p.t.rank-1-dim) + indent)
		case at+1+len(s)+closing(k, shown, brackets) > printWidth:
			b.WriteString("\n" + indent)
			at = column
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(s)
		at += len(s)
	}
	b.WriteByte(']')
	return b.String()
}

// closing returns how many brackets follow element k in its line.
func closing(k int, shown []int, brackets int) int {
	if k == len(shown)-1 {
		return brackets
	}
	return 0
}
