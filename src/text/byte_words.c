/* SPDX-License-Identifier: Apache-2.0 */
/* The regular expressions that byte-level tokenizers cut words with. */
#include <string.h>

#include "text/pattern.h"
#include "text/unicode.h"

/* What is at `at`, and its length; the end of the text counts as KIND_END of length 0. */
enum kind { KIND_LETTER, KIND_NUMBER, KIND_SPACE, KIND_OTHER, KIND_END };

static enum kind kind_at(const char *text, size_t n, size_t at, size_t *length)
{
    uint32_t code;
    *length = 0;
    if (at == n) return KIND_END;
    *length = inc_utf8_decode(text + at, &code);
    if (code < 0x80) {
        uint32_t lower = code | 0x20;
        if (lower >= 'a' && lower <= 'z') return KIND_LETTER;
        if (code >= '0' && code <= '9') return KIND_NUMBER;
        return inc_is_space(code) ? KIND_SPACE : KIND_OTHER;
    }
    if (inc_is_space(code)) return KIND_SPACE;
    return inc_is_letter(code) ? KIND_LETTER : inc_is_number(code) ? KIND_NUMBER : KIND_OTHER;
}

/* End of the run of `kind` that starts at `at`. */
static size_t run_end(const char *text, size_t n, size_t at, enum kind kind)
{
    size_t length;
    while (kind_at(text, n, at, &length) == kind) at += length;
    return at;
}

/* 's 't 're 've 'm 'll 'd at `at`, whose end is returned, or `at`. */
static size_t contraction(const char *text, size_t n, size_t at, bool any_case)
{
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (text[at] != '\'') return at;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t k = 0;
        for (; endings[i][k] != '\0' && at + 1 + k < n; k++) {
            char c = text[at + 1 + k];
            if (any_case && c >= 'A' && c <= 'Z') c = (char)(c + 'a' - 'A');
            if (c != endings[i][k]) break;
        }
        if (endings[i][k] == '\0') return at + 1 + k;
    }
    if (any_case && n - at >= 3 && memcmp(text + at + 1, "\xc5\xbf", 2) == 0) return at + 3; /* long s */
    return at;
}

/* White space from `at`: all of it at the end of the text, else all but the last character if there are two. */
static size_t space_end(const char *text, size_t n, size_t at)
{
    size_t end = run_end(text, n, at, KIND_SPACE), last = end;
    if (end == n) return end;
    while (((unsigned char)text[--last] & 0xc0) == 0x80) continue;
    return last > at ? last : end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t gpt2_end(const char *text, size_t n, size_t at)
{
    size_t length, end = contraction(text, n, at, false), from = at + (text[at] == ' ');
    if (end > at) return end;
    enum kind kind = kind_at(text, n, from, &length);
    return kind < KIND_SPACE || kind == KIND_OTHER ? run_end(text, n, from, kind) : space_end(text, n, at);
}

static bool is_newline(char c)
{
    return c == '\n' || c == '\r';
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,most_digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
 * \s+(?!\S)|\s+ */
static size_t qwen_end(const char *text, size_t n, size_t at, size_t most_digits)
{
    size_t length, next, end = contraction(text, n, at, true), from = at + (text[at] == ' ');
    if (end > at) return end;
    enum kind kind = kind_at(text, n, at, &length);
    if (kind == KIND_LETTER) return run_end(text, n, at, kind);
    if (kind == KIND_NUMBER) {
        for (end = at; most_digits > 0 && kind_at(text, n, end, &length) == KIND_NUMBER; most_digits--)
            end += length;
        return end;
    }
    if (!is_newline(text[at]) && kind_at(text, n, at + length, &next) == KIND_LETTER)
        return run_end(text, n, at + length, KIND_LETTER);
    if (kind_at(text, n, from, &length) == KIND_OTHER) {
        end = run_end(text, n, from, KIND_OTHER);
        while (end < n && is_newline(text[end])) end++;
        return end;
    }
    end = run_end(text, n, at, KIND_SPACE);
    while (end > at && !is_newline(text[end - 1])) end--;
    return end > at ? end : space_end(text, n, at);
}

bool inc_match_gpt2(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                    size_t *end)
{
    (void)pattern;
    *start = at;
    *end = gpt2_end(text, n, at);
    return true;
}

bool inc_match_qwen(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                    size_t *end)
{
    (void)pattern;
    *start = at;
    *end = qwen_end(text, n, at, 1);
    return true;
}

bool inc_match_llama(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                     size_t *end)
{
    (void)pattern;
    *start = at;
    *end = qwen_end(text, n, at, 3);
    return true;
}
