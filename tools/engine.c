/* SPDX-License-Identifier: Apache-2.0 */
/* The engine behind a command, and what commands say on stderr. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum incise_status tool_fail(enum incise_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("incise: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

enum incise_status tool_fail_stdout(void)
{
    enum incise_status status = errno == ENOSPC || errno == EDQUOT ? INCISE_ERROR_NO_SPACE : INCISE_ERROR_IO;
    return tool_fail(status, "stdout: %s", errno != 0 ? strerror(errno) : "cannot write");
}

static void log_to_stderr(void *user, enum incise_log_level level, const char *text)
{
    static const char *const prefix[] = {"incise: ", "incise: warning: ", "incise: ", "incise: debug: "};
    (void)user;
    fprintf(stderr, "%s%s\n", prefix[level], text);
}

enum incise_status tool_engine(const struct tool_global *global, struct incise_engine **engine)
{
    struct incise_engine_options options;
    incise_engine_options_init(&options);
    options.threads = (int)global->threads;
    options.isa = global->isa - 1;
    options.max_memory = global->max_memory;
    options.pin_threads = 1;
    options.log = log_to_stderr;
    options.log_level = (enum incise_log_level)global->log;
    options.cache_dir = global->cache_dir;
    return incise_engine_create(&options, engine);
}

static bool on_terminal(void)
{
    static int terminal = -1;
    if (terminal < 0) terminal = isatty(STDERR_FILENO);
    return terminal;
}

void tool_progress(const char *what, size_t done, size_t total, const char *name)
{
    if (!on_terminal()) return;
    fprintf(stderr, "\r\033[K%s %zu/%zu %.60s", what, done, total, done == total ? "" : name);
    if (done == total) fputc('\n', stderr);
    fflush(stderr);
}

double tool_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void tool_meter_show(const struct tool_meter *meter, size_t done, double share)
{
    double seconds = tool_seconds() - meter->start;
    if (!on_terminal() || seconds <= 0) return;
    fprintf(stderr, "\r\033[K%s: %zu %s", meter->what, done, meter->unit);
    if (share >= 0) fprintf(stderr, ", %.0f %%", 100 * share);
    fprintf(stderr, ", %.0f/s", (double)(done - meter->first) / seconds);
    if (share > meter->first_share) {
        double left = seconds * (1 - share) / (share - meter->first_share);
        long whole = left < 1e6 ? (long)(left + 0.5) : 1000000;
        if (whole >= 3600)
            fprintf(stderr, ", %ld:%02ld:%02ld left", whole / 3600, whole / 60 % 60, whole % 60);
        else
            fprintf(stderr, ", %ld:%02ld left", whole / 60, whole % 60);
    }
    fflush(stderr);
}

void tool_meter_end(const struct tool_meter *meter, size_t done)
{
    double seconds = tool_seconds() - meter->start;
    if (!on_terminal()) return;
    fprintf(stderr, "\r\033[K%s: %zu %s in %.1f s\n", meter->what, done, meter->unit, seconds);
}

void *tool_alloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) (void)tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    return memory;
}
