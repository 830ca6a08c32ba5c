package tensor

// AdamWCall is one call of Backend.AdamW.
type AdamWCall struct {
	P, G, M, V *Tensor
	Options    AdamWOptions
}

// SumSquaresAll returns the sum of the squares of each tensor, as
// Backend.SumSquares does. If the backend has a method SumSquaresAll itself, it
// is called once, so that a device is waited for once.
func SumSquaresAll(x []*Tensor) []float64 {
	if len(x) == 0 {
		return nil
	}
	b, ok := x[0].backend.(interface {
		SumSquaresAll(x []*Tensor) []float64
	})
	if ok && sameBackend(x, func(t *Tensor) Backend { return t.backend }) {
		return b.SumSquaresAll(x)
	}
	sums := make([]float64, len(x))
	for i, t := range x {
		sums[i] = t.backend.SumSquares(t)
	}
	return sums
}

// AdamWAll carries out all calls of Backend.AdamW. If the backend has a method
// AdamWAll itself, it is called once.
func AdamWAll(calls []AdamWCall) {
	if len(calls) == 0 {
		return
	}
	b, ok := calls[0].P.backend.(interface{ AdamWAll(calls []AdamWCall) })
	if ok && sameBackend(calls, func(c AdamWCall) Backend { return c.P.backend }) {
		b.AdamWAll(calls)
		return
	}
	for _, c := range calls {
		c.P.backend.AdamW(c.P, c.G, c.M, c.V, c.Options)
	}
}

// sameBackend reports whether all have the backend of the first.
func sameBackend[T any](all []T, backend func(T) Backend) bool {
	for _, t := range all {
		if backend(t) != backend(all[0]) {
			return false
		}
	}
	return true
}
