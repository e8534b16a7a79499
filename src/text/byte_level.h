/* SPDX-License-Identifier: Apache-2.0 */
/* GPT-2's alphabet: vocabularies of byte-level tokenizers write each byte as a visible character. */
#ifndef INC_TEXT_BYTE_LEVEL_H
#define INC_TEXT_BYTE_LEVEL_H

#include <stdint.h>

/* The character that stands for a byte. */
uint32_t inc_byte_level_code(unsigned char byte);

#endif
