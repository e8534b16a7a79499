/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/attention/attention_avx512.h"

static void flip_rows(size_t n, size_t d, uint8_t *rows, size_t ld, int32_t *sums)
{
    const __m512i sign = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi8(1);
    for (size_t j = 0; j < n; j++, rows += ld) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t i = 0; i < d; i += 64) {
            const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(rows + i), sign);
            _mm512_storeu_si512(rows + i, x);
            sum = _mm512_dpbusd_epi32(sum, ones, x);
        }
        sums[j] = _mm512_reduce_add_epi32(sum);
    }
}

static inline __m512i max_size(__m512i top, vf x)
{
    return _mm512_max_epu32(top, _mm512_castps_si512(vf_abs(x)));
}

/* 127 / top, and scale = top / 127; 0 and 0 for columns of nothing, 0 and NaN for those with NaN or infinity. */
static vf column_scales(__m512i top_bits, float *scale)
{
    const vf top = _mm512_castsi512_ps(top_bits);
    const __mmask16 bad = _mm512_cmpge_epu32_mask(top_bits, _mm512_set1_epi32(0x7f800000));
    const __mmask16 good = _mm512_cmp_ps_mask(top, vf_set1(0x1p-120f), _CMP_GE_OQ) & (__mmask16)~bad;
    const vf steps = _mm512_maskz_div_ps(good, top, vf_set1(127.0f));
    vf_store(scale, _mm512_mask_blend_ps(bad, steps, vf_set1(NAN)));
    return _mm512_maskz_div_ps(good, vf_set1(1.0f), steps);
}

/* 16 columns, those in `mask`. Byte i of lane x of a quad is key i, column x. */
static void pack_columns(size_t n, __mmask16 mask, const float *v, size_t ldv, int8_t *out, float *scale)
{
    __m512i top = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i++) top = max_size(top, _mm512_maskz_loadu_ps(mask, v + i * ldv));
    const vf inverse = column_scales(top, scale), most = vf_set1(127.0f), least = vf_set1(-127.0f);
    for (size_t i = 0; i < n; i += 4, out += 4 * ROWS_NR) {
        __m512i quad = _mm512_setzero_si512();
        for (size_t k = 4; k-- > 0;) {
            const __mmask16 there = i + k < n ? mask : 0;
            const vf x = vf_mul(_mm512_maskz_loadu_ps(there, v + (i + k < n ? i + k : 0) * ldv), inverse);
            const __m512i q = _mm512_cvtps_epi32(vf_min(vf_max(x, least), most));
            quad = _mm512_or_si512(_mm512_slli_epi32(quad, 8), _mm512_and_si512(q, _mm512_set1_epi32(255)));
        }
        _mm512_storeu_si512(out, quad);
    }
}

static void pack_values_i8(size_t n, size_t d, const float *v, size_t ldv, int8_t *out, float *scale)
{
    for (size_t j = 0; j < ROWS_NR; j += VF_LANES) {
        const size_t columns = d <= j ? 0 : d - j < VF_LANES ? d - j : VF_LANES;
        pack_columns(n, vf_mask_n(columns), columns > 0 ? v + j : v, ldv, out + 4 * j, scale + j);
    }
}

static uint32_t pack_weights(size_t n, float *weights)
{
    const vf steps = vf_set1(255.0f);
    unsigned char *out = (unsigned char *)weights;
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += VF_LANES) { /* bytes i and up lie before float i + VF_LANES */
        const size_t lanes = n - i < VF_LANES ? n - i : VF_LANES;
        /* The byte that is stored; what is no number gives 0. */
        const __m512i q = _mm512_and_si512(_mm512_cvtps_epi32(vf_mul(vf_load_n(weights + i, lanes), steps)),
                                           _mm512_set1_epi32(255));
        sum = _mm512_add_epi32(sum, q);
        _mm_mask_storeu_epi8(out + i, vf_mask_n((lanes + 3) / 4 * 4), _mm512_cvtepi32_epi8(q));
    }
    return (uint32_t)_mm512_reduce_add_epi32(sum);
}

static const struct inc_attention_i8 integers = {flip_rows, pack_values_i8, pack_weights};

ATTENTION_KERNEL(vnni_i8, INCISE_ISA_VNNI, &integers)
