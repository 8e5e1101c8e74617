/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to one API server, over base/fetch: credentials kept fresh, refusals typed, a rate limit
 * of our own, Retry-After obeyed. Loop thread only.
 *
 *     send -> [queue: credentials? rate?] -> under way -> answer -> on_done
 *                  ^                             |
 *                  '--- 401: credentials renewed, once
 *                  '--- 429 or 503 with Retry-After: so much later, a few times ---
 *
 * Every other failure is the caller's to repeat: it knows whether the wish still holds.
 */
#ifndef SPATE_OPERATOR_KUBE_API_H
#define SPATE_OPERATOR_KUBE_API_H

#include "base/loop.h"
#include "base/metrics.h"
#include "operator/kube/client/kube_config.h"
#include "operator/kube/client/kube_path.h"
#include "operator/kube/client/kube_status.h"

enum {
    KUBE_API_QUEUE_MAX = 20000,  /* calls not yet sent; further ones: -ERR_BUSY, but for
                                  * those that are urgent or go ahead */
    KUBE_API_RATE_DEFAULT = 100, /* requests a second, of our own accord */
    KUBE_API_BURST_DEFAULT = 200,
    KUBE_API_TIMEOUT_MS = 30 * 1000,
    KUBE_API_RETRIES_MAX = 5,            /* of answers with Retry-After */
    KUBE_API_CREDENTIALS_MS = 10 * 1000, /* files are read anew so often */
    KUBE_API_ANSWER_MAX = 16 << 20,      /* bytes of an answer that is collected */
};

/* What kube_api_new declares, for the reference page. */
enum { KUBE_API_METRIC_COUNT = 2 };
extern const struct metric_info kube_api_metric_table[KUBE_API_METRIC_COUNT];

struct kube_api;
struct kube_call;

struct kube_api_options {
    struct loop *loop;
    struct kube_config *config; /* taken over if kube_api_new succeeds */
    const struct clock *clock;
    const struct rng *rng;
    struct metrics *metrics; /* NULL: none; else rest_client_* */
    const char *user_agent;  /* "spate-operator/0.1.0"; must outlive the api */
    /* 0: the defaults above. */
    uint32_t rate_per_s, burst;
    uint64_t timeout_ms;
    uint64_t credentials_ms;
    /* Credentials could not be read; those that we have go on being used. May be NULL. */
    void (*on_trouble)(void *user, const struct err *err);
    void *user;
};

int kube_api_new(struct kube_api **out, const struct kube_api_options *options, struct err *err);
/* Cancels what runs, without callbacks; let the loop turn afterwards. Not inside one of its
 * callbacks. NULL is allowed. */
void kube_api_close(struct kube_api *api);
/* The namespace of the context, or of the pod we run in. */
const char *kube_api_namespace(const struct kube_api *api);

/* Once, unless cancelled; never inside the call that started it. */
typedef void (*kube_done_fn)(void *user, const struct kube_answer *answer);

struct kube_request {
    const char *method;       /* "GET" */
    const char *target;       /* path and query, made by kube_path and kube_query; copied */
    struct str body;          /* copied; ptr NULL: none */
    const char *content_type; /* NULL: application/json */
    bool urgent;              /* lease renewals: passes by the rate limit, on its own connection */
    bool ahead;          /* what all writes rest on: passes by those that wait. Few at a time */
    bool patient;        /* false: an answer with Retry-After comes to on_done at once */
    uint64_t timeout_ms; /* 0: the api's; UINT64_MAX: none */
    /* NULL: always. Asked when its turn has come, just before it is sent, since that may be long
     * after kube_api_send; while the answer is false it waits. Must do nothing else. */
    bool (*may_send)(void *user);
    /* With it, the body of a 2xx answer is not collected; a negative result ends the call. */
    int (*on_data)(void *user, struct str bytes);
    kube_done_fn on_done;
    void *user;
};

/* *out (may be NULL) is valid until on_done returned. -ERR_BUSY: KUBE_API_QUEUE_MAX wait. */
int kube_api_send(struct kube_call **out, struct kube_api *api, const struct kube_request *request,
                  struct err *err);
/* No callback runs any more. NULL is allowed. */
void kube_call_cancel(struct kube_call *call);

/* --- the verbs ------------------------------------------------------------------------------ */

/* Common to the shorthands below: who is told, where the handle goes (NULL: nowhere), and when it
 * is sent. */
struct kube_reply {
    kube_done_fn on_done;
    void *user;
    struct kube_call **call;
    bool ahead;
    bool (*may_send)(void *user);
};

int kube_get(struct kube_api *api, const struct kube_target *target, struct kube_reply reply,
             struct err *err);
/*
 * Writes. field_manager: in whose name, as metadata.managedFields says it then: one per concern.
 * Empty: that of the program, by its user agent. Only kube_apply must have one.
 */
/* POST to the collection; target->name is empty. */
int kube_create(struct kube_api *api, const struct kube_target *target, const char *field_manager,
                struct str json, struct kube_reply reply, struct err *err);
/* PUT: json holds metadata.resourceVersion, so a stale view is -ERR_CONFLICT. */
int kube_update(struct kube_api *api, const struct kube_target *target, const char *field_manager,
                struct str json, struct kube_reply reply, struct err *err);
/* Server-side apply. force takes fields from other managers. */
int kube_apply(struct kube_api *api, const struct kube_target *target, const char *field_manager,
               bool force, struct str json, struct kube_reply reply, struct err *err);
/* JSON merge patch; with metadata.resourceVersion in it a stale view is -ERR_CONFLICT. */
int kube_merge_patch(struct kube_api *api, const struct kube_target *target,
                     const char *field_manager, struct str json, struct kube_reply reply,
                     struct err *err);

/* Empty texts: no such precondition. grace_s < 0: the object's own. */
struct kube_delete_options {
    struct str uid;
    struct str resource_version;
    int64_t grace_s;
    const char *propagation; /* NULL: the kind's default; "Background", "Foreground", "Orphan" */
};
int kube_delete(struct kube_api *api, const struct kube_target *target,
                const struct kube_delete_options *options, struct kube_reply reply,
                struct err *err);

#endif
