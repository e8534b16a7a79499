#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our ids with those of Hugging Face `tokenizers`.

usage: tokenizer_check.py TOKENIZE_LINES TOKENIZER.json [TEXT | mixed]
  TOKENIZE_LINES  the program built from tests/oracle/tokenize_lines.c
Without TEXT every code point is checked, alone and between letters, and random strings of them. "mixed": 20,000 lines
of languages, code, emoji, controls, long runs, added tokens and random code points; three have some 100 kB.
"""
import pathlib
import random
import subprocess
import sys

from tokenizers import Tokenizer

CODES = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000 and c != 10]


def all_code_points():
    rng = random.Random(1)
    yield from ("%s a%sb" % (chr(c), chr(c)) for c in CODES if c < 0x40000 or c >= 0xE0000)
    frequent = [c for c in CODES if c < 0x3100] + [ord(c) for c in "aeA [].,"] * 200
    for _ in range(20000):
        yield "".join(map(chr, rng.choices(frequent, k=rng.randint(1, 30))))


def one_piece(rng, texts, code, added):
    emoji = "😀👍🏽👩‍👩‍👧‍👦🇩🇪❤️🏳️‍🌈\u200d\ufe0f🧑🏿‍🚀"
    controls = [chr(c) for c in (*range(1, 10), *range(11, 32), 127, 0x85, 0xA0, 0x2028, 0xFEFF, 0x200B, 0xFFFD, 0x2581,
                                 0xE000, 0x10FFFF, 0x378)]
    runs = [" ", "\u2581", "a", "=", "-", "é", "中", "\t", "ᄀ", "🙂", " \t", "<", "\r", "> </"]
    kind = rng.randint(0, 8)
    if kind == 0:
        return rng.choice(texts)
    if kind == 1:
        return rng.choice(code)
    if kind == 2:
        return "".join(rng.choices(emoji, k=rng.randint(1, 8)))
    if kind == 3:
        return "".join(rng.choices(controls, k=rng.randint(1, 5)))
    if kind == 4:
        return rng.choice(runs) * rng.randint(1, 400)
    if kind == 5:
        return rng.choice(added)
    if kind == 6:
        return rng.choice(added)[: rng.randint(1, 12)]
    if kind == 7:
        return "".join(map(chr, rng.choices(CODES, k=rng.randint(1, 10))))
    text = rng.choice(texts)
    start = rng.randrange(len(text))
    return text[start : start + rng.randint(1, 20)]


def mixed(path):
    rng = random.Random(5)
    tests = pathlib.Path(__file__).resolve().parent.parent
    texts = [line for name in ("multilingual", "passages")
             for line in (tests / f"data/{name}.txt").read_text(encoding="utf-8").split("\n") if line]
    code = (tests / "unit/test_tokenizer.c").read_text(encoding="utf-8").split("\n")
    added = [token.content for token in Tokenizer.from_file(path).get_added_tokens_decoder().values()] or ["<s>"]
    for i in range(20003):
        n = rng.randint(1, 4) if i < 20000 else 1500
        pieces = (one_piece(rng, texts, code, added) for _ in range(n))
        yield rng.choice(["", " "]).join(pieces).replace("\n", " ")


def compare(program, path, lines, max_tokens):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if max_tokens:
        tokenizer.enable_truncation(max_tokens)
    text = "\n".join(lines) + "\n"
    ours = subprocess.run([program, path, str(max_tokens)], input=text.encode(), stdout=subprocess.PIPE, check=True)
    ours = ours.stdout.decode().split("\n")[:-1]
    assert len(ours) == len(lines), (len(ours), len(lines))
    wrong = 0
    for line, got, expected in zip(lines, ours, tokenizer.encode_batch(lines)):
        expected = " ".join(map(str, expected.ids))
        if got != expected:
            wrong += 1
            if wrong <= 10:
                print(f"{line[:80]!r} {[hex(ord(c)) for c in line[:12]]}\n  ours {got[:150]}\n  hf   {expected[:150]}")
    print(f"{path}: {len(lines)} lines, at most {max_tokens or 'any'} tokens: {wrong} differ")
    return wrong


def main():
    program, path = sys.argv[1:3]
    if sys.argv[3:] == ["mixed"]:
        lines = list(mixed(path))
    elif len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8", newline="\n") as file:
            lines = file.read().split("\n")[:-1]
    else:
        lines = list(all_code_points())
    sys.exit(any([compare(program, path, lines, n) for n in (0, 16, 3, 2)]))


main()
