/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unicode classes and NFC: see unicode.h. utf8proc decomposes and composes; the reordering of
 * combining marks between the two is ours, because utf8proc's takes quadratic time and a prompt may
 * be a megabyte of marks.
 */
#include "engine/text/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

enum {
    DECOMPOSED_MAX = 32, /* characters that one may become; the longest known is 4 */
    FIRST_COMBINING = 0x300,
    CLASS_COUNT = 256, /* canonical combining classes */
    SHORT_RUN = 16,    /* marks in a row that are sorted by insertion */
};

#define L UNICODE_LETTER
#define N UNICODE_NUMBER
#define P UNICODE_PUNCT
#define S UNICODE_SYMBOL
#define W UNICODE_SPACE
static const uint8_t ascii_class[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, W, W, W, W, W, 0, 0, /* control */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* control */
    W, P, P, P, S, P, P, P, P, P, P, S, P, P, P, P, /*  !"#$%&'()*+,-./ */
    N, N, N, N, N, N, N, N, N, N, P, P, S, S, S, P, /* 0123456789:;<=>? */
    P, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* @ABCDEFGHIJKLMNO */
    L, L, L, L, L, L, L, L, L, L, L, P, P, P, S, P, /* PQRSTUVWXYZ[\]^_ */
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* `abcdefghijklmno */
    L, L, L, L, L, L, L, L, L, L, L, P, S, P, S, 0, /* pqrstuvwxyz{|}~ */
};
#undef L
#undef N
#undef P
#undef S
#undef W

/* White_Space beyond ASCII, the whole list. */
static bool is_space(uint32_t c)
{
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

unsigned unicode_class(uint32_t codepoint)
{
    if (codepoint < 128)
        return ascii_class[codepoint];
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return UNICODE_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return UNICODE_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return UNICODE_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return UNICODE_PUNCT;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return UNICODE_SYMBOL;
    default:
        return is_space(codepoint) ? UNICODE_SPACE : 0;
    }
}

bool unicode_is_word(uint32_t codepoint)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);

    return (unicode_class(codepoint) & (UNICODE_LETTER | UNICODE_MARK)) != 0 ||
           category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
           category == UTF8PROC_CATEGORY_PC || codepoint == 0x200c || codepoint == 0x200d;
}

uint32_t unicode_at(const char *text, size_t at, size_t *next)
{
    const unsigned char *p = (const unsigned char *)text + at;

    if (p[0] < 0x80) {
        *next = at + 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *next = at + 2;
        return (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU);
    }
    if (p[0] < 0xf0) {
        *next = at + 3;
        return (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
    }
    *next = at + 4;
    return (p[0] & 0x07U) << 18 | (p[1] & 0x3fU) << 12 | (p[2] & 0x3fU) << 6 | (p[3] & 0x3fU);
}

bool unicode_needs_nfc(struct str text)
{
    /* Nothing below U+0300 combines or is composed; 0xcc leads its encoding. */
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0xcc)
            return true;
    }
    return false;
}

static int combining_class(int32_t codepoint)
{
    if (codepoint < FIRST_COMBINING)
        return 0;
    return (int)utf8proc_get_property(codepoint)->combining_class & (CLASS_COUNT - 1);
}

static void sort_short(int32_t *marks, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        int32_t mark = marks[i];
        int class = combining_class(mark);
        size_t to = i;

        for (; to > 0 && combining_class(marks[to - 1]) > class; to--)
            marks[to] = marks[to - 1];
        marks[to] = mark;
    }
}

/* Stable, by counting: linear however long the run is. */
static void sort_long(int32_t *marks, size_t count, int32_t *spare)
{
    size_t start[CLASS_COUNT + 1] = {0};

    for (size_t i = 0; i < count; i++)
        start[combining_class(marks[i]) + 1]++;
    for (size_t class = 0; class < CLASS_COUNT; class ++)
        start[class + 1] += start[class];
    for (size_t i = 0; i < count; i++)
        spare[start[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, spare, count * sizeof(*marks));
}

static void order_marks(int32_t *points, size_t count, int32_t *spare)
{
    size_t i = 0;

    while (i < count) {
        size_t end = i;

        while (end < count && combining_class(points[end]) != 0)
            end++;
        if (end - i > SHORT_RUN)
            sort_long(points + i, end - i, spare);
        else if (end - i > 1)
            sort_short(points + i, end - i);
        i = end + 1;
    }
}

/* Writes the decomposed characters and returns how many; into NULL it only counts. */
static size_t decompose(struct str text, int32_t *points)
{
    size_t count = 0;
    size_t at = 0;

    while (at < text.len) {
        uint32_t codepoint = unicode_at(text.ptr, at, &at);
        int32_t parts[DECOMPOSED_MAX];
        int last_class = 0;
        utf8proc_ssize_t n;

        if (codepoint < 0xc0) { /* the first that decomposes */
            parts[0] = (int32_t)codepoint;
            n = 1;
        } else {
            n = utf8proc_decompose_char((utf8proc_int32_t)codepoint, parts, DECOMPOSED_MAX,
                                        UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &last_class);
        }
        if (n < 1 || n > DECOMPOSED_MAX) { /* cannot happen for a valid character */
            parts[0] = (int32_t)codepoint;
            n = 1;
        }
        if (points != NULL)
            memcpy(points + count, parts, (size_t)n * sizeof(*parts));
        count += (size_t)n;
    }
    return count;
}

int unicode_nfc(struct str text, struct buf *out)
{
    CLEANUP(mem_freep) int32_t *points = NULL;
    CLEANUP(mem_freep) int32_t *spare = NULL;
    size_t count = decompose(text, NULL);
    utf8proc_ssize_t composed;

    points = mem_array(count + 1, sizeof(*points));
    spare = mem_array(count + 1, sizeof(*spare));
    if (points == NULL || spare == NULL)
        return -ERR_NO_MEMORY;
    decompose(text, points);
    order_marks(points, count, spare);
    composed = utf8proc_normalize_utf32(points, (utf8proc_ssize_t)count,
                                        UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (utf8proc_ssize_t i = 0; i < composed; i++) {
        char bytes[4];
        int length = utf8_encode((uint32_t)points[i], bytes);

        if (buf_append(out, bytes, (size_t)length) < 0)
            return out->len >= out->max ? -ERR_LIMIT : -ERR_NO_MEMORY;
    }
    return 0;
}
