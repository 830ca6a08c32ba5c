// Package gpu computes on NVIDIA cards: a [tensor.Backend] of its own kernels on
// the CUDA driver. It needs the build tag cuda. Importing it registers the backend
// "cuda":
//
//	import _ "github.com/marge-go/marge/gpu"
//
//	b, err := tensor.Open("cuda")
//
// A binary with the tag starts on every machine. Where there is no card or no
// driver, Open returns an error that says so. Without the tag it says that, and
// nothing else of this package is in the binary.
//
// # State
//
// The tests pass on an H100, and, without a card, on an emulated driver, which
// executes the kernels' PTX on the processor and checks bounds and races.
// bench/gpu/RESULTS.md has times beside PyTorch's.
//
// # Building
//
// Neither a CUDA toolkit nor a card is needed, but cgo and a C compiler on Linux:
//
//	export CGO_CFLAGS="-I$PWD/gpu/include"    # the package's own cuda.h
//	go build -tags cuda ./...
//
// Where marge is a dependency, the folder is that of
// go list -f {{.Dir}} github.com/marge-go/marge/gpu.
//
// # Running
//
// Cards of compute capability 8.0 (Ampere) and later, with a driver for CUDA 11.0
// or later (450 on). The driver compiles the kernels when they are first used,
// which takes seconds on a fresh machine. Other libraries are not needed. Where
// cuBLAS is there, it can compute large products.
//
//	MARGE_CUDA_DEVICE      the card that tensor.Open takes, from 0 on
//	MARGE_CUDA_PRECISION   fp32, tf32 or bf16: how it multiplies matrices
//	MARGE_CUBLAS           on, or the path of a libcublas.so of CUDA 11.2 or later
//	MARGE_CUDA_SYNC=1      wait after every kernel: an error names the one that failed
//	MARGE_LIBCUDA          path of the driver's library, libcuda.so.1
//
// Tensors are float32 in every precision. The same seed gives the same bits on
// cards of one kind, in the same precision: no sum depends on the order in which threads
// run, nor on how many a card has. With cuBLAS bits are those of its version and of
// the card, which is why it is not used unless asked for.
//
// Memory of tensors that the program has dropped is used again after a garbage
// collection, which happens when the card has too little. Close gives back all
// memory; a backend that is not closed keeps it until the process ends.
//
// A failure of the card or the driver is a panic with a *tensor.BackendError, which
// wraps an *Error; [tensor.Recover] turns it into an error. After a fault in a
// kernel the driver refuses all further work of the process, which must be started
// again.
//
// # Not supported
//
// Several cards for one model, cards of other makers, Windows and macOS, and
// storage in bfloat16.
//
// # Licence
//
// The package is Apache-2.0, as all of marge. It calls the driver through
// github.com/mumax/3/cuda/cu, which is under the GPL, version 3 or later, with a
// permission to combine it with NVIDIA's CUDA libraries. A binary built with the
// tag is therefore under the GPL; one without is not. Nothing of NVIDIA's is part
// of this package.
package gpu
