/* SPDX-License-Identifier: Apache-2.0 */
/* Reading requests: see openai.h. Messages and refusals have files of their own. */
#include "base/mem.h"
#include "wire/openai_parts.h"

int openai_bad(struct openai_error *e, const char *param, const struct err *err)
{
    return openai_error_set(e, OPENAI_BAD_REQUEST, param, "%s", err_message(err));
}

int openai_no_memory(struct openai_error *e)
{
    return openai_error_set(e, OPENAI_SERVER, NULL, "out of memory while reading the request");
}

int openai_get_bool(const json_t *tree, const char *key, bool *out, struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_bool(tree, key, false, out, &err);

    return r < 0 && r != -ERR_NOT_FOUND ? openai_bad(e, key, &err) : 0;
}

int openai_get_i64(const json_t *tree, const char *key, int64_t min, int64_t max, int64_t *out,
                   struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_i64(tree, key, false, min, max, out, &err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    return r < 0 ? openai_bad(e, key, &err) : 1;
}

int openai_get_f64(const json_t *tree, const char *key, double min, double max, double *out,
                   struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_f64(tree, key, false, min, max, out, &err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    return r < 0 ? openai_bad(e, key, &err) : 1;
}

int openai_get_text(const json_t *tree, const char *key, bool required, struct str *out,
                    struct arena *arena, struct openai_error *e)
{
    struct err err = {0};
    struct str text;
    int r = json_get_str(tree, key, required, &text, &err);

    if (r == -ERR_NOT_FOUND && !required)
        return 0;
    if (r < 0)
        return openai_bad(e, key, &err);
    *out = arena_str(arena, text);
    return out->ptr == NULL ? openai_no_memory(e) : 1;
}

static int add_stop(struct openai_request *out, const json_t *stop, struct arena *arena,
                    struct openai_error *e)
{
    struct str text = json_str(stop);

    if (!json_is_string(stop) || text.len == 0 || text.len > OPENAI_STOP_BYTES_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "stop",
                                "each of 'stop' must be a string of 1 to %d bytes",
                                OPENAI_STOP_BYTES_MAX);
    out->stops[out->stop_count] = arena_str(arena, text);
    if (out->stops[out->stop_count].ptr == NULL)
        return openai_no_memory(e);
    out->stop_count++;
    return 0;
}

static int read_stops(struct openai_request *out, const json_t *tree, struct arena *arena,
                      struct openai_error *e)
{
    const json_t *stop = json_object_get(tree, "stop");
    size_t count = json_is_array(stop) ? json_array_size(stop) : 1;

    if (stop == NULL || json_is_null(stop))
        return 0;
    if (count > OPENAI_STOPS_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "stop",
                                "'stop' has %zu strings; the limit is %d", count, OPENAI_STOPS_MAX);
    out->stops = arena_array(arena, count, sizeof(*out->stops));
    if (out->stops == NULL)
        return openai_no_memory(e);
    for (size_t i = 0; i < count; i++) {
        if (add_stop(out, json_is_array(stop) ? json_array_get(stop, i) : stop, arena, e) < 0)
            return -1;
    }
    return 0;
}

static int read_stop_ids(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    const json_t *ids = json_object_get(tree, "stop_token_ids");

    if (ids == NULL || json_is_null(ids))
        return 0;
    if (!json_is_array(ids) || json_array_size(ids) > OPENAI_STOP_IDS_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "stop_token_ids",
                                "'stop_token_ids' must be a list of at most %d token ids",
                                OPENAI_STOP_IDS_MAX);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return openai_error_set(e, OPENAI_BAD_REQUEST, "stop_token_ids",
                                    "'stop_token_ids[%zu]' is not a token id", i);
        out->stop_ids[out->stop_id_count++] = (int32_t)json_integer_value(id);
    }
    return 0;
}

static int read_bias(struct openai_request *out, const json_t *tree, struct arena *arena,
                     struct openai_error *e)
{
    json_t *bias = json_object_get(tree, "logit_bias");
    const char *key;
    json_t *value;

    if (bias == NULL || json_is_null(bias))
        return 0;
    if (!json_is_object(bias) || json_object_size(bias) > OPENAI_BIAS_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "logit_bias",
                                "'logit_bias' must be an object of at most %d token ids",
                                OPENAI_BIAS_MAX);
    out->bias = arena_array(arena, json_object_size(bias), sizeof(*out->bias));
    if (out->bias == NULL)
        return openai_no_memory(e);
    json_object_foreach (bias, key, value) {
        double amount = json_number_value(value);
        uint64_t id;

        if (!str_to_u64(str_of(key), &id) || id > INT32_MAX || !json_is_number(value) ||
            !(amount >= -100 && amount <= 100))
            return openai_error_set(e, OPENAI_BAD_REQUEST, "logit_bias",
                                    "'logit_bias' must map token ids to numbers from -100 to 100");
        out->bias[out->bias_count++] = (struct openai_bias){(int32_t)id, (float)amount};
    }
    return 0;
}

/* Chat: logprobs is a switch, top_logprobs the number. Completions: logprobs is the number. */
static int read_logprobs(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    int64_t count = 0;
    bool wanted = false;
    int given;

    out->logprobs = -1;
    if (out->endpoint == OPENAI_COMPLETIONS) {
        given = openai_get_i64(tree, "logprobs", 0, OPENAI_LOGPROBS_MAX, &count, e);
        if (given == 1)
            out->logprobs = (int)count;
        return given < 0 ? -1 : 0;
    }
    if (openai_get_bool(tree, "logprobs", &wanted, e) < 0)
        return -1;
    given = openai_get_i64(tree, "top_logprobs", 0, OPENAI_LOGPROBS_MAX, &count, e);
    if (given < 0)
        return -1;
    if (given == 1 && !wanted && count > 0)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "top_logprobs",
                                "'top_logprobs' needs 'logprobs': true");
    if (wanted)
        out->logprobs = (int)count;
    return 0;
}

/* Ours: what a client would rather have than 1, if nobody names a temperature. */
static int read_default_temperature(struct openai_request *out, const json_t *tree,
                                    struct openai_error *e)
{
    int given = openai_get_f64(tree, "default_temperature", 0, 2, &out->default_temperature, e);

    out->has_default_temperature = given == 1;
    return given;
}

static int read_sampling(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    int temperature = openai_get_f64(tree, "temperature", 0, 2, &out->temperature, e);
    int top_p = temperature < 0 ? -1 : openai_get_f64(tree, "top_p", 0, 1, &out->top_p, e);
    int top_k = top_p < 0 ? -1 : openai_get_i64(tree, "top_k", -1, INT32_MAX, &out->top_k, e);
    int min_p = top_k < 0 ? -1 : openai_get_f64(tree, "min_p", 0, 1, &out->min_p, e);
    int seed = min_p < 0 ? -1 : openai_get_i64(tree, "seed", INT64_MIN, INT64_MAX, &out->seed, e);
    int repetition = seed < 0 ? -1
                              : openai_get_f64(tree, "repetition_penalty", 0.01, 100,
                                               &out->repetition_penalty, e);

    if (repetition < 0 || read_default_temperature(out, tree, e) < 0 ||
        openai_get_f64(tree, "presence_penalty", -2, 2, &out->presence_penalty, e) < 0 ||
        openai_get_f64(tree, "frequency_penalty", -2, 2, &out->frequency_penalty, e) < 0)
        return -1;
    out->has_temperature = temperature == 1;
    out->has_top_p = top_p == 1;
    out->has_top_k = top_k == 1;
    out->has_min_p = min_p == 1;
    out->has_repetition_penalty = repetition == 1;
    out->has_seed = seed == 1;
    if (out->has_top_p && out->top_p <= 0)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "top_p", "'top_p' must be over 0");
    if (out->top_k < 0)
        out->top_k = 0; /* -1 is vLLM's spelling of off */
    return 0;
}

static int read_lengths(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    const char *name = "max_tokens";
    int given;

    out->max_tokens = -1;
    if (openai_get_i64(tree, "max_tokens", 1, INT32_MAX, &out->max_tokens, e) < 0)
        return -1;
    given = openai_get_i64(tree, "max_completion_tokens", 1, INT32_MAX, &out->max_tokens, e);
    if (given < 0 || openai_get_i64(tree, "min_tokens", 0, INT32_MAX, &out->min_tokens, e) < 0)
        return -1;
    if (out->max_tokens >= 0 && out->min_tokens > out->max_tokens)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "min_tokens",
                                "'min_tokens' is more than '%s'",
                                given == 1 ? "max_completion_tokens" : name);
    return 0;
}

/* Variables of the template, as transformers has them. What it doesn't take as such is refused. */
static int read_template_kwargs(struct openai_request *out, const json_t *tree,
                                struct openai_error *e)
{
    static const char *const names[] = {"chat_template", "tokenize", "continue_final_message",
                                        "messages"};
    json_t *kwargs = json_object_get(tree, "chat_template_kwargs");

    if (kwargs == NULL || json_is_null(kwargs))
        return 0;
    if (!json_is_object(kwargs))
        return openai_error_set(e, OPENAI_BAD_REQUEST, "chat_template_kwargs",
                                "'chat_template_kwargs' must be an object, not %s",
                                json_type_name(kwargs));
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (json_object_get(kwargs, names[i]) != NULL)
            return openai_error_set(e, OPENAI_UNSUPPORTED, "chat_template_kwargs",
                                    "'chat_template_kwargs.%s' is not supported: give variables of "
                                    "the model's template only",
                                    names[i]);
    }
    out->template_kwargs = kwargs;
    return 0;
}

static int read_switches(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    const json_t *options = json_object_get(tree, "stream_options");

    out->skip_special_tokens = true;
    out->add_generation_prompt = true;
    if (openai_get_bool(tree, "stream", &out->stream, e) < 0 ||
        openai_get_bool(tree, "echo", &out->echo, e) < 0 ||
        openai_get_bool(tree, "return_token_ids", &out->return_token_ids, e) < 0 ||
        openai_get_bool(tree, "ignore_eos", &out->ignore_eos, e) < 0 ||
        openai_get_bool(tree, "include_stop_str_in_output", &out->include_stop, e) < 0 ||
        openai_get_bool(tree, "skip_special_tokens", &out->skip_special_tokens, e) < 0 ||
        openai_get_bool(tree, "add_generation_prompt", &out->add_generation_prompt, e) < 0 ||
        openai_get_bool(tree, "continue_final_message", &out->continue_final_message, e) < 0)
        return -1;
    if (options != NULL && !json_is_null(options) && !json_is_object(options))
        return openai_error_set(e, OPENAI_BAD_REQUEST, "stream_options",
                                "'stream_options' must be an object, not %s",
                                json_type_name(options));
    if (openai_get_bool(options, "include_usage", &out->include_usage, e) < 0)
        return -1;
    if (read_template_kwargs(out, tree, e) < 0)
        return -1;
    if (out->echo)
        return openai_error_set(e, OPENAI_UNSUPPORTED, "echo",
                                "'echo' is not supported by this version of Spate: leave it out");
    if (out->continue_final_message)
        return openai_error_set(e, OPENAI_UNSUPPORTED, "continue_final_message",
                                "'continue_final_message' is not supported by this version of "
                                "Spate: leave it out");
    return 0;
}

int openai_request_read(struct openai_request *out, enum openai_endpoint endpoint,
                        const json_t *tree, struct arena *arena, struct openai_error *e)
{
    struct openai_request request = {
        .endpoint = endpoint, .temperature = 1, .top_p = 1, .repetition_penalty = 1};

    if (!json_is_object(tree))
        return openai_error_set(e, OPENAI_BAD_JSON, NULL, "the body must be a JSON object, not %s",
                                json_type_name(tree));
    if (openai_get_text(tree, "model", true, &request.model, arena, e) < 0 ||
        openai_get_text(tree, "user", false, &request.user, arena, e) < 0 ||
        openai_refuse(tree, e) < 0 || read_switches(&request, tree, e) < 0 ||
        read_lengths(&request, tree, e) < 0 || read_sampling(&request, tree, e) < 0 ||
        read_logprobs(&request, tree, e) < 0 || read_stops(&request, tree, arena, e) < 0 ||
        read_stop_ids(&request, tree, e) < 0 || read_bias(&request, tree, arena, e) < 0)
        return -1;
    if (endpoint == OPENAI_CHAT ? openai_read_messages(&request, tree, arena, e) < 0
                                : openai_read_prompt(&request, tree, arena, e) < 0)
        return -1;
    *out = request;
    return 0;
}

int openai_peek(struct openai_peek *out, const json_t *tree, struct openai_error *e)
{
    struct openai_peek peek = {0};
    struct err err = {0};
    int seed;

    if (!json_is_object(tree))
        return openai_error_set(e, OPENAI_BAD_JSON, NULL, "the body must be a JSON object, not %s",
                                json_type_name(tree));
    if (json_get_str(tree, "model", true, &peek.model, &err) < 0)
        return openai_bad(e, "model", &err);
    seed = openai_get_i64(tree, "seed", INT64_MIN, INT64_MAX, &peek.seed, e);
    if (seed < 0 || openai_get_bool(tree, "stream", &peek.stream, e) < 0 ||
        openai_get_bool(json_object_get(tree, "stream_options"), "include_usage",
                        &peek.include_usage, e) < 0)
        return -1;
    peek.has_seed = seed == 1;
    *out = peek;
    return 0;
}
