/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the body of a request to what the engine takes: parse, check, render, tokenise. Runs in the
 * pool, since a body may have megabytes. Owns everything that it made until prompt_fini.
 */
#ifndef SPATE_AGENT_PROMPT_H
#define SPATE_AGENT_PROMPT_H

#include "base/arena.h"
#include "engine/engine.h"
#include "engine/text/detok.h"
#include "engine/text/tokenizer.h"
#include "wire/openai.h"
#include "wire/stream.h"

struct agent;

enum { PROMPT_ARENA_BYTES_MAX = 128 << 20, PROMPT_RENDERED_BYTES_MAX = 64 << 20 };

struct prompt {
    /* In: set before prompt_prepare. */
    struct agent *agent; /* only what is immutable after start is read */
    enum openai_endpoint endpoint;
    struct str body;
    bool is_attempt; /* the body is the gateway's envelope */

    /* Out. */
    bool failed;
    struct openai_error error;
    struct arena arena;
    json_t *tree;
    struct openai_request request;
    struct stream_attempt attempt; /* of a gateway; else made here with a zero attempt number */
    struct token_list ids;
    struct text_stream *text;
    struct engine_bias *bias;
    struct engine_request engine; /* everything but the handle */
};

void prompt_prepare(struct prompt *p);
void prompt_fini(struct prompt *p); /* also of a zeroed one */

#endif
