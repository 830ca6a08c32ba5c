package charts

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// Ticks marks multiples of 1, 2 or 5 times a power of ten, some five of them,
// with as many digits as tell them apart.
type Ticks struct{}

// Ticks implements plot.Ticker.
func (Ticks) Ticks(low, high float64) []plot.Tick {
	const most = 7
	if !(high-low > 1e-300) || math.IsInf(high-low, 0) {
		return nil
	}
	exponent := int(math.Floor(math.Log10((high - low) / most)))
	for ; ; exponent++ {
		for _, factor := range []float64{1, 2, 5} {
			// As a quotient, so that multiples of 0.1 are the nearest numbers.
			value := func(n float64) float64 {
				if exponent < 0 {
					return n * factor / math.Pow10(-exponent)
				}
				return n * factor * math.Pow10(exponent)
			}
			first, last := math.Ceil(low/value(1)-1e-9), math.Floor(high/value(1)+1e-9)
			if last-first+1 > most {
				continue
			}
			scientific := exponent < -5 || max(math.Abs(low), math.Abs(high)) >= 1e7
			var ticks []plot.Tick
			for i := range int(last-first) + 1 {
				v := value(first + float64(i))
				ticks = append(ticks, plot.Tick{Value: v, Label: label(v, exponent, scientific)})
			}
			return ticks
		}
	}
}

// label returns a multiple of 10^exponent with the digits that it has.
func label(v float64, exponent int, scientific bool) string {
	if v == 0 {
		return "0"
	}
	if scientific {
		greatest := int(math.Floor(math.Log10(math.Abs(v))))
		return strconv.FormatFloat(v, 'e', max(0, greatest-exponent), 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, -exponent), 64)
}

// LogTicks marks powers of ten on a logarithmic axis, and 2 and 5 times them
// where there are few.
type LogTicks struct{}

// Ticks implements plot.Ticker.
func (LogTicks) Ticks(low, high float64) []plot.Tick {
	if !(low > 0 && high >= low) || math.IsInf(high, 0) {
		return nil
	}
	var ticks []plot.Tick
	first, last := int(math.Floor(math.Log10(low))), int(math.Ceil(math.Log10(high)))
	for exponent := first; exponent <= last; exponent++ {
		for factor := 1.0; factor < 10; factor++ {
			v := factor * math.Pow10(exponent)
			if exponent < 0 {
				v = factor / math.Pow10(-exponent)
			}
			if v < low || v > high {
				continue
			}
			tick := plot.Tick{Value: v}
			if factor == 1 || last-first <= 3 && (factor == 2 || factor == 5) {
				tick.Label = label(v, exponent, exponent < -5 || exponent > 6)
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}
