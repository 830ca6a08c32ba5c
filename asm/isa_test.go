package asm

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

// processorFlags are what the operating system says about the processor; nil
// where it does not tell.
var processorFlags = func() []string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(data) {
		if name, flags, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "flags" {
			var words []string
			for flag := range bytes.FieldsSeq(flags) {
				words = append(words, string(flag))
			}
			return words
		}
	}
	return nil
}()

// mustSupport tells whether the operating system lists everything that the
// kernels of an instruction set need.
func mustSupport(want ISA) bool {
	for _, flag := range isaFlags[want] {
		if !slices.Contains(processorFlags, flag) {
			return false
		}
	}
	return len(isaFlags[want]) > 0 || want == Generic
}

// forEachISA runs f with each instruction set, as a subtest. It skips one that
// the processor lacks, and fails for one that the processor has but the package
// does not find.
func forEachISA(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := Current()
	defer func() { isa = before }()
	for i := range isaNames {
		want := ISA(i)
		t.Run(want.String(), func(t *testing.T) {
			switch err := Use(want); {
			case err != nil && mustSupport(want):
				t.Fatalf("the processor has what %v needs: %v", want, err)
			case err != nil:
				t.Skip(err)
			}
			f(t)
		})
	}
}

// benchmarkEachISA runs f with each instruction set of the machine.
func benchmarkEachISA(b *testing.B, f func(b *testing.B)) {
	before := Current()
	defer func() { isa = before }()
	for _, want := range Supported() {
		b.Run(want.String(), func(b *testing.B) {
			isa = want
			f(b)
		})
	}
}
