/* SPDX-License-Identifier: Apache-2.0 */
/* What the scripts of this folder ask of output. Exit code 1 and a line that says why when it does not hold.
 *   cli_check json KEY...                     stdin: JSON, or JSON lines; objects, or an array of them, with these keys
 *   cli_check close A.npy B.npy LIMIT [MASK]  max |A - B| / max |B| <= LIMIT, where the mask is not 0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/npy/npy.h"
#include "support/fixture.h"

static int complain(const char *what, const char *which)
{
    printf("%s %s\n", what, which);
    return 1;
}

static int check_object(const json_t *object, char **keys, int n)
{
    int i = 0;
    const char *key;
    json_t *value;
    if (!json_is_object(object)) return complain("not an object", "");
    json_object_foreach((json_t *)object, key, value)
    {
        if (i == n || strcmp(key, keys[i]) != 0) return complain("unexpected key", key);
        i++;
    }
    return i == n ? 0 : complain("missing key", keys[i]);
}

static int check_value(const json_t *value, char **keys, int n)
{
    int bad = 0;
    if (!json_is_array(value)) return check_object(value, keys, n);
    for (size_t i = 0; i < json_array_size(value) && !bad; i++) bad = check_object(json_array_get(value, i), keys, n);
    return bad || json_array_size(value) > 0 ? bad : complain("no rows", "");
}

static int check_json(char **keys, int n)
{
    json_error_t error;
    int values = 0, c;
    while ((c = getchar()) != EOF) {
        if (c == '\n' || c == ' ') continue;
        ungetc(c, stdin);
        json_t *value = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, &error);
        if (value == NULL) return complain("not JSON:", error.text);
        int bad = check_value(value, keys, n);
        json_decref(value);
        if (bad) return 1;
        values++;
    }
    return values > 0 ? 0 : complain("no JSON", "");
}

static bool read_array(const char *path, struct inc_tensor *tensor)
{
    return path == NULL || inc_npy_read(test_ctx(), path, SIZE_MAX, tensor) == INCISE_OK;
}

static int check_close(const char *a_path, const char *b_path, const char *limit, const char *mask_path)
{
    struct inc_tensor a = {0}, b = {0}, mask = {0};
    int bad = 0;
    if (!read_array(a_path, &a) || !read_array(b_path, &b) || !read_array(mask_path, &mask)) {
        bad = complain("cannot compare:", test_last_error());
    } else {
        double difference = test_difference(&a, &b, mask_path != NULL ? &mask : NULL);
        bad = !(difference <= strtod(limit, NULL));
        if (bad) printf("difference %.2g > %s\n", difference, limit);
    }
    inc_tensor_release(test_ctx(), &a);
    inc_tensor_release(test_ctx(), &b);
    inc_tensor_release(test_ctx(), &mask);
    return bad;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "json") == 0) return check_json(argv + 2, argc - 2);
    if (argc > 1 && strcmp(argv[1], "close") == 0 && argc > 4)
        return check_close(argv[2], argv[3], argv[4], argc > 5 ? argv[5] : NULL);
    return complain("usage: cli_check json|close", "");
}
