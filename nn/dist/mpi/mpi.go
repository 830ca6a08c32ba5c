//go:build mpi

package mpi

/*
#cgo pkg-config: ompi-c
#include <mpi.h>
#include <time.h>

enum { tag = 7 };

// start returns an error of MPI, and the level of threads that it allows.
static int start(int *threads) {
	int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, threads);
	if (rc) return rc;
	return MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

static int ranks(int *rank, int *size) {
	int rc = MPI_Comm_rank(MPI_COMM_WORLD, rank);
	return rc ? rc : MPI_Comm_size(MPI_COMM_WORLD, size);
}

// pause_after lets a message that is waited for be polled without a pause at first,
// then with longer and longer ones: the other rank may be at work for minutes.
static void pause_after(double waited) {
	double seconds = waited < 2e-4 ? 0 : waited < 5e-3 ? 2e-5 : waited < 0.1 ? 2e-4 : 1e-3;
	if (seconds > 0) {
		struct timespec t = {0, (long)(seconds * 1e9)};
		nanosleep(&t, NULL);
	}
}

// exchange sends to a rank and receives from one. It returns an error of MPI, or
// timed_out after so many seconds. got is the number of bytes that came.
enum { timed_out = -1 };
static int exchange(int to, void *send, int nsend, int from, void *recv, int nrecv, double limit, int *got) {
	MPI_Request q[2];
	MPI_Status s[2];
	int n = 0, done = 0, rc;
	*got = 0;
	if (nrecv > 0 && (rc = MPI_Irecv(recv, nrecv, MPI_BYTE, from, tag, MPI_COMM_WORLD, &q[n++]))) return rc;
	if (nsend > 0 && (rc = MPI_Isend(send, nsend, MPI_BYTE, to, tag, MPI_COMM_WORLD, &q[n++]))) return rc;
	double began = MPI_Wtime();
	for (;;) {
		rc = MPI_Testall(n, q, &done, s);
		if (rc == MPI_ERR_IN_STATUS) { // the error of the request that failed says more
			for (int i = 0; i < n; i++)
				if (s[i].MPI_ERROR && s[i].MPI_ERROR != MPI_ERR_PENDING) return s[i].MPI_ERROR;
		}
		if (rc) return rc;
		if (done) return nrecv > 0 ? MPI_Get_count(&s[0], MPI_BYTE, got) : 0;
		double waited = MPI_Wtime() - began;
		if (waited > limit) return timed_out;
		pause_after(waited);
	}
}

static void describe(int rc, char *text) {
	int n;
	if (MPI_Error_string(rc, text, &n)) text[0] = 0;
}

static int finish(void) { return MPI_Finalize(); }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/marge-go/marge/nn/dist"
)

// transport is the rank of this process. One goroutine takes its jobs one after the
// other.
type transport struct {
	rank, size int
	jobs       chan func()
	over       bool // MPI has ended, or a message was given up: no more calls may be made
	// pinned has the memory of a message: MPI keeps its addresses over several calls,
	// and may write to that of one that was given up, which stays pinned.
	pinned runtime.Pinner
	once   sync.Once
	closed error
}

var opened sync.Once

// Open joins the ranks that a launcher such as mpirun has started. MPI can be opened
// once in a process; started without a launcher, the process is one rank of one.
func Open() (dist.Transport, error) {
	err := errors.New("mpi: opened before: MPI starts once in a process")
	t := &transport{jobs: make(chan func())}
	opened.Do(func() {
		go func() {
			runtime.LockOSThread()
			for job := range t.jobs {
				job()
			}
		}()
		t.do(func() {
			var threads, rank, size C.int
			if err = failure(C.start(&threads)); err == nil && threads < C.MPI_THREAD_FUNNELED {
				err = errors.New("this MPI cannot be used by a program with threads")
			}
			if err == nil {
				err = failure(C.ranks(&rank, &size))
			}
			t.rank, t.size = int(rank), int(size)
		})
		if err != nil {
			err = fmt.Errorf("mpi: start: %w", err)
		}
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// do runs a job on the thread that owns MPI.
func (t *transport) do(job func()) {
	done := make(chan struct{})
	t.jobs <- func() {
		defer close(done)
		job()
	}
	<-done
}

func (t *transport) Rank() int { return t.rank }
func (t *transport) Size() int { return t.size }

// forever is the limit of a context without a deadline, in seconds.
const forever = 1e9

// Exchange implements dist.Transport. A context ends it by its deadline alone: it is
// not seen when one is cancelled in the meantime.
func (t *transport) Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) (err error) {
	if len(send) > math.MaxInt32 || len(recv) > math.MaxInt32 {
		return fmt.Errorf("mpi: a message of %d bytes: want at most %d", max(len(send), len(recv)), math.MaxInt32)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("mpi: %w", err)
	}
	limit := forever
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(0, time.Until(deadline).Seconds())
	}
	t.do(func() {
		if t.over {
			err = errors.New("mpi: closed, or an earlier message was given up")
			return
		}
		var got C.int
		rc := C.exchange(C.int(to), t.pointer(send), C.int(len(send)), C.int(from), t.pointer(recv), C.int(len(recv)),
			C.double(limit), &got)
		switch {
		case rc == C.timed_out:
			t.over, err = true, fmt.Errorf("mpi: %w", context.DeadlineExceeded)
			return
		case rc != 0:
			t.over, err = true, fmt.Errorf("mpi: %w", failure(rc))
			return
		case int(got) != len(recv):
			err = fmt.Errorf("mpi: a message of %d bytes where %d are expected: the ranks do not do the same", got, len(recv))
		}
		t.pinned.Unpin()
	})
	return err
}

// pointer pins the memory of a message.
func (t *transport) pointer(x []byte) unsafe.Pointer {
	if len(x) == 0 {
		return nil
	}
	t.pinned.Pin(unsafe.SliceData(x))
	return unsafe.Pointer(unsafe.SliceData(x))
}

// finishTime is how long Close waits for the other ranks.
const finishTime = 30 * time.Second

// Close ends MPI together with the other ranks. After an error of Exchange it does
// nothing, and when the others do not come it gives up: the process is to end with
// an error, which makes the launcher end the others.
func (t *transport) Close() error {
	t.once.Do(func() {
		done := make(chan error, 1)
		go t.do(func() {
			var err error
			if !t.over {
				t.over, err = true, failure(C.finish())
			}
			done <- err
		})
		select {
		case t.closed = <-done:
		case <-time.After(finishTime):
			t.closed = fmt.Errorf("the other ranks have not ended within %v", finishTime)
		}
		if t.closed != nil {
			t.closed = fmt.Errorf("mpi: finish: %w", t.closed)
		}
	})
	return t.closed
}

// failure returns the error that a result of MPI stands for.
func failure(rc C.int) error {
	if rc == 0 {
		return nil
	}
	var text [C.MPI_MAX_ERROR_STRING]C.char
	C.describe(rc, &text[0])
	return fmt.Errorf("MPI error %d: %s", int(rc), C.GoString(&text[0]))
}
