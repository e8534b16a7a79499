/* SPDX-License-Identifier: Apache-2.0 */
/* Reading whole files safely, and writing results so that they are complete or absent. */
#ifndef INC_BASE_FILE_H
#define INC_BASE_FILE_H

#include "base/context.h"

/* A file's bytes, in memory of our own unless `mapped`: truncation by others cannot kill the process then. */
struct inc_file {
    unsigned char *data; /* 64-byte aligned; followed by one NUL byte that is not counted, unless mapped */
    size_t size;
    bool mapped; /* read-only pages of the file: what others write to it shows, and reading what they cut off kills */
};

#define INC_HASH_HEX 33 /* with its NUL */

/* Reads regular file `path` (symbolic links followed; a FIFO, device or folder is INCISE_ERROR_NO_INPUT) of at most
 * `max_bytes`. INCISE_ERROR_IO if the file shrinks while it is read. Release with inc_file_release. */
enum incise_status inc_file_read(const struct inc_ctx *ctx, const char *path, size_t max_bytes, struct inc_file *file)
    __attribute__((warn_unused_result));
/* The same for a file that a model names: `name` must be one plain component (no '/', not "..") inside `folder`, and
 * not a symbolic link. */
enum incise_status inc_file_read_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                        size_t max_bytes, struct inc_file *file) __attribute__((warn_unused_result));
/* The same, but mapped. */
enum incise_status inc_file_map_beside(const struct inc_ctx *ctx, const char *folder, const char *name,
                                       struct inc_file *file) __attribute__((warn_unused_result));
void inc_file_release(const struct inc_ctx *ctx, struct inc_file *file);

/* A regular file opened to be read at any place; its size is fixed when it is opened. */
struct inc_reader {
    const struct inc_ctx *ctx;
    const char *label;           /* for messages; borrowed */
    int fd;                      /* -1: `memory` is the file */
    const unsigned char *memory; /* borrowed */
    uint64_t size;
};
/* Symbolic links are followed; a FIFO, device or folder is INCISE_ERROR_NO_INPUT. */
enum incise_status inc_reader_open(const struct inc_ctx *ctx, const char *path, struct inc_reader *reader)
    __attribute__((warn_unused_result));
void inc_reader_open_memory(const struct inc_ctx *ctx, const char *label, const void *memory, size_t size,
                            struct inc_reader *reader);
/* `n` bytes from `offset` on; INCISE_ERROR_IO if the file has become shorter than that. */
enum incise_status inc_reader_read(const struct inc_reader *reader, uint64_t offset, size_t n, void *out)
    __attribute__((warn_unused_result));
/* The same into new memory, and a NUL behind it. */
enum incise_status inc_reader_load(const struct inc_reader *reader, uint64_t offset, size_t n, struct inc_file *file)
    __attribute__((warn_unused_result));
/* All of it, mapped; for readers of files. */
enum incise_status inc_reader_map(const struct inc_reader *reader, struct inc_file *file)
    __attribute__((warn_unused_result));
void inc_reader_close(struct inc_reader *reader);

/* XXH3-128 of bytes, or of those of regular file `path`, in hex as xxhsum prints it. */
void inc_hash(const void *bytes, size_t n, char hex[INC_HASH_HEX]);
enum incise_status inc_file_hash(const struct inc_ctx *ctx, const char *path, char hex[INC_HASH_HEX])
    __attribute__((warn_unused_result));

/* Size of regular file `path`, or false. */
bool inc_file_size(const char *path, uint64_t *size);
bool inc_is_folder(const char *path);
/* The folder that `path` is or lies in; free it with inc_free. */
enum incise_status inc_folder_of(const struct inc_ctx *ctx, const char *path, char **folder)
    __attribute__((warn_unused_result));

/* An output folder that appears at `path` complete or not at all. Files are written into a temporary folder beside it,
 * fsynced, and renamed by commit. */
struct inc_output {
    const struct inc_ctx *ctx;
    char *path; /* final */
    char *temp; /* NULL once committed or discarded */
    bool force;
};

/* INCISE_ERROR_CREATE when `path` exists and not `force`, or the folder cannot be made. With `force` an existing
 * folder is replaced at commit, and only if it holds files only (never a tree). */
enum incise_status inc_output_begin(const struct inc_ctx *ctx, const char *path, bool force, struct inc_output *out)
    __attribute__((warn_unused_result));
/* A handle to write one file of the folder (`name` may have one '/' for a sub-folder, made on demand). */
struct inc_output_file {
    const struct inc_ctx *ctx;
    int fd;
    char *path;
    unsigned char *buffered;
    size_t n_buffered;
    uint64_t written;
};
enum incise_status inc_output_open(struct inc_output *out, const char *name, struct inc_output_file *file)
    __attribute__((warn_unused_result));
enum incise_status inc_output_write(struct inc_output_file *file, const void *bytes, size_t n)
    __attribute__((warn_unused_result));
/* Flushes, fsyncs and closes; always releases the handle. */
enum incise_status inc_output_close(struct inc_output_file *file) __attribute__((warn_unused_result));
/* Closes without success (after a failed write); the folder must then be discarded. */
void inc_output_abandon(struct inc_output_file *file);
/* Copies `folder`/`name` into the output if it exists (regular file, links followed); *copied may be NULL. */
enum incise_status inc_output_copy(struct inc_output *out, const char *folder, const char *name, bool *copied)
    __attribute__((warn_unused_result));
enum incise_status inc_output_commit(struct inc_output *out) __attribute__((warn_unused_result));
/* Removes the temporary folder if not committed; releases everything. Always call it at the end. */
void inc_output_discard(struct inc_output *out);

/* Writes file `path`, complete or not at all, with what `fill` writes to it. INCISE_ERROR_CREATE when it exists and not
 * `force`, which replaces a file, not a folder. */
typedef enum incise_status inc_fill_fn(void *arg, struct inc_output_file *file);
enum incise_status inc_file_make(const struct inc_ctx *ctx, const char *path, bool force, inc_fill_fn *fill, void *arg)
    __attribute__((warn_unused_result));
/* The same with given bytes, in place of a file that is there. */
enum incise_status inc_file_replace(const struct inc_ctx *ctx, const char *path, const void *bytes, size_t n)
    __attribute__((warn_unused_result));
/* Whether that could be done, before the work that is to be kept: what will stand in its way is reported. */
enum incise_status inc_file_check_place(const struct inc_ctx *ctx, const char *path, bool force)
    __attribute__((warn_unused_result));

#endif
