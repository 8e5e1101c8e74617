/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From token ids to the text that a client sees, one id at a time: whole UTF-8 characters, stop
 * strings, and the split into reasoning and answer. Its state is a pure function of the options and
 * the ids so far: after a resume, push the ids known already and drop the deltas; what follows is
 * exactly what would have followed.
 *
 *     id -> bytes -> whole characters -> stop strings -> reasoning | content
 *                    (1)                 (2)             (3)
 *
 * (1) An incomplete character is held back; ill-formed bytes become U+FFFD, one for each maximal
 *     ill-formed part, as Hugging Face decodes.
 * (2) Stop strings are looked for in all text, reasoning and its tags included (as vLLM does); text
 *     that may be the beginning of one is held back. The match that ends first wins; of those that
 *     end together, the longest. Only the stop string and what follows it is cut.
 * (3) Inside reasoning until `</think>`: the token of that name if the tokenizer has one, else the
 *     characters. Outside it, an answer that begins with `<think>` (only whitespace before) enters
 *     it. Tags belong to neither text. Line breaks right after either tag are dropped, as
 *     DeepSeek's API does. Tags count as reasoning tokens.
 *
 * Memory is fixed at text_stream_new; nothing allocates or fails later. One thread at a time.
 */
#ifndef SPATE_ENGINE_TEXT_DETOK_H
#define SPATE_ENGINE_TEXT_DETOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct text_stream;
struct tokenizer;

enum {
    TEXT_STOPS_MAX = 16,        /* stop strings of one request */
    TEXT_STOP_BYTES_MAX = 1024, /* of one stop string */
};

struct text_options {
    bool keep_special;       /* special tokens appear in the text (skip_special_tokens: false) */
    bool include_stop;       /* the stop string itself is part of the text */
    bool split_reasoning;    /* else everything is content */
    bool starts_reasoning;   /* text_prompt_opens_reasoning(prompt) */
    const struct str *stops; /* copied; none may be empty */
    int stop_count;
};

/* What one id added. The views live until the next call on the stream. When both are present,
 * reasoning comes first. */
struct text_delta {
    struct str reasoning;
    struct str content;
};

/* -ERR_INVALID, -ERR_LIMIT: the stop strings are not acceptable. `t` must outlive the stream. */
int text_stream_new(struct text_stream **out, const struct tokenizer *t,
                    const struct text_options *options, struct err *err);
void text_stream_free(struct text_stream *s);
void text_stream_freep(struct text_stream **s); /* for CLEANUP */

/* The next id of the output. After a completed stop string it only counts: it is waste. */
struct text_delta text_stream_push(struct text_stream *s, int32_t id);
/* The stop id that ended the answer: counted, never shown (unless keep_special and include_stop).
 */
struct text_delta text_stream_push_stop_id(struct text_stream *s, int32_t id);
/* The answer is complete: releases what was held back. Further pushes are not allowed. */
struct text_delta text_stream_finish(struct text_stream *s);

int text_stream_count(const struct text_stream *s); /* ids pushed */
/* Characters (code points) of all text so far, held back or released; of an incomplete character
 * nothing. Without split_reasoning it is where in the answer the next id's text begins. */
uint64_t text_stream_characters(const struct text_stream *s);
/* Output position (from 0) of the id that completed a stop string, -1: none yet. */
int text_stream_stop_position(const struct text_stream *s);
/* Which of options.stops it was, -1: none yet. */
int text_stream_stop_index(const struct text_stream *s);
/* Ids that belong to the reasoning, of those up to the stop position. */
int text_stream_reasoning_tokens(const struct text_stream *s);
bool text_stream_in_reasoning(const struct text_stream *s);

/* True if a rendered prompt ends with `<think>`, line breaks after it allowed. */
bool text_prompt_opens_reasoning(struct str prompt);

#endif
