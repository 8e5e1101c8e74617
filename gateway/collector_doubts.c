/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubts: an attempt broke before its pod said that it began. It may have begun all the same, it
 * may still lie in a socket of an agent that is stuck, or it was lost on the way; until that is
 * known, its request waits for its bill. So the agent is asked, and an attempt that has not begun
 * by then never will. When the agent is gone, the ledger's settling time decides.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/collector_private.h"

enum { DOUBTS_ASKED_AT_ONCE = 16, DOUBTS_MAX = 4096, ANSWER_BYTES_MAX = 1 << 16 };

struct doubt {
    struct collector_answer answer;
    struct doubt *next;
    struct collector *c;
    struct http_call *call; /* NULL: it is not asked now */
    char *pod_uid;
    char address[TABLE_ADDRESS_MAX]; /* of its agent, as last heard */
    struct usage_record record;      /* what the gateway knows of it */
    bool resolved;
};

/* True: the log has the record. */
static bool take_never_began(struct doubt *d)
{
    struct gateway *g = d->c->g;
    struct err err = {0};
    uint64_t sequence = 0;

    d->record.counts_final = true;
    d->record.updated_ms = clock_wall_ms(g->clock);
    if (meter_append(g->meter, &d->record, &sequence, &err) == 0)
        return true;
    log_warn("the end of an attempt that never began waits for the disk", LOG_ERR(&err));
    return false;
}

static bool take_answer(struct doubt *d)
{
    enum { HTTP_OK = 200, HTTP_NOT_FOUND = 404 };
    json_auto_t *tree = NULL;

    if (d->answer.status == HTTP_NOT_FOUND)
        return true; /* another gateway collected its record */
    if (d->answer.status != HTTP_OK || d->answer.body.failed ||
        json_read(&tree, buf_str(&d->answer.body), &json_limits_default, "usage record", NULL) < 0)
        return false;
    if (json_object_size(tree) == 0)
        return take_never_began(d);
    return collector_take_record(d->c, d->address, tree);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct doubt *d = user;

    (void)call;
    (void)err;
    d->call = NULL; /* freed by the client */
    d->resolved = result == HTTP_DONE && take_answer(d);
}

static void ask(struct doubt *d)
{
    char body[STREAM_NAME_MAX];

    stream_name_format(body, d->record.request_id, d->record.attempt);
    buf_clear(&d->answer.body);
    d->answer.status = 0;
    (void)collector_call(d->c, &d->call,
                         &(struct http_call_options){
                             .address = str_of(d->address),
                             .method = STR("POST"),
                             .target = STR(STREAM_PATH_ABANDON),
                             .body = str_of(body),
                             .on_head = collector_on_head,
                             .on_data = collector_on_data,
                             .on_done = on_done,
                             .user = d,
                         }); /* else in the next tick */
}

static void doubt_free(struct doubt *d)
{
    http_call_cancel(d->call);
    buf_fini(&d->answer.body);
    mem_free(d->pod_uid);
    mem_free(d);
}

/* Without memory it is dropped: the ledger waits longer. */
void collector_doubt(struct collector *c, const struct gw_pod *pod,
                     const struct usage_record *record)
{
    struct doubt *d = c->doubt_count < DOUBTS_MAX ? mem_alloc(sizeof(*d)) : NULL;
    char *uid = mem_strdup(pod->uid);

    if (d == NULL || uid == NULL) {
        mem_free(d);
        mem_free(uid);
        return;
    }
    d->c = c;
    d->pod_uid = uid;
    d->record = *record;
    snprintf(d->address, sizeof(d->address), "%s", pod->address);
    buf_init(&d->answer.body, ANSWER_BYTES_MAX);
    d->next = c->doubts;
    c->doubts = d;
    c->doubt_count++;
}

/* Whether there is somebody to ask. An agent that was started anew in its pod may listen elsewhere,
 * and knows what the one before it began. */
static bool find_agent(struct doubt *d)
{
    const struct gw_pod *pod = map_get(&d->c->g->table.pods, str_of(d->pod_uid));

    if (pod != NULL && pod->listed && pod->address[0] != '\0')
        snprintf(d->address, sizeof(d->address), "%s", pod->address);
    return map_get(&d->c->agents, str_of(d->address)) != NULL;
}

void collector_doubts_tick(struct collector *c)
{
    int asked = 0;

    for (struct doubt **link = &c->doubts; *link != NULL;) {
        struct doubt *d = *link;

        if (d->resolved || !find_agent(d)) {
            *link = d->next;
            c->doubt_count--;
            doubt_free(d);
            continue;
        }
        if (d->call == NULL && asked < DOUBTS_ASKED_AT_ONCE)
            ask(d);
        asked += d->call != NULL;
        link = &d->next;
    }
}

void collector_doubts_fini(struct collector *c)
{
    while (c->doubts != NULL) {
        struct doubt *d = c->doubts;

        c->doubts = d->next;
        doubt_free(d);
    }
}
