/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the credentials of a kube_api fresh: loaded on a worker thread before the first request,
 * then at an interval, and at once when the server refuses them.
 */
#include "base/mem.h"
#include "operator/kube/client/kube_api_private.h"

static void job_free(struct kube_credentials_job *job)
{
    if (job->api == NULL) { /* the api is gone and left these to us */
        kube_config_free(job->config);
        kube_credentials_free(job->old);
    }
    kube_credentials_free(job->result);
    mem_free(job);
}

/* Worker thread. The configuration and the old credentials are immutable meanwhile. */
static void load(void *object)
{
    struct kube_credentials_job *job = object;

    job->code = kube_credentials_load(&job->result, job->config, job->old, job->refused,
                                      job->now_ms, &job->err);
}

static void loaded(void *object)
{
    struct kube_credentials_job *job = object;
    struct kube_api *api = job->api;
    struct err err = job->err;
    int code = job->code;

    if (api == NULL) {
        job_free(job);
        return;
    }
    if (code == 0) {
        kube_credentials_free(api->credentials);
        api->credentials = STEAL(job->result);
    }
    api->job = NULL;
    api->generation++;
    job_free(job);
    loop_timer_start(api->options.loop, &api->credentials_timer, api->options.credentials_ms);
    if (code < 0 && api->options.on_trouble != NULL)
        api->options.on_trouble(api->options.user, &err);
    kube_api_credentials_done(api, code < 0 ? &err : NULL);
}

void kube_api_renew(struct kube_api *api, bool refused)
{
    struct kube_credentials_job *job;

    if (api->job != NULL)
        return;
    loop_timer_stop(&api->credentials_timer);
    job = mem_alloc(sizeof(*job));
    if (job != NULL) {
        job->api = api;
        job->config = api->config;
        job->old = api->credentials;
        job->refused = refused;
        job->now_ms = clock_wall_ms(api->options.clock);
        if (loop_work(api->options.loop, load, loaded, job) == 0) {
            api->job = job;
            return;
        }
        mem_free(job);
    }
    /* No thread or no memory now: what waits goes on with what there is, and we try again later. */
    api->generation++;
    loop_timer_start(api->options.loop, &api->credentials_timer, api->options.credentials_ms);
    kube_api_credentials_done(api, &(struct err){.code = ERR_BUSY, .message = "too busy"});
}

void kube_api_renew_soon(void *object)
{
    kube_api_renew(object, false);
}

void kube_api_credentials_close(struct kube_api *api)
{
    loop_timer_stop(&api->credentials_timer);
    if (api->job != NULL) {
        api->job->api = NULL;
        return;
    }
    kube_config_free(api->config);
    kube_credentials_free(api->credentials);
}
