package marge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn/safetensors"
)

// The files that a checkpoint of a training has besides those of the model.
const (
	trainerName  = "trainer.json"
	trainerState = "trainer.safetensors"
)

// trainerJSON is trainer.json. Together with the optimiser's moments and the
// links of the index, in trainer.safetensors, it is all that a resumed
// training needs.
type trainerJSON struct {
	Step         int       `json:"step"`
	TargetTokens int64     `json:"target_tokens"`
	ElapsedNS    int64     `json:"elapsed_ns"`
	Losses       []float64 `json:"recent_losses"`
	Indexes      int       `json:"indexes"`
	IndexStep    int       `json:"index_step"`
	Pass         int       `json:"pass"`
	Next         int       `json:"next_batch"`
	Seed         uint64    `json:"seed"`
	Corpus       string    `json:"corpus"` // fingerprint
}

// save writes a checkpoint, if the options name a directory.
func (t *trainer) save() error {
	if t.o.Dir == "" {
		return nil
	}
	path, err := checkpoint.Write(t.o.Dir, t.step, t.o.KeepCheckpoints, func(dir *checkpoint.Dir) error {
		if err := t.m.save(dir); err != nil {
			return err
		}
		err := writeFile(dir, trainerState, func(w io.Writer) error { return writeTensors(w, t.opt.State(), t.indexTensors()...) })
		if err != nil {
			return err
		}
		return writeFile(dir, trainerName, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(trainerJSON{
				Step: t.step, TargetTokens: t.tokens, ElapsedNS: int64(t.elapsed), Losses: t.losses,
				Indexes: t.indexes, IndexStep: t.indexStep, Pass: t.pass, Next: t.next,
				Seed: t.o.Seed, Corpus: t.store.Fingerprint(),
			})
		})
	})
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", t.step, err)
	}
	t.saved = path
	return nil
}

// indexTensors are the links of the index: for each shard its number and how
// many pairs it has, and the pairs one after the other.
func (t *trainer) indexTensors() []safetensors.Tensor {
	var shards, counts, targets, evidence []int32
	var scores []float32
	for _, l := range t.shards {
		shards, counts = append(shards, int32(l.shard)), append(counts, int32(len(l.pairs)))
		for _, p := range l.pairs {
			targets, evidence, scores = append(targets, p.Target), append(evidence, p.Evidence), append(scores, p.Score)
		}
	}
	n, pairs := []int{len(shards)}, []int{len(targets)}
	return []safetensors.Tensor{
		safetensors.Int32("index.shards", n, shards), safetensors.Int32("index.counts", n, counts),
		safetensors.Int32("index.targets", pairs, targets), safetensors.Int32("index.evidence", pairs, evidence),
		safetensors.Float32("index.scores", pairs, scores),
	}
}

// resume goes back to the newest valid checkpoint, if there is one.
func (t *trainer) resume() error {
	if t.o.Dir == "" {
		return errors.New("no directory is given")
	}
	path, _, rejected, err := checkpoint.Latest(t.o.Dir)
	if errors.Is(err, fs.ErrNotExist) && len(rejected) == 0 {
		return nil
	}
	if err != nil {
		return errors.Join(append(rejected, err)...)
	}
	data, err := os.ReadFile(filepath.Join(path, trainerName))
	if err != nil {
		return err
	}
	var state trainerJSON
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(path, trainerName), err)
	}
	if got := t.store.Fingerprint(); state.Corpus != got {
		return fmt.Errorf("%s was trained on another corpus: fingerprint %s, not %s", path, state.Corpus, got)
	}
	if state.Seed != t.o.Seed {
		return fmt.Errorf("%s was trained with seed %d, not %d", path, state.Seed, t.o.Seed)
	}
	config, err := ReadConfig(filepath.Join(path, configName))
	if err != nil {
		return err
	}
	config.Backend, config.Seed = t.m.Config.Backend, t.m.Config.Seed
	if config != t.m.Config {
		return fmt.Errorf("%s is a model of another configuration", path)
	}
	if err := readTensors(filepath.Join(path, weightsName), t.m.params, nil); err != nil {
		return err
	}
	if err := readTensors(filepath.Join(path, trainerState), t.opt.State(), t.readIndex); err != nil {
		return err
	}
	if err := t.opt.SetSteps(slices.Repeat([]int32{int32(state.Step)}, len(t.m.params))); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(path, trainerName), err)
	}
	t.step, t.tokens, t.elapsed, t.losses = state.Step, state.TargetTokens, time.Duration(state.ElapsedNS), state.Losses
	t.indexes, t.indexStep, t.saved = state.Indexes, state.IndexStep, path
	if t.indexes > 0 {
		t.startPass(state.Pass)
		t.next = state.Next
	}
	return nil
}

// readIndex is the inverse of indexTensors. The scores need no check; the rest
// must fit the corpus.
func (t *trainer) readIndex(f *safetensors.File) ([]string, error) {
	names := []string{"index.shards", "index.counts", "index.targets", "index.evidence"}
	var columns [4][]int32
	for i, name := range names {
		values, err := f.Int32s(name)
		if err != nil {
			return nil, err
		}
		columns[i] = values
	}
	names = append(names, "index.scores")
	scores, err := f.Float32s("index.scores")
	if err != nil {
		return nil, err
	}
	shards, counts, targets, evidence := columns[0], columns[1], columns[2], columns[3]
	if len(shards) != len(counts) || len(targets) != len(evidence) || len(targets) != len(scores) {
		return nil, errors.New("index: tensors of different lengths")
	}
	t.shards = nil
	at := 0
	for i, shard := range shards {
		n := int(counts[i])
		if shard < 0 || int(shard) >= len(t.store.Shards()) || n < 0 || n > len(targets)-at {
			return nil, fmt.Errorf("index: shard %d with %d pairs is out of range", shard, n)
		}
		l := shardLinks{shard: int(shard), items: t.items(int(shard))}
		for j := at; j < at+n; j++ {
			if outside(targets[j], len(l.items)) || outside(evidence[j], len(l.items)) {
				return nil, fmt.Errorf("index: pair %d refers to a chunk outside shard %d", j, shard)
			}
			l.pairs = append(l.pairs, index.Pair{Target: targets[j], Evidence: evidence[j], Score: scores[j]})
		}
		at += n
		t.shards = append(t.shards, l)
	}
	return names, nil
}

func outside(i int32, n int) bool { return i < 0 || int(i) >= n }
