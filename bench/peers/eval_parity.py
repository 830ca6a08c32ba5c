"""Compares BLEU, chrF and ROUGE of marge/eval with sacrebleu and rouge-score.

    pip install sacrebleu==2.6.0 rouge-score==0.1.2 nltk==3.10.4
    python bench/peers/eval_parity.py compare FILE.jsonl.gz ...
    python bench/peers/eval_parity.py fixture

`compare` makes outputs out of the documents of the files, line by line: damaged
copies of a line, its translation, another line, nothing. It scores them with the
Python packages, by corpus (a language of a file) and by line, and has the Go test
TestParity score the same; it also compares tokens, stems and lower case. `fixture`
writes marge/eval/testdata/parity.json, from the sentences below, which the Go
tests compare with at any time. Run it from anywhere; it needs `go` on the path.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "marge/eval/testdata/parity.json"

# Sentences in several languages, the same in each, and what is hard to tokenize.
PARALLEL = {
    "en": [
        "The ferry leaves at 7.30 a.m., if the storm allows it.",
        "She paid 1,250.50 euros for a well-kept bicycle!",
        "\"Nobody,\" he said, \"reads the instructions.\"",
        "In 2019-2020 the library lent 40% fewer books (about 3,000).",
        "Don't ask the dog; it wasn't there & doesn't care.",
    ],
    "de": [
        "Die Fähre legt um 7.30 Uhr ab, wenn der Sturm es erlaubt.",
        "Sie zahlte 1.250,50 Euro für ein gut gepflegtes Fahrrad!",
        "„Niemand“, sagte er, „liest die Anleitung.“",
        "2019–2020 verlieh die Bücherei 40 % weniger Bücher (etwa 3.000).",
        "Frag nicht den Hund; er war nicht da & es ist ihm gleich.",
    ],
    "fr": [
        "Le bac part à 7 h 30, si la tempête le permet.",
        "Elle a payé 1 250,50 € pour un vélo bien entretenu !",
        "« Personne, dit-il, ne lit le mode d’emploi. »",
        "En 2019-2020, la bibliothèque a prêté 40 % de livres en moins (environ 3 000).",
        "N'interroge pas le chien ; il n'y était pas & s'en moque.",
    ],
    "ru": [
        "Паром отходит в 7.30, если позволит буря.",
        "Она заплатила 1250,50 евро за ухоженный велосипед!",
        "«Никто, — сказал он, — не читает инструкций».",
        "В 2019–2020 годах библиотека выдала на 40 % меньше книг (около 3000).",
        "Не спрашивай собаку; её там не было, и ей всё равно.",
    ],
    "ar": [
        "تغادر العبّارة في الساعة 7.30 إذا سمحت العاصفة.",
        "دفعت ١٬٢٥٠٫٥٠ يورو ثمن دراجة معتنى بها!",
        "قال: «لا أحد يقرأ التعليمات».",
        "في ٢٠١٩-٢٠٢٠ أعارت المكتبة كتبًا أقل بنسبة ٤٠٪ (نحو ٣٠٠٠).",
        "لا تسأل الكلب؛ لم يكن هناك ولا يهمه الأمر.",
    ],
    "zh": [
        "如果风暴允许，渡轮将于7.30出发。",
        "她花1,250.50欧元买了一辆保养得很好的自行车！",
        "他说：“没有人看说明书。”",
        "2019-2020年，图书馆借出的书少了40%（约3,000本）。",
        "别问那只狗；它不在场，也不在乎。",
    ],
    "ja": [
        "嵐が許せば、フェリーは7時30分に出ます。",
        "彼女は手入れの行き届いた自転車に１２５０ユーロを払った！",
        "「誰も説明書を読まない」と彼は言った。",
        "2019～2020年、図書館の貸出は40％減った（約3,000冊）。",
        "犬に聞くな；そこにいなかったし、気にもしない。",
    ],
    "el": [
        "ΤΟ ΠΛΟΙΟ ΦΕΥΓΕΙ ΣΤΙΣ 7.30, ΑΝ ΤΟ ΕΠΙΤΡΕΨΕΙ Ο ΚΑΙΡΟΣ.",
        "Πλήρωσε 1.250,50 ευρώ για ένα καλοδιατηρημένο ποδήλατο!",
        "«Κανείς», είπε, «δεν διαβάζει τις οδηγίες».",
        "Το 2019–2020 η βιβλιοθήκη δάνεισε 40% λιγότερα βιβλία (περίπου 3.000).",
        "Μη ρωτάς τον σκύλο· δεν ήταν εκεί και δεν τον νοιάζει.",
    ],
    "tr": [
        "Fırtına izin verirse İSTANBUL vapuru 7.30'da kalkar.",
        "İyi bakılmış bir bisiklete 1.250,50 avro ödedi!",
        "“Kimse,” dedi, “kılavuzu okumuyor.”",
        "2019-2020'de kütüphane %40 daha az kitap (yaklaşık 3.000) ödünç verdi.",
        "Köpeğe sorma; orada değildi ve umurunda değil.",
    ],
    "th": [
        "เรือข้ามฟากจะออกเวลา 7.30 น. หากพายุเอื้ออำนวย",
        "เธอจ่าย 1,250.50 ยูโรซื้อจักรยานที่ดูแลอย่างดี!",
        "เขาพูดว่า \"ไม่มีใครอ่านคู่มือ\"",
        "ในปี 2019-2020 ห้องสมุดให้ยืมหนังสือน้อยลง 40% (ราว 3,000 เล่ม)",
        "อย่าถามหมา มันไม่ได้อยู่ที่นั่น และไม่สนใจ",
    ],
}
ODD = [
    "",
    " ",
    "\t \n",
    ".",
    "...",
    "a.b,c.1,2.d 1.,2 ,3. 4-5 x-6 7-y --8--",
    "&quot;a&quot; &amp;lt;b&amp;gt; &lt;c&gt; &apos;d&apos; <skipped>e &amp;amp;",
    "soft-\nhyphen and\nnew line- \nend-",
    "x\x1cy\x1dz\x1ew\x1fv\x85u\xa0t\u2003s\u3000r\u2028q\u200bp",
    "naïve café e\u0301 ﬁ ß ẞ ǅ Ⅷ ½ ² ١٢ १२ ೧",
    "emoji 👩‍👩‍👧 🇩🇪 ☃ ★ 20€ £5 ©2020 a+b=c x^2 ~y` |z| {w} [v] \\u",
    "𠀀𪛖 㐀䶵 龥龦龻 豈﨎 全角ＡＢＣ ｶﾅ ㋿ ⺀ ﹏ “”‘’—… ･",
    "ΣΑΣ ΟΔΟΣ. Σ ΑΣ'Α Α.Σ ΣΣ İIıi K Å Ǆ",
    "(hi) \"(a)\" !! ? 'x' -y- _z_ a' 'b é. .é",
    "the the the the the the the",
]
WORDS = """caresses ponies ties dies flies skies cats gas this feed agreed plastered bled motoring sing conflated
troubled sized hopping tanned falling hissing fizzed failing filing happy sky enjoy enjoyment by spied died relational
conditional rational valency hesitancy digitizer conformably radically differently vilely analogously vietnamization
predication operator feudalism decisiveness hopefulness callousness formality sensitivity sensibility triplicate
formative formalize electricity electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable
defensible irritant replacement adjustment dependent adoption homologous communism activate angularity effective
bowdlerize using use aged icing dyed bys probate rate cease controlling rolled archaeology theology geology nationally generally carefully fully
abilities yyyy syzygy yes toy toys dying innings news succeed proceed oed ing aing 4ing ties2 as us ion tion legion
million sion mission fusion eed ied ies sses bli ably logy apology y2k3s 1990s oxen generalization oscillators""".split()

BLEU_OPTIONS = [
    {},
    {"tokenize": "intl"},
    {"tokenize": "char"},
    {"tokenize": "none"},
    {"tokenize": "zh"},
    {"lowercase": True},
    {"smooth_method": "floor"},
    {"smooth_method": "floor", "smooth_value": 0.5},
    {"smooth_method": "add-k"},
    {"smooth_method": "add-k", "smooth_value": 2.5},
    {"smooth_method": "none"},
    {"max_ngram_order": 2},
    {"effective_order": True},
    {"effective_order": True, "smooth_method": "none", "tokenize": "intl", "lowercase": True},
    {"effective_order": True, "smooth_method": "add-k"},
]
CHRF_OPTIONS = [
    {},
    {"word_order": 2},
    {"word_order": 1, "lowercase": True},
    {"whitespace": True, "beta": 1},
    {"char_order": 3, "eps_smoothing": True},
    {"word_order": 2, "eps_smoothing": True, "beta": 3},
]
ROUGE_OPTIONS = [{}, {"stemmer": True}, {"spaces": True}]
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


class Spaces:
    """A tokenizer for rouge-score that splits at spaces."""

    def tokenize(self, text):
        return text.split()


def rouge(options, outputs, references):
    scorer = rouge_scorer.RougeScorer(
        TYPES, use_stemmer=options.get("stemmer", False), tokenizer=Spaces() if "spaces" in options else None
    )
    scores = [scorer.score_multi(refs, out) for out, refs in zip(outputs, references)]
    return {
        t: {
            "precision": sum(s[t].precision for s in scores) / len(scores),
            "recall": sum(s[t].recall for s in scores) / len(scores),
            "f1": sum(s[t].fmeasure for s in scores) / len(scores),
        }
        for t in TYPES
    }


def corpus(name, outputs, references, quick=False):
    """Scores outputs with every setting, or with those that differ most."""
    most = max(map(len, references))
    streams = [[refs[i] if i < len(refs) else None for refs in references] for i in range(most)]
    case = {"name": name, "outputs": outputs, "references": references, "bleu": [], "chrf": [], "rouge": []}
    for options in BLEU_OPTIONS[12:] if quick else BLEU_OPTIONS:
        m = BLEU(**options, force=True)
        s = m.corpus_score(outputs, streams)
        case["bleu"].append({"options": options, "score": s.score, "precisions": s.precisions, "bp": s.bp,
                             "output_len": s.sys_len, "reference_len": s.ref_len,
                             "signature": m.get_signature().format()})
    for options in CHRF_OPTIONS[:2] if quick else CHRF_OPTIONS:
        m = CHRF(**options)
        s = m.corpus_score(outputs, streams)
        case["chrf"].append({"options": options, "score": s.score, "signature": m.get_signature().format()})
    for options in ROUGE_OPTIONS[1:2] if quick else ROUGE_OPTIONS:
        case["rouge"].append({"options": options, "scores": rouge(options, outputs, references)})
    return case


def tokens(texts):
    cases = []
    for name in ("13a", "intl", "zh", "char", "none"):
        m = BLEU(tokenize=name, force=True)
        for text in texts:
            cases.append({"tokenizer": name, "text": text, "words": m._preprocess_segment(text).split()})
    return cases


def stems(words):
    stemmer = PorterStemmer()
    return {w: stemmer.stem(w) for w in words}


def damaged(rng, line):
    """A line as a bad translator would render it."""
    words = line.split(" ")
    if len(words) < 4 and len(line) > 8:
        words = re.findall(r".{1,3}", line, re.S)
        glue = ""
    else:
        glue = " "
    for _ in range(rng.randrange(4)):
        if not words:
            break
        i, j = rng.randrange(len(words)), rng.randrange(len(words))
        kind = rng.randrange(5)
        if kind == 0:
            del words[i]
        elif kind == 1:
            words[i], words[j] = words[j], words[i]
        elif kind == 2:
            words.insert(i, words[j])
        elif kind == 3:
            words[i] = words[i].upper()
        else:
            words = words[: max(i, 1)]
    return glue.join(words)


def fixture():
    rng = random.Random(5)
    corpora = []
    for lang, lines in PARALLEL.items():
        outputs = [damaged(rng, line) for line in lines]
        corpora.append(corpus(lang, outputs, [[line] for line in lines]))
    lines = PARALLEL["en"]
    corpora.append(corpus("several references", [damaged(rng, x) for x in lines] + [""],
                          [[damaged(rng, x), x, ""][: 1 + i % 3] for i, x in enumerate(lines)] + [["not", "empty here"]]))
    corpora.append(corpus("two references", [damaged(rng, x) for x in lines], [[damaged(rng, x), damaged(rng, x)] for x in lines]))
    corpora.append(corpus("odd", [damaged(rng, x) for x in ODD], [[x] for x in ODD]))
    corpora.append(corpus("odd to odd", ODD, [[x] for x in ODD[1:] + ODD[:1]]))
    corpora.append(corpus("nothing in common", ["alpha beta", "gamma"], [["one two"], ["three"]]))
    corpora.append(corpus("empty", ["", ""], [["one two"], ["three"]]))
    corpora.append(corpus("all empty", [""], [[""]]))
    corpora.append(corpus("empty references", ["one two"], [[""]]))
    corpora.append(corpus("short", ["one two"], [["one two"]]))
    summary = "\n".join(lines)
    corpora.append(corpus("summary", ["\n".join(damaged(rng, x) for x in reversed(lines)) + "\n\n"], [[summary, PARALLEL["de"][0]]]))
    corpora.append(corpus("a word twice", ["the cat\nthe", "gas was us"], [["the cat\na dog the\nthe mouse the"], ["ga wa u"]]))
    texts = [x for lines in PARALLEL.values() for x in lines] + ODD
    data = {"corpora": corpora, "tokens": tokens(texts), "stems": stems(WORDS), "lower": {x: x.lower() for x in texts}}
    FIXTURE.parent.mkdir(exist_ok=True)
    with open(FIXTURE, "w", encoding="ascii") as f:
        f.write("{\n")
        for i, (key, values) in enumerate(data.items()):
            f.write(",\n" * (i > 0) + json.dumps(key))
            if isinstance(values, list):
                f.write(": [\n" + ",\n".join(map(json.dumps, values)) + "\n]")
            else:
                f.write(": " + json.dumps(values))
        f.write("\n}\n")


def compare(files, per_language, seed):
    rng = random.Random(seed)
    corpora, sample, words = [], [], set()
    for path in files:
        lines, groups = collections.defaultdict(list), collections.defaultdict(dict)
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as f:
            for row in f:
                d = json.loads(row)
                groups[d["group"]][d["lang"]] = d["text"]
                for i, text in enumerate(d["text"].split("\n")):
                    lines[d["lang"]].append((d["group"], i, text))
                if d["lang"].startswith("en"):
                    words.update(re.findall(r"[a-z0-9]{4,}", d["text"].lower()))
        for lang, all_lines in lines.items():
            picked = rng.sample(all_lines, min(per_language, len(all_lines)))
            sample += [text for _, _, text in picked]
            outputs, references = [], []
            for group, i, text in picked:
                kind = rng.randrange(10)
                if kind == 0:
                    out = ""
                elif kind == 1:
                    out = rng.choice(picked)[2]
                elif kind == 2:
                    out = rng.choice(list(groups[group].values())).split("\n")
                    out = out[min(i, len(out) - 1)]
                else:
                    out = damaged(rng, text)
                outputs.append(out)
                references.append([text])
            name = f"{pathlib.Path(path).name} {lang}"
            corpora.append(corpus(name, outputs, references))
            corpora.append(corpus(name + ", two references", outputs, [r + [damaged(rng, r[0])] for r in references]))
            for k in range(0, min(len(outputs), 40)):
                corpora.append(corpus(f"{name}, line {k}", outputs[k : k + 1], references[k : k + 1], quick=True))
            for text in rng.sample(list(groups.values()), min(2, len(groups))):
                if lang in text:  # a document as a summary
                    out = "\n".join(damaged(rng, x) for x in text[lang].split("\n")[:40])
                    corpora.append(corpus(name + ", document", [out], [["\n".join(text[lang].split("\n")[:60])]]))
    n = sum(len(c[k]) for c in corpora for k in ("bleu", "chrf", "rouge"))
    data = {"corpora": corpora, "tokens": tokens(sample), "stems": stems(words),
            "lower": {x: x.lower() for s in sample for x in (s, s.upper())}}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases.json"
        path.write_text(json.dumps(data), encoding="ascii")
        print(f"{len(corpora)} corpora, {n} scores, {len(data['tokens'])} lines tokenized, {len(words)} stems, "
              f"{len(data['lower'])} lines in lower case", flush=True)
        go = subprocess.run(["go", "test", "./marge/eval", "-count=1", "-v", "-run", "^TestParity$"], cwd=ROOT,
                            env=os.environ | {"MARGE_EVAL_PARITY": str(path)})
    sys.exit(go.returncode)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixture")
    c = commands.add_parser("compare")
    c.add_argument("--per-language", type=int, default=200, help="lines of each language and file")
    c.add_argument("--seed", type=int, default=1)
    c.add_argument("files", nargs="+")
    args = parser.parse_args()
    if args.command == "fixture":
        fixture()
    else:
        compare(args.files, args.per_language, args.seed)


if __name__ == "__main__":
    main()
