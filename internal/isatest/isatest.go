// Package isatest runs tests on every instruction set of the machine.
package isatest

import (
	"testing"

	"github.com/marge-go/marge/asm"
)

// Each runs a test with each instruction set that the processor has, as a
// subtest. Package asm's own tests make sure that none is missed.
func Each(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	was := asm.Current()
	defer func() {
		if err := asm.Use(was); err != nil {
			t.Error(err)
		}
	}()
	for _, isa := range asm.Supported() {
		if err := asm.Use(isa); err != nil {
			t.Fatal(err)
		}
		t.Run(isa.String(), test)
	}
}
