package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
)

// ManifestName is the file of a checkpoint that has the size and the SHA-256 of
// each of the others: two with equal ones are equal.
const ManifestName = "checksums.json"

const (
	manifestVersion = 1
	maxManifest     = 1 << 20 // bytes
)

// manifest is what checksums.json holds.
type manifest struct {
	Version int                 `json:"version"`
	Files   map[string]fileInfo `json:"files"`
}

type fileInfo struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// encode returns the one form in which a manifest is stored.
func (m manifest) encode() ([]byte, error) {
	data, err := json.MarshalIndent(m, "", "  ")
	return append(data, '\n'), err
}

func readManifest(path string) (m manifest, err error) {
	data, err := osfile.ReadFile(filepath.Join(path, ManifestName), maxManifest)
	if err != nil {
		return m, err
	}
	if err := jsonx.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%s: %w", ManifestName, err)
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("%s: version %d, want %d", ManifestName, m.Version, manifestVersion)
	}
	// Damage that leaves the JSON readable (another letter case, an extra
	// field) shows here; damage to a name, size or digest shows when the
	// files are compared.
	if want, err := m.encode(); err != nil || !bytes.Equal(data, want) {
		return m, fmt.Errorf("%s: damaged: not in the form in which it was written", ManifestName)
	}
	return m, nil
}

// Verify reads the whole checkpoint at path and reports everything in which
// it differs from its manifest: files that are missing, of another size, with
// other contents, or not listed.
func Verify(path string) error {
	m, err := checkSizes(path)
	errs := []error{err}
	if err == nil {
		for _, name := range slices.Sorted(maps.Keys(m.Files)) {
			if err := checkContents(path, name, m.Files[name]); err != nil {
				errs = append(errs, fmt.Errorf("file %q: %w", name, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", path, err)
	}
	return nil
}

// checkSizes compares the directory's listing with the manifest.
func checkSizes(path string) (manifest, error) {
	m, err := readManifest(path)
	if err != nil {
		return m, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return m, err
	}
	var errs []error
	for _, e := range entries {
		if _, ok := m.Files[e.Name()]; !ok && e.Name() != ManifestName {
			errs = append(errs, fmt.Errorf("file %q is not in the manifest", e.Name()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if err := checkSize(path, name, m.Files[name]); err != nil {
			errs = append(errs, fmt.Errorf("file %q: %w", name, err))
		}
	}
	return m, errors.Join(errs...)
}

func checkSize(path, name string, want fileInfo) error {
	if err := checkName(name); err != nil {
		return err
	}
	info, err := os.Lstat(filepath.Join(path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("missing: %w", err)
	}
	if err != nil {
		return err
	}
	return want.checkSize(info)
}

func (want fileInfo) checkSize(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() != want.Size:
		return fmt.Errorf("%d bytes, want %d", info.Size(), want.Size)
	}
	return nil
}

func checkContents(path, name string, want fileInfo) error {
	f, err := os.Open(filepath.Join(path, name))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{f}, make([]byte, 1<<18)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want.SHA256 {
		return fmt.Errorf("SHA-256 %s, want %s", got, want.SHA256)
	}
	return nil
}
