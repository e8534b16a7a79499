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
    return operator[0] == '>' ? figure > bound : figure < bound;
}

static enum incise_status require_one(const char *text, const struct tool_rows *rows)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        const char *at = strstr(text, operators[i]);
        char name[64], *end;
        double figure;
        if (at == NULL || (size_t)(at - text) >= sizeof name) continue;
        memcpy(name, text, (size_t)(at - text));
        name[at - text] = '\0';
        const char *number = at + strlen(operators[i]);
        double bound = strtod(number, &end);
        if (end == number || *end != '\0' || !isfinite(bound)) break;
        if (!tool_rows_number(rows, name, &figure))
            return tool_fail(INCISE_ERROR_USAGE, "--require '%s': there is no figure '%s' here", text, name);
        if (holds(operators[i], figure, bound)) return INCISE_OK;
        return tool_fail(INCISE_ERROR_REQUIREMENT, "requirement not met: %s is %.6g, wanted %s", name, figure, text);
    }
    return tool_fail(INCISE_ERROR_USAGE, "--require '%s': write it as figure>=number", text);
}

enum incise_status tool_require(const struct tool_list *requirements, const struct tool_rows *rows)
{
    enum incise_status worst = INCISE_OK;
    for (size_t i = 0; i < requirements->n; i++) {
        enum incise_status status = require_one(requirements->items[i], rows);
        if (status == INCISE_ERROR_USAGE) return status;
        if (status != INCISE_OK) worst = status;
    }
    return worst;
}
