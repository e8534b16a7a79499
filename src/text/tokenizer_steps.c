/* SPDX-License-Identifier: Apache-2.0 */
/* The "normalizer" and the "pre_tokenizer" of a tokenizer.json. */
#include <string.h>

#include "text/tokenizer_loader.h"
#include "text/unicode.h"

/* ---- strings and patterns ---------------------------------------------------------------------------------------- */

/* A string member of at most INC_MAX_PATTERN bytes. */
static enum incise_status get_text(const struct inc_loader *l, const json_t *object, const char *where, const char *key,
                                   const char **text)
{
    *text = "";
    INC_TRY(inc_json_string(&l->json, object, where, key, text));
    return strlen(*text) <= INC_MAX_PATTERN ? INCISE_OK : inc_unsupported(l, where, "string of more than 256 bytes");
}

/* "pattern": {"String": text} or {"Regex": text}. */
static enum incise_status get_pattern(const struct inc_loader *l, json_t *section, const char *where,
                                      struct inc_pattern *pattern)
{
    const json_t *object = json_object_get(section, "pattern");
    const char *text;
    bool regex = json_object_get(object, "Regex") != NULL;
    INC_TRY(get_text(l, object, where, regex ? "Regex" : "String", &text));
    if (*text == '\0') return inc_unsupported(l, where, "pattern that is no string or empty");
    if (!regex) return inc_pattern_string(pattern, l->json.ctx, text);
    return inc_pattern_regex(pattern, text) ? INCISE_OK : inc_unsupported(l, "regular expression", text);
}

/* ---- normalizers ------------------------------------------------------------------------------------------------- */

static enum incise_status add_normalizer(struct inc_loader *l, json_t *section, const char *keys, inc_normalize_fn *run,
                                         struct inc_normalizer **step)
{
    INC_TRY(inc_json_only(&l->json, section, "normalizer", keys));
    *step = inc_normalizer_add(l->tokenizer, l->json.label, run);
    return *step != NULL ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status load_bert_normalizer(struct inc_loader *l, json_t *section)
{
    bool clean = true, chinese = true, lowercase = true, strip;
    const json_t *accents = json_object_get(section, "strip_accents");
    const char *where = "normalizer";
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type clean_text handle_chinese_chars strip_accents lowercase",
                           inc_bert_normalize_text, &step));
    INC_TRY(inc_json_bool(&l->json, section, where, "clean_text", &clean));
    INC_TRY(inc_json_bool(&l->json, section, where, "handle_chinese_chars", &chinese));
    INC_TRY(inc_json_bool(&l->json, section, where, "lowercase", &lowercase));
    strip = lowercase; /* what null means */
    if (!json_is_null(accents)) INC_TRY(inc_json_bool(&l->json, section, where, "strip_accents", &strip));
    inc_bert_normalizer_init(&step->bert, clean, chinese, strip, lowercase);
    return INCISE_OK;
}

static enum incise_status load_form(struct inc_loader *l, json_t *section)
{
    static const char *const names[] = {"NFD", "NFC", "NFKD", "NFKC"}; /* by enum inc_form */
    const char *type = json_string_value(json_object_get(section, "type"));
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type", inc_form_text, &step));
    for (unsigned form = 0; form < 4; form++)
        if (strcmp(names[form], type) == 0) step->form = (enum inc_form)form;
    return INCISE_OK;
}

/* Normalizers that have a type and nothing else. */
static enum incise_status load_plain(struct inc_loader *l, json_t *section)
{
    static const struct {
        const char *type;
        inc_normalize_fn *run;
    } plain[] = {{"Lowercase", inc_lowercase_text}, {"StripAccents", inc_strip_accents_text}, {"Nmt", inc_nmt_text}};
    const char *type = json_string_value(json_object_get(section, "type"));
    struct inc_normalizer *step = NULL;
    size_t i = 0;
    while (strcmp(plain[i].type, type) != 0) i++; /* one of those in normalizer_types */
    return add_normalizer(l, section, "type", plain[i].run, &step);
}

static enum incise_status load_strip(struct inc_loader *l, json_t *section)
{
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type strip_left strip_right", inc_strip_text, &step));
    INC_TRY(inc_json_bool(&l->json, section, "normalizer", "strip_left", &step->left));
    return inc_json_bool(&l->json, section, "normalizer", "strip_right", &step->right);
}

static enum incise_status set_content(struct inc_loader *l, json_t *section, const char *key,
                                      struct inc_normalizer *step)
{
    const char *content;
    INC_TRY(get_text(l, section, "normalizer", key, &content));
    step->n_content = strlen(content);
    step->content = inc_alloc(l->json.ctx, step->n_content + 1);
    if (step->content == NULL) return inc_fail_memory(l->json.ctx, step->n_content, "a string");
    memcpy(step->content, content, step->n_content + 1);
    return INCISE_OK;
}

static enum incise_status load_prepend(struct inc_loader *l, json_t *section)
{
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type prepend", inc_prepend_text, &step));
    return set_content(l, section, "prepend", step);
}

static enum incise_status load_replace(struct inc_loader *l, json_t *section)
{
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type pattern content", inc_replace_text, &step));
    INC_TRY(get_pattern(l, section, "normalizer", &step->pattern));
    return set_content(l, section, "content", step);
}

static enum incise_status load_precompiled(struct inc_loader *l, json_t *section)
{
    struct inc_normalizer *step = NULL;
    INC_TRY(add_normalizer(l, section, "type precompiled_charsmap", inc_charsmap_text, &step));
    const json_t *map = json_object_get(section, "precompiled_charsmap");
    if (!json_is_string(map)) return inc_unsupported(l, "normalizer", "Precompiled without a charsmap");
    return inc_charsmap_load(&step->charsmap, l->json.ctx, l->json.label, json_string_value(map),
                             json_string_length(map));
}

static const struct inc_step_type normalizer_types[] = {
    {"BertNormalizer", load_bert_normalizer},
    {"Lowercase", load_plain},
    {"NFC", load_form},
    {"NFD", load_form},
    {"NFKC", load_form},
    {"NFKD", load_form},
    {"Nmt", load_plain},
    {"Precompiled", load_precompiled},
    {"Prepend", load_prepend},
    {"Replace", load_replace},
    {"Strip", load_strip},
    {"StripAccents", load_plain},
    {NULL, NULL},
};

enum incise_status inc_load_normalizer(struct inc_loader *l)
{
    return inc_load_steps(l, "normalizer", "normalizers", normalizer_types);
}

/* ---- pre-tokenizers ---------------------------------------------------------------------------------------------- */

static enum incise_status add_splitter(struct inc_loader *l, inc_split_fn *run, struct inc_splitter **step)
{
    if (l->source.byte_level) return inc_unsupported(l, "pre_tokenizer", "step after ByteLevel");
    *step = inc_splitter_add(l->tokenizer, l->json.label, run);
    return *step != NULL ? INCISE_OK : INCISE_ERROR_DATA;
}

static enum incise_status add_matches(struct inc_loader *l, inc_match_fn *find, enum inc_behavior behavior)
{
    struct inc_splitter *step = NULL;
    INC_TRY(add_splitter(l, inc_split_matches, &step));
    step->pattern.find = find;
    step->behavior = behavior;
    return INCISE_OK;
}

/* `key` of the section, one of the names of enum inc_behavior. */
static enum incise_status get_behavior(struct inc_loader *l, json_t *section, enum inc_behavior *behavior)
{
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name = names[INC_ISOLATED];
    INC_TRY(inc_json_string(&l->json, section, "pre_tokenizer", "behavior", &name));
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *behavior = (enum inc_behavior)i;
        return INCISE_OK;
    }
    return inc_unsupported(l, "behavior", name);
}

static enum incise_status load_bert_split(struct inc_loader *l, json_t *section)
{
    struct inc_splitter *step = NULL;
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type"));
    return add_splitter(l, inc_bert_split, &step);
}

static enum incise_status load_whitespace(struct inc_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type"));
    INC_TRY(add_matches(l, inc_match_word, INC_REMOVED));
    l->tokenizer->splitters[l->tokenizer->n_splitters - 1].invert = true; /* what no match is goes */
    return INCISE_OK;
}

static enum incise_status load_whitespace_split(struct inc_loader *l, json_t *section)
{
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type"));
    return add_matches(l, inc_match_space, INC_REMOVED);
}

static enum incise_status load_punctuation(struct inc_loader *l, json_t *section)
{
    enum inc_behavior behavior;
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type behavior"));
    INC_TRY(get_behavior(l, section, &behavior));
    return add_matches(l, inc_match_punctuation, behavior);
}

static enum incise_status load_digits(struct inc_loader *l, json_t *section)
{
    bool individual = false;
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type individual_digits"));
    INC_TRY(inc_json_bool(&l->json, section, "pre_tokenizer", "individual_digits", &individual));
    return add_matches(l, inc_match_digit, individual ? INC_ISOLATED : INC_CONTIGUOUS);
}

static enum incise_status load_split(struct inc_loader *l, json_t *section)
{
    struct inc_splitter *step = NULL;
    INC_TRY(inc_json_only(&l->json, section, "pre_tokenizer", "type pattern behavior invert"));
    INC_TRY(add_splitter(l, inc_split_matches, &step));
    INC_TRY(get_pattern(l, section, "pre_tokenizer", &step->pattern));
    INC_TRY(get_behavior(l, section, &step->behavior));
    return inc_json_bool(&l->json, section, "pre_tokenizer", "invert", &step->invert);
}

static enum incise_status load_byte_level(struct inc_loader *l, json_t *section)
{
    const char *where = "pre_tokenizer";
    bool prefix = true, trim = true, regex = true;
    struct inc_splitter *step = NULL;
    INC_TRY(inc_json_only(&l->json, section, where, "type add_prefix_space trim_offsets use_regex"));
    INC_TRY(inc_json_bool(&l->json, section, where, "add_prefix_space", &prefix));
    INC_TRY(inc_json_bool(&l->json, section, where, "trim_offsets", &trim)); /* of the post-processor, not of this */
    INC_TRY(inc_json_bool(&l->json, section, where, "use_regex", &regex));
    if (prefix) {
        INC_TRY(add_splitter(l, inc_split_rewritten, &step));
        step->mark[0] = ' ';
        step->n_mark = 1;
        step->prepend = INC_PREPEND_ALWAYS;
    }
    if (regex) INC_TRY(add_matches(l, inc_match_gpt2, INC_ISOLATED));
    l->source.byte_level = l->tokenizer->byte_level = true;
    return INCISE_OK;
}

/* {"replacement": "▁", "prepend_scheme": "always", "split": true}; older files say add_prefix_space. */
static enum incise_status load_metaspace(struct inc_loader *l, json_t *section)
{
    static const char *const schemes[] = {"always", "first", "never"}; /* by enum inc_prepend */
    const char *mark = INC_SPACE_MARK_UTF8, *where = "pre_tokenizer", *scheme = schemes[INC_PREPEND_ALWAYS];
    bool cut = true, prefix = true;
    unsigned prepend = 0;
    struct inc_splitter *step = NULL;
    INC_TRY(inc_json_only(&l->json, section, where, "type replacement str_rep prepend_scheme add_prefix_space split"));
    INC_TRY(inc_json_string(&l->json, section, where, "replacement", &mark));
    INC_TRY(inc_json_string(&l->json, section, where, "prepend_scheme", &scheme));
    INC_TRY(inc_json_bool(&l->json, section, where, "add_prefix_space", &prefix));
    INC_TRY(inc_json_bool(&l->json, section, where, "split", &cut));
    while (prepend < 3 && strcmp(schemes[prepend], scheme) != 0) prepend++;
    if (prepend == 3) return inc_unsupported(l, "prepend_scheme", scheme);
    if (!prefix) {
        if (json_object_get(section, "prepend_scheme") != NULL && prepend != INC_PREPEND_NEVER)
            return inc_unsupported(l, "prepend_scheme without add_prefix_space", scheme);
        prepend = INC_PREPEND_NEVER;
    }
    INC_TRY(add_splitter(l, inc_split_rewritten, &step));
    step->n_mark = strlen(mark);
    if (step->n_mark == 0 || step->n_mark != inc_utf8_length(mark[0])) return inc_unsupported(l, "replacement", mark);
    memcpy(step->mark, mark, step->n_mark);
    step->prepend = (enum inc_prepend)prepend;
    l->tokenizer->needs_origins = l->tokenizer->needs_origins || step->prepend == INC_PREPEND_FIRST;
    INC_TRY(inc_pattern_string(&step->pattern, l->json.ctx, " "));
    if (!cut) return INCISE_OK;
    INC_TRY(add_splitter(l, inc_split_matches, &step));
    step->behavior = INC_MERGED_WITH_NEXT;
    return inc_pattern_string(&step->pattern, l->json.ctx, mark);
}

static const struct inc_step_type splitter_types[] = {
    {"BertPreTokenizer", load_bert_split},
    {"ByteLevel", load_byte_level},
    {"Digits", load_digits},
    {"Metaspace", load_metaspace},
    {"Punctuation", load_punctuation},
    {"Split", load_split},
    {"Whitespace", load_whitespace},
    {"WhitespaceSplit", load_whitespace_split},
    {NULL, NULL},
};

enum incise_status inc_load_pre_tokenizer(struct inc_loader *l)
{
    return inc_load_steps(l, "pre_tokenizer", "pretokenizers", splitter_types);
}
