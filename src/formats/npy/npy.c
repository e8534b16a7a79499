/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/npy/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define PREAMBLE_BYTES 10 /* magic, version, u16 header length */
#define HEADER_STEP 64    /* data starts at a multiple of this, as numpy writes it */
#define MAX_HEADER 65536

/* dtype without its byte-order mark */
static const struct {
    const char *name;
    enum inc_type type;
} npy_types[] = {
    {"f4", INC_F32}, {"f8", INC_F64}, {"f2", INC_F16}, {"i1", INC_I8},  {"u1", INC_U8},  {"i2", INC_I16},
    {"u2", INC_U16}, {"i4", INC_I32}, {"u4", INC_U32}, {"i8", INC_I64}, {"u8", INC_U64}, {"b1", INC_BOOL},
};

/* ---- the header: a Python dict literal ------------------------------------------------------------------------- */

struct npy_parser {
    const struct inc_ctx *ctx;
    const char *label;
    const char *at, *end;
    struct inc_tensor *tensor;
};

static enum incise_status bad_header(const struct npy_parser *p, const char *reason)
{
    return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: bad .npy header: %s", p->label, reason);
}

static void skip_space(struct npy_parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n')) p->at++;
}

static bool accept(struct npy_parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c) return false;
    p->at++;
    return true;
}

static bool accept_word(struct npy_parser *p, const char *word)
{
    size_t n = strlen(word);
    skip_space(p);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

/* A quoted string without escapes; *text points into the header. */
static bool parse_string(struct npy_parser *p, const char **text, size_t *length)
{
    skip_space(p);
    if (p->at == p->end || (*p->at != '\'' && *p->at != '"')) return false;
    char quote = *p->at++;
    *text = p->at;
    while (p->at < p->end && *p->at != quote && *p->at != '\\' && *p->at != '\n') p->at++;
    if (p->at == p->end || *p->at != quote) return false;
    *length = (size_t)(p->at++ - *text);
    return true;
}

static enum incise_status parse_descr(struct npy_parser *p)
{
    const char *text;
    size_t n;
    if (!parse_string(p, &text, &n)) return bad_header(p, "'descr' is not a plain type name");
    if (n == 3 && text[0] == '>')
        return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: big-endian type '%.3s' is not supported", p->label, text);
    for (size_t i = 0; n == 3 && i < sizeof npy_types / sizeof *npy_types; i++) {
        bool one_byte = inc_type_bits(npy_types[i].type) == 8;
        if (memcmp(text + 1, npy_types[i].name, 2) == 0 && (text[0] == '<' || (text[0] == '|' && one_byte))) {
            p->tensor->type = npy_types[i].type;
            return INCISE_OK;
        }
    }
    return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: type '%.*s' is not supported", p->label, n < 32 ? (int)n : 32,
                    text);
}

static enum incise_status parse_order(struct npy_parser *p)
{
    if (accept_word(p, "False")) return INCISE_OK;
    if (accept_word(p, "True"))
        return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: Fortran order is not supported; save the array in C order",
                        p->label);
    return bad_header(p, "'fortran_order' is neither True nor False");
}

static enum incise_status parse_shape(struct npy_parser *p)
{
    struct inc_tensor *t = p->tensor;
    bool comma = true;
    t->rank = 0;
    if (!accept(p, '(')) return bad_header(p, "'shape' is not a tuple");
    while (!accept(p, ')')) {
        int64_t dim = 0;
        const char *start;
        if (!comma) return bad_header(p, "'shape' is not a tuple of integers");
        skip_space(p);
        for (start = p->at; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
            if (!inc_i64_mul(dim, 10, &dim) || !inc_i64_add(dim, *p->at - '0', &dim))
                return bad_header(p, "a dimension is too large");
        }
        if (p->at == start) return bad_header(p, "'shape' is not a tuple of integers");
        if (t->rank == INC_MAX_RANK)
            return inc_fail(p->ctx, INCISE_ERROR_DATA, "%s: more than %d dimensions", p->label, INC_MAX_RANK);
        t->dims[t->rank++] = dim;
        comma = accept(p, ',');
    }
    if (t->rank == 1 && !comma) return bad_header(p, "'shape' is not a tuple");
    return INCISE_OK;
}

static enum incise_status parse_dict(struct npy_parser *p)
{
    static const struct {
        const char *name;
        enum incise_status (*parse)(struct npy_parser *p);
    } keys[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};
    bool seen[3] = {false, false, false};
    bool comma = true;
    if (!accept(p, '{')) return bad_header(p, "it is not a dict");
    while (!accept(p, '}')) {
        const char *text;
        size_t n, k = 0;
        if (!comma || !parse_string(p, &text, &n) || !accept(p, ':')) return bad_header(p, "it is not a dict of names");
        while (k < 3 && (strlen(keys[k].name) != n || memcmp(keys[k].name, text, n) != 0)) k++;
        if (k == 3) return bad_header(p, "a key other than 'descr', 'fortran_order' and 'shape'");
        if (seen[k]) return bad_header(p, "a key occurs twice");
        seen[k] = true;
        INC_TRY(keys[k].parse(p));
        comma = accept(p, ',');
    }
    skip_space(p);
    if (p->at != p->end) return bad_header(p, "text after the dict");
    if (!seen[0] || !seen[1] || !seen[2]) return bad_header(p, "'descr', 'fortran_order' or 'shape' is missing");
    return INCISE_OK;
}

/* Sets type, rank, dims and bytes of `tensor` and finds where the data starts. */
static enum incise_status parse_file(const struct inc_ctx *ctx, const char *label, const unsigned char *bytes, size_t n,
                                     struct inc_tensor *tensor, size_t *data_start)
{
    size_t length, start = PREAMBLE_BYTES, count;
    struct npy_parser p = {ctx, label, NULL, NULL, tensor};
    memset(tensor, 0, sizeof *tensor);
    if (n < PREAMBLE_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: not a .npy file", label);
    if ((bytes[6] != 1 && bytes[6] != 2) || bytes[7] != 0)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: .npy version %d.%d is not supported", label, bytes[6], bytes[7]);
    length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] == 2) {
        start += 2;
        if (n < start) return bad_header(&p, "the file ends in it");
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    if (length > n - start) return bad_header(&p, "the file ends in it");
    if (length > MAX_HEADER) return bad_header(&p, "it is too long");
    p.at = (const char *)bytes + start;
    p.end = p.at + length;
    INC_TRY(parse_dict(&p));
    start += length;
    if (!inc_tensor_count(tensor->rank, tensor->dims, tensor->type, &count, &tensor->bytes))
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: the shape is too large", label);
    if (tensor->bytes != n - start)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: holds %zu bytes of data, its shape needs %zu", label, n - start,
                        tensor->bytes);
    for (size_t i = 0; tensor->type == INC_BOOL && i < count; i++) {
        if (bytes[start + i] > 1) return inc_fail(ctx, INCISE_ERROR_DATA, "%s: element %zu is not a boolean", label, i);
    }
    *data_start = start;
    return INCISE_OK;
}

/* ---- reading and writing --------------------------------------------------------------------------------------- */

enum incise_status inc_npy_read_memory(const struct inc_ctx *ctx, const char *label, const void *bytes, size_t n,
                                       struct inc_tensor *tensor)
{
    struct inc_tensor parsed;
    size_t start;
    INC_TRY(parse_file(ctx, label, bytes, n, &parsed, &start));
    INC_TRY(inc_tensor_create(ctx, parsed.type, parsed.rank, parsed.dims, tensor));
    if (parsed.bytes > 0) memcpy(tensor->data, (const unsigned char *)bytes + start, parsed.bytes);
    return INCISE_OK;
}

enum incise_status inc_npy_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes,
                                struct inc_tensor *tensor)
{
    struct inc_file file;
    struct inc_tensor parsed;
    size_t start;
    INC_TRY(inc_file_read(ctx, path, max_bytes, &file));
    enum incise_status status = parse_file(ctx, path, file.data, file.size, &parsed, &start);
    if (status != INCISE_OK) {
        inc_file_release(ctx, &file);
        return status;
    }
    memmove(file.data, file.data + start, parsed.bytes); /* the tensor takes over the file's memory */
    parsed.data = file.data;
    parsed.owned = true;
    *tensor = parsed;
    return INCISE_OK;
}

enum incise_status inc_npy_write_header(struct inc_buffer *out, enum inc_type type, int rank, const int64_t *dims)
{
    char text[256];
    int n = 0;
    const char *name = NULL;
    unsigned char preamble[PREAMBLE_BYTES] = MAGIC "\x01";
    for (size_t i = 0; i < sizeof npy_types / sizeof *npy_types; i++) {
        if (npy_types[i].type == type) name = npy_types[i].name;
    }
    if (name == NULL) return inc_fail(out->ctx, INCISE_ERROR_DATA, "%s has no .npy type", inc_type_name(type));
    n = snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                 inc_type_bits(type) == 8 ? '|' : '<', name);
    for (int i = 0; i < rank; i++) {
        const char *separator = rank == 1 ? "," : i + 1 < rank ? ", " : "";
        n += snprintf(text + n, sizeof text - (size_t)n, "%" PRId64 "%s", dims[i], separator);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    size_t length = inc_round_up(PREAMBLE_BYTES + (size_t)n + 1, HEADER_STEP) - PREAMBLE_BYTES;
    preamble[8] = (unsigned char)(length & 0xff);
    preamble[9] = (unsigned char)(length >> 8);
    inc_buffer_append(out, preamble, sizeof preamble);
    inc_buffer_printf(out, "%-*s\n", (int)length - 1, text);
    return inc_buffer_check(out);
}

enum incise_status inc_npy_write(struct inc_output *output, const char *name, const struct inc_tensor *tensor)
{
    struct inc_buffer header;
    struct inc_output_file file;
    inc_buffer_init(&header, output->ctx);
    enum incise_status status = inc_npy_write_header(&header, tensor->type, tensor->rank, tensor->dims);
    if (status == INCISE_OK) status = inc_output_open(output, name, &file);
    if (status != INCISE_OK) goto done;
    status = inc_output_write(&file, header.data, header.length);
    if (status == INCISE_OK) status = inc_output_write(&file, tensor->data, tensor->bytes);
    if (status == INCISE_OK)
        status = inc_output_close(&file);
    else
        inc_output_abandon(&file);
done:
    inc_buffer_fini(&header);
    return status;
}
