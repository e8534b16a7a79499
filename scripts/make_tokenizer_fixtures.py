#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains small BPE and Unigram tokenizers of the forms that models use, and records the ids that Hugging Face
`tokenizers` gives, and for the first lines the offsets, in bytes.

usage: make_tokenizer_fixtures.py [FOLDER]     (default: tests/data/tokenizers)
needs: pip install tokenizers==0.23.3 sentencepiece==0.2.3
Reads tests/data/multilingual.txt and passages.txt; writes NAME.json, NAME.ids and NAME.spans for each, and lines.txt.
"""
import base64
import io
import json
import pathlib
import random
import sys
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

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


def roberta():
    """NFC, words with a space in front, tokens that strip or stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=True)
    tokenizer.train_from_iterator(read_lines("multilingual.txt"), trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_special_tokens([AddedToken("<b>", lstrip=True, rstrip=True), AddedToken("I", single_word=True)])
    return json.loads(tokenizer.to_str())


# from, to, as SentencePiece wants them: a ligature, a composition, spaces, what goes, a long one
RULES = ["FB01\t66 69", "65 301\tE9", "A0\t20", "9\t20", "3000\t20", "AD\t", "1\t", "7F\t", "FEFF\t", "2168\t49 58",
         "FDFA\t635 644 649 20 627 644 644 647", "B2\t32", "BD\t31 2044 32"]


def fields(message):
    """(number, value) of a protocol buffer."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 2:
            size = varint()
            yield key >> 3, message[at : at + size]
            at += size
        elif key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = 4 if key & 7 == 5 else 8
            yield key >> 3, message[at : at + size]
            at += size


def sentencepiece_model():
    """Pieces with scores, and the table of RULES."""
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("".join(rule + "\n" for rule in RULES))
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(read_lines("multilingual.txt") + read_lines("passages.txt")), model_writer=model,
            vocab_size=1500, model_type="unigram", normalization_rule_tsv=rules.name, character_coverage=0.98,
            byte_fallback=True, minloglevel=2, num_threads=1)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [[processor.id_to_piece(i), processor.get_score(i)] for i in range(processor.get_piece_size())]
    spec = next(value for number, value in fields(model.getvalue()) if number == 3)
    charsmap = next(value for number, value in fields(spec) if number == 2)
    return pieces, base64.b64encode(charsmap).decode()


def unigram(pieces, charsmap, t5):
    """XLM-R's form, and T5's, which cuts nothing and falls back to bytes."""
    if not t5:
        pieces = [piece for piece in pieces if not piece[0].startswith("<0x")]
    precompiled = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first" if t5 else "always",
                 "split": not t5}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": i, "content": pieces[i][0], **flags} for i in range(3)]
    added.append({"id": len(pieces), "content": "<b>", **flags, "lstrip": True})
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            precompiled, {"type": "Strip", "strip_left": False, "strip_right": True},
            {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]} if t5 else precompiled,
        "pre_tokenizer": metaspace if t5 else {
            "type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": None, "decoder": None,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": t5}}
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>" if t5 else "<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return json.loads(tokenizer.to_str())


def spans(line, encoding):
    places = [0]
    for character in line:
        places.append(places[-1] + len(character.encode()))
    return " ".join(f"{places[start]} {places[end]}" for start, end in encoding.offsets)


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/data/tokenizers"
    folder.mkdir(exist_ok=True)
    lines = make_lines()
    (folder / "lines.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")
    pieces, charsmap = sentencepiece_model()
    forms = {"fallback": fallback(False), "across": fallback(True), "gpt2": byte_level(False), "qwen": byte_level(True),
             "roberta": roberta(), "xlmr": unigram(pieces, charsmap, False), "t5": unigram(pieces, charsmap, True)}
    for name, document in forms.items():
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        tokenizer = Tokenizer.from_str(text)
        texts = [line.replace("\u240a", "\n") for line in lines]
        encodings = tokenizer.encode_batch(texts)
        with open(folder / f"{name}.ids", "w", encoding="ascii") as file:
            file.writelines(" ".join(map(str, encoding.ids)) + "\n" for encoding in encodings)
        with open(folder / f"{name}.spans", "w", encoding="ascii") as file:
            file.writelines(spans(text, encoding) + "\n" for text, encoding in zip(texts[:50], encodings))


main()
