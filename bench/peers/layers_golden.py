"""Makes the files that layers and optimisers are compared with: what PyTorch computes for the same weights.

    layers_golden.py

For each layer, nn/testdata/layers.safetensors has its inputs and weights, the output `LAYER.y`, the weights `LAYER.dy` of a sum of the output,
and the gradient `LAYER.grad.NAME` of that sum by each input and weight. All is computed in float64 and rounded.
Sequences are packed: `LAYER.offsets` says where each document begins. nn/optim/testdata/optimizers.safetensors has a
matrix before and after a few updates, and the gradients of these.
"""

import os

import torch
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

out = {}


def record(name, inputs, weights, y):
    """Adds a layer whose output is y."""
    dy = torch.randn_like(y).float().double()
    tensors = {**inputs, **weights}
    grads = torch.autograd.grad((y * dy).sum(), list(tensors.values()))
    for key, value in [*tensors.items(), ("y", y), ("dy", dy)]:
        out[f"{name}.{key}"] = value.detach().float().contiguous()
    for key, grad in zip(tensors, grads):
        out[f"{name}.grad.{key}"] = grad.float().contiguous()


def random(*shape):
    """Returns a leaf whose values float32 holds."""
    return torch.randn(*shape).float().double().requires_grad_()


def module(m):
    """Sets random weights that float32 holds, and returns them by name."""
    m.double()
    for p in m.parameters():
        p.data = (0.5 * torch.randn_like(p)).float().double()
    return dict(m.named_parameters())


def simple(name, m, x):
    weights = module(m)
    record(name, {"x": x}, weights, m(x))


class SwiGLU(nn.Module):
    def __init__(self, width, ffn):
        super().__init__()
        self.gate_proj = nn.Linear(width, ffn, bias=False)
        self.up_proj = nn.Linear(width, ffn, bias=False)
        self.down_proj = nn.Linear(ffn, width, bias=False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


def recurrent(name, m, lengths, width, states):
    """Runs each document on its own, from random states."""
    weights = module(m)
    x = random(sum(lengths), width)
    initial = [random(m.num_layers, len(lengths), m.hidden_size) for _ in range(states)]
    ys, finals, at = [], [], 0
    for i, n in enumerate(lengths):
        h = tuple(s[:, i : i + 1] for s in initial)
        if n > 0:
            y, h = m(x[at : at + n].unsqueeze(0), h if states > 1 else h[0])
            ys.append(y[0])
            h = h if states > 1 else (h,)
        finals.append(torch.cat([s.reshape(m.num_layers, 1, -1) for s in h], dim=2))
        at += n
    # The output of all documents, and behind them their final states, as one matrix of rows of the hidden width.
    final = torch.cat(finals, dim=1).reshape(-1, m.hidden_size)
    y = torch.cat([*ys, final])
    record(name, {"x": x, **{f"initial{i}": s for i, s in enumerate(initial)}}, weights, y)
    out[f"{name}.offsets"] = torch.tensor([sum(lengths[:i]) for i in range(len(lengths) + 1)], dtype=torch.int32)


def optimizer(name, make):
    p = random(5, 7)
    out[f"{name}.before"] = p.detach().float().clone()
    grads = torch.randn(4, 5, 7).float()
    optimizer = make([p])
    for g in grads:
        p.grad = g.double()
        optimizer.step()
    out[f"{name}.gradients"], out[f"{name}.after"] = grads, p.detach().float()


def save(*path):
    file = os.path.join(ROOT, *path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    save_file(out, file)
    out.clear()


def layers():
    torch.manual_seed(1)
    simple("linear", nn.Linear(5, 3), random(4, 5))
    simple("layernorm", nn.LayerNorm(6), random(3, 6))
    simple("rmsnorm", nn.RMSNorm(6, eps=1e-3), random(4, 6))
    simple("swiglu", SwiGLU(5, 7), random(4, 5))
    embedding = nn.Embedding(6, 3, padding_idx=2)
    weights = module(embedding)
    embedding.weight.data[2] = 0
    ids = torch.tensor([2, 5, 0, 2, 5], dtype=torch.int32)
    record("embedding", {}, weights, embedding(ids))
    out["embedding.ids"] = ids
    lengths = [2, 5, 0, 1, 5, 3]
    recurrent("lstm", nn.LSTM(4, 5, num_layers=2, batch_first=True), lengths, 4, 2)
    recurrent("gru", nn.GRU(4, 5, num_layers=2, batch_first=True), lengths, 4, 1)
    save("nn", "testdata", "layers.safetensors")


def optimizers():
    optimizer("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.9, 0.95), eps=1e-4, weight_decay=0.2))
    optimizer("sgd", lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.2))
    optimizer("momentum", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.75, weight_decay=0.2))
    optimizer("nesterov", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.75, weight_decay=0.2, nesterov=True))
    save("nn", "optim", "testdata", "optimizers.safetensors")


if __name__ == "__main__":
    layers()
    optimizers()
