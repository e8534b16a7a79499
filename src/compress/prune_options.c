/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compress/prune_internal.h"

void incise_prune_options_init(struct incise_prune_options *options)
{
    *options = (struct incise_prune_options){
        .struct_size = sizeof *options, .pattern = "block:32x32", .norm = "l1", .sparsity = 0.5};
}

/* A decimal number in 1..2^31-1 and nothing else up to `end`. */
static bool parse_size(const char *text, char end, const char **rest, int64_t *size)
{
    char *stop;
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    long long value = strtoll(text, &stop, 10);
    if (errno != 0 || *stop != end || value < 1 || value > INT32_MAX) return false;
    *rest = stop + 1;
    *size = value;
    return true;
}

static enum incise_status parse_pattern(const struct inc_ctx *ctx, const char *text, struct inc_prune_request *request)
{
    const char *rest = text;
    request->height = request->width = 1;
    request->channels = text != NULL && strcmp(text, "channel") == 0;
    if (request->channels || (text != NULL && strcmp(text, "element") == 0)) return INCISE_OK;
    if (text != NULL && strncmp(text, "block:", 6) == 0 && parse_size(text + 6, 'x', &rest, &request->height) &&
        parse_size(rest, '\0', &rest, &request->width))
        return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_USAGE, "pattern '%s' is none of element, block:RxC, channel",
                    text != NULL ? text : "");
}

/* Looks `text` up among `n` words; says which there are if it is none of them. */
static enum incise_status parse_word(const struct inc_ctx *ctx, const char *what, const char *text,
                                     const char *const *words, int n, const char *list, int *index)
{
    for (*index = 0; *index < n; ++*index)
        if (text != NULL && strcmp(text, words[*index]) == 0) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_USAGE, "%s '%s' is none of %s", what, text != NULL ? text : "", list);
}

static enum incise_status check_calibrated(const struct inc_ctx *ctx, const struct inc_prune_request *request)
{
    bool needs = request->allocation == INC_ALLOCATE_GLOBAL || request->allocation == INC_ALLOCATE_CHANNELS ||
                 request->method == INC_PRUNE_WANDA || request->method == INC_PRUNE_OBS ||
                 request->refit != INC_REFIT_NONE || request->channels || request->traces != NULL ||
                 request->statistics != NULL;
    if (!needs) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_USAGE,
                    "wanda, obs, channel, refit, traces, statistics, allocate global and channels look at activations: "
                    "give texts to calibrate on");
}

static enum incise_status check_combination(const struct inc_ctx *ctx, const struct inc_prune_request *request,
                                            const char *method)
{
    bool channels_first = request->allocation == INC_ALLOCATE_CHANNELS;
    if (request->traces != NULL && request->method != INC_PRUNE_WANDA && request->method != INC_PRUNE_OBS)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "traces are kept of the methods wanda and obs, not of %s", method);
    if (request->traces != NULL && channels_first)
        return inc_fail(ctx, INCISE_ERROR_USAGE,
                        "traces hold one removal order, and allocate channels needs two: of channels, then of blocks");
    if (request->statistics != NULL && request->traces == NULL && request->allocation != INC_ALLOCATE_GLOBAL)
        return inc_fail(ctx, INCISE_ERROR_USAGE, "statistics are of the model as it is: for traces or allocate global");
    if (request->channels && channels_first)
        return inc_fail(ctx, INCISE_ERROR_USAGE,
                        "allocate channels is for blocks; pattern channel takes nothing but channels");
    return INCISE_OK;
}

static void parse_allocation(const char *text, struct inc_prune_request *request)
{
    static const char *const words[] = {"uniform", "global", "channels"};
    int index = 0;
    while (index < INC_ALLOCATE_FILE && text != NULL && strcmp(text, words[index]) != 0) index++;
    request->allocation = (enum inc_prune_allocation)index;
    request->shares = index == INC_ALLOCATE_FILE ? text : NULL;
}

enum incise_status inc_prune_parse(const struct inc_ctx *ctx, const struct incise_prune_options *options,
                                   bool calibrated, struct inc_prune_request *request)
{
    static const char *const methods[] = {"magnitude", "random", "wanda", "obs"};
    static const char *const refits[] = {"none", "dense", "residual"};
    static const char *const norms[] = {"l1", "l2"};
    const char *method = options->method != NULL ? options->method : calibrated ? "obs" : "magnitude";
    const char *refit = options->refit != NULL ? options->refit : calibrated ? "residual" : "none";
    int index;
    *request = (struct inc_prune_request){.sparsity = options->sparsity,
                                          .traces = options->traces,
                                          .statistics = options->statistics,
                                          .seed = options->seed,
                                          .progress = options->progress,
                                          .progress_user = options->progress_user};
    INC_TRY(parse_pattern(ctx, options->pattern, request));
    parse_allocation(options->allocate, request);
    INC_TRY(parse_word(ctx, "method", method, methods, 4, "magnitude, random, wanda, obs", &index));
    request->method = (enum inc_prune_method)index;
    INC_TRY(parse_word(ctx, "refit", refit, refits, 3, "none, dense, residual", &index));
    request->refit = (enum inc_prune_refit)index;
    INC_TRY(parse_word(ctx, "norm", options->norm, norms, 2, "l1, l2", &index));
    request->norm = (enum inc_norm)index;
    if (!(options->sparsity >= 0.0 && options->sparsity < 1.0))
        return inc_fail(ctx, INCISE_ERROR_USAGE, "sparsity %g is not in [0, 1)", options->sparsity);
    if (!calibrated) INC_TRY(check_calibrated(ctx, request));
    return check_combination(ctx, request, method);
}
