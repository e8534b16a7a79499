/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine can do at most, measured on the spot, and how far from it an op was. */
#ifndef TOOLS_PEAKS_H
#define TOOLS_PEAKS_H

#include "incise/session.h"
#include "tool.h"

struct peaks {
    struct incise_peak limits[INCISE_LIMITS];
};

/* Takes about `seconds` in all. */
enum incise_status peaks_measure(struct incise_engine *engine, double seconds, struct peaks *peaks);
/* A row per limit: limit, kernel, unit, one_thread, all_threads, threads. */
enum incise_status peaks_print(const struct peaks *peaks, struct incise_engine *engine, enum tool_format format);
/* Seconds that the op's operations, or bytes where it has none, would take at the peak of all threads. */
double peaks_seconds(const struct peaks *peaks, const struct incise_work *work);

#endif
