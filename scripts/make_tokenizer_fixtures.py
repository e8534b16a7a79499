#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains small BPE tokenizers of the forms that models use, and records the ids that Hugging Face `tokenizers` gives.

usage: make_tokenizer_fixtures.py [FOLDER]     (default: tests/data/tokenizers; needs: pip install tokenizers==0.23.3)
Reads tests/data/multilingual.txt and passages.txt; writes NAME.json and NAME.ids for each, and lines.txt.
"""
import json
import pathlib
import random
import sys

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent
QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+")
BYTES = ["<0x%02X>" % i for i in range(256)]


def read_lines(name):
    return (ROOT / "tests/data" / name).read_text(encoding="utf-8").split("\n")[:-1]


def make_lines():
    """A line of text, or several pieces of everything put together; \\n is written as U+240A (see the test)."""
    rng = random.Random(20)
    texts = read_lines("multilingual.txt") + read_lines("passages.txt")
    pieces = ["I'll", "we'Ve", "it's", "'\u017f", "'re", "''d", "x=1;\u240a\t return 12345.6e-7", "  ", " ", "\u240a",
              "\u240a\u240a\u240a", "\t", "\r\u240a", " \u240a ", "<b>", "<bos>", "<eos", "\u2581", "\u2581\u2581",
              "a\u2581", "\u3000", "\u00a0", "\u0085", "\x01\x7f", "\x00", "e\u0301", "\ufeff",
              "\U0001f468\u200d\U0001f469",
              "\U0001f1e9\U0001f1ea", "\u4e2d\u6587\u3002", "\u00b2\u00bd\u2167", "\U00010d40\U000105c0", "\ufffd",
              "\U0010ffff", "<0x41>", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "-" * 70, " " * 40,
              "\u240a" * 33, "unseen\u13a0\u13a1 letters"]
    lines = [line[:160] for line in rng.sample(texts, 60)]
    for _ in range(140):
        chosen = rng.choices(pieces, k=rng.randint(1, 6)) + [rng.choice(texts)[:rng.randint(0, 30)]]
        rng.shuffle(chosen)
        lines.append(rng.choice(["", " "]).join(chosen))
    return ["", " ", "  a"] + lines


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(read_lines("multilingual.txt") + read_lines("passages.txt"), trainer)
    return json.loads(tokenizer.to_str())


def added(contents, start):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return [{"id": start[c], "content": c, **flags} for c in contents]


def fallback(across_spaces):
    """Gemma's form. `across_spaces`: tokens may hold spaces, so that a text is one word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    if not across_spaces:
        tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    extra = ["\n" * i for i in range(2, 31)] + ["\u2581" * i for i in range(2, 31)] + ["<b>", "<bold"]
    document = train(tokenizer, trainers.BpeTrainer(
        vocab_size=1200, special_tokens=specials + extra + BYTES, limit_alphabet=250, show_progress=False,
        max_token_length=16))
    document["added_tokens"] = added(specials + extra, document["model"]["vocab"])
    document["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                                 "invert": False}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 2), ("<eos>", 1)])
    return json.loads(tokenizer.to_str())


def byte_level(qwen):
    tokenizer = Tokenizer(models.BPE(ignore_merges=qwen))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if qwen:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tokenizer.post_processor = processors.RobertaProcessing(("<eos>", 1), ("<bos>", 0))
    return train(tokenizer, trainers.BpeTrainer(
        vocab_size=1200, special_tokens=["<bos>", "<eos>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/data/tokenizers"
    folder.mkdir(exist_ok=True)
    lines = make_lines()
    (folder / "lines.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    forms = {"fallback": fallback(False), "across": fallback(True), "gpt2": byte_level(False), "qwen": byte_level(True)}
    for name, document in forms.items():
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        tokenizer = Tokenizer.from_str(text)
        with open(folder / f"{name}.ids", "w", encoding="ascii") as file:
            for line in lines:
                file.write(" ".join(map(str, tokenizer.encode(line.replace("\u240a", "\n")).ids)) + "\n")


main()
