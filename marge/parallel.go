package marge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// What the ranks of a data-parallel training agree on. Each makes the gradients of
// its replicas and has the whole model, the place of the source, and a part of the
// optimiser's state; the model stays the same on all ranks.

// agreeOnTime makes the clock of rank 0 that of all: how far a training of a
// given duration is must not differ.
func (l *loop) agreeOnTime() error {
	elapsed := []int64{0}
	if l.o.Group.Rank() == 0 {
		elapsed[0] = int64(l.elapsed)
	}
	err := l.o.Group.AllReduceInt64(elapsed)
	l.elapsed = time.Duration(elapsed[0])
	return err
}

// hashParameters returns the SHA-256 of the values of all parameters.
func (l *loop) hashParameters() []byte {
	h := sha256.New()
	for _, p := range l.m.params {
		hashValues(h, p.Values())
	}
	return h.Sum(nil)
}

// sameParameters is an error if the ranks have different parameters, which is a
// fault of a machine or of this program.
func (l *loop) sameParameters() error {
	if l.o.Group.Size() == 1 {
		return nil
	}
	all, err := l.o.Group.AllGather(l.hashParameters())
	if err != nil {
		return err
	}
	var differ []int
	for rank, hash := range all {
		if !bytes.Equal(hash, all[0]) {
			differ = append(differ, rank)
		}
	}
	if len(differ) > 0 {
		return fmt.Errorf("after step %d the parameters of ranks %v are not those of rank 0: a machine computes otherwise",
			l.step, differ)
	}
	return nil
}

// sameStart compares what the result of a training depends on before it begins:
// the program, the machine, the options and the data of every rank.
func (l *loop) sameStart() error {
	g := l.o.Group
	if g.Size() == 1 {
		return nil
	}
	if _, _, err := g.Share(l.o.Replicas); err != nil {
		return fmt.Errorf("option Replicas: %w", err)
	}
	settings, err := l.settings()
	if err != nil {
		return err
	}
	backend := l.m.backend.Name()
	if b, ok := l.m.backend.(interface{ Precision() tensor.DType }); ok {
		backend += fmt.Sprint(" ", b.Precision())
	}
	fields := maps.Clone(settings)
	maps.Copy(fields, map[string]string{
		"version": version(), "instruction set": runtime.GOARCH + " " + asm.Current().String(),
		"backend": backend, "parameters": fmt.Sprintf("%x", l.hashParameters()[:8]),
		"Steps": fmt.Sprint(l.o.Steps), "TargetTokens": fmt.Sprint(l.o.TargetTokens), "Duration": fmt.Sprint(l.o.Duration),
		"CheckpointEvery": fmt.Sprint(l.o.CheckpointEvery), "Dir given": fmt.Sprint(l.o.Dir != ""),
		"Resume": fmt.Sprint(l.o.Resume),
	})
	mine, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	all, err := g.AllGather(mine)
	if err != nil {
		return err
	}
	ranks := make([]map[string]string, len(all))
	for rank, data := range all {
		if err := json.Unmarshal(data, &ranks[rank]); err != nil {
			return fmt.Errorf("settings of rank %d: %w", rank, err)
		}
		both := maps.Clone(ranks[0])
		maps.Copy(both, ranks[rank])
		var differ []string
		for _, name := range slices.Sorted(maps.Keys(both)) {
			if is, first := ranks[rank][name], ranks[0][name]; is != first {
				differ = append(differ, fmt.Sprintf("%s is %s on rank %d and %s on rank 0", name, orUnknown(is), rank,
					orUnknown(first)))
			}
		}
		if len(differ) > 0 {
			return fmt.Errorf("the ranks do not do the same: %s", strings.Join(differ, "; "))
		}
	}
	return nil
}

// version tells which program runs: the versions of Go, of this module and of the
// source that it was built from, where they are known.
func version() string {
	parts := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		parts = append(parts, info.Main.Path, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" || s.Key == "-tags" {
				parts = append(parts, s.Value)
			}
		}
	}
	return strings.Join(parts, " ")
}
