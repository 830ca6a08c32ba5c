//go:build race

// Package race tells whether the race detector is on.
package race

// Enabled is whether the race detector is on. It makes a sync.Pool forget a part of
// what it is given, so that nothing can be said about allocations.
const Enabled = true
