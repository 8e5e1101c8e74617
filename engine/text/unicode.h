/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tokenizer must know of Unicode: the classes that its patterns name, and NFC. Over
 * utf8proc's tables; ASCII goes by a table of our own. Pure; thread-safe.
 */
#ifndef SPATE_ENGINE_TEXT_UNICODE_H
#define SPATE_ENGINE_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    UNICODE_LETTER = 1,  /* \p{L} */
    UNICODE_MARK = 2,    /* \p{M} */
    UNICODE_NUMBER = 4,  /* \p{N} */
    UNICODE_PUNCT = 8,   /* \p{P} */
    UNICODE_SYMBOL = 16, /* \p{S} */
    UNICODE_SPACE = 32,  /* \s: White_Space */
};

/* The classes of one character, as bits. */
unsigned unicode_class(uint32_t codepoint);
/* \w as the `regex` crate has it, for the single_word flag of added tokens. */
bool unicode_is_word(uint32_t codepoint);

/* Decodes the character at text[at]; the text must be valid UTF-8 and at < end. Sets *next. */
uint32_t unicode_at(const char *text, size_t at, size_t *next);

/* False only if the text is certainly in NFC already. */
bool unicode_needs_nfc(struct str text);
/* Appends the NFC form of valid UTF-8; time O(n log n) even for endless combining marks.
 * -ERR_NO_MEMORY or the buffer's limit. */
int unicode_nfc(struct str text, struct buf *out);

#endif
