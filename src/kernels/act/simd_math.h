/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions on the vf vocabulary; included by simd_scalar.h, simd_avx2.h and simd_avx512.h only. Every
 * operation is one correctly rounded step, so a lane's result has the same bits in all three. */
#ifndef INC_KERNELS_SIMD_MATH_H
#define INC_KERNELS_SIMD_MATH_H

/* Adding it to |x| < 2^21 rounds to an integer n and leaves the exponent bits of 2^n in the lowest bits of the sum. */
#define VF_ROUND (0x1.8p23f + 127.0f)
#define VF_LOG2E 0x1.715476p+0f

/* e^(x - n ln 2) for |x - n ln 2| <= ln(2)/2, error below 1 ulp. ln 2 is split so that n * high is exact for |n| < 2^9.
 * Coefficients: minimax fit of e^r = 1 + r + r^2 q(r), relative error 3.1e-9. */
static inline vf vf_exp_reduced(vf x, vf n)
{
    const vf one = vf_set1(1.0f);
    vf r = vf_fnma(n, vf_set1(0x1.62e4p-1f), x);
    r = vf_fnma(n, vf_set1(0x1.7f7d1cp-20f), r);
    vf p = vf_set1(0x1.6a23d0p-10f);
    p = vf_fma(p, r, vf_set1(0x1.123a20p-7f));
    p = vf_fma(p, r, vf_set1(0x1.5558f2p-5f));
    p = vf_fma(p, r, vf_set1(0x1.555492p-3f));
    p = vf_fma(p, r, vf_set1(0x1.fffffcp-2f));
    p = vf_fma(p, r, one);
    return vf_fma(p, r, one);
}

/* e^x, error below 1 ulp; -inf gives 0, what lies above log(FLT_MAX) gives inf, NaN stays NaN. The clamps round to 0 and
 * inf. */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x));
    const vf n = vf_round(vf_mul(x, vf_set1(VF_LOG2E)));
    return vf_scale2(vf_exp_reduced(x, n), n);
}

/* e^x for x in [-87, 88], error below 1 ulp; NaN stays NaN; anything for other x. */
static inline vf vf_exp_fast(vf x)
{
    const vf t = vf_fma(x, vf_set1(VF_LOG2E), vf_set1(VF_ROUND));
    return vf_mul(vf_exp_reduced(x, vf_sub(t, vf_set1(VF_ROUND))), vf_power2(t));
}

#endif
