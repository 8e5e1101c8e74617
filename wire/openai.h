/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OpenAI API as Spate speaks it: requests in, error objects and chunks out. The gateway reads
 * only what it decides on; the agent reads everything. Parsers take bytes and trees, never sockets.
 */
#ifndef SPATE_WIRE_OPENAI_H
#define SPATE_WIRE_OPENAI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum {
    OPENAI_MESSAGES_MAX = 4096,
    OPENAI_STOPS_MAX = 16,
    OPENAI_STOP_BYTES_MAX = 512,
    OPENAI_STOP_IDS_MAX = 16,
    OPENAI_BIAS_MAX = 300,
    OPENAI_LOGPROBS_MAX = 20,
};

enum openai_endpoint { OPENAI_CHAT, OPENAI_COMPLETIONS };

/*
 * An error of the API: status, type, code and the parameter at fault. Every code that a program of
 * ours can send, X(enum, code, HTTP status, type, meaning, cure); the reference page is made from
 * it.
 */
#define OPENAI_ERRORS(X)                                                                           \
    X(OPENAI_BAD_REQUEST, "invalid_request", 400, "invalid_request_error",                         \
      "the request is not valid", "correct the parameter that the message names")                  \
    X(OPENAI_BAD_JSON, "invalid_json", 400, "invalid_request_error", "the body is not valid JSON", \
      "send one JSON object")                                                                      \
    X(OPENAI_UNSUPPORTED, "unsupported_parameter", 400, "invalid_request_error",                   \
      "a parameter that would change the answer is not done yet", "leave the parameter out")       \
    X(OPENAI_CONTEXT, "context_length_exceeded", 400, "invalid_request_error",                     \
      "prompt and max_tokens do not fit the context", "shorten the prompt or lower max_tokens")    \
    X(OPENAI_NO_KEY, "missing_api_key", 401, "authentication_error", "no API key was sent",        \
      "send Authorization: Bearer KEY")                                                            \
    X(OPENAI_BAD_KEY, "invalid_api_key", 401, "authentication_error", "the API key is not known",  \
      "make one with `spate tenant key create`")                                                   \
    X(OPENAI_FORBIDDEN, "forbidden", 403, "permission_error", "the caller may not do this",        \
      "use a key that may")                                                                        \
    X(OPENAI_NO_MODEL, "model_not_found", 404, "invalid_request_error",                            \
      "no such model for this key", "use one of the names that the message lists")                 \
    X(OPENAI_NO_ROUTE, "unknown_url", 404, "invalid_request_error", "no such path",                \
      "use /v1/chat/completions, /v1/completions or /v1/models")                                   \
    X(OPENAI_METHOD, "method_not_allowed", 405, "invalid_request_error",                           \
      "the path does not take this method", "use the method that the message names")               \
    X(OPENAI_TOO_LARGE, "request_too_large", 413, "invalid_request_error",                         \
      "the body is over the limit", "send a smaller request")                                      \
    X(OPENAI_RATE, "rate_limit_exceeded", 429, "rate_limit_error",                                 \
      "the tenant's request rate is used up", "wait for retry-after, or raise the limit")          \
    X(OPENAI_CONCURRENCY, "concurrency_limit_exceeded", 429, "rate_limit_error",                   \
      "too many requests of this tenant at once", "send fewer at once, or raise the limit")        \
    X(OPENAI_QUEUE_FULL, "queue_full", 429, "rate_limit_error", "the queue of this model is full", \
      "wait for retry-after")                                                                      \
    X(OPENAI_SERVER, "internal_error", 500, "server_error", "a fault on our side", "try again")    \
    X(OPENAI_UNAVAILABLE, "model_unavailable", 503, "server_error",                                \
      "no pod can serve the model at the moment", "try again; see `spate describe md NAME`")       \
    X(OPENAI_WAIT_TIMEOUT, "wait_timeout", 503, "server_error", "no pod became ready in time",     \
      "try again; see `spate describe md NAME`")                                                   \
    X(OPENAI_LOG_FULL, "usage_log_full", 503, "server_error",                                      \
      "usage can't be recorded, so nothing is admitted", "free disk space or restore the ledger")  \
    X(OPENAI_POD_BUSY, "pod_busy", 503, "server_error", "all slots of this pod are taken",         \
      "ask another pod, or try again")                                                             \
    X(OPENAI_POD_DRAINING, "pod_draining", 503, "server_error", "this pod is going away",          \
      "ask another pod")                                                                           \
    X(OPENAI_POD_LOADING, "pod_loading", 503, "server_error", "the model is still loading",        \
      "try again in a moment")                                                                     \
    X(OPENAI_POD_FAILED, "pod_failed", 500, "server_error", "the engine of this pod failed",       \
      "see the pod's log")

enum openai_error_code {
#define OPENAI_ERROR_ENUM(name, code, status, type, meaning, cure) name,
    OPENAI_ERRORS(OPENAI_ERROR_ENUM)
#undef OPENAI_ERROR_ENUM
        OPENAI_ERROR_COUNT
};

struct openai_error_fact {
    const char *code;
    int status;
    const char *type;
    const char *meaning;
    const char *cure;
};
const struct openai_error_fact *openai_error_fact(enum openai_error_code code);

struct openai_error {
    enum openai_error_code code;
    char param[64]; /* empty: null */
    char message[1024];
};
/* Returns -1, so that a failing branch is one line. */
int openai_error_set(struct openai_error *e, enum openai_error_code code, const char *param,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same from an err: `code`, but OPENAI_SERVER where the fault is ours (no memory). */
int openai_error_from(struct openai_error *e, enum openai_error_code code, const char *param,
                      const struct err *err);
/* {"error":{"message","type","param","code"}} */
void openai_error_write(struct buf *out, const struct openai_error *e);

struct openai_message {
    struct str role;
    struct str content; /* text parts joined */
    struct str reasoning_content;
    struct str name;
    bool has_content;
};

struct openai_bias {
    int32_t id;
    float bias;
};

/* A parsed request. Strings and arrays live in the arena. Defaults: see openai_request_read. */
struct openai_request {
    enum openai_endpoint endpoint;
    struct str model;
    struct openai_message *messages; /* chat */
    int message_count;
    struct str prompt;   /* completions: text, or ... */
    int32_t *prompt_ids; /* ... token ids */
    int prompt_id_count;
    bool prompt_is_ids;
    bool echo;
    bool stream;
    bool include_usage;
    bool return_token_ids;
    bool ignore_eos;
    bool include_stop;          /* include_stop_str_in_output */
    bool skip_special_tokens;   /* default true */
    bool add_generation_prompt; /* default true */
    bool continue_final_message;
    int64_t max_tokens; /* -1: not given (max_completion_tokens wins over max_tokens) */
    int64_t min_tokens;
    bool has_temperature, has_top_p, has_top_k; /* else generation_config's */
    bool has_min_p, has_repetition_penalty;     /* likewise */
    bool has_default_temperature;               /* for a model whose generation_config names none */
    double temperature;
    double default_temperature;
    double top_p;
    int64_t top_k;
    double min_p;
    double presence_penalty;
    double frequency_penalty;
    double repetition_penalty; /* 1: off */
    bool has_seed;
    int64_t seed;
    int logprobs; /* -1: none; else alternatives per token */
    struct str *stops;
    int stop_count;
    int32_t stop_ids[OPENAI_STOP_IDS_MAX];
    int stop_id_count;
    struct openai_bias *bias;
    int bias_count;
    struct str user;
    json_t *template_kwargs; /* borrowed from the tree: chat_template_kwargs, or NULL */
};

/* Reads and checks the whole request. `tree` must outlive *out. 0, or -1 with *error set. Known
 * parameters that we do not do and that change the answer are refused by name (tools,
 * response_format json_*, n > 1, best_of > 1, suffix, prompt_logprobs, structured output, audio
 * ...); unknown ones are ignored. */
int openai_request_read(struct openai_request *out, enum openai_endpoint endpoint,
                        const json_t *tree, struct arena *arena, struct openai_error *error);

/* What a gateway needs of a request before it has a pod. */
struct openai_peek {
    struct str model;
    bool stream;
    bool include_usage;
    bool has_seed;
    int64_t seed;
};
int openai_peek(struct openai_peek *out, const json_t *tree, struct openai_error *error);

struct openai_usage {
    uint64_t prompt_tokens;
    uint64_t completion_tokens;
    uint64_t cached_tokens;
    uint64_t reasoning_tokens;
};
/* OpenAI's and DeepSeek's style together. */
void openai_usage_write(struct json_writer *w, const struct openai_usage *usage);

/*
 * Assembles a whole answer out of the chunks of a stream (the gateway for clients that do not
 * stream, the agent when used alone). Feed each chunk's JSON; then write the whole object.
 */
struct openai_assembler;
int openai_assembler_new(struct openai_assembler **out, enum openai_endpoint endpoint,
                         size_t max_bytes, struct err *err);
void openai_assembler_free(struct openai_assembler *a);
int openai_assembler_add(struct openai_assembler *a, struct str chunk, struct err *err);
/* Whether an add failed: then there is no whole answer, and openai_assembler_write fails. */
bool openai_assembler_is_broken(const struct openai_assembler *a);
int openai_assembler_write(const struct openai_assembler *a, struct buf *out, struct err *err);

#endif
