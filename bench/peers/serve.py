"""Times workloads in other libraries, for the command in the folder ../compare.

    serve.py torch | compile | openblas LIBRARY | faiss | ctranslate2

LIBRARY is a file, or scipy_openblas32 for the build on the package index.

Reads requests as lines of JSON from standard input, {"spec": {...}, "threads": 1, "seconds": 0.1}, with the spec of the Go
type bench.Spec, and answers each with a line: {"seconds": the median over calls, "peak_mb": ..., "base_mb": ...}, or
{"error": ...}. The first line of output, before any request, is {"name": ...}.
"""

import ctypes
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np


def filled(*shape):
    """Numbers between -1 and 1, fast: a pattern over and over."""
    pattern = np.random.default_rng(1).uniform(-1, 1, 65521).astype(np.float32)
    return np.resize(pattern, shape)


def resident_mb():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


class Peer:
    """start(spec) prepares a workload and returns a function that computes it `repeats` times, or raises
    NotImplementedError."""

    repeats = 1

    def __init__(self):
        self.key = None
        self.run = None
        self.base = resident_mb()

    def measure(self, request):
        spec, threads = request["spec"], request["threads"]
        key = json.dumps([spec, threads], sort_keys=True)
        if key != self.key:
            self.key, self.run, self.repeats = None, None, 1
            self.set_threads(threads)
            self.run = self.start(spec)
            self.warm_up(*(1, 0.02) if spec["op"] in ("gemm", "matmul") else (3, 0.3))
            self.bind(threads)
            self.key = key
        if threads > 1 and spec["op"] != "step":
            self.time(request["seconds"] / 2)  # threads wake up
        return {
            "seconds": statistics.median(self.time(request["seconds"])) / self.repeats,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "base_mb": self.base,
        }

    def warm_up(self, least, seconds):
        """Memory is taken from the system in the first calls."""
        begin = time.perf_counter()
        for i in range(10):
            if i >= least and time.perf_counter() - begin > seconds:
                return
            self.run()

    def bind(self, threads):
        """Does what gives the threads cores of their own."""

    def time(self, seconds):
        """Returns the times of calls until they are that long together."""
        times, total = [], 0.0
        while total < seconds:
            start = time.perf_counter()
            self.run()
            times.append(time.perf_counter() - start)
            total += times[-1]
        return times


class OpenBLAS(Peer):
    def __init__(self, path):
        loop = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sgemm_loop.c")
        with tempfile.TemporaryDirectory() as folder:
            shared = os.path.join(folder, "loop.so")
            subprocess.run([os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", "-o", shared, loop], check=True)
            self.loop = ctypes.CDLL(shared).sgemm_loop
        self.loop.restype = None
        if path == "scipy_openblas32":
            import scipy_openblas32

            path = os.path.join(scipy_openblas32.get_lib_dir(), "libscipy_openblas.so")
        blas = ctypes.CDLL(path)
        # The build on the package index has a prefix before its names.
        prefix = "scipy_" if hasattr(blas, "scipy_cblas_sgemm") else ""
        self.sgemm = ctypes.cast(blas[prefix + "cblas_sgemm"], ctypes.c_void_p)
        self.set_threads = blas[prefix + "openblas_set_num_threads"]
        config, core = blas[prefix + "openblas_get_config"], blas[prefix + "openblas_get_corename"]
        config.restype = core.restype = ctypes.c_char_p
        self.name = f"OpenBLAS {config().decode().split()[1]} ({core().decode()} kernels)"
        self.check()
        self.cores = sorted(os.sched_getaffinity(0))
        super().__init__()

    def call(self, times, spec, a, b, c):
        m, n, k, kind = spec["m"], spec["n"], spec["k"], spec["kind"]
        pointer, long = ctypes.c_void_p, ctypes.c_long
        self.loop(
            self.sgemm, long(times), long(spec["batch"]), 112 if kind == "tn" else 111, 112 if kind == "nt" else 111, m, n, k,
            pointer(a.ctypes.data), m if kind == "tn" else k, pointer(b.ctypes.data), k if kind == "nt" else n, pointer(c.ctypes.data),
        )  # fmt: skip

    def check(self):
        """Some builds compute wrong results on processors newer than they are."""
        a, b, c = filled(3, 67, 301), filled(3, 301, 65), np.empty((3, 67, 65), np.float32)
        self.call(1, {"m": 67, "n": 65, "k": 301, "batch": 3, "kind": "nn"}, a, b, c)
        if not np.allclose(c, a.astype(float) @ b.astype(float), atol=1e-3):
            raise RuntimeError(f"{self.name} computes wrong products on this machine")

    def bind(self, threads):
        # After a pause the system at times leaves both threads on one core, where each waits for the other.
        for task in map(int, os.listdir("/proc/self/task")):
            first = task == os.getpid()
            os.sched_setaffinity(task, self.cores if threads == 1 else self.cores[:1] if first else self.cores[1:])

    def start(self, spec):
        if spec["op"] != "gemm":
            raise NotImplementedError
        m, n, k, batch = spec["m"], spec["n"], spec["k"], spec["batch"]
        a, b, c = filled(batch, m, k), filled(batch, n, k), np.zeros((batch, m, n), np.float32)
        self.repeats = max(1, int(1e7 / (m * n * k * batch)))
        return lambda: self.call(self.repeats, spec, a, b, c)


class Faiss(Peer):
    def __init__(self):
        import faiss

        self.faiss = faiss
        self.set_threads = faiss.omp_set_num_threads
        self.name = f"faiss {faiss.__version__} ({faiss.get_compile_options().strip()})"
        super().__init__()

    def start(self, spec):
        if spec["op"] != "topk":
            raise NotImplementedError
        random = np.random.default_rng(1)
        index = self.faiss.IndexFlatIP(spec["n"])
        for _ in range(0, spec["m"], 50_000):
            index.add(random.random((min(50_000, spec["m"]), spec["n"]), np.float32) - 0.5)
        queries = random.random((spec["batch"], spec["n"]), np.float32) - 0.5
        return lambda: index.search(queries, spec["k"])


class Torch(Peer):
    def __init__(self, compiled):
        import torch

        self.torch = torch
        self.compiled = compiled
        self.set_threads = torch.set_num_threads
        self.name = f"PyTorch {torch.__version__.split('+')[0]} ({torch.backends.cpu.get_cpu_capability()}, MKL {'yes' if torch.backends.mkl.is_available() else 'no'})"
        if compiled and os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
            import torch._inductor.config

            torch._inductor.config.cpp.simdlen = 256
        super().__init__()

    def tensor(self, *shape, grad=False):
        return self.torch.from_numpy(filled(*shape)).requires_grad_(grad)

    def start(self, spec):
        return getattr(self, spec["op"])(**{name: spec.get(name) for name in ("kind", "m", "n", "k", "batch")}, **{name: spec[name] for name in ("precision",) if name in spec})

    def gemm(self, kind, m, n, k, batch, precision=None):
        def operand(*shape):  # what is rounded before is the model's weights and activations
            return self.tensor(*shape).to(self.torch.bfloat16 if precision else self.torch.float32)

        a = operand(batch, k, m).mT if kind == "tn" else operand(batch, m, k)
        b = operand(batch, n, k).mT if kind == "nt" else operand(batch, k, n)
        c = self.torch.empty(batch, m, n, dtype=a.dtype)
        if batch > 1:
            return lambda: self.torch.bmm(a, b, out=c)
        a, b, c = a[0], b[0], c[0]
        return lambda: self.torch.mm(a, b, out=c)

    # The vector operations write to memory that exists where PyTorch has such a version of them.

    def softmax(self, m, n, **_):
        x, y = self.tensor(m, n), self.torch.empty(m, n)
        return lambda: self.torch.ops.aten._softmax.out(x, -1, False, out=y)

    def gelu(self, m, n, **_):
        x, y = self.tensor(m, n), self.torch.empty(m, n)
        return lambda: self.torch.ops.aten.gelu.out(x, out=y)

    def gelu_backward(self, m, n, **_):
        x, dy, dx = self.tensor(m, n), self.tensor(m, n), self.torch.empty(m, n)
        return lambda: self.torch.ops.aten.gelu_backward.grad_input(dy, x, grad_input=dx)

    def layernorm(self, m, n, **_):
        x, gamma, beta = self.tensor(m, n), self.tensor(n), self.tensor(n)
        return lambda: self.torch.native_layer_norm(x, [n], gamma, beta, 1e-5)

    def layernorm_backward(self, m, n, **_):
        x, dy, gamma, beta = self.tensor(m, n), self.tensor(m, n), self.tensor(n), self.tensor(n)
        _, mean, rstd = self.torch.native_layer_norm(x, [n], gamma, beta, 1e-5)
        return lambda: self.torch.ops.aten.native_layer_norm_backward(dy, x, [n], mean, rstd, gamma, beta, [True] * 3)

    def cross_entropy(self, m, n, **_):
        logits, targets = self.tensor(m, n, grad=True), self.torch.arange(m) * n // m

        def run():
            logits.grad = None
            self.torch.nn.functional.cross_entropy(logits, targets).backward()

        return run

    def adamw(self, m, n, **_):
        p = self.tensor(m, n, grad=True)
        p.grad = self.tensor(m, n)
        return self.torch.optim.AdamW([p], lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True).step

    def embedding_gradient(self, m, n, k, **_):
        table, x, ids = self.tensor(k, n), self.tensor(m, n), self.torch.arange(m) * 7919 % k
        return lambda: table.index_add_(0, ids, x)

    def ops(self, kind, m, n, batch, **_):
        """Single operations as a program writes them: results are in new memory, which the allocator keeps."""
        torch, x = self.torch, self.tensor(m, n)

        def binary(f, *shape):
            other = self.tensor(*shape)
            return lambda: f(x, other)

        match kind:
            case "sub" | "mul" | "div" | "maximum":
                do = binary(getattr(torch, kind), m, n)
            case "where":
                mask, y = self.tensor(m, n) > 0, self.tensor(m, n)
                do = lambda: torch.where(mask, x, y)
            case "mul_row":
                do = binary(torch.mul, n)
            case "mul_column":
                do = binary(torch.mul, m, 1)
            case "mul_transposed":
                other = self.tensor(n, m)
                do = lambda: x * other.T
            case "neg" | "abs" | "sqrt" | "exp" | "log" | "tanh" | "sin" | "relu" | "sigmoid":
                f = getattr(torch, kind)
                do = lambda: f(x)
            case "sum":
                do = lambda: x.sum()
            case "sum_rows":
                do = lambda: x.sum(1)
            case "sum_columns":
                do = lambda: x.sum(0)
            case "max_rows":
                do = lambda: x.amax(1)
            case "max_columns":
                do = lambda: x.amax(0)
            case "sum_inner":
                narrow = self.tensor(m * n // 16, 16)
                do = lambda: narrow.sum(1)
            case "softmax":
                do = lambda: torch.softmax(x, 1)
            case "softmax_columns":
                do = lambda: torch.softmax(x, 0)
            case "transpose":
                do = lambda: x.T.contiguous()
            case "permute_heads":
                heads = self.tensor(m // 512, 512, 16, n // 16)
                do = lambda: heads.permute(0, 2, 1, 3).contiguous()
            case "permute_images":
                images = self.tensor(m // 64, 64, 32, n // 32)
                do = lambda: images.permute(0, 2, 3, 1).contiguous()

        def run():
            for _ in range(batch):
                do()

        return run

    def matmul(self, kind, m, n, k, batch):
        """Products of views, which are made each time, as bench/matmul.go describes them."""
        torch, heads = self.torch, 8
        match kind:
            case "scores":
                a, b = self.tensor(batch, m, heads, k), self.tensor(batch, n, heads, k)
                return lambda: torch.matmul(a.permute(0, 2, 1, 3), b.permute(0, 2, 3, 1))
            case "scores_fused":
                x = self.tensor(batch, n, 3, heads, k)
                return lambda: torch.matmul(x[:, :, 0].permute(0, 2, 1, 3), x[:, :, 1].permute(0, 2, 3, 1))
            case "values":
                a, b = self.tensor(batch, heads, m, k), self.tensor(batch, k, heads, n)
                return lambda: torch.matmul(a, b.permute(0, 2, 1, 3))
            case "transposed_a":
                a, b = self.tensor(batch, k, m), self.tensor(batch, k, n)
                return lambda: torch.matmul(a.mT, b)
            case "transposed_both":
                a, b = self.tensor(batch, k, m), self.tensor(batch, n, k)
                return lambda: torch.matmul(a.mT, b.mT)
            case "shared":
                a, b = self.tensor(batch, m, k), self.tensor(k, n)
            case "broadcast":
                a, b = self.tensor(batch, 1, m, k), self.tensor(heads, k, n)
            case "batch" | "vectors":
                a, b = self.tensor(batch, m, k), self.tensor(batch, k, n)
        return lambda: torch.matmul(a, b)

    def attention(self, kind, m, n, k, batch):
        """Forward and backward, from queries as a linear layer leaves them, [documents, tokens, heads * width]."""
        documents, tokens = (4, n // 4) if kind == "biased" else (batch, n)
        q, dout = self.tensor(documents, tokens, m * k, grad=True), self.tensor(documents, tokens, m * k)
        # With a bias all targets share the tokens of all evidence.
        keys = (1, n) if kind == "biased" else (documents, tokens)
        key, value = self.tensor(*keys, m * k, grad=True), self.tensor(*keys, m * k, grad=True)
        bias = self.tensor(4, 4, grad=True) if kind == "biased" else None
        document = self.torch.arange(4).repeat_interleave(n // 4)

        def heads(x):
            return x.unflatten(-1, (m, k)).transpose(1, 2)

        def run():
            for leaf in (q, key, value, bias):
                if leaf is not None:
                    leaf.grad = None
            mask = None if bias is None else bias[:, None, None, document]
            keys, values = (heads(x).expand(documents, -1, -1, -1) for x in (key, value))
            out = self.torch.nn.functional.scaled_dot_product_attention(heads(q), keys, values, attn_mask=mask, is_causal=kind == "causal")
            out.transpose(1, 2).flatten(2).backward(dout)

        return run

    def step(self, kind, m, n, precision=None, **_):
        # A step that does not fit must fail, not take the machine down.
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_DATA, (available * 9 // 10, resource.RLIM_INFINITY))
        self.torch.manual_seed(1)
        if kind in ("gpt", "lstm"):
            import language_torch

            return language_torch.training_step(kind, m, n, self.compiled)
        import marge_torch

        model = marge_torch.Marge(marge_torch.dataclasses.replace(marge_torch.SIZES[kind], attention_dropout=0.0))
        model.randomise(1)
        return marge_torch.training_step(model, m, m, n - 2, self.compiled, autocast=precision == "bf16")


class CTranslate2(Peer):
    """Generation. The environment variable MARGE_GENERATE is the folder of the checkpoints, by size."""

    def __init__(self):
        import ctranslate2

        super().__init__()
        self.name = f"CTranslate2 {ctranslate2.__version__}"

    def set_threads(self, threads):
        self.threads = threads

    def bind(self, threads):
        pass

    def start(self, spec):
        from generate_ct2 import Generation

        checkpoint = os.path.join(os.environ["MARGE_GENERATE"], spec["kind"])
        compute_type = spec.get("precision") or "float32"
        return Generation(checkpoint, spec["batch"], spec["m"], spec["n"], spec["k"], self.threads, compute_type).run


def main():
    # Whatever libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        match sys.argv[1:]:
            case ["torch"]:
                peer = Torch(False)
            case ["compile"]:
                peer = Torch(True)
            case ["openblas", path]:
                peer = OpenBLAS(path)
            case ["faiss"]:
                peer = Faiss()
            case ["ctranslate2"]:
                peer = CTranslate2()
            case _:
                sys.exit(__doc__)
    except (ImportError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        print(json.dumps({"error": str(error)}), file=answers)
        return
    print(json.dumps({"name": peer.name}), file=answers)
    for line in sys.stdin:
        try:
            answer = peer.measure(json.loads(line))
        except Exception as error:  # one workload that fails must not end the others
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
