/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks as ggml stores them (ggml-common.h): little-endian, scales d and minima m in f16. Values are formed in float
 * in the order of ggml's reference, so that they are equal to its bit by bit. */
#include "formats/gguf/gguf_types.h"

#include <string.h>

#include "base/half.h"

static uint16_t get_u16(const uint8_t *in)
{
    return (uint16_t)(in[0] | in[1] << 8);
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)get_u16(in) | (uint32_t)get_u16(in + 2) << 16;
}

static float get_f16(const uint8_t *in)
{
    return inc_f32_from_f16(get_u16(in));
}

/* ---- floats ------------------------------------------------------------------------------------------------------ */

static void decode_f32(const uint8_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++, in += 4)
        out[i] = inc_f32_from_bits(get_u32(in));
}

static void decode_f16(const uint8_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = get_f16(in + 2 * i);
}

static void decode_bf16(const uint8_t *in, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = inc_f32_from_bf16(get_u16(in + 2 * i));
}

/* ---- blocks of 32 ------------------------------------------------------------------------------------------------ */

/* (q - offset) * d: byte j of `low` holds the lower bits of values j and j + 16, bit i of `high` the fifth of i. */
static void decode_nibbles(const uint8_t *low, uint32_t high, int offset, float d, float *out)
{
    for (unsigned j = 0; j < 16; j++) {
        int first = (int)(low[j] & 15u) | (int)(high >> j & 1u) << 4;
        int second = low[j] >> 4 | (int)(high >> (j + 16) & 1u) << 4;
        out[j] = (float)(first - offset) * d;
        out[j + 16] = (float)(second - offset) * d;
    }
}

static void add_minimum(float m, float *out)
{
    for (int i = 0; i < 32; i++) out[i] += m;
}

static void decode_q4_0(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 18, out += 32) decode_nibbles(in + 2, 0, 8, get_f16(in), out);
}

static void decode_q4_1(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 20, out += 32) {
        decode_nibbles(in + 4, 0, 0, get_f16(in), out);
        add_minimum(get_f16(in + 2), out);
    }
}

static void decode_q5_0(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 22, out += 32) decode_nibbles(in + 6, get_u32(in + 2), 16, get_f16(in), out);
}

static void decode_q5_1(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 24, out += 32) {
        decode_nibbles(in + 8, get_u32(in + 4), 0, get_f16(in), out);
        add_minimum(get_f16(in + 2), out);
    }
}

static void decode_q8_0(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 34, out += 32)
        for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)in[2 + i] * get_f16(in);
}

/* ---- blocks of 256 ----------------------------------------------------------------------------------------------- */

/* The 6-bit scale and minimum of the 32 values `group` of 8, from the 12 bytes that hold them all. */
static void get_scale(const uint8_t *in, int group, unsigned *scale, unsigned *minimum)
{
    if (group < 4) {
        *scale = in[group] & 63u;
        *minimum = in[group + 4] & 63u;
    } else {
        *scale = (in[group + 4] & 15u) | (unsigned)(in[group - 4] >> 6) << 4;
        *minimum = (unsigned)(in[group + 4] >> 4) | (unsigned)(in[group] >> 6) << 4;
    }
}

/* d, minimum and scales at `in`; 32 bytes of `low` hold the lower bits of two groups, bit g of high[i] is the fifth bit
 * of value i of group g (NULL: there is none). */
static void decode_k(const uint8_t *in, const uint8_t *low, const uint8_t *high, float *out)
{
    float d = get_f16(in), m = get_f16(in + 2);
    for (int group = 0; group < 8; group++, out += 32) {
        unsigned scale, minimum, shift = group % 2 == 0 ? 0 : 4;
        get_scale(in + 4, group, &scale, &minimum);
        float step = d * (float)scale, base = m * (float)minimum;
        for (int i = 0; i < 32; i++) {
            unsigned q = (unsigned)low[group / 2 * 32 + i] >> shift & 15u;
            if (high != NULL) q |= ((unsigned)high[i] >> group & 1u) << 4;
            out[i] = step * (float)q - base;
        }
    }
}

static void decode_q4_k(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 144, out += 256) decode_k(in, in + 16, NULL, out);
}

static void decode_q5_k(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 176, out += 256) decode_k(in, in + 48, in + 16, out);
}

/* 128 bytes of lower 4 bits, 64 of upper 2, 16 scales of 16 values each, d. */
static void decode_q6_k(const uint8_t *in, size_t n, float *out)
{
    for (; n > 0; n--, in += 210, out += 256) {
        float d = get_f16(in + 208);
        for (int i = 0; i < 256; i++) {
            int half = i / 128, quarter = i % 128 / 32, k = i % 32;
            unsigned low = (unsigned)in[half * 64 + quarter % 2 * 32 + k] >> (quarter / 2 * 4) & 15u;
            unsigned high = (unsigned)in[128 + half * 32 + k] >> (quarter * 2) & 3u;
            out[i] = d * (float)(int8_t)in[192 + i / 16] * (float)((int)(low | high << 4) - 32);
        }
    }
}

/* ---- table ------------------------------------------------------------------------------------------------------- */

/* Types that only intermediate results have (Q8_1, Q8_K) and those that ggml has given up are missing. */
static const struct inc_gguf_type types[] = {
    {"F32", 0, 1, 4, decode_f32},
    {"F16", 1, 1, 2, decode_f16},
    {"Q4_0", INC_GGUF_Q4_0, 32, 18, decode_q4_0},
    {"Q4_1", 3, 32, 20, decode_q4_1},
    {"Q5_0", 6, 32, 22, decode_q5_0},
    {"Q5_1", 7, 32, 24, decode_q5_1},
    {"Q8_0", INC_GGUF_Q8_0, 32, 34, decode_q8_0},
    {"Q4_K", 12, 256, 144, decode_q4_k},
    {"Q5_K", 13, 256, 176, decode_q5_k},
    {"Q6_K", 14, 256, 210, decode_q6_k},
    {"BF16", 30, 1, 2, decode_bf16},
    {"Q2_K", 10, 256, 84, NULL},
    {"Q3_K", 11, 256, 110, NULL},
    {"IQ2_XXS", 16, 256, 66, NULL},
    {"IQ2_XS", 17, 256, 74, NULL},
    {"IQ3_XXS", 18, 256, 98, NULL},
    {"IQ1_S", 19, 256, 50, NULL},
    {"IQ4_NL", 20, 32, 18, NULL},
    {"IQ3_S", 21, 256, 110, NULL},
    {"IQ2_S", 22, 256, 82, NULL},
    {"IQ4_XS", 23, 256, 136, NULL},
    {"I8", 24, 1, 1, NULL},
    {"I16", 25, 1, 2, NULL},
    {"I32", 26, 1, 4, NULL},
    {"I64", 27, 1, 8, NULL},
    {"F64", 28, 1, 8, NULL},
    {"IQ1_M", 29, 256, 56, NULL},
    {"TQ1_0", 34, 256, 54, NULL},
    {"TQ2_0", 35, 256, 66, NULL},
    {"MXFP4", 39, 32, 17, NULL},
};

const struct inc_gguf_type *inc_gguf_type_find(uint32_t id)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].id == id) return &types[i];
    return NULL;
}
