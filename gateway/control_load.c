/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load out: at once after a quiet time, then with a gap of 20 to 100 ms while it changes, and a
 * heartbeat each second. One report is under way at a time; figures are absolute, so one that is
 * lost is made good by the next. Suspicions are told again until a report with them was taken.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/control_private.h"
#include "gateway/queue.h"

enum {
    CONTROL_LOAD_GAP_MS = 20,
    CONTROL_LOAD_MODELS_PER_MS = 125, /* in a report: it makes the gap so much longer */
    CONTROL_LOAD_TIMEOUT_MS = 2000,
    CONTROL_LOAD_BYTES_MAX = 16 << 20
};

static struct load_model load_of(const struct gw_model *m, int64_t now_ms)
{
    const struct flight *oldest = gw_queue_oldest(m);
    bool busy = m->in_flight + m->queued > 0;

    return (struct load_model){
        .name = str_of(m->name),
        .in_flight = m->in_flight,
        .queued = m->queued,
        .arrived = m->arrived,
        .idle_ms = busy ? 0 : now_ms - m->busy_ms,
        .oldest_wait_ms = oldest == NULL ? 0 : now_ms - oldest->arrived_mono_ms,
    };
}

static int fill_models(struct gateway *g, struct load_report *report, int64_t now_ms)
{
    struct map_entry *e;

    report->models = mem_array(g->table.models.count, sizeof(*report->models));
    if (report->models == NULL)
        return -ERR_NO_MEMORY;
    for (size_t at = 0; (e = map_next(&g->table.models, &at)) != NULL;) {
        const struct gw_model *m = e->value;

        if (m->arrived > 0 && report->model_count < LOAD_MODELS_MAX)
            report->models[report->model_count++] = load_of(m, now_ms);
    }
    return 0;
}

static int write_report(struct control *c, struct buf *out)
{
    struct gateway *g = c->g;
    int64_t now_ms = gateway_now_ms(g);
    struct load_suspect suspects[CONTROL_SUSPECTS_MAX];
    struct load_report report = {
        .gateway = str_of(g->settings->name),
        .run_id = g->run_id,
        .sequence = ++c->load_sequence,
        .uptime_ms = now_ms - g->started_mono_ms,
        .routes_version = buf_str(&c->version),
        .suspects = suspects,
        .suspect_count = c->suspect_count,
    };
    struct json_writer w;

    for (int i = 0; i < c->suspect_count; i++)
        suspects[i] =
            (struct load_suspect){str_of(c->suspects[i].pod_uid), str_of(c->suspects[i].reason)};
    if (fill_models(g, &report, now_ms) < 0)
        return -ERR_NO_MEMORY;
    c->load_models = report.model_count;
    json_writer_init(&w, out);
    load_report_write(&w, &report);
    mem_free(report.models);
    return buf_check(out, "the load report", NULL);
}

/* A report is whole, so the more models are in it, the rarer. */
static int64_t gap_ms(const struct control *c)
{
    int64_t gap = CONTROL_LOAD_GAP_MS + c->load_models / CONTROL_LOAD_MODELS_PER_MS;

    return gap < LOAD_PUSH_MS ? gap : LOAD_PUSH_MS;
}

static void schedule(struct control *c, uint64_t delay_ms)
{
    loop_timer_start(&c->g->loop, &c->load_timer, delay_ms);
}

/* The first `count` were taken, and no report is under way. */
static void forget_suspects(struct control *c, int count)
{
    c->suspect_count -= count;
    memmove(c->suspects, c->suspects + count, (size_t)c->suspect_count * sizeof(c->suspects[0]));
    c->suspects_told = 0;
}

static void on_load_done(void *user, int status, struct str body, const struct err *failure)
{
    struct control *c = user;
    bool failed = failure != NULL || status != 200;

    (void)body;
    c->load_fetch = NULL;
    if (failed && !c->load_trouble)
        log_warn("the operator does not take load reports", LOG_I64("status", status),
                 LOG_ERR(failure));
    c->load_trouble = failed;
    forget_suspects(c, failed ? 0 : c->suspects_told);
    if (status == 401)
        loop_timer_start(&c->g->loop, &c->token_timer, CONTROL_RETRY_MS);
    schedule(c, failed          ? CONTROL_RETRY_MS
                : c->load_dirty ? (uint64_t)gap_ms(c)
                                : LOAD_HEARTBEAT_MS);
}

static void send_load(void *object)
{
    struct control *c = object;
    const char *token = control_token(c, TOKEN_AUDIENCE_OPERATOR);
    CLEANUP(mem_freep) char *url = control_url(c, LOAD_PATH);
    struct err err = {0};
    struct buf body;

    if (c->load_fetch != NULL)
        return;
    buf_init(&body, CONTROL_LOAD_BYTES_MAX);
    if (token == NULL || url == NULL || write_report(c, &body) < 0 ||
        fetch_start(&c->load_fetch, c->g->fetcher,
                    &(struct fetch_options){
                        .method = "POST",
                        .url = url,
                        .bearer_token = token,
                        .body = buf_str(&body),
                        .timeout_ms = CONTROL_LOAD_TIMEOUT_MS,
                        .on_done = on_load_done,
                        .user = c,
                    },
                    &err) < 0) {
        schedule(c, CONTROL_RETRY_MS);
    } else {
        c->load_dirty = false;
        c->suspects_told = c->suspect_count;
        c->load_sent_ms = gateway_now_ms(c->g);
    }
    buf_fini(&body);
}

void control_load_changed(struct control *c)
{
    int64_t since_ms = gateway_now_ms(c->g) - c->load_sent_ms;

    if (c->load_dirty || c->load_trouble)
        return; /* a report is due already */
    c->load_dirty = true;
    if (c->load_fetch == NULL)
        schedule(c, since_ms >= gap_ms(c) ? 0 : (uint64_t)(gap_ms(c) - since_ms));
}

/* What the report under way says does not count: the operator may have looked already. */
static bool will_be_told(const struct control *c, const char *pod_uid, const char *reason)
{
    for (int i = c->suspects_told; i < c->suspect_count; i++) {
        if (strcmp(c->suspects[i].pod_uid, pod_uid) == 0 &&
            strcmp(c->suspects[i].reason, reason) == 0)
            return true;
    }
    return false;
}

void control_suspect(struct control *c, const char *pod_uid, const char *reason)
{
    struct control_suspect *s;

    if (c->suspect_count == CONTROL_SUSPECTS_MAX || will_be_told(c, pod_uid, reason))
        return;
    s = &c->suspects[c->suspect_count++];
    snprintf(s->pod_uid, sizeof(s->pod_uid), "%s", pod_uid);
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
    control_load_changed(c);
}

void control_load_init(struct control *c)
{
    loop_timer_init(&c->load_timer, send_load, c);
    schedule(c, 0);
}

void control_load_fini(struct control *c)
{
    loop_timer_stop(&c->load_timer);
    fetch_cancel(c->load_fetch);
}
