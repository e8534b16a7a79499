/* SPDX-License-Identifier: Apache-2.0 */
/* --require 'figure>=bound' */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const char *const operators[] = {">=", "<=", "==", ">", "<"};

static bool holds(const char *operator, double figure, double bound)
{
    if (strcmp(operator, ">=") == 0) return figure >= bound;
    if (strcmp(operator, "<=") == 0) return figure <= bound;
    if (strcmp(operator, "==") == 0) return figure == bound;
    return operator[0] == '>' ? figure > bound : figure<bound;
}

enum incise_status tool_require_parse(const char *text, struct tool_requirement *requirement)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        const char *at = strstr(text, operators[i]);
        char *end;
        if (at == NULL || at == text || (size_t)(at - text) >= sizeof requirement->figure) continue;
        const char *number = at + strlen(operators[i]);
        memcpy(requirement->figure, text, (size_t)(at - text));
        requirement->figure[at - text] = '\0';
        requirement->operator= operators[i];
        requirement->bound = strtod(number, &end);
        if (end != number && *end == '\0' && isfinite(requirement->bound)) return INCISE_OK;
        break;
    }
    return tool_fail(INCISE_ERROR_USAGE, "--require '%s': write it as figure>=number, such as cosine_mean>=0.99", text);
}

static enum incise_status no_figure(const char *text, const char *figure)
{
    return tool_fail(INCISE_ERROR_USAGE, "--require '%s': there is no figure '%s' here", text, figure);
}

enum incise_status tool_require_check(const struct tool_list *requirements, const char *const *figures, size_t n)
{
    for (size_t i = 0; i < requirements->n; i++) {
        struct tool_requirement requirement;
        size_t known = 0;
        enum incise_status status = tool_require_parse(requirements->items[i], &requirement);
        if (status != INCISE_OK) return status;
        while (known < n && strcmp(figures[known], requirement.figure) != 0) known++;
        if (known == n) return no_figure(requirements->items[i], requirement.figure);
    }
    return INCISE_OK;
}

static enum incise_status require_one(const char *text, const struct tool_rows *rows, const char *of)
{
    struct tool_requirement requirement;
    double figure;
    enum incise_status status = tool_require_parse(text, &requirement);
    if (status != INCISE_OK) return status;
    if (!tool_rows_number(rows, requirement.figure, &figure)) return no_figure(text, requirement.figure);
    if (holds(requirement.operator, figure, requirement.bound)) return INCISE_OK;
    return tool_fail(INCISE_ERROR_REQUIREMENT, "%s: requirement not met: %s is %.6g, wanted %s", of, requirement.figure,
                     figure, text);
}

enum incise_status tool_require(const struct tool_list *requirements, const struct tool_rows *rows, const char *of)
{
    enum incise_status worst = INCISE_OK;
    for (size_t i = 0; i < requirements->n; i++) {
        enum incise_status status = require_one(requirements->items[i], rows, of);
        if (status == INCISE_ERROR_USAGE) return status;
        if (status != INCISE_OK) worst = status;
    }
    return worst;
}
