/* SPDX-License-Identifier: Apache-2.0 */
/* Elementary functions on the vf vocabulary; included by simd_scalar.h, simd_avx2.h and simd_avx512.h only. Every
 * operation is one correctly rounded step, so a lane's result has the same bits in all three. */
#ifndef INC_KERNELS_SIMD_MATH_H
#define INC_KERNELS_SIMD_MATH_H

/* Adding it to |x| < 2^21 rounds to an integer n and leaves the exponent bits of 2^n in the lowest bits of the sum. */
#define VF_ROUND (0x1.8p23f + 127.0f)
#define VF_LOG2E 0x1.715476p+0f

/* e^x, error below 1 ulp; -inf gives 0, what lies above log(FLT_MAX) gives inf, NaN stays NaN. The clamps round to 0
 * and inf. With n = round(x / ln 2) it is 2^n e^(x - n ln 2); ln 2 is split so that n * high is exact for |n| < 2^9.
 * Coefficients: minimax fit of e^r = 1 + r + r^2 q(r), relative error 3.1e-9. */
static inline vf vf_exp(vf x)
{
    const vf one = vf_set1(1.0f);
    x = vf_min(vf_set1(89.0f), vf_max(vf_set1(-104.0f), x));
    const vf n = vf_round(vf_mul(x, vf_set1(VF_LOG2E)));
    vf r = vf_fnma(n, vf_set1(0x1.62e4p-1f), x);
    r = vf_fnma(n, vf_set1(0x1.7f7d1cp-20f), r);
    vf p = vf_set1(0x1.6a23d0p-10f);
    p = vf_fma(p, r, vf_set1(0x1.123a20p-7f));
    p = vf_fma(p, r, vf_set1(0x1.5558f2p-5f));
    p = vf_fma(p, r, vf_set1(0x1.555492p-3f));
    p = vf_fma(p, r, vf_set1(0x1.fffffcp-2f));
    p = vf_fma(p, r, one);
    return vf_scale2(vf_fma(p, r, one), n);
}

/* 2^x for x in [-126, 127.4], error below 2 ulp; NaN stays NaN; anything for other x. Coefficients: minimax fit,
 * relative error 7.5e-8. */
static inline vf vf_exp2_fast(vf x)
{
    const vf t = vf_add(x, vf_set1(VF_ROUND)), r = vf_sub(x, vf_sub(t, vf_set1(VF_ROUND)));
    vf p = vf_set1(0x1.5c08e4p-10f);
    p = vf_fma(p, r, vf_set1(0x1.3d0c52p-7f));
    p = vf_fma(p, r, vf_set1(0x1.c6b6e4p-5f));
    p = vf_fma(p, r, vf_set1(0x1.ebf918p-3f));
    p = vf_fma(p, r, vf_set1(0x1.62e428p-1f));
    p = vf_fma(p, r, vf_set1(0x1.000002p+0f));
    return vf_mul(p, vf_power2(t));
}

#endif
