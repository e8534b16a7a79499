/* SPDX-License-Identifier: Apache-2.0 */
#include "text/prompts.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

#define MAX_FILE (1 << 20)

/* The same meaning under the names that files give it, the first one found wins. */
static const char *const document_names[] = {"document", "passage", "corpus"};
#define N_DOCUMENT_NAMES (sizeof document_names / sizeof *document_names)

static json_t *prompts_of(const struct inc_prompts *prompts)
{
    return json_object_get(prompts->json.root, "prompts");
}

/* A prompt of the file, NULL if it has none of that name. null stands for "". */
static const char *lookup(const struct inc_prompts *prompts, const char *name)
{
    const json_t *value = json_object_get(prompts_of(prompts), name);
    return value == NULL || json_is_string(value) ? json_string_value(value) : "";
}

static enum incise_status check(struct inc_prompts *prompts)
{
    const struct inc_json *json = &prompts->json;
    json_t *list = prompts_of(prompts);
    if (list != NULL && !json_is_object(list) && !json_is_null(list))
        return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: 'prompts' is not an object", json->label);
    for (void *i = json_object_iter(list); i != NULL; i = json_object_iter_next(list, i)) {
        const json_t *value = json_object_iter_value(i);
        if (!json_is_string(value) && !json_is_null(value))
            return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: prompt '%.64s' is not a string", json->label,
                            json_object_iter_key(i));
    }
    if (!json_is_null(json_object_get(json->root, "default_prompt_name")))
        INC_TRY(inc_json_string(json, json->root, "prompts", "default_prompt_name", &prompts->default_name));
    if (prompts->default_name == NULL || lookup(prompts, prompts->default_name) != NULL) return INCISE_OK;
    return inc_fail(json->ctx, INCISE_ERROR_DATA, "%s: default_prompt_name '%.64s' is none of the prompts", json->label,
                    prompts->default_name);
}

enum incise_status inc_prompts_load(const struct inc_ctx *ctx, const char *folder, struct inc_prompts *prompts)
{
    char path[4096];
    uint64_t size;
    *prompts = (struct inc_prompts){.ctx = ctx};
    int n = snprintf(path, sizeof path, "%s/config_sentence_transformers.json", folder);
    if (n <= 0 || (size_t)n >= sizeof path || !inc_file_size(path, &size)) return INCISE_OK;
    INC_TRY(inc_json_read(ctx, path, MAX_FILE, &prompts->json));
    enum incise_status status = check(prompts);
    prompts->json.label = "config_sentence_transformers.json";
    if (status != INCISE_OK) inc_prompts_release(prompts);
    return status;
}

void inc_prompts_release(struct inc_prompts *prompts)
{
    inc_json_release(&prompts->json);
    prompts->default_name = NULL;
}

static enum incise_status fail_name(const struct inc_prompts *prompts, const char *name)
{
    struct inc_buffer names;
    json_t *list = prompts_of(prompts);
    inc_buffer_init(&names, prompts->ctx);
    inc_buffer_puts(&names, "query, document");
    for (void *i = json_object_iter(list); i != NULL; i = json_object_iter_next(list, i)) {
        const char *key = json_object_iter_key(i);
        if (strcmp(key, "query") != 0 && strcmp(key, "document") != 0) inc_buffer_printf(&names, ", %.64s", key);
    }
    enum incise_status status = inc_buffer_check(&names);
    if (status == INCISE_OK)
        status = inc_fail(prompts->ctx, INCISE_ERROR_USAGE, "there is no prompt '%.64s'; this model has %s", name,
                          names.data);
    inc_buffer_fini(&names);
    return status;
}

enum incise_status inc_prompts_find(const struct inc_prompts *prompts, const char *name, const char **text)
{
    if (name == NULL) name = prompts->default_name;
    *text = name == NULL ? "" : lookup(prompts, name);
    if (*text != NULL) return INCISE_OK;
    *text = "";
    if (strcmp(name, "query") == 0) return INCISE_OK;
    if (strcmp(name, document_names[0]) != 0) return fail_name(prompts, name);
    for (size_t i = 1; i < N_DOCUMENT_NAMES; i++) {
        const char *found = lookup(prompts, document_names[i]);
        if (found == NULL) continue;
        *text = found;
        break;
    }
    return INCISE_OK;
}
