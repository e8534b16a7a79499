/* SPDX-License-Identifier: Apache-2.0 */
#include "text/byte_level.h"

uint32_t inc_byte_level_code(unsigned char byte)
{
    if (byte <= ' ') return 0x100u + byte;
    if (byte < 0x7f) return byte;
    if (byte <= 0xa0) return 0x100u + 0x21 + (byte - 0x7fu);
    return byte == 0xad ? 0x143 : byte;
}
