"""Compares the vectors of g in the Python package sentence-transformers with those of the Go library.

    sentence_transformers_parity.py

A Go test writes a directory for every way in which g sums up a text, by Model.SaveSentenceTransformers, and the vectors
of some texts by Model.Encode. The package loads the directories, encodes the texts in batches with padding, saves
the models and loads them again. Exits with 1 if a value differs by more than 1e-5. Needs Go, PyTorch and
sentence-transformers 5 or later.
"""

import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
BOUND = 1e-5


def difference(model, values):
    """Returns the greatest difference of a model's vectors."""
    import numpy

    want = numpy.array(values["vectors"], dtype=numpy.float32)
    got = model.encode(values["texts"], batch_size=3, show_progress_bar=False)
    dimension = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    if got.shape != want.shape or dimension() != want.shape[1]:
        raise ValueError(f"vectors {got.shape}, want {want.shape}")
    alone = numpy.stack([model.encode(text, show_progress_bar=False) for text in values["texts"]])
    return max(float(abs(got - want).max()), float(abs(alone - want).max()))


def main():
    with tempfile.TemporaryDirectory() as work:
        # Copies of the code of models go below it; everything is on this machine.
        os.environ |= {"HF_HOME": os.path.join(work, "home"), "HF_HUB_OFFLINE": "1", "MARGE_PEERS": work}
        command = ["go", "test", "-count=1", "-run", "^TestSaveSentenceTransformers$", "./marge"]
        subprocess.run(command, cwd=REPOSITORY, check=True)

        from sentence_transformers import SentenceTransformer, __version__

        print("sentence-transformers", __version__)
        root, good = os.path.join(work, "sentence_transformers"), True
        for name in sorted(entry for entry in os.listdir(root) if not entry.endswith(".json")):
            path = os.path.join(root, name)
            with open(path + ".json", encoding="utf-8") as file:
                values = json.load(file)
            for title in (name, name + ", saved again"):
                model = SentenceTransformer(path, trust_remote_code=True, device="cpu", local_files_only=True)
                worst = difference(model, values)
                print(f"{worst:12.3e} {BOUND:12.3e}  {title}")
                good &= worst <= BOUND
                path += "-again"
                model.save(path, create_model_card=False)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"sentence_transformers_parity: {error}")
