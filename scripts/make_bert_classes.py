#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/text/bert_classes.inc: how Hugging Face `tokenizers` classifies every code point in BertNormalizer and
BertPreTokenizer, found by asking it. Its Unicode tables are older than utf8proc's; the file holds what differs too.

usage: make_bert_classes.py > src/text/bert_classes.inc     (needs: pip install tokenizers; libutf8proc)
"""
import ctypes
import ctypes.util
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers


class Property(ctypes.Structure):
    _fields_ = [("category", ctypes.c_int16), ("combining_class", ctypes.c_int16)]


utf8proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
utf8proc.utf8proc_get_property.restype = ctypes.POINTER(Property)
COMPAT, DECOMPOSE = 1 << 2, 1 << 4


def bert(**options):
    flags = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    return normalizers.BertNormalizer(**{**flags, **options})


def decompose(code):
    buffer, last = (ctypes.c_int32 * 32)(), ctypes.c_int(0)
    n = utf8proc.utf8proc_decompose_char(code, buffer, 32, DECOMPOSE, ctypes.byref(last))
    return "".join(map(chr, buffer[:n]))


clean, strip, lower = bert(clean_text=True), bert(strip_accents=True), bert(lowercase=True)
nfd, nfkd, split = normalizers.NFD(), normalizers.NFKD(), pre_tokenizers.BertPreTokenizer()
combining = {c: utf8proc.utf8proc_get_property(c).contents.combining_class for c in range(0x110000)}
# one mark of each combining class that is old enough for every table
witness = {}
for code, ccc in combining.items():
    if ccc and unicodedata.ucd_3_2_0.combining(chr(code)) == ccc:
        witness.setdefault(ccc, chr(code))


def is_new(code):
    """utf8proc decomposes or reorders it, tokenizers does not."""
    s = chr(code)
    if nfd.normalize_str(s) != decompose(code):
        return True
    if not combining[code] or decompose(code) != s:
        return False
    return any(
        nfd.normalize_str("a" + s + mark) != "a" + (mark + s if ccc < combining[code] else s + mark)
        for ccc, mark in witness.items()
    )


def decompose_compatible(code):
    buffer, last = (ctypes.c_int32 * 32)(), ctypes.c_int(0)
    n = utf8proc.utf8proc_decompose_char(code, buffer, 32, DECOMPOSE | COMPAT, ctypes.byref(last))
    return "".join(map(chr, buffer[:n]))


def is_other_mark(code):
    """A mark (Mn, Mc, Me) to utf8proc and not to StripAccents, or the other way round."""
    return combining_category(code) != (normalizers.StripAccents().normalize_str(chr(code)) == "")


def combining_category(code):
    return utf8proc.utf8proc_get_property(code).contents.category in (6, 7, 8)


def classify(code):
    s = chr(code)
    if is_new(code):
        return "NEW"
    if clean.normalize_str(s) == "":
        return "OTHER"
    if strip.normalize_str(s) == "":
        return "MARK"
    if len(split.pre_tokenize_str("a" + s + "a")) == 3:
        return "PUNCTUATION"
    return None


def ranges(pairs):
    merged = []
    for code, value in pairs:
        if merged and merged[-1][1] == code - 1 and merged[-1][2] == value:
            merged[-1][1] = code
        else:
            merged.append([code, code, value])
    return merged


def section(macro, lines):
    print(f"#ifdef {macro}")
    for line in lines:
        print(f"{macro}({line})")
    print(f"#undef {macro}\n#endif")


def main():
    codes = [c for c in range(0x80, 0x110000) if not 0xD800 <= c < 0xE000]
    classes = ranges((c, k) for c in codes if (k := classify(c)))
    lowered = []
    for code in codes:
        low = lower.normalize_str(chr(code))
        if len(low) == 1 and ord(low) != utf8proc.utf8proc_tolower(code):
            lowered.append((code, ord(low) - code))
    new = {c for c in codes if is_new(c)}
    compatible = ranges((c, 0) for c in codes
                        if c not in new and nfkd.normalize_str(chr(c)) != decompose_compatible(c))
    marks = ranges((c, 0) for c in codes if is_other_mark(c))
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print(f"/* Made by scripts/make_bert_classes.py from tokenizers {tokenizers.__version__}; do not edit. */")
    print("/* Whoever includes this defines one of the macros. */")
    section("CLASS", (f"0x{first:x}, 0x{last:x}, {name}" for first, last, name in classes))
    print("/* lower-case letters that utf8proc lacks: first, last, distance */")
    section("LOWER", (f"0x{first:x}, 0x{last:x}, {distance}" for first, last, distance in ranges(lowered)))
    print("/* compatibility decompositions that utf8proc has and tokenizers has not */")
    section("COMPATIBLE", (f"0x{first:x}, 0x{last:x}" for first, last, _ in compatible))
    print("/* marks of utf8proc that are none to StripAccents, and the other way round */")
    section("OTHER_MARK", (f"0x{first:x}, 0x{last:x}" for first, last, _ in marks))


main()
