#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our ids with those of Hugging Face `tokenizers`.

usage: tokenizer_check.py TOKENIZE_LINES TOKENIZER.json [TEXT]
  TOKENIZE_LINES  the program built from tests/oracle/tokenize_lines.c
Without TEXT every code point is checked, alone and between letters, and random strings of them.
"""
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
    if len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8", newline="\n") as file:
            lines = file.read().split("\n")[:-1]
    else:
        lines = list(all_code_points())
    sys.exit(any([compare(program, path, lines, n) for n in (0, 16, 3, 2)]))


main()
