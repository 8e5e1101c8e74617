/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strict (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. See str.h. */
#include "base/str.h"

#include "base/mem.h"

struct lead {
    int length;
    unsigned char second_min; /* the range of the second byte rules out overlong and surrogates */
    unsigned char second_max;
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0x80)
        return (struct lead){1, 0, 0};
    if (c < 0xc2 || c > 0xf4)
        return (struct lead){0, 0, 0};
    if (c < 0xe0)
        return (struct lead){2, 0x80, 0xbf};
    if (c == 0xe0)
        return (struct lead){3, 0xa0, 0xbf};
    if (c == 0xed)
        return (struct lead){3, 0x80, 0x9f};
    if (c < 0xf0)
        return (struct lead){3, 0x80, 0xbf};
    if (c == 0xf0)
        return (struct lead){4, 0x90, 0xbf};
    if (c == 0xf4)
        return (struct lead){4, 0x80, 0x8f};
    return (struct lead){4, 0x80, 0xbf};
}

int utf8_length(struct str s)
{
    struct lead lead;

    if (s.len == 0)
        return 0;
    lead = lead_of((unsigned char)s.ptr[0]);
    for (int i = 1; i < lead.length; i++) {
        unsigned char c;

        if ((size_t)i >= s.len)
            return -1;
        c = (unsigned char)s.ptr[i];
        if (i == 1 ? c < lead.second_min || c > lead.second_max : (c & 0xc0) != 0x80)
            return 0;
    }
    return lead.length;
}

bool utf8_valid(struct str s)
{
    while (s.len > 0) {
        int length = utf8_length(s);

        if (length <= 0)
            return false;
        s.ptr += length;
        s.len -= (size_t)length;
    }
    return true;
}

int utf8_decode(struct str s, uint32_t *codepoint)
{
    static const uint32_t lead_mask[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    int length = utf8_length(s);
    uint32_t value;

    if (length <= 0)
        return 0;
    value = (unsigned char)s.ptr[0] & lead_mask[length];
    for (int i = 1; i < length; i++)
        value = value << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    *codepoint = value;
    return length;
}

int utf8_encode(uint32_t codepoint, char out[4])
{
    static const unsigned char lead_bits[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    int length;

    if (codepoint > 0x10ffff || (codepoint >= 0xd800 && codepoint <= 0xdfff))
        return 0;
    if (codepoint < 0x80) {
        out[0] = (char)codepoint;
        return 1;
    }
    length = codepoint < 0x800 ? 2 : codepoint < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (codepoint & 0x3f));
        codepoint >>= 6;
    }
    out[0] = (char)(lead_bits[length] | codepoint);
    return length;
}

bool utf8_is_unseen(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},   {0x200b, 0x200f},
        {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
    };

    for (size_t i = 0; i < ARRAY_COUNT(ranges); i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}
