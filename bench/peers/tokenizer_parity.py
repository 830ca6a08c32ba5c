"""Compares marge/tokenizer with the Python packages `tokenizers` and `sentencepiece`.

    pip install tokenizers sentencepiece
    python bench/peers/tokenizer_parity.py compare -t tokenizer.json FILE.jsonl.gz ...
    python bench/peers/tokenizer_parity.py compare -t spiece.model FILE.jsonl.gz ...
    python bench/peers/tokenizer_parity.py train --vocab 8000 FILE.jsonl.gz ...
    python bench/peers/tokenizer_parity.py fixture

`compare` encodes every document of the files, whole and line by line, with both
and fails on any difference in ids, or, for a vocabulary of this project, if the
Python package does not decode its ids to the text. `train` trains a vocabulary with both and compares the files.
`fixture` writes marge/tokenizer/testdata/{tokenizer,parity}.json, which the Go
tests compare with. Run it from anywhere; it needs `go` on the path.
"""

import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import sentencepiece
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    pre_tokenizers,
    processors,
    trainers,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "marge/tokenizer/testdata"
SPLIT = (
    r" ?[\p{L}\p{M}\u200C\u200D]+| ?\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{M}\p{N}\u200C\u200D]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
BATCH = 2000

# What the fixture encodes besides every line of corpus.txt.
TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "a",
    " a",
    "a ",
    "  a  b   c",
    "one\ntwo\n\nthree\n\n\n  four \n",
    "tab\tand\r\nCRLF\r\n\r\nend\r",
    "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0x\u1680y\u2000\u2003 \u2028\u2029\u202f\u205f\u3000z",
    "\u180enot a space\u200bzero\u200b width\u2060joiner\ufeffmark",
    "\x00\x01\x7f\x80\x9f\xad",
    "1 12 123 1234 12345 123456 ١٢٣٤ १२३४ 一二三 Ⅷ ½ ² ①②③④ 𝟘𝟙𝟚𝟛",
    "3.14159, 1,000,000.00; 2024-12-31T23:59:60Z +49 (0)30 1234567",
    "don't can't we'll I'M THEY'RE it’s l’été",
    "cafe\u0301 e\u0301 \u0301 \u0301\u0301a a\u20dd Z\u0351\u036b\u0343a\u0363l\u0348g\u0321o\u0347",
    "क्षि क्\u200dष क्\u200cष श्री हिन्दी",
    "می\u200cخواهم نمی\u200cشود \u200c\u200d",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ น้ำ ที่นี่",
    "ལྷ་ས ភាសាខ្មែរ မြန်မာ ලංකාව ქართული հայերեն አማርኛ",
    "한국어 ㅎㅏㄴ \u1112\u1161\u11ab",
    "日本語、テキスト。「カギ」ﾊﾝｶｸ　全角１２３",
    "𠀀𠀁 𪚥 𰀀 \U00031350 \U0002ebf0",
    "😀😃 👩\u200d💻 👨\u200d👩\u200d👧\u200d👦 ❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈 🇩🇪🇧🇷 👍🏽 1\ufe0f\u20e3",
    "\u1c89\u1c8a \u0897 \U000105c0 \U00010d40 \U000323b0 \ua7ce",
    "\u0378 \U000e0041 \ue000 \uffff \U0010ffff \ufffd",
    "if (x != 0) { return a[i]*b->c; } // ©®™ €£¥ → ∑∫√ ≠≤≥",
    "https://example.org/path?q=1&r=%20#frag user@example.org C:\\dir\\file.txt",
    "snake_case camelCase kebab-case ALLCAPS x86_64 v1.2.3-rc.4",
    "=====-----_____.....!!!!!?????",
    "</s><s> <pad> <unk> de_XX pt_BR </ s> <S>",
    "a" * 200 + " " * 200 + "é" * 150 + "\n" * 50 + "9" * 100,
    "\u202eright to left override\u202c \u200f\u200e",
    "ÀÉÎÕÜ ŠŽČ ıİ ßẞ ﬁﬂ ǅ Ǆ K Å",
]
LANGUAGES = ["ar", "de", "en", "pt-BR", "sr-Latn", "zh-CN"]


def language_token(tag):
    return tag.replace("-", "_") if "-" in tag else tag + "_XX"


def train(texts, vocab, languages):
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=2,
        special_tokens=SPECIAL + [language_token(tag) for tag in languages],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    t.train_from_iterator(texts, trainer)
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    return t


def fixture():
    lines = (TESTDATA / "corpus.txt").read_text(encoding="utf-8").splitlines()
    t = train(lines, 800, LANGUAGES)
    t.save(str(TESTDATA / "tokenizer.json"))
    t.encode_special_tokens = True
    cases = [
        {"text": text, "ids": t.encode(text, add_special_tokens=False).ids}
        for text in lines + TEXTS
    ]
    # What a model may generate: characters cut in the middle.
    invalid = [
        b"ab\xe2\x82",
        b"\xe2\x82x\xff\xfe",
        b"\xf0\x9f\x98",
        b"\xf0\x9f\x98\xf0\x9f",
        b"\xed\xa0\x80",
        b"\xc0\xafz",
        b"\xf4\x90\x80\x80",
        b"\xe0\x80\x80",
        b"\x80\x81 \xc3",
    ]
    vocab = t.get_vocab()
    spelling = byte_spelling()
    decoded = []
    for data in invalid:
        ids = [vocab[spelling[b]] for b in data]
        decoded.append({"ids": ids, "text": t.decode(ids)})
    ids = [0, 4, *cases[0]["ids"], 1, 2, 3, 799, 800, 9999]
    decoded.append({"ids": ids, "text": t.decode(ids)})
    with open(TESTDATA / "parity.json", "w", encoding="ascii") as f:
        f.write('{"encode": [\n')
        f.write(",\n".join(json.dumps(c) for c in cases))
        f.write('\n], "decode": [\n')
        f.write(",\n".join(json.dumps(c) for c in decoded))
        f.write("\n]}\n")


def byte_spelling():
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(0x100 + i) for i, b in enumerate(others)}


def documents(paths):
    for path in paths:
        opener = gzip.open if path.endswith(".gz") else open
        with opener(path, "rt", encoding="utf-8", newline="\n") as f:
            for line in f:
                yield json.loads(line)


def build_go(folder):
    program = str(pathlib.Path(folder) / "tokenizer")
    subprocess.run(
        ["go", "build", "-o", program, "./marge/tokenizer/cmd/tokenizer"],
        cwd=ROOT,
        check=True,
    )
    return program


def batches(texts):
    batch = []
    for text in texts:
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def peer(path):
    """Functions that encode and decode a batch; the second only where nothing is lost.

    A special token inside a text is text. So `tokenizers` gets those of a Unigram
    model in a spelling that no text has.
    """
    if path.endswith(".model"):
        p = sentencepiece.SentencePieceProcessor(model_file=path)
        return p.encode, None
    f = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    unigram = f["model"]["type"] == "Unigram"
    special = {a["content"] for a in f["added_tokens"] if a["special"]}
    if unigram:
        for entry in f["model"]["vocab"]:
            if entry[0] in special:
                entry[0] = "\uffff" + entry[0]
    t = Tokenizer.from_str(json.dumps(f))
    t.encode_special_tokens = True
    ids = {t.token_to_id(a["content"]): a["id"] for a in f["added_tokens"] if not a["special"]}

    def encode(batch):
        encodings = t.encode_batch_fast(batch, add_special_tokens=False)
        return [[ids.get(i, i) for i in e.ids] for e in encodings]

    own = f["pre_tokenizer"]["type"] == "Sequence" and not unigram
    return encode, t.decode_batch if own else None


def compare(path, files):
    encode, decode = peer(path)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        program = build_go(folder)
        for lines in (False, True):
            command = [program, "encode", "-tokenizer", path, f"-lines={lines}".lower(), *files]
            texts = (
                text
                for d in documents(files)
                for text in (d["text"].split("\n") if lines else [d["text"]])
            )
            n = mismatches = lost = 0
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as go:
                for batch in batches(texts):
                    theirs = encode(batch)
                    back = decode(theirs) if decode else batch
                    for text, ids, b in zip(batch, theirs, back):
                        n += 1
                        ours = [int(i) for i in go.stdout.readline().split()]
                        if ours != ids:
                            mismatches += 1
                            if mismatches < 5:
                                print(f"ids differ: {text[:200]!r}\n go {ours[:50]}\n py {ids[:50]}")
                        lost += b != text
                if rest := go.stdout.read(100):
                    sys.exit(f"the Go program wrote more than {n} lines: {rest!r}")
            if go.returncode:
                sys.exit(f"the Go program failed with {go.returncode}")
            print(f"{'lines' if lines else 'documents'}: {n} compared, {mismatches} differ in ids, "
                  f"{lost} do not decode to the text in Python")
            bad += mismatches + lost
    sys.exit(bad > 0)


def compare_training(vocab, files):
    with tempfile.TemporaryDirectory() as folder:
        ours = pathlib.Path(folder) / "ours.json"
        subprocess.run([build_go(folder), "train", "-vocab", str(vocab), "-o", str(ours), *files], check=True)
        languages = sorted({d["lang"] for d in documents(files)})
        theirs = pathlib.Path(folder) / "theirs.json"
        train((d["text"] for d in documents(files)), vocab, languages).save(str(theirs))
        a, b = (json.loads(p.read_text())["model"]["merges"] for p in (ours, theirs))
        same = sum(x == y for x, y in zip(a, b))
        print(f"{same} of {len(b)} merges are the same; files are "
              f"{'identical' if ours.read_bytes() == theirs.read_bytes() else 'different'}")
        sys.exit(ours.read_bytes() != theirs.read_bytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixture")
    c = commands.add_parser("compare")
    c.add_argument("-t", "--tokenizer", required=True)
    c.add_argument("files", nargs="+")
    c = commands.add_parser("train")
    c.add_argument("--vocab", type=int, default=8000)
    c.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.command == "fixture":
        fixture()
    elif args.command == "compare":
        compare(args.tokenizer, args.files)
    else:
        compare_training(args.vocab, args.files)


if __name__ == "__main__":
    main()
