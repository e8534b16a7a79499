#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cuts a WordPiece tokenizer.json down to what a text needs, so that tests need no model, and records the ids that
Hugging Face `tokenizers` gives with it: the pieces that occur, and every character of the normalized text, alone and as
a continuation, so that words are taken apart rather than unknown. Adds tokens that strip spaces or see normalized text.

usage: make_small_tokenizer.py TOKENIZER.json TEXT OUT.json OUT.ids
"""
import json
import sys

from tokenizers import Tokenizer


def main():
    source, text_path, out_json, out_ids = sys.argv[1:]
    with open(text_path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")[:-1]
    with open(source, encoding="utf-8") as file:
        document = json.load(file)
    full = Tokenizer.from_file(source)
    full.no_padding()
    full.no_truncation()
    vocab = document["model"]["vocab"]
    by_id = {i: piece for piece, i in vocab.items()}
    specials = [token["content"] for token in document["added_tokens"]]
    used = {by_id[i] for encoding in full.encode_batch(lines) for i in encoding.ids} - set(specials)
    for line in lines:
        # not the whole: half of the characters stay unknown
        kept = {c for c in full.normalizer.normalize_str(line) if not c.isspace() and (ord(c) < 0x80 or ord(c) % 2)}
        used |= kept | {"##" + c for c in kept}
    pieces = specials + sorted(used)
    ids = {piece: i for i, piece in enumerate(pieces)}
    document["model"]["vocab"] = ids
    for token in document["added_tokens"]:
        token["id"] = ids[token["content"]]
        token["lstrip"] = token["content"] == "[MASK]"
    extra = {"single_word": False, "lstrip": False, "special": False}
    added = (("Été", False, True), ("<b>", True, False), ("<b>bold", False, False))
    for i, (content, rstrip, normalized) in enumerate(added):
        document["added_tokens"].append(
            {"id": len(pieces) + i, "content": content, "rstrip": rstrip, "normalized": normalized, **extra})
    for name, token in document["post_processor"]["special_tokens"].items():
        token["ids"] = [ids[name]]
    with open(out_json, "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    small = Tokenizer.from_file(out_json)
    small.no_padding()
    small.no_truncation()
    with open(out_ids, "w", encoding="ascii") as file:
        for encoding in small.encode_batch(lines):
            file.write(" ".join(map(str, encoding.ids)) + "\n")


main()
