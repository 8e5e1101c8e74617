/* SPDX-License-Identifier: Apache-2.0 */
/* Time-ordered ids: see id.h. 26 characters hold 130 bits; the top two are zero. */
#include "base/id.h"

#include <string.h>

static const char alphabet[33] = "0123456789abcdefghjkmnpqrstvwxyz";

struct id128 id_make(const struct clock *clock, const struct rng *rng)
{
    uint64_t ms = (uint64_t)clock_wall_ms(clock);
    struct id128 id;

    rng_fill(rng, id.bytes, sizeof(id.bytes));
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    return id;
}

void id_format(struct id128 id, char out[ID_TEXT_LEN + 1])
{
    unsigned __int128 value = 0;

    for (int i = 0; i < 16; i++)
        value = value << 8 | id.bytes[i];
    for (int i = ID_TEXT_LEN - 1; i >= 0; i--) {
        out[i] = alphabet[value & 31];
        value >>= 5;
    }
    out[ID_TEXT_LEN] = '\0';
}

bool id_parse(struct str text, struct id128 *out)
{
    unsigned __int128 value = 0;

    if (text.len != ID_TEXT_LEN || text.ptr[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *hit = memchr(alphabet, text.ptr[i], 32);

        if (hit == NULL)
            return false;
        value = value << 5 | (unsigned)(hit - alphabet);
    }
    for (int i = 15; i >= 0; i--) {
        out->bytes[i] = (uint8_t)value;
        value >>= 8;
    }
    return true;
}

int id_compare(struct id128 a, struct id128 b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

bool id_is_zero(struct id128 id)
{
    static const struct id128 zero;

    return id_compare(id, zero) == 0;
}
