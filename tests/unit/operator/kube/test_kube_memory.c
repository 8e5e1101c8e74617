/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kubernetes client with its first allocation failing, then its second, and so on. Parsers and
 * containers say that memory ran out and leave nothing behind (seen under ASan); the reflector,
 * which has nobody to say it to, comes back and ends with the right view all the same.
 */
#include "memory_check.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "operator/kube/client/kube_credentials.h"
#include "operator/kube/client/kube_event.h"
#include "operator/kube/client/kube_lease_record.h"
#include "operator/kube/client/kube_list.h"
#include "operator/kube/client/kube_reflector.h"
#include "operator/kube/client/kube_watch.h"

enum { BODY_MAX = 4096 };

#define OBJECT(name, version)                                                    \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name \
    "\",\"resourceVersion\":\"" version                                          \
    "\",\"managedFields\":[{\"manager\":\"x\"}]},\"spec\":[1]}"
#define EVENT(type, name, version) "{\"type\":\"" type "\",\"object\":" OBJECT(name, version) "}\n"

/* --- parsers ---------------------------------------------------------------------------------- */

static int config(struct err *err)
{
    CLEANUP(kube_config_freep) struct kube_config *c = NULL;

    return kube_config_read(
        &c,
        STR("current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: "
            "[{name: k, cluster: {server: 'https://h/', certificate-authority-data: "
            "Q0E=}}]\nusers: "
            "[{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./x, "
            "args: [a], env: [{name: A, value: b}]}}}]\n"),
        "/f", NULL, "file", err);
}

static int plug_in(struct err *err)
{
    CLEANUP(kube_credentials_freep) struct kube_credentials *c = mem_alloc(sizeof(*c));

    if (c == NULL)
        return err_no_memory(err);
    return kube_exec_answer_read(c,
                                 STR("{\"apiVersion\":\"v\",\"status\":{\"token\":\"t\","
                                     "\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}}"),
                                 "v", err);
}

static int event_ignored(void *user, const struct kube_watch_event *event)
{
    (void)user;
    (void)event;
    return 0;
}

static int watch(struct err *err)
{
    struct kube_watch w;
    int r;

    kube_watch_init(&w, event_ignored, NULL);
    r = kube_watch_feed(&w, STR(EVENT("ADDED", "a", "1") "{\"type\":\"MODIF"), err);
    if (r == 0)
        r = kube_watch_feed(&w, STR("IED\",\"object\":" OBJECT("a", "2") "}"), err);
    if (r == 0)
        r = kube_watch_end(&w, err);
    kube_watch_fini(&w);
    return r;
}

static int item_ignored(void *user, const json_t *object, const struct kube_meta *meta)
{
    (void)user;
    (void)object;
    (void)meta;
    return 0;
}

static int list(struct err *err)
{
    static const char text[] =
        "{\"kind\":\"L\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" OBJECT(
            "a", "1") "," OBJECT("b", "2") "]}";
    struct kube_list l;
    int r = 0;

    kube_list_init(&l, item_ignored, NULL);
    for (size_t at = 0; at < sizeof(text) - 1 && r == 0; at += 20)
        r = kube_list_feed(&l, str_slice(STR(text), at, at + 20), err);
    if (r == 0)
        r = kube_list_end(&l, err);
    kube_list_fini(&l);
    return r;
}

static int lease(struct err *err)
{
    struct kube_lease_record record;

    return kube_lease_record_read(
        &record,
        STR("{\"metadata\":{\"resourceVersion\":\"1\"},\"spec\":{\"holderIdentity\":\"a\"}}"), 4000,
        err);
}

/* --- containers ------------------------------------------------------------------------------- */

static int decode(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err)
{
    (void)user;
    (void)object;
    *out = mem_strndup(meta->name.ptr, meta->name.len);
    return *out == NULL ? err_no_memory(err) : 0;
}

static void release(void *user, void *object)
{
    (void)user;
    mem_free(object);
}

static struct str whole_name(const void *object)
{
    return str_of(object);
}

static const struct kube_store_type type = {decode, release, {whole_name}};

static int store_steps(struct kube_store *s, struct err *err)
{
    const struct kube_meta a1 = {STR("n"), STR("a"), STR("ua"), STR("1"), 0, 0, false};
    const struct kube_meta a2 = {STR("n"), STR("a"), STR("ua"), STR("2"), 0, 0, false};
    const struct kube_meta b = {STR("n"), STR("b"), STR("ub"), STR("3"), 0, 0, false};
    const struct kube_meta b2 = {STR("n"), STR("b"), STR("ub2"), STR("4"), 0, 0, false};
    int r = kube_store_put(s, NULL, &a1, err);

    if (r == 0)
        r = kube_store_put(s, NULL, &a2, err);
    if (r == 0)
        r = kube_store_put(s, NULL, &b, err);
    if (r < 0)
        return r;
    kube_store_list_begin(s);
    r = kube_store_list_add(s, NULL, &b, err);
    if (r == 0)
        r = kube_store_list_add(s, NULL, &b2, err);
    if (r == 0)
        r = kube_store_list_commit(s, err);
    if (r == 0 && kube_store_count(s) != 1)
        fail_msg("the list left %zu objects", kube_store_count(s));
    return r;
}

static int store(struct err *err)
{
    const struct kube_store_options options = {.type = &type};
    struct kube_store *s = NULL;
    int r = kube_store_new(&s, &options, err);

    if (r == 0)
        r = store_steps(s, err);
    kube_store_free(s);
    return r;
}

/* --- the check -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    memory_attempt_fn *function;
} parts[] = {
    {"kubeconfig", config}, {"plug-in", plug_in}, {"watch", watch},
    {"list", list},         {"lease", lease},     {"store", store},
};

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        memory_check(parts[i].name, parts[i].function);
}

/* --- the reflector ---------------------------------------------------------------------------- */

struct play {
    struct clock_manual clock;
    struct rng_seeded random;
    struct kube_store *store;
    struct kube_reflector *reflector;
    bool asked, is_watch;
    int64_t wake_ms;
};

static int get(void *context, const char *target, struct err *err)
{
    struct play *p = context;

    (void)err;
    p->asked = true;
    p->is_watch = strstr(target, "watch=true") != NULL;
    return 0;
}

static void cancel(void *context)
{
    struct play *p = context;

    p->asked = false;
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct play *p = context;

    p->wake_ms = mono_ms;
}

/* What the server says to this request; a reader that fails has the connection ended. */
static void answer(struct play *p)
{
    static const char list_text[] = "{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[" OBJECT(
        "a", "1") "," OBJECT("b", "2") "]}";
    static const char watch_text[] =
        EVENT("ADDED", "c", "8") EVENT("MODIFIED", "a", "9") EVENT("DELETED", "b", "10");
    struct err err = {.code = ERR_CANCELLED, .message = "stopped by its reader"};
    int r = kube_reflector_on_bytes(p->reflector, str_of(p->is_watch ? watch_text : list_text));

    p->asked = false;
    kube_reflector_on_done(p->reflector, &(struct kube_answer){.code = r < 0 ? r : 0,
                                                               .http_status = 200,
                                                               .err = r < 0 ? &err : NULL});
}

static void play(struct play *p)
{
    for (int turn = 0; turn < 30; turn++) {
        int64_t now = clock_mono_ms(&p->clock.clock);

        if (p->wake_ms != INT64_MAX && p->wake_ms > now)
            clock_manual_advance_ms(&p->clock, p->wake_ms - now);
        kube_reflector_on_wake(p->reflector);
        if (p->asked)
            answer(p);
    }
}

static const struct kube_resource pods = {"", "v1", "pods", true};

static bool begin(struct play *p)
{
    const struct kube_store_options store_options = {.type = &type};
    struct kube_reflector_options options = {
        .resource = &pods, .no_streaming = true, .io = {get, cancel, wake_at, p}};

    *p = (struct play){.wake_ms = INT64_MAX};
    clock_manual_init(&p->clock, 0);
    rng_seeded_init(&p->random, 1);
    options.clock = &p->clock.clock;
    options.rng = &p->random.rng;
    if (kube_store_new(&p->store, &store_options, NULL) < 0)
        return false;
    options.store = p->store;
    if (kube_reflector_new(&p->reflector, &options, NULL) == 0)
        return true;
    kube_store_free(p->store);
    return false;
}

static const char *version_of(const struct play *p, const char *name)
{
    const struct kube_entry *entry = kube_store_get(p->store, STR("n"), str_of(name));

    return entry != NULL ? kube_entry_version(entry) : "";
}

static void the_reflector_recovers(void **state)
{
    int failures = 0;

    (void)state;
    for (int64_t n = 0; n < MEMORY_ATTEMPTS_MAX; n++) {
        struct play p;
        bool begun;
        int seen;

        mem_fail_after(n);
        begun = begin(&p);
        if (begun) {
            kube_reflector_start(p.reflector);
            play(&p);
        }
        seen = mem_fail_seen();
        mem_fail_after(-1);
        if (begun) {
            assert_int_equal(kube_store_count(p.store), 2);
            assert_string_equal(version_of(&p, "a"), "9");
            assert_string_equal(version_of(&p, "c"), "8");
            kube_reflector_free(p.reflector);
            kube_store_free(p.store);
        }
        failures += seen;
        if (!seen)
            break;
    }
    assert_in_range(failures, 50, MEMORY_ATTEMPTS_MAX - 1);
}

/* --- Events ----------------------------------------------------------------------------------- */

static int send_nowhere(void *context, const char *method, const char *target, struct str body,
                        struct err *err)
{
    (void)context;
    (void)method;
    (void)target;
    (void)body;
    (void)err;
    return 0;
}

static void wake_never(void *context, int64_t mono_ms)
{
    (void)context;
    (void)mono_ms;
}

static void cancel_nothing(void *context)
{
    (void)context;
}

/* Recording can't fail: without memory an Event is dropped, and counted. */
static void events_are_dropped(void **state)
{
    const struct kube_event_about about = {"v1", "Pod", STR("n"), STR("a"), STR("u")};
    const struct kube_events_options options = {
        .controller = "c",
        .instance = STR("i"),
        .field_manager = "m",
        .io = {send_nowhere, cancel_nothing, wake_never, NULL},
        .clock = clock_system(),
        .rng = rng_system()};
    uint64_t dropped = 0;

    (void)state;
    for (int64_t n = 0; n < 100; n++) {
        struct kube_events *e = NULL;

        assert_int_equal(kube_events_new(&e, &options, NULL), 0);
        mem_fail_after(n);
        kube_events_record(e, &about, false, "Reason", "Action", STR("note"));
        kube_events_on_wake(e);
        mem_fail_after(-1);
        assert_int_equal(kube_events_counts(e)->recorded, 1);
        dropped += kube_events_counts(e)->dropped;
        kube_events_free(e);
    }
    assert_in_range(dropped, 10, 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(the_reflector_recovers),
        cmocka_unit_test(events_are_dropped),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
