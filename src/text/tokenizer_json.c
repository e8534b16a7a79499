/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face's tokenizer.json. Every part is checked; whatever is not known is an error that names it. */
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "text/bpe.h"
#include "text/tokenizer_loader.h"

enum incise_status inc_unsupported(const struct inc_loader *l, const char *section, const char *what)
{
    return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: %s '%.64s' is not supported", l->json.label, section, what);
}

/* The object `key` and its "type"; for null or another kind an error. */
static enum incise_status get_section(const struct inc_loader *l, const char *key, json_t **section, const char **type)
{
    *section = json_object_get(l->json.root, key);
    *type = "";
    if (*section == NULL || json_is_null(*section)) return inc_unsupported(l, key, "null");
    if (!json_is_object(*section))
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: '%s' is not an object", l->json.label, key);
    return inc_json_string(&l->json, *section, key, "type", type);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static enum incise_status load_step(struct inc_loader *l, const char *key, const char *list,
                                    const struct inc_step_type *types, json_t *section, bool nested)
{
    const char *type = "";
    json_t *steps, *step;
    size_t i;
    if (!json_is_object(section))
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: '%s' is not an object", l->json.label, key);
    INC_TRY(inc_json_string(&l->json, section, key, "type", &type));
    for (const struct inc_step_type *known = types; known->name != NULL; known++) {
        if (strcmp(known->name, type) == 0) return known->load(l, section);
    }
    if (nested || strcmp(type, "Sequence") != 0) return inc_unsupported(l, key, type);
    INC_TRY(inc_json_only(&l->json, section, key, "type normalizers pretokenizers processors"));
    steps = json_object_get(section, list);
    if (!json_is_array(steps)) return inc_unsupported(l, key, "Sequence without a list");
    json_array_foreach(steps, i, step) INC_TRY(load_step(l, key, list, types, step, true));
    return INCISE_OK;
}

enum incise_status inc_load_steps(struct inc_loader *l, const char *key, const char *list,
                                  const struct inc_step_type *types)
{
    json_t *section = json_object_get(l->json.root, key);
    if (section == NULL || json_is_null(section)) return INCISE_OK;
    return load_step(l, key, list, types, section, false);
}

static bool has_specials(const struct inc_loader *l)
{
    return l->tokenizer->n_prefix + l->tokenizer->n_suffix > 0;
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

enum incise_status inc_vocab_read(const struct inc_model_source *source, inc_vocab_fn *add, void *user)
{
    struct inc_json_pull pull;
    bool more;
    if (source->vocab.text == NULL)
        return inc_fail(source->json->ctx, INCISE_ERROR_DATA, "%s: model: no 'vocab'", source->json->label);
    inc_json_pull_init(&pull, source->json->ctx, source->json->label, &source->vocab);
    enum incise_status status = inc_json_pull_open(&pull, INC_JSON_OBJECT);
    while (status == INCISE_OK) {
        const char *piece;
        char kept[INC_PIECE_MAX];
        size_t n;
        int64_t id;
        status = inc_json_pull_next(&pull, &more);
        if (status != INCISE_OK || !more) break;
        status = inc_json_pull_key(&pull, &piece, &n);
        if (status == INCISE_OK && n > sizeof kept) status = inc_json_pull_fail(&pull, "token of %zu bytes", n);
        if (status == INCISE_OK) {
            memcpy(kept, piece, n);
            status = inc_json_pull_int(&pull, 0, INC_MAX_TOKEN_ID, &id);
        }
        if (status == INCISE_OK) status = add(user, source->json->label, kept, n, (int32_t)id);
    }
    inc_json_pull_fini(&pull);
    return status;
}

static enum incise_status load_model(struct inc_loader *l)
{
    static const struct inc_model_type *const types[] = {&inc_wordpiece_type, &inc_bpe_type, &inc_unigram_type};
    const char *type;
    INC_TRY(get_section(l, "model", &l->source.section, &type));
    l->source.json = &l->json;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i]->name, type) != 0) continue;
        if (l->source.byte_level && types[i] != &inc_bpe_type)
            return inc_unsupported(l, "ByteLevel with model", type);
        l->tokenizer->model_type = types[i];
        return types[i]->load(&l->source, &l->tokenizer->model);
    }
    return inc_unsupported(l, "model", type);
}

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

static enum incise_status load_added_token(struct inc_loader *l, json_t *object, int64_t *next_id)
{
    const struct inc_pieces *vocabulary = l->tokenizer->model_type->vocabulary(l->tokenizer->model);
    const char *content = NULL, *where = "added_tokens";
    bool normalized = false;
    struct inc_added_token token = {0};
    int64_t id = -1;
    INC_TRY(inc_json_only(&l->json, object, where, "id content single_word lstrip rstrip normalized special"));
    INC_TRY(inc_json_int(&l->json, object, where, "id", 0, INC_MAX_TOKEN_ID, &id));
    INC_TRY(inc_json_string(&l->json, object, where, "content", &content));
    INC_TRY(inc_json_bool(&l->json, object, where, "single_word", &token.single_word));
    INC_TRY(inc_json_bool(&l->json, object, where, "lstrip", &token.lstrip));
    INC_TRY(inc_json_bool(&l->json, object, where, "rstrip", &token.rstrip));
    INC_TRY(inc_json_bool(&l->json, object, where, "normalized", &normalized));
    INC_TRY(inc_json_bool(&l->json, object, where, "special", &token.special));
    if (id < 0 || content == NULL) return inc_unsupported(l, where, "entry without id or content");
    /* the id that Hugging Face gives it: the vocabulary's, or the next after it */
    int32_t expected = (int32_t)*next_id;
    if (!inc_pieces_find(vocabulary, content, strlen(content), &expected)) ++*next_id;
    if (id != expected)
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: added token '%.64s' has id %lld, its place gives %d",
                        l->json.label, content, (long long)id, expected);
    token.id = (int32_t)id;
    return inc_added_add(l->tokenizer, l->json.label, content, &token, normalized);
}

/* null or a list */
static enum incise_status read_added_tokens(struct inc_loader *l, struct inc_json_pull *pull)
{
    int64_t next_id = (int64_t)l->tokenizer->model_type->vocabulary(l->tokenizer->model)->count;
    if (inc_json_pull_kind(pull) == INC_JSON_NULL) return INCISE_OK;
    if (inc_json_pull_kind(pull) != INC_JSON_ARRAY) return inc_unsupported(l, "added_tokens", "that is no list");
    INC_TRY(inc_json_pull_open(pull, INC_JSON_ARRAY));
    for (;;) {
        struct inc_json_span span;
        struct inc_json entry;
        bool more;
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) return INCISE_OK;
        if (inc_json_pull_kind(pull) != INC_JSON_OBJECT)
            return inc_unsupported(l, "added_tokens", "entry that is no object");
        INC_TRY(inc_json_pull_skip(pull, &span));
        INC_TRY(inc_json_parse(l->json.ctx, l->json.label, span.text, span.length, &entry));
        enum incise_status status = load_added_token(l, entry.root, &next_id);
        inc_json_release(&entry);
        INC_TRY(status);
    }
}

static enum incise_status load_added_tokens(struct inc_loader *l)
{
    const struct inc_json_span *span = &l->source.added_tokens;
    struct inc_json_pull pull;
    if (l->source.blob != NULL) return inc_added_restore(l->tokenizer, l->source.blob);
    INC_TRY(inc_added_init(l->tokenizer, span->members));
    if (span->text == NULL) return INCISE_OK;
    inc_json_pull_init(&pull, l->json.ctx, l->json.label, span);
    enum incise_status status = read_added_tokens(l, &pull);
    inc_json_pull_fini(&pull);
    return status;
}

/* ---- post_processor ---------------------------------------------------------------------------------------------- */

static enum incise_status add_special(struct inc_loader *l, bool suffix, const json_t *id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INC_MAX_TOKEN_ID)
        return inc_unsupported(l, "post_processor", "special token without a valid id");
    return inc_special_add(l->tokenizer, suffix, (int32_t)json_integer_value(id));
}

/* One of "single": {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id": "A", "type_id"}}. */
static enum incise_status load_template_item(struct inc_loader *l, const json_t *section, json_t *item, bool *suffix)
{
    json_t *sequence = json_object_get(item, "Sequence"), *token = json_object_get(item, "SpecialToken"), *id;
    json_t *body = sequence != NULL ? sequence : token;
    const char *name = "", *where = "post_processor";
    int64_t type_id = 0;
    size_t i;
    if (json_object_size(item) != 1 || !json_is_object(body)) return inc_unsupported(l, where, "template item");
    INC_TRY(inc_json_string(&l->json, body, where, "id", &name));
    INC_TRY(inc_json_int(&l->json, body, where, "type_id", 0, INT32_MAX, &type_id));
    if (type_id != 0) return inc_unsupported(l, where, "token type other than 0");
    if (sequence != NULL) {
        if (*suffix || strcmp(name, "A") != 0) return inc_unsupported(l, where, "template with several sequences");
        *suffix = true;
        return INCISE_OK;
    }
    const json_t *ids = json_object_get(json_object_get(json_object_get(section, "special_tokens"), name), "ids");
    if (json_array_size(ids) == 0)
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: post_processor: no ids for '%.64s'", l->json.label, name);
    json_array_foreach(ids, i, id) INC_TRY(add_special(l, *suffix, id));
    return INCISE_OK;
}

static enum incise_status load_template(struct inc_loader *l, json_t *section)
{
    json_t *single = json_object_get(section, "single"), *item;
    bool suffix = false;
    size_t i;
    INC_TRY(inc_json_only(&l->json, section, "post_processor", "type single pair special_tokens"));
    if (has_specials(l)) return inc_unsupported(l, "post_processor", "sequence of templates");
    if (!json_is_array(single))
        return inc_unsupported(l, "post_processor", "TemplateProcessing without a list 'single'");
    json_array_foreach(single, i, item) INC_TRY(load_template_item(l, section, item, &suffix));
    return suffix ? INCISE_OK : inc_unsupported(l, "post_processor", "template without a sequence");
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static enum incise_status load_bert_processing(struct inc_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "post_processor", "type sep cls trim_offsets add_prefix_space"));
    if (has_specials(l)) return inc_unsupported(l, "post_processor", "sequence of templates");
    INC_TRY(add_special(l, false, json_array_get(json_object_get(section, "cls"), 1)));
    return add_special(l, true, json_array_get(json_object_get(section, "sep"), 1));
}

/* Says how offsets are trimmed. */
static enum incise_status load_byte_level_processing(struct inc_loader *l, json_t *section)
{
    bool regex, trim = true, prefix = true;
    const char *where = "post_processor";
    INC_TRY(inc_json_only(&l->json, section, where, "type sep cls add_prefix_space trim_offsets use_regex"));
    INC_TRY(inc_json_bool(&l->json, section, where, "trim_offsets", &trim));
    INC_TRY(inc_json_bool(&l->json, section, where, "add_prefix_space", &prefix));
    INC_TRY(inc_json_bool(&l->json, section, where, "use_regex", &regex));
    l->tokenizer->trim_spans = trim;
    l->tokenizer->prefix_space = prefix;
    return INCISE_OK;
}

static enum incise_status load_roberta_processing(struct inc_loader *l, json_t *section)
{
    INC_TRY(load_bert_processing(l, section));
    return load_byte_level_processing(l, section);
}

static enum incise_status load_post_processor(struct inc_loader *l)
{
    static const struct inc_step_type types[] = {{"TemplateProcessing", load_template},
                                                 {"BertProcessing", load_bert_processing},
                                                 {"RobertaProcessing", load_roberta_processing},
                                                 {"ByteLevel", load_byte_level_processing},
                                                 {NULL, NULL}};
    return inc_load_steps(l, "post_processor", "processors", types);
}

/* ---- truncation, padding, all of it ------------------------------------------------------------------------------ */

/* Lengths are the caller's decision; only what would change which tokens are kept matters here. */
static enum incise_status load_lengths(struct inc_loader *l)
{
    const json_t *truncation = json_object_get(l->json.root, "truncation");
    const json_t *padding = json_object_get(l->json.root, "padding");
    const char *direction = "Right", *strategy = "LongestFirst";
    int64_t max_tokens = 0, pad_id = 0;
    INC_TRY(inc_json_int(&l->json, truncation, "truncation", "max_length", 0, INT32_MAX, &max_tokens));
    INC_TRY(inc_json_string(&l->json, truncation, "truncation", "direction", &direction));
    INC_TRY(inc_json_string(&l->json, truncation, "truncation", "strategy", &strategy));
    l->tokenizer->cut_left = strcmp(direction, "Left") == 0;
    if (!l->tokenizer->cut_left && strcmp(direction, "Right") != 0)
        return inc_unsupported(l, "truncation from the side", direction);
    if (strcmp(strategy, "LongestFirst") != 0 && strcmp(strategy, "OnlyFirst") != 0)
        return inc_unsupported(l, "truncation strategy", strategy);
    INC_TRY(inc_json_int(&l->json, padding, "padding", "pad_id", 0, INC_MAX_TOKEN_ID, &pad_id));
    l->tokenizer->max_tokens = (size_t)max_tokens;
    l->tokenizer->pad_id = (int32_t)pad_id;
    return INCISE_OK;
}

/* Only what is known to be safe; without it a text is normalized as a whole. */
static void decide_cuts(struct inc_tokenizer *t)
{
    const struct inc_normalizer *first = &t->normalizers[0];
    const struct inc_splitter *split = &t->splitters[0];
    bool matches = t->n_splitters > 0 && split->run == inc_split_matches;
    inc_match_fn *find = matches ? split->pattern.find : NULL;
    bool form_c = t->n_normalizers == 1 && first->run == inc_form_text && first->form == INC_FORM_C;
    bool marks = t->n_normalizers == 1 && first->run == inc_replace_text && first->pattern.find == inc_match_string &&
                 strcmp(first->pattern.string, " ") == 0 && strcmp(first->content, INC_SPACE_MARK_UTF8) == 0;
    if (t->n_splitters > 0 && split->run == inc_bert_split) {
        t->cut_at_space = t->cut_at_newline = t->n_normalizers == 1 && first->run == inc_bert_normalize_text;
    } else if (find == inc_match_gpt2 || find == inc_match_qwen || find == inc_match_llama) {
        t->cut_at_space = (t->n_normalizers == 0 || form_c) && split->behavior == INC_ISOLATED && !split->invert;
    } else if (marks && t->model_type == &inc_bpe_type) {
        bool blank = t->n_splitters == 1 && find == inc_match_string && strcmp(split->pattern.string, " ") == 0;
        t->cut_at_space = t->n_splitters == 0 || blank;
        t->cut_model = t->model;
    }
}

static enum incise_status load_all(struct inc_loader *l)
{
    static enum incise_status (*const parts[])(struct inc_loader *l) = {
        inc_load_normalizer, inc_load_pre_tokenizer, load_model, load_added_tokens, load_post_processor, load_lengths,
    };
    INC_TRY(
        inc_json_only(&l->json, l->json.root, "tokenizer",
                      "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) INC_TRY(parts[i](l));
    decide_cuts(l->tokenizer);
    return inc_tokenizer_finish(l->tokenizer, l->json.label);
}

/* ---- the bulk, which is not for jansson -------------------------------------------------------------------------- */

/* Copies the text from *done up to the span to `rest`, and 0 in its place. */
static void leave_out(const struct inc_json_span *span, struct inc_buffer *rest, const char **done)
{
    inc_buffer_append(rest, *done, (size_t)(span->text - *done));
    inc_buffer_puts(rest, "0");
    *done = span->text + span->length;
}

/* Passes the "model" object without vocab and merges. */
static enum incise_status split_model(struct inc_json_pull *pull, struct inc_model_source *source,
                                      struct inc_buffer *rest, const char **done)
{
    bool more;
    INC_TRY(inc_json_pull_open(pull, INC_JSON_OBJECT));
    for (;;) {
        const char *key;
        size_t n;
        struct inc_json_span span;
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) return INCISE_OK;
        INC_TRY(inc_json_pull_key(pull, &key, &n));
        bool vocab = n == 5 && memcmp(key, "vocab", n) == 0, merges = n == 6 && memcmp(key, "merges", n) == 0;
        INC_TRY(inc_json_pull_skip(pull, &span));
        if (!vocab && !merges) continue;
        *(vocab ? &source->vocab : &source->merges) = span;
        leave_out(&span, rest, done);
    }
}

static enum incise_status split_document(struct inc_json_pull *pull, struct inc_model_source *source,
                                         struct inc_buffer *rest)
{
    const char *done = pull->at;
    bool more;
    INC_TRY(inc_json_pull_open(pull, INC_JSON_OBJECT));
    for (;;) {
        const char *key;
        size_t n;
        struct inc_json_span span;
        INC_TRY(inc_json_pull_next(pull, &more));
        if (!more) break;
        INC_TRY(inc_json_pull_key(pull, &key, &n));
        bool model = n == 5 && memcmp(key, "model", n) == 0, added = n == 12 && memcmp(key, "added_tokens", n) == 0;
        if (model && inc_json_pull_kind(pull) == INC_JSON_OBJECT) {
            INC_TRY(split_model(pull, source, rest, &done));
            continue;
        }
        INC_TRY(inc_json_pull_skip(pull, &span));
        if (!added) continue;
        source->added_tokens = span;
        leave_out(&span, rest, &done);
    }
    INC_TRY(inc_json_pull_end(pull));
    inc_buffer_append(rest, done, (size_t)(pull->end - done));
    return inc_buffer_check(rest);
}

enum incise_status inc_tokenizer_split(const struct inc_ctx *ctx, const char *label, const void *text, size_t length,
                                       struct inc_model_source *source, struct inc_buffer *rest)
{
    const struct inc_json_span document = {text, length, text, 0};
    struct inc_json_pull pull;
    inc_json_pull_init(&pull, ctx, label, &document);
    enum incise_status status = split_document(&pull, source, rest);
    inc_json_pull_fini(&pull);
    return status;
}

enum incise_status inc_tokenizer_assemble(const struct inc_ctx *ctx, const char *label, const struct inc_buffer *rest,
                                          const struct inc_model_source *source, struct inc_tokenizer **tokenizer)
{
    struct inc_loader l = {.source = *source};
    *tokenizer = NULL;
    INC_TRY(inc_json_parse(ctx, label, rest->data, rest->length, &l.json));
    enum incise_status status = inc_tokenizer_create(ctx, &l.tokenizer);
    if (status == INCISE_OK) status = load_all(&l);
    inc_json_release(&l.json);
    if (status == INCISE_OK)
        *tokenizer = l.tokenizer;
    else
        inc_tokenizer_destroy(l.tokenizer);
    return status;
}

enum incise_status inc_tokenizer_load_json(const struct inc_ctx *ctx, const char *label, const void *text,
                                           size_t length, struct inc_tokenizer **tokenizer)
{
    struct inc_model_source source = {0};
    struct inc_buffer rest;
    *tokenizer = NULL;
    inc_buffer_init(&rest, ctx);
    enum incise_status status = inc_tokenizer_split(ctx, label, text, length, &source, &rest);
    if (status == INCISE_OK) status = inc_tokenizer_assemble(ctx, label, &rest, &source, tokenizer);
    inc_buffer_fini(&rest);
    return status;
}
