/* SPDX-License-Identifier: Apache-2.0 */
/* See lease_play.h. */
#include "lease_play.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* --- the server ------------------------------------------------------------------------------- */

void server_touch(struct server *s)
{
    char version[16];

    snprintf(version, sizeof(version), "%d", ++s->version);
    json_object_set_new(json_object_get(s->lease, "metadata"), "resourceVersion",
                        json_string(version));
}

static int server_create(struct server *s, json_t *body)
{
    char uid[16];

    if (s->lease != NULL)
        return 409;
    s->lease = json_deep_copy(body);
    snprintf(uid, sizeof(uid), "uid-%d", ++s->uid);
    json_object_set_new(json_object_get(s->lease, "metadata"), "uid", json_string(uid));
    server_touch(s);
    return 201;
}

static int server_patch(struct server *s, json_t *body)
{
    json_t *metadata = json_object_get(body, "metadata");
    json_t *spec = json_object_get(body, "spec");
    const char *key;
    json_t *value;

    if (s->lease == NULL)
        return 404;
    assert_non_null(json_object_get(metadata, "resourceVersion")); /* never without */
    if (!json_equal(json_object_get(metadata, "resourceVersion"),
                    json_object_get(json_object_get(s->lease, "metadata"), "resourceVersion")))
        return 409;
    json_object_foreach (spec, key, value) {
        if (json_is_null(value))
            json_object_del(json_object_get(s->lease, "spec"), key);
        else
            json_object_set(json_object_get(s->lease, "spec"), key, value);
    }
    server_touch(s);
    return 200;
}

static int server_handle(struct server *s, const char *method, const char *body)
{
    json_auto_t *tree = NULL;

    if (strcmp(method, "GET") == 0)
        return s->lease != NULL ? 200 : 404;
    tree = json_loads(body, 0, NULL);
    assert_non_null(tree);
    return strcmp(method, "POST") == 0 ? server_create(s, tree) : server_patch(s, tree);
}

const char *server_holder(const struct server *s)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(s->lease, "spec"), "holderIdentity"));

    return text != NULL ? text : "";
}

/* --- a candidate ------------------------------------------------------------------------------ */

static int send_request(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    struct candidate *c = context;
    const char *end = strcmp(method, "GET") == 0    ? "/lead"
                      : strcmp(method, "POST") == 0 ? "?fieldManager=spate-lead"
                                                    : "/lead?fieldManager=spate-lead";
    char expected[KUBE_PATH_MAX];

    (void)err;
    assert_string_equal(c->method, ""); /* one at a time */
    snprintf(expected, sizeof(expected), "/apis/coordination.k8s.io/v1/namespaces/n/leases%s", end);
    assert_string_equal(target, expected);
    snprintf(c->method, sizeof(c->method), "%s", method);
    snprintf(c->body, sizeof(c->body), "%.*s", STR_ARG(body));
    return 0;
}

static void cancel(void *context)
{
    struct candidate *c = context;

    assert_true(c->method[0] != '\0');
    c->method[0] = '\0';
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct candidate *c = context;

    c->wake_ms = mono_ms;
}

static void on_started(void *user, uint64_t term)
{
    struct candidate *c = user;

    assert_false(c->leading);
    assert_true(term > c->term || c->starts == 0);
    c->leading = true;
    c->term = term;
    c->starts++;
}

static void on_stopped(void *user)
{
    struct candidate *c = user;

    assert_true(c->leading);
    c->leading = false;
    c->stops++;
}

static void on_leader(void *user, struct str identity)
{
    struct candidate *c = user;

    snprintf(c->leader, sizeof(c->leader), "%.*s", STR_ARG(identity));
}

static void on_trouble(void *user, const struct err *err)
{
    struct candidate *c = user;

    assert_true(err->message[0] != '\0');
    c->troubles++;
}

void candidate_begin(struct candidate *c, struct server *s, const char *identity, int64_t wall_ms)
{
    struct kube_lease_options options = {
        .name_space = STR("n"),
        .name = STR("lead"),
        .identity = str_of(identity),
        .field_manager = "spate-lead",
        .io = {send_request, cancel, wake_at, c},
        .on_started = on_started,
        .on_stopped = on_stopped,
        .on_leader = on_leader,
        .on_trouble = on_trouble,
        .user = c,
    };

    *c = (struct candidate){.server = s, .wake_ms = INT64_MAX};
    clock_manual_init(&c->clock, wall_ms);
    rng_seeded_init(&c->random, (uint64_t)wall_ms + (uint64_t)identity[0]);
    options.clock = &c->clock.clock;
    options.rng = &c->random.rng;
    assert_int_equal(kube_lease_new(&c->lease, &options, NULL), 0);
    kube_lease_start(c->lease);
}

void candidate_end(struct candidate *c)
{
    kube_lease_free(c->lease);
}

int64_t candidate_now(const struct candidate *c)
{
    return clock_mono_ms(&c->clock.clock);
}

void candidate_wake(struct candidate *c)
{
    if (c->wake_ms <= candidate_now(c))
        kube_lease_on_wake(c->lease);
}

void candidate_serve_and(struct candidate *c, bool answer_arrives)
{
    CLEANUP(mem_freep) char *body = NULL;
    struct kube_answer answer = {0};
    struct kube_status status;
    struct err err = {0};

    assert_true(c->method[0] != '\0');
    answer.http_status = server_handle(c->server, c->method, c->body);
    if (!answer_arrives)
        return; /* still under way, as far as the candidate knows */
    c->method[0] = '\0';
    if (answer.http_status < 300) {
        body = json_dumps(c->server->lease, 0);
        answer.body = str_of(body);
    } else {
        kube_status_read(&status, answer.http_status, STR_NONE);
        if (answer.http_status == 409 && c->server->lease == NULL)
            status.reason = KUBE_REASON_ALREADY_EXISTS;
        answer.status = &status;
        answer.err = &err;
        answer.code = kube_status_err(&status, "x", &err);
    }
    kube_lease_on_done(c->lease, &answer);
}

void candidate_serve(struct candidate *c)
{
    candidate_serve_and(c, true);
}

void candidate_broken(struct candidate *c)
{
    struct err err = {.code = ERR_NETWORK, .message = "reset"};

    c->method[0] = '\0';
    kube_lease_on_done(c->lease, &(struct kube_answer){.code = -ERR_NETWORK, .err = &err});
}

void candidate_run(struct candidate *c, int64_t ms)
{
    for (int64_t i = 0; i < ms; i += 10) {
        clock_manual_advance_ms(&c->clock, 10);
        candidate_wake(c);
        while (c->method[0] != '\0')
            candidate_serve(c);
    }
}

void server_free(struct server *s)
{
    json_decref(s->lease);
}
