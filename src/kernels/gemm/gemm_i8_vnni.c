/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/gemm/gemm_tile_vnni.h"

#include "kernels/gemm/gemm_i8_strips.h"

INC_TILES(12, 8)
INC_GEMM_I8_RUN(vnni)
