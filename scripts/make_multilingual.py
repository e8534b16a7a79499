#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the tokenizer tests' text: sentences of our own in many languages, in several spellings, then lines made of
code points of many blocks, of marks, controls, emoji, special tokens and long words. Deterministic.

usage: make_multilingual.py > tests/data/multilingual.txt
"""
import random
import unicodedata

SENTENCES = [
    "The quick measurement of slow programs teaches more than any guess.",
    "It's 3:45 p.m.; the cost is $1,299.99 (incl. 19% VAT), isn't it?",
    "Email me at first.last+tag@example.org or see https://example.org/a_b?c=d&e=f#g.",
    "Unbelievable antidisestablishmentarianism hyperparameterization re-tokenized everything!",
    "Les élèves français préfèrent les crêpes à la crème brûlée, naïvement.",
    "Größere Übungen für müde Füße: Straße, Maß, groß, ÄÖÜ.",
    "El pingüino comió piñas y cañas en el otoño, ¿verdad? ¡Sí!",
    "Às vezes a informação não está à mão; põe-na lá amanhã.",
    "Perché così? È più bello laggiù, però è già tardi.",
    "Zażółć gęślą jaźń, proszę bardzo, łódź płynie.",
    "Příliš žluťoučký kůň pěl ďábelské ódy.",
    "A gyors őzike átugrott a hűvös árok fölött.",
    "Șapte țărani împart pâinea în două părți.",
    "İstanbul'da ılık bir akşamüstü çay içtik, değil mi?",
    "Blåbærsyltetøy på brødskive er godt, også om høsten.",
    "Hyvää päivää, yötyö jäi tekemättä.",
    "Þetta er ágætt dæmi um íslensku með ð og þ.",
    "Tiếng Việt có nhiều dấu thanh: ắ ằ ẳ ẵ ặ, ế ề ể ễ ệ.",
    "Быстрая проверка показала, что ёжик спит в траве.",
    "Щоденний їжак ґанок їсть яблука, є й інші.",
    "Ο γρήγορος έλεγχος έδειξε ότι όλα είναι καλά, Σίσυφος ΑΣ.",
    "Ἐν ἀρχῇ ἦν ὁ λόγος τοῦ παραδείγματος ᾧ ᾳ ῃ.",
    "שָׁלוֹם לְכֻלָּם, זוהי בדיקה קצרה.",
    "هٰذا نصٌّ قصيرٌ للاختبار، أليس كذلك؟",
    "یہ ایک مختصر جانچ ہے، ٹھیک ہے؟",
    "این یک آزمایش کوتاه است؛ می‌خواهم.",
    "यह एक छोटा परीक्षण है, क़ ख़ ज़ ठीक है।",
    "এটি একটি ছোট পরীক্ষা, ঠিক আছে।",
    "இது ஒரு சிறிய சோதனை, சரியா?",
    "ఇది ఒక చిన్న పరీక్ష.",
    "ನಾವು ಇದನ್ನು ಪರೀಕ್ಷಿಸುತ್ತೇವೆ.",
    "ഇത് ഒരു ചെറിയ പരീക്ഷണമാണ്.",
    "ਇਹ ਇੱਕ ਛੋਟਾ ਟੈਸਟ ਹੈ।",
    "આ એક નાનું પરીક્ષણ છે.",
    "මෙය කුඩා පරීක්ෂණයකි.",
    "นี่คือการทดสอบสั้นๆ น้ำใจ",
    "ນີ້ແມ່ນການທົດສອບ.",
    "ဒါက စမ်းသပ်မှုတစ်ခုပါ။",
    "នេះជាការសាកល្បងខ្លី។",
    "འདི་ནི་ཚོད་ལྟ་ཞིག་ཡིན།",
    "ეს არის მოკლე ტესტი. ႠႡႢ",
    "Սա կարճ փորձարկում է։",
    "ይህ አጭር ሙከራ ነው።",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ ꭰꭱ",
    "ᐃᓄᒃᑎᑐᑦ ᖃᓂᐅᔮᖅᐸᐃᑦ",
    "这是一个简短的测试,对吗？中文和English混合。",
    "這是一個簡短的測試，繁體字「引號」。",
    "これは短いテストです。カタカナとひらがな、漢字ｶﾅ、ガギグ。",
    "이것은 짧은 시험입니다. 한국어 띄어쓰기 확인.",
    "Монгол ᠮᠣᠩᠭᠣᠯ бичиг.",
    "Kōrero Māori: ā ē ī ō ū.",
    "Yorùbá: ẹ̀kọ́, ọ̀rọ̀, ṣé.",
    "IPA: /ˈtɛst ˈlaɪn/ [ʃʒθðŋ] ɑ̃ ɛ̃",
    "∑ x² ≤ ∫ f(x)dx ≈ √2 ± ½, ∀x∈ℝ: ℵ₀ → ∞",
    "Prices: €5, £6, ¥700, ₹80, ₿0.1; 25°C, 5µm, №7 § 3 ¶",
    "ﬁne ﬂoor ﬃ ŉ ǆ Ⅷ ⑦ ㎏ Ａｂｃ １２３ ﷺ",
    "😀 😃👍🏽 family: 👨‍👩‍👧‍👦 flag: 🇩🇪🇯🇵 heart: ❤️ ☺︎ keycap: 1️⃣",
    "[CLS] written in text [SEP] and [MASK] too, [PAD][UNK] [cls] [ CLS ] [CLS",
    "don't-stop_me ##ing # ## ### a##b \\n \\t {json: [1, 2]} <b>bold</b> `code`",
    "1 22 333 4444 55555 1e-10 0x7fffffff 3.14159265358979 10,000,000 2026-11-22",
    "...!!!???---___===+++~~~^^^|||",
    "Une ÉTÉ, l'été étéx xété E\u0301te\u0301 ete <b>   bold <b>bold <b>bol <b> [MASK]   [MASK]\u3000[MASK]<b>",
    "MixedCASE camelCase snake_case kebab-case SCREAMING_CASE",
]
SCRIPTS = [
    (0xA0, 0xFF), (0x100, 0x17F), (0x180, 0x24F), (0x250, 0x2AF), (0x2B0, 0x2FF), (0x370, 0x3FF), (0x400, 0x4FF),
    (0x500, 0x52F), (0x531, 0x58F), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7BF), (0x7C0, 0x7FF),
    (0x840, 0x85F), (0x8A0, 0x8FF), (0x900, 0x97F), (0x980, 0x9FF), (0xA00, 0xA7F), (0xA80, 0xAFF), (0xB00, 0xB7F),
    (0xB80, 0xBFF), (0xC00, 0xC7F), (0xC80, 0xCFF), (0xD00, 0xD7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF),
    (0xF00, 0xFFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137F), (0x13A0, 0x13FF),
    (0x1400, 0x167F), (0x1680, 0x16FF), (0x1700, 0x177F), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1900, 0x19DF),
    (0x1A00, 0x1AFF), (0x1B00, 0x1BFF), (0x1C00, 0x1CFF), (0x1D00, 0x1DFF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x2000, 0x206F), (0x2070, 0x20FF), (0x2100, 0x218F), (0x2190, 0x23FF), (0x2460, 0x27BF), (0x2C00, 0x2DFF),
    (0x2E00, 0x2E7F), (0x2E80, 0x303F), (0x3040, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x3500), (0x4E00, 0x5200),
    (0x9F00, 0xA4CF), (0xA4D0, 0xA6FF), (0xA700, 0xA7FF), (0xA800, 0xABFF), (0xAC00, 0xAD00), (0xD700, 0xD7FF),
    (0xE000, 0xE010), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFEFF), (0xFF00, 0xFFFD), (0x10000, 0x100FF),
    (0x10300, 0x104FF), (0x10900, 0x10AFF), (0x10D00, 0x10FFF), (0x11000, 0x114FF), (0x11600, 0x11AFF),
    (0x12000, 0x12080), (0x13000, 0x13080), (0x16E40, 0x16FFF), (0x1B000, 0x1B020), (0x1D100, 0x1D1FF),
    (0x1D400, 0x1D4FF), (0x1E800, 0x1E95F), (0x1F300, 0x1F6FF), (0x20000, 0x20040), (0x2A6D0, 0x2A710),
    (0x2F800, 0x2FA1F), (0xE0001, 0xE007F), (0xF0000, 0xF0010), (0x10FFF0, 0x10FFFD),
]


def spellings(sentence):
    yield sentence
    yield unicodedata.normalize("NFD", sentence)
    yield unicodedata.normalize("NFKC", sentence).upper()


def main():
    rng = random.Random(1)
    lines = [s for sentence in SENTENCES for s in spellings(sentence)]
    for first, last in SCRIPTS:  # words of one block between spaces, then all in one
        codes = [chr(rng.randint(first, last)) for _ in range(24)]
        lines.append(" ".join("".join(codes[i : i + 1 + i % 4]) for i in range(0, 24, 3)))
        lines.append("x" + "".join(codes[:12]) + "y")
    marks = [chr(c) for c in range(0x300, 0x2000) if unicodedata.combining(chr(c))]
    marks += [chr(c) for c in (0x302E, 0x302F, 0x1D165, 0x1D16D, 0x1B44, 0x116B6, 0x16FF0)]
    for _ in range(40):  # accents in any order
        words = (rng.choice("aeioucnxAEIOUあ한क") + "".join(rng.choices(marks, k=rng.randint(1, 6))) for _ in range(8))
        lines.append(" ".join(words))
    odd = [chr(c) for c in range(1, 32) if c != 10] + list("\x7f\x85\xa0\xad\u1680\u180e\u2003\u200b\u200c\u200d\u200e")
    odd += list("\u2028\u2029\u202f\u205f\u2060\u3000\ufeff\ufffd")
    for _ in range(20):  # controls and unusual spaces
        words = ["word", "Ünder", "42", "中", "[SEP]", ",", " "]
        lines.append("".join(rng.choice(words) + rng.choice(odd) for _ in range(12)))
    for n in (99, 100, 101, 102, 150, 400):  # around the longest word
        lines += ["a" * n, "É" * n + " end", "ab" * (n // 2) + " 中" * 3, "é" * n, "1" * n + "." + "z" * n]
    lines += ["", " ", "\t \t", "\u200b", "\u0300\u0341", "a\u0315\u0300\u05ae\u0300\u0062", "a", "[SEP]", "[CLS][CLS]"]
    print("\n".join(lines))


main()
