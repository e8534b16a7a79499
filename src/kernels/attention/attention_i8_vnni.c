/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"
#include "kernels/attention/attention_avx512.h"
#include "kernels/quant/size_avx512.h"
#include "kernels/unroll.h"

/* 127 / top, and scale = top / 127; 0 and 0 for what is nothing, 0 and NaN for what holds NaN or infinity. */
static vf scales_of(__m512i top_bits, __mmask16 there, float *scale)
{
    const vf top = _mm512_castsi512_ps(top_bits), steps = vf_set1(127.0f);
    const __mmask16 bad = _mm512_cmpge_epu32_mask(top_bits, _mm512_set1_epi32(0x7f800000));
    const __mmask16 good = _mm512_cmp_ps_mask(top, vf_set1(0x1p-120f), _CMP_GE_OQ) & (__mmask16)~bad;
    const vf value = _mm512_mask_blend_ps(bad, _mm512_maskz_div_ps(good, top, steps), vf_set1(NAN));
    _mm512_mask_storeu_ps(scale, there, value);
    return _mm512_maskz_div_ps(good, steps, top);
}

/* The bits of the largest |x| of each of 16 rows, 0 behind n. */
static inline __m512i sizes_of_rows(size_t n, size_t d, const float *x, size_t ldx)
{
    const __mmask16 rest = vf_mask_n(d % VF_LANES);
    uint32_t bits[16] = {0};
    for (size_t r = 0; r < n; r += 4) {
        vu top[4];
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) {
            const float *row = x + inc_min_size(r + i, n - 1) * ldx;
            top[i] = vu_zero();
            size_t at = 0;
            for (; at + VF_LANES <= d; at += VF_LANES) top[i] = vu_max_size(top[i], vf_load(row + at));
            if (rest) top[i] = vu_max_size(top[i], _mm512_maskz_loadu_ps(rest, row + at));
        }
        vu_reduce_max_4(top, bits + r);
    }
    return _mm512_loadu_si512(bits);
}

/* 64 integers to bytes: within each 128 bits, four of x[0], four of x[1], of x[2], of x[3]. */
static inline __m512i pack_bytes(const __m512i x[4])
{
    return _mm512_packs_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
}

/* The same for x >= 0, to [0, 255]. */
static inline __m512i pack_unsigned(const __m512i x[4])
{
    return _mm512_packus_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
}

/* What pack_bytes gives, in the order of x. */
static inline __m512i in_order(__m512i bytes)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}

/* Up to 16 rows of `columns` vectors, the last cut by `last`; in q all vectors follow one another. `whole`: nothing is
 * cut, and they are a multiple of four. */
static inline __attribute__((always_inline)) void quantize_vectors(const bool whole, size_t n, size_t columns,
                                                                   __mmask16 last, const float *x, size_t ldx,
                                                                   const float *inverse, __m512i zero, uint8_t *q)
{
    const size_t vectors = n * columns;
    size_t row = 0, column = 0;
    for (size_t at = 0; at < vectors; at += 4) {
        __m512i y[4];
        INC_UNROLL
        for (size_t i = 0; i < 4; i++) {
            const bool there = whole || at + i < vectors;
            const __mmask16 mask = whole ? 0xffff : !there ? 0 : column + 1 < columns ? 0xffff : last;
            const float *from = x + (there ? row * ldx + column * VF_LANES : 0);
            const vf value = vf_mul(_mm512_maskz_loadu_ps(mask, from), vf_set1(there ? inverse[row] : 0.0f));
            y[i] = _mm512_maskz_cvtps_epi32(mask, value);
            if (++column == columns) column = 0, row++;
        }
        const __m512i bytes = _mm512_xor_si512(in_order(pack_bytes(y)), zero);
        const size_t left = whole ? 64 : inc_min_size(vectors - at, 4) * VF_LANES;
        _mm512_mask_storeu_epi8(q + at * VF_LANES, _bzhi_u64(UINT64_MAX, (unsigned)left), bytes);
    }
}

static bool quantize_16(size_t n, size_t d, const float *x, size_t ldx, __m512i zero, uint8_t *q, float *scale)
{
    const size_t columns = (d + VF_LANES - 1) / VF_LANES;
    const __mmask16 last = vf_mask_n(d - (columns - 1) * VF_LANES), there = vf_mask_n(n);
    const __m512i top = sizes_of_rows(n, d, x, ldx);
    float inverse[16];
    vf_store(inverse, scales_of(top, there, scale));
    if (d % VF_LANES == 0 && n * columns % 4 == 0)
        quantize_vectors(true, n, columns, last, x, ldx, inverse, zero, q);
    else
        quantize_vectors(false, n, columns, last, x, ldx, inverse, zero, q);
    return _mm512_mask_cmpge_epu32_mask(there, top, _mm512_set1_epi32(0x7f800000)) == 0;
}

static bool quantize(size_t n, size_t d, const float *x, size_t ldx, unsigned zero, uint8_t *q, float *scale)
{
    const size_t ldq = inc_round_up(d, 16);
    bool is_finite = true;
    for (size_t r = 0; r < n; r += 16)
        is_finite &= quantize_16(inc_min_size(n - r, 16), d, x + r * ldx, ldx, _mm512_set1_epi8((char)zero),
                                 q + r * ldq, scale + r);
    return is_finite;
}

static void sum_keys(size_t quads, const int8_t *strip, int32_t *sums)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0;
    for (size_t i = 0; i < quads; i++, strip += 4 * ROWS_NR) {
        sum0 = _mm512_dpbusd_epi32(sum0, ones, _mm512_load_si512(strip));
        sum1 = _mm512_dpbusd_epi32(sum1, ones, _mm512_load_si512(strip + 64));
    }
    _mm512_storeu_si512(sums, sum0);
    _mm512_storeu_si512(sums + 16, sum1);
}

/* The quad of n <= 4 rows of the columns in `mask`: byte i of lane x is row i, column x. */
static inline __attribute__((always_inline)) __m512i quad_of(const size_t n, __mmask16 mask, const float *v, size_t ldv,
                                                             vf inverse)
{
    const __m128i by_column = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i y[4];
    INC_UNROLL
    for (size_t k = 0; k < 4; k++) {
        y[k] = _mm512_setzero_si512();
        if (k < n) y[k] = _mm512_maskz_cvtps_epi32(mask, vf_mul(_mm512_maskz_loadu_ps(mask, v + k * ldv), inverse));
    }
    return _mm512_shuffle_epi8(pack_bytes(y), _mm512_broadcast_i32x4(by_column));
}

/* 16 columns, those in `mask`. */
static void pack_columns(size_t n, __mmask16 mask, const float *v, size_t ldv, int8_t *out, float *scale)
{
    vu top = vu_zero();
    for (size_t i = 0; i < n; i++) top = vu_max_size(top, _mm512_maskz_loadu_ps(mask, v + i * ldv));
    const vf inverse = scales_of(top, 0xffff, scale);
    size_t i = 0;
    for (; i + 4 <= n; i += 4, out += 4 * ROWS_NR) _mm512_store_si512(out, quad_of(4, mask, v + i * ldv, ldv, inverse));
    if (i < n) _mm512_store_si512(out, quad_of(n - i, mask, v + i * ldv, ldv, inverse));
}

static void pack_values_i8(size_t n, size_t d, const float *v, size_t ldv, int8_t *out, float *scale)
{
    for (size_t j = 0; j < ROWS_NR; j += VF_LANES) {
        const size_t columns = d <= j ? 0 : d - j < VF_LANES ? d - j : VF_LANES;
        pack_columns(n, vf_mask_n(columns), columns > 0 ? v + j : v, ldv, out + 4 * j, scale + j);
    }
}

/* 255 * 2^x, rounded, for x = (s - max) * factor <= 0. Coefficients: minimax fit of 2^r, 0 <= r < 1, relative error
 * 7.5e-5. */
static inline __m512i weights_of(vf s, vf max, vf factor)
{
    enum { FLOOR = 1, QUIET = 8 };
    const vf x = vf_max(vf_mul(vf_sub(s, max), factor), vf_set1(-126.0f)), r = _mm512_reduce_ps(x, FLOOR | QUIET);
    vf p = vf_set1(0x1.3e570ep+4f);
    p = vf_fma(p, r, vf_set1(0x1.cd2d50p+5f));
    p = vf_fma(p, r, vf_set1(0x1.62e006p+7f));
    p = vf_fma(p, r, vf_set1(0x1.fdf63cp+7f));
    return _mm512_cvtps_epi32(_mm512_scalef_ps(p, x));
}

static bool holds_nan(const float *s, size_t n)
{
    __mmask16 nan = 0;
    for (size_t i = 0; i < n; i += VF_LANES) {
        const vf x = vf_load_n(s + i, inc_min_size(n - i, VF_LANES));
        nan |= _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    }
    return nan != 0;
}

static void softmax_i8(float *s, size_t n, float scale, const float *bias, bool suspect, uint8_t *weights,
                       struct inc_attention_row *row)
{
    const bool plain = bias == NULL && scale > 0.0f;
    if (!plain) scale_scores(s, n, scale, bias);
    const bool nan = suspect && holds_nan(s, n);
    const struct shift shift = begin_softmax(s, n, plain ? scale : 1.0f, row);
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64) {
        const size_t left = inc_min_size(n - i, 64);
        __m512i y[4];
        if (left == 64) {
            INC_UNROLL
            for (size_t k = 0; k < 4; k++) y[k] = weights_of(vf_load(s + i + k * VF_LANES), shift.max, shift.factor);
        } else {
            for (size_t k = 0; k < 4; k++) {
                const __mmask16 mask = vf_mask_n(left > k * VF_LANES ? inc_min_size(left - k * VF_LANES, 16) : 0);
                const vf scores = _mm512_maskz_loadu_ps(mask, s + i + (mask ? k * VF_LANES : 0));
                y[k] = _mm512_maskz_mov_epi32(mask, weights_of(scores, shift.max, shift.factor));
            }
        }
        const __m512i bytes = in_order(pack_unsigned(y));
        sum = _mm512_dpbusd_epi32(sum, bytes, _mm512_set1_epi8(1));
        _mm512_mask_storeu_epi8(weights + i, _bzhi_u64(UINT64_MAX, (unsigned)left), bytes);
    }
    row->sum = row->sum * row->rescale + (float)_mm512_reduce_add_epi32(sum) * (1.0f / 255.0f);
    if (nan || row->max == INFINITY) row->sum = NAN;
}

static const struct inc_attention_i8 integers = {quantize, sum_keys, pack_values_i8, softmax_i8};

ATTENTION_KERNEL(vnni_i8, INCISE_ISA_VNNI, &integers)
