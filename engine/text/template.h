/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chat templates: one bounded interpreter of the subset of Jinja2 that the templates of DeepSeek-R1
 * and its distills, Qwen2.5, Llama 3 and ChatML use, with the settings of transformers
 * (trim_blocks, lstrip_blocks, loop controls). What is outside the subset is refused by
 * template_compile, naming line and construct. A template can call nothing outside itself, and its
 * steps, memory, depth and output are limited: the model folder never executes.
 *
 * A compiled template is immutable: any number of threads may render it.
 */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_H
#define SPATE_ENGINE_TEXT_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"

struct template;

enum {
    TEMPLATE_SOURCE_BYTES_MAX = 1 << 20,
    TEMPLATE_NODES_MAX = 65536, /* of the compiled tree */
    TEMPLATE_NESTING_MAX = 64,  /* of blocks, and of an expression */
    TEMPLATE_MACROS_MAX = 256,
    TEMPLATE_STEPS_MAX = 8 << 20,
    TEMPLATE_VALUE_BYTES_MAX = 256 << 20, /* all values made during one rendering */
};

/* `name` goes into messages ("chat template"). The caller owns *out; `source` is copied. */
int template_compile(struct template **out, struct str source, const char *name, struct err *err);
void template_free(struct template *t);
void template_freep(struct template **t); /* for CLEANUP */

struct template_input {
    const json_t *messages; /* array of objects: role, content, and what else the client sent.
                               Content must be text (or null) already: parts are the caller's */
    const json_t *tools;    /* array; NULL: none */
    const json_t *extra;    /* object: chat_template_kwargs, further variables; NULL: none */
    bool add_generation_prompt;
    struct str bos_token;
    struct str eos_token;
    const struct clock *clock; /* of strftime_now, in UTC; NULL: the template finds it undefined */
};

/*
 * Appends the prompt to `out`, whose ceiling is the limit of the output. -ERR_INVALID: the template
 * itself refused the messages (raise_exception), or a value has the wrong type; -ERR_LIMIT: steps,
 * memory or output. After a failure `out` may hold part of the text. The trees are only read.
 */
int template_render(const struct template *t, const struct template_input *input, struct buf *out,
                    struct err *err);

#endif
