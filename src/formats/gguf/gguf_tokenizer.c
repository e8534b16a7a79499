/* SPDX-License-Identifier: Apache-2.0 */
/* A vocabulary as tokenizer.json, by the model that "tokenizer.ggml.model" names. */
#include <string.h>

#include "formats/gguf/gguf_model.h"
#include "formats/gguf/gguf_vocab.h"

#define SPACE_MARK "\xe2\x96\x81" /* "▁", a space in vocabularies made by SentencePiece */

/* ---- text -------------------------------------------------------------------------------------------------------- */

struct writer {
    struct inc_gguf_vocab *vocab;
    struct inc_buffer *text;
};

static void put(struct writer *w, const char *text)
{
    inc_buffer_puts(w->text, text);
}

static void put_string(struct writer *w, const char *text, size_t n)
{
    inc_buffer_puts(w->text, "\"");
    for (size_t i = 0, run = 0; i <= n; i++) {
        bool plain = i < n && (unsigned char)text[i] >= ' ' && text[i] != '"' && text[i] != '\\';
        if (plain) continue;
        inc_buffer_append(w->text, text + run, i - run);
        run = i + 1;
        if (i == n) break;
        if (text[i] == '\n' || text[i] == '\t')
            inc_buffer_puts(w->text, text[i] == '\n' ? "\\n" : "\\t");
        else if ((unsigned char)text[i] < ' ')
            inc_buffer_printf(w->text, "\\u%04x", (unsigned)text[i]);
        else
            inc_buffer_printf(w->text, "\\%c", text[i]);
    }
    put(w, "\"");
}

static void put_token(struct writer *w, int32_t id)
{
    put_string(w, w->vocab->tokens[id].text, w->vocab->tokens[id].n);
}

static void put_vocab(struct writer *w)
{
    put(w, "{");
    for (size_t i = 0; i < w->vocab->n; i++) {
        if (i > 0) put(w, ",");
        put_token(w, (int32_t)i);
        inc_buffer_printf(w->text, ":%zu", i);
    }
    put(w, "}");
}

static void put_added(struct writer *w, int32_t id, bool special, bool *first)
{
    inc_buffer_printf(w->text, "%s{\"id\":%d,\"content\":", *first ? "" : ",", id);
    put_token(w, id);
    inc_buffer_printf(w->text,
                      ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":%s}",
                      special ? "true" : "false");
    *first = false;
}

static void put_template_token(struct writer *w, int32_t id, int type)
{
    if (id < 0) return;
    put(w, "{\"SpecialToken\":{\"id\":");
    put_token(w, id);
    inc_buffer_printf(w->text, ",\"type_id\":%d}}", type);
}

static void put_template_part(struct writer *w, char sequence, int32_t prefix, int32_t suffix, int type)
{
    put_template_token(w, prefix, type);
    inc_buffer_printf(w->text, "%s{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}%s", prefix >= 0 ? "," : "", sequence,
                      type, suffix >= 0 ? "," : "");
    put_template_token(w, suffix, type);
}

static void put_template_id(struct writer *w, int32_t id)
{
    if (id < 0) return;
    put_token(w, id);
    put(w, ":{\"id\":");
    put_token(w, id);
    inc_buffer_printf(w->text, ",\"ids\":[%d],\"tokens\":[", id);
    put_token(w, id);
    put(w, "]}");
}

/* prefix A suffix; -1: none. `twice`: the prefix stands before the second text too. */
static void put_template(struct writer *w, int32_t prefix, int32_t suffix, bool twice)
{
    put(w, "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[");
    put_template_part(w, 'A', prefix, suffix, 0);
    put(w, "],\"pair\":[");
    put_template_part(w, 'A', prefix, suffix, 0);
    put(w, ",");
    put_template_part(w, 'B', twice ? prefix : -1, suffix, 1);
    put(w, "],\"special_tokens\":{");
    put_template_id(w, prefix);
    if (prefix >= 0 && suffix >= 0) put(w, ",");
    put_template_id(w, suffix);
    put(w, "}},");
}

static enum incise_status unsupported(const struct writer *w, const char *key, const char *value)
{
    const struct inc_gguf *file = w->vocab->file;
    return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: '%s' is %.64s, which is not supported", file->label, key, value);
}

/* ---- "llama": SentencePiece's BPE with byte fallback, as Gemma's ------------------------------------------------- */

/* "<0xF1>" */
static bool is_byte_token(const struct inc_gguf_token *token)
{
    static const char digits[] = "0123456789ABCDEF";
    return token->n == 6 && memcmp(token->text, "<0x", 3) == 0 && memchr(digits, token->text[3], 16) != NULL &&
           memchr(digits, token->text[4], 16) != NULL && token->text[5] == '>';
}

/* The converter has turned the marks of user-defined tokens into the spaces they stand for; here back again. */
static enum incise_status restore_marks(struct inc_gguf_vocab *vocab, struct inc_gguf_token *token)
{
    size_t n_spaces = 0, n = 0;
    for (size_t i = 0; i < token->n; i++) n_spaces += token->text[i] == ' ';
    if (n_spaces == 0) return INCISE_OK;
    char *text = inc_arena_alloc(&vocab->arena, token->n + 2 * n_spaces, 1);
    if (text == NULL) return inc_fail_memory(vocab->file->ctx, token->n, vocab->file->label);
    for (size_t i = 0; i < token->n; i++) {
        if (token->text[i] == ' ') {
            memcpy(text + n, SPACE_MARK, 3);
            n += 3;
        } else {
            text[n++] = token->text[i];
        }
    }
    token->text = text;
    token->n = n;
    return INCISE_OK;
}

static enum incise_status prepare_pieces(struct inc_gguf_vocab *vocab, bool *byte_fallback)
{
    const struct inc_gguf *file = vocab->file;
    size_t n_bytes = 0;
    for (size_t i = 0; i < vocab->n; i++) {
        struct inc_gguf_token *token = &vocab->tokens[i];
        if (token->type == INC_GGUF_TOKEN_USER) INC_TRY(restore_marks(vocab, token));
        if (token->type != INC_GGUF_TOKEN_BYTE) continue;
        if (!is_byte_token(token))
            return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: token %zu '%.*s' is of type byte, but is no <0xHH>",
                            file->label, i, (int)token->n, token->text);
        n_bytes++;
    }
    *byte_fallback = n_bytes > 0;
    INC_TRY(inc_gguf_vocab_index(vocab));
    if (n_bytes == 0 || n_bytes == 256) return INCISE_OK;
    return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: the vocabulary has tokens for %zu bytes, not for all 256",
                    file->label, n_bytes);
}

static void put_pieces_added(struct writer *w)
{
    bool first = true;
    put(w, "\"added_tokens\":[");
    for (size_t i = 0; i < w->vocab->n; i++) {
        enum inc_gguf_token_type type = w->vocab->tokens[i].type;
        if (type == INC_GGUF_TOKEN_CONTROL || type == INC_GGUF_TOKEN_UNKNOWN || type == INC_GGUF_TOKEN_USER)
            put_added(w, (int32_t)i, type != INC_GGUF_TOKEN_USER, &first);
    }
    put(w, "],");
}

static enum incise_status put_merges(struct writer *w, const struct inc_gguf_value *scores)
{
    const struct inc_gguf_vocab *vocab = w->vocab;
    struct inc_gguf_merge *merges;
    size_t n;
    INC_TRY(inc_gguf_vocab_merges(vocab, scores, &merges, &n));
    put(w, ",\"merges\":[");
    for (size_t i = 0; i < n; i++) {
        const struct inc_gguf_token *token = &vocab->tokens[merges[i].id];
        put(w, i > 0 ? ",[" : "[");
        put_string(w, token->text, merges[i].left);
        put(w, ",");
        put_string(w, token->text + merges[i].left, token->n - merges[i].left);
        put(w, "]");
    }
    put(w, "]");
    inc_free(vocab->file->ctx, merges);
    return INCISE_OK;
}

static enum incise_status write_pieces(struct writer *w)
{
    struct inc_gguf *file = w->vocab->file;
    const struct inc_gguf_value *scores;
    bool space_prefix = true, add_bos = true, add_eos = false, byte_fallback = false;
    int32_t bos = inc_gguf_special_id(w->vocab, "bos"), eos = inc_gguf_special_id(w->vocab, "eos");
    int32_t unknown = inc_gguf_special_id(w->vocab, "unknown");
    INC_TRY(inc_gguf_bool(file, "tokenizer.ggml.add_space_prefix", &space_prefix));
    INC_TRY(inc_gguf_bool(file, "tokenizer.ggml.add_bos_token", &add_bos));
    INC_TRY(inc_gguf_bool(file, "tokenizer.ggml.add_eos_token", &add_eos));
    INC_TRY(inc_gguf_array(file, "tokenizer.ggml.scores", INC_GGUF_F32, &scores));
    if (space_prefix) return unsupported(w, "tokenizer.ggml.add_space_prefix", "true");
    if (scores == NULL || scores->n != w->vocab->n)
        return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: 'tokenizer.ggml.scores' has %zu entries for %zu tokens",
                        file->label, scores != NULL ? scores->n : 0, w->vocab->n);
    if (unknown < 0 || (add_bos && bos < 0) || (add_eos && eos < 0))
        return inc_fail(file->ctx, INCISE_ERROR_DATA, "%s: 'tokenizer.ggml.%s_token_id' is missing", file->label,
                        unknown < 0 ? "unknown" : add_bos && bos < 0 ? "bos" : "eos");
    INC_TRY(prepare_pieces(w->vocab, &byte_fallback));
    put_pieces_added(w);
    put(w, "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" SPACE_MARK "\"},"
           "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"MergedWithPrevious\","
           "\"invert\":false},");
    put_template(w, add_bos ? bos : -1, add_eos ? eos : -1, true);
    put(w, "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
           "{\"type\":\"Replace\",\"pattern\":{\"String\":\"" SPACE_MARK "\"},\"content\":\" \"},"
           "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]},"
           "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
    put_token(w, unknown);
    inc_buffer_printf(w->text,
                      ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,"
                      "\"byte_fallback\":%s,\"ignore_merges\":false,\"vocab\":",
                      byte_fallback ? "true" : "false");
    put_vocab(w);
    INC_TRY(put_merges(w, scores));
    put(w, "}}\n");
    return INCISE_OK;
}

/* ---- "bert": WordPiece ------------------------------------------------------------------------------------------- */

static bool is_bracketed(const struct inc_gguf_token *token)
{
    return token->n > 2 && token->text[0] == '[' && token->text[token->n - 1] == ']';
}

/* The converter has written words as "▁word" and their continuations "##part" as "part"; here back again. *cased: some
 * word has a capital letter, which a vocabulary of lowered text has not. */
static enum incise_status restore_word(struct inc_gguf_vocab *vocab, struct inc_gguf_token *token, bool *cased)
{
    if (token->type == INC_GGUF_TOKEN_CONTROL || is_bracketed(token)) return INCISE_OK;
    bool starts_word = token->n > 3 && memcmp(token->text, SPACE_MARK, 3) == 0;
    if (starts_word) {
        token->text += 3;
        token->n -= 3;
    }
    if (starts_word && is_bracketed(token)) return INCISE_OK;
    for (size_t i = 0; i < token->n; i++) *cased = *cased || (token->text[i] >= 'A' && token->text[i] <= 'Z');
    if (starts_word) return INCISE_OK;
    char *text = inc_arena_alloc(&vocab->arena, token->n + 2, 1);
    if (text == NULL) return inc_fail_memory(vocab->file->ctx, token->n, vocab->file->label);
    memcpy(text, "##", 2);
    memcpy(text + 2, token->text, token->n);
    token->text = text;
    token->n += 2;
    return INCISE_OK;
}

static void put_words_added(struct writer *w, const int32_t *ids, size_t n_ids)
{
    bool first = true;
    put(w, "\"added_tokens\":[");
    for (size_t i = 0; i < w->vocab->n; i++) {
        bool special = w->vocab->tokens[i].type == INC_GGUF_TOKEN_CONTROL;
        for (size_t k = 0; k < n_ids; k++) special = special || ids[k] == (int32_t)i;
        if (special) put_added(w, (int32_t)i, true, &first);
    }
    put(w, "],");
}

static enum incise_status write_words(struct writer *w)
{
    enum { UNKNOWN, CLS, SEP, PAD, MASK, SPECIALS };
    static const char *const names[SPECIALS] = {"unknown", "cls", "seperator", "padding", "mask"}; /* as it is spelt */
    struct inc_gguf_vocab *vocab = w->vocab;
    int32_t ids[SPECIALS];
    bool cased = false;
    for (int i = 0; i < SPECIALS; i++) ids[i] = inc_gguf_special_id(vocab, names[i]);
    if (ids[CLS] < 0) ids[CLS] = inc_gguf_special_id(vocab, "bos");
    for (int i = 0; i <= SEP; i++)
        if (ids[i] < 0)
            return inc_fail(vocab->file->ctx, INCISE_ERROR_DATA, "%s: 'tokenizer.ggml.%s_token_id' is missing",
                            vocab->file->label, names[i]);
    for (size_t i = 0; i < vocab->n; i++) INC_TRY(restore_word(vocab, &vocab->tokens[i], &cased));
    INC_TRY(inc_gguf_vocab_index(vocab));
    put_words_added(w, ids, SPECIALS);
    inc_buffer_printf(w->text,
                      "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                      "\"strip_accents\":null,\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},",
                      cased ? "false" : "true");
    put_template(w, ids[CLS], ids[SEP], false);
    put(w, "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\"model\":{\"type\":\"WordPiece\","
           "\"unk_token\":");
    put_token(w, ids[UNKNOWN]);
    put(w, ",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":");
    put_vocab(w);
    put(w, "}}\n");
    return INCISE_OK;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

static enum incise_status write_model(struct writer *w)
{
    const char *key = "tokenizer.ggml.model", *model = "missing";
    INC_TRY(inc_gguf_string(w->vocab->file, key, &model));
    put(w, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,");
    if (strcmp(model, "llama") == 0) return write_pieces(w);
    if (strcmp(model, "bert") == 0) return write_words(w);
    return unsupported(w, key, model);
}

enum incise_status inc_gguf_tokenizer_json(struct inc_gguf *file, struct inc_buffer *text)
{
    struct inc_gguf_vocab vocab;
    struct writer w = {&vocab, text};
    enum incise_status status = inc_gguf_vocab_load(file, &vocab);
    if (status == INCISE_OK) status = write_model(&w);
    inc_gguf_vocab_release(&vocab);
    return status == INCISE_OK ? inc_buffer_check(text) : status;
}
