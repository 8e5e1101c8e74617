/* SPDX-License-Identifier: Apache-2.0 */
/* A small tokenizer for tests, written as a tokenizer.json: all 256 bytes as ids 0 to 255 (the id
 * is the byte), then a few merges and added tokens. */
#ifndef SPATE_TESTS_TINY_TOKENIZER_H
#define SPATE_TESTS_TINY_TOKENIZER_H

#include "base/buf.h"
#include "engine/text/tokenizer.h"

enum {
    TINY_HE = 256, /* "he" */
    TINY_LL,       /* "ll" */
    TINY_HELL,     /* "hell" */
    TINY_HELLO,    /* "hello" */
    TINY_SPACE_HELLO,
    TINY_AA,
    TINY_AAAA,
    TINY_EURO_HEAD, /* the first two bytes of U+20AC */
    TINY_MERGED_END,
    TINY_THINK = TINY_MERGED_END, /* "<think>" */
    TINY_THINK_END,               /* "</think>" */
    TINY_BOS,                     /* "<s>", special */
    TINY_EOS,                     /* "</s>", special */
    TINY_SIZE,
};

/* Appends the tokenizer.json; without the two tags where `tags` is false. */
void tiny_tokenizer_json(struct buf *out, bool tags);
struct tokenizer *tiny_tokenizer(bool tags);

#endif
