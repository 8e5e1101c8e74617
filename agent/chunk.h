/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of an answer as OpenAI clients expect them, written into a buffer. Pure. */
#ifndef SPATE_AGENT_CHUNK_H
#define SPATE_AGENT_CHUNK_H

#include "base/buf.h"
#include "engine/engine.h"
#include "engine/text/detok.h"
#include "engine/text/tokenizer.h"
#include "wire/openai.h"

/* Equal in all chunks of an answer. */
struct chunk_head {
    enum openai_endpoint endpoint;
    struct str id;
    struct str model;
    int64_t created_s;
    bool usage_null;      /* "usage": null, where the client asked for usage */
    bool reasoning_alias; /* "reasoning" beside "reasoning_content" */
};

/* Logprobs of the id of a chunk. */
struct chunk_logprobs {
    bool wanted; /* false: none, and the rest is not looked at */
    const struct tokenizer *tokenizer;
    const struct engine_event *event;
    int index;            /* of the id in the event */
    uint64_t text_offset; /* completions: characters of the answer before the id's text */
};

struct chunk {
    bool with_role;
    struct text_delta text;
    const char *finish; /* NULL: it goes on */
    struct chunk_logprobs logprobs;
    const int32_t *ids; /* return_token_ids; NULL: not wanted */
    int id_count;
    const int32_t *prompt_ids; /* with the first ids; NULL: not now */
    int prompt_id_count;
};

/* Appends one JSON object. */
void chunk_write(struct buf *out, const struct chunk_head *head, const struct chunk *chunk);
/* The chunk with no choices and the usage. */
void chunk_write_usage(struct buf *out, const struct chunk_head *head,
                       const struct openai_usage *usage);

#endif
