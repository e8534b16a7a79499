/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/huggingface/blocks.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "graph/attr.h"

static void fail(struct inc_hf_builder *b, enum incise_status status)
{
    if (b->status == INCISE_OK) b->status = status;
}

/* For allocations that graph functions have reported. */
static void fail_reported(struct inc_hf_builder *b)
{
    fail(b, INCISE_ERROR_MEMORY);
}

/* ---- single nodes ------------------------------------------------------------------------------------------------ */

const char *inc_hf_name(struct inc_hf_builder *b, const char *format, ...)
{
    char text[512];
    va_list args;
    if (b->status != INCISE_OK) return NULL;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *name = inc_arena_strdup(&b->graph->arena, text);
    if (name == NULL) fail(b, inc_fail_memory(b->ctx, strlen(text), "a name"));
    return name;
}

/* The tensor name of a value. */
static void set_name(struct inc_hf_builder *b, struct inc_value *value, const char *name)
{
    if (b->status != INCISE_OK) return;
    const char **names = inc_arena_alloc(&b->graph->arena, 1, sizeof *names);
    if (names != NULL) names[0] = inc_arena_strdup(&b->graph->arena, name);
    if (names == NULL || names[0] == NULL) {
        fail(b, inc_fail_memory(b->ctx, strlen(name), "a name"));
        return;
    }
    value->names = names;
    value->n_names = 1;
}

struct inc_value *inc_hf_op(struct inc_hf_builder *b, enum inc_op op, const char *name, uint32_t n_inputs,
                            struct inc_value *const *inputs)
{
    if (b->status != INCISE_OK) return NULL;
    struct inc_node *node = inc_graph_add(b->graph, op, name, inputs, n_inputs, NULL);
    if (node == NULL) fail_reported(b);
    return node != NULL ? &node->outputs[0] : NULL;
}

struct inc_value *inc_hf_add(struct inc_hf_builder *b, const char *name, struct inc_value *x, struct inc_value *y)
{
    return inc_hf_op(b, INC_OP_ADD, name, 2, (struct inc_value *[]){x, y});
}

struct inc_value *inc_hf_input(struct inc_hf_builder *b, const char *name)
{
    struct inc_value *value = inc_hf_op(b, INC_OP_PARAMETER, name, 0, NULL);
    if (value == NULL) return NULL;
    struct inc_shape *shape = inc_attr_shape(value->node, "shape");
    shape->rank = 2;
    for (int i = 0; i < 2; i++) {
        shape->dims[i] = inc_dim_new(b->graph, INC_SYMBOL_INPUT, 0, -1);
        if (!inc_dim_valid(shape->dims[i])) fail(b, inc_fail_memory(b->ctx, 1, "a symbol"));
    }
    inc_attr_set_type(value->node, "element_type", INC_I64);
    set_name(b, value, name);
    return value;
}

void inc_hf_output(struct inc_hf_builder *b, struct inc_value *value, const char *name)
{
    if (b->status != INCISE_OK) return;
    set_name(b, value, name);
    inc_hf_op(b, INC_OP_RESULT, inc_hf_name(b, "Result_%s", name), 1, &value);
}

static struct inc_value *constant(struct inc_hf_builder *b, const char *name, const struct inc_tensor *tensor,
                                  struct inc_blob *blob)
{
    if (b->status != INCISE_OK) return NULL;
    struct inc_node *node = inc_graph_add_constant(b->graph, name, tensor, blob, NULL);
    if (node == NULL) fail_reported(b);
    return node != NULL ? &node->outputs[0] : NULL;
}

struct inc_value *inc_hf_integers(struct inc_hf_builder *b, enum inc_type type, int n, const int64_t *values)
{
    int32_t narrow[INC_MAX_RANK];
    int64_t wide[INC_MAX_RANK];
    int count = n < 0 ? 1 : n;
    struct inc_tensor tensor = {.type = type, .rank = n < 0 ? 0 : 1, .dims = {n}};
    for (int i = 0; i < count; i++) {
        narrow[i] = (int32_t)values[i];
        wide[i] = values[i];
    }
    tensor.data = type == INC_I32 ? (void *)narrow : (void *)wide;
    tensor.bytes = (size_t)count * (type == INC_I32 ? sizeof *narrow : sizeof *wide);
    return constant(b, NULL, &tensor, NULL);
}

struct inc_value *inc_hf_number(struct inc_hf_builder *b, int rank, float value)
{
    struct inc_tensor tensor = {.type = INC_F32, .rank = rank, .data = &value, .bytes = sizeof value};
    for (int i = 0; i < rank; i++) tensor.dims[i] = 1;
    return constant(b, NULL, &tensor, NULL);
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* Whether the tensor has these dims, but for leading axes of size 1 (GGUF files may lack them). */
static bool has_shape(const struct inc_hf_tensor *tensor, int rank, const int64_t *dims)
{
    const int64_t *stored = tensor->dims;
    int stored_rank = tensor->rank;
    for (; rank > 0 && dims[0] == 1; rank--) dims++;
    for (; stored_rank > 0 && stored[0] == 1; stored_rank--) stored++;
    return stored_rank == rank && memcmp(stored, dims, (size_t)rank * sizeof *dims) == 0;
}

/* Finds prefix + `name`, checks its dims and marks it as used. */
static const struct inc_hf_tensor *find_weight(struct inc_hf_builder *b, const char *name, int rank,
                                               const int64_t *dims)
{
    char full[INC_HF_MAX_NAME], buffer[INC_HF_MAX_NAME];
    if (b->status != INCISE_OK) return NULL;
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    struct inc_hf_tensor *found = inc_hf_weights_find(b->weights, full);
    if (found == NULL) {
        fail(b, inc_fail(b->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' is missing", b->weights->label,
                         inc_hf_weights_name(b->weights, full, buffer)));
        return NULL;
    }
    if (!has_shape(found, rank, dims)) {
        fail(b, inc_fail(b->ctx, INCISE_ERROR_DATA,
                         "%s: tensor '%s' does not have the shape %lldx%lld of the configuration", found->file,
                         found->name, (long long)dims[0], rank == 2 ? (long long)dims[1] : 1));
        return NULL;
    }
    if (!found->readable) {
        fail(b, inc_fail(b->ctx, INCISE_ERROR_DATA, "%s: tensor '%s' has type %s, which is not supported", found->file,
                         found->name, found->type));
        return NULL;
    }
    found->used = true;
    return found;
}

/* Gives `data` to the graph, or frees it. */
static struct inc_blob *own_blob(struct inc_hf_builder *b, struct inc_tensor *data)
{
    struct inc_blob *blob = NULL;
    enum incise_status status = b->status;
    if (status == INCISE_OK) status = inc_graph_add_blob(b->graph, data->data, data->bytes, &blob);
    if (status == INCISE_OK) return blob;
    inc_tensor_release(b->ctx, data);
    fail(b, status);
    return NULL;
}

/* The first rows of `found` as floats of shape `dims`, the caller's to release; false after a failure. */
static bool read_floats(struct inc_hf_builder *b, const struct inc_hf_tensor *found, int rank, const int64_t *dims,
                        struct inc_tensor *data)
{
    if (b->status != INCISE_OK) return false;
    fail(b, inc_tensor_create(b->ctx, INC_F32, rank, dims, data));
    if (b->status != INCISE_OK) return false;
    fail(b, b->weights->source->read(b->weights, found, 0, inc_tensor_elements(data), data->data));
    if (b->status != INCISE_OK) inc_tensor_release(b->ctx, data);
    return b->status == INCISE_OK;
}

/* A constant over `data`, which the graph takes over. */
static struct inc_value *own_constant(struct inc_hf_builder *b, const char *name, struct inc_tensor *data)
{
    struct inc_blob *blob = own_blob(b, data);
    return constant(b, name, data, blob);
}

struct inc_value *inc_hf_weight(struct inc_hf_builder *b, const char *name, int rank, const int64_t *dims,
                                int shaped_rank, const int64_t *shaped)
{
    const struct inc_hf_source *source = b->weights->source;
    struct inc_tensor data = {0};
    struct inc_blob *blob = NULL;
    const struct inc_hf_tensor *found = find_weight(b, name, rank, dims);
    if (found == NULL) return NULL;
    if (source->share != NULL) fail(b, source->share(b->weights, found, b->graph, &data, &blob));
    if (blob == NULL && read_floats(b, found, shaped_rank, shaped, &data)) blob = own_blob(b, &data);
    if (blob == NULL) return NULL;
    data.rank = shaped_rank;
    memcpy(data.dims, shaped, (size_t)shaped_rank * sizeof *shaped);
    const char *self = inc_hf_name(b, "self.%s", name);
    struct inc_value *value = constant(b, self, &data, blob);
    if (value != NULL) set_name(b, value, self);
    return value;
}

/* "<path>.<leaf>" of `dim` elements as [1,1,dim], as the export keeps vectors. */
static struct inc_value *vector(struct inc_hf_builder *b, const char *path, const char *leaf, int64_t dim)
{
    return inc_hf_weight(b, inc_hf_name(b, "%s.%s", path, leaf), 1, &dim, 3, (int64_t[]){1, 1, dim});
}

/* q * scale as [rows, columns], by the chain that OpenVINO reads as a compressed weight; frees both after a failure. */
static struct inc_value *compressed(struct inc_hf_builder *b, const char *name, struct inc_tensor *q,
                                    struct inc_tensor *scale, const int64_t dims[2])
{
    struct inc_value *integers = own_constant(b, inc_hf_name(b, "self.%s", name), q);
    struct inc_value *factor = own_constant(b, inc_hf_name(b, "self.%s/scale", name), scale);
    integers = inc_hf_convert(b, inc_hf_name(b, "self.%s/convert", name), integers, INC_F32);
    factor = inc_hf_convert(b, inc_hf_name(b, "self.%s/scale/convert", name), factor, INC_F32);
    struct inc_value *product = inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, "self.%s/fq_weights_1", name), 2,
                                          (struct inc_value *[]){integers, factor});
    struct inc_value *shape = inc_hf_integers(b, INC_I64, 2, dims);
    return inc_hf_op(b, INC_OP_RESHAPE, inc_hf_name(b, "self.%s/reshape", name), 2,
                     (struct inc_value *[]){product, shape});
}

static struct inc_value *matrix(struct inc_hf_builder *b, const char *path, int64_t rows, int64_t columns)
{
    const struct inc_hf_source *source = b->weights->source;
    const int64_t dims[] = {rows, columns};
    const char *name = inc_hf_name(b, "%s.weight", path);
    struct inc_tensor q = {0}, scale = {0};
    if (source->grouped != NULL) {
        const struct inc_hf_tensor *found = find_weight(b, name, 2, dims);
        if (found == NULL) return NULL;
        fail(b, source->grouped(b->weights, found, &q, &scale));
        if (q.data != NULL) return compressed(b, name, &q, &scale, dims);
    }
    return inc_hf_weight(b, name, 2, dims, 2, dims);
}

/* ---- blocks ------------------------------------------------------------------------------------------------------ */

struct inc_value *inc_hf_linear_bare(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t in,
                                     int64_t out)
{
    struct inc_value *weight = matrix(b, path, out, in);
    struct inc_value *product = inc_hf_op(b, INC_OP_MATMUL, inc_hf_name(b, "__module.%s/aten::linear/MatMul", path), 2,
                                          (struct inc_value *[]){x, weight});
    if (product != NULL) inc_attr_set_bool(product->node, "transpose_b", true);
    return product;
}

struct inc_value *inc_hf_linear(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t in,
                                int64_t out)
{
    struct inc_value *product = inc_hf_linear_bare(b, path, x, in, out);
    struct inc_value *bias = vector(b, path, "bias", out);
    return inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::linear/Add", path), product, bias);
}

struct inc_value *inc_hf_layer_norm_bare(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t dim,
                                         double eps)
{
    struct inc_value *axes = inc_hf_integers(b, INC_I32, 1, (int64_t[]){-1});
    struct inc_value *norm = inc_hf_op(b, INC_OP_MVN, inc_hf_name(b, "__module.%s/aten::layer_norm/MVN", path), 2,
                                       (struct inc_value *[]){x, axes});
    if (norm == NULL) return NULL;
    inc_attr_set_float(norm->node, "eps", (double)(float)eps);
    inc_attr_set_bool(norm->node, "normalize_variance", true);
    fail(b, inc_attr_set_string(b->graph, norm->node, "eps_mode", "INSIDE_SQRT"));
    struct inc_value *weight = vector(b, path, "weight", dim);
    return inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, "__module.%s/aten::layer_norm/Multiply_1", path), 2,
                     (struct inc_value *[]){norm, weight});
}

struct inc_value *inc_hf_layer_norm(struct inc_hf_builder *b, const char *path, struct inc_value *x, int64_t dim,
                                    double eps)
{
    struct inc_value *scaled = inc_hf_layer_norm_bare(b, path, x, dim, eps);
    struct inc_value *bias = vector(b, path, "bias", dim);
    return inc_hf_add(b, inc_hf_name(b, "__module.%s/aten::layer_norm/Add", path), scaled, bias);
}

/* "<path>.weight" of `dim` elements plus `offset` as [1,..,1,dim]. */
static struct inc_value *gain(struct inc_hf_builder *b, const char *path, int rank, int64_t dim, double offset)
{
    struct inc_tensor data;
    int64_t dims[INC_MAX_RANK];
    const char *name = inc_hf_name(b, "%s.weight", path);
    for (int i = 0; i < rank; i++) dims[i] = i == rank - 1 ? dim : 1;
    if (offset == 0 || b->weights->whole_gains) return inc_hf_weight(b, name, 1, &dim, rank, dims);
    const struct inc_hf_tensor *found = find_weight(b, name, 1, &dim);
    if (found == NULL) return NULL;
    if (!read_floats(b, found, rank, dims, &data)) return NULL;
    for (int64_t i = 0; i < dim; i++) ((float *)data.data)[i] += (float)offset;
    return own_constant(b, NULL, &data);
}

struct inc_value *inc_hf_rms_norm(struct inc_hf_builder *b, const char *path, struct inc_value *x, int rank,
                                  int64_t dim, double eps, double offset)
{
    const char *format = "__module.%s/aten::%s";
    struct inc_value *two = inc_hf_number(b, rank, 2.0f), *one = inc_hf_number(b, rank, 1.0f);
    struct inc_value *y = inc_hf_op(b, INC_OP_POWER, inc_hf_name(b, format, path, "pow/Power"), 2,
                                    (struct inc_value *[]){x, two});
    struct inc_value *axes = inc_hf_integers(b, INC_I64, 1, (int64_t[]){-1});
    y = inc_hf_op(b, INC_OP_REDUCE_MEAN, inc_hf_name(b, format, path, "mean/ReduceMean"), 2,
                  (struct inc_value *[]){y, axes});
    if (y != NULL) inc_attr_set_bool(y->node, "keep_dims", true);
    y = inc_hf_add(b, inc_hf_name(b, format, path, "add/Add"), y, inc_hf_number(b, rank, (float)eps));
    y = inc_hf_op(b, INC_OP_SQRT, inc_hf_name(b, format, path, "rsqrt/Sqrt"), 1, &y);
    y = inc_hf_op(b, INC_OP_DIVIDE, inc_hf_name(b, format, path, "rsqrt/Divide"), 2, (struct inc_value *[]){one, y});
    y = inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, format, path, "mul/Multiply"), 2, (struct inc_value *[]){x, y});
    return inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, format, path, "mul/Multiply_1"), 2,
                     (struct inc_value *[]){y, gain(b, path, rank, dim, offset)});
}

struct inc_value *inc_hf_first_row(struct inc_hf_builder *b, const char *path, int64_t rows, int64_t dim)
{
    struct inc_tensor row;
    const int64_t dims[] = {rows, dim}, shaped[] = {1, 1, dim};
    const struct inc_hf_tensor *found = find_weight(b, inc_hf_name(b, "%s.weight", path), 2, dims);
    if (found == NULL) return NULL;
    if (!read_floats(b, found, 3, shaped, &row)) return NULL;
    return own_constant(b, inc_hf_name(b, "self.%s.weight", path), &row);
}

struct inc_value *inc_hf_scale(struct inc_hf_builder *b, const char *name, struct inc_value *x, int rank, double scale)
{
    struct inc_value *factor = inc_hf_number(b, rank, (float)scale);
    return inc_hf_op(b, INC_OP_MULTIPLY, name, 2, (struct inc_value *[]){x, factor});
}

struct inc_value *inc_hf_convert(struct inc_hf_builder *b, const char *name, struct inc_value *x, enum inc_type type)
{
    struct inc_value *value = inc_hf_op(b, INC_OP_CONVERT, name, 1, &x);
    if (value != NULL) inc_attr_set_type(value->node, "destination_type", type);
    return value;
}

struct inc_value *inc_hf_embedding(struct inc_hf_builder *b, const char *path, struct inc_value *ids, int64_t rows,
                                   int64_t dim)
{
    struct inc_value *table = matrix(b, path, rows, dim);
    struct inc_value *narrow = inc_hf_convert(b, inc_hf_name(b, "__module.%s/aten::embedding/Convert", path), ids,
                                              INC_I32);
    struct inc_value *axis = inc_hf_integers(b, INC_I32, -1, (int64_t[]){0});
    return inc_hf_op(b, INC_OP_GATHER, inc_hf_name(b, "__module.%s/aten::embedding/Gather", path), 3,
                     (struct inc_value *[]){table, narrow, axis});
}

/* Elements `indices` (n of them) of a shape. */
static struct inc_value *pick_dims(struct inc_hf_builder *b, struct inc_value *shape, int n, const int64_t *indices)
{
    struct inc_value *which = inc_hf_integers(b, INC_I64, n, indices);
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){0});
    return inc_hf_op(b, INC_OP_GATHER, NULL, 3, (struct inc_value *[]){shape, which, axis});
}

struct inc_value *inc_hf_positions(struct inc_hf_builder *b, const char *path, struct inc_value *shape, int64_t max)
{
    struct inc_tensor table;
    const int64_t dims[] = {1, max}, one = 1, zero = 0;
    if (b->status != INCISE_OK) return NULL;
    fail(b, inc_tensor_create(b->ctx, INC_I64, 2, dims, &table));
    if (b->status != INCISE_OK) return NULL;
    for (int64_t i = 0; i < max; i++) ((int64_t *)table.data)[i] = i;
    struct inc_value *all = constant(b, inc_hf_name(b, "__module.%s/aten::slice/Slice", path), &table, NULL);
    inc_tensor_release(b->ctx, &table);
    struct inc_value *start = inc_hf_integers(b, INC_I64, 1, &zero);
    struct inc_value *stop = pick_dims(b, shape, 1, &one);
    struct inc_value *step = inc_hf_integers(b, INC_I64, 1, &one);
    struct inc_value *axis = inc_hf_integers(b, INC_I64, 1, &one);
    return inc_hf_op(b, INC_OP_SLICE, inc_hf_name(b, "__module.%s/aten::slice/Slice_1", path), 5,
                     (struct inc_value *[]){all, start, stop, step, axis});
}

struct inc_value *inc_hf_positions_from_ids(struct inc_hf_builder *b, const char *path, struct inc_value *ids,
                                            int64_t pad)
{
    const char *format = "__module.%s/aten::%s";
    struct inc_value *padding = inc_hf_integers(b, INC_I64, -1, &pad);
    struct inc_value *real = inc_hf_op(b, INC_OP_NOT_EQUAL, inc_hf_name(b, format, path, "ne/NotEqual"), 2,
                                       (struct inc_value *[]){ids, padding});
    real = inc_hf_convert(b, inc_hf_name(b, format, path, "to/Convert"), real, INC_I64);
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, (int64_t[]){1});
    struct inc_value *x = inc_hf_op(b, INC_OP_CUM_SUM, inc_hf_name(b, format, path, "cumsum/CumSum"), 2,
                                    (struct inc_value *[]){real, axis});
    x = inc_hf_op(b, INC_OP_MULTIPLY, inc_hf_name(b, format, path, "mul/Multiply"), 2, (struct inc_value *[]){x, real});
    return inc_hf_add(b, inc_hf_name(b, format, path, "add/Add_1"), x, padding);
}

static struct inc_value *unsqueeze(struct inc_hf_builder *b, const char *name, struct inc_value *x, int64_t axis)
{
    struct inc_value *where = inc_hf_integers(b, INC_I64, -1, &axis);
    return inc_hf_op(b, INC_OP_UNSQUEEZE, name, 2, (struct inc_value *[]){x, where});
}

struct inc_value *inc_hf_padding_mask(struct inc_hf_builder *b, struct inc_value *shape, struct inc_value *mask)
{
    static const int64_t batch[] = {0}, length[] = {1, 1}, ones[] = {1};
    struct inc_value *wide =
        unsqueeze(b, "aten::unsqueeze/Unsqueeze_1", unsqueeze(b, "aten::unsqueeze/Unsqueeze", mask, 1), 2);
    struct inc_value *parts[3];
    parts[0] = pick_dims(b, shape, 1, batch);
    parts[1] = inc_hf_integers(b, INC_I64, 1, ones);
    parts[2] = pick_dims(b, shape, 2, length);
    struct inc_value *target = inc_hf_op(b, INC_OP_CONCAT, "prim::ListConstruct/SequenceMark", 3, parts);
    if (target != NULL) inc_attr_set_int(target->node, "axis", 0);
    struct inc_value *full =
        inc_hf_op(b, INC_OP_BROADCAST, "aten::expand/Broadcast", 2, (struct inc_value *[]){wide, target});
    if (full == NULL) return NULL;
    fail(b, inc_attr_set_string(b->graph, full->node, "mode", "bidirectional"));
    struct inc_value *kept = inc_hf_convert(b, "aten::to/Convert_1", full, INC_F32);
    struct inc_value *one = inc_hf_number(b, 4, 1.0f);
    struct inc_value *inverted =
        inc_hf_op(b, INC_OP_SUBTRACT, "aten::sub/Subtract", 2, (struct inc_value *[]){one, kept});
    struct inc_value *masked = inc_hf_convert(b, "aten::to/Convert_2", inverted, INC_BOOL);
    struct inc_value *lowest = inc_hf_number(b, 0, -FLT_MAX);
    return inc_hf_op(b, INC_OP_SELECT, "aten::masked_fill/Select", 3, (struct inc_value *[]){masked, lowest, inverted});
}

static struct inc_value *reshape(struct inc_hf_builder *b, const char *name, struct inc_value *x, int n,
                                 const int64_t *dims)
{
    struct inc_value *shape = inc_hf_integers(b, INC_I64, n, dims);
    struct inc_value *value = inc_hf_op(b, INC_OP_RESHAPE, name, 2, (struct inc_value *[]){x, shape});
    if (value != NULL) inc_attr_set_bool(value->node, "special_zero", true);
    return value;
}

static struct inc_value *swap_heads(struct inc_hf_builder *b, const char *name, struct inc_value *x)
{
    struct inc_value *order = inc_hf_integers(b, INC_I32, 4, (int64_t[]){0, 2, 1, 3});
    return inc_hf_op(b, INC_OP_TRANSPOSE, name, 2, (struct inc_value *[]){x, order});
}

/* 0..S-1 [S] */
struct inc_value *inc_hf_range(struct inc_hf_builder *b, const char *name, struct inc_value *shape)
{
    const int64_t zero = 0, one = 1;
    struct inc_value *inputs[3];
    inputs[0] = inc_hf_integers(b, INC_I64, -1, &zero);
    inputs[1] = pick_dims(b, shape, -1, &one);
    inputs[2] = inc_hf_integers(b, INC_I64, -1, &one);
    struct inc_value *value = inc_hf_op(b, INC_OP_RANGE, name, 3, inputs);
    if (value != NULL) inc_attr_set_type(value->node, "output_type", INC_I64);
    return value;
}

struct inc_value *inc_hf_band_mask(struct inc_hf_builder *b, struct inc_value *shape, struct inc_value *padding,
                                   bool causal, int64_t window)
{
    struct inc_value *count = inc_hf_range(b, NULL, shape), *seen = NULL;
    struct inc_value *keys = inc_hf_integers(b, INC_I64, 3, (int64_t[]){0, 1, 2});
    struct inc_value *queries = inc_hf_integers(b, INC_I64, 3, (int64_t[]){0, 1, 3});
    keys = inc_hf_op(b, INC_OP_UNSQUEEZE, NULL, 2, (struct inc_value *[]){count, keys});
    queries = inc_hf_op(b, INC_OP_UNSQUEEZE, NULL, 2, (struct inc_value *[]){count, queries});
    if (causal) seen = inc_hf_op(b, INC_OP_LESS_EQUAL, NULL, 2, (struct inc_value *[]){keys, queries});
    if (window > 0) {
        struct inc_value *limit = inc_hf_integers(b, INC_I64, -1, &window);
        struct inc_value *apart = inc_hf_op(b, INC_OP_SUBTRACT, NULL, 2, (struct inc_value *[]){queries, keys});
        apart = inc_hf_op(b, INC_OP_ABS, NULL, 1, &apart);
        struct inc_value *near = inc_hf_op(b, INC_OP_LESS, NULL, 2, (struct inc_value *[]){apart, limit});
        seen = seen == NULL ? near : inc_hf_op(b, INC_OP_LOGICAL_AND, NULL, 2, (struct inc_value *[]){seen, near});
    }
    struct inc_value *lowest = inc_hf_number(b, 0, -FLT_MAX);
    return inc_hf_op(b, INC_OP_SELECT, NULL, 3, (struct inc_value *[]){seen, padding, lowest});
}

/* The name of the n-th op of a kind in a module, as the export numbers them. */
static const char *numbered(struct inc_hf_builder *b, const char *path, const char *op, int n)
{
    if (n == 0) return inc_hf_name(b, "__module.%s/aten::%s", path, op);
    return inc_hf_name(b, "__module.%s/aten::%s_%d", path, op, n);
}

struct inc_value *inc_hf_split_heads(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                     int64_t heads, int64_t head_dim)
{
    x = reshape(b, numbered(b, path, "view/Reshape", index), x, 4, (int64_t[]){0, 0, heads, head_dim});
    return swap_heads(b, numbered(b, path, "transpose/Transpose", index), x);
}

struct inc_value *inc_hf_repeat_heads(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                      int64_t kv_heads, int64_t heads, int64_t head_dim)
{
    if (kv_heads == heads) return x;
    x = unsqueeze(b, numbered(b, path, "unsqueeze/Unsqueeze", index + 1), x, 2);
    struct inc_value *target = inc_hf_integers(b, INC_I64, 5, (int64_t[]){1, 1, heads / kv_heads, 1, 1});
    x = inc_hf_op(b, INC_OP_BROADCAST, numbered(b, path, "expand/Broadcast", index - 1), 2,
                  (struct inc_value *[]){x, target});
    if (x != NULL) fail(b, inc_attr_set_string(b->graph, x->node, "mode", "bidirectional"));
    return reshape(b, numbered(b, path, "reshape/Reshape", index - 1), x, 4, (int64_t[]){0, heads, -1, head_dim});
}

struct inc_value *inc_hf_sdpa(struct inc_hf_builder *b, const char *path, struct inc_value *const qkv[3],
                              struct inc_value *mask, int64_t heads, int64_t head_dim, double scale)
{
    struct inc_value *inputs[5] = {qkv[0], qkv[1], qkv[2], mask, NULL};
    if (scale != 0) inputs[4] = inc_hf_number(b, 0, (float)scale);
    struct inc_value *mixed =
        inc_hf_op(b, INC_OP_SDPA, numbered(b, path, "scaled_dot_product_attention/ScaledDotProductAttention", 0),
                  scale != 0 ? 5 : 4, inputs);
    struct inc_value *back = swap_heads(b, numbered(b, path, "transpose/Transpose", 3), mixed);
    return reshape(b, numbered(b, path, "reshape/Reshape", scale != 0 ? 2 : 0), back, 3,
                   (int64_t[]){0, 0, heads * head_dim});
}

struct inc_value *inc_hf_attention(struct inc_hf_builder *b, const char *path, struct inc_value *const qkv[3],
                                   struct inc_value *mask, int64_t heads, int64_t head_dim)
{
    struct inc_value *split[3];
    for (int i = 0; i < 3; i++) split[i] = inc_hf_split_heads(b, path, i, qkv[i], heads, head_dim);
    return inc_hf_sdpa(b, path, split, mask, heads, head_dim, 0);
}

/* Slice of the last axis. */
struct inc_value *inc_hf_channels(struct inc_hf_builder *b, const char *name, struct inc_value *x, int rank,
                                  int64_t begin, int64_t end)
{
    const int64_t bounds[] = {begin, end, 1, rank - 1};
    struct inc_value *inputs[5] = {x};
    for (int i = 0; i < 4; i++) inputs[i + 1] = inc_hf_integers(b, INC_I64, 1, &bounds[i]);
    return inc_hf_op(b, INC_OP_SLICE, name, 5, inputs);
}

/* ---- relative positions ------------------------------------------------------------------------------------------ */

#define FARTHEST 128 /* keys at least so far away share a bucket */

/* MPNet's bucket of a key `distance` behind (or ahead, if negative) of its query: half of them for each side, of these
 * half for single distances, the rest for [8 * 2^(k/2), 8 * 2^((k+1)/2)). */
static int64_t bucket_of(int64_t distance)
{
    int64_t side = distance < 0 ? INC_HF_RELATIVE_BUCKETS / 2 : 0, n = distance < 0 ? -distance : distance, k = 0;
    if (n < INC_HF_RELATIVE_BUCKETS / 4) return side + n;
    while (k < INC_HF_RELATIVE_BUCKETS / 4 - 1 && n * n >= (int64_t)128 << k) k++;
    return side + INC_HF_RELATIVE_BUCKETS / 4 + k;
}

/* [heads, 2 * FARTHEST + 1]: the bias of keys FARTHEST behind to FARTHEST ahead. */
static struct inc_value *distance_table(struct inc_hf_builder *b, const char *path, int64_t heads)
{
    struct inc_tensor buckets = {0}, table = {0};
    struct inc_value *value = NULL;
    const int64_t dims[] = {INC_HF_RELATIVE_BUCKETS, heads}, wide[] = {heads, 2 * FARTHEST + 1};
    const struct inc_hf_tensor *found = find_weight(b, inc_hf_name(b, "%s.weight", path), 2, dims);
    if (found == NULL || !read_floats(b, found, 2, dims, &buckets)) return NULL;
    fail(b, inc_tensor_create(b->ctx, INC_F32, 2, wide, &table));
    if (b->status == INCISE_OK) {
        float *out = table.data;
        for (int64_t h = 0; h < heads; h++)
            for (int64_t ahead = -FARTHEST; ahead <= FARTHEST; ahead++)
                *out++ = ((const float *)buckets.data)[bucket_of(-ahead) * heads + h];
        value = constant(b, inc_hf_name(b, "self.%s.weight", path), &table, NULL);
        inc_tensor_release(b->ctx, &table);
    }
    inc_tensor_release(b->ctx, &buckets);
    return value;
}

struct inc_value *inc_hf_relative_bias(struct inc_hf_builder *b, const char *path, struct inc_value *shape,
                                       int64_t heads)
{
    const int64_t far = FARTHEST, nearest = -FARTHEST, one = 1;
    struct inc_value *table = distance_table(b, path, heads), *count = inc_hf_range(b, NULL, shape);
    struct inc_value *x = inc_hf_op(b, INC_OP_SUBTRACT, NULL, 2,
                                    (struct inc_value *[]){unsqueeze(b, NULL, count, 0), unsqueeze(b, NULL, count, 1)});
    struct inc_value *bound = inc_hf_integers(b, INC_I64, -1, &nearest);
    x = inc_hf_op(b, INC_OP_MAXIMUM, NULL, 2, (struct inc_value *[]){x, bound});
    bound = inc_hf_integers(b, INC_I64, -1, &far);
    x = inc_hf_op(b, INC_OP_MINIMUM, NULL, 2, (struct inc_value *[]){x, bound});
    x = inc_hf_add(b, NULL, x, bound);
    struct inc_value *axis = inc_hf_integers(b, INC_I64, -1, &one);
    x = inc_hf_op(b, INC_OP_GATHER, inc_hf_name(b, "__module.%s/aten::embedding/Gather", path), 3,
                  (struct inc_value *[]){table, x, axis});
    return unsqueeze(b, NULL, x, 0);
}

/* ---- rotary position embedding ----------------------------------------------------------------------------------- */

/* theta^(-2i / head_dim) as [1, head_dim / 2, 1], rounded where PyTorch rounds. */
static struct inc_value *frequencies(struct inc_hf_builder *b, const char *path, int64_t head_dim, double theta)
{
    struct inc_tensor tensor;
    const int64_t dims[] = {1, head_dim / 2, 1};
    if (b->status != INCISE_OK) return NULL;
    fail(b, inc_tensor_create(b->ctx, INC_F32, 3, dims, &tensor));
    if (b->status != INCISE_OK) return NULL;
    for (int64_t i = 0; i < head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)head_dim;
        ((float *)tensor.data)[i] = 1.0f / (float)pow(theta, (double)exponent);
    }
    struct inc_value *value = constant(b, inc_hf_name(b, "__module.%s/aten::to/Convert", path), &tensor, NULL);
    inc_tensor_release(b->ctx, &tensor);
    return value;
}

struct inc_hf_rope inc_hf_rope_tables(struct inc_hf_builder *b, const char *path, struct inc_value *shape,
                                      int64_t head_dim, double theta)
{
    struct inc_hf_rope rope = {.head_dim = head_dim};
    struct inc_value *factors = frequencies(b, path, head_dim, theta);
    struct inc_value *axes = inc_hf_integers(b, INC_I64, 2, (int64_t[]){0, 1});
    struct inc_value *x = inc_hf_range(b, inc_hf_name(b, "__module.%s/aten::arange/Range", path), shape);
    x = inc_hf_op(b, INC_OP_UNSQUEEZE, numbered(b, path, "unsqueeze/Unsqueeze", 2), 2, (struct inc_value *[]){x, axes});
    x = inc_hf_convert(b, numbered(b, path, "to/Convert", 3), x, INC_F32);
    x = inc_hf_op(b, INC_OP_MATMUL, numbered(b, path, "matmul/MatMul", 0), 2, (struct inc_value *[]){factors, x});
    struct inc_value *order = inc_hf_integers(b, INC_I32, 3, (int64_t[]){0, 2, 1});
    x = inc_hf_op(b, INC_OP_TRANSPOSE, numbered(b, path, "transpose/Transpose", 0), 2,
                  (struct inc_value *[]){x, order});
    x = inc_hf_op(b, INC_OP_CONCAT, numbered(b, path, "cat/Concat", 0), 2, (struct inc_value *[]){x, x});
    if (x != NULL) inc_attr_set_int(x->node, "axis", -1);
    rope.cos = inc_hf_op(b, INC_OP_COS, numbered(b, path, "cos/Cos", 0), 1, &x);
    rope.cos = unsqueeze(b, NULL, rope.cos, 1);
    rope.sin = inc_hf_op(b, INC_OP_SIN, numbered(b, path, "sin/Sin", 0), 1, &x);
    rope.sin = unsqueeze(b, NULL, rope.sin, 1);
    return rope;
}

struct inc_value *inc_hf_rotate(struct inc_hf_builder *b, const char *path, int index, struct inc_value *x,
                                const struct inc_hf_rope *rope)
{
    int64_t half = rope->head_dim / 2;
    struct inc_value *straight = inc_hf_op(b, INC_OP_MULTIPLY, numbered(b, path, "mul/Multiply", 2 * index), 2,
                                           (struct inc_value *[]){x, rope->cos});
    struct inc_value *parts[2];
    parts[0] = inc_hf_channels(b, numbered(b, path, "slice/Slice", 2 * index), x, 4, half, rope->head_dim);
    parts[0] = inc_hf_scale(b, numbered(b, path, "neg/Multiply", index), parts[0], 0, -1.0);
    parts[1] = inc_hf_channels(b, numbered(b, path, "slice/Slice", 2 * index + 1), x, 4, 0, half);
    struct inc_value *turned = inc_hf_op(b, INC_OP_CONCAT, numbered(b, path, "cat/Concat", index), 2, parts);
    if (turned != NULL) inc_attr_set_int(turned->node, "axis", -1);
    turned = inc_hf_op(b, INC_OP_MULTIPLY, numbered(b, path, "mul/Multiply", 2 * index + 1), 2,
                       (struct inc_value *[]){turned, rope->sin});
    return inc_hf_add(b, numbered(b, path, "add/Add", index), straight, turned);
}
