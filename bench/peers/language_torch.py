"""Training steps of the language models of bench/gpt.go in PyTorch: forward, backward, clipping, AdamW."""

import torch
from torch import nn
from torch.nn import functional as F

import gpt_torch

VOCABULARY = 4096


class LSTM(nn.Module):
    def __init__(self, width=512, layers=2):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.lstm = nn.LSTM(width, width, layers, batch_first=True)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, ids, targets):
        y, _ = self.lstm(self.embed(ids))
        return F.cross_entropy(self.head(y).flatten(0, 1), targets.flatten())


def training_step(kind, sequences, tokens, compiled):
    """Returns a function that does a step of gpt or lstm on random tokens."""
    if kind == "gpt":
        model = gpt_torch.GPT(VOCABULARY, gpt_torch.Sizes(layers=6, width=384, heads=6, kv_heads=6))
    else:
        model = LSTM()
    ids, targets = torch.randint(VOCABULARY, (2, sequences, tokens))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True)
    forward = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        loss = forward(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        return loss.item()

    return step
