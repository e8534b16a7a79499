/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic dims. Expressions are computed as polynomials in the INPUT and OPAQUE symbols and stored, hash-consed, as
 * trees of ADD and MUL in one normal form, so equal expressions are equal symbols. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "graph/graph.h"

#define MAX_TERMS 12
#define MAX_FACTORS 8
/* A hostile file must not fill memory with expressions; real models have a few hundred. */
#define MAX_SYMBOLS ((size_t)1 << 18)

struct term {
    int64_t coefficient; /* never 0 */
    int n;
    uint32_t factors[MAX_FACTORS]; /* rising */
};

struct poly {
    int n;
    struct term terms[MAX_TERMS]; /* rising, the constant term last, no two alike */
};

/* ---- the table of symbols -------------------------------------------------------------------------------------- */

static bool is_interned(const struct inc_symbol *symbol)
{
    return symbol->kind == INC_SYMBOL_ADD || symbol->kind == INC_SYMBOL_MUL || symbol->of != 0;
}

static size_t hash_symbol(const struct inc_symbol *symbol)
{
    uint64_t words[] = {(uint64_t)symbol->kind << 8 | (unsigned char)symbol->of, symbol->a.symbol,
                        (uint64_t)symbol->a.value, symbol->b.symbol, (uint64_t)symbol->b.value};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (size_t)hash;
}

static bool same_symbol(const struct inc_symbol *x, const struct inc_symbol *y)
{
    return x->kind == y->kind && x->of == y->of && inc_dim_equal(x->a, y->a) && inc_dim_equal(x->b, y->b);
}

static void insert_symbol(struct inc_graph *graph, uint32_t index)
{
    size_t mask = graph->symbol_table_size - 1, i = hash_symbol(&graph->symbols[index]) & mask;
    while (graph->symbol_table[i]) i = (i + 1) & mask;
    graph->symbol_table[i] = index;
}

/* Room for one more entry at a load of at most one half. Makes the table anew after a graph was copied. */
static bool grow_table(struct inc_graph *graph)
{
    if (graph->symbol_table && graph->n_symbols * 2 < graph->symbol_table_size) return true;
    size_t size = 64;
    while (size < graph->n_symbols * 4) size *= 2;
    uint32_t *table = inc_arena_alloc(&graph->arena, size, sizeof *table);
    if (!table) return false;
    graph->symbol_table = table;
    graph->symbol_table_size = size;
    for (size_t i = 1; i < graph->n_symbols; i++)
        if (is_interned(&graph->symbols[i])) insert_symbol(graph, (uint32_t)i);
    return true;
}

/* Appends `symbol`, named if it is no expression. */
static struct inc_dim add_symbol(struct inc_graph *graph, const struct inc_symbol *symbol)
{
    size_t index = inc_max_size(graph->n_symbols, 1);
    if (index >= MAX_SYMBOLS) {
        (void)inc_fail(graph->ctx, INCISE_ERROR_MEMORY, "%s: more than %zu different symbolic dimensions",
                       graph->source ? graph->source : "graph", MAX_SYMBOLS);
        return INC_DIM_NO_MEMORY;
    }
    if (inc_grow(graph->ctx, (void **)&graph->symbols, &graph->symbols_capacity, index, sizeof *symbol) != INCISE_OK)
        return INC_DIM_NO_MEMORY;
    const char *name = NULL;
    if (symbol->kind == INC_SYMBOL_INPUT || symbol->kind == INC_SYMBOL_OPAQUE) {
        name = inc_arena_printf(&graph->arena, symbol->kind == INC_SYMBOL_INPUT ? "s%zu" : "u%zu", index);
        if (!name) {
            (void)inc_fail_memory(graph->ctx, 0, "a symbolic dimension");
            return INC_DIM_NO_MEMORY;
        }
    }
    graph->symbols[index] = *symbol;
    graph->symbols[index].name = name;
    graph->n_symbols = index + 1;
    return (struct inc_dim){(uint32_t)index, 0};
}

/* The one symbol that is like `symbol`. */
static struct inc_dim intern(struct inc_graph *graph, const struct inc_symbol *symbol)
{
    if (!inc_dim_valid(symbol->a)) return symbol->a;
    if (!inc_dim_valid(symbol->b)) return symbol->b;
    if (!grow_table(graph)) {
        (void)inc_fail_memory(graph->ctx, 0, "symbolic dimensions");
        return INC_DIM_NO_MEMORY;
    }
    size_t mask = graph->symbol_table_size - 1;
    for (size_t i = hash_symbol(symbol) & mask; graph->symbol_table[i]; i = (i + 1) & mask)
        if (same_symbol(&graph->symbols[graph->symbol_table[i]], symbol))
            return (struct inc_dim){graph->symbol_table[i], 0};
    struct inc_dim made = add_symbol(graph, symbol);
    if (inc_dim_valid(made)) insert_symbol(graph, made.symbol);
    return made;
}

struct inc_dim inc_dim_new(struct inc_graph *graph, enum inc_symbol_kind kind, int64_t min, int64_t max)
{
    struct inc_symbol symbol = {.kind = kind, .min = min, .max = max};
    return add_symbol(graph, &symbol);
}

struct inc_dim inc_dim_opaque(struct inc_graph *graph, uint32_t id, int64_t slot, int64_t min)
{
    struct inc_symbol symbol = {.kind = INC_SYMBOL_OPAQUE, .of = '@', .min = min, .max = -1};
    symbol.a = inc_dim_const(id);
    symbol.b = inc_dim_const(slot);
    return intern(graph, &symbol);
}

/* ---- polynomials ----------------------------------------------------------------------------------------------- */

/* < 0, 0, > 0 as x comes before, is like or comes after y in a sum. */
static int compare_terms(const struct term *x, const struct term *y)
{
    if (x->n == 0 || y->n == 0) return y->n - x->n;
    for (int i = 0; i < x->n && i < y->n; i++)
        if (x->factors[i] != y->factors[i]) return x->factors[i] < y->factors[i] ? -1 : 1;
    return x->n - y->n;
}

/* sum += term; false if it gets too big. */
static bool add_term(struct poly *sum, const struct term *term)
{
    int at = 0;
    while (at < sum->n && compare_terms(&sum->terms[at], term) < 0) at++;
    size_t behind = (size_t)(sum->n - at);
    if (behind && compare_terms(&sum->terms[at], term) == 0) {
        int64_t *coefficient = &sum->terms[at].coefficient;
        if (!inc_i64_add(*coefficient, term->coefficient, coefficient)) return false;
        if (*coefficient == 0) {
            memmove(&sum->terms[at], &sum->terms[at + 1], (behind - 1) * sizeof *term);
            sum->n--;
        }
        return true;
    }
    if (sum->n == MAX_TERMS) return false;
    memmove(&sum->terms[at + 1], &sum->terms[at], behind * sizeof *term);
    sum->terms[at] = *term;
    sum->n++;
    return true;
}

static bool multiply_terms(const struct term *x, const struct term *y, struct term *out)
{
    if (x->n + y->n > MAX_FACTORS) return false;
    if (!inc_i64_mul(x->coefficient, y->coefficient, &out->coefficient)) return false;
    int i = 0, j = 0;
    for (out->n = 0; out->n < x->n + y->n; out->n++) {
        bool take_x = j == y->n || (i < x->n && x->factors[i] <= y->factors[j]);
        out->factors[out->n] = take_x ? x->factors[i++] : y->factors[j++];
    }
    return true;
}

/* x / y as a single product; false if it is not exact. */
static bool divide_terms(const struct term *x, const struct term *y, struct term *out)
{
    if (y->coefficient == -1 && x->coefficient == INT64_MIN) return false;
    if (x->coefficient % y->coefficient != 0) return false;
    out->coefficient = x->coefficient / y->coefficient;
    out->n = 0;
    int j = 0;
    for (int i = 0; i < x->n; i++) {
        if (j < y->n && x->factors[i] == y->factors[j])
            j++;
        else
            out->factors[out->n++] = x->factors[i];
    }
    return j == y->n;
}

static bool add_polys(const struct poly *x, const struct poly *y, struct poly *out)
{
    *out = *x;
    for (int i = 0; i < y->n; i++)
        if (!add_term(out, &y->terms[i])) return false;
    return true;
}

static bool multiply_polys(const struct poly *x, const struct poly *y, struct poly *out)
{
    out->n = 0;
    for (int i = 0; i < x->n; i++)
        for (int j = 0; j < y->n; j++) {
            struct term product;
            if (!multiply_terms(&x->terms[i], &y->terms[j], &product) || !add_term(out, &product)) return false;
        }
    return true;
}

static bool equal_polys(const struct poly *x, const struct poly *y)
{
    if (x->n != y->n) return false;
    for (int i = 0; i < x->n; i++)
        if (compare_terms(&x->terms[i], &y->terms[i]) != 0 || x->terms[i].coefficient != y->terms[i].coefficient)
            return false;
    return true;
}

static bool divide_polys(const struct poly *x, const struct poly *y, struct poly *out)
{
    out->n = 0;
    if (y->n == 0) return false;
    for (int i = 0; i < x->n && (y->n == 1 || i == 0); i++) {
        struct term quotient;
        if (!divide_terms(&x->terms[i], &y->terms[0], &quotient) || !add_term(out, &quotient)) return false;
    }
    struct poly check;
    return multiply_polys(out, y, &check) && equal_polys(&check, x);
}

/* Trees are in normal form, so the recursion is at most MAX_TERMS + MAX_FACTORS + 1 deep and cannot fail. */
static void poly_of(const struct inc_graph *graph, struct inc_dim dim, struct poly *out)
{
    out->n = 0;
    if (inc_dim_is_const(dim)) {
        out->n = dim.value != 0;
        out->terms[0] = (struct term){.coefficient = dim.value};
        return;
    }
    const struct inc_symbol *symbol = &graph->symbols[dim.symbol];
    if (symbol->kind == INC_SYMBOL_INPUT || symbol->kind == INC_SYMBOL_OPAQUE) {
        out->n = 1;
        out->terms[0] = (struct term){.coefficient = 1, .n = 1, .factors = {dim.symbol}};
        return;
    }
    struct poly a, b;
    poly_of(graph, symbol->a, &a);
    poly_of(graph, symbol->b, &b);
    (void)(symbol->kind == INC_SYMBOL_ADD ? add_polys(&a, &b, out) : multiply_polys(&a, &b, out));
}

static struct inc_dim dim_of_term(struct inc_graph *graph, const struct term *term)
{
    if (term->n == 0) return inc_dim_const(term->coefficient);
    struct inc_symbol product = {.kind = INC_SYMBOL_MUL};
    struct inc_dim dim = {term->factors[0], 0};
    for (int i = 1; i < term->n; i++) {
        product.a = dim;
        product.b = (struct inc_dim){term->factors[i], 0};
        dim = intern(graph, &product);
    }
    if (term->coefficient == 1) return dim;
    product.a = dim;
    product.b = inc_dim_const(term->coefficient);
    return intern(graph, &product);
}

static struct inc_dim dim_of_poly(struct inc_graph *graph, const struct poly *poly)
{
    if (poly->n == 0) return inc_dim_const(0);
    struct inc_dim dim = dim_of_term(graph, &poly->terms[0]);
    for (int i = 1; i < poly->n; i++) {
        struct inc_symbol sum = {.kind = INC_SYMBOL_ADD, .a = dim, .b = dim_of_term(graph, &poly->terms[i])};
        dim = intern(graph, &sum);
    }
    return dim;
}

/* ---- arithmetic ------------------------------------------------------------------------------------------------ */

typedef bool poly_fn(const struct poly *x, const struct poly *y, struct poly *out);

/* a op b with at least one symbol; opaque if it does not fit the normal form. */
static struct inc_dim combine(struct inc_graph *graph, struct inc_dim a, struct inc_dim b, poly_fn *op, char of)
{
    if (!inc_dim_valid(a)) return a;
    if (!inc_dim_valid(b)) return b;
    struct poly x, y, result;
    poly_of(graph, a, &x);
    poly_of(graph, b, &y);
    if (op(&x, &y, &result)) return dim_of_poly(graph, &result);
    bool positive = inc_dim_min(graph, a) >= 0 && inc_dim_min(graph, b) >= (of == '/');
    struct inc_symbol opaque = {
        .kind = INC_SYMBOL_OPAQUE, .of = of, .a = a, .b = b, .min = positive ? 0 : INT64_MIN, .max = -1};
    return intern(graph, &opaque);
}

struct inc_dim inc_dim_add(struct inc_graph *graph, struct inc_dim a, struct inc_dim b)
{
    int64_t sum;
    if (!inc_dim_is_const(a) || !inc_dim_is_const(b)) return combine(graph, a, b, add_polys, '+');
    return inc_i64_add(a.value, b.value, &sum) ? inc_dim_const(sum) : INC_DIM_OVERFLOW;
}

struct inc_dim inc_dim_sub(struct inc_graph *graph, struct inc_dim a, struct inc_dim b)
{
    return inc_dim_add(graph, a, inc_dim_mul(graph, b, inc_dim_const(-1)));
}

struct inc_dim inc_dim_mul(struct inc_graph *graph, struct inc_dim a, struct inc_dim b)
{
    int64_t product;
    if (!inc_dim_is_const(a) || !inc_dim_is_const(b)) return combine(graph, a, b, multiply_polys, '*');
    return inc_i64_mul(a.value, b.value, &product) ? inc_dim_const(product) : INC_DIM_OVERFLOW;
}

struct inc_dim inc_dim_div(struct inc_graph *graph, struct inc_dim a, struct inc_dim b)
{
    return combine(graph, a, b, divide_polys, '/');
}

int64_t inc_dim_min(const struct inc_graph *graph, struct inc_dim dim)
{
    if (!inc_dim_valid(dim)) return INT64_MIN;
    struct poly poly;
    poly_of(graph, dim, &poly);
    int64_t sum = 0;
    for (int i = 0; i < poly.n; i++) {
        const struct term *term = &poly.terms[i];
        int64_t least = term->coefficient;
        if (least < 0 && term->n > 0) return INT64_MIN;
        for (int k = 0; k < term->n; k++) {
            int64_t factor = graph->symbols[term->factors[k]].min;
            if (factor < 0) return INT64_MIN;
            if (!inc_i64_mul(least, factor, &least)) least = INT64_MAX;
        }
        if (!inc_i64_add(sum, least, &sum)) sum = INT64_MAX;
    }
    return sum;
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

/* A writer that stops, NUL-terminated, at the end of its room. */
struct text {
    char *at;
    size_t left;
};

static void put(struct text *text, const char *separator, const char *word)
{
    int n = snprintf(text->at, text->left, "%s%s", separator, word);
    size_t used = n < 0 ? 0 : inc_min_size((size_t)n, text->left - 1);
    text->at += used;
    text->left -= used;
}

static void put_number(struct text *text, const char *separator, int64_t value)
{
    char word[24];
    snprintf(word, sizeof word, "%lld", (long long)value);
    put(text, separator, word);
}

void inc_dim_format(const struct inc_graph *graph, struct inc_dim dim, char *text, size_t size)
{
    if (size == 0) return;
    struct text out = {text, size};
    *text = '\0';
    if (!inc_dim_valid(dim)) return;
    struct poly poly;
    poly_of(graph, dim, &poly);
    bool plain = inc_dim_is_const(dim) || (poly.n == 1 && poly.terms[0].n == 1 && poly.terms[0].coefficient == 1);
    if (poly.n == 0) put(&out, "", "0");
    for (int i = 0; i < poly.n; i++) {
        const struct term *term = &poly.terms[i];
        const char *separator = i > 0 ? "+" : plain ? "" : "(";
        for (int k = 0; k < term->n; k++, separator = "*") put(&out, separator, graph->symbols[term->factors[k]].name);
        if (term->n == 0 || term->coefficient != 1) put_number(&out, separator, term->coefficient);
    }
    if (!plain) put(&out, ")", "");
}
