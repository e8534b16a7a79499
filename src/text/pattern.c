/* SPDX-License-Identifier: Apache-2.0 */
#include "text/pattern.h"

#include <string.h>

#include "text/transform.h"
#include "text/unicode.h"

enum incise_status inc_pattern_string(struct inc_pattern *pattern, const struct inc_ctx *ctx, const char *string)
{
    size_t n = strlen(string);
    pattern->find = inc_match_string;
    pattern->n_string = n;
    pattern->string = inc_alloc(ctx, n + 1);
    if (pattern->string == NULL) return inc_fail_memory(ctx, n + 1, "a pattern");
    memcpy(pattern->string, string, n + 1);
    return INCISE_OK;
}

/* One character, escaped or not, or \s; then + or {N,}. */
static bool parse_run(struct inc_pattern *pattern, const char *regex)
{
    static const char special[] = "^$.|?*+()[]{}";
    size_t at = regex[0] == '\\', end = at;
    if (regex[at] == '\0' || (at == 0 && strchr(special, regex[0]) != NULL)) return false;
    end += inc_utf8_decode(regex + at, &pattern->unit);
    if (at == 1 && regex[1] == 's')
        pattern->unit = INC_ANY_SPACE;
    else if (at == 1 && inc_is_word(pattern->unit))
        return false;
    const char *rest = regex + end;
    pattern->least = 1;
    if (rest[0] == '{' && rest[1] >= '1' && rest[1] <= '9' && strcmp(rest + 2, ",}") == 0)
        pattern->least = (size_t)(rest[1] - '0');
    else if (strcmp(rest, "+") != 0)
        return false;
    pattern->find = inc_match_run;
    return true;
}

bool inc_pattern_regex(struct inc_pattern *pattern, const char *regex)
{
    static const struct {
        const char *regex;
        inc_match_fn *find;
    } known[] = {
        {"\\s", inc_match_space},
        {"\\w+|[^\\w\\s]+", inc_match_word},
        {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", inc_match_gpt2},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         inc_match_qwen},
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
         "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
         inc_match_llama},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].regex, regex) != 0) continue;
        pattern->find = known[i].find;
        return true;
    }
    return parse_run(pattern, regex);
}

/* ---- strings and classes ----------------------------------------------------------------------------------------- */

bool inc_match_string(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                      size_t *end)
{
    *start = inc_text_find(text, n, at, pattern->string, pattern->n_string);
    *end = *start + pattern->n_string;
    return *start < n;
}

bool inc_match_run(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start, size_t *end)
{
    size_t count = 0;
    *start = *end = at;
    while (*end < n) {
        uint32_t code;
        size_t length = inc_utf8_decode(text + *end, &code);
        bool fits = pattern->unit == INC_ANY_SPACE ? inc_is_space(code) : code == pattern->unit;
        if (!fits && count >= pattern->least) return true;
        *end += length;
        count = fits ? count + 1 : 0;
        if (!fits) *start = *end;
    }
    return count >= pattern->least;
}

typedef bool class_fn(uint32_t code);

static bool match_class(class_fn *in_class, const char *text, size_t n, size_t at, size_t *start, size_t *end)
{
    for (; at < n; at = *end) {
        uint32_t code;
        *start = at;
        *end = at + inc_utf8_decode(text + at, &code);
        if (in_class(code)) return true;
    }
    return false;
}

bool inc_match_space(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                     size_t *end)
{
    (void)pattern;
    return match_class(inc_is_space, text, n, at, start, end);
}

bool inc_match_punctuation(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                           size_t *end)
{
    (void)pattern;
    return match_class(inc_is_punctuation, text, n, at, start, end);
}

bool inc_match_digit(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                     size_t *end)
{
    (void)pattern;
    return match_class(inc_is_numeric, text, n, at, start, end);
}

bool inc_match_word(const struct inc_pattern *pattern, const char *text, size_t n, size_t at, size_t *start,
                    size_t *end)
{
    enum { SPACE, WORD, OTHER } run = SPACE, kind;
    (void)pattern;
    for (*start = *end = at; *end < n;) {
        uint32_t code;
        size_t length = inc_utf8_decode(text + *end, &code);
        kind = inc_is_word(code) ? WORD : inc_is_space(code) ? SPACE : OTHER;
        if (run != SPACE && kind != run) return true;
        run = kind;
        if (run == SPACE) *start = *end + length;
        *end += length;
    }
    return run != SPACE;
}
