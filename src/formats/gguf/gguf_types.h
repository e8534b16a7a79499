/* SPDX-License-Identifier: Apache-2.0 */
/* The tensor types of GGUF files: their blocks, and what the blocks mean. */
#ifndef INC_FORMATS_GGUF_GGUF_TYPES_H
#define INC_FORMATS_GGUF_GGUF_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* `n` blocks to floats. */
typedef void inc_gguf_decode_fn(const uint8_t *in, size_t n, float *out);

struct inc_gguf_type {
    const char *name;
    uint32_t id;     /* in the file */
    unsigned values; /* of a block */
    unsigned bytes;  /* of a block */
    inc_gguf_decode_fn *decode; /* NULL: not supported */
};

#define INC_GGUF_MAX_BLOCK 256 /* values */

/* Their ids, for those who look into the blocks. */
#define INC_GGUF_Q4_0 2
#define INC_GGUF_Q8_0 8

/* NULL if there is no such type. */
const struct inc_gguf_type *inc_gguf_type_find(uint32_t id);

#endif
