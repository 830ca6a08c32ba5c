// Package flags has kinds of command-line flags that several programs use.
package flags

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Count is a flag for a large number: digits, which may have a fraction, an
// exponent or one of the suffixes k, M, G and B (thousand, million and twice
// billion) and must make a whole number that is not negative. 3000000, 3e6 and
// 3M are equal.
type Count int64

// maxCount is the greatest number below which float64 has all whole numbers.
const maxCount = 1 << 53

// Set implements flag.Value.
func (c *Count) Set(s string) error {
	digits, factor := s, 1.0
	for suffix, f := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9, "B": 1e9} {
		if before, ok := strings.CutSuffix(s, suffix); ok {
			digits, factor = before, f
		}
	}
	x, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return errors.New("want a number such as 3000000, 3e6 or 3M")
	}
	// The product of a decimal fraction may miss the whole number by a rounding.
	x *= factor
	whole := math.Round(x)
	if !(x >= 0 && x <= maxCount) || math.Abs(x-whole) > 1e-9*whole {
		return errors.New("want a whole number that is not negative, at most 9e15")
	}
	*c = Count(whole)
	return nil
}

// String implements flag.Value.
func (c *Count) String() string { return strconv.FormatInt(int64(*c), 10) }
