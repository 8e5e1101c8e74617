/* SPDX-License-Identifier: Apache-2.0 */
/* base64 with padding: groups of three bytes and four characters. */
#include "base/base64.h"

#include <string.h>

static const char alphabet[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_append(struct buf *out, struct str bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.ptr;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)at[i] << 16;
        char text[4] = {'=', '=', '=', '='};
        int r;

        if (left > 1)
            group |= (uint32_t)at[i + 1] << 8;
        if (left > 2)
            group |= at[i + 2];
        for (size_t k = 0; k <= left; k++)
            text[k] = alphabet[group >> (18 - 6 * k) & 63];
        r = buf_append(out, text, sizeof(text));
        if (r < 0)
            return r;
    }
    return 0;
}

/* One group of four characters, of which `padding` are '='. */
struct group {
    uint32_t bits;
    int count;
    int padding;
};

static int end_group(struct buf *out, struct group *g)
{
    char bytes[3] = {(char)(g->bits >> 16), (char)(g->bits >> 8), (char)g->bits};
    size_t size = (size_t)(3 - g->padding);
    uint32_t beyond = g->padding == 0 ? 0 : g->bits & ((1U << (8 * g->padding)) - 1);
    bool last = g->padding > 0;

    if (beyond != 0)
        return -ERR_SYNTAX;
    *g = (struct group){.padding = last ? g->padding : 0};
    return buf_append(out, bytes, size);
}

static int take(struct buf *out, struct group *g, bool *ended, char c)
{
    const char *hit = c == '=' || c == '\0' ? NULL : memchr(alphabet, c, 64);

    if (*ended || (hit == NULL && c != '='))
        return -ERR_SYNTAX;
    if (hit != NULL && g->padding > 0)
        return -ERR_SYNTAX;
    g->bits = g->bits << 6 | (hit != NULL ? (uint32_t)(hit - alphabet) : 0);
    g->padding += hit == NULL ? 1 : 0;
    if (g->padding > 2)
        return -ERR_SYNTAX;
    if (++g->count < 4)
        return 0;
    *ended = g->padding > 0;
    return end_group(out, g);
}

int base64_decode(struct buf *out, struct str text, struct err *err)
{
    struct group g = {0};
    size_t start = out->len;
    bool ended = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        int r;

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
            continue;
        r = take(out, &g, &ended, c);
        if (r == 0)
            continue;
        out->len = start;
        if (r != -ERR_SYNTAX)
            return buf_check(out, "decoded text", err);
        return err_set(err, ERR_SYNTAX, "character %zu is not base64, or follows its end", i);
    }
    if (g.count == 0)
        return 0;
    out->len = start;
    return err_set(err, ERR_SYNTAX, "base64 text ends in the middle of a group of four");
}
