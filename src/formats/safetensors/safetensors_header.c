/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/safetensors/safetensors_header.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/buffer.h"
#include "base/size.h"

static const struct {
    const char *name;
    enum inc_type type;
} dtypes[] = {
    {"F32", INC_F32}, {"F16", INC_F16}, {"BF16", INC_BF16}, {"F64", INC_F64}, {"I8", INC_I8},   {"I16", INC_I16},
    {"I32", INC_I32}, {"I64", INC_I64}, {"U8", INC_U8},     {"U16", INC_U16}, {"U32", INC_U32}, {"U64", INC_U64},
    {"BOOL", INC_BOOL},
};

struct header_parser {
    const struct inc_ctx *ctx;
    const char *label;
    const char *start, *at, *end;
    struct inc_buffer text; /* the string read last */
};

static enum incise_status bad(const struct header_parser *p, const char *reason)
{
    return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: bad safetensors header at byte %zu: %s", p->label,
                    (size_t)(p->at - p->start) + 8, reason);
}

static void skip_space(struct header_parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) p->at++;
}

static bool accept(struct header_parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

/* ---- strings and numbers --------------------------------------------------------------------------------------- */

/* Four hexadecimal digits. */
static bool parse_hex(struct header_parser *p, uint32_t *value)
{
    *value = 0;
    if (p->end - p->at < 4) return false;
    for (int i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = *p->at++;
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        const char *digit = c == '\0' ? NULL : strchr(digits, c);
        if (digit == NULL) return false;
        *value = *value << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

/* What follows a backslash, appended as UTF-8; false if it is malformed, a lone surrogate or NUL. */
static bool parse_escape(struct header_parser *p)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    unsigned char utf8[4];
    uint32_t code, low;
    char c = p->at < p->end ? *p->at++ : '\0';
    const char *simple = c == '\0' ? NULL : strchr(names, c);
    if (simple != NULL) {
        inc_buffer_append(&p->text, &values[simple - names], 1);
        return true;
    }
    if (c != 'u' || !parse_hex(p, &code) || code == 0) return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (p->end - p->at < 6 || p->at[0] != '\\' || p->at[1] != 'u') return false;
        p->at += 2;
        if (!parse_hex(p, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (!utf8proc_codepoint_valid((utf8proc_int32_t)code)) return false;
    inc_buffer_append(&p->text, utf8, (size_t)utf8proc_encode_char((utf8proc_int32_t)code, utf8));
    return true;
}

/* A JSON string into p->text. */
static enum incise_status parse_string(struct header_parser *p)
{
    inc_buffer_clear(&p->text);
    if (!accept(p, '"')) return bad(p, "a string is expected");
    for (;;) {
        const char *run = p->at;
        while (p->at < p->end && (unsigned char)*p->at >= ' ' && (unsigned char)*p->at < 0x80 && *p->at != '"' &&
               *p->at != '\\')
            p->at++;
        inc_buffer_append(&p->text, run, (size_t)(p->at - run));
        if (p->at == p->end) return bad(p, "a string does not end");
        if (*p->at == '"') break;
        if (*p->at == '\\') {
            p->at++;
            if (!parse_escape(p)) return bad(p, "a bad escape in a string");
        } else {
            utf8proc_int32_t code;
            utf8proc_ssize_t n =
                utf8proc_iterate((const utf8proc_uint8_t *)p->at, (utf8proc_ssize_t)(p->end - p->at), &code);
            if (n < 1 || code < ' ') return bad(p, "a control character or invalid UTF-8 in a string");
            inc_buffer_append(&p->text, p->at, (size_t)n);
            p->at += n;
        }
    }
    p->at++;
    return inc_buffer_check(&p->text);
}

static bool text_is(const struct header_parser *p, const char *name)
{
    return p->text.length == strlen(name) && (p->text.length == 0 || memcmp(p->text.data, name, p->text.length) == 0);
}

/* A JSON integer of 0..INT64_MAX. */
static bool parse_number(struct header_parser *p, int64_t *value)
{
    skip_space(p);
    const char *start = p->at;
    *value = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        if (!inc_i64_mul(*value, 10, value) || !inc_i64_add(*value, *p->at - '0', value)) return false;
    }
    return p->at > start && (*start != '0' || p->at == start + 1);
}

/* [n, n, ...] of at most `max` numbers. */
static enum incise_status parse_numbers(struct header_parser *p, int64_t *values, int max, int *count)
{
    *count = 0;
    if (!accept(p, '[')) return bad(p, "a list is expected");
    if (accept(p, ']')) return INCISE_OK;
    do {
        if (*count == max) return bad(p, "a list is too long");
        if (!parse_number(p, &values[(*count)++])) return bad(p, "a number from 0 to 2^63-1 is expected");
    } while (accept(p, ','));
    return accept(p, ']') ? INCISE_OK : bad(p, "a list does not end");
}

/* ---- entries --------------------------------------------------------------------------------------------------- */

static enum incise_status parse_dtype(struct header_parser *p, struct inc_safetensors_entry *entry)
{
    INC_TRY(parse_string(p));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (text_is(p, dtypes[i].name)) {
            entry->type = dtypes[i].type;
            return INCISE_OK;
        }
    }
    return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: tensor '%s': type '%.32s' is not supported", p->label, entry->name,
                    p->text.length > 0 ? p->text.data : "");
}

static enum incise_status parse_shape(struct header_parser *p, struct inc_safetensors_entry *entry)
{
    return parse_numbers(p, entry->dims, INC_MAX_RANK, &entry->rank);
}

static enum incise_status parse_offsets(struct header_parser *p, struct inc_safetensors_entry *entry)
{
    int64_t offsets[2];
    int n;
    INC_TRY(parse_numbers(p, offsets, 2, &n));
    if (n != 2) return bad(p, "'data_offsets' is not a pair");
    entry->begin = (uint64_t)offsets[0];
    entry->end = (uint64_t)offsets[1];
    return INCISE_OK;
}

static enum incise_status parse_entry(struct header_parser *p, struct inc_safetensors_entry *entry)
{
    static const struct {
        const char *name;
        enum incise_status (*parse)(struct header_parser *p, struct inc_safetensors_entry *entry);
    } keys[] = {{"dtype", parse_dtype}, {"shape", parse_shape}, {"data_offsets", parse_offsets}};
    bool seen[3] = {false, false, false};
    if (!accept(p, '{')) return bad(p, "an object is expected");
    do {
        size_t k = 0;
        INC_TRY(parse_string(p));
        while (k < 3 && !text_is(p, keys[k].name)) k++;
        if (k == 3 || seen[k]) return bad(p, "an unknown or repeated key in a tensor's entry");
        seen[k] = true;
        if (!accept(p, ':')) return bad(p, "':' is expected");
        INC_TRY(keys[k].parse(p, entry));
    } while (accept(p, ','));
    if (!accept(p, '}')) return bad(p, "a tensor's entry does not end");
    return seen[0] && seen[1] && seen[2] ? INCISE_OK : bad(p, "a tensor's entry lacks a key");
}

/* {"key": "text", ...}, whose content means nothing here. */
static enum incise_status parse_metadata(struct header_parser *p)
{
    if (!accept(p, '{')) return bad(p, "'__metadata__' is not an object");
    if (accept(p, '}')) return INCISE_OK;
    do {
        INC_TRY(parse_string(p));
        if (!accept(p, ':')) return bad(p, "':' is expected");
        INC_TRY(parse_string(p));
    } while (accept(p, ','));
    return accept(p, '}') ? INCISE_OK : bad(p, "'__metadata__' does not end");
}

static enum incise_status parse_member(struct header_parser *p, struct inc_arena *arena,
                                       struct inc_safetensors_header *header, bool *metadata)
{
    struct inc_safetensors_entry *entry;
    INC_TRY(parse_string(p));
    bool is_metadata = text_is(p, "__metadata__");
    if (is_metadata && *metadata) return bad(p, "'__metadata__' occurs twice");
    if (!is_metadata) {
        INC_TRY(inc_grow(p->ctx, (void **)&header->entries, &header->capacity, header->n_entries, sizeof *entry));
        entry = &header->entries[header->n_entries];
        memset(entry, 0, sizeof *entry);
        entry->name = inc_arena_strndup(arena, p->text.length > 0 ? p->text.data : "", p->text.length);
        if (entry->name == NULL) return inc_fail_memory(p->ctx, p->text.length, p->label);
    }
    if (!accept(p, ':')) return bad(p, "':' is expected");
    if (is_metadata) {
        *metadata = true;
        return parse_metadata(p);
    }
    INC_TRY(parse_entry(p, entry));
    header->n_entries++;
    return INCISE_OK;
}

static enum incise_status parse_header(struct header_parser *p, struct inc_arena *arena,
                                       struct inc_safetensors_header *header)
{
    bool metadata = false;
    if (p->at == p->end || *p->at != '{') return bad(p, "it does not start with '{'");
    p->at++;
    if (!accept(p, '}')) {
        do {
            INC_TRY(parse_member(p, arena, header, &metadata));
        } while (accept(p, ','));
        if (!accept(p, '}')) return bad(p, "'}' is expected");
    }
    while (p->at < p->end && *p->at == ' ') p->at++;
    return p->at == p->end ? INCISE_OK : bad(p, "text after the closing brace");
}

enum incise_status inc_safetensors_parse(const struct inc_ctx *ctx, const char *label, const char *text, size_t length,
                                         struct inc_arena *arena, struct inc_safetensors_header *header)
{
    struct header_parser p = {ctx, label, text, text, text + length, {0}};
    inc_buffer_init(&p.text, ctx);
    enum incise_status status = parse_header(&p, arena, header);
    inc_buffer_fini(&p.text);
    return status;
}
