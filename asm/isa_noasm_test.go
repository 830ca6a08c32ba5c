//go:build !amd64 || purego

package asm

// isaFlags is empty where the portable version is the only one.
var isaFlags map[ISA][]string
