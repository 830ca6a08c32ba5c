package marge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// What the ranks of a data-parallel training exchange. Each makes the gradients of
// its replicas and has the whole model, its optimiser and the place of the source;
// all of that stays the same on all ranks, as all do the same with the same sums.

// batchFigures is what an update needs to know of each of its batches, besides the
// gradients.
type batchFigures struct {
	loss, distill                     float64
	weight, tokens, targets, evidence int
}

// figureWords is how many numbers a batchFigures has.
const figureWords = 6

// shareFigures gives all ranks the figures of all batches, and tells which of the
// parameters have a gradient on any rank. Where others have one, a rank without
// adds zeros.
func (l *loop) shareFigures() (has []bool, err error) {
	words := make([]int64, 0, figureWords*len(l.figures)+len(l.params))
	for _, f := range l.figures { // those of other ranks are zeros, and so are the bits of zeros
		words = append(words, int64(math.Float64bits(f.loss)), int64(math.Float64bits(f.distill)),
			int64(f.weight), int64(f.tokens), int64(f.targets), int64(f.evidence))
	}
	for _, p := range l.params {
		n := int64(0)
		if p.HasGrad() {
			n = 1
		}
		words = append(words, n)
	}
	if err := l.o.Group.AllReduceInt64(words); err != nil {
		return nil, err
	}
	for i := range l.figures {
		w := words[figureWords*i:]
		l.figures[i] = batchFigures{
			math.Float64frombits(uint64(w[0])), math.Float64frombits(uint64(w[1])),
			int(w[2]), int(w[3]), int(w[4]), int(w[5]),
		}
	}
	for _, n := range words[figureWords*len(l.figures):] {
		has = append(has, n > 0)
	}
	return has, nil
}

// bucketValues is how many values of gradients are added up at a time, 25 MiB: many
// small parameters cost no more messages than one large one.
const bucketValues = 25 << 18

// sumOverRanks adds up the gradients of all ranks, in the same tree in which each
// has added up those of its replicas, about so many values at a time.
func (l *loop) sumOverRanks(has []bool, bucketValues int) error {
	if l.o.Group.Size() == 1 {
		return nil
	}
	add := l.o.Group.AllReduce
	if l.sum.short {
		add = l.o.Group.AllReduceBFloat16
	}
	var waiting []nn.Parameter
	n := 0
	flush := func() error {
		l.bucket = slices.Grow(l.bucket[:0], n)[:n]
		at := 0
		for _, p := range waiting {
			p.Grad().CopyTo(l.bucket[at : at+p.Len()])
			at += p.Len()
		}
		if err := add(l.bucket); err != nil {
			return err
		}
		at = 0
		for _, p := range waiting {
			p.Grad().SetFloat32s(l.bucket[at : at+p.Len()])
			at += p.Len()
		}
		waiting, n = waiting[:0], 0
		return nil
	}
	for i, p := range l.params {
		if !has[i] {
			continue
		}
		if p.Len() >= bucketValues { // alone, and without a copy if it is in the host's memory
			gradient := nn.Parameter{Tensor: p.Grad()}
			values := gradient.Values()
			if err := add(values); err != nil {
				return err
			}
			gradient.SetFloat32s(values)
			continue
		}
		if n > 0 && n+p.Len() > bucketValues {
			if err := flush(); err != nil {
				return err
			}
		}
		waiting, n = append(waiting, p), n+p.Len()
	}
	return flush()
}

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
