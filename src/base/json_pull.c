/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_pull.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define MAX_NUMBER 63 /* characters */

void inc_json_pull_init(struct inc_json_pull *pull, const struct inc_ctx *ctx, const char *label,
                        const struct inc_json_span *span)
{
    memset(pull, 0, sizeof *pull);
    pull->ctx = ctx;
    pull->label = label;
    pull->start = span->start;
    pull->at = span->text;
    pull->end = span->text + span->length;
}

void inc_json_pull_fini(struct inc_json_pull *pull)
{
    inc_free(pull->ctx, pull->decoded);
    pull->decoded = NULL;
    pull->decoded_capacity = 0;
}

static size_t count_lines(const char *from, const char *to)
{
    size_t n = 0;
    for (; from < to; from++) n += *from == '\n';
    return n;
}

enum incise_status inc_json_pull_fail(const struct inc_json_pull *pull, const char *format, ...)
{
    char reason[256];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return inc_fail(pull->ctx, INCISE_ERROR_DATA, "%s: line %zu: %s", pull->label,
                    1 + count_lines(pull->start, pull->at), reason);
}

static void skip_space(struct inc_json_pull *pull)
{
    const char *at = pull->at;
    while (at < pull->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
    pull->at = at;
}

enum inc_json_kind inc_json_pull_kind(struct inc_json_pull *pull)
{
    skip_space(pull);
    if (pull->at == pull->end) return INC_JSON_NONE;
    switch (*pull->at) {
    case 'n': return INC_JSON_NULL;
    case 't':
    case 'f': return INC_JSON_BOOL;
    case '"': return INC_JSON_STRING;
    case '[': return INC_JSON_ARRAY;
    case '{': return INC_JSON_OBJECT;
    case '-': return INC_JSON_NUMBER;
    default: return *pull->at >= '0' && *pull->at <= '9' ? INC_JSON_NUMBER : INC_JSON_NONE;
    }
}

static enum incise_status expect(struct inc_json_pull *pull, enum inc_json_kind kind)
{
    static const char *const names[] = {"a value", "null", "true or false", "a number", "a string", "[", "{"};
    if (inc_json_pull_kind(pull) == kind) return INCISE_OK;
    return inc_json_pull_fail(pull, "%s expected", names[kind]);
}

/* ---- containers -------------------------------------------------------------------------------------------------- */

enum incise_status inc_json_pull_open(struct inc_json_pull *pull, enum inc_json_kind kind)
{
    uint64_t bit = (uint64_t)1 << pull->depth % INC_JSON_PULL_DEPTH;
    INC_TRY(expect(pull, kind));
    if (pull->depth == INC_JSON_PULL_DEPTH)
        return inc_json_pull_fail(pull, "more than %d levels", INC_JSON_PULL_DEPTH);
    pull->arrays = kind == INC_JSON_ARRAY ? pull->arrays | bit : pull->arrays & ~bit;
    pull->depth++;
    pull->first = true;
    pull->at++;
    return INCISE_OK;
}

static bool in_array(const struct inc_json_pull *pull)
{
    return (pull->arrays >> (pull->depth - 1) & 1) != 0;
}

enum incise_status inc_json_pull_next(struct inc_json_pull *pull, bool *more)
{
    char close = in_array(pull) ? ']' : '}';
    skip_space(pull);
    *more = pull->at == pull->end || *pull->at != close;
    if (!*more) {
        pull->at++;
        pull->depth--;
        pull->first = false;
        return INCISE_OK;
    }
    if (!pull->first) {
        if (pull->at == pull->end || *pull->at != ',') return inc_json_pull_fail(pull, "',' or '%c' expected", close);
        pull->at++;
    }
    pull->first = false;
    return INCISE_OK;
}

/* ---- strings ----------------------------------------------------------------------------------------------------- */

/* From the opening quote to after the closing one; the text between is checked but for its escapes. */
static enum incise_status scan_string(struct inc_json_pull *pull, const char **text, size_t *length, bool *escaped)
{
    INC_TRY(expect(pull, INC_JSON_STRING));
    const char *start = ++pull->at, *at = start, *end = pull->end;
    *escaped = false;
    while (at < end && *at != '"') {
        unsigned char c = (unsigned char)*at;
        utf8proc_int32_t code;
        utf8proc_ssize_t n = 1;
        pull->at = at;
        if (c == '\\') {
            *escaped = true;
            n = 2;
            if (end - at < 2) break;
        } else if (c < 0x20) {
            return inc_json_pull_fail(pull, "control character in a string");
        } else if (c >= 0x80) {
            n = utf8proc_iterate((const utf8proc_uint8_t *)at, end - at, &code);
            if (n < 1) return inc_json_pull_fail(pull, "string is not UTF-8");
        }
        at += n;
    }
    if (at >= end || *at != '"') return inc_json_pull_fail(pull, "string without end");
    *text = start;
    *length = (size_t)(at - start);
    pull->at = at + 1;
    return INCISE_OK;
}

/* The four digits at `at`, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i], lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* \uXXXX at `at` (after the 'u'), or a pair of them; -1 for what is none. */
static int32_t unicode_escape(const char **at, const char *end)
{
    int32_t high = hex4(*at, end), low;
    if (high < 0 || (high >= 0xdc00 && high < 0xe000)) return -1;
    *at += 4;
    if (high < 0xd800 || high >= 0xdc00) return high;
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') return -1;
    low = hex4(*at + 2, end);
    if (low < 0xdc00 || low >= 0xe000) return -1;
    *at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

static enum incise_status unescape(struct inc_json_pull *pull, const char **text, size_t *length)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = *text, *end = at + *length;
    INC_TRY(inc_grow(pull->ctx, (void **)&pull->decoded, &pull->decoded_capacity, *length + 1, 1));
    char *out = pull->decoded;
    while (at < end) {
        if (*at != '\\') {
            *out++ = *at++;
            continue;
        }
        const char *known = at[1] != '\0' ? strchr(from, at[1]) : NULL;
        bool unicode = at[1] == 'u';
        at += 2;
        int32_t code = unicode ? unicode_escape(&at, end) : known != NULL ? to[known - from] : -1;
        if (code < 0) return inc_json_pull_fail(pull, "invalid escape in a string");
        out += utf8proc_encode_char(code, (utf8proc_uint8_t *)out);
    }
    *text = pull->decoded;
    *length = (size_t)(out - pull->decoded);
    return INCISE_OK;
}

enum incise_status inc_json_pull_string(struct inc_json_pull *pull, const char **text, size_t *length)
{
    bool escaped;
    INC_TRY(scan_string(pull, text, length, &escaped));
    return escaped ? unescape(pull, text, length) : INCISE_OK;
}

enum incise_status inc_json_pull_key(struct inc_json_pull *pull, const char **text, size_t *length)
{
    INC_TRY(inc_json_pull_string(pull, text, length));
    skip_space(pull);
    if (pull->at == pull->end || *pull->at != ':') return inc_json_pull_fail(pull, "':' expected");
    pull->at++;
    return INCISE_OK;
}

/* ---- numbers and words ------------------------------------------------------------------------------------------- */

static size_t count_digits(const char *at, const char *end)
{
    size_t n = 0;
    while (at + n < end && at[n] >= '0' && at[n] <= '9') n++;
    return n;
}

/* Passes a number; *integral: without fraction and exponent. */
static enum incise_status scan_number(struct inc_json_pull *pull, const char **text, size_t *length, bool *integral)
{
    INC_TRY(expect(pull, INC_JSON_NUMBER));
    const char *at = pull->at, *end = pull->end;
    at += *at == '-';
    size_t n = count_digits(at, end);
    bool valid = n == 1 || (n > 1 && *at != '0');
    at += n;
    *integral = true;
    if (at < end && *at == '.') {
        n = count_digits(++at, end);
        valid = valid && n > 0;
        at += n;
        *integral = false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        n = count_digits(at, end);
        valid = valid && n > 0;
        at += n;
        *integral = false;
    }
    if (!valid || at - pull->at > MAX_NUMBER) return inc_json_pull_fail(pull, "invalid number");
    *text = pull->at;
    *length = (size_t)(at - pull->at);
    pull->at = at;
    return INCISE_OK;
}

enum incise_status inc_json_pull_int(struct inc_json_pull *pull, int64_t min, int64_t max, int64_t *out)
{
    const char *text;
    size_t length;
    bool integral;
    INC_TRY(scan_number(pull, &text, &length, &integral));
    bool negative = *text == '-', fits = integral;
    int64_t value = 0;
    for (size_t i = negative; i < length && fits; i++) {
        int64_t digit = text[i] - '0';
        fits = !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, negative ? -digit : digit, &value);
    }
    if (!fits || value < min || value > max)
        return inc_json_pull_fail(pull, "%.*s is not an integer in %lld..%lld", (int)length, text, (long long)min,
                                  (long long)max);
    *out = value;
    return INCISE_OK;
}

enum incise_status inc_json_pull_digits(struct inc_json_pull *pull, const char **text, size_t *length)
{
    bool integral;
    return scan_number(pull, text, length, &integral);
}

enum incise_status inc_json_pull_number(struct inc_json_pull *pull, double *out)
{
    char copy[MAX_NUMBER + 1];
    const char *text;
    size_t length;
    bool integral;
    INC_TRY(scan_number(pull, &text, &length, &integral));
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *point = strchr(copy, '.');
    if (point != NULL) *point = *localeconv()->decimal_point; /* what strtod expects */
    *out = strtod(copy, NULL);
    return isfinite(*out) ? INCISE_OK : inc_json_pull_fail(pull, "%.*s is too large", (int)length, text);
}

static enum incise_status skip_word(struct inc_json_pull *pull)
{
    static const char *const words[] = {"null", "true", "false"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(pull->end - pull->at) < n || memcmp(pull->at, words[i], n) != 0) continue;
        pull->at += n;
        return INCISE_OK;
    }
    return inc_json_pull_fail(pull, "invalid word");
}

/* ---- whole values ------------------------------------------------------------------------------------------------ */

/* Passes a simple value, or opens a container. */
static enum incise_status skip_start(struct inc_json_pull *pull)
{
    const char *text;
    size_t length;
    bool integral;
    enum inc_json_kind kind = inc_json_pull_kind(pull);
    switch (kind) {
    case INC_JSON_NULL:
    case INC_JSON_BOOL: return skip_word(pull);
    case INC_JSON_NUMBER: return scan_number(pull, &text, &length, &integral);
    case INC_JSON_STRING: return inc_json_pull_string(pull, &text, &length);
    case INC_JSON_ARRAY:
    case INC_JSON_OBJECT: return inc_json_pull_open(pull, kind);
    case INC_JSON_NONE: break;
    }
    return inc_json_pull_fail(pull, "a value expected");
}

enum incise_status inc_json_pull_skip(struct inc_json_pull *pull, struct inc_json_span *span)
{
    unsigned depth = pull->depth;
    inc_json_pull_kind(pull);
    span->text = pull->at;
    span->start = pull->start;
    span->members = 0;
    INC_TRY(skip_start(pull));
    while (pull->depth > depth) {
        const char *key;
        size_t length;
        bool more;
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) continue;
        span->members += pull->depth == depth + 1;
        if (!in_array(pull)) INC_TRY(inc_json_pull_key(pull, &key, &length));
        INC_TRY(skip_start(pull));
    }
    span->length = (size_t)(pull->at - span->text);
    return INCISE_OK;
}

enum incise_status inc_json_pull_end(struct inc_json_pull *pull)
{
    skip_space(pull);
    return pull->at == pull->end ? INCISE_OK : inc_json_pull_fail(pull, "text after the end of the value");
}
