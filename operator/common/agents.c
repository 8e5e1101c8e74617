/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to agents: see agents.h. */
#include "operator/common/agents.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/common/must.h"
#include "wire/stream.h"

enum {
    CALL_TIMEOUT_MS = STREAM_SILENCE_MS,
    /* One that loads is asked again before that. All others only rarely: a hundred thousand of them
     * must not hold a connection each. */
    CONNECTION_IDLE_MS = 1000,
};

struct agent_call {
    struct agents *owner;
    bool is_probe;
    uint64_t ticket; /* of a drain */
    char uid[64];
    uint64_t restarts; /* of the pod when it left */
    int status;
    struct buf body;
    struct http_call *http;
    struct loop_timer failure; /* for what fails before it begins, and as a limit of the whole */
    int code;
    char message[PLATFORM_MESSAGE_MAX];
    struct agent_call *next, **back;
};

static void call_free(struct agent_call *call)
{
    *call->back = call->next;
    if (call->next != NULL)
        call->next->back = call->back;
    loop_timer_stop(&call->failure);
    http_call_cancel(call->http);
    buf_fini(&call->body);
    mem_free(call);
}

static void tell_probe(struct agent_call *call, int code)
{
    const struct platform *p = call->owner->platform;
    struct stream_status status;
    struct platform_probe_result result = {
        .pod_uid = str_of(call->uid),
        .restarts = call->restarts,
        .code = code,
    };
    json_auto_t *tree = NULL;
    struct err err = {0};

    if (code == 0) {
        result.code = json_read(&tree, buf_str(&call->body), &json_limits_default,
                                "the agent's status", &err);
        if (result.code == 0)
            result.code = stream_status_read(&status, tree, &err);
        if (result.code == 0)
            result.status = &status;
        else
            log_warn("an agent's status can't be read", LOG_STR("pod", call->uid), LOG_ERR(&err));
    }
    p->handler->on_probe(p->user, &result);
}

static void tell(struct agent_call *call, int code, const char *message)
{
    struct err err = {0};

    if (call->is_probe) {
        tell_probe(call, code);
    } else {
        if (code < 0)
            err_set(&err, (enum err_code) - code, "%s", message);
        results_add(call->owner->results, call->ticket, code, &err, STR_NONE);
    }
}

static void on_head(struct http_call *http, void *user, int status,
                    const struct http_headers *headers)
{
    struct agent_call *call = user;

    (void)http;
    (void)headers;
    call->status = status;
}

static void on_data(struct http_call *http, void *user, struct str bytes)
{
    struct agent_call *call = user;

    (void)http;
    buf_append_str(&call->body, bytes); /* over its ceiling: not valid JSON, and said so */
}

static void on_done(struct http_call *http, void *user, enum http_result result,
                    const struct err *err)
{
    struct agent_call *call = user;
    char message[PLATFORM_MESSAGE_MAX] = "";
    int code = 0;

    (void)http;
    call->http = NULL; /* freed by the client */
    if (result == HTTP_FIRST_BYTE_TIMEOUT || result == HTTP_IDLE_TIMEOUT ||
        result == HTTP_CONNECT_TIMEOUT)
        code = -ERR_TIMEOUT;
    else if (result != HTTP_DONE)
        code = -ERR_NETWORK;
    else if (call->status != 200)
        code = -ERR_PROTOCOL;
    if (result != HTTP_DONE)
        snprintf(message, sizeof(message), "%.200s", err_message(err));
    else if (code < 0)
        snprintf(message, sizeof(message), "the agent answered with status %d", call->status);
    tell(call, code, message);
    call_free(call);
}

static void on_failure(void *object)
{
    struct agent_call *call = object;

    tell(call, call->code, call->message);
    call_free(call);
}

static void fail_later(struct agent_call *call, int code, const char *message)
{
    call->code = code;
    snprintf(call->message, sizeof(call->message), "%.200s", message);
    loop_timer_start(call->owner->loop, &call->failure, 0);
}

static void start(struct agent_call *call, struct str address, const char *method, const char *path,
                  struct str body)
{
    const char *token = signer_token(call->owner->signer, TOKEN_AUDIENCE_AGENT);
    char bearer[TOKEN_TEXT_MAX + 16];
    struct http_header headers[2] = {
        {STR("authorization"), {bearer, 0}},
        {STR("content-type"), STR("application/json")},
    };
    struct err err = {0};
    int r;

    if (token == NULL || address.len == 0) {
        fail_later(call, -ERR_NETWORK, "the agent has no address");
        return;
    }
    snprintf(bearer, sizeof(bearer), "Bearer %s", token);
    headers[0].value = str_of(bearer);
    r = http_call_start(&call->http, call->owner->client,
                        &(struct http_call_options){
                            .address = address,
                            .method = str_of(method),
                            .target = str_of(path),
                            .headers = headers,
                            .header_count = ARRAY_COUNT(headers),
                            .body = body,
                            .connect_timeout_ms = CALL_TIMEOUT_MS,
                            .first_byte_timeout_ms = CALL_TIMEOUT_MS,
                            .idle_timeout_ms = CALL_TIMEOUT_MS,
                            .on_head = on_head,
                            .on_data = on_data,
                            .on_done = on_done,
                            .user = call,
                        },
                        &err);
    if (r < 0) {
        call->http = NULL;
        fail_later(call, r, err_message(&err));
    }
}

static struct agent_call *call_new(struct agents *agents, struct str uid)
{
    struct agent_call *call = must(mem_alloc(sizeof(*call)));

    call->owner = agents;
    snprintf(call->uid, sizeof(call->uid), "%.*s", STR_ARG(uid));
    buf_init(&call->body, AGENTS_ANSWER_MAX);
    loop_timer_init(&call->failure, on_failure, call);
    call->next = agents->calls;
    call->back = &agents->calls;
    if (call->next != NULL)
        call->next->back = &call->next;
    agents->calls = call;
    return call;
}

void agents_probe(struct agents *agents, struct str pod_uid, uint64_t restarts, struct str address)
{
    struct agent_call *call = call_new(agents, pod_uid);

    call->is_probe = true;
    call->restarts = restarts;
    start(call, address, "GET", STREAM_PATH_STATUS, STR_NONE);
}

void agents_drain(struct agents *agents, uint64_t ticket, struct str pod_uid, struct str address)
{
    struct agent_call *call = call_new(agents, pod_uid);

    call->ticket = ticket;
    start(call, address, "POST", STREAM_PATH_DRAIN, STR("{}"));
}

int agents_open(struct agents *agents, struct loop *loop, const struct platform *platform,
                struct results *results, struct signer *signer, struct err *err)
{
    *agents =
        (struct agents){.loop = loop, .platform = platform, .results = results, .signer = signer};
    return http_client_new(&agents->client, loop,
                           &(struct http_client_options){.pool_idle_ms = CONNECTION_IDLE_MS}, err);
}

void agents_cancel(struct agents *agents)
{
    while (agents->calls != NULL)
        call_free(agents->calls);
}

void agents_close(struct agents *agents)
{
    agents_cancel(agents);
    if (agents->client != NULL)
        http_client_close(agents->client);
    agents->client = NULL;
}
