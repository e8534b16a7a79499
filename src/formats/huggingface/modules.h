/* SPDX-License-Identifier: Apache-2.0 */
/* What sentence-transformers runs behind the encoder: modules.json with Pooling, Dense and Normalize. */
#ifndef INC_FORMATS_HUGGINGFACE_MODULES_H
#define INC_FORMATS_HUGGINGFACE_MODULES_H

#include "formats/huggingface/blocks.h"

/* Appends the modules of `folder` to the builder's only output [B,S,D] and gives the model the output
 * "sentence_embedding" [B, width] beside it. INCISE_ERROR_DATA names the module or setting that is not supported. */
enum incise_status inc_hf_append_modules(struct inc_hf_builder *b, const char *folder)
    __attribute__((warn_unused_result));

#endif
