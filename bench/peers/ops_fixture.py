"""Writes or checks tensor/testdata/ops.json: what PyTorch computes for the operations of package tensor.

    ops_fixture.py           write the file anew
    ops_fixture.py --check   compute everything again and compare

Each case has an operation, whole numbers and other numbers that it is called with, inputs, results, and the gradients
of the sum of w*result, w from weights(), where the case has them. Inputs are float32 numbers, or integers; PyTorch
computes in float64. An input with "permute" is used as a view whose axes have that order. TestFixtures of package
tensor reads the file.
"""

import argparse
import json
import math
import os
import sys

import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "tensor", "testdata", "ops.json")

INF, NAN = math.inf, math.nan
SPECIAL = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 1e-40, 3e38, -0.5]
random = torch.Generator().manual_seed(5)
cases = []


def number(v):
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    v = float(f"{v:.7g}")
    return int(v) if v == int(v) and abs(v) < 1e15 and math.copysign(1, v) > 0 else v


def numbers(t):
    return [number(v) for v in t.double().flatten().tolist()]


class Input:
    """A tensor to be used as a view with another order of axes."""

    def __init__(self, values, shape=None, permute=None):
        self.leaf = torch.as_tensor(values).reshape(shape if shape is not None else [len(values)])
        if self.leaf.is_floating_point():
            self.leaf = self.leaf.float().double().requires_grad_()
        self.permute = permute

    def view(self):
        return self.leaf if self.permute is None else self.leaf.permute(self.permute)

    def record(self, grad):
        r = {"shape": list(self.leaf.shape), "data": numbers(self.leaf.detach())}
        if not self.leaf.is_floating_point():
            r["int"] = True
        if self.permute is not None:
            r["permute"] = self.permute
        if grad and self.leaf.grad is not None:
            r["grad"] = numbers(self.leaf.grad)
        return r


def draw(*shape, permute=None, low=-2.0, high=2.0):
    """Random numbers of two decimals; shape is that before the axes are permuted."""
    values = torch.rand(shape, generator=random, dtype=torch.float64) * (high - low) + low
    return Input((values * 100).round() / 100, shape, permute)


def special(*shape, shift=0):
    n = math.prod(shape)
    return Input(torch.tensor([SPECIAL[(i + shift) % len(SPECIAL)] for i in range(n)]), shape)


def ints(values, *shape):
    return Input(torch.tensor(values, dtype=torch.int64), shape or None)


def weights(n):
    return torch.tensor([0.25 + 0.5 * (i % 5 - 2) for i in range(n)], dtype=torch.float64)


def case(op, f, *inputs, args=(), values=(), grad=True):
    out = f(*[x.view() for x in inputs])
    out = list(out) if isinstance(out, (tuple, list)) else [out]
    first = out[0]
    if grad and first.requires_grad and first.numel() > 0:
        (first.flatten() * weights(first.numel())).sum().backward()
    else:
        grad = False
    c = {"op": op, "in": [x.record(grad) for x in inputs]}
    if args:
        c["args"] = list(args)
    if values:
        c["values"] = [number(v) for v in values]
    c["out"] = [{"shape": list(t.shape), "data": numbers(t.detach())} for t in out]
    cases.append(c)


def elementwise():
    positive = {"log", "sqrt", "rsqrt", "pow", "log1p"}
    unary = {
        "neg": torch.neg, "abs": torch.abs, "exp": torch.exp, "log": torch.log, "log1p": torch.log1p, "sqrt": torch.sqrt,
        "rsqrt": torch.rsqrt, "tanh": torch.tanh, "erf": torch.erf, "sin": torch.sin, "cos": torch.cos,
        "sigmoid": torch.sigmoid, "relu": torch.relu, "silu": F.silu, "gelutanh": lambda x: F.gelu(x, approximate="tanh"),
        "softplus": F.softplus, "gelu": F.gelu, "scale": lambda x: -2.5 * x,
    }
    for op, f in unary.items():
        low = 0.1 if op in positive else -2.0
        case(op, f, draw(2, 3, permute=[1, 0], low=low))
        if op == "gelu":  # at -Inf PyTorch has NaN; package tensor has the limit, 0
            case(op, f, Input(torch.tensor([v for v in SPECIAL if v != -INF])), grad=False)
        else:
            case(op, f, special(10), grad=False)
        if op in ("abs", "relu"):
            case(op, f, Input(torch.tensor([0.0, -1.0, 1.0])))
    binary = {
        "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow, "maximum": torch.maximum,
        "minimum": torch.minimum, "less": lambda a, b: (a < b).double(), "equal": lambda a, b: (a == b).double(),
    }
    for op, f in binary.items():
        low = 0.1 if op in positive else -2.0
        case(op, f, draw(3, 2, permute=[1, 0], low=low), draw(2, 1, low=low))
        case(op, f, draw(2, 1, 2, low=low), draw(3, 1, low=low))
        case(op, f, draw(low=low), draw(0, 3, low=low))
        case(op, f, draw(low=low), draw(low=low))
        case(op, f, special(10, 1), Input(torch.tensor([NAN, INF, -INF, 0.0, -1.0])), grad=False)
        if op in ("maximum", "minimum"):
            case(op, f, Input(torch.tensor([0.0, 1.0, 2.0])), Input(torch.tensor([0.0, 2.0, 1.0])))
    where = lambda m, a, b: torch.where(m.detach() != 0, a, b)
    case("where", where, Input(torch.tensor([0.0, 1.0, NAN])), draw(3, 2, permute=[1, 0]), draw(2, 1))
    case("where", where, Input(torch.tensor([0.0, 1.0])), special(2, shift=0), special(2, shift=1), grad=False)
    for low, high in ((-1.0, 1.0), (-INF, 0.5), (0.0, 0.0)):
        case("clamp", lambda x: torch.clamp(x, low, high), Input(torch.tensor([-2, -1, 0, 0.5, 1, 2, NAN, INF]), [2, 4], [1, 0]),
             values=(low, high))
        case("clamp", lambda x: torch.clamp(x, low, high), special(10), values=(low, high), grad=False)
    mask = lambda x, m: x.masked_fill(m.detach() != 0, 7.5)
    case("maskedfill", mask, draw(2, 3, 2, permute=[2, 0, 1]), Input(torch.tensor([0.0, 1.0, NAN])), values=(7.5,))
    case("maskedfill", mask, draw(), Input(torch.tensor(1.0), []), values=(7.5,))


def reductions():
    for op, f in {
        "sum": lambda x, d, k: torch.sum(x, d, k), "mean": lambda x, d, k: torch.mean(x, d, k),
        "variance": lambda x, d, k: torch.var(x, d, correction=1, keepdim=k),
        "norm": lambda x, d, k: torch.linalg.vector_norm(x, 2, d, k),
        "max": lambda x, d, k: torch.amax(x, d, k), "min": lambda x, d, k: torch.amin(x, d, k),
        "logsumexp": lambda x, d, k: torch.logsumexp(x, d, k),
    }.items():
        for keep in (0, 1):
            for axes in ([1], [0, 2], [-1, 1, 0]):
                case(op, lambda x: f(x, axes, bool(keep)), draw(2, 2, 3, permute=[2, 0, 1]), args=[keep] + axes)
        # The squares of 3e38 exceed float32, in PyTorch's float32, too.
        case(op, lambda x: f(x, [1], False), special(*((4, 2) if op == "norm" else (5, 2))), args=[0, 1], grad=False)
        case(op, lambda x: f(x, [1], False), draw(0, 2), args=[0, 1])
        if op not in ("max", "min"):
            case(op, lambda x: f(x, [0], False), draw(0, 2), args=[0, 0])
        if op in ("max", "min"):
            case(op, lambda x: f(x, [1], False), Input(torch.tensor([1.0, 1, 0, 1, 0, 0]), [2, 3]), args=[0, 1])
            case(op, lambda x: f(x, [], False), draw(), args=[0])
    for op, f in {"softmax": torch.softmax, "logsoftmax": torch.log_softmax}.items():
        for axis in (0, 1, -1):
            case(op, lambda x: f(x, axis), draw(2, 2, 3, permute=[1, 2, 0]), args=[axis])
        case(op, lambda x: f(x, 0), draw(2, 0), args=[0])
        case(op, lambda x: f(x, 1), Input(torch.tensor([1.0, NAN, -INF, -INF, 0, -INF, 3e9, -3e9]), [4, 2]), args=[1], grad=False)
    for axis in (0, 1, -1):
        case("cumsum", lambda x: torch.cumsum(x, axis), draw(2, 2, 3, permute=[1, 2, 0]), args=[axis])
        for op, f in {"argmax": torch.argmax, "argmin": torch.argmin}.items():
            for keep in (0, 1):
                case(op, lambda x: f(x, axis, bool(keep)), draw(2, 2, 3, permute=[1, 2, 0]), args=[axis, keep])
    case("cumsum", lambda x: torch.cumsum(x, 1), special(2, 5, shift=3), args=[1], grad=False)
    case("cumsum", lambda x: torch.cumsum(x, 1), draw(2, 0), args=[1])
    for op, f in {"argmax": torch.argmax, "argmin": torch.argmin}.items():
        case(op, lambda x: f(x, 1), Input(torch.tensor([1.0, NAN, NAN, 2, 1, 2, -INF, INF, INF, 0.0, -0.0, 0]), [4, 3]), args=[1, 0])
        case(op, lambda x: f(x, 1), draw(0, 2), args=[1, 0])


def shapes():
    case("reshape", lambda x: x.reshape(4, -1), draw(2, 2, 3, permute=[1, 2, 0]), args=[4, -1])
    case("reshape", lambda x: x.reshape([]), draw(1, 1))
    case("permute", lambda x: x.permute(2, 0, 1), draw(2, 2, 3), args=[2, 0, 1])
    case("slice", lambda x: x[:, 1:3], draw(3, 2, permute=[1, 0]), args=[1, 1, 3])
    case("slice", lambda x: x[:, 1:1], draw(2, 3), args=[1, 1, 1])
    case("concat", lambda x, y, z: torch.cat((x, y, z), -1), draw(2, 3, permute=[1, 0]), draw(3, 0), draw(3, 1), args=[-1])
    case("stack", lambda x, y: torch.stack((x, y), 1), draw(2, 3, permute=[1, 0]), draw(3, 2), args=[1])
    case("expand", lambda x: x.expand(2, 2, 3), draw(3, 1, permute=[1, 0]), args=[2, 2, 3])
    case("expand", lambda x: x.expand(2, 2), draw(), args=[2, 2])
    for before, after in ((0, 1), (2, 0)):
        case("pad", lambda x: F.pad(x, (0, 0, before, after), value=INF), draw(2, 3, permute=[1, 0]),
             args=[0, before, after], values=(INF,))
    case("pad", lambda x: F.pad(x, (1, 1)), draw(0), args=[0, 1, 1], values=(0,))
    case("repeat", lambda x: x.repeat(2, 1, 3), draw(2, 2, permute=[1, 0]), args=[2, 1, 3])
    case("repeat", lambda x: x.repeat(2, 0), draw(2, 2), args=[2, 0])
    case("repeat", lambda x: x.repeat(3), draw(), args=[3])
    for diagonal in (-1, 0, 2):
        case("tril", lambda x: torch.tril(x, diagonal), draw(2, 3, 4, permute=[0, 2, 1]), args=[diagonal])
        case("triu", lambda x: torch.triu(x, diagonal), draw(3, 4), args=[diagonal])
    case("tril", lambda x: torch.tril(x), special(3, 3), args=[0], grad=False)
    case("triu", lambda x: torch.triu(x, 1), draw(0, 3), args=[1])


def products():
    for trans in (0, 1):
        f = lambda a, b: a @ (b.transpose(-1, -2) if trans else b)
        last = (lambda k, n: (n, k)) if trans else (lambda k, n: (k, n))
        case("matmul", f, draw(2, 3), draw(*last(3, 2)), args=[trans])
        case("matmul", f, draw(3, 2, permute=[1, 0]), draw(*last(3, 2)[::-1], permute=[1, 0]), args=[trans])
        case("matmul", f, draw(2, 2, 2, 1, permute=[0, 2, 1, 3]), draw(2, 1, *last(1, 3)), args=[trans])
        case("matmul", f, draw(2, 1, 2, 3), draw(2, *last(3, 1)), args=[trans])
        case("matmul", f, draw(3, 2), draw(2, *last(2, 2)), args=[trans])
        case("matmul", f, draw(2, 2, 3), draw(*last(3, 2)), args=[trans])
        case("matmul", f, draw(2, 0), draw(*last(0, 3)), args=[trans])
        case("matmul", f, draw(0, 2, 3), draw(*last(3, 2)), args=[trans])
        case("matmul", f, Input(torch.tensor([NAN, 1, INF, 0, 2, 1.0]), [3, 2]), draw(*last(2, 1), low=1), args=[trans], grad=False)
    linear = lambda x, w, b: F.linear(x, w, b)
    case("linear", linear, draw(3, 2, 2, permute=[1, 2, 0]), draw(3, 2, permute=[1, 0]), draw(2))
    case("linear", linear, draw(2, 0), draw(2, 0), draw(2))
    case("linear", linear, draw(3), draw(2, 3), draw(2))
    case("outer", torch.outer, draw(3), draw(2))
    case("outer", torch.outer, draw(0), draw(2))


def indexing():
    x = lambda: draw(2, 2, 3, permute=[1, 2, 0])  # [2, 3, 2]
    for axis, index in ((1, ints([0, 2, 2, 1], 2, 1, 2)), (0, ints([1, 1, 0, 1, 0, 1], 1, 3, 2)), (2, ints([0, 1, 1], 1, 3, 1))):
        case("takealongdim", lambda a, i: torch.take_along_dim(a, i.expand(
            [n if d != axis else i.shape[d] for d, n in enumerate(a.shape)]), axis), x(), index, args=[axis])
    case("takealongdim", lambda a, i: torch.take_along_dim(a, i, 1), special(2, 5), ints([4, 3, 2, 1, 0, 0, 1, 2, 3, 4], 2, 5),
         args=[1], grad=False)
    case("takealongdim", lambda a, i: torch.take_along_dim(a, i, 1), draw(2, 3), ints([], 2, 0), args=[1])
    for axis in (0, 1, -1):
        case("indexselect", lambda a, i: a.index_select(axis, i), x(), ints([1, 0, 1]), args=[axis])
        case("indexadd", lambda a, i, s: a.index_add(axis, i, s), draw(2, 2, 2, permute=[1, 2, 0]), ints([1, 1]),
             draw(2, 2, 2), args=[axis])
    case("indexselect", lambda a, i: a.index_select(0, i), draw(2, 2), ints([], 0), args=[0])
    case("scatteradd", lambda a, i, s: a.scatter_add(1, i, s), draw(3, 2, permute=[1, 0]), ints([2, 2, 0, 1], 2, 2),
         draw(2, 2, permute=[1, 0]), args=[1])
    case("scatteradd", lambda a, i, s: a.scatter_add(0, i, s), draw(2, 2), ints([0, 1, 0, 0, 1, 1], 3, 2), draw(3, 2), args=[0])
    case("onehot", lambda i: F.one_hot(i, 4), ints([3, 0, 1, 1], 2, 2), args=[4])
    case("onehot", lambda i: F.one_hot(i, 2), Input(torch.tensor(1), []), args=[2])
    for k in (1, 3, 5):
        case("topk", lambda a: torch.topk(a, k), draw(5, 2, permute=[1, 0], low=-9, high=9), args=[k])
    case("topk", lambda a: torch.topk(a, 4), Input(torch.tensor([1.0, -INF, INF, NAN, 0])), args=[4], grad=False)
    case("topk", lambda a: torch.topk(a, 0), draw(2, 3), args=[0])


def losses():
    reductions = ["mean", "sum", "none"]
    weight = lambda: Input(torch.tensor([0.5, 2.0, 1.25, 0.0]))
    for r, name in enumerate(reductions):
        for smoothing in (0.0, 0.25):
            for ignore in (-100, 1):
                f = lambda x, t, w=None: F.cross_entropy(
                    x, t, None if w is None else w.detach(), ignore_index=ignore, label_smoothing=smoothing, reduction=name)
                targets = ints([3, 1, -100 if ignore < 0 else 1, 2])
                case("crossentropyloss", f, draw(4, 4, permute=[1, 0]), targets, args=[r, ignore], values=(smoothing,))
                case("crossentropyloss", f, draw(4, 4), targets, weight(), args=[r, ignore], values=(smoothing,))
    f = lambda x, t: F.cross_entropy(x, t, reduction="none")
    case("crossentropyloss", f, Input(torch.tensor([1.0, NAN, -INF, 0, 0, -INF, INF, 0, 3e9, -3e9]), [5, 2]),
         ints([0, 0, 1, 0, 1]), args=[2, -100], values=(0,), grad=False)
    case("crossentropyloss", lambda x, t: F.cross_entropy(x, t), draw(2, 3), ints([-100, -100]), args=[0, -100], values=(0,), grad=False)
    case("crossentropyloss", lambda x, t: F.cross_entropy(x, t), draw(0, 3), ints([]), args=[0, -100], values=(0,), grad=False)
    for r, name in enumerate(reductions):
        probabilities = lambda: draw(3, 2, permute=[1, 0], low=0.1, high=0.9)
        case("mse", lambda x, y: F.mse_loss(x, y, reduction=name), draw(2, 3), draw(3, 2, permute=[1, 0]), args=[r])
        case("bcewithlogits", lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction=name), draw(2, 3, low=-9, high=9),
             probabilities(), args=[r])
        case("kldiv", lambda x, y: F.kl_div(x, y, reduction=name), draw(2, 3), probabilities(), args=[r, 0])
        case("kldiv", lambda x, y: F.kl_div(x, y, reduction=name, log_target=True), draw(2, 3), draw(2, 3), args=[r, 1])
    case("kldiv", lambda x, y: F.kl_div(x, y, reduction="batchmean"), draw(2, 3), draw(2, 3, low=0.1), args=[3, 0])
    case("kldiv", lambda x, y: F.kl_div(x, y.detach(), reduction="none"), draw(3), Input(torch.tensor([0.0, 1.0, 0.5])), args=[2, 0])
    case("bcewithlogits", lambda x, y: F.binary_cross_entropy_with_logits(x, y.detach(), reduction="none"),
         Input(torch.tensor([1000.0, -1000, 0, NAN, 90, -90])), Input(torch.tensor([0.0, 1, 1, 1, 1, 0])), args=[2])
    case("mse", lambda x, y: F.mse_loss(x, y), draw(0, 2), draw(0, 2), args=[0], grad=False)


def replacements():
    """Elements that are replaced, each once: PyTorch does not say which of several stays."""
    case("scatter", lambda a, i, s: a.scatter(1, i, s), draw(3, 2, permute=[1, 0]), ints([2, 1, 0, 1], 2, 2),
         draw(2, 2, permute=[1, 0]), args=[1])
    case("scatter", lambda a, i, s: a.scatter(0, i, s), draw(3, 2), ints([0, 2], 1, 2), draw(1, 2), args=[0])
    case("scatter", lambda a, i, s: a.scatter(0, i, s), special(5, 2), ints([4, 1, 0, 0], 2, 2), special(2, 2, shift=1),
         args=[0], grad=False)
    case("scatter", lambda a, i, s: a.scatter(0, i, s), draw(2, 2), ints([], 0, 2), draw(0, 2), args=[0])


def more_losses():
    weighted = lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, pos_weight=w.detach(), reduction="none")
    case("bcewithlogits", weighted, draw(2, 3, low=-9, high=9), draw(2, 3, low=0.1, high=0.9), draw(3, low=0.1, high=3), args=[2])
    case("bcewithlogits", lambda x, y, w: weighted(x, y.detach(), w),
         Input(torch.tensor([1000.0, -1000, 0, NAN, 90, -90])), Input(torch.tensor([0.0, 1, 1, 1, 1, 0])),
         Input(torch.tensor([0.0, 2.5]).repeat(3)), args=[2])
    for r, name in enumerate(["mean", "sum", "none"]):
        f = lambda x, t, w=None: F.cross_entropy(
            x.movedim(-1, 1), t, None if w is None else w.detach(), ignore_index=1, label_smoothing=0.25, reduction=name)
        targets = Input(torch.tensor([0, 1, 2, 2, 0, 1]), [3, 2], permute=[1, 0])
        case("crossentropyloss", f, draw(2, 3, 3, permute=[0, 2, 1]), targets, args=[r, 1], values=(0.25,))
        case("crossentropyloss", f, draw(2, 3, 3), targets, Input(torch.tensor([0.5, 2.0, 1.25])), args=[r, 1], values=(0.25,))


def same(x, y):
    """Whether two cases, or parts of them, are equal up to rounding in the last digit."""
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        return math.isclose(x, y, rel_tol=3e-7, abs_tol=1e-12)
    if isinstance(x, list) and isinstance(y, list):
        return len(x) == len(y) and all(map(same, x, y))
    if isinstance(x, dict) and isinstance(y, dict):
        return x.keys() == y.keys() and all(same(x[k], y[k]) for k in x)
    return x == y


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the file instead of writing it")
    check = parser.parse_args().check
    for make in (elementwise, reductions, shapes, products, indexing, losses, replacements, more_losses):
        make()
    text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
    if not check:
        with open(FILE, "w") as f:
            f.write(text)
        return
    with open(FILE) as f:
        if not same(json.load(f), json.loads(text)):
            sys.exit(f"{FILE} is not what PyTorch {torch.__version__} computes")


if __name__ == "__main__":
    main()
