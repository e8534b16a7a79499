#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares our ids with those of Hugging Face `tokenizers`.

usage: tokenizer_check.py TOKENIZE_LINES TOKENIZER.json [TEXT | mixed]
       tokenizer_check.py TOKENIZE_LINES parts
  TOKENIZE_LINES  the program built from tests/oracle/tokenize_lines.c
"parts" instead of TOKENIZER.json: every normalizer and pre-tokenizer, on every code point and on mixed lines. The model
is then a Unigram of bytes, so that ids are the normalized text and offsets show its words.
Without TEXT every code point is checked, alone and between letters, and random strings of them. "mixed": 20,000 lines
of languages, code, emoji, controls, long runs, added tokens and random code points; three have some 100 kB.
"""
import base64
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile

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


def byte_offsets(line, encoding):
    """Hugging Face counts characters."""
    places = [0]
    for character in line:
        places.append(places[-1] + len(character.encode()))
    return [(places[start], places[end]) for start, end in encoding.offsets]


def run(program, path, lines, max_tokens, *mode):
    text = "\n".join(lines) + "\n"
    ours = subprocess.run([program, path, str(max_tokens), *mode], input=text.encode(), stdout=subprocess.PIPE,
                          check=True)
    ours = ours.stdout.decode().split("\n")[:-1]
    assert len(ours) == len(lines), (len(ours), len(lines))
    return ours


def compare(program, path, lines, max_tokens, mode=None, name=None):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_padding()
    if max_tokens:
        tokenizer.enable_truncation(max_tokens)
    else:
        tokenizer.no_truncation()
    tokenizer.encode_special_tokens = mode == "plain"
    ours = run(program, path, lines, max_tokens, *([mode] if mode else []))
    wrong = 0
    for line, got, encoding in zip(lines, ours, tokenizer.encode_batch(lines)):
        expected = map(str, encoding.ids)
        if mode == "offsets":
            expected = (f"{i}:{s}:{e}" for i, (s, e) in zip(encoding.ids, byte_offsets(line, encoding)))
        expected = " ".join(expected)
        if got != expected:
            wrong += 1
            if wrong <= 10:
                print(f"{line[:80]!r} {[hex(ord(c)) for c in line[:12]]}\n  ours {got[:250]}\n  hf   {expected[:250]}")
    print(f"{name or path}: {len(lines)} lines, at most {max_tokens or 'any'} tokens, {mode or 'ids'}: {wrong} differ")
    return wrong


def charsmap():
    """SentencePiece's own nmt_nfkc, of the package sentencepiece."""
    package = pathlib.Path(importlib.util.find_spec("sentencepiece").origin).parent
    return base64.b64encode((package / "package_data/nmt_nfkc.bin").read_bytes()).decode()


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def all_parts():
    """Pairs of a normalizer and a pre-tokenizer."""
    plain = [{"type": name} for name in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt")]
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap()}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    spaces = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
    yield from ((step, None) for step in plain)
    yield precompiled, None
    yield strip, None
    yield sequence("normalizers", precompiled, {**strip, "strip_left": False}, spaces), None
    yield sequence("normalizers", {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}), None
    yield {"type": "Replace", "pattern": {"String": "a"}, "content": "\u00e9b"}, None
    yield sequence("normalizers", {"type": "Prepend", "prepend": "\u2581x"},
                   {"type": "Replace", "pattern": {"String": "b"}, "content": ""}), None
    yield sequence("normalizers", *(plain[i] for i in (3, 5, 4, 0))), None
    for clean, chinese, accents, lower in ((1, 1, 1, 1), (0, 1, 0, 1), (1, 0, 1, 0)):
        yield {"type": "BertNormalizer", "clean_text": bool(clean), "handle_chinese_chars": bool(chinese),
               "strip_accents": bool(accents), "lowercase": bool(lower)}, {"type": "BertPreTokenizer"}
    behaviors = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    yield from ((None, {"type": "Punctuation", "behavior": behavior}) for behavior in behaviors)
    yield from ((None, {"type": "Digits", "individual_digits": value}) for value in (True, False))
    yield None, {"type": "Whitespace"}
    yield None, {"type": "WhitespaceSplit"}
    for pattern in ({"String": "a"}, {"Regex": QWEN}, {"Regex": LLAMA}, {"Regex": "b+"}, {"Regex": "\\s"}):
        for behavior in behaviors:
            for invert in (False, True):
                yield None, {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": split}
            yield strip, metaspace
            yield precompiled, sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace)


QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+")
LLAMA = QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")


def part_lines():
    """Several code points to a line; then random strings of those that parts treat in some way."""
    rng = random.Random(3)
    codes = [chr(c) for c in CODES if c < 0x3400 or 0xA000 <= c < 0xAC10 or 0xD700 <= c < 0x18000 or 0x1AFF0 <= c < 0x20010
             or 0x2F800 <= c < 0x2FA20 or 0xE0000 <= c < 0xE0200] # the other ones are ideographs, syllables, or private
    for i in range(0, len(codes), 16):
        yield "".join(f"{c} a{c}b\u0301" for c in codes[i : i + 16])
    special = [chr(c) for c in CODES if c < 0x3100] + list("aeA b1.,-'\u2581\u0301\u0327\u0130\ufdfa\uac00\u11a8") * 300
    for _ in range(2000):
        yield "".join(rng.choices(special, k=rng.randint(1, 30)))


def check_parts(program):
    lines, wrong = list(part_lines()), 0
    few = lines[::9] + lines[-1000:]
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "tokenizer.json")
        vocab = [["<unk>", 0.0]] + [["<0x%02X>" % i, -1.0] for i in range(256)]
        for normalizer, pre_tokenizer in all_parts():
            document = {
                "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": normalizer,
                "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": None,
                "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": True}}
            pathlib.Path(path).write_text(json.dumps(document), encoding="utf-8")
            name = json.dumps([normalizer, pre_tokenizer])
            name = name if len(name) < 300 else name[:30] + ".." + name[-200:]
            many = normalizer is not None or pre_tokenizer["type"] not in ("Split", "Metaspace")
            wrong += compare(program, path, lines if many else few, 0, "offsets", name)
    return wrong


def main():
    program, path = sys.argv[1:3]
    if path == "parts":
        sys.exit(check_parts(program) > 0)
    if sys.argv[3:] == ["mixed"]:
        lines = list(mixed(path))
    elif len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8", newline="\n") as file:
            lines = file.read().split("\n")[:-1]
    else:
        lines = list(all_code_points())
    limits, modes = ((0, 16), ("offsets",)) if sys.argv[3:] == ["mixed"] else ((0, 16, 3, 2), ("offsets", "plain"))
    wrong = [compare(program, path, lines, n) for n in limits]
    wrong += [compare(program, path, lines, 0, mode) for mode in modes]
    sys.exit(any(wrong))


if __name__ == "__main__":
    main()
