#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes 1000 real English passages, one per line, cut from the long descriptions of Debian packages.

usage: make_passages.py TRANSLATION-EN > tests/data/passages.txt
       make_passages.py TRANSLATION-EN 20000 > many.txt     that many of 10 to 250 words, for long runs
  TRANSLATION-EN  Debian's main/i18n/Translation-en, uncompressed (tests/data/passages.md says which)
The same file gives the same passages: all choices are seeded.
"""
import random
import re
import sys

SEED = 1
N_PASSAGES = 1000
# words: share of the passages; mostly about 60
LENGTHS = [(10, 25, 0.15), (26, 45, 0.25), (46, 80, 0.35), (81, 140, 0.15), (141, 250, 0.10)]
SHINGLE = 5         # words
MAX_SHARED = 0.2    # of a passage's shingles that earlier passages may hold
BOILERPLATE = re.compile(
    r"^(this( is an?)? (empty )?(meta|dummy|transitional|virtual|"
    r"package (contains|provides|includes|installs|ships|holds|is)))|"
    r"transitional|dummy package|safely removed|https?://|@|please (see|read|note)|debian/|CPAN", re.IGNORECASE)


def stanzas(path):
    """(package, short description, lines of the long one) of each package."""
    package, short, lines = None, "", []
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.rstrip("\n")
            if line.startswith("Package: "):
                package, lines = line[9:], []
            elif line.startswith("Description-") and not line.startswith("Description-md5"):
                short = line.split(": ", 1)[-1].strip()
            elif line.startswith(" "):
                lines.append(line[1:])
            elif not line and package:
                yield package, short, lines
                package = None


def passage(lines, start=r"[A-Z0-9]", ends=".!?", joint=" "):
    """The prose paragraphs of a description in one line: no lists, no preformatted text, no boilerplate."""
    text = "\n".join("" if line == "." else line for line in lines)
    kept = []
    for paragraph in text.split("\n\n"):
        rows = paragraph.split("\n")
        if any(row[:1] in " *-+" for row in rows) or not re.match(start, paragraph):
            continue
        line = joint.join(row.strip() for row in rows) if joint == "" else " ".join(paragraph.split())
        if line[-1:] in ends and not BOILERPLATE.search(line):
            kept.append(line)
    return joint.join(kept)


def shingles(line):
    words = re.findall(r"\w+", line.lower())
    return {tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


def main():
    rng = random.Random(SEED)
    lines = sorted({p for _, _, rows in stanzas(sys.argv[1]) if (p := passage(rows)) and p.isascii()})
    rng.shuffle(lines)
    if len(sys.argv) > 2:
        lines = [line for line in lines if LENGTHS[0][0] <= len(line.split()) <= LENGTHS[-1][1]]
        print("\n".join(lines[: int(sys.argv[2])]))
        return
    wanted = [round(share * N_PASSAGES) for _, _, share in LENGTHS]
    seen, chosen = set(), []
    for line in lines:
        n_words = len(line.split())
        bucket = next((i for i, (low, high, _) in enumerate(LENGTHS) if low <= n_words <= high), None)
        if bucket is None or wanted[bucket] == 0:
            continue
        marks = shingles(line)
        if len(marks & seen) > MAX_SHARED * len(marks):
            continue
        seen |= marks
        wanted[bucket] -= 1
        chosen.append(line)
    assert len(chosen) == N_PASSAGES, (len(chosen), wanted)
    rng.shuffle(chosen)
    print("\n".join(chosen))


if __name__ == "__main__":
    main()
