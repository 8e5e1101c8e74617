/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a request: see prompt.h. */
#include "agent/prompt.h"

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/tag.h"
#include "base/mem.h"

/* A prompt is counted up to so many times the context, so that the message has its length. */
enum { COUNTED_CONTEXTS = 4 };

static int server_error(struct prompt *p, const struct err *err)
{
    return openai_error_set(&p->error, OPENAI_SERVER, NULL, "%s", err_message(err));
}

/* A gateway's envelope is {"spate": attempt, "request": body}; else the body is the request. */
static int open_envelope(struct prompt *p, const json_t **request)
{
    const json_t *attempt = json_object_get(p->tree, "spate");
    struct err err = {0};

    *request = p->tree;
    if (!p->is_attempt) {
        p->attempt.cached_tokens = -1;
        return 0;
    }
    *request = json_object_get(p->tree, "request");
    if (stream_attempt_read(&p->attempt, attempt, &p->arena, &err) < 0)
        return openai_error_from(&p->error, OPENAI_BAD_REQUEST, "spate", &err);
    return 0;
}

static void put_message(json_t *list, const struct openai_message *m)
{
    json_t *message = json_object();

    json_object_set_new(message, "role", json_stringn(m->role.ptr, m->role.len));
    json_object_set_new(message, "content",
                        m->has_content
                            ? json_stringn(m->content.len > 0 ? m->content.ptr : "", m->content.len)
                            : json_null());
    if (m->reasoning_content.len > 0)
        json_object_set_new(message, "reasoning_content",
                            json_stringn(m->reasoning_content.ptr, m->reasoning_content.len));
    if (m->name.len > 0)
        json_object_set_new(message, "name", json_stringn(m->name.ptr, m->name.len));
    json_array_append_new(list, message);
}

static int render(struct prompt *p, struct buf *text)
{
    const struct openai_request *request = &p->request;
    const struct agent *a = p->agent;
    json_auto_t *messages = json_array();
    struct template_input input = {
        .messages = messages,
        .extra = request->template_kwargs,
        .add_generation_prompt = request->add_generation_prompt,
        .bos_token = tokenizer_bos_text(a->tokenizer),
        .eos_token = tokenizer_eos_text(a->tokenizer),
        .clock = a->clock,
    };
    struct err err = {0};
    int r;

    if (a->chat_template == NULL)
        return openai_error_set(&p->error, OPENAI_UNSUPPORTED, "messages",
                                "this model can't chat: %s; use /v1/completions", a->chat_refusal);
    for (int i = 0; i < request->message_count; i++)
        put_message(messages, &request->messages[i]);
    if (json_array_size(messages) != (size_t)request->message_count) {
        (void)err_no_memory(&err);
        return server_error(p, &err);
    }
    r = template_render(a->chat_template, &input, text, &err);
    if (r == -ERR_NO_MEMORY)
        return server_error(p, &err);
    if (r < 0)
        return openai_error_from(&p->error, OPENAI_BAD_REQUEST, "messages", &err);
    return 0;
}

/* More than the list takes: it is not counted to its end, as that may be far. */
static int refuse_uncounted(struct prompt *p, size_t at_least)
{
    return openai_error_set(&p->error, OPENAI_CONTEXT,
                            p->request.endpoint == OPENAI_CHAT ? "messages" : "prompt",
                            "this model's context is %d tokens, but the prompt has %zu or more: "
                            "shorten it",
                            p->agent->plan.context_max, at_least);
}

static int encode(struct prompt *p, struct str text, int flags)
{
    struct err err = {0};
    int r = tokenizer_encode(p->agent->tokenizer, text, flags, &p->ids, &err);

    if (r == -ERR_LIMIT)
        return refuse_uncounted(p, p->ids.max + 1);
    return r < 0 ? server_error(p, &err) : 0;
}

static int take_ids(struct prompt *p)
{
    int32_t size = tokenizer_vocab_size(p->agent->tokenizer);
    struct err err = {0};

    if ((size_t)p->request.prompt_id_count > p->ids.max)
        return refuse_uncounted(p, (size_t)p->request.prompt_id_count);
    for (int i = 0; i < p->request.prompt_id_count; i++) {
        int32_t id = p->request.prompt_ids[i];

        if (id >= size)
            return openai_error_set(&p->error, OPENAI_BAD_REQUEST, "prompt",
                                    "'prompt[%d]' is %d; the model's ids are below %d", i, id,
                                    size);
        if (token_list_add(&p->ids, id) < 0) {
            (void)err_no_memory(&err);
            return server_error(p, &err);
        }
    }
    return 0;
}

/* Fills p->ids; *reasons: the answer begins inside of reasoning. */
static int make_ids(struct prompt *p, bool *reasons)
{
    struct buf text;
    int r;

    *reasons = false;
    if (p->request.endpoint == OPENAI_COMPLETIONS)
        return p->request.prompt_is_ids ? take_ids(p)
                                        : encode(p, p->request.prompt, TOKENIZER_ADD_SPECIAL);
    buf_init(&text, PROMPT_RENDERED_BYTES_MAX);
    r = render(p, &text);
    if (r == 0) {
        *reasons = text_prompt_opens_reasoning(buf_str(&text));
        r = encode(p, buf_str(&text), 0);
    }
    buf_fini(&text);
    return r;
}

static int check_lengths(struct prompt *p)
{
    int64_t context = p->agent->plan.context_max;
    int64_t wanted = p->request.max_tokens < 0 ? 1 : p->request.max_tokens;

    if (p->ids.count == 0)
        return openai_error_set(&p->error, OPENAI_BAD_REQUEST,
                                p->endpoint == OPENAI_CHAT ? "messages" : "prompt",
                                "the prompt is empty");
    if ((int64_t)p->ids.count + wanted > context)
        return openai_error_set(&p->error, OPENAI_CONTEXT,
                                p->endpoint == OPENAI_CHAT ? "messages" : "prompt",
                                "this model's context is %lld tokens, but the prompt has %zu and "
                                "%lld are wanted for the answer: shorten one of them",
                                (long long)context, p->ids.count, (long long)wanted);
    return 0;
}

static float choose(bool given, double value, float recommended, float otherwise)
{
    if (given)
        return (float)value;
    return recommended >= 0 ? recommended : otherwise;
}

static int fill_sampling(struct prompt *p)
{
    const struct openai_request *q = &p->request;
    struct tokenizer_defaults d = tokenizer_defaults(p->agent->tokenizer);
    struct engine_sampling *s = &p->engine.sampling;

    s->temperature = choose(q->has_temperature, q->temperature, d.temperature,
                            q->has_default_temperature ? (float)q->default_temperature : 1.0F);
    s->top_p = choose(q->has_top_p, q->top_p, d.top_p, 1.0F);
    s->top_k = q->has_top_k ? (int32_t)q->top_k : d.top_k > 0 ? d.top_k : 0;
    s->min_p = choose(q->has_min_p, q->min_p, d.min_p, 0);
    s->presence_penalty = (float)q->presence_penalty;
    s->frequency_penalty = (float)q->frequency_penalty;
    s->repetition_penalty =
        choose(q->has_repetition_penalty, q->repetition_penalty, d.repetition_penalty, 1);
    s->logprobs = q->logprobs;
    s->seed = p->is_attempt ? p->attempt.seed
              : q->has_seed ? (uint64_t)q->seed
                            : rng_u64(rng_system());
    p->bias = mem_array((size_t)q->bias_count, sizeof(*p->bias));
    if (p->bias == NULL)
        return openai_error_set(&p->error, OPENAI_SERVER, NULL, "out of memory");
    for (int i = 0; i < q->bias_count; i++)
        p->bias[i] = (struct engine_bias){q->bias[i].id, q->bias[i].bias};
    s->bias = p->bias;
    s->bias_count = q->bias_count;
    return 0;
}

static int fill_stop_ids(struct prompt *p)
{
    const struct openai_request *q = &p->request;
    int count = 0;
    const int32_t *ids = tokenizer_stop_ids(p->agent->tokenizer, &count);

    if (q->ignore_eos)
        count = 0;
    if (count + q->stop_id_count > ENGINE_STOP_IDS_MAX)
        return openai_error_set(&p->error, OPENAI_BAD_REQUEST, "stop_token_ids",
                                "'stop_token_ids' and the model's own are more than %d",
                                ENGINE_STOP_IDS_MAX);
    for (int i = 0; i < count; i++)
        p->engine.stop_ids[p->engine.stop_id_count++] = ids[i];
    for (int i = 0; i < q->stop_id_count; i++)
        p->engine.stop_ids[p->engine.stop_id_count++] = q->stop_ids[i];
    return 0;
}

/* What only the engine would refuse, when the answer has begun already: then the gateway would take
 * the pod for broken, and ask the next one. */
static int check_engine(struct prompt *p)
{
    const struct engine_request *e = &p->engine;
    const struct engine_plan *plan = &p->agent->plan;
    struct err err = {0};

    for (int i = 0; i < e->stop_id_count; i++) {
        if (e->stop_ids[i] >= plan->vocab_size)
            return openai_error_set(&p->error, OPENAI_BAD_REQUEST, "stop_token_ids",
                                    "'stop_token_ids' has %d; the model's ids are below %d",
                                    e->stop_ids[i], plan->vocab_size);
    }
    for (int i = 0; i < e->sampling.bias_count; i++) {
        if (e->sampling.bias[i].id >= plan->vocab_size)
            return openai_error_set(&p->error, OPENAI_BAD_REQUEST, "logit_bias",
                                    "'logit_bias' has %d; the model's ids are below %d",
                                    e->sampling.bias[i].id, plan->vocab_size);
    }
    if (engine_check(plan, e, &err) < 0)
        return openai_error_from(&p->error, OPENAI_BAD_REQUEST, NULL, &err);
    return 0;
}

static int fill_engine(struct prompt *p)
{
    struct engine_request *e = &p->engine;

    e->tag = tag_make(p->attempt.request_id, p->attempt.attempt);
    e->prompt = p->ids.ids;
    e->prompt_count = (int)p->ids.count;
    e->output = p->attempt.output;
    e->output_count = p->attempt.output_count;
    e->max_output = p->request.max_tokens < 0 ? 0 : (int)p->request.max_tokens;
    e->min_output = (int)p->request.min_tokens;
    e->priority = p->attempt.priority;
    e->cache_salt = p->attempt.cache_salt;
    return fill_sampling(p) < 0 || fill_stop_ids(p) < 0 || check_engine(p) < 0 ? -1 : 0;
}

static int make_text(struct prompt *p, bool reasons)
{
    struct text_options options = {
        .keep_special = !p->request.skip_special_tokens,
        .include_stop = p->request.include_stop,
        .split_reasoning = p->endpoint == OPENAI_CHAT,
        .starts_reasoning = reasons,
        .stops = p->request.stops,
        .stop_count = p->request.stop_count,
    };
    struct err err = {0};

    if (text_stream_new(&p->text, p->agent->tokenizer, &options, &err) == 0)
        return 0;
    return openai_error_from(&p->error, OPENAI_BAD_REQUEST, "stop", &err);
}

static int prepare(struct prompt *p)
{
    const json_t *request;
    struct err err = {0};
    bool reasons;

    if (json_read(&p->tree, p->body, &json_limits_default, "the body", &err) < 0)
        return openai_error_from(&p->error, OPENAI_BAD_JSON, NULL, &err);
    if (open_envelope(p, &request) < 0 ||
        openai_request_read(&p->request, p->endpoint, request, &p->arena, &p->error) < 0 ||
        make_ids(p, &reasons) < 0 || check_lengths(p) < 0 || make_text(p, reasons) < 0)
        return -1;
    return fill_engine(p);
}

void prompt_prepare(struct prompt *p)
{
    arena_init(&p->arena, PROMPT_ARENA_BYTES_MAX);
    token_list_init(&p->ids, COUNTED_CONTEXTS * (size_t)p->agent->plan.context_max);
    p->failed = prepare(p) < 0;
}

void prompt_fini(struct prompt *p)
{
    text_stream_free(p->text);
    token_list_fini(&p->ids);
    mem_free(p->bias);
    json_decref(p->tree);
    arena_fini(&p->arena);
}
