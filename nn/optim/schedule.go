package optim

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
