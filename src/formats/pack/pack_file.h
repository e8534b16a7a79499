/* SPDX-License-Identifier: Apache-2.0 */
/* Files of packed weights: what a device made of the linears of a model, so that the next start need not make it again.
 * A sealed file (base/sealed.h): its tables say which model this is and, for each slot, its range of tables and of
 * values (base/packed.h), by far the most of the file.
 *
 * The tables are read into memory, and whoever uses them checks every number in them; the values are mapped. Another
 * process that changes the file meanwhile can therefore change results but no address; one that cuts it short makes
 * reads fail as any mapped file does (SIGBUS).
 */
#ifndef INC_FORMATS_PACK_FILE_H
#define INC_FORMATS_PACK_FILE_H

#include "base/packed.h"
#include "base/sealed.h"

/* A model's two files as they are at one time. Equal stamps: the same model, unless somebody is out to deceive. */
struct inc_pack_stamp {
    char xml_hash[INC_HASH_HEX + 7];
    uint64_t bin_size, bin_inode; /* 0: there is no .bin */
    int64_t bin_seconds, bin_nanoseconds; /* of its last change */
};

/* Of the model whose .xml is `source`. */
enum incise_status inc_pack_stamp(const struct inc_ctx *ctx, const char *source, struct inc_pack_stamp *stamp)
    __attribute__((warn_unused_result));

struct inc_pack {
    const struct inc_ctx *ctx;
    const char *path;              /* as given; owned */
    const char *source;            /* the .xml, an absolute path */
    struct inc_pack_stamp stamp;   /* of the model when it was packed */
    char bin_hash[INC_HASH_HEX];   /* of the whole .bin; "" if there was none */
    uint64_t values_hash;          /* XXH3-64 of all values */
    struct inc_packed_slot *slots; /* by the program's slots */
    size_t n_slots;
    struct inc_sealed sealed;
    struct inc_file map; /* the whole file */
};

/* Opens `path`. INCISE_ERROR_NO_INPUT if it cannot be opened, INCISE_ERROR_DATA if it is no such file, is one of
 * another version, cut short or damaged in its tables. The slots' own tables are not looked at. */
enum incise_status inc_pack_open(const struct inc_ctx *ctx, const char *path, struct inc_pack **pack)
    __attribute__((warn_unused_result));
void inc_pack_close(struct inc_pack *pack); /* NULL is fine */
/* *why: what of the model is not as it was when it was packed; NULL if it is the same. INCISE_ERROR_NO_INPUT if it is
 * gone. */
enum incise_status inc_pack_stale(const struct inc_pack *pack, const char **why) __attribute__((warn_unused_result));
/* Reads all of the values and of the model's files: INCISE_ERROR_DATA says what is not as it was when it was packed. */
enum incise_status inc_pack_verify(const struct inc_pack *pack) __attribute__((warn_unused_result));

/* What goes into a file: the slots in order. `same`: the first slot that holds the same; its own index if that is it,
 * and only then `packed` holds anything. */
struct inc_pack_entry {
    uint64_t name; /* of struct inc_packed_slot */
    size_t same;
    struct inc_packed_out packed;
};
/* Writes `path`, complete or not at all. INCISE_ERROR_CREATE if it exists and not `force`. `stamp`: of `source` before
 * it was read. */
enum incise_status inc_pack_write(const struct inc_ctx *ctx, const char *path, bool force, const char *source,
                                  const struct inc_pack_stamp *stamp, const struct inc_pack_entry *entries, size_t n)
    __attribute__((warn_unused_result));

#endif
