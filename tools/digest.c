/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include "tool.h"

enum incise_status digest_init(struct digest *digest)
{
    digest->state = XXH3_createState();
    if (digest->state == NULL) return tool_fail(INCISE_ERROR_MEMORY, "out of memory");
    digest_reset(digest);
    return INCISE_OK;
}

void digest_fini(struct digest *digest)
{
    XXH3_freeState(digest->state);
    digest->state = NULL;
}

void digest_reset(struct digest *digest)
{
    XXH3_128bits_reset(digest->state);
}

void digest_add(struct digest *digest, const void *bytes, size_t n)
{
    XXH3_128bits_update(digest->state, bytes, n);
}

void digest_get(const struct digest *digest, char hex[DIGEST_HEX])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(digest->state));
    for (size_t i = 0; i < sizeof canonical.digest; i++) snprintf(hex + 2 * i, 3, "%02x", canonical.digest[i]);
}
