/* SPDX-License-Identifier: Apache-2.0 */
/* Hugging Face's tokenizer.json. Every part is checked; whatever is not known is an error that names it. */
#include <string.h>

#include "text/tokenizer_parts.h"

struct json_loader {
    struct inc_json json;
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
    inc_bert_normalizer_init(&l->tokenizer->bert, clean, chinese, strip, lowercase);
    l->tokenizer->normalize = inc_bert_normalize_text;
    return INCISE_OK;
}

static enum incise_status load_normalizer(struct json_loader *l)
{
    static const struct {
        const char *name;
        enum incise_status (*load)(struct json_loader *l, json_t *section);
    } types[] = {{"BertNormalizer", load_bert_normalizer}};
    json_t *section;
    const char *type;
    INC_TRY(get_section(l, "normalizer", &section, &type));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) == 0) return types[i].load(l, section);
    }
    return unsupported(l, "normalizer", type);
}

static enum incise_status load_pre_tokenizer(struct json_loader *l)
{
    static const struct {
        const char *name;
        inc_split_fn *split;
    } types[] = {{"BertPreTokenizer", inc_bert_split}};
    json_t *section;
    const char *type;
    INC_TRY(get_section(l, "pre_tokenizer", &section, &type));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) != 0) continue;
        l->tokenizer->split = types[i].split;
        return inc_json_only(&l->json, section, "pre_tokenizer", "type");
    }
    return unsupported(l, "pre_tokenizer", type);
}

static enum incise_status load_model(struct json_loader *l)
{
    static const struct inc_model_type *const types[] = {&inc_wordpiece_type};
    json_t *section;
    const char *type;
    INC_TRY(get_section(l, "model", &section, &type));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i]->name, type) != 0) continue;
        l->tokenizer->model_type = types[i];
        return types[i]->load(&l->json, section, &l->tokenizer->model);
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
    if (!json_is_array(single)) return unsupported(l, "post_processor", "TemplateProcessing without a list 'single'");
    json_array_foreach(single, i, item) INC_TRY(load_template_item(l, section, item, &suffix));
    return suffix ? INCISE_OK : unsupported(l, "post_processor", "template without a sequence");
}

/* {"sep": ["[SEP]", 102], "cls": ["[CLS]", 101]} */
static enum incise_status load_bert_processing(struct json_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "post_processor", "type sep cls"));
    INC_TRY(add_special(l, false, json_array_get(json_object_get(section, "cls"), 1)));
    return add_special(l, true, json_array_get(json_object_get(section, "sep"), 1));
}

static enum incise_status load_post_processor(struct json_loader *l)
{
    static const struct {
        const char *name;
        enum incise_status (*load)(struct json_loader *l, json_t *section);
    } types[] = {{"TemplateProcessing", load_template}, {"BertProcessing", load_bert_processing}};
    json_t *section = json_object_get(l->json.root, "post_processor");
    const char *type;
    if (section == NULL || json_is_null(section)) return INCISE_OK;
    INC_TRY(get_section(l, "post_processor", &section, &type));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, type) == 0) return types[i].load(l, section);
    }
    return unsupported(l, "post_processor", type);
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

static enum incise_status load_all(struct json_loader *l)
{
    static enum incise_status (*const parts[])(struct json_loader *l) = {
        load_normalizer, load_pre_tokenizer, load_model, load_added_tokens, load_post_processor, load_lengths,
    };
    INC_TRY(
        inc_json_only(&l->json, l->json.root, "tokenizer",
                      "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) INC_TRY(parts[i](l));
    return inc_tokenizer_finish(l->tokenizer, l->json.label);
}

enum incise_status inc_tokenizer_load_json(const struct inc_ctx *ctx, const char *label, const void *text,
                                           size_t length, struct inc_tokenizer **tokenizer)
{
    struct json_loader l;
    *tokenizer = NULL;
    INC_TRY(inc_json_parse(ctx, label, text, length, &l.json));
    enum incise_status status = inc_tokenizer_create(ctx, &l.tokenizer);
    if (status == INCISE_OK) status = load_all(&l);
    inc_json_release(&l.json);
    if (status == INCISE_OK)
        *tokenizer = l.tokenizer;
    else
        inc_tokenizer_destroy(l.tokenizer);
    return status;
}
