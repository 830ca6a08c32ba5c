// Package pages asks the system for large pages of memory.
package pages

// Size is the size in bytes of a large page on the processors that matter.
const Size = 2 << 20
