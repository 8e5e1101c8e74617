/* SPDX-License-Identifier: Apache-2.0 */
/* One chat with a model over the OpenAI API of a gateway: streams answers to stdout. Blocking. */
#ifndef SPATE_CLI_CHAT_H
#define SPATE_CLI_CHAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum { CHAT_ANSWER_MAX = 16 << 20 };

struct chat_options {
    const char *url; /* of the gateway, without path */
    const char *key;
    const char *model;
    int64_t max_tokens;         /* 0: the server's choice */
    const char *temperature;    /* JSON number as text; NULL: the model's, ... */
    double default_temperature; /* ... and this one if it recommends none */
    int64_t seed;               /* -1: none */
    bool show_thinking;
    bool dim_thinking;   /* by escape sequences */
    bool plain;          /* stdout is a terminal: keep control characters of the model from it */
    int64_t patience_ms; /* how long 401 and 404 are tried again: key or model are brand-new */
};

struct chat_result {
    struct buf answer; /* without the thinking; the caller inits it with CHAT_ANSWER_MAX */
    int64_t prompt_tokens;
    int64_t completion_tokens;
    int64_t first_token_ms;
    int64_t total_ms;
    int exit_code; /* that fits the failure */
};

/* Sends the messages (a JSON array) and prints the answer while it comes. */
int chat_ask(struct chat_result *out, const struct chat_options *options, const json_t *messages,
             struct err *err);

#endif
