/* SPDX-License-Identifier: Apache-2.0 */
/* Informers of the tool: what they see, line by line, and their store on demand. */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct tool_watch {
    struct tool_resource resource;
    char id[TOOL_PART_MAX];
    struct kube_informer *informer;
    bool quiet;
    uint64_t changes;
};

/* The compact struct: what a ConfigMap says under "value", "" if it says nothing. */
static int decode(void *user, const json_t *object, const struct kube_meta *meta, void **out,
                  struct err *err)
{
    const json_t *value = json_object_get(json_object_get(object, "data"), "value");
    char *copy = mem_strdup(json_is_string(value) ? json_string_value(value) : "");

    (void)user;
    (void)meta;
    if (copy == NULL)
        return err_no_memory(err);
    *out = copy;
    return 0;
}

static void release(void *user, void *object)
{
    (void)user;
    mem_free(object);
}

static struct str by_value(const void *object)
{
    return str_of(object);
}

static const struct kube_store_type type = {decode, release, {by_value}};

static void on_change(void *user, enum kube_change change, const struct kube_entry *entry,
                      const void *before, bool unseen)
{
    static const char *const names[] = {"ADDED", "MODIFIED", "DELETED"};
    struct tool_watch *w = user;

    (void)before;
    w->changes++;
    if (!w->quiet)
        tool_say(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:b}", "event", names[change], "id", w->id,
                           "key", kube_entry_key(entry), "version", kube_entry_version(entry),
                           "uid", kube_entry_uid(entry), "value", (const char *)entry->object,
                           "unseen", unseen));
}

static void on_synced(void *user)
{
    struct tool_watch *w = user;

    tool_say(json_pack("{s:s,s:s}", "event", "SYNCED", "id", w->id));
}

static void on_trouble(void *user, const struct err *err, int64_t again_in_ms)
{
    struct tool_watch *w = user;

    tool_say(json_pack("{s:s,s:s,s:s,s:s,s:I}", "event", "TROUBLE", "id", w->id, "code",
                       err_code_name((int)err->code), "message", err_message(err), "again_ms",
                       (json_int_t)again_in_ms));
}

static struct tool_watch *find(const struct tool *t, const char *id)
{
    for (int i = 0; i < t->watch_count; i++) {
        if (strcmp(t->watches[i]->id, id) == 0)
            return t->watches[i];
    }
    return NULL;
}

static struct kube_reflector_times read_times(const json_t *command)
{
    const json_t *times = json_object_get(command, "times");

    return (struct kube_reflector_times){
        .watch_ms = (uint64_t)tool_number(times, "watch_ms"),
        .watch_grace_ms = (uint64_t)tool_number(times, "watch_grace_ms"),
        .idle_ms = (uint64_t)tool_number(times, "idle_ms"),
        .list_idle_ms = (uint64_t)tool_number(times, "list_idle_ms"),
        .stream_list_ms = (uint64_t)tool_number(times, "stream_list_ms"),
        .backoff_first_ms = (uint64_t)tool_number(times, "backoff_first_ms"),
        .backoff_max_ms = (uint64_t)tool_number(times, "backoff_max_ms"),
        .healthy_ms = (uint64_t)tool_number(times, "healthy_ms"),
    };
}

void tool_watch_begin(struct tool *t, const json_t *command)
{
    struct tool_watch *w = mem_alloc(sizeof(*w));
    struct kube_informer_options options = {
        .api = t->api,
        .loop = &t->loop,
        .clock = clock_system(),
        .rng = rng_system(),
        .name_space = str_of(tool_text(command, "namespace")),
        .label_selector = str_of(tool_text(command, "label_selector")),
        .field_selector = str_of(tool_text(command, "field_selector")),
        .page_items = (int)tool_number(command, "page_items"),
        .no_streaming = json_is_true(json_object_get(command, "no_streaming")),
        .times = read_times(command),
        .store = {.type = &type, .user = w, .on_change = on_change},
        .on_synced = on_synced,
        .on_trouble = on_trouble,
    };

    if (w == NULL || t->watch_count == TOOL_WATCHES_MAX)
        abort();
    snprintf(w->id, sizeof(w->id), "%s", tool_text(command, "id"));
    w->quiet = json_is_true(json_object_get(command, "quiet"));
    tool_resource_read(&w->resource, command);
    options.resource = &w->resource.resource;
    if (kube_informer_new(&w->informer, &options, NULL) < 0)
        abort();
    t->watches[t->watch_count++] = w;
    kube_informer_start(w->informer);
}

/* The second number of statm: resident pages. */
static int64_t resident_bytes(void)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct str rest;
    uint64_t pages = 0;

    buf_init(&text, 4096);
    if (file_read("/proc/self/statm", &text, NULL) < 0)
        return 0;
    rest = buf_str(&text);
    (void)str_cut(&rest, ' ');
    (void)str_to_u64(str_cut(&rest, ' '), &pages);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

void tool_watch_dump(struct tool *t, const json_t *command)
{
    const struct tool_watch *w = find(t, tool_text(command, "id"));
    json_t *objects = json_object();
    const struct kube_reflector_counts *c;
    const struct kube_entry *entry;

    if (w == NULL)
        abort();
    c = kube_reflector_counts(kube_informer_reflector(w->informer));
    for (size_t at = 0; (entry = kube_store_next(kube_informer_store(w->informer), &at)) != NULL;)
        json_object_set_new(objects, kube_entry_key(entry), json_string(kube_entry_version(entry)));
    tool_say(json_pack("{s:s,s:s,s:o,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "event", "DUMP",
                       "id", w->id, "objects", objects, "version",
                       kube_reflector_version(kube_informer_reflector(w->informer)), "synced",
                       kube_reflector_synced(kube_informer_reflector(w->informer)), "lists",
                       (json_int_t)c->lists, "watches", (json_int_t)c->watches, "expiries",
                       (json_int_t)c->expiries, "events", (json_int_t)c->events, "bookmarks",
                       (json_int_t)c->bookmarks, "failures", (json_int_t)c->failures, "silences",
                       (json_int_t)c->silences, "changes", (json_int_t)w->changes, "resident_bytes",
                       (json_int_t)resident_bytes()));
}

static void relisted(void *user)
{
    struct tool_watch *w = user;

    tool_say(json_pack("{s:s,s:s}", "event", "RELISTED", "id", w->id));
}

void tool_watch_relist(struct tool *t, const json_t *command)
{
    struct tool_watch *w = find(t, tool_text(command, "id"));

    if (w == NULL)
        abort();
    kube_informer_relist(w->informer, relisted, w);
}

void tool_watches_free(struct tool *t)
{
    for (int i = 0; i < t->watch_count; i++) {
        kube_informer_free(t->watches[i]->informer);
        mem_free(t->watches[i]);
    }
    t->watch_count = 0;
}
