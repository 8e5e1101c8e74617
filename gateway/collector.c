/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting: see collector.h. */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/collector_private.h"
#include "gateway/control.h"

/* Those that are leaving are asked each second; a connection to one of the many others would only
 * lie about until it is asked again. */
enum { CONNECTION_IDLE_MS = 2 * COLLECTOR_TICK_MS };

/* An agent that is, or was until lately, in the routes. */
struct known_agent {
    char address[TABLE_ADDRESS_MAX];
    int64_t listed_ms; /* when it was last seen there, or sent something */
};

/* One call to one agent. */
struct collection {
    struct collector_answer answer;
    struct collection *next, **back;
    struct collector *c;
    struct http_call *call;
    char address[TABLE_ADDRESS_MAX];
};

int collector_call(struct collector *c, struct http_call **out,
                   const struct http_call_options *call)
{
    const char *token = control_token(c->g->control, TOKEN_AUDIENCE_AGENT);
    char authorization[TOKEN_TEXT_MAX + 16];
    struct http_header header;
    struct http_call_options options = *call;

    if (token == NULL)
        return -ERR_DENIED;
    snprintf(authorization, sizeof(authorization), "Bearer %s", token);
    header = (struct http_header){STR("authorization"), str_of(authorization)};
    options.headers = &header;
    options.header_count = 1;
    options.connect_timeout_ms = STREAM_SILENCE_MS;
    options.first_byte_timeout_ms = STREAM_SILENCE_MS;
    return http_call_start(out, c->client, &options, NULL);
}

static void collection_free(struct collection *n)
{
    *n->back = n->next;
    if (n->next != NULL)
        n->next->back = n->back;
    http_call_cancel(n->call);
    buf_fini(&n->answer.body);
    mem_free(n);
}

bool collector_take_record(struct collector *c, const char *address, const json_t *object)
{
    struct usage_record record;
    struct err err = {0};
    uint64_t sequence = 0;
    int r = usage_read(&record, object, &err);

    if (r == 0)
        r = meter_append(c->g->meter, &record, &sequence, &err);
    if (r < 0) {
        log_warn("a collected usage record can't be taken", LOG_STR("agent", address),
                 LOG_ERR(&err));
        return false;
    }
    collector_release(c, address, record.request_id, record.attempt, sequence);
    return true;
}

static void take_records(struct collection *n)
{
    json_auto_t *tree = NULL;
    json_t *records = NULL;
    struct err err = {0};

    if (n->answer.status != 200 ||
        json_read(&tree, buf_str(&n->answer.body), &json_limits_default, "usage records", &err) <
            0 ||
        json_get_array(tree, "records", true, &records, &err) < 0)
        return;
    for (size_t i = 0; i < json_array_size(records); i++)
        (void)collector_take_record(n->c, n->address, json_array_get(records, i));
    gateway_metrics_collected(&n->c->g->counters, json_array_size(records));
}

void collector_on_head(struct http_call *call, void *user, int status,
                       const struct http_headers *headers)
{
    struct collector_answer *answer = user;

    (void)call;
    (void)headers;
    answer->status = status;
}

void collector_on_data(struct http_call *call, void *user, struct str bytes)
{
    struct collector_answer *answer = user;

    (void)call;
    (void)buf_append_str(&answer->body, bytes);
}

static void on_done(struct http_call *call, void *user, enum http_result result,
                    const struct err *err)
{
    struct collection *n = user;

    (void)call;
    (void)err;
    n->call = NULL; /* freed by the client */
    if (result == HTTP_DONE && !n->answer.body.failed)
        take_records(n);
    collection_free(n);
}

static void collect(struct collector *c, struct str address, int64_t older_than_ms)
{
    struct collection *n = mem_alloc(sizeof(*n));
    char target[96];

    if (n == NULL)
        return;
    n->c = c;
    n->next = c->collections;
    n->back = &c->collections;
    if (n->next != NULL)
        n->next->back = &n->next;
    c->collections = n;
    snprintf(n->address, sizeof(n->address), "%.*s", STR_ARG(address));
    buf_init(&n->answer.body, 32 << 20);
    snprintf(target, sizeof(target), STREAM_PATH_USAGE "?older_than_ms=%lld",
             (long long)older_than_ms);
    if (collector_call(c, &n->call,
                       &(struct http_call_options){
                           .address = str_of(n->address),
                           .method = STR("GET"),
                           .target = str_of(target),
                           .on_head = collector_on_head,
                           .on_data = collector_on_data,
                           .on_done = on_done,
                           .user = n,
                       }) < 0)
        collection_free(n);
}

/* Without memory the agent is asked only while it is listed. */
static void note(struct collector *c, struct str address, int64_t now_ms)
{
    struct known_agent *agent = map_get(&c->agents, address);

    if (agent == NULL) {
        agent = mem_alloc(sizeof(*agent));
        if (agent == NULL)
            return;
        snprintf(agent->address, sizeof(agent->address), "%.*s", STR_ARG(address));
        if (map_put(&c->agents, str_of(agent->address), agent, NULL) < 0) {
            mem_free(agent);
            return;
        }
    }
    agent->listed_ms = now_ms;
}

void collector_expect(struct collector *c, const struct gw_pod *pod)
{
    note(c, str_of(pod->address), gateway_now_ms(c->g));
}

/* The draining ones, and those of the others whose turn it is. A pod that comes or goes moves the
 * others in the round: one may be asked twice in it, and one not before the next. */
static void collect_listed(struct collector *c, int64_t now_ms, int64_t leaving_age_ms)
{
    size_t end = c->round_at + COLLECTOR_TICK_CALLS;
    size_t staying = 0;
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&c->g->table.pods, &at)) != NULL;) {
        const struct gw_pod *pod = e->value;

        if (pod->address[0] == '\0' || !pod->listed)
            continue;
        note(c, str_of(pod->address), now_ms);
        if (pod->draining) {
            collect(c, str_of(pod->address), leaving_age_ms);
            continue;
        }
        if (staying >= c->round_at && staying < end)
            collect(c, str_of(pod->address), c->g->settings->collect_after_ms);
        staying++;
    }
    c->round_at = end;
    if (++c->ticks >= COLLECTOR_EVERY_TICKS && end >= staying) {
        c->ticks = 0;
        c->round_at = 0;
    }
}

/* One at most is forgotten in a tick: a removal would disturb the walk. */
static void collect_unlisted(struct collector *c, int64_t now_ms, int64_t leaving_age_ms)
{
    struct known_agent *gone = NULL;
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&c->agents, &at)) != NULL;) {
        struct known_agent *agent = e->value;

        if (agent->listed_ms == now_ms)
            continue;
        if (now_ms - agent->listed_ms < COLLECTOR_LINGER_MS)
            collect(c, str_of(agent->address), leaving_age_ms);
        else
            gone = agent;
    }
    if (gone != NULL) {
        (void)map_remove(&c->agents, str_of(gone->address));
        mem_free(gone);
    }
}

/* Pods that get no work from anybody; the operator says where their agents listen. */
static void collect_leavers(struct collector *c, int64_t now_ms, int64_t leaving_age_ms)
{
    const struct routes *routes = c->g->table.routes;

    for (int i = 0; routes != NULL && i < routes->leaver_count; i++) {
        struct str address = routes->leavers[i].address;

        if (address.len == 0 || address.len >= TABLE_ADDRESS_MAX)
            continue;
        note(c, address, now_ms);
        collect(c, address, leaving_age_ms);
    }
}

static void on_tick(void *object)
{
    enum { LEAVING_AGE_MS = 500 };
    struct collector *c = object;
    int64_t now_ms = gateway_now_ms(c->g);

    collect_listed(c, now_ms, LEAVING_AGE_MS);
    collect_leavers(c, now_ms, LEAVING_AGE_MS);
    collect_unlisted(c, now_ms, LEAVING_AGE_MS);
    collector_doubts_tick(c);
    loop_timer_start(&c->g->loop, &c->tick, COLLECTOR_TICK_MS);
}

int collector_new(struct collector **out, struct gateway *g, struct err *err)
{
    const struct http_client_options client = {.connections_per_origin = 4,
                                               .pool_idle_ms = CONNECTION_IDLE_MS};
    CLEANUP(mem_freep) struct collector *c = mem_alloc(sizeof(*c));
    int r;

    if (c == NULL)
        return err_no_memory(err);
    r = http_client_new(&c->client, &g->loop, &client, err);
    if (r < 0)
        return r;
    c->g = g;
    map_init(&c->agents, ROUTES_PODS_MAX);
    loop_timer_init(&c->tick, on_tick, c);
    collector_acks_init(c);
    loop_timer_start(&g->loop, &c->tick, COLLECTOR_TICK_MS);
    *out = STEAL(c);
    return 0;
}

void collector_free(struct collector *c)
{
    struct map_entry *e;

    if (c == NULL)
        return;
    loop_timer_stop(&c->tick);
    while (c->collections != NULL)
        collection_free(c->collections);
    collector_doubts_fini(c);
    http_client_close(c->client);
    collector_acks_fini(c);
    for (size_t at = 0; (e = map_next(&c->agents, &at)) != NULL;)
        mem_free(e->value);
    map_fini(&c->agents);
    mem_free(c);
}
