"""Makes the files that layers and optimisers are compared with: what PyTorch computes for the same weights.

    layers_golden.py

For each layer, nn/testdata/layers.safetensors has its inputs and weights, the output `LAYER.y`, the weights `LAYER.dy`
of a sum of the output, and the gradient `LAYER.grad.NAME` of that sum by each input and weight. All is computed in
float64 and rounded. Sequences are packed: `LAYER.offsets` says where each document begins.

attention/testdata/attention.safetensors has kinds of self-attention and of Transformer blocks in the same form, and
nn/optim/testdata/optimizers.safetensors a matrix before and after a few updates, with the gradients of these.
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


def rotate(x, interleaved):
    """Rotary positions of x [length, heads, width]."""
    length, _, width = x.shape
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.outer(torch.arange(length).double(), frequencies)[:, None]
    turn = torch.polar(torch.ones_like(angles), angles)
    if interleaved:
        pairs = torch.view_as_complex(x.unflatten(2, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * turn).flatten(2)
    pairs = torch.complex(x[..., : width // 2], x[..., width // 2 :]) * turn
    return torch.cat([pairs.real, pairs.imag], dim=2)


class Attention(nn.Module):
    def __init__(self, width, heads, kv_heads=None, bias=True, rotary=None, window=0, causal=True):
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads or heads
        self.rotary, self.window, self.causal = rotary, window, causal
        self.q_proj = nn.Linear(width, width, bias)
        self.k_proj = nn.Linear(width, width // heads * self.kv_heads, bias)
        self.v_proj = nn.Linear(width, width // heads * self.kv_heads, bias)
        self.out_proj = nn.Linear(width, width, bias)

    def forward(self, x):
        q = self.q_proj(x).unflatten(1, (self.heads, -1))
        k, v = (p(x).unflatten(1, (self.kv_heads, -1)) for p in (self.k_proj, self.v_proj))
        if self.rotary:
            q, k = (rotate(t, self.rotary == "interleaved") for t in (q, k))
        mask = torch.ones(len(x), len(x), dtype=torch.bool)
        if self.causal:
            mask = mask.tril()
        if self.window:
            mask = mask.triu(1 - self.window)
        y = nn.functional.scaled_dot_product_attention(
            *(t.transpose(0, 1)[None] for t in (q, k, v)), attn_mask=mask, enable_gqa=True
        )
        return self.out_proj(y[0].transpose(0, 1).flatten(1))


class Block(nn.Module):
    def __init__(self, width, hidden, attention, norm, mlp, post):
        super().__init__()
        self.norm1, self.self_attn, self.norm2, self.mlp, self.post = norm(width), attention, norm(width), mlp, post

    def forward(self, x):
        if self.post:
            x = self.norm1(x + self.self_attn(x))
            return self.norm2(x + self.mlp(x))
        x = x + self.self_attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class FeedForward(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


def packed(name, m, lengths, width):
    weights = module(m)
    x = random(sum(lengths), width)
    record(name, {"x": x}, weights, torch.cat([m(part) for part in x.split(lengths)]))
    out[f"{name}.offsets"] = torch.tensor([sum(lengths[:i]) for i in range(len(lengths) + 1)], dtype=torch.int32)
    return x


def check_block(block, x):
    """The blocks with LayerNorm and GELU are PyTorch's own."""
    a, f = block.self_attn, block.mlp
    theirs = nn.TransformerEncoderLayer(
        x.shape[1], a.heads, f.fc1.out_features, 0, "gelu", norm_first=not block.post, batch_first=True
    ).double()
    state = {"self_attn.out_proj.weight": a.out_proj.weight, "self_attn.out_proj.bias": a.out_proj.bias}
    for part in ("weight", "bias"):
        state[f"self_attn.in_proj_{part}"] = torch.cat([getattr(p, part) for p in (a.q_proj, a.k_proj, a.v_proj)])
        for name, layer in (("linear1", f.fc1), ("linear2", f.fc2), ("norm1", block.norm1), ("norm2", block.norm2)):
            state[f"{name}.{part}"] = getattr(layer, part)
    theirs.load_state_dict(state)
    torch.testing.assert_close(theirs(x[None])[0], block(x))


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


def attentions():
    lengths = [3, 0, 7, 1]
    packed("half", Attention(12, 3, rotary="half"), lengths, 12)
    packed("interleaved", Attention(12, 3, rotary="interleaved", causal=False), lengths, 12)
    packed("grouped", Attention(16, 4, 2, rotary="half"), lengths, 16)
    packed("window", Attention(12, 3, window=3), [3, 0, 70, 1], 12)
    for name, post in ("pre", False), ("post", True):
        block = Block(12, 7, Attention(12, 3, causal=False), nn.LayerNorm, FeedForward(12, 7), post)
        x = packed(name, block, lengths, 12)
        check_block(block, x)
    attention = Attention(12, 6, 2, bias=False, rotary="half", window=4)
    packed("llama", Block(12, 7, attention, lambda n: nn.RMSNorm(n, eps=1e-5), SwiGLU(12, 7), False), lengths, 12)
    save("attention", "testdata", "attention.safetensors")


if __name__ == "__main__":
    layers()
    optimizers()
    attentions()
