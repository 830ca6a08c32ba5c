package dist

import (
	"fmt"
	"os"
	"testing"
)

// MainWithoutLeaks runs the tests and fails if they leave goroutines behind.
func MainWithoutLeaks(m *testing.M) {
	code := m.Run()
	if left := goroutines(); left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines are left behind:\n%s", left)
		code = 1
	}
	os.Exit(code)
}
