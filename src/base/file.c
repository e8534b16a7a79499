/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/size.h"

/* ---- any place ------------------------------------------------------------------------------------------------- */

/* Takes over `fd`, which is closed on failure. */
static enum incise_status take_descriptor(const struct inc_ctx *ctx, int fd, const char *label,
                                          struct inc_reader *reader)
{
    struct stat info;
    *reader = (struct inc_reader){ctx, label, fd, NULL, 0};
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        reader->size = (uint64_t)info.st_size;
        return INCISE_OK;
    }
    enum incise_status status = inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: not a regular file", label);
    inc_reader_close(reader);
    return status;
}

enum incise_status inc_reader_open(const struct inc_ctx *ctx, const char *path, struct inc_reader *reader)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* non-blocking: a FIFO must not hang the open */
    if (fd < 0) return inc_fail(ctx, INCISE_ERROR_NO_INPUT, "%s: %s", path, strerror(errno));
    return take_descriptor(ctx, fd, path, reader);
}

void inc_reader_open_memory(const struct inc_ctx *ctx, const char *label, const void *memory, size_t size,
                            struct inc_reader *reader)
{
    *reader = (struct inc_reader){ctx, label, -1, memory, size};
}

enum incise_status inc_reader_read(const struct inc_reader *reader, uint64_t offset, size_t n, void *out)
{
    size_t done = 0;
    if (reader->fd < 0 && offset <= reader->size && n <= reader->size - offset) {
        if (n > 0) memcpy(out, reader->memory + offset, n);
        return INCISE_OK;
    }
    while (done < n) {
        ssize_t got = pread(reader->fd, (unsigned char *)out + done, inc_min_size(n - done, (size_t)1 << 30),
                            (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return inc_fail(reader->ctx, INCISE_ERROR_IO, "%s: %s at byte %llu", reader->label, strerror(errno),
                            (unsigned long long)(offset + done));
        if (got == 0)
            return inc_fail(reader->ctx, INCISE_ERROR_IO, "%s: became shorter while it was read (%llu of %llu bytes)",
                            reader->label, (unsigned long long)(offset + done), (unsigned long long)reader->size);
        done += (size_t)got;
    }
    return INCISE_OK;
}

void inc_reader_close(struct inc_reader *reader)
{
    if (reader->fd >= 0) close(reader->fd);
    reader->fd = -1;
}

/* ---- whole files ----------------------------------------------------------------------------------------------- */

#define HUGE_PAGE ((uintptr_t)2 << 20)

/* Page faults of 4 KB cost as much as reading a file that is cached; a hint, so its result does not matter. */
static void prefer_huge_pages(unsigned char *data, size_t size)
{
    uintptr_t start = (uintptr_t)data & ~(HUGE_PAGE - 1), end = (uintptr_t)data + size;
    if (start < (uintptr_t)data) start += HUGE_PAGE;
    if (start < end) madvise((void *)start, (end - start) & ~(HUGE_PAGE - 1), MADV_HUGEPAGE);
}

enum incise_status inc_reader_load(const struct inc_reader *reader, uint64_t offset, size_t n, struct inc_file *file)
{
    const struct inc_ctx *ctx = reader->ctx;
    unsigned char *data = n < SIZE_MAX ? inc_alloc(ctx, n + 1) : NULL;
    if (data == NULL) return inc_fail_memory(ctx, n, reader->label);
    prefer_huge_pages(data, n);
    enum incise_status status = inc_reader_read(reader, offset, n, data);
    if (status != INCISE_OK) {
        inc_free(ctx, data);
        return status;
    }
    data[n] = 0;
    *file = (struct inc_file){.data = data, .size = n};
    return INCISE_OK;
}

/* Reads and closes `reader`. */
static enum incise_status read_whole(struct inc_reader *reader, size_t max_bytes, struct inc_file *file)
{
    enum incise_status status =
        reader->size > max_bytes
            ? inc_fail(reader->ctx, INCISE_ERROR_DATA, "%s: %llu bytes, more than the %zu that are read here",
                       reader->label, (unsigned long long)reader->size, max_bytes)
            : inc_reader_load(reader, 0, (size_t)reader->size, file);
    inc_reader_close(reader);
    return status;
}

enum incise_status inc_file_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes, struct inc_file *file)
{
    struct inc_reader reader;
    INC_TRY(inc_reader_open(ctx, path, &reader));
    return read_whole(&reader, max_bytes, file);
}

enum incise_status inc_reader_map(const struct inc_reader *reader, struct inc_file *file)
{
    if (reader->size >= SIZE_MAX)
        return inc_fail(reader->ctx, INCISE_ERROR_MEMORY, "%s: too large to be mapped", reader->label);
    *file = (struct inc_file){.data = NULL, .size = (size_t)reader->size, .mapped = true};
    if (file->size == 0) return INCISE_OK; /* there are no mappings of nothing */
    void *data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, reader->fd, 0);
    if (data == MAP_FAILED) {
        file->size = 0;
        return inc_fail(reader->ctx, errno == ENOMEM ? INCISE_ERROR_MEMORY : INCISE_ERROR_IO, "%s: %s", reader->label,
                        strerror(errno));
    }
    file->data = data;
    return INCISE_OK;
}

enum { MAX_LABEL = 512 };

static enum incise_status open_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                      char label[MAX_LABEL], struct inc_reader *reader)
{
    size_t n_folder = strlen(folder), n_name = strlen(name);
    if (n_folder + n_name + 2 > MAX_LABEL)
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
    return take_descriptor(ctx, fd, label, reader);
}

enum incise_status inc_file_read_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                        size_t max_bytes, struct inc_file *file)
{
    char label[MAX_LABEL];
    struct inc_reader reader;
    INC_TRY(open_beside(ctx, folder, name, label, &reader));
    return read_whole(&reader, max_bytes, file);
}

enum incise_status inc_file_map_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                       struct inc_file *file)
{
    char label[MAX_LABEL];
    struct inc_reader reader;
    INC_TRY(open_beside(ctx, folder, name, label, &reader));
    enum incise_status status = inc_reader_map(&reader, file);
    inc_reader_close(&reader);
    return status;
}

static enum incise_status hash_reader(const struct inc_reader *reader, XXH3_state_t *state)
{
    enum { PIECE = 1 << 20 };
    void *piece = inc_alloc(reader->ctx, PIECE);
    if (piece == NULL) return inc_fail_memory(reader->ctx, PIECE, reader->label);
    enum incise_status status = INCISE_OK;
    for (uint64_t at = 0; at < reader->size && status == INCISE_OK; at += PIECE) {
        size_t n = reader->size - at < PIECE ? (size_t)(reader->size - at) : PIECE;
        status = inc_reader_read(reader, at, n, piece);
        if (status == INCISE_OK) XXH3_128bits_update(state, piece, n);
    }
    inc_free(reader->ctx, piece);
    return status;
}

static void print_hash(XXH128_hash_t hash, char hex[INC_HASH_HEX])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    for (size_t i = 0; i < sizeof canonical.digest; i++) snprintf(hex + 2 * i, 3, "%02x", canonical.digest[i]);
}

void inc_hash(const void *bytes, size_t n, char hex[INC_HASH_HEX])
{
    print_hash(XXH3_128bits(bytes, n), hex);
}

enum incise_status inc_file_hash(const struct inc_ctx *ctx, const char *path, char hex[INC_HASH_HEX])
{
    struct inc_reader reader;
    INC_TRY(inc_reader_open(ctx, path, &reader));
    XXH3_state_t *state = XXH3_createState();
    enum incise_status status = state == NULL ? inc_fail_memory(ctx, INC_HASH_HEX, path) : INCISE_OK;
    if (status == INCISE_OK) {
        XXH3_128bits_reset(state);
        status = hash_reader(&reader, state);
        print_hash(XXH3_128bits_digest(state), hex);
    }
    XXH3_freeState(state);
    inc_reader_close(&reader);
    return status;
}

void inc_file_release(const struct inc_ctx *ctx, struct inc_file *file)
{
    if (!file->mapped)
        inc_free(ctx, file->data);
    else if (file->data != NULL)
        munmap(file->data, file->size);
    *file = (struct inc_file){.data = NULL};
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
