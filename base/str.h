/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string view: pointer and length, not NUL-terminated, never owned. Inside Spate text travels as
 * views; NUL-terminated strings appear only at the edges (system calls, libraries).
 */
#ifndef SPATE_BASE_STR_H
#define SPATE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr; /* may be NULL only when len is 0 */
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)((s).len > INT32_MAX ? INT32_MAX : (s).len), ((s).ptr ? (s).ptr : "")

struct str str_of(const char *text);                        /* NULL gives the empty view */
struct str str_slice(struct str s, size_t from, size_t to); /* clamped to the view */

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII letters only */
bool str_is(struct str a, const char *text);
int str_compare(struct str a, struct str b); /* bytewise, as memcmp */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Index of the first occurrence, or -1. */
int64_t str_find(struct str s, struct str needle);
int64_t str_find_char(struct str s, char c);
struct str str_trim(struct str s); /* spaces, tabs, CR, LF at both ends */

/* Cuts at the first `separator`: returns what is before it and leaves the rest in *rest. Without a
 * separator the whole is returned and *rest becomes empty with ptr NULL (the end of the loop). */
struct str str_cut(struct str *rest, char separator);

/* Whole view as a decimal number: no sign for u64, no spaces, no overflow. False otherwise. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out);
bool str_to_f64(struct str s, double *out); /* JSON grammar, locale-proof */

/* DNS-1123 names, as Kubernetes has them: labels of a-z 0-9 '-', at most 63; subdomains at most
 * 253. Every name from an object is checked with these before it meets a path or URL. */
bool str_is_dns_label(struct str s);
bool str_is_dns_subdomain(struct str s);

/* Length of the valid UTF-8 sequence that starts at s (1-4), 0 when there is none, -1 when the
 * bytes are a proper prefix of one. No overlong forms, no surrogates. */
int utf8_length(struct str s);
bool utf8_valid(struct str s);
/* Decodes one valid sequence; returns its length, 0 if invalid. */
int utf8_decode(struct str s, uint32_t *codepoint);
/* Writes 1-4 bytes to out and returns how many; 0 for a surrogate or a value over U+10FFFF. */
int utf8_encode(uint32_t codepoint, char out[4]);
/* What a terminal obeys, or what makes a text look like another one: control characters, marks of
 * direction, characters without width, separators of lines. */
bool utf8_is_unseen(uint32_t codepoint);

#endif
