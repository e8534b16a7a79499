/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum incise_status fail_output(const struct sink *sink, int error, enum incise_status status)
{
    if (error == ENOSPC || error == EDQUOT) status = INCISE_ERROR_NO_SPACE;
    return tool_fail(status, "%s: %s", sink->path != NULL ? sink->path : "stdout", strerror(error));
}

enum incise_status sink_open(struct sink *sink, const char *path, bool force)
{
    struct stat about;
    *sink = (struct sink){.file = stdout, .path = path, .force = force};
    if (path == NULL || strcmp(path, "-") == 0) {
        sink->path = NULL;
        return INCISE_OK;
    }
    if (lstat(path, &about) == 0 && (!force || !S_ISREG(about.st_mode)))
        return tool_fail(INCISE_ERROR_CREATE,
                         S_ISREG(about.st_mode) ? "%s: exists; replace it with --force" : "%s: is no file", path);
    size_t size = strlen(path) + 32;
    sink->temporary = tool_alloc(size, 1);
    if (sink->temporary == NULL) return INCISE_ERROR_MEMORY;
    snprintf(sink->temporary, size, "%s.%ld.tmp", path, (long)getpid());
    int fd = open(sink->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    sink->file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (sink->file != NULL) return INCISE_OK;
    enum incise_status status = fail_output(sink, errno, INCISE_ERROR_CREATE);
    if (fd >= 0) close(fd);
    free(sink->temporary);
    return status;
}

enum incise_status sink_write(struct sink *sink, const void *bytes, size_t n)
{
    if (n == 0 || fwrite(bytes, 1, n, sink->file) == n) return INCISE_OK;
    return fail_output(sink, errno, INCISE_ERROR_IO);
}

/* Without --force the name must still be free: link() never replaces. */
static int give_name(const struct sink *sink)
{
    if (sink->force) return rename(sink->temporary, sink->path);
    if (link(sink->temporary, sink->path) != 0) return -1;
    (void)unlink(sink->temporary);
    return 0;
}

enum incise_status sink_close(struct sink *sink, enum incise_status status)
{
    if (sink->path == NULL) {
        if (status == INCISE_OK && fflush(stdout) != 0) status = fail_output(sink, errno, INCISE_ERROR_IO);
        return status;
    }
    if (status == INCISE_OK && (fflush(sink->file) != 0 || fsync(fileno(sink->file)) != 0))
        status = fail_output(sink, errno, INCISE_ERROR_IO);
    if (fclose(sink->file) != 0 && status == INCISE_OK) status = fail_output(sink, errno, INCISE_ERROR_IO);
    if (status == INCISE_OK && give_name(sink) != 0) status = fail_output(sink, errno, INCISE_ERROR_CREATE);
    if (status != INCISE_OK) (void)unlink(sink->temporary);
    free(sink->temporary);
    return status;
}
