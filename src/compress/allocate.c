/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/allocate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"

#define MAX_LIST (16 << 20)

/* ---- by loss --------------------------------------------------------------------------------------------------- */

/* How many blocks cost at most `limit` per element. */
static size_t count_within(const struct inc_trace *trace, double limit, double most)
{
    size_t low = 0, high = (size_t)floor(most * (double)trace->n);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trace->removals[middle].loss <= limit * trace->elements)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double elements_within(const struct inc_trace *traces, size_t n, double limit, double most)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += traces[i].elements * (double)count_within(&traces[i], limit, most);
    return sum;
}

void inc_allocate_by_loss(const struct inc_trace *traces, size_t n, double share, double most, double *shares)
{
    double all = 0, low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        all += traces[i].elements * (double)traces[i].n;
        for (size_t k = 0; k < traces[i].n; k++) {
            double loss = traces[i].removals[k].loss / traces[i].elements;
            if (isfinite(loss)) high = fmax(high, loss);
        }
    }
    for (int i = 0; i < 200; i++) { /* halves the limit's range until doubles have no number between */
        double middle = low + (high - low) / 2;
        if (elements_within(traces, n, middle, most) < share * all)
            low = middle;
        else
            high = middle;
    }
    for (size_t i = 0; i < n; i++)
        shares[i] = traces[i].n > 0 ? (double)count_within(&traces[i], high, most) / (double)traces[i].n : 0;
}

/* ---- from a file ----------------------------------------------------------------------------------------------- */

static enum incise_status set_share(const struct inc_targets *targets, const char *path, size_t line, const char *layer,
                                    const char *number, double *shares)
{
    char *end;
    double share = strtod(number, &end);
    bool found = false;
    if (end == number || *end != '\0' || !(share >= 0 && share < 1))
        return inc_fail(targets->ctx, INCISE_ERROR_DATA, "%s:%zu: '%s' is no share in [0, 1)", path, line, number);
    for (size_t i = 0; i < targets->n; i++)
        if (strcmp(targets->items[i].reader->name, layer) == 0) {
            shares[i] = share;
            found = true;
        }
    if (found) return INCISE_OK;
    return inc_fail(targets->ctx, INCISE_ERROR_USAGE, "%s:%zu: there is no selected layer '%s'", path, line, layer);
}

static enum incise_status read_lines(const struct inc_targets *targets, const char *path, char *text, double *shares)
{
    size_t line = 1;
    for (char *next; text != NULL && *text != '\0'; text = next, line++) {
        next = strchr(text, '\n');
        if (next != NULL) *next++ = '\0';
        char *tab = strchr(text, '\t');
        if (*text == '\0') continue;
        if (tab == NULL) return inc_fail(targets->ctx, INCISE_ERROR_DATA, "%s:%zu: not layer<TAB>share", path, line);
        *tab = '\0';
        INC_TRY(set_share(targets, path, line, text, tab + 1, shares));
    }
    return INCISE_OK;
}

enum incise_status inc_allocate_from_file(const struct inc_targets *targets, const char *path, double *shares)
{
    struct inc_file file;
    INC_TRY(inc_file_read(targets->ctx, path, MAX_LIST, &file));
    enum incise_status status = read_lines(targets, path, (char *)file.data, shares);
    inc_file_release(targets->ctx, &file);
    return status;
}
