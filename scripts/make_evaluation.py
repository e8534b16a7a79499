#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the evaluation set: pairs of short and long descriptions of Debian packages, query<TAB>document a line.

usage: make_evaluation.py FOLDER [OUT]
  FOLDER  holds Debian's main/i18n/Translation-* files, uncompressed; they must be those of SOURCES below
  OUT     where the files go (default: data)

  packages/{calibration,validation,test,rest}.tsv      English
  multilingual/{calibration,validation,test}.tsv       eleven other languages
  packages.txt                                         under each file's name, language and package of its pairs
The same sources give the same files: all choices are seeded. No package is in two files, and no document shares more
than a fifth of its runs of five words with another document or with a passage of tests/data/passages.txt.
"""
import collections
import hashlib
import pathlib
import random
import re
import sys

from make_passages import BOILERPLATE, MAX_SHARED, passage, shingles, stanzas

SEED = 2
# words of an English document: share of the documents
LENGTHS = [(10, 25, 0.20), (26, 45, 0.30), (46, 80, 0.30), (81, 140, 0.14), (141, 250, 0.06)]
ENGLISH = {"calibration": 1500, "validation": 500, "test": 1000, "rest": 1000}
OTHERS = {"calibration": 16, "validation": 6, "test": 20}  # of each language
CHARACTERS = (80, 900)  # of a document that is not English
SPACELESS = {"ja": (40, 450)}
RUN = 12  # characters, in languages without spaces
SOURCES = {
    "cs": "13017b3ee4f8def6a2540497222e2e826b68138b5dbf552b4b8ebe378b525f9e",
    "da": "dc3e8f2d1f51c3dde7814e58e2312e194cb8faee439bb5e56e3f034dd94048e2",
    "de": "adac331fc51f9a00c1b4120b4ac87423be2b1f1615d4f288c7cbc2d5258c0650",
    "en": "62f59c3cdca9786e4f7adf9002f9f5729a684adcb4667e58e448dec9b5a46c7f",
    "es": "891b4912747533755c5caca42c5dc2365fc7a8b73af88c44485b61ce7fddb740",
    "fr": "1b5ce81d2dac68fb27997899d9e092b8281f984baa658c22139d8f2640aec6cc",
    "it": "f2010961f0968127812de8484ecead4f45b25b2cb6aeb788f9f25753fbd5cff7",
    "ja": "642792836c58facc19a735181fc1bc53ac211fc082ff141377fc6be2d2498259",
    "ko": "2c6269e0889312fd60711cbe4dd03a50d3f45d0f6a95076d48226f60cc76f76c",
    "pl": "2cbf30bbcc0996040301104f88ab3d950b37d2fc7067cbc6f66e62b5245ba264",
    "ru": "150a6c5b969a2856ffb16908306ac2328ad61131df343a7e6418ebdc1a86c9bd",
    "uk": "a1e9e092c9ef84e12dd7eb1be3819deb3209e3bc4cec0671beb78f3351d026a3",
}


def check_sources(folder):
    for language, wanted in SOURCES.items():
        found = hashlib.sha256((folder / f"Translation-{language}").read_bytes()).hexdigest()
        if found != wanted:
            sys.exit(f"{folder}/Translation-{language}: another version, sha256 {found}")


def is_query(text):
    """A short description that says something by itself."""
    return 12 <= len(text) <= 90 and len(text.split()) >= 3 and "\t" not in text and not BOILERPLATE.search(text)


class Chooser:
    """Hands out candidates of which none comes twice or nearly so."""

    def __init__(self, passages):
        self.queries, self.packages = set(), set()
        self.owners = {}  # of each run of words: the documents that hold it
        self.room = []  # of each document: how many more of its runs may be shared
        for marks in passages:
            self.add(marks, len(marks))

    def add(self, marks, room):
        for mark in marks:
            self.owners.setdefault(mark, []).append(len(self.room))
        self.room.append(room)

    def take(self, package, query, marks):
        key = " ".join(sorted(set(re.findall(r"\w+", query.lower()))))
        shared = {mark for mark in marks if mark in self.owners}
        others = collections.Counter(owner for mark in shared for owner in self.owners[mark])
        room = int(MAX_SHARED * len(marks)) - len(shared)
        if package in self.packages or key in self.queries or room < 0:
            return False
        if any(n > self.room[owner] for owner, n in others.items()):
            return False
        for owner, n in others.items():
            self.room[owner] -= n
        self.add(marks, room)
        self.queries.add(key)
        self.packages.add(package)
        return True


def english(folder, chooser, rng):
    """Pairs whose documents are as long as LENGTHS says."""
    n = sum(ENGLISH.values())
    wanted = [round(share * n) for _, _, share in LENGTHS]
    found = [(p, s, d) for p, s, rows in stanzas(folder / "Translation-en") if is_query(s) and (d := passage(rows))]
    chosen = []
    rng.shuffle(found)
    for package, query, document in found:
        words = len(document.split())
        bucket = next((i for i, (low, high, _) in enumerate(LENGTHS) if low <= words <= high), None)
        if bucket is None or wanted[bucket] == 0 or not (query + document).isascii():
            continue
        if chooser.take(package, query, shingles(document)):
            wanted[bucket] -= 1
            chosen.append(("en", package, query, document))
    assert len(chosen) == n, (len(chosen), wanted)
    rng.shuffle(chosen)
    return chosen


def translated(folder, language, originals, chooser, rng):
    """As many pairs of one language as OTHERS wants, of packages that nothing else uses."""
    n = sum(OTHERS.values())
    low, high = SPACELESS.get(language, CHARACTERS)
    joint, ends = ("", "。.!?") if language in SPACELESS else (" ", ".!?")
    found, chosen = list(stanzas(folder / f"Translation-{language}")), []
    rng.shuffle(found)
    for package, query, rows in found:
        document = passage(rows, start=r"\w", ends=ends, joint=joint)
        if len(chosen) == n or not low <= len(document) <= high or not 6 <= len(query) <= 90:
            continue
        if "\t" in query or BOILERPLATE.search(query) or query == originals.get(package) or document.isascii():
            continue
        marks = shingles(document)
        if language in SPACELESS:
            marks = {document[i : i + RUN] for i in range(0, max(1, len(document) - RUN + 1))}
        if chooser.take(package, query, marks):
            chosen.append((language, package, query, document))
    assert len(chosen) == n, (language, len(chosen))
    return chosen


def write(out, names, name, pairs):
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text("".join(f"{query}\t{document}\n" for _, _, query, document in pairs), encoding="utf-8")
    names += [f"{name}\n"] + [f"{language} {package}\n" for language, package, _, _ in pairs]


def split(pairs, sizes):
    for name, size in sizes.items():
        yield name, pairs[:size]
        pairs = pairs[size:]


def main():
    folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else "data")
    check_sources(folder)
    rng, names = random.Random(SEED), []
    passages = pathlib.Path(__file__).parent.parent / "tests/data/passages.txt"
    chooser = Chooser(shingles(line) for line in passages.open(encoding="utf-8"))
    for name, pairs in split(english(folder, chooser, rng), ENGLISH):
        write(out, names, f"packages/{name}.tsv", pairs)
    originals = {package: short for package, short, _ in stanzas(folder / "Translation-en")}
    parts = {name: [] for name in OTHERS}
    for language in sorted(set(SOURCES) - {"en"}):
        for name, pairs in split(translated(folder, language, originals, chooser, rng), OTHERS):
            parts[name] += pairs
    for name, pairs in parts.items():
        rng.shuffle(pairs)
        write(out, names, f"multilingual/{name}.tsv", pairs)
    (out / "packages.txt").write_text("".join(names), encoding="utf-8")


main()
