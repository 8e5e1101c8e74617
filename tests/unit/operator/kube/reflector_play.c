/* SPDX-License-Identifier: Apache-2.0 */
/* See reflector_play.h. */
#include "reflector_play.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { LOG_MAX = 1 << 22, TEXT_MAX = 1 << 16 };

static const struct kube_resource pods = {"", "v1", "pods", true};

/* --- the driver ------------------------------------------------------------------------------- */

static int get(void *context, const char *target, struct err *err)
{
    struct play *p = context;

    assert_string_equal(p->asked, ""); /* one at a time */
    if (p->get_fails > 0) {
        p->get_fails--;
        return err_set(err, ERR_BUSY, "not now");
    }
    p->gets++;
    snprintf(p->asked, sizeof(p->asked), "%s", target);
    return 0;
}

static void cancel(void *context)
{
    struct play *p = context;

    assert_true(p->asked[0] != '\0');
    p->cancels++;
    p->asked[0] = '\0';
}

static void wake_at(void *context, int64_t mono_ms)
{
    struct play *p = context;

    p->wake_ms = mono_ms;
}

static void on_synced(void *user)
{
    struct play *p = user;

    p->synced++;
}

static void on_listed(void *user)
{
    struct play *p = user;

    p->listed++;
}

static void on_trouble(void *user, const struct err *err, int64_t again_in_ms)
{
    struct play *p = user;

    assert_true(err->message[0] != '\0');
    p->troubles++;
    p->again_ms = again_in_ms;
}

static int decode(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err)
{
    (void)user;
    (void)object;
    (void)err;
    *out = mem_strndup(meta->name.ptr, meta->name.len);
    return *out == NULL ? -ERR_NO_MEMORY : 0;
}

static void release(void *user, void *object)
{
    (void)user;
    mem_free(object);
}

static const struct kube_store_type type = {decode, release, {NULL}};

static void on_change(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen)
{
    static const char signs[] = "+~-";
    struct play *p = user;

    (void)before;
    p->changes++;
    if (p->changes < 1000)
        buf_printf(&p->log, "%c%.*s@%s%s ", signs[change], STR_ARG(kube_entry_name(entry)),
                   kube_entry_version(entry), unseen ? "?" : "");
    if (p->relist_at_change) {
        p->relist_at_change = false;
        kube_reflector_relist(p->reflector);
    }
}

void play_begin_with(struct play *p, bool no_streaming)
{
    const struct kube_store_options store = {&type, p, on_change, NULL};
    struct kube_reflector_options options = {
        .resource = &pods,
        .name_space = STR("n"),
        .label_selector = STR("a=b"),
        .page_items = 2,
        .no_streaming = no_streaming,
        .io = {get, cancel, wake_at, p},
        .on_synced = on_synced,
        .on_listed = on_listed,
        .on_trouble = on_trouble,
        .user = p,
    };

    *p = (struct play){.wake_ms = INT64_MAX};
    buf_init(&p->log, LOG_MAX);
    clock_manual_init(&p->clock, 1000);
    rng_seeded_init(&p->random, 3);
    options.clock = &p->clock.clock;
    options.rng = &p->random.rng;
    assert_int_equal(kube_store_new(&p->store, &store, NULL), 0);
    options.store = p->store;
    assert_int_equal(kube_reflector_new(&p->reflector, &options, NULL), 0);
    kube_reflector_start(p->reflector);
}

void play_begin(struct play *p)
{
    play_begin_with(p, true);
}

void play_end(struct play *p)
{
    kube_reflector_free(p->reflector);
    kube_store_free(p->store);
    buf_fini(&p->log);
}

/* --- the play --------------------------------------------------------------------------------- */

int64_t play_wait(struct play *p)
{
    int64_t now = clock_mono_ms(&p->clock.clock);
    int64_t delay = p->wake_ms > now ? p->wake_ms - now : 0;

    assert_true(p->wake_ms != INT64_MAX);
    clock_manual_advance_ms(&p->clock, delay);
    kube_reflector_on_wake(p->reflector);
    return delay;
}

void play_asks(struct play *p, const char *part)
{
    if (p->asked[0] == '\0' || strstr(p->asked, part) == NULL)
        fail_msg("asked '%s', expected '%s'", p->asked, part);
}

int play_say(struct play *p, const char *bytes)
{
    return kube_reflector_on_bytes(p->reflector, str_of(bytes));
}

void play_over(struct play *p, const struct kube_answer *answer)
{
    assert_true(p->asked[0] != '\0');
    p->asked[0] = '\0';
    kube_reflector_on_done(p->reflector, answer);
}

void play_ended(struct play *p)
{
    play_over(p, &(struct kube_answer){.http_status = 200});
}

void play_broken(struct play *p)
{
    struct err err = {.code = ERR_NETWORK, .message = "connection reset"};

    play_over(p, &(struct kube_answer){.code = -ERR_NETWORK, .err = &err});
}

void play_refused(struct play *p, int http, const char *reason, int retry_s)
{
    char body[256];
    struct kube_status status;
    struct err err = {0};
    int code;

    snprintf(body, sizeof(body),
             "{\"kind\":\"Status\",\"reason\":\"%s\",\"details\":{\"retryAfterSeconds\":%d}}",
             reason, retry_s);
    kube_status_read(&status, http, str_of(body));
    code = kube_status_err(&status, "GET", &err);
    play_over(p, &(struct kube_answer){
                     .code = code, .http_status = http, .status = &status, .err = &err});
}

void play_event(struct play *p, const char *what, const char *name, const char *version)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\","
             "\"uid\":\"u-%s\",\"resourceVersion\":\"%s\"}}}\n",
             what, name, name, version);
    assert_int_equal(play_say(p, text), 0);
}

void play_bookmark(struct play *p, const char *version, bool initial_end)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%s\","
             "\"annotations\":{%s}}}}\n",
             version, initial_end ? "\"k8s.io/initial-events-end\":\"true\"" : "");
    assert_int_equal(play_say(p, text), 0);
}

void play_error_event(struct play *p, int code, const char *reason)
{
    struct err err = {.code = ERR_CANCELLED, .message = "stopped by its reader"};
    char text[256];

    snprintf(
        text, sizeof(text),
        "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":%d,\"reason\":\"%s\"}}\n",
        code, reason);
    assert_true(play_say(p, text) < 0);
    play_over(p, &(struct kube_answer){.code = -ERR_CANCELLED, .http_status = 200, .err = &err});
}

void play_page(struct play *p, const char *names, const char *version, const char *more)
{
    char text[4096];
    struct str rest = str_of(names);
    int length = snprintf(text, sizeof(text),
                          "{\"metadata\":{\"resourceVersion\":\"%s\",\"continue\":\"%s\"},"
                          "\"items\":[",
                          version, more);
    bool first = true;

    while (rest.ptr != NULL && rest.len > 0) {
        struct str one = str_cut(&rest, ' ');
        struct str name = str_cut(&one, '@');

        length += snprintf(text + length, sizeof(text) - (size_t)length,
                           "%s{\"metadata\":{\"name\":\"%.*s\",\"namespace\":\"n\",\"uid\":"
                           "\"u-%.*s\",\"resourceVersion\":\"%.*s\"}}",
                           first ? "" : ",", STR_ARG(name), STR_ARG(name), STR_ARG(one));
        first = false;
    }
    snprintf(text + length, sizeof(text) - (size_t)length, "]}");
    assert_int_equal(play_say(p, text), 0);
    play_ended(p);
}

void play_changed(struct play *p, const char *expected)
{
    assert_string_equal(p->log.len > 0 ? buf_cstr(&p->log) : "", expected);
    buf_clear(&p->log);
}

void play_watching(struct play *p)
{
    play_begin(p);
    play_wait(p);
    play_page(p, "a@1", "10", "");
    assert_int_equal(play_wait(p), 0);
    play_asks(p, "resourceVersion=10");
    play_changed(p, "+a@1 ");
}

const struct kube_reflector_counts *play_counts(const struct play *p)
{
    return kube_reflector_counts(p->reflector);
}
