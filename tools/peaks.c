/* SPDX-License-Identifier: Apache-2.0 */
#include "peaks.h"

enum incise_status peaks_measure(struct incise_engine *engine, double seconds, struct peaks *peaks)
{
    enum incise_status status = INCISE_OK;
    for (int i = 0; i < INCISE_LIMITS && status == INCISE_OK; i++)
        status = incise_engine_peak(engine, (enum incise_limit)i, seconds / INCISE_LIMITS, &peaks->limits[i]);
    return status;
}

enum incise_status peaks_print(const struct peaks *peaks, struct incise_engine *engine, enum tool_format format)
{
    static const char *const units[] = {"GFLOP/s", "GOP/s", "GOP/s", "GB/s"};
    struct tool_rows *rows = tool_rows_create();
    if (rows == NULL) return INCISE_ERROR_MEMORY;
    for (int i = 0; i < INCISE_LIMITS; i++) {
        tool_rows_next(rows);
        tool_set_text(rows, "limit", incise_limit_name((enum incise_limit)i));
        tool_set_text(rows, "kernel", peaks->limits[i].kernel);
        tool_set_text(rows, "unit", units[i]);
        tool_set_real(rows, "one_thread", peaks->limits[i].one_thread * 1e-9, 1);
        tool_set_real(rows, "all_threads", peaks->limits[i].all_threads * 1e-9, 1);
        tool_set_int(rows, "threads", incise_engine_threads(engine));
    }
    enum incise_status status = tool_rows_print(rows, format, false);
    tool_rows_destroy(rows);
    return status;
}

double peaks_seconds(const struct peaks *peaks, const struct incise_work *work)
{
    double amount = work->limit == INCISE_LIMIT_READ ? work->bytes : work->done;
    return amount / peaks->limits[work->limit].all_threads;
}
