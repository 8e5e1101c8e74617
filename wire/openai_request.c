/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading requests: see openai.h. One table per kind of parameter; what we know but do not do yet
 * is in a table as well, with the value that changes nothing and is therefore accepted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "wire/openai.h"

static int bad(struct openai_error *e, const char *param, const struct err *err)
{
    return openai_error_set(e, OPENAI_BAD_REQUEST, param, "%s", err_message(err));
}

static int no_memory(struct openai_error *e)
{
    return openai_error_set(e, OPENAI_SERVER, NULL, "out of memory while reading the request");
}

/* Getters in the manner of json_get_*, that turn a fault into an API error. */
static int get_bool(const json_t *tree, const char *key, bool *out, struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_bool(tree, key, false, out, &err);

    return r < 0 && r != -ERR_NOT_FOUND ? bad(e, key, &err) : 0;
}

/* Returns 1 if the member was there. */
static int get_i64(const json_t *tree, const char *key, int64_t min, int64_t max, int64_t *out,
                   struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_i64(tree, key, false, min, max, out, &err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    return r < 0 ? bad(e, key, &err) : 1;
}

static int get_f64(const json_t *tree, const char *key, double min, double max, double *out,
                   struct openai_error *e)
{
    struct err err = {0};
    int r = json_get_f64(tree, key, false, min, max, out, &err);

    if (r == -ERR_NOT_FOUND)
        return 0;
    return r < 0 ? bad(e, key, &err) : 1;
}

static int get_text(const json_t *tree, const char *key, bool required, struct str *out,
                    struct arena *arena, struct openai_error *e)
{
    struct err err = {0};
    struct str text;
    int r = json_get_str(tree, key, required, &text, &err);

    if (r == -ERR_NOT_FOUND && !required)
        return 0;
    if (r < 0)
        return bad(e, key, &err);
    *out = arena_str(arena, text);
    return out->ptr == NULL ? no_memory(e) : 1;
}

/* Parameters that would change the answer and are not done: accepted only where they ask nothing.
 */
static bool asks_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static int refuse_unsupported(const json_t *tree, struct openai_error *e)
{
    static const char *const names[] = {
        "tools",
        "functions",
        "function_call",
        "audio",
        "modalities",
        "prediction",
        "web_search_options",
        "suffix",
        "prompt_logprobs",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "use_beam_search",
        "length_penalty",
        "logits_processors",
        "documents",
        "typical_p",
        "allowed_token_ids",
        "bad_words",
        "chat_template",
        "truncate_prompt_tokens",
        "mirostat",
    };

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const json_t *value = json_object_get(tree, names[i]);

        if (value != NULL && !asks_nothing(value))
            return openai_error_set(e, OPENAI_UNSUPPORTED, names[i],
                                    "'%s' is not supported by this version of Spate: leave it out",
                                    names[i]);
    }
    return 0;
}

static int refuse_counts(const json_t *tree, struct openai_error *e)
{
    static const char *const names[] = {"n", "best_of"};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int64_t value = 1;
        int r = get_i64(tree, names[i], 1, 128, &value, e);

        if (r < 0)
            return r;
        if (value != 1)
            return openai_error_set(e, OPENAI_UNSUPPORTED, names[i],
                                    "'%s' over 1 is not supported by this version of Spate: send "
                                    "several requests",
                                    names[i]);
    }
    return 0;
}

/* Thinking can't be switched off, nor left out of the answer. */
static int refuse_no_thinking(const json_t *tree, struct openai_error *e)
{
    const json_t *thinking = json_object_get(tree, "thinking");

    if (json_is_false(json_object_get(tree, "include_reasoning")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, "include_reasoning",
                                "'include_reasoning': false is not supported by this version of "
                                "Spate: leave it out");
    if (thinking == NULL || json_is_null(thinking) ||
        str_is(json_str(json_object_get(thinking, "type")), "enabled"))
        return 0;
    return openai_error_set(e, OPENAI_UNSUPPORTED, "thinking",
                            "'thinking' of another type than 'enabled' is not supported by this "
                            "version of Spate: leave it out");
}

static int refuse_formats(const json_t *tree, struct openai_error *e)
{
    const json_t *format = json_object_get(tree, "response_format");
    const json_t *choice = json_object_get(tree, "tool_choice");
    struct str type;

    if (choice != NULL && !json_is_null(choice) && !str_is(json_str(choice), "none") &&
        !str_is(json_str(choice), "auto"))
        return openai_error_set(e, OPENAI_UNSUPPORTED, "tool_choice",
                                "'tool_choice' is not supported by this version of Spate: leave it "
                                "out");
    if (format == NULL || json_is_null(format))
        return 0;
    type = json_str(json_object_get(format, "type"));
    if (str_is(type, "text"))
        return 0;
    return openai_error_set(e, OPENAI_UNSUPPORTED, "response_format",
                            "'response_format' of type '%.*s' is not supported by this version of "
                            "Spate: use text",
                            STR_ARG(str_slice(type, 0, 40)));
}

/* Content: a string, null, or a list of {"type":"text","text":...} parts, which are joined. */
static int read_content(const json_t *content, size_t index, struct openai_message *m,
                        struct arena *arena, struct openai_error *e)
{
    char param[48];
    size_t total = 0;
    size_t at = 0;
    char *joined;

    snprintf(param, sizeof(param), "messages[%zu].content", index);
    if (content == NULL || json_is_null(content))
        return 0;
    m->has_content = true;
    if (json_is_string(content)) {
        m->content = arena_str(arena, json_str(content));
        return m->content.ptr == NULL ? no_memory(e) : 0;
    }
    if (!json_is_array(content))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param,
                                "'%s' must be a string or a list of parts, not %s", param,
                                json_type_name(content));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        struct str type = json_str(json_object_get(part, "type"));

        if (!str_is(type, "text") || !json_is_string(json_object_get(part, "text")))
            return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                    "part %zu of '%s' is of type '%.*s'; only text is supported", i,
                                    param, STR_ARG(str_slice(type, 0, 40)));
        total += json_string_length(json_object_get(part, "text"));
    }
    joined = arena_alloc(arena, total + 1);
    if (joined == NULL)
        return no_memory(e);
    for (size_t i = 0; i < json_array_size(content); i++) {
        struct str text = json_str(json_object_get(json_array_get(content, i), "text"));

        if (text.len > 0)
            memcpy(joined + at, text.ptr, text.len);
        at += text.len;
    }
    m->content = (struct str){joined, total};
    return 0;
}

static int read_role(const json_t *message, size_t index, struct openai_message *m,
                     struct openai_error *e)
{
    static const struct {
        const char *given;
        const char *meant;
    } roles[] = {
        {"system", "system"},
        {"developer", "system"},
        {"user", "user"},
        {"assistant", "assistant"},
    };
    struct str role = json_str(json_object_get(message, "role"));
    char param[48];

    snprintf(param, sizeof(param), "messages[%zu].role", index);
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        if (str_is(role, roles[i].given)) {
            m->role = str_of(roles[i].meant);
            return 0;
        }
    }
    if (str_is(role, "tool") || str_is(role, "function"))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s' is '%.*s', which is not supported by this version of Spate: "
                                "tools are not done yet",
                                param, STR_ARG(role));
    return openai_error_set(e, OPENAI_BAD_REQUEST, param,
                            "'%s' must be system, developer, user or assistant", param);
}

static int read_message(const json_t *message, size_t index, struct openai_message *m,
                        struct arena *arena, struct openai_error *e)
{
    char param[48];

    snprintf(param, sizeof(param), "messages[%zu]", index);
    if (!json_is_object(message))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param, "'%s' must be an object, not %s",
                                param, json_type_name(message));
    if (json_object_get(message, "tool_calls") != NULL &&
        !asks_nothing(json_object_get(message, "tool_calls")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s.tool_calls' is not supported by this version of Spate", param);
    if (json_is_true(json_object_get(message, "prefix")))
        return openai_error_set(e, OPENAI_UNSUPPORTED, param,
                                "'%s.prefix' is not supported by this version of Spate: leave it "
                                "out",
                                param);
    if (read_role(message, index, m, e) < 0 ||
        read_content(json_object_get(message, "content"), index, m, arena, e) < 0 ||
        get_text(message, "reasoning_content", false, &m->reasoning_content, arena, e) < 0 ||
        get_text(message, "name", false, &m->name, arena, e) < 0)
        return -1;
    if (!m->has_content && !str_is(m->role, "assistant"))
        return openai_error_set(e, OPENAI_BAD_REQUEST, param, "'%s.content' is missing", param);
    return 0;
}

static int read_messages(struct openai_request *out, const json_t *tree, struct arena *arena,
                         struct openai_error *e)
{
    const json_t *messages = json_object_get(tree, "messages");
    size_t count = json_array_size(messages);

    if (!json_is_array(messages))
        return openai_error_set(e, OPENAI_BAD_REQUEST, "messages",
                                "'messages' must be a list of messages, not %s",
                                json_type_name(messages));
    if (count == 0 || count > OPENAI_MESSAGES_MAX)
        return openai_error_set(e, OPENAI_BAD_REQUEST, "messages",
                                "'messages' has %zu members; it must have 1 to %d", count,
                                OPENAI_MESSAGES_MAX);
    out->messages = arena_array(arena, count, sizeof(*out->messages));
    if (out->messages == NULL)
        return no_memory(e);
    out->message_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (read_message(json_array_get(messages, i), i, &out->messages[i], arena, e) < 0)
            return -1;
    }
    return 0;
}

static int read_prompt_ids(struct openai_request *out, const json_t *prompt, struct arena *arena,
                           struct openai_error *e)
{
    size_t count = json_array_size(prompt);

    out->prompt_ids = arena_array(arena, count, sizeof(*out->prompt_ids));
    if (out->prompt_ids == NULL)
        return no_memory(e);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(prompt, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > INT32_MAX)
            return openai_error_set(e, OPENAI_BAD_REQUEST, "prompt",
                                    "'prompt[%zu]' is not a token id", i);
        out->prompt_ids[i] = (int32_t)json_integer_value(id);
    }
    out->prompt_id_count = (int)count;
    out->prompt_is_ids = true;
    return 0;
}

static int read_prompt(struct openai_request *out, const json_t *tree, struct arena *arena,
                       struct openai_error *e)
{
    const json_t *prompt = json_object_get(tree, "prompt");

    if (json_is_array(prompt) && json_array_size(prompt) == 1 &&
        !json_is_integer(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, 0); /* a batch of one */
    if (json_is_string(prompt)) {
        out->prompt = arena_str(arena, json_str(prompt));
        return out->prompt.ptr == NULL ? no_memory(e) : 0;
    }
    if (json_is_array(prompt) && json_array_size(prompt) > 0 &&
        json_is_integer(json_array_get(prompt, 0)))
        return read_prompt_ids(out, prompt, arena, e);
    if (json_is_array(prompt) && json_array_size(prompt) > 1)
        return openai_error_set(e, OPENAI_UNSUPPORTED, "prompt",
                                "several prompts in one request are not supported by this version "
                                "of Spate: send several requests");
    return openai_error_set(e, OPENAI_BAD_REQUEST, "prompt",
                            "'prompt' must be a string or a list of token ids");
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
        return no_memory(e);
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
        return no_memory(e);
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
        return no_memory(e);
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
        given = get_i64(tree, "logprobs", 0, OPENAI_LOGPROBS_MAX, &count, e);
        if (given == 1)
            out->logprobs = (int)count;
        return given < 0 ? -1 : 0;
    }
    if (get_bool(tree, "logprobs", &wanted, e) < 0)
        return -1;
    given = get_i64(tree, "top_logprobs", 0, OPENAI_LOGPROBS_MAX, &count, e);
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
    int given = get_f64(tree, "default_temperature", 0, 2, &out->default_temperature, e);

    out->has_default_temperature = given == 1;
    return given;
}

static int read_sampling(struct openai_request *out, const json_t *tree, struct openai_error *e)
{
    int temperature = get_f64(tree, "temperature", 0, 2, &out->temperature, e);
    int top_p = temperature < 0 ? -1 : get_f64(tree, "top_p", 0, 1, &out->top_p, e);
    int top_k = top_p < 0 ? -1 : get_i64(tree, "top_k", -1, INT32_MAX, &out->top_k, e);
    int min_p = top_k < 0 ? -1 : get_f64(tree, "min_p", 0, 1, &out->min_p, e);
    int seed = min_p < 0 ? -1 : get_i64(tree, "seed", INT64_MIN, INT64_MAX, &out->seed, e);
    int repetition =
        seed < 0 ? -1 : get_f64(tree, "repetition_penalty", 0.01, 100, &out->repetition_penalty, e);

    if (repetition < 0 || read_default_temperature(out, tree, e) < 0 ||
        get_f64(tree, "presence_penalty", -2, 2, &out->presence_penalty, e) < 0 ||
        get_f64(tree, "frequency_penalty", -2, 2, &out->frequency_penalty, e) < 0)
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
    if (get_i64(tree, "max_tokens", 1, INT32_MAX, &out->max_tokens, e) < 0)
        return -1;
    given = get_i64(tree, "max_completion_tokens", 1, INT32_MAX, &out->max_tokens, e);
    if (given < 0 || get_i64(tree, "min_tokens", 0, INT32_MAX, &out->min_tokens, e) < 0)
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
    if (get_bool(tree, "stream", &out->stream, e) < 0 ||
        get_bool(tree, "echo", &out->echo, e) < 0 ||
        get_bool(tree, "return_token_ids", &out->return_token_ids, e) < 0 ||
        get_bool(tree, "ignore_eos", &out->ignore_eos, e) < 0 ||
        get_bool(tree, "include_stop_str_in_output", &out->include_stop, e) < 0 ||
        get_bool(tree, "skip_special_tokens", &out->skip_special_tokens, e) < 0 ||
        get_bool(tree, "add_generation_prompt", &out->add_generation_prompt, e) < 0 ||
        get_bool(tree, "continue_final_message", &out->continue_final_message, e) < 0)
        return -1;
    if (options != NULL && !json_is_null(options) && !json_is_object(options))
        return openai_error_set(e, OPENAI_BAD_REQUEST, "stream_options",
                                "'stream_options' must be an object, not %s",
                                json_type_name(options));
    if (get_bool(options, "include_usage", &out->include_usage, e) < 0)
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
    if (get_text(tree, "model", true, &request.model, arena, e) < 0 ||
        get_text(tree, "user", false, &request.user, arena, e) < 0 ||
        refuse_unsupported(tree, e) < 0 || refuse_counts(tree, e) < 0 ||
        refuse_formats(tree, e) < 0 || refuse_no_thinking(tree, e) < 0 ||
        read_switches(&request, tree, e) < 0 || read_lengths(&request, tree, e) < 0 ||
        read_sampling(&request, tree, e) < 0 || read_logprobs(&request, tree, e) < 0 ||
        read_stops(&request, tree, arena, e) < 0 || read_stop_ids(&request, tree, e) < 0 ||
        read_bias(&request, tree, arena, e) < 0)
        return -1;
    if (endpoint == OPENAI_CHAT ? read_messages(&request, tree, arena, e) < 0
                                : read_prompt(&request, tree, arena, e) < 0)
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
        return bad(e, "model", &err);
    seed = get_i64(tree, "seed", INT64_MIN, INT64_MAX, &peek.seed, e);
    if (seed < 0 || get_bool(tree, "stream", &peek.stream, e) < 0 ||
        get_bool(json_object_get(tree, "stream_options"), "include_usage", &peek.include_usage, e) <
            0)
        return -1;
    peek.has_seed = seed == 1;
    *out = peek;
    return 0;
}
