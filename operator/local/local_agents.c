/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to agents: how are you, and drain. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/local/local_private.h"
#include "operator/reconcile/must.h"

enum { PROBE_TIMEOUT_MS = STREAM_SILENCE_MS, DRAIN_TIMEOUT_MS = STREAM_SILENCE_MS };

struct agent_call {
    struct local *local;
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
    const struct platform *p = &call->local->platform;
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
        local_answer(call->local, call->ticket, code, &err, "");
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
    loop_timer_start(call->local->loop, &call->failure, 0);
}

static void start(struct agent_call *call, const struct local_pod *pod, const char *method,
                  const char *path, struct str body, uint64_t timeout_ms)
{
    const char *token = local_token(call->local, TOKEN_AUDIENCE_AGENT);
    char bearer[TOKEN_TEXT_MAX + 16];
    struct http_header headers[2] = {
        {STR("authorization"), {bearer, 0}},
        {STR("content-type"), STR("application/json")},
    };
    struct err err = {0};
    int r;

    if (token == NULL || pod == NULL || pod->address[0] == '\0') {
        fail_later(call, -ERR_NETWORK, "the agent has no address");
        return;
    }
    snprintf(bearer, sizeof(bearer), "Bearer %s", token);
    headers[0].value = str_of(bearer);
    r = http_call_start(&call->http, call->local->agents,
                        &(struct http_call_options){
                            .address = str_of(pod->address),
                            .method = str_of(method),
                            .target = str_of(path),
                            .headers = headers,
                            .header_count = ARRAY_COUNT(headers),
                            .body = body,
                            .connect_timeout_ms = timeout_ms,
                            .first_byte_timeout_ms = timeout_ms,
                            .idle_timeout_ms = timeout_ms,
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

static struct agent_call *call_new(struct local *local, struct str uid, bool is_probe,
                                   uint64_t ticket)
{
    const struct local_pod *pod = local_pods_by_uid(&local->pods, uid);
    struct agent_call *call = must(mem_alloc(sizeof(*call)));

    call->local = local;
    call->is_probe = is_probe;
    call->ticket = ticket;
    call->restarts = pod != NULL ? pod->restarts : 0;
    snprintf(call->uid, sizeof(call->uid), "%.*s", STR_ARG(uid));
    buf_init(&call->body, LOCAL_ANSWER_MAX);
    loop_timer_init(&call->failure, on_failure, call);
    call->next = local->calls;
    call->back = &local->calls;
    if (call->next != NULL)
        call->next->back = &call->next;
    local->calls = call;
    return call;
}

void local_agent_probe(struct platform *p, struct str pod_uid)
{
    struct local *local = (struct local *)p;

    start(call_new(local, pod_uid, true, 0), local_pods_by_uid(&local->pods, pod_uid), "GET",
          STREAM_PATH_STATUS, STR_NONE, PROBE_TIMEOUT_MS);
}

void local_agent_drain(struct platform *p, uint64_t ticket, struct str pod_uid)
{
    struct local *local = (struct local *)p;

    start(call_new(local, pod_uid, false, ticket), local_pods_by_uid(&local->pods, pod_uid), "POST",
          STREAM_PATH_DRAIN, STR("{}"), DRAIN_TIMEOUT_MS);
}

void local_agents_cancel(struct local *local)
{
    while (local->calls != NULL)
        call_free(local->calls);
}
