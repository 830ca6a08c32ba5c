"""Compares the Go implementation with the PyTorch reference: loss, relevance and every gradient of reference batches.

    compare_parity.py --work DIR               examples/parity against marge_torch.py
    compare_parity.py --work DIR --program 'parity -backend cuda'    the same with a program that is built already
    compare_parity.py --work DIR --self        the reference against itself in float64, to try this program

Exits with 1 if anything differs by more than its bound. Two sets of weights are compared: those that the Go program
initialises, and random ones of the reference in which biases, layer norms and attention scores are far from zero.
"""

import argparse
import json
import math
import os
import random
import shlex
import subprocess
import sys

from safetensors.torch import load_file, save_file

import marge_torch
from marge_torch import Marge

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
LOSS_BOUND = 1e-5  # relative to 1
RELEVANCE_BOUND = 1e-5
GRADIENT_BOUND = 1e-4  # of the gradient's norm


def batches(config, seed):
    """Named reference batches that together reach every case."""
    generator = random.Random(seed)

    def documents(lengths):
        return [[generator.randrange(4, config.vocab_size) for _ in range(length)] for length in lengths]

    def languages(count):
        return [4 + i % 3 for i in range(count)]

    longest = min(config.max_position_embeddings - 2, 200)
    evidence = documents([17, 1, 40, 9])
    shared = documents([25, 3])
    return {
        "equal lengths": {"evidence": documents([32] * 3), "targets": documents([32] * 3), "languages": languages(3), "own": []},
        "ragged": {"evidence": evidence, "targets": documents([1, 31, 12, 2, 20]), "languages": languages(5), "own": []},
        # Targets 0 and 1 are their own evidence; target 2 may see one document alone.
        "own copies": {
            "evidence": shared + evidence,
            "targets": shared + documents([14]),
            "languages": languages(3),
            "own": [[0, 0], [1, 1], *([2, j] for j in range(6) if j != 3)],
        },
        "nothing visible": {
            "evidence": documents([8, 21]),
            "targets": documents([5, 6]),
            "languages": languages(2),
            "own": [[1, 0], [1, 1]],
        },
        "no evidence": {"evidence": [], "targets": documents([7, 10]), "languages": languages(2), "own": []},
        "full length": {"evidence": documents([longest, 5, 60]), "targets": documents([longest]), "languages": languages(1), "own": []},
    }


def differences(go, peer):
    """Yields (name, difference, bound) for everything that the two outputs hold."""
    if go.keys() != peer.keys():
        raise ValueError(f"only one of the outputs holds {', '.join(sorted(go.keys() ^ peer.keys()))}")
    for name in go:
        if go[name].shape != peer[name].shape:
            raise ValueError(f"{name}: shapes {list(go[name].shape)} and {list(peer[name].shape)}")
        difference = go[name].double() - peer[name].double()
        if name == "loss":
            yield name, difference.abs().item(), LOSS_BOUND
        elif name == "f":
            yield name, difference.abs().max().item(), RELEVANCE_BOUND
        else:
            yield name, difference.norm().item(), GRADIENT_BOUND * max(peer[scale].double().norm().item() for scale in scales(name))


def scales(name):
    """The gradients whose norm tells how large an error in this one is."""
    if name.endswith("k_proj.bias"):
        # Zero but for rounding: a softmax does not see what all its scores share.
        return [name.replace("k_proj", "q_proj")]
    if name == "grad.beta":
        # A single number, the sum of score gradients that nearly cancel; g gets the same ones. In float32 the reference
        # itself is off by up to 1.1e-4 of it.
        return [name, "grad.encoder.retrieval_layer_norm.weight"]
    return [name]


def run(*command):
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ValueError(f"{shlex.join(command)}: exit status {result.returncode}\n{result.stderr}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", required=True, metavar="DIR", help="folder for checkpoints, batches and outputs")
    parser.add_argument("--init", choices=marge_torch.SIZES, default="tiny", help="size of the model")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--double", action="store_true", help="let the reference compute in float64")
    parser.add_argument("--program", metavar="COMMAND", help="examples/parity, built, and its first arguments (default: build it)")
    parser.add_argument("--self", action="store_true", help="compare the reference in float32 with itself in float64")
    parser.add_argument("--rows", type=int, default=5, help="rows of the table for each batch, the worst first")
    args = parser.parse_args()

    work = os.path.abspath(args.work)
    os.makedirs(work, exist_ok=True)
    program, dash = [os.path.join(work, "parity")], "-"
    if args.self:
        program, dash = [sys.executable, os.path.join(HERE, "marge_torch.py")], "--"
    elif args.program:
        program = shlex.split(args.program)
    else:
        run("go", "build", "-o", program[0], "./examples/parity")

    def go(**options):
        run(*program, *(word for name, value in options.items() for word in (dash + name, str(value))))

    checkpoints = {"initial weights": os.path.join(work, "initial"), "random weights": os.path.join(work, "random")}
    go(init=args.init, seed=args.seed, checkpoint=checkpoints["initial weights"])
    model = Marge.load(checkpoints["initial weights"])
    model.randomise(args.seed + 1)
    model.save(checkpoints["random weights"])

    passed = failed = 0
    print(f"{'difference':>12} {'bound':>12} {'of bound':>9}  name")
    for weights, checkpoint in checkpoints.items():
        model = Marge.load(checkpoint)
        if args.double or args.self:
            model.double()
        for title, values in batches(model.config, args.seed).items():
            stem = os.path.join(work, f"{os.path.basename(checkpoint)}-{title.replace(' ', '-')}")
            with open(stem + ".json", "w", encoding="utf-8") as file:
                json.dump(values, file)
            go(checkpoint=checkpoint, batch=stem + ".json", out=stem + ".go.safetensors")
            want = marge_torch.reference(model, marge_torch.Batch.load(stem + ".json", model.config))
            got = load_file(stem + ".go.safetensors")
            if not values["evidence"]:
                # f is empty; a program may leave it out.
                del want["f"]
                got.pop("f", None)
            save_file(want, stem + ".torch.safetensors")

            rows = []
            for name, difference, bound in differences(got, want):
                ratio = difference / bound if bound > 0 else math.inf
                rows.append((0.0 if difference == 0 else ratio, difference, bound, name))
            # What is not a number is outside, too.
            bad = sum(not row[0] <= 1 for row in rows)
            passed, failed = passed + len(rows) - bad, failed + bad
            print(f"{weights}, {title}: {len(rows)} tensors, {bad} outside their bound")
            rows.sort(key=lambda row: -math.inf if math.isnan(row[0]) else -row[0])
            for ratio, difference, bound, name in rows[: max(args.rows, bad)]:
                print(f"{difference:12.3e} {bound:12.3e} {ratio:9.3f}  {name}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"compare_parity: {error}")
