//go:build !linux

package tensor

func adviseHugePages([]float32) {}
