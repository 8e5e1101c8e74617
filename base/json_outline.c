/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_read_outline: see json.h. Long string values are cut in a copy of the text, at memory speed,
 * before the copy is parsed; a parser that visits every character is some ten times slower. A
 * string is cut only where that can't change what is valid: it is UTF-8 without control characters,
 * it has none but the one-letter escapes, and it is no key.
 */
#include <string.h>

#include "base/buf.h"
#include "base/json.h"

enum { WORD_BYTES = 8 };

#define EACH_BYTE(byte) (0x0101010101010101ULL * (byte))

/* Whether one of the eight characters is a control character, '"', '\\' or beyond ASCII. Exact:
 * with the high bits clear no byte borrows from or carries into another one. */
static bool has_special(uint64_t word)
{
    const uint64_t high = EACH_BYTE(0x80ULL);
    uint64_t low = word & ~high;
    uint64_t quote = low ^ EACH_BYTE((uint64_t)'"');
    uint64_t backslash = low ^ EACH_BYTE((uint64_t)'\\');
    uint64_t control = ~(low + EACH_BYTE(0x60ULL));
    uint64_t is_quote = ~(quote + EACH_BYTE(0x7fULL));
    uint64_t is_backslash = ~(backslash + EACH_BYTE(0x7fULL));

    return ((word | control | is_quote | is_backslash) & high) != 0;
}

static size_t skip_plain(struct str text, size_t at)
{
    while (at + WORD_BYTES <= text.len) {
        uint64_t word;

        memcpy(&word, text.ptr + at, sizeof(word));
        if (has_special(word))
            break;
        at += WORD_BYTES;
    }
    return at;
}

static bool is_short_escape(char c)
{
    return c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

/*
 * `at` is behind the opening quote. Returns the index of the closing one, or text.len if there is
 * none. *cuttable: every character is of the kinds that may be left out.
 */
static size_t string_end(struct str text, size_t at, bool *cuttable)
{
    *cuttable = true;
    while ((at = skip_plain(text, at)) < text.len && text.ptr[at] != '"') {
        unsigned char c = (unsigned char)text.ptr[at];
        int length = 1;

        if (c == '\\') {
            length = 2;
            *cuttable = *cuttable && at + 1 < text.len && is_short_escape(text.ptr[at + 1]);
        } else if (c >= 0x80) {
            length = utf8_length(str_slice(text, at, text.len));
        }
        *cuttable = *cuttable && c >= 0x20 && length > 0;
        at += length > 0 ? (size_t)length : 1;
    }
    return at < text.len ? at : text.len;
}

/* Whether what follows the closing quote at `at` makes the string a key. */
static bool is_key(struct str text, size_t at)
{
    do
        at++;
    while (at < text.len && strchr(" \t\r\n", text.ptr[at]) != NULL && text.ptr[at] != '\0');
    return at < text.len && text.ptr[at] == ':';
}

static void copy_outline(struct buf *out, struct str text)
{
    size_t done = 0; /* copied or cut so far */
    size_t at = 0;

    while (at < text.len) {
        const char *quote = memchr(text.ptr + at, '"', text.len - at);
        size_t begin = quote == NULL ? text.len : (size_t)(quote - text.ptr) + 1;
        bool cuttable = false;
        size_t end = quote == NULL ? text.len : string_end(text, begin, &cuttable);

        if (end < text.len && end - begin > JSON_OUTLINE_KEEP && cuttable && !is_key(text, end)) {
            buf_append_str(out, str_slice(text, done, begin));
            done = end;
        }
        at = end + 1;
    }
    buf_append_str(out, str_slice(text, done, text.len));
}

int json_read_outline(json_t **out, struct str text, const struct json_limits *limits,
                      const char *what, struct err *err)
{
    struct buf outline;
    int r;

    if (text.len <= JSON_OUTLINE_KEEP || text.len > limits->max_bytes)
        return json_read(out, text, limits, what, err);
    buf_init(&outline, text.len);
    copy_outline(&outline, text);
    r = outline.failed ? err_no_memory(err) : json_read(out, buf_str(&outline), limits, what, err);
    buf_fini(&outline);
    return r;
}
