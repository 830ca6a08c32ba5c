package prepare

import (
	"encoding/json"
	"path/filepath"

	"github.com/marge-go/marge/internal/osfile"
)

// A Report says what came of a run.
type Report struct {
	Counts
	Made state `json:"made_from"` // options and inputs
}

// ReadReport reads the report of a run that is complete.
func ReadReport(path string) (*Report, error) {
	var r Report
	if err := readJSON(path, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Report) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return osfile.WriteFile(filepath.Join(dir, ReportName), append(data, '\n'))
}
