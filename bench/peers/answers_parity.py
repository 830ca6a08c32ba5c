"""Writes marge/eval/testdata/answers.json: scores of the official scripts of
SQuAD 1.1 and MLQA, which TestAnswersParity of marge/eval compares with.

    python bench/peers/answers_parity.py evaluate-v1.1.py mlqa_evaluation_v1.py

The scripts are those of rajpurkar.github.io/SQuAD-explorer and of the repository
facebookresearch/MLQA. Answers are made of the words below: parts of a sentence
against damaged parts of it.
"""

import argparse
import importlib.util
import json
import pathlib
import random

FIXTURE = pathlib.Path(__file__).resolve().parents[2] / "marge/eval/testdata/answers.json"
CASES = 60  # of each language

SENTENCES = {
    "en": "The ferry, a well-kept “Queen Anne”, left an island at 7.30 a.m. for $1,250 (≈ £1,000): the_end of A/B; İstanbul",
    "es": "El tren sale a las 7:30 de la estación; ¿unos 1.250 € por una bicicleta? ¡Los perros, un gato y unas flores!",
    "de": "Der Zug fährt um 7.30 Uhr aus dem Bahnhof ab – „eine Straße“, des Königs, den Hund, einem Kind, STRASSE_die",
    "vi": "Chuyến tàu của những người bạn là cái cầu chiếc xe, bằng 1.250 đồng; la\u0300 Của CÁI",
    "ar": "وصل القطار إلى المدينة في الساعة ٧٫٣٠، والكتاب الكبير بالبيت؟ قال: «السلام عليكم» ال",
    "hi": "रेलगाड़ी स्टेशन से सुबह ७:३० बजे चली। एक अच्छी साइकिल १,२५० रुपये में; 'हाँ', उसने कहा॥",
    "zh": "火车在7点30分从北京站开出。《战国无双3》是由光荣和ω-force合作开发的，售价 1,250 元！㐀 Windows 95、OK？",
}


def load(path):
    spec = importlib.util.spec_from_file_location("script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def part(rng, lang):
    """A few words of a sentence, or characters where there are no spaces."""
    units = SENTENCES[lang] if lang == "zh" else SENTENCES[lang].split()
    start = rng.randrange(len(units))
    chosen = units[start:start + rng.randint(1, 6)]
    return chosen if lang == "zh" else " ".join(chosen)


def damage(rng, text):
    """The text itself, or with something that may or may not count."""
    way = rng.randrange(8)
    if way == 0:
        return text.upper()
    if way == 1:
        return text.replace(" ", rng.choice(["  ", "\u00a0", "\t", "\u3000", "\x1f", "\u200b"]))
    if way == 2:
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice(list(".,!–\"«»。、·_$+|~^`€§÷ΣS\u0301٪।") + ["the ", " der ", "ال"]) + text[at:]
    if way == 3:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words)
    if way == 4:
        return text[rng.randint(0, 3):]
    if way == 5:
        return text + " " + text
    return text


def question(rng, lang):
    answer = part(rng, lang)
    references = [damage(rng, answer)]
    for _ in range(rng.randrange(3)):
        references.append(damage(rng, part(rng, lang)))
    if rng.random() < 0.05:
        references[0] = rng.choice(["", "the", "...", "。"])
    output = rng.choice([damage(rng, answer)] * 6 + [part(rng, lang), "", "the", "…"])
    return output, references


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("squad")
    parser.add_argument("mlqa")
    args = parser.parse_args()
    squad, mlqa = load(args.squad), load(args.mlqa)
    rng = random.Random(1)
    corpora = []
    for lang in ["", *SENTENCES]:
        questions = [question(rng, lang or rng.choice(["en", "en", "de", "zh"])) for _ in range(CASES)]

        def score(chosen):
            dataset = [{"paragraphs": [{"qas": [
                {"id": str(i), "answers": [{"text": r} for r in references]} for i, (_, references) in enumerate(chosen)]}]}]
            predictions = {str(i): output for i, (output, _) in enumerate(chosen)}
            return mlqa.evaluate(dataset, predictions, lang) if lang else squad.evaluate(dataset, predictions)

        corpora.append({
            "lang": lang, **score(questions),
            "questions": [{"output": q[0], "references": q[1], **score([q])} for q in questions],
        })
    FIXTURE.write_text(json.dumps(corpora, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
