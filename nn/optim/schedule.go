package optim

import "math"

// Schedule gives the learning rate as a function of the number of the update,
// from 1.
type Schedule interface {
	LR(step int) float64
}

// LinearDecay rises linearly from 0 to Peak during the first Warmup updates
// and falls linearly to 0 at update Total (arXiv:2006.15020, section 3), where
// it stays. With Total 0 it stays at Peak.
type LinearDecay struct {
	Peak          float64
	Warmup, Total int
}

// LR implements Schedule.
func (s LinearDecay) LR(step int) float64 {
	switch {
	case s.Total > 0 && step >= s.Total:
		return 0
	case step < s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	case s.Total <= 0:
		return s.Peak
	}
	return s.Peak * float64(s.Total-step) / float64(s.Total-s.Warmup)
}

// CosineDecay rises linearly from 0 to Peak during the first Warmup updates and
// falls along half a cosine to Floor at update Total (Loshchilov and Hutter 2017),
// where it stays.
type CosineDecay struct {
	Peak, Floor   float64
	Warmup, Total int
}

// LR implements Schedule.
func (s CosineDecay) LR(step int) float64 {
	switch {
	case step >= s.Total:
		return s.Floor
	case step < s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	done := float64(step-s.Warmup) / float64(s.Total-s.Warmup)
	return s.Floor + float64((s.Peak-s.Floor)*(1+math.Cos(math.Pi*done))/2)
}

// Constant rises linearly from 0 to Peak during the first Warmup updates and stays
// there.
type Constant struct {
	Peak   float64
	Warmup int
}

// LR implements Schedule.
func (s Constant) LR(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	return s.Peak
}

// InverseSquareRoot rises linearly from 0 to Peak during the first Warmup updates,
// at least one, and then falls as one over the square root of the number of the
// update (Vaswani et al. 2017, section 5.3).
type InverseSquareRoot struct {
	Peak   float64
	Warmup int
}

// LR implements Schedule.
func (s InverseSquareRoot) LR(step int) float64 {
	warmup := float64(max(s.Warmup, 1))
	if float64(step) < warmup {
		return s.Peak * float64(step) / warmup
	}
	return s.Peak * math.Sqrt(warmup/float64(step))
}
