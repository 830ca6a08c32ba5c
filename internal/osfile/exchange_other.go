//go:build !linux

package osfile

func exchange(a, b string) error { return exchangeByRename(a, b) }
