/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Added tokens: texts that are cut out of the input before anything else looks at it, leftmost
 * first, of those that begin together the longest. Filled while the tokenizer opens, read-only
 * afterwards.
 */
#ifndef SPATE_ENGINE_TEXT_ADDED_H
#define SPATE_ENGINE_TEXT_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum {
    ADDED_TOKENS_MAX = 65536,
    ADDED_BYTES_MAX = 512, /* of one */
};

struct added_token {
    char *text; /* owned; what is looked for */
    size_t length;
    int32_t id;
    bool special;
    bool single_word; /* not within a word */
    bool strip_left;  /* takes the white space before it */
    bool strip_right; /* ... after it */
};

struct added {
    struct added_token *tokens; /* sorted by text once added_sort was called */
    size_t count;
    size_t cap;
    bool first_byte[256];
};

void added_fini(struct added *a); /* a zeroed one is empty */

/* `token->text` is copied. */
int added_add(struct added *a, const struct added_token *token, struct err *err);
/* After the last one; two of the same text keep the one added last. */
void added_sort(struct added *a);

/* The first token in text[from .. len), or NULL. *start and *end bound what it takes away. Skips
 * special tokens if `plain`. */
const struct added_token *added_next(const struct added *a, struct str text, size_t from,
                                     bool plain, size_t *start, size_t *end);
/* The token of exactly this text, or NULL. */
const struct added_token *added_find(const struct added *a, struct str text);

#endif
