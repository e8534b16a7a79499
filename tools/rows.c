/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of results: one description, printed as table, JSON, CSV or Markdown. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* A row is a JSON object; what tables need beyond that is kept per column. */
struct column {
    char *name; /* "latency_ms.median" for members */
    int digits; /* -1: as it is */
    bool hidden;
};

struct tool_rows {
    json_t *array;
    struct column *columns;
    size_t n_columns;
    bool failed; /* out of memory or a number that is not finite */
    char bad[64];
};

struct tool_rows *tool_rows_create(void)
{
    struct tool_rows *rows = tool_alloc(1, sizeof *rows);
    if (rows == NULL) return NULL;
    rows->array = json_array();
    rows->failed = rows->array == NULL;
    return rows;
}

void tool_rows_destroy(struct tool_rows *rows)
{
    if (rows == NULL) return;
    json_decref(rows->array);
    for (size_t i = 0; i < rows->n_columns; i++) free(rows->columns[i].name);
    free(rows->columns);
    free(rows);
}

void tool_rows_next(struct tool_rows *rows)
{
    if (!rows->failed && json_array_append_new(rows->array, json_object()) != 0) rows->failed = true;
}

static struct column *column_of(struct tool_rows *rows, const char *name)
{
    for (size_t i = 0; i < rows->n_columns; i++)
        if (strcmp(rows->columns[i].name, name) == 0) return &rows->columns[i];
    struct column *columns = realloc(rows->columns, (rows->n_columns + 1) * sizeof *columns);
    if (columns != NULL) rows->columns = columns;
    char *copy = strdup(name);
    if (columns == NULL || copy == NULL) {
        free(copy);
        rows->failed = true;
        return NULL;
    }
    columns[rows->n_columns] = (struct column){copy, -1, false};
    return &columns[rows->n_columns++];
}

static json_t *last_row(const struct tool_rows *rows)
{
    return json_array_get(rows->array, json_array_size(rows->array) - 1);
}

static void set(struct tool_rows *rows, const char *name, json_t *value, int digits)
{
    struct column *column = column_of(rows, name);
    if (column != NULL && digits >= 0) column->digits = digits; /* a null says nothing about digits */
    if (value == NULL || rows->failed || json_object_set_new(last_row(rows), name, value) != 0) {
        if (rows->failed) json_decref(value);
        rows->failed = true;
    }
}

static json_t *real(struct tool_rows *rows, const char *name, double number)
{
    if (isfinite(number)) return json_real(number);
    rows->failed = true;
    snprintf(rows->bad, sizeof rows->bad, "%s", name);
    return NULL;
}

void tool_set_text(struct tool_rows *rows, const char *column, const char *text)
{
    json_t *value = json_string(text);
    set(rows, column, value != NULL ? value : json_string("?"), -1); /* a name that is not UTF-8 */
}

void tool_set_int(struct tool_rows *rows, const char *column, long long number)
{
    set(rows, column, json_integer(number), -1);
}

void tool_set_real(struct tool_rows *rows, const char *column, double number, int digits)
{
    set(rows, column, real(rows, column, number), digits);
}

void tool_set_null(struct tool_rows *rows, const char *column)
{
    set(rows, column, json_null(), -1);
}

void tool_set_pair(struct tool_rows *rows, const char *column, double lo, double hi, int digits)
{
    json_t *pair = json_array();
    if (pair == NULL || json_array_append_new(pair, real(rows, column, lo)) != 0 ||
        json_array_append_new(pair, real(rows, column, hi)) != 0)
        rows->failed = true;
    set(rows, column, pair, digits);
}

void tool_set_member(struct tool_rows *rows, const char *column, const char *member, double number, int digits)
{
    json_t *object = json_object_get(last_row(rows), column);
    if (object == NULL) {
        set(rows, column, json_object(), digits);
        object = json_object_get(last_row(rows), column);
    }
    if (rows->failed || json_object_set_new(object, member, real(rows, column, number)) != 0) rows->failed = true;
}

void tool_hide(struct tool_rows *rows, const char *column)
{
    struct column *found = column_of(rows, column);
    if (found != NULL) found->hidden = true;
}

bool tool_rows_number(const struct tool_rows *rows, const char *column, double *number)
{
    const json_t *value = json_object_get(last_row(rows), column);
    if (!json_is_number(value)) return false;
    *number = json_number_value(value);
    return true;
}

/* ---- printing -------------------------------------------------------------------------------------------------- */

/* A cell as text; exact: enough digits to read the number back. */
static void format_value(const json_t *value, int digits, bool exact, char *text, size_t size)
{
    if (json_is_string(value))
        snprintf(text, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(text, size, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, size, exact || digits < 0 ? "%.*g" : "%.*f", exact || digits < 0 ? 17 : digits,
                 json_real_value(value));
    else if (json_is_array(value) && json_array_size(value) == 2)
        snprintf(text, size, "%.*f..%.*f", digits < 0 ? 4 : digits, json_number_value(json_array_get(value, 0)),
                 digits < 0 ? 4 : digits, json_number_value(json_array_get(value, 1)));
    else if (json_is_object(value)) /* tables show the first member: the median */
        format_value(json_object_iter_value(json_object_iter((json_t *)value)), digits, exact, text, size);
    else
        snprintf(text, size, "%s", exact ? "" : "-");
}

static size_t display_width(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) n += ((unsigned char)*text & 0xc0u) != 0x80u;
    return n;
}

/* The last cell of a plain line gets no spaces behind it. */
static void print_padded(const char *text, size_t width, bool left, bool last)
{
    size_t own = display_width(text);
    int pad = width > own ? (int)(width - own) : 0;
    if (left)
        printf("%s%*s", text, last ? 0 : pad, "");
    else
        printf("%*s%s", pad, "", text);
}

enum { CELL = 512 };

/* A cell as tables show it; the column's name for `row` NULL. */
static const char *cell(const struct column *column, const json_t *row, char text[CELL])
{
    if (row == NULL) return column->name;
    format_value(json_object_get(row, column->name), column->digits, false, text, CELL);
    return text;
}

static void find_widths(const struct tool_rows *rows, size_t *widths)
{
    char text[CELL];
    for (size_t c = 0; c < rows->n_columns; c++) {
        widths[c] = display_width(rows->columns[c].name);
        for (size_t r = 0; r < json_array_size(rows->array); r++) {
            size_t width = display_width(cell(&rows->columns[c], json_array_get(rows->array, r), text));
            if (width > widths[c]) widths[c] = width;
        }
    }
}

/* Texts stand at the left, as those of the first row are. */
static bool is_left(const struct tool_rows *rows, const struct column *column)
{
    return json_is_string(json_object_get(json_array_get(rows->array, 0), column->name));
}

static void print_line(const struct tool_rows *rows, const size_t *widths, const json_t *row, bool markdown)
{
    size_t last = rows->n_columns;
    const char *between = markdown ? "| " : "";
    char text[CELL];
    while (last > 0 && (last == rows->n_columns || rows->columns[last].hidden)) last--;
    for (size_t c = 0; c < rows->n_columns; c++) {
        const struct column *column = &rows->columns[c];
        if (column->hidden) continue;
        fputs(between, stdout);
        between = markdown ? " | " : "  ";
        print_padded(cell(column, row, text), widths[c], is_left(rows, column), c == last && !markdown);
    }
    puts(markdown ? " |" : "");
}

/* Markdown's line below the names. */
static void print_rule(const struct tool_rows *rows, const size_t *widths)
{
    const char *between = "| ";
    for (size_t c = 0; c < rows->n_columns; c++) {
        if (rows->columns[c].hidden) continue;
        fputs(between, stdout);
        between = " | ";
        for (size_t i = 0; i + 1 < widths[c]; i++) putchar('-');
        putchar(is_left(rows, &rows->columns[c]) ? '-' : ':');
    }
    puts(" |");
}

static enum incise_status print_aligned(const struct tool_rows *rows, bool markdown)
{
    size_t *widths = tool_alloc(rows->n_columns, sizeof *widths);
    if (widths == NULL) return INCISE_ERROR_MEMORY;
    find_widths(rows, widths);
    print_line(rows, widths, NULL, markdown);
    if (markdown) print_rule(rows, widths);
    for (size_t r = 0; r < json_array_size(rows->array); r++)
        print_line(rows, widths, json_array_get(rows->array, r), markdown);
    free(widths);
    return INCISE_OK;
}

static void print_csv_text(const char *text)
{
    if (strpbrk(text, ",\"\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"') putchar('"');
        putchar(*text);
    }
    putchar('"');
}

/* One field of the header (`row` NULL) or of a row; an object is a field per member: latency_ms.median. */
static void print_csv_field(const struct column *column, const json_t *like, const json_t *row, bool first)
{
    char text[512];
    const json_t *sample = json_object_get(like, column->name);
    void *member = json_is_object(sample) ? json_object_iter((json_t *)sample) : NULL;
    do {
        const char *key = member == NULL ? NULL : json_object_iter_key(member);
        const json_t *value = json_object_get(row, column->name);
        if (key != NULL) value = json_object_get(value, key);
        if (row == NULL)
            snprintf(text, sizeof text, "%s%s%s", column->name, key == NULL ? "" : ".", key == NULL ? "" : key);
        else
            format_value(value, column->digits, true, text, sizeof text);
        if (!first) putchar(',');
        print_csv_text(text);
        first = false;
        if (member != NULL) member = json_object_iter_next((json_t *)sample, member);
    } while (member != NULL);
}

static void print_csv(const struct tool_rows *rows)
{
    const json_t *like = json_array_get(rows->array, 0);
    for (size_t line = 0; line <= json_array_size(rows->array); line++) {
        const json_t *row = line == 0 ? NULL : json_array_get(rows->array, line - 1);
        for (size_t c = 0; c < rows->n_columns; c++) print_csv_field(&rows->columns[c], like, row, c == 0);
        putchar('\n');
    }
}

enum incise_status tool_rows_print(const struct tool_rows *rows, enum tool_format format, bool single)
{
    if (rows->failed && rows->bad[0] != '\0')
        return tool_fail(INCISE_ERROR_FAILED, "%s is not a finite number", rows->bad);
    if (rows->failed) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    if (format == TOOL_JSON) {
        const json_t *value = single ? json_array_get(rows->array, 0) : rows->array;
        if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) != 0) return tool_fail_stdout();
        putchar('\n');
    } else if (format == TOOL_CSV) {
        print_csv(rows);
    } else {
        return print_aligned(rows, format == TOOL_MD);
    }
    return INCISE_OK;
}
