// Package osfile has what file formats need of the operating system: files
// mapped into memory, and directories flushed to disk.
package osfile
