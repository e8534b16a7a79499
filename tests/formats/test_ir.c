/* SPDX-License-Identifier: Apache-2.0 */
/* IR reader and writer on a tiny model given as text, on every way to spoil it, and on files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "formats/openvino/ir.h"
#include "support/support.h"

/* x[?,1..10,4] x w[3,4]^T, + bias, softmax; `half` is an f16 constant at an odd offset that the Convert reads. */
#define PORT_IN(id) "<port id=\"" id "\" precision=\"FP32\"><dim>-1</dim></port>"
static const char model[] =
    "<?xml version=\"1.0\"?>\n"
    "<net name=\"tiny &lt;1&gt;\" version=\"11\">\n<layers>\n"
    "<layer id=\"7\" name=\"x\" type=\"Parameter\" version=\"opset1\">"
    "<data shape=\"?,1..10,4\" element_type=\"f32\"/>"
    "<output><port id=\"0\" precision=\"FP32\" names=\"a\\,b,x\"><dim>-1</dim><dim>-1</dim><dim>4</dim>"
    "<rt_info><attribute name=\"layout\" version=\"0\" layout=\"[N,C,W]\"/></rt_info></port></output></layer>\n"
    "<layer id=\"1\" name=\"w\" type=\"Const\" version=\"opset1\">"
    "<data element_type=\"f32\" shape=\"3, 4\" offset=\"0\" size=\"48\"/>"
    "<output><port id=\"0\" precision=\"FP32\"><dim>3</dim><dim>4</dim></port></output></layer>\n"
    "<layer id=\"2\" name=\"../mm\" type=\"MatMul\" version=\"opset1\">"
    "<data transpose_a=\"false\" transpose_b=\"true\"/>"
    "<rt_info><attribute name=\"fused\" version=\"0\" value=\"a &amp; &quot;b&quot;&#10;c\"/><other/></rt_info>"
    "<input>" PORT_IN("0") PORT_IN("1") "</input>"
    "<output><port id=\"2\" precision=\"FP32\" names=\"mm\"><dim>-1</dim><dim>-1</dim><dim>3</dim></port></output>"
    "</layer>\n"
    "<layer id=\"4\" name=\"half\" type=\"Const\" version=\"opset1\">"
    "<data element_type=\"f16\" shape=\"3\" offset=\"49\" size=\"6\"/>"
    "<output><port id=\"0\" precision=\"FP16\"><dim>3</dim></port></output></layer>\n"
    "<layer id=\"5\" name=\"bias\" type=\"Convert\" version=\"opset1\"><data destination_type=\"f32\"/>"
    "<rt_info><attribute name=\"decompression\" version=\"0\"/></rt_info>"
    "<input>" PORT_IN("0") "</input><output><port id=\"1\" precision=\"FP32\"><dim>3</dim></port></output></layer>\n"
    "<layer id=\"6\" name=\"add\" type=\"Add\" version=\"opset1\"><data auto_broadcast=\"numpy\"/>"
    "<input>" PORT_IN("0") PORT_IN("1") "</input>"
    "<output><port id=\"2\" precision=\"FP32\"><dim>-1</dim><dim>-1</dim><dim>3</dim></port></output></layer>\n"
    "<layer id=\"3\" name=\"soft\" type=\"SoftMax\" version=\"opset8\"><data axis=\"-1\"/>"
    "<input>" PORT_IN("0") "</input>"
    "<output><port id=\"1\" precision=\"FP32\" names=\"out\"><dim>-1</dim><dim>-1</dim><dim>3</dim></port></output>"
    "</layer>\n"
    "<layer id=\"9\" name=\"result\" type=\"Result\" version=\"opset1\" output_names=\"out\">"
    "<input>" PORT_IN("0") "</input></layer>\n"
    "</layers>\n<edges>\n"
    "<edge from-layer=\"7\" from-port=\"0\" to-layer=\"2\" to-port=\"0\"/>\n"
    "<edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"1\"/>\n"
    "<edge from-layer=\"4\" from-port=\"0\" to-layer=\"5\" to-port=\"0\"/>\n"
    "<edge from-layer=\"2\" from-port=\"2\" to-layer=\"6\" to-port=\"0\"/>\n"
    "<edge from-layer=\"5\" from-port=\"1\" to-layer=\"6\" to-port=\"1\"/>\n"
    "<edge from-layer=\"6\" from-port=\"2\" to-layer=\"3\" to-port=\"0\"/>\n"
    "<edge from-layer=\"3\" from-port=\"1\" to-layer=\"9\" to-port=\"0\"/>\n"
    "</edges>\n<rt_info><info name=\"OpenVINO Runtime\" value=\"1\"/>"
    "<nncf><a value=\"x\"/><b/></nncf></rt_info>\n</net>\n";

#define BIN_SIZE 55
static unsigned char bin[BIN_SIZE + 1];

static void fill_bin(void)
{
    for (size_t i = 0; i < sizeof bin; i++) bin[i] = (unsigned char)(i * 7 % 60);
}

/* `text` with the first `from` replaced by `to`; the caller frees it. */
static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (at == NULL) fail_msg("'%s' is not in the model", from);
    size_t n = strlen(text) - strlen(from) + strlen(to) + 1;
    char *out = malloc(n);
    assert_non_null(out);
    snprintf(out, n, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static enum incise_status read_text(const char *xml, size_t bin_size, struct inc_graph **graph)
{
    *graph = NULL;
    test_clear_error();
    /* A copy of exactly this size: sanitizers see any read past it. */
    unsigned char *exact = malloc(bin_size + 1);
    assert_non_null(exact);
    memcpy(exact, bin, bin_size);
    enum incise_status status = inc_ir_read_memory(test_ctx(), "tiny.xml", xml, strlen(xml), exact, bin_size, graph);
    free(exact);
    return status;
}

static const struct inc_node *find_node(const struct inc_graph *graph, const char *name)
{
    for (const struct inc_node *node = graph->first; node != NULL; node = node->next)
        if (strcmp(node->name, name) == 0) return node;
    fail_msg("no node '%s'", name);
    return NULL;
}

static void reads_everything(void **state)
{
    struct inc_graph *graph;
    (void)state;
    assert_int_equal(read_text(model, BIN_SIZE, &graph), INCISE_OK);
    assert_string_equal(graph->name, "tiny <1>");
    assert_string_equal(graph->source, "tiny.xml");
    assert_int_equal(graph->ir_version, 11);
    assert_int_equal(graph->n_nodes, 8);
    assert_int_equal(graph->next_id, 10);
    const struct inc_node *x = graph->parameters[0], *mm = find_node(graph, "../mm"), *half = find_node(graph, "half");
    assert_int_equal(x->id, 7);
    assert_int_equal(x->outputs[0].n_names, 2);
    assert_string_equal(x->outputs[0].names[0], "a,b");
    assert_string_equal(x->outputs[0].names[1], "x");
    const struct inc_shape *shape = &x->outputs[0].shape;
    assert_int_equal(shape->rank, 3);
    assert_int_not_equal(shape->dims[0].symbol, 0);
    assert_int_not_equal(shape->dims[0].symbol, shape->dims[1].symbol);
    assert_int_equal(graph->symbols[shape->dims[1].symbol].min, 1);
    assert_int_equal(graph->symbols[shape->dims[1].symbol].max, 10);
    assert_int_equal(shape->dims[2].value, 4);
    assert_string_equal(x->outputs[0].info->values[2], "[N,C,W]");
    assert_true(inc_attr_bool(mm, "transpose_b"));
    assert_string_equal(mm->info->values[2], "a & \"b\"\nc");
    assert_string_equal(mm->info->next->name, "other");
    assert_ptr_equal(mm->inputs[0], &x->outputs[0]);
    assert_ptr_equal(mm->inputs[1], &find_node(graph, "w")->outputs[0]);
    assert_memory_equal(half->data.data, bin + 49, 6);
    assert_int_equal((uintptr_t)half->data.data % 2, 0);
    assert_string_equal(graph->info->values[0], "OpenVINO Runtime");
    assert_string_equal(graph->info->next->child->next->name, "b");
    assert_string_equal(inc_attr_string(graph->results[0], "output_names"), "out");
    inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
}

static const struct {
    const char *from, *to, *message;
} spoiled[] = {
    {"<net name", "<!DOCTYPE net [<!ENTITY a \"b\">]><net name", "DOCTYPE"},
    {"version=\"11\"", "version=\"12\"", "IR version"},
    {"version=\"11\"", "", "IR version"},
    {"<layers>", "<layers>text", "tiny.xml:3: there is text"},
    {"<layers>", "<blobs/><layers>", "<blobs> does not belong"},
    {"</layers>", "</layers><layers/>", "<layers> is given twice"},
    {"</net>", "", "tiny.xml:"},
    {"</net>", "</net><net/>", "junk after document"},
    {"id=\"7\"", "id=\"-7\"", "malformed id"},
    {"id=\"7\"", "id=\"99999999999999999999\"", "malformed id"},
    {"id=\"7\"", "", "no attribute 'id'"},
    {"id=\"7\"", "id=\"1\"", "same id"},
    {"name=\"x\" type", "type", "no attribute 'name'"},
    {"type=\"MatMul\"", "type=\"MatMix\"", "layer 2 '../mm' (MatMix opset1): this op is not supported"},
    {"type=\"Add\" version=\"opset1\"", "type=\"Add\" version=\"opset99\"", "layer 6 'add' (Add opset99)"},
    {"transpose_a=", "transpose_c=", "tiny.xml:6: layer 2 '../mm' (MatMul opset1): attribute transpose_c"},
    {"transpose_b=\"true\"", "transpose_b=\"yes\"", "attribute transpose_b=\"yes\" is malformed"},
    {"axis=\"-1\"", "axis=\"1e400\"", "malformed"},
    {"axis=\"-1\"", "axis=\"9223372036854775808\"", "malformed"},
    {"axis=\"-1\"", "axis=\"7\"", "layer 3 'soft' (SoftMax opset8)"},
    {"<data destination_type=\"f32\"/>", "", "attribute 'destination_type' is missing"},
    {"destination_type=\"f32\"", "destination_type=\"nf4\"", "not supported"},
    {"shape=\"?,1..10,4\"", "shape=\"?,10..1,4\"", "layer 7 'x'"},
    {"shape=\"?,1..10,4\"", "shape=\"...\"", "layer 7 'x'"},
    {"shape=\"?,1..10,4\"", "shape=\"?,?,?,?,?,?,?,?,?\"", "layer 7 'x'"},
    {"shape=\"?,1..10,4\"", "shape=\"?,-5,4\"", "layer 7 'x'"},
    {"shape=\"?,1..10,4\"", "shape=\"4\"", "layer"},
    {"shape=\"?,1..10,4\"", "shape=\"?,1..10,5\"", "layer"},
    {"shape=\"3, 4\"", "shape=\"3, ?\"", "must be constant"},
    {"shape=\"3, 4\"", "shape=\"3, -4\"", "layer 1 'w'"},
    {"shape=\"3, 4\"", "shape=\"4294967296,4294967296,4294967296\"", "larger than memory"},
    {"shape=\"3, 4\"", "shape=\"3, 5\"", "less than the 60 bytes"},
    {"element_type=\"f32\" shape=\"3, 4\"", "element_type=\"string\" shape=\"3, 4\"", "layer 1 'w' (Const opset1)"},
    {"element_type=\"f32\" shape=\"3, 4\"", "element_type=\"u1\" shape=\"3, 4\"", "not supported"},
    {"element_type=\"f32\" shape=\"3, 4\"", "element_type=\"f8e4m3\" shape=\"3, 4\"", "not supported"},
    {"element_type=\"f16\" shape=\"3\" offset=\"49\" size=\"6\"",
     "element_type=\"i4\" shape=\"3\" offset=\"49\" size=\"1\"", "less than the 2 bytes"},
    {"element_type=\"f16\" shape=\"3\"", "element_type=\"boolean\" shape=\"3\"", "booleans are 0 or 1"},
    {"offset=\"0\" size=\"48\"", "offset=\"8\" size=\"48\"", "outside the weights of 55 bytes"},
    {"offset=\"0\" size=\"48\"", "offset=\"18446744073709551615\" size=\"48\"", "outside the weights"},
    {"offset=\"0\" size=\"48\"", "offset=\"16\" size=\"18446744073709551608\"", "outside the weights"},
    {"offset=\"0\" size=\"48\"", "offset=\"0\"", "'size' is missing"},
    {"offset=\"0\" size=\"48\"", "size=\"48\"", "'offset' is missing"},
    {"offset=\"0\" size=\"48\"", "offset=\"0x0\" size=\"48\"", "offset=\"0x0\" is malformed"},
    {"<port id=\"2\" precision=\"FP32\" names=\"mm\">", "<port id=\"1\" precision=\"FP32\">", "port 1 is given twice"},
    {"<port id=\"2\" precision=\"FP32\" names=\"mm\">", "<port id=\"2\" precision=\"NF4\">", "precision \"NF4\""},
    {"<port id=\"2\" precision=\"FP32\" names=\"mm\">", "<port id=\"2\" precision=\"I32\">", "said to be i32"},
    {"names=\"mm\"><dim>-1</dim><dim>-1</dim>", "names=\"mm\"><dim>-1</dim>", "said to have rank 2"},
    {"<dim>-1</dim><dim>-1</dim><dim>3</dim>", "<dim>-1</dim><dim>-1</dim><dim>5</dim>", "said to be 5"},
    {"<dim>4</dim>", "<dim>four</dim>", "malformed dim"},
    {"<dim>4</dim>", "<dim>4<dim>4</dim></dim>", "does not belong"},
    {"<dim>4</dim>", "<dim>44444444444444444444444444444444444444</dim>", "too much text"},
    {"</port></output></layer>\n<layer id=\"9\"", "</port><port id=\"2\"/></output></layer>\n<layer id=\"9\"",
     "layer 3 'soft' (SoftMax opset8): has 2 outputs"},
    {"<input>" PORT_IN("0") PORT_IN("1") "</input>", "<input>" PORT_IN("0") "</input>", "has 1 inputs"},
    {"<input>" PORT_IN("0") "</input></layer>\n</layers>", "</layer>\n</layers>",
     "layer 9 'result' (Result opset1): has 0 inputs"},
    {"type=\"Result\" version=\"opset1\" output_names=\"out\"", "type=\"Abs\" version=\"opset1\"", "has 0 outputs"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"8\" from-port=\"0\"", "layer 8, which does not exist"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"7\" from-port=\"1\"", "output port 1, which does not exist"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"6\" from-port=\"0\"", "output port 0, which does not exist"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"7\"", "no attribute 'from-port'"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"6\" from-port=\"2\"", "cycle"},
    {"from-layer=\"7\" from-port=\"0\"", "from-layer=\"2\" from-port=\"2\"", "cycle"},
    {"to-layer=\"2\" to-port=\"1\"", "to-layer=\"2\" to-port=\"0\"",
     "layer 2 '../mm' (MatMul opset1): the edge on line"},
    {"to-layer=\"2\" to-port=\"1\"", "to-layer=\"2\" to-port=\"2\"", "input port 2, which does not exist"},
    {"<edge from-layer=\"4\" from-port=\"0\" to-layer=\"5\" to-port=\"0\"/>", "", "no edge leads to input port 0"},
    {"<a value=\"x\"/>", "<a value=\"x\"/>text", "there is text"},
};

static void refuses_spoiled_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        struct inc_graph *graph;
        char *xml = replace(model, spoiled[i].from, spoiled[i].to);
        enum incise_status status = read_text(xml, BIN_SIZE, &graph);
        if (status != INCISE_ERROR_DATA || strstr(test_last_error(), spoiled[i].message) == NULL)
            fail_msg("%s -> %s: status %d, '%s', wanted '%s'", spoiled[i].from, spoiled[i].to, (int)status,
                     test_last_error(), spoiled[i].message);
        free(xml);
        assert_int_equal(test_live_allocations(), 0);
    }
}

/* Variants that are unusual but mean something. */
static const struct {
    const char *from, *to;
} accepted[] = {
    {"version=\"11\"", "version=\"10\""},
    {"transpose_b=\"true\"", "transpose_b=\"True\""},
    {"type=\"SoftMax\"", "type=\"Softmax\""},
    {"auto_broadcast=\"numpy\"", ""},
    {"<layers>", "<meta_data><a>text<b/></a></meta_data><layers><!-- a comment -->"},
    {"precision=\"FP32\" names=\"mm\"", ""},
    {"size=\"48\"", "size=\"50\""},
    {"name=\"soft\"", "name=\"\""},
    {"<dim>4</dim>", "<dim>?</dim>"},
    {"<dim>-1</dim><dim>-1</dim><dim>4</dim>", ""}, /* no dims: rank not known */
    {PORT_IN("0"), "<port id=\"0\"><rt_info><a/></rt_info></port>"},
};

static void accepts_variants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct inc_graph *graph;
        char *xml = replace(model, accepted[i].from, accepted[i].to);
        if (read_text(xml, BIN_SIZE, &graph) != INCISE_OK)
            fail_msg("%s -> %s: %s", accepted[i].from, accepted[i].to, test_last_error());
        inc_graph_destroy(graph);
        free(xml);
    }
}

static void refuses_every_truncation(void **state)
{
    struct inc_graph *graph;
    (void)state;
    size_t n = strlen(model) - 1; /* the last byte is a newline */
    for (size_t i = 0; i < n; i++) {
        char *cut = malloc(i + 1);
        assert_non_null(cut);
        memcpy(cut, model, i);
        cut[i] = '\0';
        assert_int_equal(read_text(cut, BIN_SIZE, &graph), INCISE_ERROR_DATA);
        free(cut);
    }
    for (size_t i = 0; i < BIN_SIZE; i++) assert_int_equal(read_text(model, i, &graph), INCISE_ERROR_DATA);
    assert_int_equal(test_live_allocations(), 0);
}

static void refuses_deep_nesting(void **state)
{
    struct inc_graph *graph;
    size_t n = 1000000;
    (void)state;
    char *deep = malloc(3 * n + 1);
    assert_non_null(deep);
    for (size_t i = 0; i < n; i++) memcpy(deep + 3 * i, "<a>", 3);
    deep[3 * n] = '\0';
    char *xml = replace(model, "<a value=\"x\"/>", deep);
    assert_int_equal(read_text(xml, BIN_SIZE, &graph), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "deeper than 64"));
    free(xml);
    free(deep);
}

/* Ranges that overlap again and again would make memory and output grow beyond the file. */
static void refuses_overlapping_claims(void **state)
{
    struct inc_graph *graph;
    struct inc_buffer xml;
    (void)state;
    inc_buffer_init(&xml, test_ctx());
    inc_buffer_puts(&xml, "<net name=\"n\" version=\"11\"><layers>");
    for (int i = 0; i < 5; i++)
        inc_buffer_printf(&xml,
                          "<layer id=\"%d\" name=\"c\" type=\"Const\" version=\"opset1\">"
                          "<data element_type=\"u8\" shape=\"50\" offset=\"%d\" size=\"50\"/>"
                          "<output><port id=\"0\"><dim>50</dim></port></output></layer>",
                          i, i);
    inc_buffer_puts(&xml, "</layers><edges/></net>");
    assert_int_equal(inc_buffer_check(&xml), INCISE_OK);
    assert_int_equal(read_text(xml.data, BIN_SIZE, &graph), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "overlap"));
    inc_buffer_fini(&xml);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

struct folder {
    char path[256], xml[300], bin[300];
};

static void make_folder(struct folder *folder)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/inc_ir_XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->xml, sizeof folder->xml, "%s/openvino_model.xml", folder->path);
    snprintf(folder->bin, sizeof folder->bin, "%s/openvino_model.bin", folder->path);
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->xml);
    unlink(folder->bin);
    assert_int_equal(rmdir(folder->path), 0);
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static enum incise_status read_and_drop(const char *path)
{
    struct inc_graph *graph = NULL;
    test_clear_error();
    enum incise_status status = inc_ir_read(test_ctx(), path, &graph);
    if (status == INCISE_OK) inc_graph_destroy(graph);
    assert_int_equal(test_live_allocations(), 0);
    return status;
}

static void reads_files(void **state)
{
    struct folder folder;
    char other[320];
    (void)state;
    make_folder(&folder);
    assert_int_equal(read_and_drop(folder.path), INCISE_ERROR_NO_INPUT);
    write_file(folder.xml, model, strlen(model));
    assert_int_equal(read_and_drop(folder.xml), INCISE_ERROR_NO_INPUT); /* no .bin */
    write_file(folder.bin, bin, BIN_SIZE - 1);
    assert_int_equal(read_and_drop(folder.xml), INCISE_ERROR_DATA);
    write_file(folder.bin, bin, BIN_SIZE);
    assert_int_equal(read_and_drop(folder.xml), INCISE_OK);
    assert_int_equal(read_and_drop(folder.path), INCISE_OK);
    assert_int_equal(read_and_drop(folder.bin), INCISE_ERROR_NO_INPUT);
    assert_int_equal(read_and_drop("/"), INCISE_ERROR_NO_INPUT);
    assert_int_equal(read_and_drop(""), INCISE_ERROR_NO_INPUT);

    struct inc_graph *graph = NULL;
    struct inc_ctx limited = *test_ctx();
    limited.max_memory = BIN_SIZE - 1;
    assert_int_equal(inc_ir_read(&limited, folder.xml, &graph), INCISE_ERROR_MEMORY);

    snprintf(other, sizeof other, "%s/other", folder.path);
    assert_int_equal(rename(folder.bin, other), 0);
    assert_int_equal(symlink(other, folder.bin), 0);
    assert_int_equal(read_and_drop(folder.xml), INCISE_ERROR_DATA);
    assert_non_null(strstr(test_last_error(), "symbolic link"));
    unlink(folder.bin);
    unlink(other);
    assert_int_equal(mkfifo(folder.bin, 0600), 0);
    assert_int_equal(read_and_drop(folder.xml), INCISE_ERROR_NO_INPUT);
    unlink(folder.xml);
    assert_int_equal(mkfifo(folder.xml, 0600), 0);
    assert_int_equal(read_and_drop(folder.xml), INCISE_ERROR_NO_INPUT);
    remove_folder(&folder);
}

/* A model whose constants have no elements needs no .bin, and none is written. */
static void needs_no_bin_without_data(void **state)
{
    static const char empty[] =
        "<net name=\"n\" version=\"11\"><layers>"
        "<layer id=\"0\" name=\"x\" type=\"Parameter\" version=\"opset1\"><data shape=\"\" element_type=\"f32\"/>"
        "<output><port id=\"0\"/></output></layer>"
        "<layer id=\"1\" name=\"c\" type=\"Const\" version=\"opset1\">"
        "<data element_type=\"f32\" shape=\"0, 3\" offset=\"77\" size=\"1\"/>"
        "<output><port id=\"0\"><dim>0</dim><dim>3</dim></port></output></layer>"
        "<layer id=\"2\" name=\"a\" type=\"Add\" version=\"opset1\"><input><port id=\"0\"/><port id=\"1\"/></input>"
        "<output><port id=\"2\"><dim>0</dim><dim>3</dim></port></output></layer>"
        "<layer id=\"3\" name=\"r\" type=\"Result\" version=\"opset1\"><input><port id=\"0\"/></input></layer></layers>"
        "<edges><edge from-layer=\"0\" from-port=\"0\" to-layer=\"2\" to-port=\"0\"/>"
        "<edge from-layer=\"1\" from-port=\"0\" to-layer=\"2\" to-port=\"1\"/>"
        "<edge from-layer=\"2\" from-port=\"2\" to-layer=\"3\" to-port=\"0\"/></edges></net>";
    struct folder folder;
    struct inc_graph *graph = NULL;
    struct inc_output out;
    (void)state;
    make_folder(&folder);
    write_file(folder.xml, empty, strlen(empty));
    assert_int_equal(inc_ir_read(test_ctx(), folder.path, &graph), INCISE_OK);
    assert_int_equal(inc_output_begin(test_ctx(), folder.path, true, &out), INCISE_OK);
    assert_int_equal(inc_ir_write(graph, &out, "openvino_model"), INCISE_OK);
    assert_int_equal(inc_output_commit(&out), INCISE_OK);
    inc_output_discard(&out);
    inc_graph_destroy(graph);
    assert_int_not_equal(access(folder.bin, F_OK), 0);
    assert_int_equal(read_and_drop(folder.path), INCISE_OK);
    remove_folder(&folder);
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

static enum incise_status write_graph(struct inc_graph *graph, const char *path)
{
    struct inc_output out;
    INC_TRY(inc_output_begin(test_ctx(), path, true, &out));
    enum incise_status status = inc_ir_write(graph, &out, "openvino_model");
    if (status == INCISE_OK) status = inc_output_commit(&out);
    inc_output_discard(&out);
    return status;
}

static void dump(const struct inc_graph *graph, struct inc_buffer *text)
{
    inc_buffer_init(text, test_ctx());
    assert_int_equal(inc_graph_dump(graph, true, text), INCISE_OK);
    assert_int_equal(inc_buffer_check(text), INCISE_OK);
}

static void assert_same_files(const char *a, const char *b)
{
    struct inc_file x, y;
    assert_int_equal(inc_file_read(test_ctx(), a, SIZE_MAX - 1, &x), INCISE_OK);
    assert_int_equal(inc_file_read(test_ctx(), b, SIZE_MAX - 1, &y), INCISE_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    inc_file_release(test_ctx(), &x);
    inc_file_release(test_ctx(), &y);
}

static void round_trip_keeps_everything(void **state)
{
    struct folder first, second;
    struct inc_graph *graph, *again = NULL;
    struct inc_buffer before, after;
    uint64_t size;
    (void)state;
    make_folder(&first);
    make_folder(&second);
    assert_int_equal(read_text(model, BIN_SIZE, &graph), INCISE_OK);
    assert_int_equal(write_graph(graph, first.path), INCISE_OK);
    assert_int_equal(inc_ir_read(test_ctx(), first.path, &again), INCISE_OK);
    for (struct inc_node *node = graph->first; node != NULL; node = node->next) node->id = node->mark; /* as written */
    dump(graph, &before);
    dump(again, &after);
    assert_string_equal(before.data, after.data);
    assert_int_equal(write_graph(again, second.path), INCISE_OK);
    assert_same_files(first.xml, second.xml);
    assert_same_files(first.bin, second.bin);
    assert_true(inc_file_size(first.bin, &size));
    assert_int_equal(size, 64 + 6);
    inc_buffer_fini(&before);
    inc_buffer_fini(&after);
    inc_graph_destroy(graph);
    inc_graph_destroy(again);
    remove_folder(&first);
    remove_folder(&second);
    assert_int_equal(test_live_allocations(), 0);
}

static void writer_shares_equal_constants(void **state)
{
    struct folder folder;
    struct inc_graph *graph;
    uint64_t size;
    static const float values[12] = {1, 2, 3};
    static const int32_t bits[3] = {0x3f800000, 0x40000000, 0x40400000};
    struct inc_tensor a = {.type = INC_F32, .rank = 1, .dims = {3}, .data = (void *)(uintptr_t)values, .bytes = 12};
    struct inc_tensor b = {.type = INC_I32, .rank = 1, .dims = {3}, .data = (void *)(uintptr_t)bits, .bytes = 12};
    (void)state;
    make_folder(&folder);
    assert_int_equal(read_text(model, BIN_SIZE, &graph), INCISE_OK);
    assert_non_null(inc_graph_add_constant(graph, "a", &a, NULL, NULL));
    assert_non_null(inc_graph_add_constant(graph, "b", &b, NULL, NULL));
    assert_int_equal(write_graph(graph, folder.path), INCISE_OK);
    assert_true(inc_file_size(folder.bin, &size));
    assert_int_equal(size, 128 + 12);
    inc_graph_destroy(graph);
    remove_folder(&folder);
}

static void writer_refuses_what_xml_cannot_hold(void **state)
{
    struct folder folder;
    struct inc_graph *graph;
    static const char *const names[] = {"bell\a", "cut \xc3", "surrogate \xed\xa0\x80", "\xef\xbf\xbf"};
    (void)state;
    make_folder(&folder);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(read_text(model, BIN_SIZE, &graph), INCISE_OK);
        graph->first->name = names[i];
        assert_int_equal(write_graph(graph, folder.path), INCISE_ERROR_DATA);
        inc_graph_destroy(graph);
    }
    assert_int_equal(test_live_allocations(), 0);
    remove_folder(&folder);
}

static enum incise_status read_and_write(const char *path)
{
    struct inc_graph *graph = NULL;
    INC_TRY(inc_ir_read_memory(test_ctx(), "tiny.xml", model, strlen(model), bin, BIN_SIZE, &graph));
    enum incise_status status = write_graph(graph, path);
    inc_graph_destroy(graph);
    return status;
}

/* Lets n allocations succeed for n = 0, 1, ... until reading and writing succeed: every failure is one of memory. */
static void survives_every_failed_allocation(void **state)
{
    struct folder folder;
    size_t n = 0;
    (void)state;
    make_folder(&folder);
    for (enum incise_status status = INCISE_ERROR_MEMORY; status != INCISE_OK; n++) {
        test_fail_after(n);
        status = read_and_write(folder.path);
        test_fail_after(SIZE_MAX);
        if (status != INCISE_OK && status != INCISE_ERROR_MEMORY) fail_msg("n = %zu: status %d", n, (int)status);
        assert_int_equal(test_live_allocations(), 0);
        assert_true(n < 10000);
    }
    assert_true(n > 10);
    remove_folder(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_everything),
        cmocka_unit_test(refuses_spoiled_models),
        cmocka_unit_test(accepts_variants),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_deep_nesting),
        cmocka_unit_test(refuses_overlapping_claims),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(needs_no_bin_without_data),
        cmocka_unit_test(round_trip_keeps_everything),
        cmocka_unit_test(writer_shares_equal_constants),
        cmocka_unit_test(writer_refuses_what_xml_cannot_hold),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    fill_bin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
