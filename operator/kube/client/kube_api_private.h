/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of kube_api, shared by its files: the queue of calls, and the keeping of credentials.
 */
#ifndef SPATE_OPERATOR_KUBE_API_PRIVATE_H
#define SPATE_OPERATOR_KUBE_API_PRIVATE_H

#include "base/fetch.h"
#include "operator/kube/client/kube_api.h"
#include "operator/kube/client/kube_credentials.h"
#include "operator/kube/client/kube_limit.h"

enum kube_call_state {
    KUBE_CALL_QUEUED,  /* for credentials, or for the rate limit */
    KUBE_CALL_DELAYED, /* by Retry-After */
    KUBE_CALL_FLYING,
};

struct kube_call {
    struct kube_api *api;
    struct kube_call *next, *back; /* among all calls of the api */
    enum kube_call_state state;
    struct kube_request request; /* its texts are owned by the call */
    char *url;
    char *request_body;
    struct fetch *fetch;
    struct loop_timer delay;
    struct buf answer;
    uint64_t generation; /* of the credentials it was last sent with */
    int retries;
    bool renewed;        /* had a 401, after which it is sent once more ... */
    bool awaits_renewal; /* ... which it was not yet: there must be other credentials first */
    bool in_data;        /* its on_data runs */
    bool reporting;      /* its on_done runs */
    bool cancelled;      /* in on_data */
};

/* A loading of credentials on a worker thread. Outlives the api if that is closed meanwhile. */
struct kube_credentials_job {
    struct kube_api *api; /* NULL: closed; then config and old are the job's */
    struct kube_config *config;
    struct kube_credentials *old, *result;
    bool refused;
    int64_t now_ms;
    int code;
    struct err err;
};

struct kube_api {
    struct kube_api_options options;
    struct kube_config *config;
    struct fetcher *fetcher;
    /* Urgent calls keep to connections of their own. After the loss of a server behind a balancer
     * all kept ones may be dead unnoticed, and each would cost one try of the few that a leader
     * has; here there is only one, and giving a call up closes it. */
    struct fetcher *urgent_fetcher;
    struct kube_call *first, *last; /* those that go ahead, then all others; each oldest first */
    size_t queued;
    size_t urgent_queued; /* of them */
    size_t ahead_queued;  /* of them, with the urgent ones */
    struct kube_bucket bucket;
    struct loop_timer pump_timer;
    struct loop_deferred pump;

    struct kube_credentials *credentials; /* NULL: never loaded yet */
    uint64_t generation;                  /* counts loadings, failed ones as well */
    struct kube_credentials_job *job;     /* under way */
    struct loop_timer credentials_timer;

    struct metric *requests;
    struct metric_series *refused;
    const char *host;
};

/* An urgent call has nothing to wait for behind others. */
static inline bool kube_goes_ahead(const struct kube_request *request)
{
    return request->ahead || request->urgent;
}

/* kube_call.c. A new call is queued, the last of its part of the list. */
int kube_call_new(struct kube_call **out, struct kube_api *api, const struct kube_request *q,
                  struct err *err);
/* Sends it. On failure it stays as it is. */
int kube_call_fly(struct kube_call *call, struct err *err);
/* Takes it off the list, tells its owner, frees it. */
void kube_call_fail(struct kube_call *call, const struct err *err);
void kube_call_set_state(struct kube_call *call, enum kube_call_state state);

/* kube_api_credentials.c. `refused`: the server did not accept those that we have. */
void kube_api_renew(struct kube_api *api, bool refused);
void kube_api_renew_soon(void *object); /* the timer */
void kube_api_credentials_close(struct kube_api *api);

/* kube_api.c: what waits for credentials may go, or (err not NULL, and there are none) fails. */
void kube_api_credentials_done(struct kube_api *api, const struct err *err);

#endif
