"""The model of examples/gpt in PyTorch: same sizes, text, batches and schedule.

    go run ./examples/gpt -write first -seed 1
    python gpt_torch.py first/text.txt --steps 500 --seed 1 --weights first/model.safetensors
    go run ./examples/gpt -steps 500 -seed 1

Both print the loss of every 50th update and that of the same validation batches. Here they begin with the same weights,
and the losses are the same to about three digits; without --weights they are drawn anew.
"""

import argparse
import dataclasses
import math
import re
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

CONTEXT, BATCH = 256, 8


@dataclasses.dataclass
class Sizes:
    layers: int = 4
    width: int = 192
    heads: int = 6
    kv_heads: int = 3


def rotate(x, cos, sin):
    """Rotary positions of x [batch, heads, length, width], pairs being columns i and i + width/2."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Block(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.sizes, width = sizes, sizes.width
        kv, hidden = width // sizes.heads * sizes.kv_heads, width * 8 // 3
        self.norm1, self.norm2 = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        self.q, self.k, self.v = (nn.Linear(width, n, bias=False) for n in (width, kv, kv))
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        h = self.norm1(x)
        q, k, v = (
            p(h).unflatten(2, (n, -1)).transpose(1, 2)
            for p, n in ((self.q, self.sizes.heads), (self.k, self.sizes.kv_heads), (self.v, self.sizes.kv_heads))
        )
        grouped = self.sizes.heads != self.sizes.kv_heads
        h = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True, enable_gqa=grouped
        )
        x = x + self.out(h.transpose(1, 2).flatten(2))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class GPT(nn.Module):
    def __init__(self, vocabulary, sizes):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.norm = nn.RMSNorm(sizes.width, eps=1e-5)
        self.head = nn.Linear(sizes.width, vocabulary, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)
        width = sizes.width // sizes.heads
        frequencies = 10000.0 ** (-torch.arange(0, width, 2) / width)
        angles = torch.outer(torch.arange(CONTEXT), frequencies)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, ids, targets):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


class Batches:
    """Draws the sequences that examples/gpt draws."""

    def __init__(self, text, state):
        self.text, self.state = text, state

    def next(self):
        starts = []
        for _ in range(BATCH):
            self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
            starts.append((self.state >> 33) % (len(self.text) - CONTEXT))
        rows = torch.stack([self.text[at : at + CONTEXT + 1] for at in starts])
        return rows[:, :-1], rows[:, 1:]


def rate(done):
    """Learning rate after a share of the training, in thousandths: 50 of warm-up, then half a cosine."""
    n = int(1000 * done)
    if n >= 1000:
        return 2e-4
    if n < 50:
        return 2e-3 * n / 50
    return 2e-4 + (2e-3 - 2e-4) * (1 + math.cos(math.pi * (n - 50) / 950)) / 2


def validate(model, text):
    batches = Batches(text, 0)
    with torch.no_grad():
        return sum(model(*batches.next()).item() for _ in range(8)) / 8


def load(model, path):
    """Sets the weights to those in a file of examples/gpt, whose names have parts that are missing here."""
    state = {re.sub(r"self_attn\.|mlp\.|_proj", "", name): t for name, t in load_file(path).items()}
    state.update((name, buffer) for name, buffer in model.named_buffers())
    model.load_state_dict(state)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--weights", help="begin with the weights in this file")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    with open(args.text, encoding="utf-8", newline="") as file:
        text = file.read()
    vocabulary = sorted(set(text))
    number = {c: i for i, c in enumerate(vocabulary)}
    ids = torch.tensor([number[c] for c in text])
    cut = len(ids) * 9 // 10
    model = GPT(len(vocabulary), Sizes())
    count = sum(p.numel() for p in model.parameters())
    print(f"{len(ids)} characters, {len(vocabulary)} different ones, {count} parameters")
    if args.weights:
        load(model, args.weights)

    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-6)
    forward = torch.compile(model) if args.compile else model
    batches, start = Batches(ids[:cut], args.seed), time.time()
    for step in range(1, args.steps + 1):
        optimizer.zero_grad()
        loss = forward(*batches.next())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        for group in optimizer.param_groups:
            group["lr"] = rate(step / args.steps)
        optimizer.step()
        if step % 50 == 0 or step == args.steps:
            speed = step * BATCH * CONTEXT / (time.time() - start)
            print(
                f"{100 * step / args.steps:3.0f}%: step {step}, loss {loss.item():.3f}, "
                f"validation {validate(model, ids[cut:]):.3f}, {speed:.0f} characters/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
