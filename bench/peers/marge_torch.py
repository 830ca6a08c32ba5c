"""MARGE (Lewis et al., "Pre-training via Paraphrasing", arXiv:2006.15020) in plain PyTorch.

An implementation of its own, written from the paper, to check the Go library against and to time it against. It reads
and writes the same checkpoints (config.json, model.safetensors) and the same reference batches.

    marge_torch.py --init tiny --seed 1 --checkpoint DIR              write random weights
    marge_torch.py --checkpoint DIR --batch FILE --out FILE           loss, relevance and gradients of a batch
    marge_torch.py --bench --init small --evidence 4 --targets 4      time training steps
"""

import argparse
import dataclasses
import json
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BOS, PAD, EOS = 0, 1, 2
IGNORED = -100  # what F.cross_entropy leaves out


@dataclasses.dataclass(frozen=True)
class Config:
    """The sizes of a model, under their names in config.json."""

    vocab_size: int
    d_model: int
    encoder_layers: int
    encoder_ffn_dim: int
    retrieval_layers: int
    decoder_base_layers: int
    decoder_base_ffn_dim: int
    decoder_layers: int
    decoder_ffn_dim: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    max_position_embeddings: int
    dropout: float = 0.1
    attention_dropout: float = 0.1
    # How g sums up the tokens of a document: the "first" as in the paper, their "mean", or the "max" over the tokens of
    # each of retrieval_dim linear functions.
    retrieval_pooling: str = "first"
    retrieval_dim: int = 0

    @property
    def embedding_dim(self):
        """The width of g."""
        return self.retrieval_dim if self.retrieval_pooling == "max" else self.d_model

    @classmethod
    def load(cls, directory):
        path = os.path.join(directory, "config.json")
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        if values.get("model_type") != "marge":
            raise ValueError(f"{path}: model_type is {values.get('model_type')!r}, not 'marge'")
        for name in ("unscaled_embeddings", "final_logits_bias"):  # of models that were an mBART
            if values.get(name):
                raise ValueError(f"{path}: this reference knows no {name}")
        known = {field.name for field in dataclasses.fields(cls)}
        missing = sorted(known - values.keys() - {"retrieval_pooling", "retrieval_dim"})
        if missing:
            raise ValueError(f"{path}: {', '.join(missing)} missing")
        if values.get("retrieval_pooling", "first") not in ("first", "mean", "max"):
            raise ValueError(f"{path}: retrieval_pooling is {values['retrieval_pooling']!r}")
        return cls(**{name: values[name] for name in known & values.keys()})

    def save(self, directory):
        values = {"architectures": ["Marge"], "model_type": "marge", **dataclasses.asdict(self)}
        with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
            json.dump(values, file, indent=2)
            file.write("\n")


SIZES = {
    "tiny": Config(8000, 128, 4, 512, 2, 1, 512, 2, 1024, 4, 4, 256),
    "small": Config(16000, 256, 6, 1024, 4, 2, 1024, 4, 2048, 4, 4, 512),
    "base": Config(32000, 512, 6, 2048, 4, 2, 2048, 6, 4096, 8, 8, 512),
    "paper": Config(250000, 1024, 12, 4096, 4, 4, 4096, 12, 16384, 16, 16, 1024),
}


@dataclasses.dataclass
class Batch:
    """Targets to reconstruct from evidence, as padded tensors.

    The documents enter the encoder as `<s> tokens </s>`; the decoder reads `[language] tokens` and predicts
    `tokens </s>`. M is the number of evidence documents, T that of targets, S the evidence tokens together.
    """

    evidence: Tensor  # [M, longest]
    evidence_mask: Tensor | None  # [M, 1, 1, longest], true at tokens; None if nothing is padded
    token_index: Tensor  # [S] places of the tokens in evidence.view(-1)
    token_document: Tensor  # [S] the evidence document of each
    targets: Tensor  # [T, longest]
    target_mask: Tensor | None
    decoder_input: Tensor  # [T, longest]
    labels: Tensor  # [T * longest], IGNORED at padding
    own: Tensor  # [T, M], true where the evidence is the target's own copy
    sees_evidence: Tensor  # [T, 1, 1, 1], false where every evidence document is the target's own

    @classmethod
    def collate(cls, evidence, targets, languages, own=()):
        """evidence and targets are lists of lists of token ids, languages the language token of each target, own the
        pairs (target, evidence) that must not see each other."""
        if not targets:
            raise ValueError("batch without targets")
        if len(languages) != len(targets):
            raise ValueError(f"{len(targets)} targets, {len(languages)} languages")
        own_mask = torch.zeros(len(targets), len(evidence), dtype=torch.bool)
        for target, document in own:
            if not (0 <= target < len(targets) and 0 <= document < len(evidence)):
                raise ValueError(f"own pair [{target}, {document}]: {len(targets)} targets, {len(evidence)} evidence documents")
            own_mask[target, document] = True

        evidence_ids, evidence_mask = pad([[BOS, *tokens, EOS] for tokens in evidence])
        target_ids, target_mask = pad([[BOS, *tokens, EOS] for tokens in targets])
        decoder_input, _ = pad([[language, *tokens] for language, tokens in zip(languages, targets)])
        labels, _ = pad([[*tokens, EOS] for tokens in targets], IGNORED)
        document, column = evidence_mask.nonzero(as_tuple=True)
        return cls(
            evidence=evidence_ids,
            evidence_mask=attention_mask(evidence_mask),
            token_index=document * evidence_ids.size(1) + column,
            token_document=document,
            targets=target_ids,
            target_mask=attention_mask(target_mask),
            decoder_input=decoder_input,
            labels=labels.view(-1),
            own=own_mask,
            sees_evidence=(~own_mask).any(1)[:, None, None, None],
        )

    @classmethod
    def load(cls, path, config):
        """Reads a reference batch: JSON with evidence, targets, languages, own."""
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        missing = sorted({"evidence", "targets", "languages"} - values.keys())
        if missing:
            raise ValueError(f"{path}: {', '.join(missing)} missing")
        if not all(0 <= language < config.vocab_size for language in values["languages"]):
            raise ValueError(f"{path}: a language outside the vocabulary of {config.vocab_size}")
        for name in ("evidence", "targets"):
            for i, tokens in enumerate(values[name]):
                if len(tokens) + 2 > config.max_position_embeddings:
                    raise ValueError(f"{path}: {name}[{i}] has {len(tokens)} tokens, the model has {config.max_position_embeddings} positions")
                if not all(0 <= token < config.vocab_size for token in tokens):
                    raise ValueError(f"{path}: {name}[{i}] has a token outside the vocabulary of {config.vocab_size}")
        return cls.collate(values["evidence"], values["targets"], values["languages"], values.get("own") or ())


    def to(self, device):
        """The batch on a device."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Batch(**{name: value if value is None else value.to(device) for name, value in values.items()})


def pad(rows, value=PAD):
    """Returns the rows as one [len(rows), longest] tensor and where it holds their elements."""
    width = max(map(len, rows), default=0)
    ids = torch.full((len(rows), width), value, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, : len(row)] = True
    return ids, mask


def attention_mask(mask):
    return None if mask.all() else mask[:, None, None, :]


class Attention(nn.Module):
    def __init__(self, d_model, heads, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, x):
        """[batch, tokens, d_model] to [batch, heads, tokens, d_head]"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, memory):
        return self.split(self.k_proj(memory)), self.split(self.v_proj(memory))

    def attend(self, x, keys, values, mask=None, causal=False):
        """The heads' outputs before out_proj, [batch, tokens, d_model]. A floating-point mask is added to the scores; it
        must have the type of the queries, since the CPU kernel of PyTorch 2.15 reads it as if it had."""
        attended = F.scaled_dot_product_attention(
            self.split(self.q_proj(x)), keys, values, attn_mask=mask, is_causal=causal, dropout_p=self.dropout if self.training else 0.0
        )
        return attended.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """A pre-norm Transformer layer; with cross_attention, the decoder's over all evidence."""

    def __init__(self, d_model, heads, ffn_dim, config, cross_attention=False):
        super().__init__()
        self.self_attn = Attention(d_model, heads, config.attention_dropout)
        self.self_attn_layer_norm = nn.LayerNorm(d_model)
        if cross_attention:
            self.encoder_attn = Attention(d_model, heads, config.attention_dropout)
            self.encoder_attn_layer_norm = nn.LayerNorm(d_model)
        self.fc1 = nn.Linear(d_model, ffn_dim)
        self.fc2 = nn.Linear(ffn_dim, d_model)
        self.final_layer_norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x, mask=None, causal=False, memory=None, bias=None, sees_evidence=None):
        h = self.self_attn_layer_norm(x)
        h = self.self_attn.attend(h, *self.self_attn.keys_values(h), mask, causal)
        x = x + self.dropout(self.self_attn.out_proj(h))
        if memory is not None:
            h = self.cross_attend(self.encoder_attn_layer_norm(x), memory, bias, sees_evidence)
            x = x + self.dropout(self.encoder_attn.out_proj(h))
        h = self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x + self.dropout(h)

    def cross_attend(self, x, memory, bias, sees_evidence):
        """Equation 4: softmax(q k / sqrt(d_head) + beta f) over the tokens of all evidence documents. memory [1, S, d_model] is
        projected once and shared by all targets; a target that sees no evidence gets zeros."""
        if memory.size(1) == 0:
            return torch.zeros_like(x)
        keys, values = (t.expand(x.size(0), -1, -1, -1) for t in self.encoder_attn.keys_values(memory))
        attended = self.encoder_attn.attend(x, keys, values, bias)
        return attended.masked_fill(~sees_evidence[:, 0], 0.0)


class Embedding(nn.Module):
    """What encoder and decoder begin and end with: tokens and positions, layernorm_embedding, and the last layer_norm."""

    def __init__(self, config):
        super().__init__()
        self.embed_positions = nn.Embedding(config.max_position_embeddings, config.d_model)
        self.layernorm_embedding = nn.LayerNorm(config.d_model)
        self.layer_norm = nn.LayerNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def embed(self, ids, shared, positions=None):
        """positions [documents, longest] are those of the tokens; without them they count from 0."""
        placed = self.embed_positions.weight[: ids.size(1)] if positions is None else self.embed_positions(positions)
        x = shared(ids) * shared.embedding_dim**0.5 + placed
        return self.dropout(self.layernorm_embedding(x))


class Encoder(Embedding):
    def __init__(self, config):
        super().__init__(config)
        self.retrieval_layers = config.retrieval_layers
        self.retrieval_pooling = config.retrieval_pooling
        if config.retrieval_pooling == "max":
            self.retrieval_proj = nn.Linear(config.d_model, config.retrieval_dim, bias=False)
        self.retrieval_layer_norm = nn.LayerNorm(config.embedding_dim)
        self.layers = nn.ModuleList(
            Layer(config.d_model, config.encoder_attention_heads, config.encoder_ffn_dim, config) for _ in range(config.encoder_layers)
        )

    def retrieve(self, ids, mask, shared):
        """Returns the outputs of the first retrieval_layers layers and g, [documents, embedding_dim]: their `<s>` row, or
        what else retrieval_pooling says, normed."""
        x = self.embed(ids, shared)
        for layer in self.layers[: self.retrieval_layers]:
            x = layer(x, mask)
        return x, self.retrieval_layer_norm(self.pool(x, mask))

    def pool(self, x, mask):
        """[documents, longest, d_model] to [documents, embedding_dim], over the tokens that the attention mask shows."""
        if self.retrieval_pooling == "first":
            return x[:, 0]
        padding = x.new_zeros(x.shape[:2], dtype=torch.bool) if mask is None else ~mask[:, 0, 0]
        padding = padding[:, :, None]
        if self.retrieval_pooling == "mean":
            return x.masked_fill(padding, 0.0).sum(1) / (~padding).sum(1)
        return self.retrieval_proj(x).masked_fill(padding, float("-inf")).amax(1)

    def finish(self, x, mask):
        for layer in self.layers[self.retrieval_layers :]:
            x = layer(x, mask)
        return self.layer_norm(x)


class Decoder(Embedding):
    def __init__(self, config):
        super().__init__(config)
        heads = config.decoder_attention_heads
        self.base_layers = nn.ModuleList(
            Layer(config.d_model, heads, config.decoder_base_ffn_dim, config) for _ in range(config.decoder_base_layers)
        )
        self.layers = nn.ModuleList(
            Layer(config.d_model, heads, config.decoder_ffn_dim, config, cross_attention=True) for _ in range(config.decoder_layers)
        )

    def forward(self, ids, memory, bias, sees_evidence, shared):
        # Padding comes last, so that the causal mask keeps it from every token.
        x = self.embed(ids, shared)
        for layer in self.base_layers:
            x = layer(x, causal=True)
        for layer in self.layers:
            x = layer(x, causal=True, memory=memory, bias=bias, sees_evidence=sees_evidence)
        return self.layer_norm(x)


class Marge(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config.vocab_size, config.d_model)
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.beta = nn.Parameter(torch.full((1,), 6.0))

    def forward(self, batch):
        """Returns the mean negative log-likelihood of the target tokens and the relevance f [T, M]."""
        _, targets_g = self.encoder.retrieve(batch.targets, batch.target_mask, self.shared)
        if batch.evidence.size(0) == 0:
            relevance = targets_g.new_zeros(targets_g.size(0), 0)
            memory, bias = targets_g.new_zeros(1, 0, targets_g.size(1)), None
        else:
            x, evidence_g = self.encoder.retrieve(batch.evidence, batch.evidence_mask, self.shared)
            relevance = F.normalize(targets_g, dim=-1) @ F.normalize(evidence_g, dim=-1).T
            memory = self.encoder.finish(x, batch.evidence_mask).flatten(0, 1)[batch.token_index][None]
            bias = self.bias(relevance, batch)
        x = self.decoder(batch.decoder_input, memory, bias, batch.sees_evidence, self.shared)
        logits = F.linear(x, self.shared.weight).flatten(0, 1)
        return F.cross_entropy(logits, batch.labels, ignore_index=IGNORED), relevance

    def unmask(self, documents, second, masked):
        """The mean negative log-likelihood of hidden tokens, given the encoder's last layer. second is where positions begin
        anew in each document, with an `<s>`, or 0; masked has lists of [place, token]."""
        ids, mask = pad([[BOS, *tokens, EOS] for tokens in documents])
        positions = torch.arange(ids.size(1)).repeat(len(documents), 1)
        for row, start in zip(positions, second):
            if start > 0:
                row[start + 1 :] -= start + 1
        positions *= mask  # no position of the padding is beyond the last
        x = self.encoder.embed(ids, self.shared, positions)
        for layer in self.encoder.layers:
            x = layer(x, attention_mask(mask))
        x = self.encoder.layer_norm(x)
        row, place, token = torch.tensor([(i, place, token) for i, m in enumerate(masked) for place, token in m]).T
        return F.cross_entropy(F.linear(x[row, place + 1], self.shared.weight), token)

    def bias(self, relevance, batch):
        """beta f for each evidence token, [T, 1, 1, S]; -inf at a target's own copy. A row without any evidence is left
        as it is, since a softmax over nothing is not a number, and its result is dropped."""
        hidden = batch.own & batch.sees_evidence[:, 0, 0]
        bias = (self.beta * relevance).masked_fill(hidden, float("-inf"))
        return bias[:, None, None, batch.token_document]

    @torch.no_grad()
    def randomise(self, seed):
        """Draws every parameter at random, biases and layer norms too, so that a comparison sees each of them."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in sorted(self.named_parameters()):
            if name == "beta":
                continue
            if "norm" in name:
                parameter.normal_(1.0 if name.endswith("weight") else 0.0, 0.1, generator=generator)
            elif parameter.dim() == 1:
                parameter.normal_(0.0, 0.1, generator=generator)
            else:
                parameter.normal_(0.0, parameter.size(1) ** -0.5, generator=generator)

    def save(self, directory):
        from safetensors.torch import save_file  # here, since timing needs PyTorch alone

        os.makedirs(directory, exist_ok=True)
        self.config.save(directory)
        save_file(self.state_dict(), os.path.join(directory, "model.safetensors"), metadata={"format": "pt"})

    @classmethod
    def load(cls, directory):
        from safetensors.torch import load_file

        model = cls(Config.load(directory))
        model.load_state_dict(load_file(os.path.join(directory, "model.safetensors")))
        return model


def reference(model, batch):
    """Returns loss, f and the gradient of every parameter, as the reference output names them."""
    model.eval()
    model.zero_grad()
    loss, relevance = model(batch)
    loss.backward()
    out = {"loss": loss.detach().view(1), "f": relevance.detach()}
    for name, parameter in model.named_parameters():
        out["grad." + name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return {name: tensor.float().contiguous() for name, tensor in out.items()}


def training_step(model, evidence, targets, tokens, compiled=False, autocast=False):
    """Returns a function that makes a whole training step (forward, backward, clip, AdamW) on random documents of equal
    length, which is less <s> and </s>, where the model is."""
    documents = torch.randint(4, model.config.vocab_size, (evidence + targets, tokens)).tolist()
    device = next(model.parameters()).device
    batch = Batch.collate(documents[:evidence], documents[evidence:], [4] * targets).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True)
    forward = torch.compile(model) if compiled else model
    model.train()

    def step():
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            loss, _ = forward(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return step


def benchmark(config, args):
    """Times whole training steps."""
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision(args.matmul)
    model = Marge(dataclasses.replace(config, dropout=args.dropout, attention_dropout=args.attention_dropout))
    model.randomise(args.seed)
    model.to(args.device)
    cuda = args.device == "cuda"
    step = training_step(model, args.evidence, args.targets, args.tokens, args.compile, args.autocast)
    seconds = []
    for i in range(args.warmup + args.steps):
        start = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        if i >= args.warmup:
            seconds.append(time.perf_counter() - start)
    predicted = args.targets * (args.tokens + 1)
    seconds.sort()
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "matmul": args.matmul,
        "autocast": args.autocast,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "compile": args.compile,
        "dropout": args.dropout,
        "attention_dropout": args.attention_dropout,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "evidence": args.evidence,
        "targets": args.targets,
        "tokens": args.tokens,
        "steps": args.steps,
        "step_seconds_best": seconds[0],
        "step_seconds_median": seconds[len(seconds) // 2],
        "target_tokens_per_second_best": predicted / seconds[0],
        "target_tokens_per_second_median": predicted / seconds[len(seconds) // 2],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--checkpoint", metavar="DIR", help="folder of config.json and model.safetensors")
    parser.add_argument("--init", choices=SIZES, help="write random weights of this size to --checkpoint; with --bench, the size to time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: all cores)")
    parser.add_argument("--batch", metavar="FILE", help="reference batch, JSON")
    parser.add_argument("--out", metavar="FILE", help="where loss, f and gradients go, safetensors")
    parser.add_argument("--double", action="store_true", help="compute in float64 (the output is float32 all the same)")
    bench = parser.add_argument_group("benchmark")
    bench.add_argument("--bench", action="store_true", help="time training steps and print the figures as JSON")
    bench.add_argument("--evidence", type=int, default=4, help="evidence documents of a batch")
    bench.add_argument("--targets", type=int, default=4, help="targets of a batch")
    bench.add_argument("--tokens", type=int, default=126, help="tokens of each document, less <s> and </s>")
    bench.add_argument("--dropout", type=float, default=0.1)
    bench.add_argument("--attention-dropout", type=float, default=0.0)
    bench.add_argument("--warmup", type=int, default=2)
    bench.add_argument("--steps", type=int, default=10)
    bench.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    bench.add_argument("--matmul", choices=("highest", "high"), default="highest", help="precision of products on a card: float32, or TF32")
    bench.add_argument("--autocast", action="store_true", help="compute in bfloat16 where autocast does")
    bench.add_argument("--compile", action="store_true", help="use torch.compile")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    if args.bench:
        if not args.init:
            parser.error("--bench needs --init")
        if args.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("PyTorch sees no card")
        print(json.dumps(benchmark(SIZES[args.init], args), indent=2))
    elif not args.checkpoint:
        parser.error("--checkpoint is missing")
    elif args.init:
        model = Marge(SIZES[args.init])
        model.randomise(args.seed)
        model.save(args.checkpoint)
    elif args.batch and args.out:
        from safetensors.torch import save_file

        model = Marge.load(args.checkpoint)
        if args.double:
            model.double()
        save_file(reference(model, Batch.load(args.batch, model.config)), args.out)
    else:
        parser.error("give --init, or --batch and --out, or --bench")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")
