package prepare

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Recipes fetch texts that are published in several languages, and make JSON
// Lines of them in a directory. Each calls report with what it does, and what
// was left out and why; files that are there from an earlier call are not
// fetched again.
//
//   - debian-manuals: the help of LibreOffice and GNOME, the manuals of Debian, its
//     installation guide and its Administrator's Handbook, of the packages of the
//     Debian release that the machine runs; apt-get and dpkg-deb are needed, but no
//     rights of root. Of Debian 12 it makes the files below, of 65 packages with 171
//     MiB. A twelfth of the pages of lohelp, in all languages, is in lohelp-heldout;
//     handbook, another book of a near domain, is worth keeping for evaluation.
//
//     lohelp, lohelp-heldout  48,704 documents  25 languages
//     gnomehelp                6,766            38
//     debdocs                    450            16
//     installguide             1,260            19
//     handbook                 1,370            25
var Recipes = map[string]func(ctx context.Context, dir string, report func(string)) error{
	"debian-manuals": debianManuals,
}

// maxManualBytes is the length of the longest file that is read of a package.
const maxManualBytes = 16 << 20

// debianManuals is a recipe.
func debianManuals(ctx context.Context, dir string, report func(string)) error {
	packages := filepath.Join(dir, "packages")
	if err := os.MkdirAll(packages, 0o777); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	var names []string
	for _, m := range manuals {
		names = append(names, m.packages...)
	}
	if err := fetchPackages(ctx, packages, names, report); err != nil {
		return err
	}
	for _, m := range manuals {
		set := newManualSet(m.name)
		for _, name := range m.packages {
			file, err := packageFile(packages, name)
			if err == nil {
				err = readPackage(ctx, file, func(path string, data []byte) error { return m.add(set, name, path, data) })
			}
			if err != nil {
				return fmt.Errorf("prepare: package %s: %w", name, err)
			}
		}
		rows, dropped := set.finish()
		if len(rows) == 0 {
			return fmt.Errorf("prepare: the packages of %s have no pages where they are expected", m.name)
		}
		report(fmt.Sprintf("%s: %d documents, %v", m.name, len(rows), dropped))
		if err := writeManuals(dir, m.name, rows); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

// packageFile returns the file of a package in a directory.
func packageFile(dir, name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, name+"_*.deb"))
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("%s has %d files %s_*.deb, want 1", dir, len(files), name)
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

// fetchPackages downloads the packages that are not in a directory. apt checks
// their signatures.
func fetchPackages(ctx context.Context, dir string, names []string, report func(string)) error {
	var missing []string
	for _, name := range names {
		if _, err := packageFile(dir, name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	report(fmt.Sprintf("fetching %d packages", len(missing)))
	// What is not whole is in another directory, since names tell what is there.
	partial, err := os.MkdirTemp(dir, "partial")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer os.RemoveAll(partial)
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"download", "--quiet=2"}, missing...)...)
	cmd.Dir = partial
	if err := runTool(cmd); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for _, name := range missing {
		file, err := packageFile(partial, name)
		if err == nil {
			err = os.Rename(file, filepath.Join(dir, filepath.Base(file)))
		}
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

// runTool runs a program. Its error has the last that the program said.
func runTool(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	return toolError(cmd, &said, err)
}

func toolError(cmd *exec.Cmd, said *bytes.Buffer, err error) error {
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(said.String())
	return fmt.Errorf("%s %s: %w: %s", filepath.Base(cmd.Path), cmd.Args[1], err, text[max(0, len(text)-500):])
}

// readPackage calls fn with the pages of a package of Debian.
func readPackage(ctx context.Context, file string, fn func(path string, data []byte) error) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	err = readTar(out, fn)
	if err != nil {
		out.Close() // so that the program ends
	}
	if waited := cmd.Wait(); err == nil {
		err = toolError(cmd, &said, waited)
	}
	return errors.Join(ctx.Err(), err)
}

// readTar calls fn with the files of an archive that are pages. Their paths
// begin without a slash.
func readTar(r io.Reader, fn func(path string, data []byte) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, r) // what fills the last block
			return err
		} else if err != nil {
			return err
		}
		path := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(path, ".html") && !strings.HasSuffix(path, ".page") {
			continue
		}
		if h.Size > maxManualBytes {
			return fmt.Errorf("%s is longer than %d bytes", path, maxManualBytes)
		}
		data, err := io.ReadAll(t)
		if err == nil {
			err = fn(path, data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}
