package marge

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/marge/checkpoint"
)

// A sharedCheckpoint is what rank 0 tells the others of the checkpoint that it has
// chosen: its files with their sizes, and the SHA-256 of the checksums.
type sharedCheckpoint struct {
	Step   int        `json:"step"` // -1: there is none
	Name   string     `json:"name"`
	Files  []fileSize `json:"files"`
	Digest string     `json:"digest"`
}

type fileSize struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// shareCheckpoint gives every rank the checkpoint that rank 0 has chosen: the one in
// its own directory, which may be the same for all, if that is equal to it, or else
// one that rank 0 sends, to be dropped after use.
func (l *loop) shareCheckpoint(ctx context.Context, path string, step int) (string, int, func(), error) {
	g := l.o.Group
	drop := func() {}
	if g.Size() == 1 {
		return path, step, drop, nil
	}
	var told []byte
	err := g.Lead(ctx, func(context.Context) error {
		c, err := describeCheckpoint(path, step)
		if err == nil {
			told, err = json.Marshal(c)
		}
		return err
	})
	if err != nil {
		return "", 0, drop, err
	}
	all, err := g.AllGather(told)
	if err != nil {
		return "", 0, drop, err
	}
	var c sharedCheckpoint
	if err := json.Unmarshal(all[0], &c); err != nil {
		return "", 0, drop, fmt.Errorf("what rank 0 tells of its checkpoint: %w", err)
	}
	if c.Step < 0 {
		return "", -1, drop, nil
	}
	lacking := []int64{0}
	err = g.Together(ctx, func(context.Context) error {
		if g.Rank() > 0 {
			path = filepath.Join(l.o.Dir, filepath.Base(c.Name))
			if own, err := describeCheckpoint(path, c.Step); err != nil || own.Digest != c.Digest ||
				checkpoint.Verify(path) != nil {
				lacking[0] = 1
			}
		}
		return nil
	})
	if err == nil {
		lacks := lacking[0] > 0
		if err = g.AllReduceInt64(lacking); err == nil && lacking[0] > 0 {
			path, drop, err = l.sendCheckpoint(ctx, &c, path, lacks)
		}
	}
	return path, c.Step, drop, err
}

func describeCheckpoint(path string, step int) (*sharedCheckpoint, error) {
	c := &sharedCheckpoint{Step: step, Name: filepath.Base(path)}
	if step < 0 {
		return c, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		c.Files = append(c.Files, fileSize{e.Name(), info.Size()})
	}
	checksums, err := os.ReadFile(filepath.Join(path, checkpoint.ManifestName))
	c.Digest = fmt.Sprintf("%x", sha256.Sum256(checksums))
	return c, err
}

// sendCheckpoint sends the files of a checkpoint from rank 0 to all. Those that lack
// it write them to a temporary directory, and return its path.
func (l *loop) sendCheckpoint(
	ctx context.Context, c *sharedCheckpoint, path string, lacks bool,
) (_ string, drop func(), err error) {
	g := l.o.Group
	drop = func() {}
	var failure error // of this rank; it is told after the last file
	if lacks {
		if path, failure = os.MkdirTemp("", "marge-checkpoint-*"); failure == nil {
			drop = func() { os.RemoveAll(path) }
		}
	}
	buffer := make([]byte, 4<<20)
	for _, file := range c.Files {
		var f *os.File
		if failure == nil && g.Rank() == 0 {
			f, failure = os.Open(filepath.Join(path, file.Name))
		} else if failure == nil && lacks {
			f, failure = os.Create(filepath.Join(path, filepath.Base(file.Name)))
		}
		for left := file.Size; left > 0; left -= int64(len(buffer)) {
			part := buffer[:min(left, int64(len(buffer)))]
			if failure == nil && g.Rank() == 0 {
				_, failure = io.ReadFull(f, part)
			}
			if err := g.Broadcast(0, part); err != nil {
				if f != nil {
					err = errors.Join(err, f.Close())
				}
				return "", drop, err
			}
			if failure == nil && lacks {
				_, failure = f.Write(part)
			}
		}
		if f != nil {
			failure = errors.Join(failure, f.Close())
		}
	}
	err = g.Together(ctx, func(context.Context) error {
		if failure == nil && lacks {
			failure = checkpoint.Verify(path)
		}
		if failure != nil {
			return fmt.Errorf("checkpoint %s of rank 0: %w", c.Name, failure)
		}
		return nil
	})
	return path, drop, err
}
