package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

// The files of the directory that the command index makes.
const (
	settingsName = "index.json"
	passagesName = "passages.index" // written at the end
	partPattern  = "part-*.index"   // what was encoded since, until then
	partFormat   = "part-%06d.index"
	modelName    = "model"    // the model, so that queries need nothing else
	trainingName = "training" // its training, as long as it is not done
	lockName     = ".search.lock"
)

// settings is what settingsName holds.
type settings struct {
	ChunkTokens int    `json:"chunk_tokens"`      // of a passage, at the most (0: as many as the model was trained on)
	Vectors     string `json:"vectors,omitempty"` // precision in which they are kept (none: float32)
}

// readSettings returns an error that wraps fs.ErrNotExist if there are none.
func readSettings(dir string) (s settings, err error) {
	path := filepath.Join(dir, settingsName)
	data, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := jsonx.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s settings) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return osfile.WriteFile(filepath.Join(dir, settingsName), append(data, '\n'))
}

// open opens a finished index, and its model on a backend.
func open(dir string, b tensor.Backend) (*marge.Index, *marge.Model, error) {
	if dir == "" {
		return nil, nil, errors.New("-index is missing: the directory that search index made")
	}
	if _, err := readSettings(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("-index %s: no index: make it by search index -out %s", dir, dir)
	} else if err != nil {
		return nil, nil, fmt.Errorf("-index: %w", err)
	}
	x, err := marge.OpenIndex(filepath.Join(dir, passagesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("-index %s is not finished: run search index again, it goes on", dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("-index: %w", err)
	}
	m, err := pretrained.Load(filepath.Join(dir, modelName), b)
	if err == nil {
		err = x.CheckModel(m)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("-index %s: %w", dir, err), x.Close())
	}
	return x, m, nil
}
