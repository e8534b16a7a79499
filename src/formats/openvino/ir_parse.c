/* SPDX-License-Identifier: Apache-2.0 */
/* IR's XML, read in one pass with expat. What the elements mean is the table `rules`; nothing outside it is accepted.
 * Expat has no limits of its own that matter here, so: no DOCTYPE (no entities, no amplification), bounded depth, and
 * every list grows with the elements that were really there. */
#include "formats/openvino/ir_reader.h"

#include <expat.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/size.h"

#define MAX_DEPTH 64
#define MAX_ATTRS 16                 /* of one op; ops.def stays far below */
#define MAX_ID ((uint64_t)INT32_MAX) /* of layers and ports */

enum state {
    AT_TOP,
    IN_NET,
    IN_LAYERS,
    IN_LAYER,
    IN_DATA,
    IN_INPUT,
    IN_OUTPUT,
    IN_PORT,
    IN_DIM,
    IN_EDGES,
    IN_EDGE,
    IN_INFO,
    IN_IGNORED
};

struct frame {
    enum state state;
    unsigned seen;               /* bit per rule: which children that may come once have come */
    struct inc_info **info_tail; /* IN_INFO: where the next child goes */
};

/* The layer that is open. */
struct layer {
    bool open;
    uint32_t id;
    enum inc_op op;
    struct inc_buffer name;
    unsigned long line;
    struct inc_attr attrs[MAX_ATTRS]; /* in the order of the op's spec */
    unsigned given;                   /* bit per attribute */
    uint64_t offset, size;            /* Const */
    bool has_offset, has_size;
    size_t first_port;
    uint32_t n_inputs, n_outputs;
    struct inc_info *info;
};

struct parse {
    struct inc_ir_reader *reader;
    XML_Parser xml;
    enum incise_status status;
    struct frame stack[MAX_DEPTH + 1];
    unsigned depth; /* stack[depth] is the open element */
    struct layer layer;
    bool warned;   /* of rt_info that is dropped; once is enough */
    char text[32]; /* of <dim> */
    size_t text_length;
};

/* ---- failing --------------------------------------------------------------------------------------------------- */

/* A name that may be empty. */
static const char *layer_name(const struct layer *layer)
{
    return layer->name.data != NULL ? layer->name.data : "";
}

static void fail(struct parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Keeps and reports the first failure, and stops the parser. */
static void fail(struct parse *parse, const char *format, ...)
{
    char text[512];
    va_list args;
    if (parse->status != INCISE_OK) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct inc_ctx *ctx = parse->reader->ctx;
    const struct layer *layer = &parse->layer;
    unsigned long line = XML_GetCurrentLineNumber(parse->xml);
    if (layer->open)
        parse->status =
            inc_fail(ctx, INCISE_ERROR_DATA, "%s:%lu: layer %u '%.200s' (%s %s): %s", parse->reader->source, line,
                     layer->id, layer_name(layer), inc_ops[layer->op].name, inc_ops[layer->op].opset, text);
    else
        parse->status = inc_fail(ctx, INCISE_ERROR_DATA, "%s:%lu: %s", parse->reader->source, line, text);
    XML_StopParser(parse->xml, XML_FALSE);
}

/* Passes a reported failure on to the parser. */
static bool accept(struct parse *parse, enum incise_status status)
{
    if (status == INCISE_OK) return true;
    if (parse->status == INCISE_OK) parse->status = status;
    XML_StopParser(parse->xml, XML_FALSE);
    return false;
}

static void *take(struct parse *parse, size_t count, size_t size)
{
    void *memory = inc_arena_alloc(&parse->reader->graph->arena, count, size);
    if (memory == NULL) accept(parse, inc_fail_memory(parse->reader->ctx, size, parse->reader->source));
    return memory;
}

static const char *copy_text(struct parse *parse, const char *text, size_t length)
{
    char *copy = inc_arena_strndup(&parse->reader->graph->arena, text, length);
    if (copy == NULL) accept(parse, inc_fail_memory(parse->reader->ctx, length, parse->reader->source));
    return copy;
}

/* ---- small readers --------------------------------------------------------------------------------------------- */

static const char *find_attribute(const char **attrs, const char *name)
{
    for (; attrs[0] != NULL; attrs += 2)
        if (strcmp(attrs[0], name) == 0) return attrs[1];
    return NULL;
}

/* Decimal digits only. */
static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (*text == '\0') return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (max - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

static bool read_id(struct parse *parse, const char **attrs, const char *element, const char *name, uint32_t *id)
{
    const char *text = find_attribute(attrs, name);
    uint64_t value;
    if (text == NULL) {
        fail(parse, "<%s> has no attribute '%s'", element, name);
        return false;
    }
    if (!parse_number(text, MAX_ID, &value)) {
        fail(parse, "<%s> has the malformed %s=\"%.40s\"", element, name, text);
        return false;
    }
    *id = (uint32_t)value;
    return true;
}

/* Splits "a,b\,c" at commas that no backslash precedes. */
static bool read_names(struct parse *parse, const char *text, const char ***names, uint32_t *n_names)
{
    size_t most = 1;
    for (const char *c = text; *c != '\0'; c++) most += *c == ',';
    const char **list = take(parse, most, sizeof(char *));
    uint32_t n = 0;
    if (list == NULL) return false;
    while (*text != '\0') {
        const char *end = text;
        while (*end != '\0' && !(*end == ',' && (end == text || end[-1] != '\\'))) end++;
        char *name = take(parse, (size_t)(end - text) + 1, 1);
        if (name == NULL) return false;
        list[n] = name;
        for (const char *c = text; c < end; c++)
            if (!(c[0] == '\\' && c + 1 < end && c[1] == ',')) *name++ = *c;
        if (*list[n] != '\0') n++;
        text = *end == '\0' ? end : end + 1;
    }
    *names = list;
    *n_names = n;
    return true;
}

/* ---- attributes of a layer ------------------------------------------------------------------------------------- */

static bool read_const_attribute(struct parse *parse, const char *key, const char *value)
{
    struct layer *layer = &parse->layer;
    bool is_offset = strcmp(key, "offset") == 0;
    if (layer->op != INC_OP_CONSTANT || (!is_offset && strcmp(key, "size") != 0)) return false;
    if (!parse_number(value, UINT64_MAX, is_offset ? &layer->offset : &layer->size))
        fail(parse, "attribute %s=\"%.40s\" is malformed", key, value);
    *(is_offset ? &layer->has_offset : &layer->has_size) = true;
    return true;
}

static void read_attribute(struct parse *parse, const char *key, const char *value)
{
    struct layer *layer = &parse->layer;
    struct inc_attr_spec spec;
    const char *cursor = inc_ops[layer->op].attrs;
    if (read_const_attribute(parse, key, value)) return;
    for (unsigned i = 0; i < MAX_ATTRS && inc_attr_spec_next(&cursor, &spec); i++) {
        if (strcmp(spec.name, key) != 0) continue;
        if (!inc_attr_parse(parse->reader->graph, &spec, value, strlen(value), &layer->attrs[i]))
            fail(parse, "attribute %s=\"%.80s\" is malformed or not supported", key, value);
        layer->given |= 1u << i;
        return;
    }
    fail(parse, "attribute %.80s=\"%.80s\" is not known for this op", key, value);
}

static void start_data(struct parse *parse, const char **attrs)
{
    for (; attrs[0] != NULL && parse->status == INCISE_OK; attrs += 2) read_attribute(parse, attrs[0], attrs[1]);
}

/* ---- layers ---------------------------------------------------------------------------------------------------- */

static void start_layer(struct parse *parse, const char **attrs)
{
    struct layer *layer = &parse->layer;
    const char *name = find_attribute(attrs, "name"), *type = find_attribute(attrs, "type");
    const char *opset = find_attribute(attrs, "version");
    if (!read_id(parse, attrs, "layer", "id", &layer->id)) return;
    if (name == NULL || type == NULL || opset == NULL) {
        fail(parse, "layer %u has no attribute '%s'", layer->id,
             name == NULL   ? "name"
             : type == NULL ? "type"
                            : "version");
        return;
    }
    if (!inc_op_find(type, opset, &layer->op)) {
        fail(parse, "layer %u '%.200s' (%.80s %.80s): this op is not supported", layer->id, name, type, opset);
        return;
    }
    inc_buffer_clear(&layer->name);
    inc_buffer_puts(&layer->name, name);
    if (!accept(parse, inc_buffer_check(&layer->name))) return;
    layer->open = true;
    layer->line = XML_GetCurrentLineNumber(parse->xml);
    layer->given = 0;
    layer->has_offset = layer->has_size = false;
    layer->first_port = parse->reader->n_ports;
    layer->n_inputs = layer->n_outputs = 0;
    layer->info = NULL;
    const char *output_names = find_attribute(attrs, "output_names");
    if (layer->op == INC_OP_RESULT && output_names != NULL) read_attribute(parse, "output_names", output_names);
}

static bool check_counts(struct parse *parse)
{
    const struct layer *layer = &parse->layer;
    const struct inc_op_info *info = &inc_ops[layer->op];
    bool outputs_vary = info->n_outputs == 0 && layer->op != INC_OP_RESULT;
    if (layer->n_inputs < info->min_inputs)
        fail(parse, "has %u inputs; this op takes at least %u", layer->n_inputs, info->min_inputs);
    else if (layer->n_inputs > info->max_inputs)
        fail(parse, "has %u inputs; this op takes at most %u", layer->n_inputs, info->max_inputs);
    else if (outputs_vary ? layer->n_outputs == 0 : layer->n_outputs != info->n_outputs)
        fail(parse, "has %u outputs; this op gives %u", layer->n_outputs, outputs_vary ? 1 : info->n_outputs);
    return parse->status == INCISE_OK;
}

/* Moves the attributes that were read into the node; the others keep their defaults. */
static bool set_attributes(struct parse *parse, struct inc_node *node)
{
    struct inc_attr_spec spec;
    const char *cursor = inc_ops[node->op].attrs;
    for (unsigned i = 0; i < MAX_ATTRS && inc_attr_spec_next(&cursor, &spec); i++) {
        if (parse->layer.given & 1u << i)
            node->attrs[i].u = parse->layer.attrs[i].u;
        else if (spec.required)
            fail(parse, "attribute '%s' is missing", spec.name);
    }
    return parse->status == INCISE_OK;
}

/* Fills node->data but for the pointer, and notes which range it wants. */
static void add_constant(struct parse *parse, struct inc_node *node)
{
    struct inc_ir_reader *reader = parse->reader;
    const struct layer *layer = &parse->layer;
    const struct inc_shape *shape = &inc_node_attr(node, "shape")->u.shape;
    struct inc_tensor *data = &node->data;
    size_t count;
    if (!layer->has_offset || !layer->has_size) {
        fail(parse, "attribute '%s' is missing", layer->has_offset ? "size" : "offset");
        return;
    }
    data->type = inc_attr_type(node, "element_type");
    data->rank = shape->rank;
    for (int i = 0; i < shape->rank; i++) {
        if (!inc_dim_is_const(shape->dims[i])) fail(parse, "the shape of a constant must be constant");
        data->dims[i] = shape->dims[i].value;
    }
    if (shape->rank < 0) fail(parse, "the shape of a constant must be constant");
    if (parse->status != INCISE_OK) return;
    if (!inc_tensor_count(data->rank, data->dims, data->type, &count, &data->bytes)) {
        fail(parse, "the shape is negative or larger than memory");
        return;
    }
    if (data->bytes > layer->size) {
        fail(parse, "size=\"%llu\" is less than the %zu bytes of its elements", (unsigned long long)layer->size,
             data->bytes);
        return;
    }
    if (!accept(parse, inc_grow(reader->ctx, (void **)&reader->constants, &reader->constants_capacity,
                                reader->n_constants, sizeof *reader->constants)))
        return;
    reader->constants[reader->n_constants++] =
        (struct inc_ir_constant){node, layer->offset, layer->size, data->bytes, layer->line, false};
    node->outputs[0].type = data->type;
    node->outputs[0].shape = *shape;
}

static void end_layer(struct parse *parse)
{
    struct inc_ir_reader *reader = parse->reader;
    struct layer *layer = &parse->layer;
    if (!check_counts(parse)) return;
    struct inc_node *node = inc_graph_add_outputs(reader->graph, layer->op, layer_name(layer), NULL, layer->n_inputs,
                                                  layer->n_outputs, NULL);
    if (node == NULL) {
        accept(parse, INCISE_ERROR_MEMORY);
        return;
    }
    if (!accept(parse, inc_grow(reader->ctx, (void **)&reader->layers, &reader->layers_capacity, reader->n_layers,
                                sizeof *reader->layers)))
        return;
    node->id = layer->id;
    node->info = layer->info;
    reader->layers[reader->n_layers++] = (struct inc_ir_layer){layer->id, node};
    for (size_t i = layer->first_port; i < reader->n_ports; i++) {
        struct inc_ir_port *port = &reader->ports[i];
        port->node = node;
        if (!port->is_output) continue;
        node->outputs[port->index].names = port->names;
        node->outputs[port->index].n_names = port->n_names;
        node->outputs[port->index].info = port->info;
    }
    if (set_attributes(parse, node) && node->op == INC_OP_CONSTANT) add_constant(parse, node);
    layer->open = false;
}

/* ---- ports ----------------------------------------------------------------------------------------------------- */

static void start_port(struct parse *parse, const char **attrs)
{
    struct inc_ir_reader *reader = parse->reader;
    struct layer *layer = &parse->layer;
    struct inc_ir_port port = {.layer = layer->id, .type = INC_TYPE_COUNT, .first_dim = reader->n_dims};
    port.is_output = parse->stack[parse->depth - 1].state == IN_OUTPUT;
    port.index = port.is_output ? layer->n_outputs++ : layer->n_inputs++;
    if (!read_id(parse, attrs, "port", "id", &port.id)) return;
    const char *names = find_attribute(attrs, "names"), *precision = find_attribute(attrs, "precision");
    if (port.is_output && names != NULL && !read_names(parse, names, &port.names, &port.n_names)) return;
    if (port.is_output && precision != NULL && strcmp(precision, "UNSPECIFIED") != 0 &&
        !inc_type_parse(precision, &port.type)) {
        fail(parse, "port %u has precision \"%.40s\", which is not supported", port.id, precision);
        return;
    }
    if (accept(parse, inc_grow(reader->ctx, (void **)&reader->ports, &reader->ports_capacity, reader->n_ports,
                               sizeof *reader->ports)))
        reader->ports[reader->n_ports++] = port;
}

static void start_dim(struct parse *parse, const char **attrs)
{
    (void)attrs;
    parse->text_length = 0;
}

static void end_dim(struct parse *parse)
{
    struct inc_ir_reader *reader = parse->reader;
    struct inc_ir_port *port = &reader->ports[reader->n_ports - 1];
    uint64_t value = 0;
    parse->text[parse->text_length] = '\0';
    bool dynamic = strcmp(parse->text, "-1") == 0 || strcmp(parse->text, "?") == 0;
    if (!dynamic && !parse_number(parse->text, INT64_MAX, &value)) {
        fail(parse, "port %u has the malformed dim \"%s\"", port->id, parse->text);
        return;
    }
    if (++port->rank > INC_MAX_RANK) {
        fail(parse, "port %u has more than %d dims, which is not supported", port->id, INC_MAX_RANK);
        return;
    }
    if (!port->is_output) return;
    if (accept(parse, inc_grow(reader->ctx, (void **)&reader->dims, &reader->dims_capacity, reader->n_dims,
                               sizeof *reader->dims)))
        reader->dims[reader->n_dims++] = dynamic ? -1 : (int64_t)value;
}

/* ---- edges, net, rt_info --------------------------------------------------------------------------------------- */

static void start_edge(struct parse *parse, const char **attrs)
{
    struct inc_ir_reader *reader = parse->reader;
    struct inc_ir_edge edge = {.line = XML_GetCurrentLineNumber(parse->xml)};
    if (!read_id(parse, attrs, "edge", "from-layer", &edge.from_layer) ||
        !read_id(parse, attrs, "edge", "from-port", &edge.from_port) ||
        !read_id(parse, attrs, "edge", "to-layer", &edge.to_layer) ||
        !read_id(parse, attrs, "edge", "to-port", &edge.to_port))
        return;
    if (accept(parse, inc_grow(reader->ctx, (void **)&reader->edges, &reader->edges_capacity, reader->n_edges,
                               sizeof *reader->edges)))
        reader->edges[reader->n_edges++] = edge;
}

static void start_net(struct parse *parse, const char **attrs)
{
    const char *name = find_attribute(attrs, "name"), *version = find_attribute(attrs, "version");
    uint64_t number = 0;
    if (version == NULL || !parse_number(version, INT32_MAX, &number) || number < 10 || number > 11) {
        fail(parse, "IR version \"%.40s\" is not supported (10 and 11 are)", version != NULL ? version : "");
        return;
    }
    parse->reader->graph->ir_version = (int)number;
    if (name == NULL) name = "";
    const char *copy = copy_text(parse, name, strlen(name));
    if (copy != NULL) parse->reader->graph->name = copy;
}

static void start_model_info(struct parse *parse, const char **attrs)
{
    (void)attrs;
    parse->stack[parse->depth].info_tail = &parse->reader->graph->info;
}

static void start_layer_info(struct parse *parse, const char **attrs)
{
    (void)attrs;
    parse->stack[parse->depth].info_tail = &parse->layer.info;
}

/* The port list may move while its rt_info is read, but no port is added within one. */
static void start_port_info(struct parse *parse, const char **attrs)
{
    (void)attrs;
    struct inc_ir_port *port = &parse->reader->ports[parse->reader->n_ports - 1];
    parse->stack[parse->depth].info_tail = &port->info;
    if (port->is_output || parse->warned) return;
    parse->warned = true;
    inc_log(parse->reader->ctx, INCISE_LOG_WARNING, "%s:%lu: layer %u: rt_info of input ports is dropped",
            parse->reader->source, XML_GetCurrentLineNumber(parse->xml), parse->layer.id);
}

static void start_info_child(struct parse *parse, const char *name, const char **attrs)
{
    struct inc_info *info = take(parse, 1, sizeof *info);
    size_t n = 0;
    while (attrs[2 * n] != NULL) n++;
    if (info == NULL) return;
    info->name = copy_text(parse, name, strlen(name));
    info->keys = take(parse, n, sizeof(char *));
    info->values = take(parse, n, sizeof(char *));
    info->n_attrs = n;
    if (parse->status != INCISE_OK) return;
    for (size_t i = 0; i < n; i++) {
        info->keys[i] = copy_text(parse, attrs[2 * i], strlen(attrs[2 * i]));
        info->values[i] = copy_text(parse, attrs[2 * i + 1], strlen(attrs[2 * i + 1]));
    }
    struct inc_info ***tail = &parse->stack[parse->depth - 1].info_tail;
    **tail = info;
    *tail = &info->next;
    parse->stack[parse->depth].info_tail = &info->child;
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

static const struct rule {
    enum state parent;
    const char *name;
    enum state state;
    bool once;
    void (*start)(struct parse *parse, const char **attrs); /* or NULL */
} rules[] = {
    {AT_TOP, "net", IN_NET, true, start_net},
    {IN_NET, "layers", IN_LAYERS, true, NULL},
    {IN_NET, "edges", IN_EDGES, true, NULL},
    {IN_NET, "rt_info", IN_INFO, true, start_model_info},
    {IN_NET, "meta_data", IN_IGNORED, true, NULL}, /* how a version 10 file was made */
    {IN_NET, "quantization_parameters", IN_IGNORED, true, NULL},
    {IN_LAYERS, "layer", IN_LAYER, false, start_layer},
    {IN_LAYER, "data", IN_DATA, true, start_data},
    {IN_LAYER, "rt_info", IN_INFO, true, start_layer_info},
    {IN_LAYER, "input", IN_INPUT, true, NULL},
    {IN_LAYER, "output", IN_OUTPUT, true, NULL},
    {IN_INPUT, "port", IN_PORT, false, start_port},
    {IN_OUTPUT, "port", IN_PORT, false, start_port},
    {IN_PORT, "dim", IN_DIM, false, start_dim},
    {IN_PORT, "rt_info", IN_INFO, true, start_port_info},
    {IN_EDGES, "edge", IN_EDGE, false, start_edge},
};

enum { N_RULES = sizeof rules / sizeof rules[0] };

static const struct rule *find_rule(struct parse *parse, const char *name)
{
    struct frame *frame = &parse->stack[parse->depth];
    for (unsigned i = 0; i < N_RULES; i++) {
        if (rules[i].parent != frame->state || strcmp(rules[i].name, name) != 0) continue;
        if (rules[i].once && (frame->seen & 1u << i) != 0) {
            fail(parse, "<%s> is given twice", rules[i].name);
            return NULL;
        }
        frame->seen |= 1u << i;
        return &rules[i];
    }
    fail(parse, "element <%.80s> does not belong here", name);
    return NULL;
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attrs)
{
    struct parse *parse = user;
    const struct inc_ctx *ctx = parse->reader->ctx;
    if (parse->status != INCISE_OK) return;
    if (parse->depth == MAX_DEPTH) {
        fail(parse, "elements are nested deeper than %d", MAX_DEPTH);
        return;
    }
    if (ctx->max_memory != 0 && parse->reader->graph->arena.bytes > ctx->max_memory) {
        accept(parse, inc_fail_memory(ctx, parse->reader->graph->arena.bytes, "the graph: more than the memory limit"));
        return;
    }
    enum state state = parse->stack[parse->depth].state;
    const struct rule *rule = NULL;
    if (state != IN_INFO && state != IN_IGNORED) {
        rule = find_rule(parse, name);
        if (rule == NULL) return;
        state = rule->state;
    }
    parse->stack[++parse->depth] = (struct frame){.state = state};
    if (rule == NULL && state == IN_INFO) start_info_child(parse, name, attrs);
    if (rule != NULL && rule->start != NULL) rule->start(parse, attrs);
}

static void XMLCALL on_end(void *user, const XML_Char *name)
{
    struct parse *parse = user;
    if (parse->status != INCISE_OK) return;
    enum state state = parse->stack[parse->depth--].state;
    if (state == IN_LAYER) end_layer(parse);
    if (state == IN_DIM) end_dim(parse);
    (void)name;
}

static void XMLCALL on_text(void *user, const XML_Char *text, int length)
{
    struct parse *parse = user;
    enum state state = parse->stack[parse->depth].state;
    if (parse->status != INCISE_OK || state == IN_IGNORED) return;
    if (state == IN_DIM) {
        if ((size_t)length >= sizeof parse->text - parse->text_length) {
            fail(parse, "<dim> holds too much text");
            return;
        }
        memcpy(parse->text + parse->text_length, text, (size_t)length);
        parse->text_length += (size_t)length;
        return;
    }
    for (int i = 0; i < length; i++) {
        if (strchr(" \t\r\n", text[i]) != NULL) continue;
        fail(parse, "there is text where only elements belong");
        return;
    }
}

static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                               int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    fail(user, "a DOCTYPE is not accepted");
}

static enum incise_status run_parser(struct parse *parse, const void *xml, size_t size)
{
    struct inc_ir_reader *reader = parse->reader;
    XML_SetUserData(parse->xml, parse);
    XML_SetElementHandler(parse->xml, on_start, on_end);
    XML_SetCharacterDataHandler(parse->xml, on_text);
    XML_SetStartDoctypeDeclHandler(parse->xml, on_doctype);
    if (XML_Parse(parse->xml, xml, (int)size, XML_TRUE) == XML_STATUS_OK) return parse->status;
    enum XML_Error error = XML_GetErrorCode(parse->xml);
    if (parse->status != INCISE_OK) return parse->status;
    if (error == XML_ERROR_NO_MEMORY) return inc_fail_memory(reader->ctx, size, "the XML parser");
    return inc_fail(reader->ctx, INCISE_ERROR_DATA, "%s:%lu: %s", reader->source,
                    (unsigned long)XML_GetCurrentLineNumber(parse->xml), XML_ErrorString(error));
}

enum incise_status inc_ir_parse(struct inc_ir_reader *reader, const void *xml, size_t size)
{
    struct parse parse = {.reader = reader};
    if (size > INC_IR_MAX_XML)
        return inc_fail(reader->ctx, INCISE_ERROR_DATA, "%s: %zu bytes of XML are more than 1 GiB", reader->source,
                        size);
    parse.xml = XML_ParserCreate(NULL);
    if (parse.xml == NULL) return inc_fail_memory(reader->ctx, 0, "the XML parser");
    inc_buffer_init(&parse.layer.name, reader->ctx);
    enum incise_status status = run_parser(&parse, xml, size);
    inc_buffer_fini(&parse.layer.name);
    XML_ParserFree(parse.xml);
    return status;
}
