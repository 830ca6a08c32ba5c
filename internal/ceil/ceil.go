// Package ceil has the division that rounds up.
package ceil

// Div returns a/b rounded up, for a >= 0 and b > 0.
func Div(a, b int) int { return (a + b - 1) / b }
