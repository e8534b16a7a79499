/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-128 of a stream: what `xxhsum -H2` prints of the same bytes. */
#ifndef TOOLS_DIGEST_H
#define TOOLS_DIGEST_H

#include <xxhash.h>

#include "incise/status.h"

#define DIGEST_HEX 33 /* with its NUL */

struct digest {
    XXH3_state_t *state;
};

enum incise_status digest_init(struct digest *digest);
void digest_fini(struct digest *digest);
void digest_reset(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t n);
/* Of all that was added; more may follow. */
void digest_get(const struct digest *digest, char hex[DIGEST_HEX]);

#endif
