/* SPDX-License-Identifier: Apache-2.0 */
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

struct code_range {
    uint32_t first, last;
    int32_t value; /* a class, or the distance to the lower-case letter */
};

static const struct code_range bert_classes[] = {
#define CLASS(first, last, name) {first, last, INC_BERT_##name},
#include "text/bert_classes.inc"
};

static const struct code_range lower_cases[] = {
#define LOWER(first, last, distance) {first, last, distance},
#include "text/bert_classes.inc"
};

/* Compatibility decompositions that utf8proc has and Hugging Face has not. */
static const struct code_range newly_compatible[] = {
#define COMPATIBLE(first, last) {first, last, 0},
#include "text/bert_classes.inc"
};

/* Marks of utf8proc that are none to StripAccents, and the other way round. */
static const struct code_range other_marks[] = {
#define OTHER_MARK(first, last) {first, last, 0},
#include "text/bert_classes.inc"
};

#define IN_RANGES(ranges, code) (find_range(ranges, sizeof(ranges) / sizeof *(ranges), code) != NULL)

/* The range that holds `code`, or NULL; `ranges` rise. */
static const struct code_range *find_range(const struct code_range *ranges, size_t n, uint32_t code)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && code >= ranges[low].first ? &ranges[low] : NULL;
}

enum inc_bert_class inc_bert_class(uint32_t code)
{
    const struct code_range *range = find_range(bert_classes, sizeof bert_classes / sizeof *bert_classes, code);
    return range != NULL ? (enum inc_bert_class)range->value : INC_BERT_PLAIN;
}

bool inc_is_space(uint32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13);
    return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool inc_is_chinese(uint32_t code)
{
    static const struct code_range blocks[] = {
        {0x3400, 0x4dbf, 0},   {0x4e00, 0x9fff, 0},   {0xf900, 0xfaff, 0},   {0x20000, 0x2a6df, 0},
        {0x2a700, 0x2b73f, 0}, {0x2b740, 0x2b81f, 0}, {0x2b920, 0x2ceaf, 0}, {0x2f800, 0x2fa1f, 0},
    };
    return code >= 0x3400 && IN_RANGES(blocks, code);
}

/* The ranges are what utf8proc's Unicode 15 lacks. */
bool inc_is_letter(uint32_t code)
{
    static const struct code_range newer[] = {
        {0x1c89, 0x1c8a, 0}, {0xa7cb, 0xa7cd, 0}, {0xa7da, 0xa7dc, 0}, {0x105c0, 0x105f3, 0}, {0x10d4a, 0x10d65, 0},
        {0x10d6f, 0x10d85, 0}, {0x10ec2, 0x10ec4, 0}, {0x11380, 0x11389, 0}, {0x1138b, 0x1138b, 0},
        {0x1138e, 0x1138e, 0}, {0x11390, 0x113b5, 0}, {0x113b7, 0x113b7, 0}, {0x113d1, 0x113d1, 0},
        {0x113d3, 0x113d3, 0}, {0x11bc0, 0x11be0, 0}, {0x13460, 0x143fa, 0}, {0x16100, 0x1611d, 0},
        {0x16d40, 0x16d6c, 0}, {0x18cff, 0x18cff, 0}, {0x1e5d0, 0x1e5ed, 0}, {0x1e5f0, 0x1e5f0, 0},
        {0x2ebf0, 0x2ee5d, 0},
    };
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) return true;
    return IN_RANGES(newer, code);
}

bool inc_is_number(uint32_t code)
{
    static const struct code_range newer[] = {
        {0x10d40, 0x10d49, 0}, {0x116d0, 0x116e3, 0}, {0x11bf0, 0x11bf9, 0}, {0x16130, 0x16139, 0},
        {0x16d70, 0x16d79, 0}, {0x1ccf0, 0x1ccf9, 0}, {0x1e5f1, 0x1e5fa, 0},
    };
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO) return true;
    return IN_RANGES(newer, code);
}

static bool is_mark_category(utf8proc_category_t category)
{
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

bool inc_is_word(uint32_t code)
{
    static const struct code_range others[] = {
        /* joiners, letters in circles and squares, marks that utf8proc lacks */
        {0x897, 0x897, 0}, {0x200c, 0x200d, 0}, {0x24b6, 0x24e9, 0}, {0x10d69, 0x10d6d, 0},
        {0x10efc, 0x10efc, 0}, {0x113b8, 0x113c0, 0}, {0x113c2, 0x113c2, 0}, {0x113c5, 0x113c5, 0},
        {0x113c7, 0x113ca, 0}, {0x113cc, 0x113d0, 0}, {0x113d2, 0x113d2, 0}, {0x113e1, 0x113e2, 0},
        {0x11f5a, 0x11f5a, 0}, {0x1611e, 0x1612f, 0}, {0x1e5ee, 0x1e5ef, 0}, {0x1f130, 0x1f149, 0},
        {0x1f150, 0x1f169, 0}, {0x1f170, 0x1f189, 0},
    };
    if (code < 0x80) {
        uint32_t lower = code | 0x20;
        return (lower >= 'a' && lower <= 'z') || (code >= '0' && code <= '9') || code == '_';
    }
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category == UTF8PROC_CATEGORY_NO) return false;
    return is_mark_category(category) || category == UTF8PROC_CATEGORY_PC || inc_is_letter(code) ||
           inc_is_number(code) || IN_RANGES(others, code);
}

bool inc_is_numeric(uint32_t code)
{
    if (code < 0x80) return code >= '0' && code <= '9';
    return inc_is_number(code) || (code >= 0x11de0 && code <= 0x11de9) || (code >= 0x16ff4 && code <= 0x16ff6);
}

bool inc_is_punctuation(uint32_t code)
{
    if (code < 0x80) return code > ' ' && code != 0x7f && (code == '_' || !inc_is_word(code));
    return inc_bert_class(code) == INC_BERT_PUNCTUATION;
}

bool inc_is_mark(uint32_t code)
{
    return is_mark_category(utf8proc_category((utf8proc_int32_t)code)) != IN_RANGES(other_marks, code);
}

uint32_t inc_lower(uint32_t code)
{
    const struct code_range *range = find_range(lower_cases, sizeof lower_cases / sizeof *lower_cases, code);
    if (range != NULL) return (uint32_t)((int32_t)code + range->value);
    if (code == 0x130) return 'i';
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

unsigned inc_combining_class(uint32_t code)
{
    unsigned combining_class = (unsigned)utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
    return combining_class == 0 || inc_bert_class(code) == INC_BERT_NEW ? 0 : combining_class;
}

size_t inc_decompose(uint32_t code, bool compatible, uint32_t parts[INC_MAX_DECOMPOSED])
{
    utf8proc_int32_t decomposed[INC_MAX_DECOMPOSED];
    int boundary = 0;
    utf8proc_option_t options = UTF8PROC_DECOMPOSE;
    parts[0] = code;
    if (code < 0x80 || inc_bert_class(code) == INC_BERT_NEW) return 1;
    if (compatible && !IN_RANGES(newly_compatible, code)) options |= UTF8PROC_COMPAT;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code, decomposed, INC_MAX_DECOMPOSED, options, &boundary);
    if (n < 1 || n > INC_MAX_DECOMPOSED) return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++) parts[i] = (uint32_t)decomposed[i];
    return (size_t)n;
}

uint32_t inc_compose(uint32_t first, uint32_t second)
{
    utf8proc_int32_t pair[3] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second};
    bool jamo = second >= 0x1161 && second <= 0x11c2;
    if (!jamo && utf8proc_get_property(pair[1])->comb_index == UINT16_MAX) return 0;
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1) return 0;
    return inc_bert_class((uint32_t)pair[0]) == INC_BERT_NEW ? 0 : (uint32_t)pair[0];
}

bool inc_grapheme_break(uint32_t before, uint32_t after, int32_t *state)
{
    static const struct code_range newer[] = { /* Grapheme_Extend of Unicode 17 that utf8proc lacks */
        {0x897, 0x897, 0}, {0x1acf, 0x1add, 0}, {0x1ae0, 0x1aeb, 0}, {0x10d69, 0x10d6d, 0},
        {0x10efa, 0x10efc, 0}, {0x113b8, 0x113c0, 0}, {0x113c2, 0x113c2, 0}, {0x113c5, 0x113c5, 0},
        {0x113c7, 0x113ca, 0}, {0x113cc, 0x113d0, 0}, {0x113d2, 0x113d2, 0}, {0x113e1, 0x113e2, 0},
        {0x11b60, 0x11b67, 0}, {0x11f5a, 0x11f5a, 0}, {0x1611e, 0x1612f, 0}, {0x1e5ee, 0x1e5ef, 0},
        {0x1e6e3, 0x1e6e3, 0}, {0x1e6e6, 0x1e6e6, 0}, {0x1e6ee, 0x1e6ef, 0}, {0x1e6f5, 0x1e6f5, 0},
    };
    if (after >= 0x897 && before >= ' ' && before != 0x7f && IN_RANGES(newer, after)) return false;
    utf8proc_int32_t kept = *state;
    bool cut = utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)after, &kept);
    *state = kept;
    return cut;
}

size_t inc_utf8_check(const char *text, size_t n)
{
    size_t at = 0;
    while (at < n) {
        uint64_t block;
        utf8proc_int32_t code;
        if (n - at >= sizeof block) {
            memcpy(&block, text + at, sizeof block);
            if ((block & 0x8080808080808080u) == 0) {
                at += sizeof block;
                continue;
            }
        }
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(n - at), &code);
        if (length < 1) return at;
        at += (size_t)length;
    }
    return n;
}

size_t inc_utf8_decode(const char *text, uint32_t *code)
{
    const unsigned char *u = (const unsigned char *)text;
    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    if (u[0] < 0xe0) {
        *code = (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
        return 2;
    }
    if (u[0] < 0xf0) {
        *code = (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
        return 3;
    }
    *code = (u[0] & 0x07u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
    return 4;
}

size_t inc_utf8_encode(uint32_t code, char *text)
{
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)text);
}
