/* SPDX-License-Identifier: Apache-2.0 */
/* One Event: see kube_event_series.h. */
#include "operator/kube/client/kube_event_series.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"

enum { NAME_PART_MAX = 200, KEY_MAX = 4096 };

static char *copy(struct str text)
{
    return mem_strndup(text.ptr != NULL ? text.ptr : "", text.len);
}

static struct str cut_note(struct str note)
{
    if (note.len <= KUBE_EVENT_NOTE_MAX)
        return note;
    note.len = KUBE_EVENT_NOTE_MAX;
    while (note.len > 0 && !utf8_valid(note)) /* at most three bytes of a cut character */
        note.len--;
    return note;
}

static char *make_key(const struct kube_event_about *about, bool warning, const char *reason,
                      struct str note)
{
    CLEANUP(buf_fini) struct buf key = {0};

    buf_init(&key, KEY_MAX);
    (void)buf_printf(&key, "%s\n%.*s\n%.*s\n%.*s\n%d\n%s\n%.*s", about->kind,
                     STR_ARG(about->name_space), STR_ARG(about->name), STR_ARG(about->uid), warning,
                     reason, STR_ARG(note));
    return key.failed ? NULL : mem_strndup(key.ptr, key.len);
}

int kube_event_series_new(struct kube_event_series **out, const struct kube_event_about *about,
                          bool warning, const char *reason, const char *action, struct str note,
                          struct err *err)
{
    struct kube_event_series *s = mem_alloc(sizeof(*s));

    if (s == NULL)
        return err_no_memory(err);
    note = cut_note(note);
    s->key = make_key(about, warning, reason, note);
    s->api_version = mem_strdup(about->api_version);
    s->kind = mem_strdup(about->kind);
    s->name_space = copy(about->name_space);
    s->name = copy(about->name);
    s->uid = copy(about->uid);
    s->reason = mem_strdup(reason);
    s->action = mem_strdup(action);
    s->note = copy(note);
    s->warning = warning;
    s->count = 1;
    if (s->key == NULL || s->api_version == NULL || s->kind == NULL || s->name_space == NULL ||
        s->name == NULL || s->uid == NULL || s->reason == NULL || s->action == NULL ||
        s->note == NULL) {
        kube_event_series_free(s);
        return err_no_memory(err);
    }
    *out = s;
    return 0;
}

void kube_event_series_free(struct kube_event_series *s)
{
    if (s == NULL)
        return;
    mem_free(s->key);
    mem_free(s->api_version);
    mem_free(s->kind);
    mem_free(s->name_space);
    mem_free(s->name);
    mem_free(s->uid);
    mem_free(s->reason);
    mem_free(s->action);
    mem_free(s->note);
    mem_free(s);
}

void kube_event_series_rename(struct kube_event_series *s, const struct rng *rng)
{
    /* A cut name may end in '.' or '-', which a name of Kubernetes does not before a '.'. */
    struct str part = str_slice(str_of(s->name), 0, NAME_PART_MAX);

    while (part.len > 0 && (part.ptr[part.len - 1] == '.' || part.ptr[part.len - 1] == '-'))
        part.len--;
    snprintf(s->event_name, sizeof(s->event_name), "%.*s.%016" PRIx64, STR_ARG(part), rng_u64(rng));
}

struct str kube_event_series_namespace(const struct kube_event_series *s)
{
    return s->name_space[0] != '\0' ? str_of(s->name_space) : STR("default");
}

static void write_series(const struct kube_event_series *s, struct json_writer *w)
{
    char last[KUBE_TIME_MAX];

    kube_time_format(s->last_ms, last);
    json_key(w, "series");
    json_open(w, '{');
    json_put_u64(w, "count", s->count < INT32_MAX ? s->count : INT32_MAX);
    json_put_text(w, "lastObservedTime", last);
    json_close(w, '}');
}

static void write_regarding(const struct kube_event_series *s, struct json_writer *w)
{
    json_key(w, "regarding");
    json_open(w, '{');
    json_put_text(w, "apiVersion", s->api_version);
    json_put_text(w, "kind", s->kind);
    if (s->name_space[0] != '\0')
        json_put_text(w, "namespace", s->name_space);
    json_put_text(w, "name", s->name);
    if (s->uid[0] != '\0')
        json_put_text(w, "uid", s->uid);
    json_close(w, '}');
}

void kube_event_series_write(const struct kube_event_series *s, const char *controller,
                             const char *instance, struct buf *out)
{
    char first[KUBE_TIME_MAX];
    struct json_writer w;

    kube_time_format(s->first_ms, first);
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "events.k8s.io/v1");
    json_put_text(&w, "kind", "Event");
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_put_text(&w, "name", s->event_name);
    json_put_str(&w, "namespace", kube_event_series_namespace(s));
    json_close(&w, '}');
    json_put_text(&w, "eventTime", first);
    json_put_text(&w, "type", s->warning ? "Warning" : "Normal");
    json_put_text(&w, "reason", s->reason);
    json_put_text(&w, "action", s->action);
    json_put_text(&w, "note", s->note);
    json_put_text(&w, "reportingController", controller);
    json_put_text(&w, "reportingInstance", instance);
    write_regarding(s, &w);
    if (s->count > 1)
        write_series(s, &w);
    json_close(&w, '}');
}

void kube_event_series_write_repeats(const struct kube_event_series *s, struct buf *out)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    write_series(s, &w);
    json_close(&w, '}');
}
