// Package osfile has what file formats need of the operating system: files and
// directories that appear whole or not at all, locks between processes, files
// mapped into memory, and directories flushed to disk.
//
// What is written goes to a temporary name first, ".NAME.tmp" in the same
// directory, is flushed to disk and then renamed to NAME. A process killed at
// any moment, a full disk or a power cut leaves what had the name before. A
// temporary file that a killed process left is overwritten by the next write to
// the same name. While one process writes to a name, others wait.
package osfile
