/* SPDX-License-Identifier: Apache-2.0 */
/* 8-bit weights. */
#include "kernels/gemm/gemm_tile_avx2.h"

#include "kernels/gemm/gemm_group_strips.h"

#include "kernels/gemm/gemm_group_tile.h"

INC_TILES(5, 8)
INC_GEMM_GROUP_RUN(avx2, 8, 1)
