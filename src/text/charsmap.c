/* SPDX-License-Identifier: Apache-2.0 */
#include "text/charsmap.h"

#include "text/unicode.h"

#define MAX_STRING    256 /* bytes that may replace something; NFKC needs 33 */
#define SHORT_CLUSTER 6 /* bytes; shorter clusters are looked up as a whole */

/* ---- a unit of the double array ---------------------------------------------------------------------------------- */

static uint32_t unit_value(uint32_t unit)
{
    return unit & 0x7fffffffu;
}

static uint32_t unit_label(uint32_t unit)
{
    return unit & 0x800000ffu;
}

static bool unit_has_leaf(uint32_t unit)
{
    return unit >> 8 & 1;
}

static uint32_t unit_offset(uint32_t unit)
{
    return unit >> 10 << ((unit & 0x200u) >> 6);
}

/* The value of the shortest key that `text` starts with. Whatever the array holds, no step leaves it. */
static bool find_key(const struct inc_charsmap *map, const char *text, size_t n, uint32_t *value)
{
    size_t at = unit_offset(map->units[0]);
    for (size_t i = 0; i < n && text[i] != '\0'; i++) {
        at ^= (unsigned char)text[i];
        if (at >= map->n_units || unit_label(map->units[at]) != (unsigned char)text[i]) return false;
        uint32_t unit = map->units[at];
        at ^= unit_offset(unit);
        if (!unit_has_leaf(unit)) continue;
        if (at >= map->n_units) return false;
        *value = unit_value(map->units[at]);
        return true;
    }
    return false;
}

/* What replaces `text`, or NULL. */
static const char *find_replacement(const struct inc_charsmap *map, const char *text, size_t n, size_t *length)
{
    uint32_t value;
    if (!find_key(map, text, n, &value)) return NULL;
    *length = strlen(map->strings + value);
    return map->strings + value;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 with padding. Returns the number of bytes, or SIZE_MAX. */
static size_t decode_base64(const char *text, size_t n, unsigned char *bytes)
{
    size_t length = 0;
    if (n % 4 != 0) return SIZE_MAX;
    for (size_t i = 0; i < n; i += 4) {
        size_t padding = 0;
        uint32_t group = 0;
        if (i + 4 == n) padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        for (size_t k = 0; k < 4; k++) {
            int digit = k >= 4 - padding ? 0 : base64_digit(text[i + k]);
            if (digit < 0) return SIZE_MAX;
            group = group << 6 | (uint32_t)digit;
        }
        for (size_t k = 0; k < 3 - padding; k++) bytes[length++] = (unsigned char)(group >> (16 - 8 * k));
    }
    return length;
}

/* A leaf leads to the start of a short string. */
static enum incise_status check_leaf(const struct inc_charsmap *map, const char *label, size_t index)
{
    uint32_t unit = map->units[index];
    if (!unit_has_leaf(unit) || unit >> 31 != 0) return INCISE_OK; /* the upper bit: a value, not a node */
    size_t leaf = index ^ unit_offset(unit);
    uint32_t value = leaf < map->n_units ? unit_value(map->units[leaf]) : UINT32_MAX;
    if (value < map->n_strings && ((unsigned char)map->strings[value] & 0xc0) != 0x80 &&
        strnlen(map->strings + value, MAX_STRING + 1) <= MAX_STRING)
        return INCISE_OK;
    return inc_fail(map->ctx, INCISE_ERROR_DATA,
                    "%s: precompiled_charsmap: unit %zu leads to no string of at most %d bytes", label, index,
                    MAX_STRING);
}

static enum incise_status take_apart(struct inc_charsmap *map, const char *label, const unsigned char *bytes, size_t n)
{
    const struct inc_ctx *ctx = map->ctx;
    uint32_t size = 0;
    for (size_t i = 0; i < 4 && i < n; i++) size |= (uint32_t)bytes[i] << 8 * i;
    if (n < 4 || size % 4 != 0 || size < 4 || size > n - 4)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: precompiled_charsmap: no double array of %u bytes in %zu", label,
                        size, n);
    map->n_units = size / 4;
    map->n_strings = n - 4 - size;
    map->units = inc_alloc_array(ctx, map->n_units, sizeof *map->units);
    map->strings = inc_alloc(ctx, map->n_strings + 1);
    if (map->units == NULL || map->strings == NULL) return inc_fail_memory(ctx, n, "a charsmap");
    for (size_t i = 0; i < map->n_units; i++) {
        const unsigned char *unit = bytes + 4 + 4 * i;
        map->units[i] = (uint32_t)unit[0] | (uint32_t)unit[1] << 8 | (uint32_t)unit[2] << 16 | (uint32_t)unit[3] << 24;
    }
    memcpy(map->strings, bytes + 4 + size, map->n_strings);
    map->strings[map->n_strings] = '\0';
    if (inc_utf8_check(map->strings, map->n_strings) < map->n_strings)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: precompiled_charsmap: strings are not UTF-8", label);
    for (size_t i = 1; i < map->n_units; i++) INC_TRY(check_leaf(map, label, i));
    return INCISE_OK;
}

enum incise_status inc_charsmap_load(struct inc_charsmap *map, const struct inc_ctx *ctx, const char *label,
                                     const char *base64, size_t n)
{
    memset(map, 0, sizeof *map);
    map->ctx = ctx;
    unsigned char *bytes = inc_alloc(ctx, n / 4 * 3 + 1);
    if (bytes == NULL) return inc_fail_memory(ctx, n, "a charsmap");
    size_t length = decode_base64(base64, n, bytes);
    enum incise_status status =
        length == SIZE_MAX ? inc_fail(ctx, INCISE_ERROR_DATA, "%s: precompiled_charsmap is not base64", label)
                           : take_apart(map, label, bytes, length);
    inc_free(ctx, bytes);
    for (int c = 0; c < 128 && status == INCISE_OK; c++) {
        char text = (char)c;
        uint32_t value;
        map->plain[c] = !find_key(map, &text, 1, &value);
    }
    return status;
}

void inc_charsmap_release(struct inc_charsmap *map)
{
    if (map->ctx == NULL) return;
    inc_free(map->ctx, map->units);
    inc_free(map->ctx, map->strings);
    memset(map, 0, sizeof *map);
}

/* ---- applying ---------------------------------------------------------------------------------------------------- */

/* The last character that was put waits: what is removed behind it counts as its change. */
struct charsmap_run {
    struct inc_transform to;
    bool waiting;
    uint32_t code;
    int change;
};

static enum incise_status flush(struct charsmap_run *run)
{
    if (run->waiting) INC_TRY(inc_transform_put(&run->to, run->code, run->change));
    run->waiting = false;
    return INCISE_OK;
}

static enum incise_status put(struct charsmap_run *run, uint32_t code, int change)
{
    INC_TRY(flush(run));
    run->waiting = true;
    run->code = code;
    run->change = change;
    return INCISE_OK;
}

static int count_characters(const char *text, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* `n` bytes of the source become `length` bytes of `string`: the characters that are more are inserted, what is less
 * is left out behind the last one. */
static enum incise_status put_replacement(struct charsmap_run *run, const char *old, size_t n, const char *string,
                                          size_t length)
{
    int n_old = count_characters(old, n), n_new = count_characters(string, length), index = 0;
    for (size_t at = 0; at < length; index++) {
        uint32_t code;
        at += inc_utf8_decode(string + at, &code);
        INC_TRY(put(run, code, index >= n_old));
    }
    if (n_new < n_old) run->change += n_new - n_old; /* without anything before it is as if nothing were removed */
    return INCISE_OK;
}

/* End of the grapheme cluster that starts at `at`. */
static size_t cluster_end(const struct inc_source *source, size_t at)
{
    uint32_t before, after;
    int32_t state = 0;
    size_t end = at + inc_utf8_decode(source->text + at, &before);
    for (; end < source->n; before = after) {
        size_t length = inc_utf8_decode(source->text + end, &after);
        if (inc_grapheme_break(before, after, &state)) break;
        end += length;
    }
    return end;
}

static enum incise_status put_cluster(const struct inc_charsmap *map, struct charsmap_run *run, const char *text,
                                      size_t n)
{
    size_t length;
    const char *string = n < SHORT_CLUSTER ? find_replacement(map, text, n, &length) : NULL;
    if (string != NULL) return put_replacement(run, text, n, string, length);
    for (size_t at = 0, size; at < n; at += size) {
        uint32_t code;
        size = inc_utf8_decode(text + at, &code);
        string = find_replacement(map, text + at, size, &length);
        if (string != NULL)
            INC_TRY(put_replacement(run, text + at, size, string, length));
        else
            INC_TRY(put(run, code, 0));
    }
    return INCISE_OK;
}

/* Length of the ASCII characters from `at` on that stay as they are; not the last before another one, which may be
 * part of its cluster. */
static size_t plain_run(const struct inc_charsmap *map, const struct inc_source *source, size_t at)
{
    size_t end = at;
    while (end < source->n) {
        unsigned char c = (unsigned char)source->text[end];
        if (c >= 0x80 || !map->plain[c] || c == '\r') break;
        end++;
    }
    return end - at - (end > at && end < source->n && (unsigned char)source->text[end] >= 0x80);
}

enum incise_status inc_charsmap_apply(const struct inc_charsmap *map, const struct inc_source *source,
                                      struct inc_text *text)
{
    struct charsmap_run run = {{source, text, 0}, false, 0, 0};
    for (size_t at = 0; at < source->n;) {
        size_t length = plain_run(map, source, at);
        if (length > 1) INC_TRY(flush(&run));
        if (length > 1 && (!text->tracked || run.to.at == at)) {
            INC_TRY(inc_text_copy(text, source, at, length - 1)); /* the last one waits */
            run.to.at = at + length - 1;
            INC_TRY(put(&run, (unsigned char)source->text[at + length - 1], 0));
            at += length;
            continue;
        }
        size_t end = cluster_end(source, at);
        INC_TRY(put_cluster(map, &run, source->text + at, end - at));
        at = end;
    }
    return flush(&run);
}
