/* SPDX-License-Identifier: Apache-2.0 */
/* Files of packed weights through the public API: the bits of the model itself; what is stale, damaged, cut short, of
 * another instruction set or no such file says so and never crashes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "formats/pack/pack_file.h"
#include "incise/session.h"
#include "support/fixture.h"

#define LENGTH 9

static char folder[] = "/tmp/incise-pack-XXXXXX";
static char said[4096]; /* by the library, at level WARNING */

static void keep(void *user, enum incise_log_level level, const char *text)
{
    (void)user, (void)level;
    snprintf(said + strlen(said), sizeof said - strlen(said), "%s\n", text);
}

static struct incise_engine *open_engine(int isa)
{
    struct incise_engine_options options;
    struct incise_engine *engine = NULL;
    incise_engine_options_init(&options);
    options.threads = 2;
    options.isa = isa;
    options.log = keep;
    said[0] = '\0';
    assert_int_equal(incise_engine_create(&options, &engine), INCISE_OK);
    return engine;
}

static const char *in_folder(const char *name)
{
    static char path[2][256];
    static int turn;
    char *to = path[turn ^= 1];
    snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

static void copy_file(const char *from, const char *to)
{
    struct inc_file file = {0};
    assert_int_equal(inc_file_read(test_ctx(), from, SIZE_MAX - 1, &file), INCISE_OK);
    assert_int_equal(inc_file_replace(test_ctx(), to, file.data, file.size), INCISE_OK);
    inc_file_release(test_ctx(), &file);
}

/* model.xml and model.bin of a tiny model, and model.pack. */
static void make_pack(struct incise_engine *engine, const char *model, enum incise_compute compute)
{
    struct incise_load_options load;
    incise_load_options_init(&load);
    load.compute = compute;
    copy_file(test_fixture_path(model, "openvino_model.xml"), in_folder("model.xml"));
    copy_file(test_fixture_path(model, "openvino_model.bin"), in_folder("model.bin"));
    assert_int_equal(incise_model_pack(engine, in_folder("model.xml"), &load, in_folder("model.pack"), 1), INCISE_OK);
}

/* The first output for counted ids; false where the model does not load. */
static bool run(struct incise_engine *engine, const char *path, enum incise_compute compute, float **output, size_t *n)
{
    static int64_t ids[LENGTH], ones[LENGTH], zeros[LENGTH];
    struct incise_load_options load;
    struct incise_model *model = NULL;
    struct incise_session *session = NULL;
    struct incise_tensor inputs[TEST_MAX_INPUTS], result;
    incise_load_options_init(&load);
    load.compute = compute;
    if (incise_model_load(engine, path, &load, &model) != INCISE_OK) return false;
    for (size_t i = 0; i < LENGTH; i++) ids[i] = (int64_t)(i * 5 + 1), ones[i] = 1;
    for (size_t i = 0; i < incise_model_inputs(model); i++) {
        struct incise_port port;
        incise_model_input(model, i, &port);
        int64_t *data = strcmp(port.name, "input_ids") == 0 ? ids : zeros;
        if (strcmp(port.name, "attention_mask") == 0) data = ones;
        inputs[i] = (struct incise_tensor){INCISE_I64, 2, {1, LENGTH}, data, sizeof ids};
    }
    assert_int_equal(incise_session_create(model, &session), INCISE_OK);
    assert_int_equal(incise_session_run(session, inputs, incise_model_inputs(model), &result, 1), INCISE_OK);
    *n = result.bytes;
    *output = malloc(result.bytes);
    assert_non_null(*output);
    memcpy(*output, result.data, result.bytes);
    incise_session_destroy(session);
    incise_model_destroy(model);
    return true;
}

/* The pack gives the bits of the model. */
static void assert_same(struct incise_engine *engine, enum incise_compute compute)
{
    float *a = NULL, *b = NULL;
    size_t n_a, n_b;
    assert_true(run(engine, in_folder("model.xml"), compute, &a, &n_a));
    assert_true(run(engine, in_folder("model.pack"), compute, &b, &n_b));
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    free(a);
    free(b);
}

static void test_same_bits(void **state)
{
    static const struct {
        const char *model;
        enum incise_compute compute;
    } cases[] = {
        {"bert", INCISE_COMPUTE_AUTO},           {"bert-f16", INCISE_COMPUTE_AUTO},
        {"bert-int8-asym", INCISE_COMPUTE_INT8}, {"bert-int4-sym", INCISE_COMPUTE_INT8},
        {"bert-int4-asym", INCISE_COMPUTE_INT8}, {"bert-static-int8", INCISE_COMPUTE_AUTO},
        {"gemma", INCISE_COMPUTE_AUTO},          {"gemma-int8-sym", INCISE_COMPUTE_INT8},
    };
    (void)state;
    for (int isa = 0; isa <= (int)incise_isa_detect(); isa++) {
        struct incise_engine *engine = open_engine(isa);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            make_pack(engine, cases[i].model, cases[i].compute);
            assert_same(engine, cases[i].compute);
            assert_int_equal(incise_model_verify(engine, in_folder("model.pack")), INCISE_OK);
            assert_string_equal(said, "");
        }
        incise_engine_destroy(engine);
    }
}

/* Weights for another instruction set or compute are packed again; some may fit nevertheless. */
static void test_other_kernels(void **state)
{
    (void)state;
    struct incise_engine *engine = open_engine(INCISE_ISA_SCALAR);
    make_pack(engine, "bert-int8-asym", INCISE_COMPUTE_FLOAT);
    assert_same(engine, INCISE_COMPUTE_INT8);
    assert_non_null(strstr(said, "instruction set or --compute and were packed again"));
    incise_engine_destroy(engine);
    if (incise_isa_detect() == INCISE_ISA_SCALAR) skip();
    engine = open_engine(-1);
    assert_same(engine, INCISE_COMPUTE_FLOAT);
    assert_non_null(strstr(said, "packed again"));
    incise_engine_destroy(engine);
}

static void test_stale(void **state)
{
    struct incise_engine *engine = open_engine(-1);
    float *a = NULL;
    size_t n;
    (void)state;
    make_pack(engine, "bert", INCISE_COMPUTE_AUTO);
    const struct {
        const char *file, *from, *why;
    } changes[] = {
        {"model.bin", "openvino_model.bin", "at another time"}, /* the same bytes */
        {"model.xml", "openvino_model.xml", "the .xml is another one"},
    };
    for (size_t i = 0; i < 2; i++) {
        make_pack(engine, "bert", INCISE_COMPUTE_AUTO);
        said[0] = '\0';
        usleep(20000); /* a file system's clock may tick slowly */
        copy_file(test_fixture_path(i == 0 ? "bert" : "bert-f16", changes[i].from), in_folder(changes[i].file));
        if (i == 1) copy_file(test_fixture_path("bert-f16", "openvino_model.bin"), in_folder("model.bin"));
        assert_same(engine, INCISE_COMPUTE_AUTO);
        assert_non_null(strstr(said, changes[i].why));
        assert_int_equal(incise_model_verify(engine, in_folder("model.pack")), INCISE_ERROR_DATA);
    }
    assert_int_equal(unlink(in_folder("model.xml")), 0);
    assert_false(run(engine, in_folder("model.pack"), INCISE_COMPUTE_AUTO, &a, &n));
    incise_engine_destroy(engine);
}

/* Bytes of the .bin and of the values that loading does not read. */
static void test_verify(void **state)
{
    struct incise_engine *engine = open_engine(-1);
    struct inc_file file = {0};
    struct stat info;
    (void)state;
    make_pack(engine, "bert", INCISE_COMPUTE_AUTO);
    assert_int_equal(inc_file_read(test_ctx(), in_folder("model.pack"), SIZE_MAX - 1, &file), INCISE_OK);
    file.data[file.size - 1] ^= 1;
    assert_int_equal(inc_file_replace(test_ctx(), in_folder("model.pack"), file.data, file.size), INCISE_OK);
    assert_int_equal(incise_model_verify(engine, in_folder("model.pack")), INCISE_ERROR_DATA);
    assert_non_null(strstr(said, "values are damaged"));
    file.data[file.size - 1] ^= 1;
    assert_int_equal(inc_file_replace(test_ctx(), in_folder("model.pack"), file.data, file.size), INCISE_OK);
    assert_int_equal(incise_model_verify(engine, in_folder("model.pack")), INCISE_OK);
    inc_file_release(test_ctx(), &file);

    FILE *bin = fopen(in_folder("model.bin"), "r+b"); /* in place, and its old time put back */
    assert_non_null(bin);
    assert_int_equal(fstat(fileno(bin), &info), 0);
    const int byte = fgetc(bin);
    rewind(bin);
    fputc(byte ^ 1, bin);
    assert_int_equal(fflush(bin), 0);
    const struct timespec times[2] = {info.st_atim, info.st_mtim};
    assert_int_equal(futimens(fileno(bin), times), 0);
    fclose(bin);
    said[0] = '\0';
    assert_int_equal(incise_model_verify(engine, in_folder("model.pack")), INCISE_ERROR_DATA);
    assert_non_null(strstr(said, "holds something else"));
    incise_engine_destroy(engine);
}

static void write_pack(const unsigned char *bytes, size_t n)
{
    FILE *file = fopen(in_folder("model.pack"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

/* Every byte in front of the values, with the hash put right behind it: refused, or it runs. */
static void test_any_byte(void **state)
{
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    struct incise_engine *engine = open_engine(-1);
    struct inc_file file = {0};
    uint64_t tables;
    size_t refused = 0, random = 0;
    (void)state;
    make_pack(engine, "bert-int8-asym", INCISE_COMPUTE_INT8);
    assert_int_equal(inc_file_read(test_ctx(), in_folder("model.pack"), SIZE_MAX - 1, &file), INCISE_OK);
    memcpy(&tables, file.data + 32, sizeof tables);
    assert_in_range(tables, 1024, file.size);
    uint64_t seed = test_seed();
    for (size_t i = 0; i < 400; i++) { /* the head, then any place in the tables */
        random = i < 200 ? i * 5 : 64 + test_random_below(&seed, (size_t)tables);
        float *output = NULL;
        size_t n;
        const unsigned char mask = masks[i % 3];
        file.data[random] ^= mask;
        inc_sealed_mend(file.data, file.size);
        write_pack(file.data, file.size);
        said[0] = '\0';
        if (!run(engine, in_folder("model.pack"), INCISE_COMPUTE_INT8, &output, &n)) refused++;
        free(output);
        file.data[random] ^= mask;
    }
    assert_in_range(refused, 50, 400);
    for (size_t n = 0; n < file.size; n += n < 256 ? 16 : file.size / 23 + 1) { /* cut short */
        float *output = NULL;
        size_t bytes;
        inc_sealed_mend(file.data, file.size);
        write_pack(file.data, n);
        assert_false(run(engine, in_folder("model.pack"), INCISE_COMPUTE_INT8, &output, &bytes));
    }
    inc_file_release(test_ctx(), &file);
    incise_engine_destroy(engine);
}

static void test_refusals(void **state)
{
    struct incise_engine *engine = open_engine(-1);
    struct incise_model *model = NULL;
    (void)state;
    make_pack(engine, "bert", INCISE_COMPUTE_AUTO);
    assert_int_equal(incise_model_pack(engine, in_folder("model.xml"), NULL, in_folder("model.pack"), 0),
                     INCISE_ERROR_CREATE);
    assert_int_equal(incise_model_load(engine, in_folder("none.pack"), NULL, &model), INCISE_ERROR_NO_INPUT);
    assert_int_equal(incise_model_load(engine, in_folder("model.bin"), NULL, &model), INCISE_ERROR_DATA);
    assert_int_equal(incise_model_load(engine, "/dev/null", NULL, &model), INCISE_ERROR_NO_INPUT);
    assert_int_equal(incise_model_pack(engine, in_folder("model.pack"), NULL, in_folder("other.pack"), 0),
                     INCISE_ERROR_NO_INPUT);
    incise_engine_destroy(engine);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(in_folder("model.xml"));
    unlink(in_folder("model.bin"));
    unlink(in_folder("model.pack"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_other_kernels), cmocka_unit_test(test_stale),
        cmocka_unit_test(test_verify),    cmocka_unit_test(test_any_byte),      cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
