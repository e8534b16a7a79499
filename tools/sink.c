/* SPDX-License-Identifier: Apache-2.0 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum incise_status fail_file(const char *path, int error, enum incise_status otherwise)
{
    if (error == ENOSPC || error == EDQUOT) otherwise = INCISE_ERROR_NO_SPACE;
    return tool_fail(otherwise, "%s: %s", path, strerror(error));
}

static enum incise_status fail_output(const struct sink *sink, enum incise_status otherwise)
{
    return fail_file(sink->path != NULL ? sink->path : "stdout", errno, otherwise);
}

char *path_with(const char *path, const char *suffix)
{
    size_t length = strlen(path), bytes = length + strlen(suffix) + 1;
    char *joined = tool_alloc(bytes, 1);
    if (joined != NULL) snprintf(joined, bytes, "%s%s", path, suffix);
    return joined;
}

enum incise_status sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = path_with(slash == NULL ? "." : path, "");
    if (folder == NULL) return INCISE_ERROR_MEMORY;
    if (slash != NULL) folder[slash == path ? 1 : slash - path] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool failed = fd < 0 || (fsync(fd) != 0 && errno != EINVAL);
    enum incise_status status = failed ? fail_file(folder, errno, INCISE_ERROR_IO) : INCISE_OK;
    if (fd >= 0) close(fd);
    free(folder);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------------------------- */

static enum incise_status open_stdout(struct sink *sink)
{
    struct stat about;
    int fd = fileno(stdout), flags = fcntl(fd, F_GETFL);
    sink->file = stdout;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && flags >= 0 && (flags & O_APPEND) == 0)
        sink->start = lseek(fd, 0, SEEK_CUR);
    return INCISE_OK;
}

/* A process that finished between our open and our lock took the name FILE.partial away. */
static bool is_still(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static enum incise_status open_locked(struct sink *sink)
{
    enum incise_status status = INCISE_OK;
    int fd = open(sink->temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return fail_output(sink, INCISE_ERROR_CREATE);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_still(fd, sink->temporary))
        status = tool_fail(INCISE_ERROR_CREATE, "%s: another process is writing it", sink->path);
    sink->file = status == INCISE_OK ? fdopen(fd, "r+b") : NULL;
    if (sink->file != NULL) return INCISE_OK;
    if (status == INCISE_OK) status = fail_output(sink, INCISE_ERROR_CREATE);
    close(fd);
    return status;
}

enum incise_status sink_open(struct sink *sink, const char *path, bool force)
{
    struct stat about;
    *sink = (struct sink){.path = path, .force = force, .start = -1};
    if (path == NULL || strcmp(path, "-") == 0) {
        sink->path = NULL;
        return open_stdout(sink);
    }
    if (lstat(path, &about) == 0 && (!force || !S_ISREG(about.st_mode)))
        return tool_fail(INCISE_ERROR_CREATE,
                         S_ISREG(about.st_mode) ? "%s: exists; replace it with --force" : "%s: is no file", path);
    sink->start = 0;
    sink->temporary = path_with(path, ".partial");
    enum incise_status status = sink->temporary == NULL ? INCISE_ERROR_MEMORY : open_locked(sink);
    if (status != INCISE_OK) free(sink->temporary);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------------------------- */

enum incise_status sink_keep(struct sink *sink, uint64_t bytes)
{
    if (fflush(sink->file) == 0 && ftruncate(fileno(sink->file), (off_t)bytes) == 0 &&
        fseeko(sink->file, (off_t)bytes, SEEK_SET) == 0)
        return INCISE_OK;
    return fail_output(sink, INCISE_ERROR_IO);
}

enum incise_status sink_write(struct sink *sink, const void *bytes, size_t n)
{
    if (n == 0 || fwrite(bytes, 1, n, sink->file) == n) return INCISE_OK;
    return fail_output(sink, INCISE_ERROR_IO);
}

enum incise_status sink_patch(struct sink *sink, const void *bytes, size_t n)
{
    ssize_t done = fflush(sink->file) == 0 ? pwrite(fileno(sink->file), bytes, n, sink->start) : -1;
    if (done == (ssize_t)n) return INCISE_OK;
    if (done >= 0) errno = ENOSPC;
    return fail_output(sink, INCISE_ERROR_IO);
}

enum incise_status sink_sync(struct sink *sink)
{
    if (fflush(sink->file) == 0 && (sink->path == NULL || fdatasync(fileno(sink->file)) == 0)) return INCISE_OK;
    return fail_output(sink, INCISE_ERROR_IO);
}

/* Without --force the name must still be free; file systems that cannot promise that (EINVAL) rename plainly. */
static int give_name(const struct sink *sink)
{
    unsigned flags = sink->force ? 0 : RENAME_NOREPLACE;
    int failed = renameat2(AT_FDCWD, sink->temporary, AT_FDCWD, sink->path, flags);
    return failed && errno == EINVAL ? rename(sink->temporary, sink->path) : failed;
}

enum incise_status sink_close(struct sink *sink, enum incise_status status, bool keep)
{
    if (status == INCISE_OK) status = sink_sync(sink);
    if (sink->path == NULL) return status;
    if (status == INCISE_OK && give_name(sink) != 0) status = fail_output(sink, INCISE_ERROR_CREATE);
    if (status != INCISE_OK && !keep) (void)unlink(sink->temporary);
    if (fclose(sink->file) != 0 && status == INCISE_OK) status = fail_output(sink, INCISE_ERROR_IO);
    if (status == INCISE_OK) status = sync_folder_of(sink->path);
    free(sink->temporary);
    return status;
}
