//go:build !amd64 || purego

package asm

func supported() []ISA { return []ISA{Generic} }
