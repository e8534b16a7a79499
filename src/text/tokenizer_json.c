/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face's tokenizer.json. Every part is checked; whatever is not known is an error that names it. */
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"
#include "text/bpe.h"
#include "text/byte_level.h"

struct json_loader {
    struct inc_json json; /* without the model's bulk */
    struct inc_model_source source;
    struct inc_tokenizer *tokenizer;
};

static enum incise_status unsupported(const struct json_loader *l, const char *section, const char *what)
{
    return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: %s '%.64s' is not supported", l->json.label, section, what);
}

/* The object `key` and its "type"; for null or another kind an error. */
static enum incise_status get_section(const struct json_loader *l, const char *key, json_t **section, const char **type)
{
    *section = json_object_get(l->json.root, key);
    *type = "";
    if (*section == NULL || json_is_null(*section)) return unsupported(l, key, "null");
    if (!json_is_object(*section))
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: '%s' is not an object", l->json.label, key);
    return inc_json_string(&l->json, *section, key, "type", type);
}

/* ---- normalizer, pre_tokenizer, model ---------------------------------------------------------------------------- */

static enum incise_status load_bert_normalizer(struct json_loader *l, json_t *section)
{
    bool clean = true, chinese = true, lowercase = true, strip;
    const json_t *accents = json_object_get(section, "strip_accents");
    const char *where = "normalizer";
    INC_TRY(inc_json_only(&l->json, section, where, "type clean_text handle_chinese_chars strip_accents lowercase"));
    INC_TRY(inc_json_bool(&l->json, section, where, "clean_text", &clean));
    INC_TRY(inc_json_bool(&l->json, section, where, "handle_chinese_chars", &chinese));
    INC_TRY(inc_json_bool(&l->json, section, where, "lowercase", &lowercase));
    strip = lowercase; /* what null means */
    if (!json_is_null(accents)) INC_TRY(inc_json_bool(&l->json, section, where, "strip_accents", &strip));
    struct inc_normalizer *step = inc_normalizer_add(l->tokenizer, l->json.label, inc_bert_normalize_text);
    if (step == NULL) return INCISE_ERROR_DATA;
    inc_bert_normalizer_init(&step->bert, clean, chinese, strip, lowercase);
    return INCISE_OK;
}

static enum incise_status copy_text(const struct json_loader *l, const char *text, char **copy, size_t *n)
{
    *n = strlen(text);
    *copy = inc_alloc(l->json.ctx, *n + 1);
    if (*copy == NULL) return inc_fail_memory(l->json.ctx, *n + 1, "a string");
    memcpy(*copy, text, *n + 1);
    return INCISE_OK;
}

/* The text of "pattern": {`kind`: text}. */
static enum incise_status get_pattern(const struct json_loader *l, json_t *section, const char *where, const char *kind,
                                      const char **pattern)
{
    const json_t *object = json_object_get(section, "pattern");
    *pattern = "";
    INC_TRY(inc_json_string(&l->json, object, where, kind, pattern));
    return **pattern != '\0' ? INCISE_OK : unsupported(l, where, "pattern that is no string or empty");
}

static enum incise_status load_replace(struct json_loader *l, json_t *section)
{
    const char *pattern, *content = "", *where = "normalizer";
    INC_TRY(inc_json_only(&l->json, section, where, "type pattern content"));
    INC_TRY(get_pattern(l, section, where, "String", &pattern));
    INC_TRY(inc_json_string(&l->json, section, where, "content", &content));
    struct inc_normalizer *step = inc_normalizer_add(l->tokenizer, l->json.label, inc_replace_text);
    if (step == NULL) return INCISE_ERROR_DATA;
    INC_TRY(copy_text(l, pattern, &step->from, &step->n_from));
    return copy_text(l, content, &step->to, &step->n_to);
}

static enum incise_status load_bert_split(struct json_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type"));
    return inc_splitter_add(l->tokenizer, l->json.label, inc_bert_split) != NULL ? INCISE_OK : INCISE_ERROR_DATA;
}

/* A pattern that takes every character: with "Isolated" its matches are the words. */
static enum incise_status load_regex(struct json_loader *l, const char *pattern, const char *behavior)
{
    inc_split_fn *split = inc_byte_level_pattern(pattern);
    if (split == NULL) return unsupported(l, "regular expression of Split", pattern);
    if (strcmp(behavior, "Isolated") != 0) return unsupported(l, "behavior of Split", behavior);
    return inc_splitter_add(l->tokenizer, l->json.label, split) != NULL ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status load_byte_level(struct json_loader *l, json_t *section)
{
    const char *where = "pre_tokenizer";
    bool prefix = true, trim = true, regex = true;
    INC_TRY(inc_json_only(&l->json, section, where, "type add_prefix_space trim_offsets use_regex"));
    INC_TRY(inc_json_bool(&l->json, section, where, "add_prefix_space", &prefix));
    INC_TRY(inc_json_bool(&l->json, section, where, "trim_offsets", &trim)); /* says nothing about ids */
    INC_TRY(inc_json_bool(&l->json, section, where, "use_regex", &regex));
    if (prefix) return unsupported(l, where, "ByteLevel with add_prefix_space");
    l->source.byte_level = true;
    if (!regex) return INCISE_OK;
    return inc_splitter_add(l->tokenizer, l->json.label, inc_split_gpt2) != NULL ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status load_split(struct json_loader *l, json_t *section)
{
    const char *pattern, *behavior = "", *where = "pre_tokenizer";
    bool invert = false, regex = json_object_get(json_object_get(section, "pattern"), "Regex") != NULL;
    INC_TRY(inc_json_only(&l->json, section, where, "type pattern behavior invert"));
    INC_TRY(get_pattern(l, section, where, regex ? "Regex" : "String", &pattern));
    INC_TRY(inc_json_string(&l->json, section, where, "behavior", &behavior));
    INC_TRY(inc_json_bool(&l->json, section, where, "invert", &invert));
    if (invert) return unsupported(l, where, "Split with invert");
    if (regex) return load_regex(l, pattern, behavior);
    if (strcmp(behavior, "MergedWithPrevious") != 0) return unsupported(l, "behavior of Split", behavior);
    struct inc_splitter *step = inc_splitter_add(l->tokenizer, l->json.label, inc_split_string);
    if (step == NULL) return INCISE_ERROR_DATA;
    return copy_text(l, pattern, &step->pattern, &step->n_pattern);
}

struct step_type {
    const char *name;
    enum incise_status (*load)(struct json_loader *l, json_t *section);
};

static const struct step_type normalizer_types[] = {
    {"BertNormalizer", load_bert_normalizer}, {"Replace", load_replace}, {NULL, NULL}};
static const struct step_type splitter_types[] = {
    {"BertPreTokenizer", load_bert_split}, {"Split", load_split}, {"ByteLevel", load_byte_level}, {NULL, NULL}};

static enum incise_status load_step(struct json_loader *l, const char *key, const struct step_type *types,
                                    json_t *section)
{
    const char *type = "";
    if (!json_is_object(section))
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: '%s' is not an object", l->json.label, key);
    INC_TRY(inc_json_string(&l->json, section, key, "type", &type));
    if (types == splitter_types && l->source.byte_level) return unsupported(l, "step after ByteLevel", type);
    for (; types->name != NULL; types++) {
        if (strcmp(types->name, type) == 0) return types->load(l, section);
    }
    return unsupported(l, key, type);
}

static bool has_specials(const struct json_loader *l)
{
    return l->tokenizer->n_prefix + l->tokenizer->n_suffix > 0;
}

/* null, one step, or {"type": "Sequence", `list`: [steps]}. */
static enum incise_status load_steps(struct json_loader *l, const char *key, const char *list,
                                     const struct step_type *types)
{
    json_t *section = json_object_get(l->json.root, key), *steps, *step;
    const json_t *type = json_object_get(section, "type");
    size_t i;
    if (section == NULL || json_is_null(section)) return INCISE_OK;
    if (!json_is_string(type) || strcmp(json_string_value(type), "Sequence") != 0)
        return load_step(l, key, types, section);
    INC_TRY(inc_json_only(&l->json, section, key, "type normalizers pretokenizers processors"));
    steps = json_object_get(section, list);
    if (!json_is_array(steps)) return unsupported(l, key, "Sequence without a list");
    json_array_foreach(steps, i, step) INC_TRY(load_step(l, key, types, step));
    return INCISE_OK;
}

static enum incise_status load_normalizer(struct json_loader *l)
{
    return load_steps(l, "normalizer", "normalizers", normalizer_types);
}

static enum incise_status load_pre_tokenizer(struct json_loader *l)
{
    return load_steps(l, "pre_tokenizer", "pretokenizers", splitter_types);
}

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

static enum incise_status load_model(struct json_loader *l)
{
    static const struct inc_model_type *const types[] = {&inc_wordpiece_type, &inc_bpe_type};
    const char *type;
    INC_TRY(get_section(l, "model", &l->source.section, &type));
    l->source.json = &l->json;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i]->name, type) != 0) continue;
        if (l->source.byte_level && types[i] != &inc_bpe_type) return unsupported(l, "ByteLevel with model", type);
        l->tokenizer->model_type = types[i];
        return types[i]->load(&l->source, &l->tokenizer->model);
    }
    return unsupported(l, "model", type);
}

/* ---- added tokens ------------------------------------------------------------------------------------------------ */

static enum incise_status load_added_token(struct json_loader *l, json_t *object, int64_t *next_id)
{
    const struct inc_pieces *vocabulary = l->tokenizer->model_type->vocabulary(l->tokenizer->model);
    const char *content = NULL, *where = "added_tokens";
    bool single_word = false, special = false, normalized = false;
    struct inc_added_token token = {0};
    int64_t id = -1;
    if (!json_is_object(object)) return unsupported(l, where, "entry that is no object");
    INC_TRY(inc_json_only(&l->json, object, where, "id content single_word lstrip rstrip normalized special"));
    INC_TRY(inc_json_int(&l->json, object, where, "id", 0, INC_MAX_TOKEN_ID, &id));
    INC_TRY(inc_json_string(&l->json, object, where, "content", &content));
    INC_TRY(inc_json_bool(&l->json, object, where, "single_word", &single_word));
    INC_TRY(inc_json_bool(&l->json, object, where, "lstrip", &token.lstrip));
    INC_TRY(inc_json_bool(&l->json, object, where, "rstrip", &token.rstrip));
    INC_TRY(inc_json_bool(&l->json, object, where, "normalized", &normalized));
    INC_TRY(inc_json_bool(&l->json, object, where, "special", &special));
    if (id < 0 || content == NULL) return unsupported(l, where, "entry without id or content");
    if (single_word) return unsupported(l, "single_word of added token", content);
    /* the id that Hugging Face gives it: the vocabulary's, or the next after it */
    int32_t expected = (int32_t)*next_id;
    if (!inc_pieces_find(vocabulary, content, strlen(content), &expected)) ++*next_id;
    if (id != expected)
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: added token '%.64s' has id %lld, its place gives %d",
                        l->json.label, content, (long long)id, expected);
    token.id = (int32_t)id;
    return inc_added_add(l->tokenizer, l->json.label, content, &token, normalized);
}

static enum incise_status load_added_tokens(struct json_loader *l)
{
    json_t *list = json_object_get(l->json.root, "added_tokens"), *object;
    int64_t next_id = (int64_t)l->tokenizer->model_type->vocabulary(l->tokenizer->model)->count;
    size_t i;
    if (list == NULL || json_is_null(list)) return inc_added_init(l->tokenizer, 0);
    if (!json_is_array(list)) return unsupported(l, "added_tokens", "that is no list");
    INC_TRY(inc_added_init(l->tokenizer, json_array_size(list)));
    json_array_foreach(list, i, object) INC_TRY(load_added_token(l, object, &next_id));
    return INCISE_OK;
}

/* ---- post_processor ---------------------------------------------------------------------------------------------- */

static enum incise_status add_special(struct json_loader *l, bool suffix, const json_t *id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INC_MAX_TOKEN_ID)
        return unsupported(l, "post_processor", "special token without a valid id");
    return inc_special_add(l->tokenizer, suffix, (int32_t)json_integer_value(id));
}

/* One of "single": {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id": "A", "type_id"}}. */
static enum incise_status load_template_item(struct json_loader *l, const json_t *section, json_t *item, bool *suffix)
{
    json_t *sequence = json_object_get(item, "Sequence"), *token = json_object_get(item, "SpecialToken"), *id;
    json_t *body = sequence != NULL ? sequence : token;
    const char *name = "", *where = "post_processor";
    int64_t type_id = 0;
    size_t i;
    if (json_object_size(item) != 1 || !json_is_object(body)) return unsupported(l, where, "template item");
    INC_TRY(inc_json_string(&l->json, body, where, "id", &name));
    INC_TRY(inc_json_int(&l->json, body, where, "type_id", 0, INT32_MAX, &type_id));
    if (type_id != 0) return unsupported(l, where, "token type other than 0");
    if (sequence != NULL) {
        if (*suffix || strcmp(name, "A") != 0) return unsupported(l, where, "template with several sequences");
        *suffix = true;
        return INCISE_OK;
    }
    const json_t *ids = json_object_get(json_object_get(json_object_get(section, "special_tokens"), name), "ids");
    if (json_array_size(ids) == 0)
        return inc_fail(l->json.ctx, INCISE_ERROR_DATA, "%s: post_processor: no ids for '%.64s'", l->json.label, name);
    json_array_foreach(ids, i, id) INC_TRY(add_special(l, *suffix, id));
    return INCISE_OK;
}

static enum incise_status load_template(struct json_loader *l, json_t *section)
{
    json_t *single = json_object_get(section, "single"), *item;
    bool suffix = false;
    size_t i;
    INC_TRY(inc_json_only(&l->json, section, "post_processor", "type single pair special_tokens"));
    if (has_specials(l)) return unsupported(l, "post_processor", "sequence of templates");
    if (!json_is_array(single)) return unsupported(l, "post_processor", "TemplateProcessing without a list 'single'");
    json_array_foreach(single, i, item) INC_TRY(load_template_item(l, section, item, &suffix));
    return suffix ? INCISE_OK : unsupported(l, "post_processor", "template without a sequence");
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}; what RobertaProcessing says besides is about offsets. */
static enum incise_status load_bert_processing(struct json_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "post_processor", "type sep cls trim_offsets add_prefix_space"));
    if (has_specials(l)) return unsupported(l, "post_processor", "sequence of templates");
    INC_TRY(add_special(l, false, json_array_get(json_object_get(section, "cls"), 1)));
    return add_special(l, true, json_array_get(json_object_get(section, "sep"), 1));
}

/* About offsets only. */
static enum incise_status load_offsets(struct json_loader *l, json_t *section)
{
    return inc_json_only(&l->json, section, "post_processor", "type add_prefix_space trim_offsets use_regex");
}

static enum incise_status load_post_processor(struct json_loader *l)
{
    static const struct step_type types[] = {{"TemplateProcessing", load_template},
                                             {"BertProcessing", load_bert_processing},
                                             {"RobertaProcessing", load_bert_processing},
                                             {"ByteLevel", load_offsets},
                                             {NULL, NULL}};
    return load_steps(l, "post_processor", "processors", types);
}

/* ---- truncation, padding, all of it ------------------------------------------------------------------------------ */

/* Lengths are the caller's decision; only what would change which tokens are kept matters here. */
static enum incise_status load_lengths(struct json_loader *l)
{
    const json_t *truncation = json_object_get(l->json.root, "truncation");
    const json_t *padding = json_object_get(l->json.root, "padding");
    const char *direction = "Right";
    int64_t max_tokens = 0, pad_id = 0;
    INC_TRY(inc_json_int(&l->json, truncation, "truncation", "max_length", 0, INT32_MAX, &max_tokens));
    INC_TRY(inc_json_string(&l->json, truncation, "truncation", "direction", &direction));
    if (strcmp(direction, "Right") != 0) return unsupported(l, "truncation from the side", direction);
    INC_TRY(inc_json_int(&l->json, padding, "padding", "pad_id", 0, INC_MAX_TOKEN_ID, &pad_id));
    l->tokenizer->max_tokens = (size_t)max_tokens;
    l->tokenizer->pad_id = (int32_t)pad_id;
    return INCISE_OK;
}

/* Only what is known to be safe; without it a text is normalized as a whole. */
static void decide_cuts(struct inc_tokenizer *t)
{
    const struct inc_normalizer *first = &t->normalizers[0];
    inc_split_fn *split = t->n_splitters > 0 ? t->splitters[0].run : NULL;
    bool marks = t->n_normalizers == 1 && first->run == inc_replace_text && strcmp(first->from, " ") == 0 &&
                 strcmp(first->to, INC_SPACE_MARK_UTF8) == 0;
    if (split == inc_bert_split) {
        t->cut_at_space = t->cut_at_newline = t->n_normalizers == 1 && first->run == inc_bert_normalize_text;
    } else if (split == inc_split_gpt2 || split == inc_split_qwen) {
        t->cut_at_space = t->n_normalizers == 0;
    } else if (marks && t->model_type == &inc_bpe_type) {
        bool blank = split == inc_split_string && t->n_splitters == 1 && strcmp(t->splitters[0].pattern, " ") == 0;
        t->cut_at_space = split == NULL || blank;
        t->cut_model = t->model;
    }
}

static enum incise_status load_all(struct json_loader *l)
{
    static enum incise_status (*const parts[])(struct json_loader *l) = {
        load_normalizer, load_pre_tokenizer, load_model, load_added_tokens, load_post_processor, load_lengths,
    };
    INC_TRY(
        inc_json_only(&l->json, l->json.root, "tokenizer",
                      "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) INC_TRY(parts[i](l));
    decide_cuts(l->tokenizer);
    return inc_tokenizer_finish(l->tokenizer, l->json.label);
}

/* ---- the model's bulk, which is not for jansson ------------------------------------------------------------------ */

/* Passes the "model" object; copies the text from *done on to `rest`, with 0 for vocab and merges. */
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
        inc_buffer_append(rest, *done, (size_t)(span.text - *done));
        inc_buffer_puts(rest, "0");
        *done = span.text + span.length;
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
        bool model = n == 5 && memcmp(key, "model", n) == 0;
        if (model && inc_json_pull_kind(pull) == INC_JSON_OBJECT)
            INC_TRY(split_model(pull, source, rest, &done));
        else
            INC_TRY(inc_json_pull_skip(pull, &span));
    }
    INC_TRY(inc_json_pull_end(pull));
    inc_buffer_append(rest, done, (size_t)(pull->end - done));
    return inc_buffer_check(rest);
}

static enum incise_status parse(struct json_loader *l, const struct inc_ctx *ctx, const char *label, const char *text,
                                size_t length)
{
    const struct inc_json_span document = {text, length, text, 0};
    struct inc_json_pull pull;
    struct inc_buffer rest;
    inc_buffer_init(&rest, ctx);
    inc_json_pull_init(&pull, ctx, label, &document);
    enum incise_status status = split_document(&pull, &l->source, &rest);
    if (status == INCISE_OK) status = inc_json_parse(ctx, label, rest.data, rest.length, &l->json);
    inc_json_pull_fini(&pull);
    inc_buffer_fini(&rest);
    return status;
}

enum incise_status inc_tokenizer_load_json(const struct inc_ctx *ctx, const char *label, const void *text,
                                           size_t length, struct inc_tokenizer **tokenizer)
{
    struct json_loader l = {0};
    *tokenizer = NULL;
    INC_TRY(parse(&l, ctx, label, text, length));
    enum incise_status status = inc_tokenizer_create(ctx, &l.tokenizer);
    if (status == INCISE_OK) status = load_all(&l);
    inc_json_release(&l.json);
    if (status == INCISE_OK)
        *tokenizer = l.tokenizer;
    else
        inc_tokenizer_destroy(l.tokenizer);
    return status;
}
