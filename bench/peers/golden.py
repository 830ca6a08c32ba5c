"""Makes or checks the golden files in marge/testdata/golden: what the reference computes for small models.

    golden.py               write the files anew
    golden.py --check       compute loss, f and gradients of the files' weights again, and compare

`batch.json` is a reference batch, `unmasking.json` has documents with hidden tokens. Each other folder is a model, of one way to form g: its checkpoint and, in
`reference.safetensors`, loss, f and every gradient, computed in float64 and rounded to float32. `unmasking.safetensors`,
of one of them, has the loss of the hidden tokens and the gradients of what it depends on. The Go tests TestGolden and
TestGoldenUnmasking of package marge compare with them, without Python.
"""

import argparse
import json
import os
import sys

from safetensors.torch import load_file, save_file

import marge_torch
from marge_torch import Batch, Config, Marge

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(os.path.dirname(os.path.dirname(HERE)), "marge", "testdata", "golden")

# No two sizes that could be taken for each other are equal, and none is a multiple of a vector register. The models of
# the other poolings are as shallow as one can be, to keep the files small.
SHALLOW = Config(24, 12, 1, 14, 1, 0, 0, 1, 18, 2, 3, 10, dropout=0.1, attention_dropout=0.1)
MODELS = {
    "first": Config(24, 12, 2, 14, 1, 1, 10, 2, 18, 2, 3, 10, dropout=0.1, attention_dropout=0.1),
    "mean": Config(**{**vars(SHALLOW), "retrieval_pooling": "mean"}),
    "max": Config(**{**vars(SHALLOW), "retrieval_pooling": "max", "retrieval_dim": 20}),
}

# The gradient of beta is a sum of terms that nearly cancel; with these weights, enough of it is left to compare.
SEEDS = {"first": 3, "mean": 6, "max": 10}

# Lengths from 0 tokens to the longest; evidence 1 is a copy of target 0 and hidden from it, target 3 sees nothing, and
# targets have different languages.
BATCH = {
    "evidence": [[9, 20, 14], [7, 8, 21, 12, 16], [], [23, 4, 4, 10, 19, 11, 5, 22]],
    "targets": [[7, 8, 21, 12, 16], [9], [17, 13, 20, 14, 6, 18, 23, 15], [10, 10, 11]],
    "languages": [5, 4, 5, 6],
    "own": [[0, 1], [3, 0], [3, 1], [3, 2], [3, 3]],
}

# Documents alone, and a pair whose second begins with token 6, its <s>. The pair is longer than the model has positions.
UNMASKING = {
    "documents": [[9, 3, 14, 3, 7], [3, 8, 21, 12, 16, 2, 0, 3, 17, 20, 3, 6], [3]],
    "second": [0, 6, 0],
    "masked": [[[1, 20], [3, 11]], [[0, 7], [3, 12], [7, 23], [10, 13]], [[0, 18]]],
}

# Another version of PyTorch, on another processor, may order sums differently: in float64 that is far below the
# rounding of the files to float32, 6e-8.
BOUND = 1e-6


def reference(name):
    """Returns what the reference computes for the files of a model: by file, tensors by name."""
    folder = os.path.join(FOLDER, name)
    model = Marge.load(folder).double()
    files = {"reference": marge_torch.reference(model, Batch.load(os.path.join(FOLDER, "batch.json"), model.config))}
    if name == "first":
        with open(os.path.join(FOLDER, "unmasking.json"), encoding="utf-8") as file:
            documents = json.load(file)
        model.zero_grad()
        loss = model.unmask(**documents)
        loss.backward()
        gradients = {"grad." + name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        gradients = {name: gradient for name, gradient in gradients.items() if gradient.any()}
        files["unmasking"] = {name: t.float().contiguous() for name, t in {"loss": loss.detach().view(1), **gradients}.items()}
    return files


def write():
    os.makedirs(FOLDER, exist_ok=True)
    for name, values in {"batch": BATCH, "unmasking": UNMASKING}.items():
        with open(os.path.join(FOLDER, name + ".json"), "w", encoding="utf-8") as file:
            members = (f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items())
            file.write("{\n" + ",\n".join(members) + "\n}\n")
    for name, config in MODELS.items():
        model = Marge(config)
        model.randomise(SEEDS[name])
        model.save(os.path.join(FOLDER, name))
        for file, tensors in reference(name).items():
            save_file(tensors, os.path.join(FOLDER, name, file + ".safetensors"))


def check():
    """Returns how many tensors agree and how many do not."""
    passed = failed = 0
    for name in MODELS:
        for file, got in reference(name).items():
            path = os.path.join(FOLDER, name, file + ".safetensors")
            want = load_file(path)
            if want.keys() != got.keys():
                names = ", ".join(sorted(want.keys() ^ got.keys()))
                raise ValueError(f"{path}: only the file or only the reference has {names}")
            for key, tensor in want.items():
                difference = (got[key].double() - tensor.double()).norm().item()
                # The gradient of k_proj.bias is zero but for rounding: a softmax does not see what all its scores share.
                scale = max(tensor.double().norm().item(), 1e-6)
                if got[key].shape == tensor.shape and difference <= BOUND * scale:
                    passed += 1
                else:
                    failed += 1
                    print(f"{path}: {key} differs by {difference:.3g} from the file's, whose norm is {scale:.3g}")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    if not parser.parse_args().check:
        write()
        return 0
    passed, failed = check()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"golden: {error}")
