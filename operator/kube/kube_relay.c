/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A standby passes what gateways ask on to the leader, so that it does not matter which replica a
 * Service picks. Long polls too: a request waits here as long as it waits there. When another takes
 * over, those that wait are answered at once and ask again.
 */
#include <stdio.h>

#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

enum { RELAYS_MAX = 1024, RELAY_CONNECT_MS = 1000, RELAY_TARGET_MAX = 4096 };

struct kube_relayed {
    struct kube *kube;
    struct http_exchange *x;
    struct http_call *call;
    char address[KUBE_LEASE_IDENTITY_MAX]; /* of the leader */
    int status;
    char type[128];
    struct buf body;
    struct kube_relayed *next, **back;
};

static void relayed_free(struct kube_relayed *relayed)
{
    *relayed->back = relayed->next;
    if (relayed->next != NULL)
        relayed->next->back = relayed->back;
    http_call_cancel(relayed->call);
    buf_fini(&relayed->body);
    mem_free(relayed);
}

static void refuse(struct http_exchange *x)
{
    endpoints_refuse(x, 503, "ServiceUnavailable", "no leader can be reached; ask again");
}

static void give_up(struct kube_relayed *relayed)
{
    struct http_exchange *x = relayed->x;

    relayed_free(relayed);
    x->on_disconnect = NULL;
    refuse(x);
}

static void gateway_left(struct http_exchange *x)
{
    relayed_free(x->user);
    http_abort(x);
}

static void on_head(struct http_call *call, void *user, int status,
                    const struct http_headers *headers)
{
    struct kube_relayed *relayed = user;

    (void)call;
    relayed->status = status;
    snprintf(relayed->type, sizeof(relayed->type), "%.*s",
             STR_ARG(http_header_get(headers, "content-type")));
}

static void on_data(struct http_call *call, void *user, struct str bytes)
{
    struct kube_relayed *relayed = user;

    (void)call;
    buf_append_str(&relayed->body, bytes); /* over its ceiling: seen at the end */
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct kube_relayed *relayed = user;
    struct http_exchange *x = relayed->x;

    (void)call;
    (void)err;
    relayed->call = NULL; /* freed by the client */
    if (result != HTTP_DONE || relayed->body.failed) {
        give_up(relayed);
        return;
    }
    x->on_disconnect = NULL;
    http_respond(x, relayed->status, relayed->type[0] != '\0' ? relayed->type : NULL,
                 buf_str(&relayed->body));
    relayed_free(relayed);
}

static int pass_on(struct kube_relayed *relayed, struct err *err)
{
    struct http_exchange *x = relayed->x;
    const struct http_header headers[] = {
        {STR("authorization"), http_header_get(&x->headers, "authorization")},
        {STR("content-type"), STR("application/json")},
    };
    CLEANUP(buf_fini) struct buf target = {0};
    int r;

    buf_init(&target, RELAY_TARGET_MAX);
    buf_append_str(&target, x->path);
    if (x->query.len > 0) {
        buf_append_char(&target, '?');
        buf_append_str(&target, x->query);
    }
    r = buf_check(&target, "the request", err);
    return r < 0 ? r
                 : http_call_start(&relayed->call, relayed->kube->relays_client,
                                   &(struct http_call_options){
                                       .address = str_of(relayed->address),
                                       .method = x->method,
                                       .target = buf_str(&target),
                                       .headers = headers,
                                       .header_count = ARRAY_COUNT(headers),
                                       .body = x->body,
                                       .connect_timeout_ms = RELAY_CONNECT_MS,
                                       .first_byte_timeout_ms = ROUTES_WAIT_MS + RELAY_CONNECT_MS,
                                       .on_head = on_head,
                                       .on_data = on_data,
                                       .on_done = on_done,
                                       .user = relayed,
                                   },
                                   err);
}

static bool has_room(const struct kube *kube)
{
    int count = 0;

    for (const struct kube_relayed *at = kube->relayed; at != NULL; at = at->next)
        count++;
    return count < RELAYS_MAX;
}

bool kube_relay(void *user, struct http_exchange *x)
{
    struct kube *kube = user;
    struct str leader = kube_leader_address(kube);
    struct kube_relayed *relayed;
    struct err err = {0};

    if (kube->epoch > 0)
        return false;
    if (leader.len == 0 || !has_room(kube)) {
        refuse(x);
        return true;
    }
    relayed = must(mem_alloc(sizeof(*relayed)));
    relayed->kube = kube;
    relayed->x = x;
    snprintf(relayed->address, sizeof(relayed->address), "%.*s", STR_ARG(leader));
    buf_init(&relayed->body, ENDPOINTS_ANSWER_MAX);
    relayed->next = kube->relayed;
    relayed->back = &kube->relayed;
    if (relayed->next != NULL)
        relayed->next->back = &relayed->next;
    kube->relayed = relayed;
    x->user = relayed;
    x->on_disconnect = gateway_left;
    if (pass_on(relayed, &err) < 0) {
        relayed->call = NULL;
        give_up(relayed);
    }
    return true;
}

void kube_relay_leader_is(struct kube *kube, struct str address)
{
    struct kube_relayed *next;

    for (struct kube_relayed *at = kube->relayed; at != NULL; at = next) {
        next = at->next;
        if (!str_is(address, at->address))
            give_up(at);
    }
}

void kube_relay_close(struct kube *kube)
{
    kube_relay_leader_is(kube, STR_NONE);
    if (kube->relays_client != NULL)
        http_client_close(kube->relays_client);
    kube->relays_client = NULL;
}
