/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What HTTP server and client share: header lists, status texts, targets and addresses. Pure.
 */
#ifndef SPATE_BASE_HTTP_H
#define SPATE_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct http_header {
    struct str name;
    struct str value; /* trimmed */
};

struct http_headers {
    const struct http_header *items;
    size_t count;
};

/* The first header of that name (case does not matter), or an empty view with ptr NULL. */
struct str http_header_get(const struct http_headers *headers, const char *name);
size_t http_header_count(const struct http_headers *headers, const char *name);
/* True if a comma-separated list header holds the token (case does not matter). */
bool http_header_has_token(const struct http_headers *headers, const char *name, const char *token);

/* "OK", "Too Many Requests"; "Unknown" for a status without a text. */
const char *http_status_text(int status);

/* A field name of RFC 9110 token characters; a value without CR, LF, NUL or other controls. */
bool http_header_name_valid(struct str name);
bool http_header_value_valid(struct str value);

/* The token of "Authorization: Bearer <token>", or an empty view with ptr NULL. */
struct str http_bearer_token(const struct http_headers *headers);

/*
 * Splits a request target into its decoded path and its raw query (without '?'). Origin form and
 * absolute form; refused: dot segments, encoded backslashes, controls, bad escapes, fragments,
 * bytes that are no UTF-8. An encoded slash stays "%2F": it never separates segments, so that no
 * two readers see different routes. Outputs live in the arena or in `target`.
 */
int http_target_parse(struct str target, struct arena *arena, struct str *path, struct str *query,
                      struct err *err);
/* The rest of a routed path as a name that may have slashes in it: "%2F" is one. In the arena;
 * ptr NULL without memory. */
struct str http_path_name(struct str rest, struct arena *arena);

/* The decoded value of the first query parameter of that name ('+' is a space), in the arena. False
 * if it is absent or badly escaped. "a" without '=' has the empty value. */
bool http_query_get(struct str query, const char *name, struct arena *arena, struct str *value);

/* Appends `text` with everything but unreserved characters escaped: for path segments and query
 * values. */
int http_escape(struct buf *out, struct str text);

/* "127.0.0.1:80", "[::1]:80", "localhost:80" (host as it is written, brackets removed). The port is
 * required; 0 is allowed. The host must fit. */
enum { HTTP_HOST_MAX = 256 };
struct http_address {
    char host[HTTP_HOST_MAX];
    uint16_t port;
};
int http_address_parse(struct str text, struct http_address *out, struct err *err);

#endif
