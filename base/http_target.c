/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request targets and queries: see http.h. The path that is authorised is the path that is
 * dispatched: everything that two readers could take for different paths is refused here.
 */
#include <string.h>

#include "base/http.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Whether an escaped '%' would make, decoded, an escaped slash of what follows it. */
static bool makes_slash(char c, struct str rest)
{
    return c == '%' && rest.len >= 2 && rest.ptr[0] == '2' &&
           (rest.ptr[1] == 'f' || rest.ptr[1] == 'F');
}

/* Decodes %XX (and in a query '+', which is a space) into `out`, which has room for text.len. In a
 * path an escaped slash stays as it is, "%2F". Returns the length, or -1 for a bad escape. */
static int64_t unescape(struct str text, bool is_query, char *out)
{
    size_t length = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '%') {
            bool whole = text.len - i > 2;
            int high = whole ? hex_digit(text.ptr[i + 1]) : -1;
            int low = whole ? hex_digit(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
            if (!is_query && makes_slash(c, str_slice(text, i + 1, text.len)))
                return -1;
            if (!is_query && c == '/') {
                memcpy(out + length, "%2F", 3);
                length += 3;
                continue;
            }
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[length++] = c;
    }
    return (int64_t)length;
}

/* Cuts "http://authority" off an absolute-form target. */
static struct str origin_form(struct str target)
{
    int64_t slash;

    if (str_starts(target, STR("http://")))
        target = str_slice(target, 7, target.len);
    else if (str_starts(target, STR("https://")))
        target = str_slice(target, 8, target.len);
    else
        return target;
    slash = str_find_char(target, '/');
    return slash < 0 ? STR("/") : str_slice(target, (size_t)slash, target.len);
}

static int check_raw(struct str raw, struct err *err)
{
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];

        if (c <= 0x20 || c == 0x7f || c == '#' || c == '\\')
            return err_set(err, ERR_INVALID, "the request target has a character 0x%02x in it", c);
    }
    return 0;
}

static int check_segments(struct str path, struct err *err)
{
    while (path.ptr != NULL) {
        struct str segment = str_cut(&path, '/');

        if (str_is(segment, ".") || str_is(segment, ".."))
            return err_set(err, ERR_INVALID, "the path has a dot segment in it");
    }
    return 0;
}

static int check_decoded(struct str path, struct err *err)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c < 0x20 || c == 0x7f || c == '\\')
            return err_set(err, ERR_INVALID, "the path has an escaped control or backslash in it");
    }
    if (!utf8_valid(path))
        return err_set(err, ERR_INVALID, "the path is not UTF-8");
    return check_segments(path, err);
}

int http_target_parse(struct str target, struct arena *arena, struct str *path, struct str *query,
                      struct err *err)
{
    struct str rest = origin_form(target);
    struct str raw;
    char *decoded;
    int64_t length;
    int r;

    if (rest.len == 0 || rest.ptr[0] != '/')
        return err_set(err, ERR_INVALID, "the request target must begin with '/'");
    r = check_raw(rest, err);
    if (r < 0)
        return r;
    raw = str_cut(&rest, '?');
    decoded = arena_alloc(arena, raw.len);
    if (decoded == NULL)
        return err_no_memory(err);
    length = unescape(raw, false, decoded);
    if (length < 0)
        return err_set(err, ERR_INVALID, "the path has a broken %%-escape in it");
    r = check_decoded((struct str){decoded, (size_t)length}, err);
    if (r < 0)
        return r;
    *path = (struct str){decoded, (size_t)length};
    *query = rest;
    return 0;
}

struct str http_path_name(struct str rest, struct arena *arena)
{
    char *name = arena_alloc(arena, rest.len);
    size_t length = 0;

    if (name == NULL)
        return STR_NONE;
    for (size_t i = 0; i < rest.len; i++) {
        bool slash = str_starts(str_slice(rest, i, rest.len), STR("%2F"));

        name[length++] = slash ? '/' : rest.ptr[i];
        i += slash ? 2 : 0;
    }
    return (struct str){name, length};
}

bool http_query_get(struct str query, const char *name, struct arena *arena, struct str *value)
{
    while (query.ptr != NULL) {
        struct str pair = str_cut(&query, '&');
        struct str key = str_cut(&pair, '=');
        char *decoded = arena_alloc(arena, key.len + pair.len + 1);
        int64_t length;

        if (decoded == NULL)
            return false;
        length = unescape(key, true, decoded);
        if (length < 0 || !str_is((struct str){decoded, (size_t)length}, name))
            continue;
        length = unescape(pair, true, decoded);
        if (length < 0)
            return false;
        *value = (struct str){decoded, (size_t)length};
        return true;
    }
    return false;
}

int http_escape(struct buf *out, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    int r = 0;

    for (size_t i = 0; i < text.len && r == 0; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

        r = plain ? buf_append_char(out, (char)c) : buf_append(out, escaped, sizeof(escaped));
    }
    return r;
}
