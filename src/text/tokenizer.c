/* SPDX-License-Identifier: Apache-2.0 */
#include "text/tokenizer.h"

#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "text/bpe.h"
#include "text/tokenizer_cache.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"

#define CHUNK 4096 /* bytes normalized at a time, at least */
#define MAX_FILE (64 << 20)

/* ---- life -------------------------------------------------------------------------------------------------------- */

void inc_ids_init(struct inc_ids *ids, const struct inc_ctx *ctx)
{
    memset(ids, 0, sizeof *ids);
    ids->ctx = ctx;
    inc_text_init(&ids->raw, ctx);
    inc_text_init(&ids->replaced, ctx);
    for (int i = 0; i < 2; i++) inc_text_init(&ids->normalized[i], ctx);
    for (int i = 0; i < INC_MAX_STEPS; i++) inc_text_init(&ids->rewritten[i], ctx);
    inc_marks_init(&ids->marks, ctx);
    inc_marks_init(&ids->blocked, ctx);
}

void inc_ids_release(struct inc_ids *ids)
{
    inc_free(ids->ctx, ids->ids);
    inc_free(ids->ctx, ids->spans);
    inc_text_release(&ids->raw);
    inc_text_release(&ids->replaced);
    for (int i = 0; i < 2; i++) inc_text_release(&ids->normalized[i]);
    for (int i = 0; i < INC_MAX_STEPS; i++) inc_text_release(&ids->rewritten[i]);
    inc_marks_release(&ids->marks);
    inc_marks_release(&ids->blocked);
    inc_free(ids->ctx, ids->symbols);
    inc_free(ids->ctx, ids->heap);
    inc_free(ids->ctx, ids->nodes);
    inc_free(ids->ctx, ids->words.items);
    inc_ids_init(ids, ids->ctx);
}

enum incise_status inc_ids_reserve(struct inc_ids *out, size_t extra)
{
    size_t end;
    if (!inc_size_add(out->count, extra, &end)) return inc_fail_memory(out->ctx, SIZE_MAX, "ids");
    INC_TRY(inc_grow(out->ctx, (void **)&out->ids, &out->capacity, end, sizeof *out->ids));
    if (!out->with_spans) return INCISE_OK;
    return inc_grow(out->ctx, (void **)&out->spans, &out->spans_capacity, end, sizeof *out->spans);
}

enum incise_status inc_ids_add(struct inc_ids *out, int32_t id, size_t start, size_t end)
{
    INC_TRY(inc_ids_reserve(out, 1));
    if (out->with_spans) out->spans[out->count] = (struct inc_span){start, end};
    out->ids[out->count++] = id;
    return INCISE_OK;
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
        inc_free(ctx, tokenizer->normalizers[i].pattern.string);
        inc_free(ctx, tokenizer->normalizers[i].content);
        inc_charsmap_release(&tokenizer->normalizers[i].charsmap);
        inc_free(ctx, tokenizer->splitters[i].pattern.string);
    }
    if (tokenizer->model_type != NULL) tokenizer->model_type->destroy(ctx, tokenizer->model);
    inc_free(ctx, tokenizer->prefix);
    inc_free(ctx, tokenizer->suffix);
    inc_file_release(ctx, &tokenizer->cache);
    struct inc_ctx *own = tokenizer->own;
    inc_free(ctx, tokenizer);
    if (own == NULL) return;
    const struct inc_ctx last = *own;
    inc_free(&last, own);
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
    return inc_tokenizer_load_cached(ctx, path, MAX_FILE, tokenizer);
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

enum incise_status inc_tokenizer_normalize(const struct inc_tokenizer *tokenizer, struct inc_source *source,
                                           bool tracked, struct inc_ids *out)
{
    for (size_t i = 0; i < tokenizer->n_normalizers; i++) {
        const struct inc_normalizer *step = &tokenizer->normalizers[i];
        struct inc_text *text = &out->normalized[i % 2]; /* this step reads the other one */
        inc_text_start(text, tracked);
        INC_TRY(inc_text_reserve(text, 1)); /* so that a text is there even when it is empty */
        INC_TRY(step->run(step, source, text, out));
        *source = inc_text_source(text);
    }
    return INCISE_OK;
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

void inc_encoding_cut(struct inc_encoding *encoding)
{
    if (encoding->out->count <= encoding->limit) return;
    encoding->out->count = encoding->limit;
    encoding->out->truncated = true;
}

/* Is the character at `at` a space? A byte inside a character is none. */
static bool is_blank(const char *word, size_t at, bool only_spaces)
{
    uint32_t code;
    if (only_spaces || ((unsigned char)word[at] & 0xc0) == 0x80) return word[at] == ' ';
    inc_utf8_decode(word + at, &code);
    return inc_is_space(code);
}

/* Leaves out the spaces that a token starts and ends with, as a ByteLevel post-processor does: as many characters of
 * the original text, whatever they are. `word` is what the token stands for; `only_spaces`: other white space counts
 * as letters, for a byte-level vocabulary writes it so. */
static void trim_span(const struct inc_encoding *encoding, const char *word, size_t n, bool only_spaces, bool first,
                      struct inc_span *span)
{
    size_t leading = 0, trailing = 0;
    for (size_t at = 0; at < n && is_blank(word, at, only_spaces); at += inc_utf8_length(word[at])) leading++;
    for (size_t end = n; end > 0; trailing++) {
        end = inc_utf8_before(word, end);
        if (!is_blank(word, end, only_spaces)) break;
    }
    /* one may have been put in front; several were there */
    if (leading == 1 && encoding->tokenizer->prefix_space && (first || span->start == 0)) leading = 0;
    for (; leading > 0 && span->start < span->end; leading--)
        span->start += inc_utf8_length(encoding->text[span->start]);
    for (; trailing > 0 && span->end > span->start; trailing--)
        span->end = inc_utf8_before(encoding->text, span->end);
}

/* Turns a span of bytes of `text` into one of the original text: from the start of the character that its first byte
 * comes from to the end of the one of its last byte. */
static void place_span(const struct inc_encoding *encoding, const char *text, bool only_spaces, struct inc_span *span)
{
    const struct inc_source *source = &encoding->source;
    const char *word = text + span->start;
    size_t n = span->end - span->start, base = (size_t)(text - source->text);
    bool first = span == &encoding->out->spans[encoding->tokenizer->n_prefix];
    if (n == 0) return;
    if (source->origins == NULL) { /* the original text itself */
        span->start += base;
        span->end += base;
    } else {
        uint32_t from = inc_origin(source, base + span->start), last = inc_origin(source, base + span->end - 1);
        span->start = from == INC_NO_ORIGIN ? 0 : from;
        span->end = last == INC_NO_ORIGIN ? 0 : last + inc_utf8_length(encoding->text[last]);
    }
    if (encoding->tokenizer->trim_spans) trim_span(encoding, word, n, only_spaces, first, span);
}

enum incise_status inc_encoding_add(struct inc_encoding *encoding, int32_t id, const char *text, size_t start,
                                    size_t end)
{
    struct inc_ids *out = encoding->out;
    INC_TRY(inc_ids_add(out, id, start, end));
    if (out->with_spans) place_span(encoding, text, false, &out->spans[out->count - 1]);
    return INCISE_OK;
}

static enum incise_status split(struct inc_encoding *encoding, size_t step, const char *text, size_t n)
{
    const struct inc_tokenizer *t = encoding->tokenizer;
    struct inc_ids *out = encoding->out;
    size_t before = out->count;
    if (step < t->n_splitters) return t->splitters[step].run(encoding, step, text, n);
    INC_TRY(t->model_type->encode(t->model, text, n, out));
    for (size_t i = before; out->with_spans && i < out->count; i++)
        place_span(encoding, text, t->byte_level, &out->spans[i]);
    inc_encoding_cut(encoding);
    return INCISE_OK;
}

enum incise_status inc_split_next(struct inc_encoding *encoding, size_t step, const char *word, size_t n)
{
    return split(encoding, step + 1, word, n);
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
    inc_utf8_decode(text + inc_utf8_before(text, at), &before);
    return !inc_is_space(before) && (t->cut_model == NULL || inc_bpe_cuts_after(t->cut_model, before));
}

/* The characters of raw text[0 .. n), a part of the original, as a source. */
static enum incise_status track(struct inc_encoding *encoding, const char *text, size_t n, struct inc_source *source)
{
    struct inc_text *raw = &encoding->out->raw;
    size_t base = (size_t)(text - encoding->text);
    *source = (struct inc_source){text, n, NULL};
    if (!encoding->tracked) return INCISE_OK;
    inc_text_start(raw, true);
    INC_TRY(inc_text_reserve(raw, n + 1));
    for (size_t at = 0; at < n;) {
        size_t start = at, end = at + inc_utf8_length(text[at]);
        for (; at < end; at++) raw->origins[at] = (uint32_t)(base + start);
    }
    source->origins = raw->origins;
    return INCISE_OK;
}

/* Text without added tokens of the raw set. It is normalized in chunks, so that a long text that is cut early costs no
 * more than its start. Only added tokens of the normalized set may reach over the end of a chunk. */
static enum incise_status encode_plain(struct inc_encoding *encoding, const char *text, size_t n)
{
    const struct inc_tokenizer *t = encoding->tokenizer;
    const struct inc_source outer = encoding->source;
    struct inc_ids *out = encoding->out;
    for (size_t at = 0; at < n && !out->truncated;) {
        size_t end = n;
        if (t->normalized.pieces.count == 0 && n - at > CHUNK) {
            end = at + CHUNK;
            while (end < n && !cuttable(t, text, end)) end++;
        }
        struct inc_source source;
        INC_TRY(track(encoding, text + at, end - at, &source));
        INC_TRY(inc_tokenizer_normalize(t, &source, encoding->tracked, out));
        encoding->source = source;
        INC_TRY(inc_added_split(encoding, &t->normalized, source.text, source.n, encode_normalized));
        encoding->source = outer;
        at = end;
    }
    return INCISE_OK;
}

/* Takes what is too much from the start of the text. */
static void cut_left(const struct inc_tokenizer *t, struct inc_ids *out, size_t max_tokens)
{
    size_t limit = max_tokens - t->n_suffix, kept = limit - t->n_prefix;
    if (out->count <= limit) return;
    memmove(out->ids + t->n_prefix, out->ids + out->count - kept, kept * sizeof *out->ids);
    if (out->with_spans)
        memmove(out->spans + t->n_prefix, out->spans + out->count - kept, kept * sizeof *out->spans);
    out->count = limit;
    out->truncated = true;
}

enum incise_status inc_tokenizer_encode(const struct inc_tokenizer *tokenizer, const char *text, size_t length,
                                        size_t max_tokens, struct inc_ids *out)
{
    const struct inc_tokenizer *t = tokenizer;
    size_t specials = t->n_prefix + t->n_suffix, bad = inc_utf8_check(text, length);
    struct inc_encoding encoding = {t, out, SIZE_MAX, text, out->with_spans || t->needs_origins, {text, length, NULL}};
    out->count = 0;
    out->truncated = false;
    if (bad < length) return inc_fail(out->ctx, INCISE_ERROR_DATA, "text is not UTF-8 at byte %zu", bad);
    if (encoding.tracked && length >= INC_NO_ORIGIN)
        return inc_fail(out->ctx, INCISE_ERROR_DATA, "a text of %zu bytes is too long", length);
    if (max_tokens > 0 && max_tokens < specials)
        return inc_fail(out->ctx, INCISE_ERROR_USAGE, "%zu tokens per text are fewer than the %zu special ones",
                        max_tokens, specials);
    if (max_tokens > 0 && !t->cut_left) encoding.limit = max_tokens - t->n_suffix;
    for (size_t i = 0; i < t->n_prefix; i++) INC_TRY(inc_ids_add(out, t->prefix[i], 0, 0));
    INC_TRY(inc_added_split(&encoding, &t->raw, text, length, encode_plain));
    if (max_tokens > 0 && t->cut_left) cut_left(t, out, max_tokens);
    for (size_t i = 0; i < t->n_suffix; i++) INC_TRY(inc_ids_add(out, t->suffix[i], 0, 0));
    return INCISE_OK;
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

/* ---- names ------------------------------------------------------------------------------------------------------- */

static void add_name(void *user, const char *text, size_t n, int32_t id)
{
    struct inc_token_names *names = user;
    names->texts[id] = text;
    names->lengths[id] = (uint32_t)n;
}

struct added_names {
    struct inc_token_names *names;
    const struct inc_added_set *set;
};

/* An added token that the normalizer sees is named by its normalized text, unless the vocabulary has it. */
static void add_added_name(void *user, const char *text, size_t n, int32_t index)
{
    const struct added_names *added = user;
    const struct inc_added_token *token = &added->set->tokens[index];
    if (added->names->texts[token->id] == NULL) add_name(added->names, text, n, token->id);
    added->names->special[token->id] = token->special;
}

enum incise_status inc_token_names_init(struct inc_token_names *names, const struct inc_tokenizer *tokenizer)
{
    const struct inc_ctx *ctx = tokenizer->ctx;
    size_t n = tokenizer->vocab_size;
    *names = (struct inc_token_names){.ctx = ctx, .n = n};
    names->texts = inc_alloc_zero(ctx, n + 1, sizeof *names->texts);
    names->lengths = inc_alloc_zero(ctx, n + 1, sizeof *names->lengths);
    names->special = inc_alloc_zero(ctx, n + 1, sizeof *names->special);
    if (names->texts == NULL || names->lengths == NULL || names->special == NULL) {
        inc_token_names_release(names);
        return inc_fail_memory(ctx, n * sizeof *names->texts, "the texts of tokens");
    }
    inc_pieces_each(tokenizer->model_type->vocabulary(tokenizer->model), add_name, names);
    const struct inc_added_set *sets[] = {&tokenizer->normalized, &tokenizer->raw};
    for (int i = 0; i < 2; i++) {
        struct added_names added = {names, sets[i]};
        inc_pieces_each(&sets[i]->pieces, add_added_name, &added);
    }
    return INCISE_OK;
}

void inc_token_names_release(struct inc_token_names *names)
{
    inc_free(names->ctx, names->texts);
    inc_free(names->ctx, names->lengths);
    inc_free(names->ctx, names->special);
    *names = (struct inc_token_names){.ctx = names->ctx};
}
