"""Writes models/: small vocabularies of several kinds, and what the Python
packages `tokenizers` and `sentencepiece` encode texts as with them.

    pip install tokenizers sentencepiece protobuf
    python make_models.py

The models are trained on corpus.txt. A special token inside a text is text
here, so `tokenizers` is asked with encode_special_tokens, and with special
tokens whose spelling no text has in the vocabulary of a Unigram model.
"""

import base64
import gzip
import io
import json
import os
import pathlib
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "models"
LINES = (HERE / "corpus.txt").read_text(encoding="utf-8").splitlines()
LANGUAGES = ["ar_AR", "de_DE", "en_XX", "zh_CN"]

DECODED = 60  # the last texts, which are decoded too
CHARSMAP = "nmt.model"  # stands in mbart.json for the charsmap of that file, which is large

# Rules of a normaliser that is smaller than nmt_nfkc.
RULES = {
    "A": "a", "B": "b", "Þ": "de", "ﬁ": "fi", "e\u0301": "é", "a\u030a": "å", "j": "éxx", "jj": "y", "  ": " ",
    "\x03": "", "\t": " ", "\n": " ", "\xa0": " ", "\u200b": "", "½": "1⁄2", "\u0301": "", "™": "TM", "\x1e": "",
    "\u0600": "x", "\r\n": " ", "lloo": "L", "\u2003": "  ", "\u2004": "  z ",
}


def pieces(kind, vocab, **options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=out, vocab_size=vocab, model_type=kind, num_threads=1,
        hard_vocab_limit=False, minloglevel=2, character_coverage=0.98, **options,
    )
    return out.getvalue()


def rules():
    """Writes rules.tsv here: a model has the path that it is trained with."""
    path = pathlib.Path("rules.tsv")
    points = {k: [" ".join(f"{ord(c):X}" for c in text) for text in (k, v)] for k, v in RULES.items()}
    path.write_text("".join("\t".join(p) + "\n" for p in points.values()))
    return str(path)


def sentencepiece_models():
    tsv = rules()
    symbols = ["<sep>", "foo bar", "the", "the t", "foA"]
    return {
        "nmt": pieces("unigram", 400),
        "rules": pieces("unigram", 400, normalization_rule_tsv=tsv, user_defined_symbols=symbols,
                        control_symbols=["<c>"]),
        "identity": pieces("unigram", 500, normalization_rule_name="identity", remove_extra_whitespaces=False,
                           split_by_whitespace=False, allow_whitespace_only_pieces=True, max_sentencepiece_length=24),
        "bytes": pieces("unigram", 700, normalization_rule_tsv=tsv, byte_fallback=True, add_dummy_prefix=False),
        "suffix": pieces("unigram", 400, normalization_rule_tsv=tsv, treat_whitespace_as_suffix=True),
        "bpe": pieces("bpe", 500, normalization_rule_tsv=tsv, user_defined_symbols=symbols),
        "bpebytes": pieces("bpe", 700, normalization_rule_name="identity", byte_fallback=True),
    }


def unigram(model, normalizer, pre_tokenizer, decoder, added=(), byte_fallback=False):
    m = sentencepiece_model_pb2.ModelProto()
    m.ParseFromString(model)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = [(s, 0.0) for s in special] + [(p.piece, p.score) for p in m.pieces[3:]]
    vocab += [(s, 0.0) for s in [*LANGUAGES, "<mask>"]]
    t = Tokenizer(models.Unigram(vocab, 3, byte_fallback))
    if normalizer:
        t.normalizer = normalizer(bytes(m.normalizer_spec.precompiled_charsmap))
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    t.decoder = decoder
    t.add_special_tokens([*special, *LANGUAGES, AddedToken("<mask>", lstrip=True, special=True)])
    t.add_tokens(list(added))
    return t


def byte_level(prefix, special, added=()):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False))
    t.add_tokens(list(added))
    return t


def tokenizers_models(spm):
    meta, n, p, d = pre_tokenizers.Metaspace, normalizers, pre_tokenizers, decoders
    first = p.Metaspace(prepend_scheme="first")
    llama = d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])
    return {
        "mbart": unigram(spm["nmt"], lambda c: n.Sequence([n.Precompiled(c), n.Replace(Regex(" {2,}"), " ")]),
                         p.Sequence([p.WhitespaceSplit(), meta()]), d.Metaspace()),
        "added": unigram(spm["rules"], n.Precompiled, meta(), d.Metaspace(), [
            AddedToken("<sep>", normalized=False, lstrip=True, rstrip=True), AddedToken("foo bar"),
            AddedToken("ABle", rstrip=True), AddedToken("s>", normalized=False), AddedToken("n't")]),
        "first": unigram(spm["bytes"], lambda c: n.Sequence([n.Strip(True, False), n.Replace("''", '"'), n.NFKC()]),
                         first, llama, byte_fallback=True),
        "strip": unigram(spm["bytes"], lambda c: n.Sequence([n.Precompiled(c), n.Strip(False, True)]), first, llama),
        "nfd": unigram(spm["identity"], lambda c: n.NFD(), meta(split=False, prepend_scheme="never"), llama),
        "nmtnfc": unigram(spm["identity"], lambda c: n.Sequence([n.Nmt(), n.NFC(), n.Prepend("▁x")]),
                          p.WhitespaceSplit(), d.Metaspace()),
        "whole": unigram(spm["identity"], lambda c: n.Sequence([n.NFKD(), n.Replace(" ", "▁")]), None, llama),
        "gpt2": byte_level(False, ["<|endoftext|>"]),
        "roberta": byte_level(True, ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)],
                              [AddedToken("<sep>", lstrip=True), AddedToken("foo bar")]),
    }


def texts():
    r = random.Random(7)
    runs = [(0, 0x20), (0x20, 0x7F), (0x20, 0x7F), (0x7F, 0xA1), (0xA0, 0x600), (0x300, 0x370), (0x2000, 0x2070),
            (0x600, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0xAC00, 0xAC40), (0xFB50, 0xFE00), (0xFE70, 0xFF00),
            (0x3000, 0x3100), (0x4E00, 0x4E40), (0xFF00, 0xFFF0), (0x10000, 0x110000), (0x1F300, 0x1FA00)]
    words = [
        "  ", "\n", "\t", "\r\n", "▁", "▁▁", "e\u0301", "ﬁ\u0301", "\r\n\u0301", "\u0600A", "\u200b\u0301", "™\u0301",
        "½", "jj", "j", "\u2003", "\u2004", "A\u0897", "A\u1acf", "x\u0301\u0316", "Å", "ẞ", "ﷺ", "\u0958\u093c",
        "👩\u200d💻", "🇩🇪", "👍🏽", "1\ufe0f\u20e3", "\u1100\u1161\u11a8", "가\u11a8", "e\u0316\u0301", "\u0344",
        # Later than Unicode 9.
        "\U0001e030", "\U0001fbf1", "\U00011938", "\U00011935\U00011930", "a\u0301\u1abf",
        "<s>", "</s>", "<unk>", "<mask>", "de_DE", "<0x41>", "<c>", "s>", "<sep>", " <sep> ", "foo bar", "the", "the t",
        "ABle", "able", "foA", "n't", "'s", "'ll", "''", "don't", " the", "\x1e", "\x03",
    ]
    out = ["", " ", "  ", "▁", "\u0301" * 50, "a" + "\u0301\u0316" * 40, "a" * 300, "lloo" * 50, " " * 60 + "a",
           "eé" * 20]
    for _ in range(220):
        parts = [
            r.choice(words) if r.random() < 0.5 else chr(r.randrange(*r.choice(runs)))
            for _ in range(r.choice([1, 2, 4, 9, 12]))
        ]
        out.append("".join(p * r.choice([1, 1, 1, 2, 5]) for p in parts))
    for _ in range(30):
        line = r.choice(LINES)
        i = r.randrange(len(line))
        out.append(line[i : i + r.randrange(80)] + r.choice(words) + line[:i][-r.randrange(1, 40) :])
    return [t for t in out if not any("\ud800" <= c < "\ue000" for c in t)]


def broken(valid):
    r = random.Random(8)
    out = [b"\xff", b"a\xc3", b"\xe2\x82 \x80\x80", b"\xed\xa0\x80x", b"\xf4\x90\x80\x80", b"\xc0\xafz", b"ok \xf0\x9f"]
    for t in valid[20:60]:
        b = bytearray(t.encode())
        b.insert(r.randrange(len(b) + 1), r.choice([0x80, 0xFF, 0xC3, 0xE2, 0xF0]))
        out.append(bytes(b))
    return out


def without_special(t):
    """The tokenizer with special tokens that no text spells, and its ids as those of t."""
    f = json.loads(t.to_str())
    special = {a["content"] for a in f["added_tokens"] if a["special"]}
    if f["model"]["type"] == "Unigram":
        for entry in f["model"]["vocab"]:
            if entry[0] in special:
                entry[0] = "\uffff" + entry[0]
    other = Tokenizer.from_str(json.dumps(f))
    other.encode_special_tokens = True
    ids = {other.token_to_id(a["content"]): a["id"] for a in f["added_tokens"] if not a["special"]}
    return lambda text: [ids.get(i, i) for i in other.encode(text, add_special_tokens=False).ids]


def write(name, data):
    with open(OUT / (name + ".gz"), "wb") as f:
        f.write(gzip.compress(data, 9, mtime=0))


def main():
    OUT.mkdir(exist_ok=True)
    os.chdir(OUT)
    valid = texts()
    invalid = broken(valid)
    cases = {"texts": valid, "broken": [base64.b64encode(b).decode() for b in invalid], "models": {}}
    spm = sentencepiece_models()
    pathlib.Path("rules.tsv").unlink()
    for name, model in spm.items():
        write(name + ".model", model)
        p = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [p.encode(t) for t in valid]
        cases["models"][name + ".model"] = {
            "ids": ids, "broken": [p.encode(b) for b in invalid], "unk": p.unk_id(),
            "decoded": [p.decode(i) for i in ids[-DECODED:]],
        }
    for name, t in tokenizers_models(spm).items():
        data = t.to_str()
        if name == "mbart":
            charsmap = json.loads(data)["normalizer"]["normalizers"][0]["precompiled_charsmap"]
            data = data.replace(charsmap, CHARSMAP)
        write(name + ".json", data.encode())
        encode = without_special(t)
        ids = [encode(text) for text in valid]
        cases["models"][name + ".json"] = {"ids": ids, "decoded": [t.decode(i) for i in ids[-DECODED:]]}
        if name == "roberta":
            t.model.save(str(OUT))  # vocab.json and merges.txt
            for file in ("vocab.json", "merges.txt"):
                write("roberta." + file, (OUT / file).read_bytes())
                (OUT / file).unlink()
    write("cases.json", json.dumps(cases).encode())


main()
