//go:build cuda

package gpu

import (
	"fmt"
	"strings"

	"github.com/marge-go/marge/tensor"
)

// OutOfMemory is the code of an [Error] for which the card had too little memory.
const OutOfMemory = 2

// Error is a failure of the driver or of the card.
type Error struct {
	Code   int    // the driver's CUresult
	Text   string // its name and meaning, and what may help
	Kernel string // the last one launched, "" if none was: work is asynchronous, one before it may have failed
}

// Error implements error.
func (e *Error) Error() string {
	if e.Kernel == "" {
		return e.Text
	}
	return fmt.Sprintf("%s, at or before kernel %s", e.Text, e.Kernel)
}

// sticky are codes after which the driver refuses all further work of the process.
var sticky = map[int]bool{
	214: true, 220: true, 226: true, // uncorrectable errors of memory or links
	700: true, 702: true, 709: true, 710: true, 714: true, 715: true, 716: true, 717: true, 718: true, 719: true,
	720: true, 721: true, 999: true,
}

// failed returns what a method panics with after a panic in it: a
// *tensor.BackendError for failures of the driver, and the same for all others.
func (b *Backend) failed(op, kernel string, panicked any) any {
	e := errorOf(panicked)
	if e == nil {
		return panicked
	}
	if _, ours := panicked.(*Error); !ours {
		e.Kernel = kernel
	}
	if sticky[e.Code] && b.broken == nil {
		e.Text += " (start the program again, a training goes on from its last checkpoint)"
		b.broken = e
	}
	return &tensor.BackendError{Backend: b.Name(), Op: strings.ToLower(op), Err: e}
}

// brokenError is the panic of every operation after a failure that stays.
func (b *Backend) brokenError(op string) *tensor.BackendError {
	return &tensor.BackendError{
		Backend: b.Name(), Op: strings.ToLower(op),
		Err: fmt.Errorf("the card refuses work since an earlier failure: %w", b.broken),
	}
}

// asError turns what f panics with, if it is a failure of the driver, into an error.
func asError(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			e := errorOf(v)
			if e == nil {
				panic(v)
			}
			err = e
		}
	}()
	f()
	return nil
}

// errorOf returns the error of a panic of this package or of package cu, and nil for
// other panics.
func errorOf(panicked any) *Error {
	if e, ok := panicked.(*Error); ok {
		return e
	}
	if code, ok := resultOf(panicked); ok {
		return &Error{Code: code, Text: describe(code)}
	}
	return nil
}
