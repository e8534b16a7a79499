/* SPDX-License-Identifier: Apache-2.0 */
/* The tile takes 4-bit weights 16 times. */
#include "kernels/gemm/gemm_tile_vnni.h"

#include "kernels/gemm/gemm_group_strips.h"

#include "kernels/gemm/gemm_group_tile.h"

INC_TILES(12, 4)
INC_TILES(12, 8)
INC_GEMM_GROUP_RUN(vnni, 4, 16)
INC_GEMM_GROUP_RUN(vnni, 8, 1)
