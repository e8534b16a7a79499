/* SPDX-License-Identifier: Apache-2.0 */
/* Output folders: written beside, fsynced, renamed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"

#define WRITE_BUFFER ((size_t)256 * 1024)

static enum incise_status errno_status(void)
{
    switch (errno) {
    case ENOSPC:
    case EDQUOT: return INCISE_ERROR_NO_SPACE;
    case EFBIG:
    case EIO: return INCISE_ERROR_IO;
    default: return INCISE_ERROR_CREATE;
    }
}

/* "a" + separator + "b" in fresh memory, or NULL (reported). */
static char *join(const struct inc_ctx *ctx, const char *a, const char *separator, const char *b)
{
    size_t bytes = strlen(a) + strlen(separator) + strlen(b) + 1;
    char *text = inc_alloc(ctx, bytes);
    if (text == NULL) {
        (void)inc_fail_memory(ctx, bytes, "a path");
        return NULL;
    }
    snprintf(text, bytes, "%s%s%s", a, separator, b);
    return text;
}

/* Removes a folder of files and of folders of files: the depth an output may have. Best effort. */
static void remove_folder(const char *path, int depth)
{
    DIR *dir = opendir(path);
    if (dir != NULL) {
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
            char child[4096];
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
            if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child) continue;
            if (unlink(child) != 0 && depth > 0) remove_folder(child, depth - 1);
        }
        closedir(dir);
    }
    rmdir(path);
}

/* An output may replace a folder that an output could have made: files, and folders of files. */
static bool is_replaceable(const char *path, int depth)
{
    DIR *dir = opendir(path);
    bool fine = dir != NULL;
    for (struct dirent *entry; fine && (entry = readdir(dir)) != NULL;) {
        char child[4096];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        fine = snprintf(child, sizeof child, "%s/%s", path, entry->d_name) < (int)sizeof child &&
               lstat(child, &info) == 0 &&
               (S_ISREG(info.st_mode) || (S_ISDIR(info.st_mode) && depth > 0 && is_replaceable(child, depth - 1)));
    }
    if (dir != NULL) closedir(dir);
    return fine;
}

/* *mode: of what is at `path`, which is an error unless `force`; 0: nothing is there. */
static enum incise_status check_free(const struct inc_ctx *ctx, const char *path, bool force, mode_t *mode)
{
    struct stat info;
    bool there = lstat(path, &info) == 0;
    *mode = there ? info.st_mode : 0;
    if (there && !force) return inc_fail(ctx, INCISE_ERROR_CREATE, "%s: exists already; --force replaces it", path);
    if (there || errno == ENOENT) return INCISE_OK;
    return inc_fail(ctx, INCISE_ERROR_CREATE, "%s: %s", path, strerror(errno));
}

static enum incise_status check_target(const struct inc_ctx *ctx, const char *path, bool force)
{
    mode_t mode;
    INC_TRY(check_free(ctx, path, force, &mode));
    if (mode == 0) return INCISE_OK;
    if (!S_ISDIR(mode) || !is_replaceable(path, 1))
        return inc_fail(ctx, INCISE_ERROR_CREATE, "%s: is not a model folder, so it is not replaced", path);
    return INCISE_OK;
}

/* The first free name `path`.tmp.PID[.n]. A killed process may have left some behind, and a container gives the same
 * PID to each of its processes. */
static enum incise_status make_temporary(struct inc_output *out)
{
    enum { MAX_LEFT_BEHIND = 1000 };
    for (int n = 0; n < MAX_LEFT_BEHIND; n++) {
        char suffix[48];
        int length = snprintf(suffix, sizeof suffix, ".tmp.%ld", (long)getpid());
        if (n > 0) snprintf(suffix + length, sizeof suffix - (size_t)length, ".%d", n);
        out->temp = join(out->ctx, out->path, suffix, "");
        if (out->temp == NULL) return INCISE_ERROR_MEMORY;
        if (mkdir(out->temp, 0777) == 0) return INCISE_OK;
        if (errno != EEXIST || n + 1 == MAX_LEFT_BEHIND) break;
        inc_free(out->ctx, out->temp);
    }
    enum incise_status status = inc_fail(out->ctx, errno_status(), "%s: %s", out->temp, strerror(errno));
    inc_free(out->ctx, out->temp);
    out->temp = NULL;
    return status;
}

enum incise_status inc_output_begin(const struct inc_ctx *ctx, const char *path, bool force, struct inc_output *out)
{
    memset(out, 0, sizeof *out);
    out->ctx = ctx;
    out->force = force;
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    if (length == 0) return inc_fail(ctx, INCISE_ERROR_USAGE, "the output folder has an empty name");
    char *clean = inc_alloc(ctx, length + 1);
    if (clean == NULL) return inc_fail_memory(ctx, length + 1, "a path");
    memcpy(clean, path, length);
    clean[length] = '\0';
    out->path = clean;
    enum incise_status status = check_target(ctx, clean, force);
    if (status == INCISE_OK) status = make_temporary(out);
    if (status != INCISE_OK) inc_output_discard(out);
    return status;
}

enum incise_status inc_output_open(struct inc_output *out, const char *name, struct inc_output_file *file)
{
    const struct inc_ctx *ctx = out->ctx;
    memset(file, 0, sizeof *file);
    file->ctx = ctx;
    file->fd = -1;
    file->path = join(ctx, out->temp, "/", name);
    if (file->path == NULL) return INCISE_ERROR_MEMORY;
    file->buffered = inc_alloc(ctx, WRITE_BUFFER);
    if (file->buffered == NULL) {
        inc_output_abandon(file);
        return inc_fail_memory(ctx, WRITE_BUFFER, "a write buffer");
    }
    if (strchr(name, '/') != NULL) {
        char *slash = strrchr(file->path, '/');
        *slash = '\0';
        if (mkdir(file->path, 0777) != 0 && errno != EEXIST) {
            enum incise_status status = inc_fail(ctx, errno_status(), "%s: %s", file->path, strerror(errno));
            inc_output_abandon(file);
            return status;
        }
        *slash = '/';
    }
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd < 0) {
        enum incise_status status = inc_fail(ctx, errno_status(), "%s: %s", file->path, strerror(errno));
        inc_output_abandon(file);
        return status;
    }
    return INCISE_OK;
}

static enum incise_status write_all(struct inc_output_file *file, const unsigned char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(file->fd, bytes, inc_min_size(n, (size_t)1 << 30));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            enum incise_status status = errno_status();
            if (status == INCISE_ERROR_CREATE) status = INCISE_ERROR_IO;
            return inc_fail(file->ctx, status, "%s: %s after %llu bytes", file->path, strerror(errno),
                            (unsigned long long)file->written);
        }
        bytes += done;
        n -= (size_t)done;
        file->written += (uint64_t)done;
    }
    return INCISE_OK;
}

enum incise_status inc_output_write(struct inc_output_file *file, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    if (n >= WRITE_BUFFER || file->n_buffered + n > WRITE_BUFFER) {
        INC_TRY(write_all(file, file->buffered, file->n_buffered));
        file->n_buffered = 0;
        if (n >= WRITE_BUFFER) return write_all(file, from, n);
    }
    if (n > 0) memcpy(file->buffered + file->n_buffered, from, n);
    file->n_buffered += n;
    return INCISE_OK;
}

enum incise_status inc_output_close(struct inc_output_file *file)
{
    enum incise_status status = write_all(file, file->buffered, file->n_buffered);
    if (status == INCISE_OK && fsync(file->fd) != 0)
        status = inc_fail(file->ctx, errno == ENOSPC ? INCISE_ERROR_NO_SPACE : INCISE_ERROR_IO, "%s: %s", file->path,
                          strerror(errno));
    if (close(file->fd) != 0 && status == INCISE_OK)
        status = inc_fail(file->ctx, INCISE_ERROR_IO, "%s: %s", file->path, strerror(errno));
    file->fd = -1;
    inc_output_abandon(file);
    return status;
}

void inc_output_abandon(struct inc_output_file *file)
{
    if (file->fd >= 0) close(file->fd);
    file->fd = -1;
    inc_free(file->ctx, file->buffered);
    inc_free(file->ctx, file->path);
    file->buffered = NULL;
    file->path = NULL;
}

static enum incise_status fill_file(struct inc_output *out, const char *name, inc_fill_fn *fill, void *arg)
{
    struct inc_output_file file;
    INC_TRY(inc_output_open(out, name, &file));
    enum incise_status status = fill(arg, &file);
    if (status == INCISE_OK) return inc_output_close(&file);
    inc_output_abandon(&file);
    return status;
}

struct content {
    const void *bytes;
    size_t n;
};

static enum incise_status write_content(void *arg, struct inc_output_file *file)
{
    const struct content *content = arg;
    return inc_output_write(file, content->bytes, content->n);
}

enum incise_status inc_output_copy(struct inc_output *out, const char *folder, const char *name, bool *copied)
{
    const struct inc_ctx *ctx = out->ctx;
    uint64_t size;
    char *source = join(ctx, folder, "/", name);
    if (source == NULL) return INCISE_ERROR_MEMORY;
    if (copied != NULL) *copied = false;
    if (!inc_file_size(source, &size)) {
        inc_free(ctx, source);
        return INCISE_OK;
    }
    struct inc_file file = {0};
    enum incise_status status = inc_file_read(ctx, source, SIZE_MAX, &file);
    inc_free(ctx, source);
    if (status != INCISE_OK) return status;
    struct content content = {file.data, file.size};
    status = fill_file(out, name, write_content, &content);
    inc_file_release(ctx, &file);
    if (status == INCISE_OK && copied != NULL) *copied = true;
    return status;
}

/* fsync of a folder makes the names in it durable. */
static enum incise_status sync_folder(const struct inc_ctx *ctx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return inc_fail(ctx, INCISE_ERROR_IO, "%s: %s", path, strerror(errno));
    int failed = fsync(fd) != 0 && errno != EINVAL;
    close(fd);
    return failed ? inc_fail(ctx, INCISE_ERROR_IO, "%s: %s", path, strerror(errno)) : INCISE_OK;
}

/* The folder that holds `path`, in fresh memory; NULL when memory is short (reported). */
static char *parent_of(const struct inc_ctx *ctx, const char *path)
{
    if (strchr(path, '/') == NULL) return join(ctx, ".", "", "");
    char *parent = join(ctx, path, "", "");
    if (parent == NULL) return NULL;
    char *slash = strrchr(parent, '/');
    slash[slash == parent] = '\0'; /* "/" stays */
    return parent;
}

/* Everything that can fail for want of memory is done before the renames: afterwards the output is there. */
static enum incise_status put_in_place(struct inc_output *out, const char *old)
{
    const struct inc_ctx *ctx = out->ctx;
    bool replaces = inc_is_folder(out->path);
    if (replaces && rename(out->path, old) != 0)
        return inc_fail(ctx, errno_status(), "%s: %s", out->path, strerror(errno));
    if (rename(out->temp, out->path) != 0) {
        enum incise_status status = inc_fail(ctx, errno_status(), "%s: %s", out->path, strerror(errno));
        if (replaces && rename(old, out->path) != 0)
            inc_log(ctx, INCISE_LOG_ERROR, "%s: the former folder is at %s", out->path, old);
        return status;
    }
    inc_free(ctx, out->temp);
    out->temp = NULL;
    if (replaces) remove_folder(old, 1);
    return INCISE_OK;
}

enum incise_status inc_output_commit(struct inc_output *out)
{
    const struct inc_ctx *ctx = out->ctx;
    INC_TRY(sync_folder(ctx, out->temp));
    INC_TRY(check_target(ctx, out->path, out->force));
    char *old = join(ctx, out->temp, ".old", ""), *parent = parent_of(ctx, out->path);
    enum incise_status status = old == NULL || parent == NULL ? INCISE_ERROR_MEMORY : put_in_place(out, old);
    if (status == INCISE_OK) status = sync_folder(ctx, parent);
    inc_free(ctx, old);
    inc_free(ctx, parent);
    return status;
}

void inc_output_discard(struct inc_output *out)
{
    if (out->temp != NULL) remove_folder(out->temp, 1);
    inc_free(out->ctx, out->temp);
    inc_free(out->ctx, out->path);
    out->temp = out->path = NULL;
}

/* ---- single files ---------------------------------------------------------------------------------------------- */

/* A folder beside `path`, in which the file is made. */
static enum incise_status begin_beside(const struct inc_ctx *ctx, const char *path, struct inc_output *out)
{
    *out = (struct inc_output){.ctx = ctx, .path = join(ctx, path, "", "")};
    enum incise_status status = out->path == NULL ? INCISE_ERROR_MEMORY : make_temporary(out);
    if (status != INCISE_OK) inc_output_discard(out);
    return status;
}

static enum incise_status move_out(struct inc_output *out, const char *name)
{
    char *made = join(out->ctx, out->temp, "/", name), *parent = parent_of(out->ctx, out->path);
    enum incise_status status = made == NULL || parent == NULL ? INCISE_ERROR_MEMORY : INCISE_OK;
    if (status == INCISE_OK && rename(made, out->path) != 0)
        status = inc_fail(out->ctx, errno_status(), "%s: %s", out->path, strerror(errno));
    if (status == INCISE_OK) status = sync_folder(out->ctx, parent);
    inc_free(out->ctx, made);
    inc_free(out->ctx, parent);
    return status;
}

enum incise_status inc_file_make(const struct inc_ctx *ctx, const char *path, bool force, inc_fill_fn *fill, void *arg)
{
    struct inc_output out;
    mode_t mode;
    INC_TRY(check_free(ctx, path, force, &mode));
    INC_TRY(begin_beside(ctx, path, &out));
    enum incise_status status = fill_file(&out, "file", fill, arg);
    if (status == INCISE_OK) status = move_out(&out, "file");
    inc_output_discard(&out);
    return status;
}

enum incise_status inc_file_replace(const struct inc_ctx *ctx, const char *path, const void *bytes, size_t n)
{
    struct content content = {bytes, n};
    return inc_file_make(ctx, path, true, write_content, &content);
}

enum incise_status inc_file_check_place(const struct inc_ctx *ctx, const char *path, bool force)
{
    struct inc_output out;
    mode_t mode;
    INC_TRY(check_free(ctx, path, force, &mode));
    if (mode != 0 && !S_ISREG(mode))
        return inc_fail(ctx, INCISE_ERROR_CREATE, "%s: is no file, so it is not replaced", path);
    INC_TRY(begin_beside(ctx, path, &out));
    inc_output_discard(&out);
    return INCISE_OK;
}
