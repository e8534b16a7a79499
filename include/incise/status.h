/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INCISE_STATUS_H
#define INCISE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define INCISE_API   __attribute__((visibility("default")))
#define INCISE_CHECK __attribute__((warn_unused_result))
#else
#define INCISE_API
#define INCISE_CHECK
#endif

/* What every fallible function returns. The values are the exit codes of the `incise` command. The text that names
 * file, layer and reason goes once, where it is known, to the engine's log sink (see engine.h). */
enum incise_status {
    INCISE_OK = 0,
    INCISE_ERROR_FAILED = 1,       /* anything without a code of its own */
    INCISE_ERROR_USAGE = 2,        /* a call or command line that can never work */
    INCISE_ERROR_REQUIREMENT = 10, /* a --require bound was not met */
    INCISE_ERROR_DATA = 65,        /* a model, tokenizer or input is malformed or not supported */
    INCISE_ERROR_NO_INPUT = 66,    /* an input does not exist or cannot be read */
    INCISE_ERROR_NO_DEVICE = 69,   /* the requested device or instruction set is not available */
    INCISE_ERROR_MEMORY = 71,      /* an allocation failed, or the estimate exceeds --max-memory */
    INCISE_ERROR_CREATE = 73,      /* an output cannot be created, or exists already */
    INCISE_ERROR_IO = 74,          /* reading or writing failed half way */
    INCISE_ERROR_NO_SPACE = 75     /* the disk is full */
};

/* A short English name, e.g. "bad data". Never NULL. */
INCISE_API const char *incise_status_text(enum incise_status status);

#ifdef __cplusplus
}
#endif
#endif
