/* SPDX-License-Identifier: Apache-2.0 */
/* BERT's original vocab.txt, an entry per line, with the settings of tokenizer_config.json. */
#include <string.h>

#include "base/size.h"
#include "text/tokenizer_parts.h"
#include "text/unicode.h"
#include "text/wordpiece.h"

struct vocab_settings {
    bool lowercase, chinese, strip_accents;
    const char *unknown, *cls, *sep, *pad, *mask;
};

/* A token is "text" or {"content": "text", ...}. */
static enum incise_status get_token(const struct inc_json *json, const char *key, const char **token)
{
    const json_t *value = json_object_get(json->root, key);
    if (json_is_object(value)) return inc_json_string(json, value, key, "content", token);
    return inc_json_string(json, json->root, "tokenizer_config.json", key, token);
}

static enum incise_status read_settings(const struct inc_json *json, struct vocab_settings *settings)
{
    static const char *const classes[] = {"BertTokenizer", "BertTokenizerFast"};
    const char *where = "tokenizer_config.json", *class = classes[0];
    bool basic = true;
    INC_TRY(inc_json_string(json, json->root, where, "tokenizer_class", &class));
    if (strcmp(class, classes[0]) != 0 && strcmp(class, classes[1]) != 0)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: tokenizer class '%.64s' is not supported", json->label,
                        class);
    INC_TRY(inc_json_bool(json, json->root, where, "do_basic_tokenize", &basic));
    if (!basic)
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: do_basic_tokenize false is not supported", json->label);
    INC_TRY(inc_json_bool(json, json->root, where, "do_lower_case", &settings->lowercase));
    INC_TRY(inc_json_bool(json, json->root, where, "tokenize_chinese_chars", &settings->chinese));
    settings->strip_accents = settings->lowercase;
    if (!json_is_null(json_object_get(json->root, "strip_accents")))
        INC_TRY(inc_json_bool(json, json->root, where, "strip_accents", &settings->strip_accents));
    INC_TRY(get_token(json, "unk_token", &settings->unknown));
    INC_TRY(get_token(json, "cls_token", &settings->cls));
    INC_TRY(get_token(json, "sep_token", &settings->sep));
    INC_TRY(get_token(json, "pad_token", &settings->pad));
    return get_token(json, "mask_token", &settings->mask);
}

/* The line at `at` without its end; *next is the start of the next one. */
static size_t next_line(const char *text, size_t length, size_t at, size_t *next)
{
    const char *end = memchr(text + at, '\n', length - at);
    size_t n = end != NULL ? (size_t)(end - text) - at : length - at;
    *next = at + n + (end != NULL);
    return n > 0 && text[at + n - 1] == '\r' ? n - 1 : n;
}

static enum incise_status load_entries(struct inc_tokenizer *t, const char *label, const char *text, size_t length,
                                       const char *unknown)
{
    struct inc_wordpiece *model;
    size_t n_lines = 0, next;
    for (size_t at = 0; at < length; at = next, n_lines++) next_line(text, length, at, &next);
    enum incise_status status = inc_wordpiece_create(t->ctx, n_lines, "##", 100, &model);
    t->model_type = &inc_wordpiece_type;
    t->model = model;
    INC_TRY(status);
    int32_t id = 0;
    for (size_t at = 0; at < length; at = next) {
        size_t n = next_line(text, length, at, &next);
        INC_TRY(inc_wordpiece_add(model, label, text + at, n, id++));
    }
    return inc_wordpiece_finish(model, label, unknown);
}

static enum incise_status load_all(struct inc_tokenizer *t, const char *label, const char *text, size_t length,
                                   const struct vocab_settings *s)
{
    const char *specials[] = {s->cls, s->sep, s->pad, s->unknown, s->mask};
    enum { CLS, SEP, PAD, N_SPECIALS = 5 };
    inc_bert_normalizer_init(&t->normalizers[0].bert, true, s->chinese, s->strip_accents, s->lowercase);
    t->normalizers[0].run = inc_bert_normalize_text;
    t->splitters[0].run = inc_bert_split;
    t->n_normalizers = t->n_splitters = 1;
    t->cut_at_space = t->cut_at_newline = true;
    INC_TRY(load_entries(t, label, text, length, s->unknown));
    INC_TRY(inc_added_init(t, N_SPECIALS));
    for (int i = 0; i < N_SPECIALS; i++) {
        struct inc_added_token token = {0};
        bool found = inc_pieces_find(t->model_type->vocabulary(t->model), specials[i], strlen(specials[i]), &token.id);
        if (!found && i <= SEP)
            return inc_fail(t->ctx, INCISE_ERROR_DATA, "%s: the vocabulary lacks '%.64s'", label, specials[i]);
        if (!found) continue;
        INC_TRY(inc_added_add(t, label, specials[i], &token, false));
        if (i <= SEP) INC_TRY(inc_special_add(t, i == SEP, token.id));
        if (i == PAD) t->pad_id = token.id;
    }
    return inc_tokenizer_finish(t, label);
}

enum incise_status inc_tokenizer_load_vocab(const struct inc_ctx *ctx, const char *label, const void *text,
                                            size_t length, const void *config, size_t config_length,
                                            struct inc_tokenizer **tokenizer)
{
    struct vocab_settings settings = {true, true, true, "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};
    struct inc_json json = {ctx, label, NULL};
    struct inc_tokenizer *made = NULL;
    enum incise_status status = INCISE_OK;
    *tokenizer = NULL;
    if (inc_utf8_check(text, length) < length)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: not UTF-8", label);
    if (config != NULL) {
        INC_TRY(inc_json_parse(ctx, label, config, config_length, &json));
        status = read_settings(&json, &settings);
    }
    if (status == INCISE_OK) status = inc_tokenizer_create(ctx, &made);
    if (status == INCISE_OK) status = load_all(made, label, text, length, &settings);
    inc_json_release(&json);
    if (status == INCISE_OK)
        *tokenizer = made;
    else
        inc_tokenizer_destroy(made);
    return status;
}
