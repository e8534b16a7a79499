/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"

/* Reads the whole of `fd` (closed here). `label` is for messages. */
static enum incise_status read_descriptor(const struct inc_ctx *ctx, int fd, const char *label, size_t max_bytes,
                                          struct inc_file *file)
{
    struct stat info;
    enum incise_status status = INCISE_OK;
    unsigned char *data = NULL;
    size_t size = 0, done = 0;
    if (fstat(fd, &info) != 0) {
        status = inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", label, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: not a regular file", label);
    } else if ((uint64_t)info.st_size > max_bytes || (uint64_t)info.st_size >= SIZE_MAX) {
        status = inc_fail(ctx, INCISE_ERROR_DATA, "%s: %lld bytes, more than the %zu that are read here", label,
                          (long long)info.st_size, max_bytes);
    } else {
        size = (size_t)info.st_size;
        data = inc_alloc(ctx, size + 1);
        if (data == NULL) status = inc_fail_memory(ctx, size + 1, label);
    }
    while (status == INCISE_OK && done < size) {
        ssize_t n = read(fd, data + done, inc_min_size(size - done, (size_t)1 << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            status = inc_fail(ctx, INCISE_ERROR_IO, "%s: %s at byte %zu", label, strerror(errno), done);
        else if (n == 0)
            status = inc_fail(ctx, INCISE_ERROR_IO, "%s: became shorter while it was read (%zu of %zu bytes)", label,
                              done, size);
        else
            done += (size_t)n;
    }
    close(fd);
    if (status != INCISE_OK) {
        inc_free(ctx, data);
        return status;
    }
    data[size] = 0;
    file->data = data;
    file->size = size;
    return INCISE_OK;
}

enum incise_status inc_file_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes, struct inc_file *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* non-blocking: a FIFO must not hang the open */
    if (fd < 0) return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", path, strerror(errno));
    return read_descriptor(ctx, fd, path, max_bytes, file);
}

enum incise_status inc_file_read_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                        size_t max_bytes, struct inc_file *file)
{
    char label[512];
    size_t n_folder = strlen(folder), n_name = strlen(name);
    if (n_folder + n_name + 2 > sizeof label)
        return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%.100s: the path is too long", name);
    memcpy(label, folder, n_folder);
    label[n_folder] = '/';
    memcpy(label + n_folder + 1, name, n_name + 1);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') != NULL)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: the name is not a plain file name", label);
    int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", folder, strerror(errno));
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int error = errno;
    close(dir);
    if (fd < 0 && error == ELOOP)
        return inc_fail(ctx, INCISE_ERROR_DATA, "%s: is a symbolic link; a model's files must lie in its folder",
                        label);
    if (fd < 0) return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", label, strerror(error));
    return read_descriptor(ctx, fd, label, max_bytes, file);
}

void inc_file_release(const struct inc_ctx *ctx, struct inc_file *file)
{
    inc_free(ctx, file->data);
    file->data = NULL;
    file->size = 0;
}

bool inc_file_size(const char *path, uint64_t *size)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    *size = (uint64_t)info.st_size;
    return true;
}

bool inc_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum incise_status inc_folder_of(const struct inc_ctx *ctx, const char *path, char **folder)
{
    const char *slash = strrchr(path, '/');
    size_t length = strlen(path);
    if (!inc_is_folder(path)) length = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    *folder = inc_alloc(ctx, length + 2);
    if (*folder == NULL) return inc_fail_memory(ctx, length + 2, "a path");
    memcpy(*folder, length > 0 ? path : ".", length > 0 ? length : 1);
    (*folder)[length > 0 ? length : 1] = '\0';
    return INCISE_OK;
}
