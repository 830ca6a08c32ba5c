//go:build !linux

package tensor

// adviseHugePages does nothing: there is no such advice, or it is not needed.
func adviseHugePages([]float32) {}
