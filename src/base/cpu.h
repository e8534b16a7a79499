/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INC_BASE_CPU_H
#define INC_BASE_CPU_H

#include "incise/engine.h"

/* CPUs this process may use: min(affinity mask, cgroup v1/v2 CPU quota rounded up), at least 1. */
int inc_cpu_count(void);
/* Bytes of memory this process may use: min(physical, cgroup v1/v2 limit). */
size_t inc_memory_limit(void);

#endif
