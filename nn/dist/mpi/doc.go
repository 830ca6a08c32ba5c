// Package mpi is the transport of package nn/dist between machines, on MPI. It is
// in programs that are built with the tag mpi, with cgo, against Open MPI (Debian's
// packages openmpi-bin and libopenmpi-dev); in others [Open] returns an error.
//
//	go build -tags mpi ./examples/pretrain
//	mpirun --bind-to none -np 2 ./pretrain -dist mpi -replicas 2 -out DIR ...
//
// MPI moves bytes and does nothing else, so that sums do not depend on which
// algorithm an MPI chooses. One goroutine, locked to its thread, makes all calls:
// MPI_THREAD_FUNNELED is all that is asked for. While it waits for another rank it
// polls, at first without a pause, then up to a thousand times a second.
//
// When a rank fails, the job is over: MPI ends as a whole, and a training is
// started again with -resume. A rank that is killed ends the others through the
// launcher within seconds; one that is silent (stopped, or behind a cut cable) ends
// them after the group's deadline, with an error that names it. mpirun gives ranks
// one second from SIGTERM to SIGKILL, too little to write a large checkpoint: how much
// work is lost depends on how often checkpoints are written. docs/scale.md in this
// repository is the way to a training on many nodes.
//
// # Launchers
//
// Run in the tests of this repository (.ci/mpi.sh): mpirun of Open MPI 4.1 on one
// machine.
//
//	mpirun --bind-to none -np 2 ./pretrain -dist mpi -replicas 2 ...
//
// --bind-to none matters: without it mpirun binds each rank of a job of two or
// fewer to one core, and the program sees one processor. Ranks that share the
// cores of a machine need --oversubscribe where there are more ranks than cores,
// and GOMAXPROCS, so that each takes its part.
//
// Not run here: several machines by ssh,
//
//	mpirun --bind-to none -np 8 --host a:4,b:4 --mca btl tcp,self --mca btl_tcp_if_include 10.0.0.0/24 ./pretrain ...
//
// where a time limit around mpirun is needed: when a cable is pulled, ranks end
// after the deadline, but mpirun may hang. Not run here: Slurm,
//
//	srun --mpi=pmix -N 64 --ntasks-per-node=1 --cpu-bind=none ./pretrain -dist mpi -resume ...
//
// in a job with --requeue and a time limit, with -out in a directory that all nodes
// share. Not run here: Kubernetes, by the MPI operator: an MPIJob (v2beta1) with
// slotsPerWorker 1, backoffLimit 10 and activeDeadlineSeconds, whose launcher runs
// the mpirun above with -resume, and -out on a volume that all pods share.
package mpi
