//go:build mpi

package mpi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Without a launcher a process is one rank, which can send to itself. The trainings
// of .ci/mpi.sh have several.
func TestOneRank(t *testing.T) {
	tr, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	if tr.Rank() != 0 || tr.Size() != 1 {
		t.Errorf("rank %d of %d", tr.Rank(), tr.Size())
	}
	if _, err := Open(); err == nil || !strings.Contains(err.Error(), "once in a process") {
		t.Errorf("opened again: error %v", err)
	}
	ctx := context.Background()
	got := make([]byte, 5)
	if err := tr.Exchange(ctx, 0, []byte("bytes"), 0, got); err != nil || string(got) != "bytes" {
		t.Errorf("%q, error %v", got, err)
	}
	want := "mpi: a message of 3 bytes where 5 are expected: the ranks do not do the same"
	if err := tr.Exchange(ctx, 0, []byte("abc"), 0, got); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	large := make([]byte, 9<<20)
	for i := range large {
		large[i] = byte(i * 7 >> 3)
	}
	same := make([]byte, len(large))
	if err := tr.Exchange(ctx, 0, large, 0, same); err != nil || string(same) != string(large) {
		t.Errorf("9 MiB: other bytes, error %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := tr.Exchange(cancelled, 0, nil, 0, got); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: error %v", err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Second/10)
	defer cancel()
	if err := tr.Exchange(soon, 0, nil, 0, got); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing comes: error %v", err)
	}
	if err := tr.Exchange(ctx, 0, []byte("bytes"), 0, got); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("after an error: error %v", err)
	}
	if err := errors.Join(tr.Close(), tr.Close()); err != nil {
		t.Error(err)
	}
}
