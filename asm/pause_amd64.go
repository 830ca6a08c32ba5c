//go:build amd64 && !purego

package asm

// Pause tells the processor that the caller is in a loop that waits for another
// thread. It takes some 10 to 50 nanoseconds.
func Pause()
