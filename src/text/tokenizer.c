/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "text/bpe.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define CHUNK 4096 /* bytes normalized at a time, at least */
#define MAX_FILE (64 << 20)

/* ---- life -------------------------------------------------------------------------------------------------------- */

void inc_ids_init(struct inc_ids *ids, const struct inc_ctx *ctx)
{
    memset(ids, 0, sizeof *ids);
    ids->ctx = ctx;
}

void inc_ids_release(struct inc_ids *ids)
{
    inc_free(ids->ctx, ids->ids);
    inc_free(ids->ctx, ids->text);
    inc_free(ids->ctx, ids->spare);
    inc_free(ids->ctx, ids->marks);
    inc_free(ids->ctx, ids->symbols);
    inc_free(ids->ctx, ids->heap);
    inc_free(ids->ctx, ids->words);
    inc_ids_init(ids, ids->ctx);
}

enum incise_status inc_tokenizer_create(const struct inc_ctx *ctx, struct inc_tokenizer **tokenizer)
{
    struct inc_tokenizer *made = inc_alloc_zero(ctx, 1, sizeof *made);
    *tokenizer = made;
    if (made == NULL) return inc_fail_memory(ctx, sizeof *made, "a tokenizer");
    made->ctx = ctx;
    return INCISE_OK;
}

void inc_tokenizer_destroy(struct inc_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    const struct inc_ctx *ctx = tokenizer->ctx;
    struct inc_added_set *sets[] = {&tokenizer->raw, &tokenizer->normalized};
    for (int i = 0; i < 2; i++) {
        inc_pieces_fini(&sets[i]->pieces);
        inc_free(ctx, sets[i]->tokens);
    }
    for (size_t i = 0; i < INC_MAX_STEPS; i++) {
        inc_free(ctx, tokenizer->normalizers[i].from);
        inc_free(ctx, tokenizer->normalizers[i].to);
        inc_free(ctx, tokenizer->splitters[i].pattern);
    }
    if (tokenizer->model_type != NULL) tokenizer->model_type->destroy(ctx, tokenizer->model);
    inc_free(ctx, tokenizer->prefix);
    inc_free(ctx, tokenizer->suffix);
    inc_free(ctx, tokenizer);
}

/* `folder`/`name` in new memory. */
static enum incise_status join_path(const struct inc_ctx *ctx, const char *folder, size_t n_folder, const char *name,
                                    char **path)
{
    size_t n_name = strlen(name);
    *path = inc_alloc(ctx, n_folder + n_name + 2);
    if (*path == NULL) return inc_fail_memory(ctx, n_folder + n_name + 2, "a path");
    memcpy(*path, folder, n_folder);
    if (n_folder > 0) (*path)[n_folder++] = '/';
    memcpy(*path + n_folder, name, n_name + 1);
    return INCISE_OK;
}

static enum incise_status load_json_file(const struct inc_ctx *ctx, const char *path, struct inc_tokenizer **tokenizer)
{
    struct inc_file file;
    INC_TRY(inc_file_read(ctx, path, MAX_FILE, &file));
    enum incise_status status = inc_tokenizer_load_json(ctx, path, file.data, file.size, tokenizer);
    inc_file_release(ctx, &file);
    return status;
}

static enum incise_status load_vocab_file(const struct inc_ctx *ctx, const char *path, struct inc_tokenizer **tokenizer)
{
    const char *slash = strrchr(path, '/');
    struct inc_file file = {0}, config = {0};
    char *config_path = NULL;
    uint64_t size;
    enum incise_status status =
        join_path(ctx, path, slash != NULL ? (size_t)(slash - path) : 0, "tokenizer_config.json", &config_path);
    if (status == INCISE_OK && slash == path) config_path[0] = '/';
    if (status == INCISE_OK && inc_file_size(config_path, &size))
        status = inc_file_read(ctx, config_path, MAX_FILE, &config);
    if (status == INCISE_OK) status = inc_file_read(ctx, path, MAX_FILE, &file);
    if (status == INCISE_OK)
        status = inc_tokenizer_load_vocab(ctx, path, file.data, file.size, config.data, config.size, tokenizer);
    inc_file_release(ctx, &file);
    inc_file_release(ctx, &config);
    inc_free(ctx, config_path);
    return status;
}

enum incise_status inc_tokenizer_load(const struct inc_ctx *ctx, const char *path, struct inc_tokenizer **tokenizer)
{
    static const struct {
        const char *name;
        enum incise_status (*load)(const struct inc_ctx *ctx, const char *path, struct inc_tokenizer **tokenizer);
    } files[] = {{"tokenizer.json", load_json_file}, {"vocab.txt", load_vocab_file}};
    *tokenizer = NULL;
    if (!inc_is_folder(path)) {
        size_t n = strlen(path);
        return n >= 4 && strcmp(path + n - 4, ".txt") == 0 ? load_vocab_file(ctx, path, tokenizer)
                                                           : load_json_file(ctx, path, tokenizer);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *file;
        uint64_t size;
        INC_TRY(join_path(ctx, path, strlen(path), files[i].name, &file));
        bool found = inc_file_size(file, &size);
        enum incise_status status = found ? files[i].load(ctx, file, tokenizer) : INCISE_OK;
        inc_free(ctx, file);
        if (found) return status;
    }
    return inc_fail(ctx, INCISE_ERROR_NO_INPUT,
                    "%s: holds neither tokenizer.json nor vocab.txt; name a tokenizer (--tokenizer PATH)", path);
}

/* ---- parts that every file form adds ----------------------------------------------------------------------------- */

struct inc_normalizer *inc_normalizer_add(struct inc_tokenizer *tokenizer, const char *label, inc_normalize_fn *run)
{
    if (tokenizer->n_normalizers == INC_MAX_STEPS) {
        inc_fail(tokenizer->ctx, INCISE_ERROR_DATA, "%s: a normalizer of more than %d steps", label, INC_MAX_STEPS);
        return NULL;
    }
    struct inc_normalizer *step = &tokenizer->normalizers[tokenizer->n_normalizers++];
    step->run = run;
    return step;
}

struct inc_splitter *inc_splitter_add(struct inc_tokenizer *tokenizer, const char *label, inc_split_fn *run)
{
    if (tokenizer->n_splitters == INC_MAX_STEPS) {
        inc_fail(tokenizer->ctx, INCISE_ERROR_DATA, "%s: a pre_tokenizer of more than %d steps", label, INC_MAX_STEPS);
        return NULL;
    }
    struct inc_splitter *step = &tokenizer->splitters[tokenizer->n_splitters++];
    step->run = run;
    return step;
}

/* Sets *text and *n to the normalized text, which lies in out->text unless there is no normalizer. */
static enum incise_status normalize(const struct inc_tokenizer *tokenizer, struct inc_ids *out, const char **text,
                                    size_t *n)
{
    for (size_t i = 0; i < tokenizer->n_normalizers; i++) {
        char *spare = out->spare;
        size_t capacity = out->spare_capacity;
        out->spare = out->text; /* what this step reads, but for the first one */
        out->spare_capacity = out->text_capacity;
        out->text = spare;
        out->text_capacity = capacity;
        INC_TRY(tokenizer->normalizers[i].run(&tokenizer->normalizers[i], *text, *n, out));
        *text = out->text;
        *n = out->text_length;
    }
    return INCISE_OK;
}

enum incise_status inc_added_init(struct inc_tokenizer *tokenizer, size_t capacity)
{
    struct inc_added_set *sets[] = {&tokenizer->raw, &tokenizer->normalized};
    for (int i = 0; i < 2; i++) {
        INC_TRY(inc_pieces_init(&sets[i]->pieces, tokenizer->ctx, capacity));
        sets[i]->tokens = inc_alloc_array(tokenizer->ctx, capacity + 1, sizeof *sets[i]->tokens);
        if (sets[i]->tokens == NULL) return inc_fail_memory(tokenizer->ctx, capacity, "added tokens");
    }
    return INCISE_OK;
}

enum incise_status inc_added_add(struct inc_tokenizer *tokenizer, const char *label, const char *content,
                                 const struct inc_added_token *token, bool normalized)
{
    struct inc_added_set *set = normalized ? &tokenizer->normalized : &tokenizer->raw;
    struct inc_ids scratch;
    size_t n = strlen(content), index = set->pieces.count;
    enum incise_status status = INCISE_OK;
    inc_ids_init(&scratch, tokenizer->ctx);
    if (normalized) status = normalize(tokenizer, &scratch, &content, &n);
    if (status == INCISE_OK && n == 0)
        status = inc_fail(tokenizer->ctx, INCISE_ERROR_DATA, "%s: added token %d is empty", label, token->id);
    if (status == INCISE_OK) status = inc_pieces_add(&set->pieces, label, content, n, (int32_t)index);
    if (status == INCISE_OK) {
        set->tokens[index] = *token;
        set->first[(unsigned char)content[0]] = true;
        tokenizer->vocab_size = inc_max_size(tokenizer->vocab_size, (size_t)token->id + 1);
    }
    inc_ids_release(&scratch);
    return status;
}

enum incise_status inc_special_add(struct inc_tokenizer *tokenizer, bool suffix, int32_t id)
{
    int32_t **list = suffix ? &tokenizer->suffix : &tokenizer->prefix;
    size_t *count = suffix ? &tokenizer->n_suffix : &tokenizer->n_prefix;
    int32_t *longer = inc_alloc_array(tokenizer->ctx, *count + 1, sizeof *longer);
    if (longer == NULL) return inc_fail_memory(tokenizer->ctx, *count * sizeof *longer, "special tokens");
    if (*count > 0) memcpy(longer, *list, *count * sizeof *longer);
    longer[(*count)++] = id;
    inc_free(tokenizer->ctx, *list);
    *list = longer;
    return INCISE_OK;
}

enum incise_status inc_tokenizer_finish(struct inc_tokenizer *tokenizer, const char *label)
{
    const struct inc_pieces *vocabulary = tokenizer->model_type->vocabulary(tokenizer->model);
    tokenizer->vocab_size = inc_max_size(tokenizer->vocab_size, (size_t)vocabulary->highest + 1);
    for (int suffix = 0; suffix < 2; suffix++) {
        const int32_t *list = suffix ? tokenizer->suffix : tokenizer->prefix;
        for (size_t i = 0; i < (suffix ? tokenizer->n_suffix : tokenizer->n_prefix); i++) {
            if ((size_t)list[i] >= tokenizer->vocab_size)
                return inc_fail(tokenizer->ctx, INCISE_ERROR_DATA, "%s: special token %d is not in the vocabulary",
                                label, list[i]);
        }
    }
    return INCISE_OK;
}

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void cut(struct inc_encoding *encoding)
{
    if (encoding->out->count <= encoding->limit) return;
    encoding->out->count = encoding->limit;
    encoding->out->truncated = true;
}

static enum incise_status append(struct inc_ids *out, const int32_t *ids, size_t n)
{
    if (n == 0) return INCISE_OK;
    INC_TRY(inc_grow(out->ctx, (void **)&out->ids, &out->capacity, out->count + n, sizeof *ids));
    memcpy(out->ids + out->count, ids, n * sizeof *ids);
    out->count += n;
    return INCISE_OK;
}

static enum incise_status split(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    const struct inc_tokenizer *t = encoding->tokenizer;
    if (step < t->n_splitters) return t->splitters[step].run(encoding, step, text, n);
    INC_TRY(t->model_type->encode(t->model, text, n, encoding->out));
    cut(encoding);
    return INCISE_OK;
}

enum incise_status inc_split_next(struct inc_encoding *encoding, size_t step, const char *word, size_t n)
{
    return split(encoding, step + 1, word, n);
}

/* Start of the white space that ends at text + end, not before `from`. */
static size_t space_before(const char *text, size_t from, size_t end)
{
    while (end > from) {
        size_t start = end - 1;
        uint32_t code;
        while (start > from && ((unsigned char)text[start] & 0xc0) == 0x80) start--;
        inc_utf8_decode(text + start, &code);
        if (!inc_is_space(code)) break;
        end = start;
    }
    return end;
}

static size_t space_after(const char *text, size_t at, size_t n)
{
    while (at < n) {
        uint32_t code;
        size_t length = inc_utf8_decode(text + at, &code);
        if (!inc_is_space(code)) break;
        at += length;
    }
    return at;
}

typedef enum incise_status plain_fn(struct inc_encoding *encoding, const char *text, size_t n);

/* Passes the text between the set's tokens to `plain` and appends their ids. Leftmost, then longest token wins. */
static enum incise_status split_added(struct inc_encoding *encoding, const struct inc_added_set *set, const char *text,
                                      size_t n, plain_fn *plain)
{
    struct inc_ids *out = encoding->out;
    size_t done = 0, space_end = 0; /* [.., space_end) of the last rstrip is known to be white space */
    for (size_t at = 0; set->pieces.count > 0 && at < n && !out->truncated;) {
        int32_t index;
        size_t length = 0;
        if (set->first[(unsigned char)text[at]]) length = inc_pieces_longest(&set->pieces, text + at, n - at, &index);
        if (length == 0) {
            at++;
            continue;
        }
        const struct inc_added_token *token = &set->tokens[index];
        size_t start = at, stop = at + length;
        at = stop;
        if (token->lstrip) start = inc_max_size(space_before(text, done, start), done);
        if (token->rstrip) stop = space_end = space_after(text, inc_max_size(stop, space_end), n);
        if (start > done) INC_TRY(plain(encoding, text + done, start - done));
        done = stop;
        if (out->truncated) break;
        INC_TRY(append(out, &token->id, 1));
        cut(encoding);
    }
    return n > done && !out->truncated ? plain(encoding, text + done, n - done) : INCISE_OK;
}

/* Normalized text without added tokens. */
static enum incise_status encode_normalized(struct inc_encoding *encoding, const char *text, size_t n)
{
    return split(encoding, 0, text, n);
}

/* May the text be cut at `at` (> 0)? */
static bool cuttable(const struct inc_tokenizer *t, const char *text, size_t at)
{
    uint32_t before;
    if (!((text[at] == ' ' && t->cut_at_space) || (text[at] == '\n' && t->cut_at_newline))) return false;
    while (at > 0 && ((unsigned char)text[--at] & 0xc0) == 0x80) continue;
    inc_utf8_decode(text + at, &before);
    return !inc_is_space(before) && (t->cut_model == NULL || inc_bpe_cuts_after(t->cut_model, before));
}

/* Text without added tokens of the raw set. It is normalized in chunks, so that a long text that is cut early costs no
 * more than its start. Only added tokens of the normalized set may reach over the end of a chunk. */
static enum incise_status encode_plain(struct inc_encoding *encoding, const char *text, size_t n)
{
    const struct inc_tokenizer *t = encoding->tokenizer;
    struct inc_ids *out = encoding->out;
    for (size_t at = 0; at < n && !out->truncated;) {
        size_t end = n;
        if (t->normalized.pieces.count == 0 && n - at > CHUNK) {
            end = at + CHUNK;
            while (end < n && !cuttable(t, text, end)) end++;
        }
        const char *normalized = text + at;
        size_t length = end - at;
        INC_TRY(normalize(t, out, &normalized, &length));
        INC_TRY(split_added(encoding, &t->normalized, normalized, length, encode_normalized));
        at = end;
    }
    return INCISE_OK;
}

enum incise_status inc_tokenizer_encode(const struct inc_tokenizer *tokenizer, const char *text, size_t length,
                                        size_t max_tokens, struct inc_ids *out)
{
    size_t specials = tokenizer->n_prefix + tokenizer->n_suffix, bad = inc_utf8_check(text, length);
    struct inc_encoding encoding = {tokenizer, out, SIZE_MAX};
    out->count = 0;
    out->truncated = false;
    if (bad < length) return inc_fail(out->ctx, INCISE_ERROR_DATA, "text is not UTF-8 at byte %zu", bad);
    if (max_tokens > 0 && max_tokens < specials)
        return inc_fail(out->ctx, INCISE_ERROR_USAGE, "%zu tokens per text are fewer than the %zu special ones",
                        max_tokens, specials);
    if (max_tokens > 0) encoding.limit = max_tokens - tokenizer->n_suffix;
    INC_TRY(append(out, tokenizer->prefix, tokenizer->n_prefix));
    INC_TRY(split_added(&encoding, &tokenizer->raw, text, length, encode_plain));
    return append(out, tokenizer->suffix, tokenizer->n_suffix);
}

size_t inc_tokenizer_vocab_size(const struct inc_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

size_t inc_tokenizer_max_tokens(const struct inc_tokenizer *tokenizer)
{
    return tokenizer->max_tokens;
}

size_t inc_tokenizer_suffix(const struct inc_tokenizer *tokenizer)
{
    return tokenizer->n_suffix;
}

int32_t inc_tokenizer_pad_id(const struct inc_tokenizer *tokenizer)
{
    return tokenizer->pad_id;
}
