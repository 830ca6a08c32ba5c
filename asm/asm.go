// Package asm holds the numeric kernels of marge: functions on slices of
// float32, each with a portable Go version that is its specification and, on
// amd64, hand-written AVX2 and AVX-512 versions.
//
// The instruction set is chosen once at start-up from the processor's
// features. The environment variable MARGE_ISA=generic|avx2|avx512 forces
// one. Builds for other architectures, and builds with the tag purego, have
// the portable version alone. Its results are the same on every architecture: a
// product that is added to something is rounded first, by a conversion that keeps
// the compiler from fusing the two, as it may on arm64, ppc64 and s390x, in one
// loop and not in another.
package asm

import (
	"fmt"
	"os"
	"slices"
)

// ISA is an instruction set for which kernels exist.
type ISA uint8

// The instruction sets, in ascending order of preference.
const (
	Generic ISA = iota // portable Go
	AVX2               // AVX2 and FMA, 8 lanes
	AVX512             // AVX-512 F, CD, BW, DQ and VL, 16 lanes
)

var isaNames = [...]string{Generic: "generic", AVX2: "avx2", AVX512: "avx512"}

// String returns the name that MARGE_ISA takes.
func (i ISA) String() string {
	if int(i) < len(isaNames) {
		return isaNames[i]
	}
	return fmt.Sprintf("ISA(%d)", uint8(i))
}

// ParseISA returns the instruction set with the given name.
func ParseISA(name string) (ISA, error) {
	if i := slices.Index(isaNames[:], name); i >= 0 {
		return ISA(i), nil
	}
	return Generic, fmt.Errorf("asm: unknown instruction set %q (have generic, avx2, avx512)", name)
}

// isa is the instruction set in use. Kernels read it on every call.
var isa = Supported()[len(Supported())-1]

func init() {
	name := os.Getenv("MARGE_ISA")
	if name == "" {
		return
	}
	want, err := ParseISA(name)
	if err == nil {
		err = Use(want)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "MARGE_ISA: %v\n", err)
		os.Exit(2)
	}
}

// Current returns the instruction set in use.
func Current() ISA { return isa }

// Supported returns the instruction sets that this build and this machine can
// run, in ascending order of preference. Generic is always among them.
func Supported() []ISA { return supported() }

// Use makes every later kernel call use the given instruction set. It must not
// be called while kernels run; tests and benchmarks use it to compare.
func Use(want ISA) error {
	if !slices.Contains(Supported(), want) {
		return fmt.Errorf("asm: this build or machine cannot run %v", want)
	}
	isa = want
	return nil
}

// A Task is work that is split in numbered parts.
type Task interface {
	// Do carries out one part. Parts of one task may run at the same time.
	Do(part int)
}

// A Runner carries out tasks, possibly on several threads.
type Runner interface {
	// Threads is the number of parts that can run at the same time.
	Threads() int
	// Run calls t.Do(0) ... t.Do(parts-1), each once, and returns when all
	// are done. Results must not depend on which thread runs which part.
	Run(parts int, t Task)
}

// Serial is a Runner that uses the calling goroutine alone.
var Serial Runner = serial{}

type serial struct{}

func (serial) Threads() int { return 1 }

func (serial) Run(parts int, t Task) {
	for i := range parts {
		t.Do(i)
	}
}
