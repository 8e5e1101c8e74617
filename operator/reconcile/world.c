/* SPDX-License-Identifier: Apache-2.0 */
/* The views of models and pods; gateways and load are in world_load.c. */
#include "operator/reconcile/world.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "operator/common/must.h"

void world_init(struct world *w)
{
    *w = (struct world){0};
    map_init(&w->models, WORLD_MODELS_MAX);
    map_init(&w->pods, WORLD_PODS_MAX);
    w->tenants_max = ROUTES_TENANTS_MAX;
    map_init(&w->tenants, ROUTES_TENANTS_MAX + WORLD_TENANTS_WAITING_MAX);
    map_init(&w->payers, ROUTES_TENANTS_MAX + WORLD_TENANTS_WAITING_MAX);
    map_init(&w->books, ROUTES_TENANTS_MAX);
    map_init(&w->routes, ROUTES_ROUTES_MAX);
    map_init(&w->claims, WORLD_CLAIMS_MAX);
}

void world_text_set(char **owned, struct str text)
{
    mem_free(*owned);
    *owned = text.len > 0 ? must_text(str_slice(text, 0, PLATFORM_MESSAGE_MAX - 1)) : NULL;
}

/* --- models ----------------------------------------------------------------------------------- */

struct world_model *world_model_find(const struct world *w, struct str key)
{
    return map_get(&w->models, key);
}

static struct world_model *model_get(struct world *w, struct str key)
{
    struct world_model *m = map_get(&w->models, key);

    if (m != NULL)
        return m;
    m = must(mem_alloc(sizeof(*m)));
    if (map_put(&w->models, key, m, NULL) < 0) {
        mem_free(m);
        return NULL;
    }
    m->key = must_text(key);
    arena_init(&m->arena, WORLD_PARSE_BYTES);
    return m;
}

static void model_free(struct world *w, struct world_model *m)
{
    world_claim_drop(w, (struct world_claimant){.model = m}, &m->claimed_name);
    while (m->create_count > 0)
        world_create_remove(m, &m->creates[0]);
    crd_object_unref(m->object);
    arena_fini(&m->arena);
    mem_free(m->weights.uri);
    mem_free(m->weights.message);
    mem_free(m->put_base);
    mem_free(m->spec_fault);
    mem_free(m->create_message);
    mem_free(m->hold_reason);
    mem_free(m->creates);
    mem_free(m->loads);
    mem_free(m->pods);
    mem_free(m->key);
    mem_free(m);
}

void world_model_settle(struct world *w, struct world_model *m)
{
    if (m->object != NULL || m->pod_count > 0)
        return;
    map_remove(&w->models, str_of(m->key));
    model_free(w, m);
}

static int decode_object(struct world_model *m, struct arena *arena, struct err *err)
{
    int r;

    m->spec = (struct crd_model_spec){0};
    m->status = (struct crd_model_status){0};
    r = crd_model_spec_read(&m->spec, m->object, arena, err);
    return r < 0 ? r : crd_model_status_read(&m->status, m->object, arena, err);
}

/* Twice: the first time tells how much memory it takes. There may be thousands of models. */
static void read_object(struct world_model *m)
{
    CLEANUP(arena_fini) struct arena scratch = {0};
    struct err err = {0};

    arena_init(&scratch, WORLD_PARSE_BYTES);
    arena_reset(&m->arena);
    m->has_status = crd_object_has_status(m->object);
    world_text_set(&m->spec_fault, STR_NONE);
    (void)decode_object(m, &scratch, &err);
    (void)must(arena_reserve(&m->arena, scratch.used) == 0 ? m : NULL);
    if (decode_object(m, &m->arena, &err) < 0)
        world_text_set(&m->spec_fault, str_of(err_message(&err)));
    world_template_hash(&m->spec, m->template_hash);
}

struct world_model *world_model_set(struct world *w, struct str key, struct crd_object *object)
{
    struct world_model *m = object != NULL ? model_get(w, key) : world_model_find(w, key);

    if (m == NULL)
        return NULL;
    if (object == NULL || (m->object != NULL && strcmp(m->object->uid, object->uid) != 0)) {
        /* What is remembered belongs to one object; its namesake starts anew. */
        world_model_forget_doing(m);
        m->cold_start_count = 0;
        m->cold_start_hash[0] = '\0';
    }
    if (object != NULL)
        crd_object_ref(object);
    crd_object_unref(m->object);
    m->object = object;
    if (object == NULL) {
        world_claim_drop(w, (struct world_claimant){.model = m}, &m->claimed_name);
        world_model_settle(w, m);
        return world_model_find(w, key);
    }
    if (m->put_base != NULL && strcmp(m->put_base, object->resource_version) != 0) {
        m->put_unseen = false;
        m->put_unsure = false;
    }
    read_object(m);
    world_claim_set(w, (struct world_claimant){.model = m}, &m->claimed_name, m->spec.name);
    return m;
}

/* Only what is given, so that pods of before there were such settings keep their hash. */
static void append_pod_settings(struct buf *text, const struct crd_model_spec *spec)
{
    if (spec->gpus > 0 || spec->cpu_millis > 0 || spec->memory_mib > 0)
        buf_printf(text, "\nhardware %lld %lld %lld", (long long)spec->gpus,
                   (long long)spec->cpu_millis, (long long)spec->memory_mib);
    for (int i = 0; i < spec->label_count; i++)
        buf_printf(text, "\nlabel %.*s=%.*s", STR_ARG(spec->labels[i].key),
                   STR_ARG(spec->labels[i].value));
    for (int i = 0; i < spec->toleration_count; i++)
        buf_printf(text, "\ntoleration %.*s=%.*s:%d", STR_ARG(spec->tolerations[i].key),
                   STR_ARG(spec->tolerations[i].value), spec->tolerations[i].effect);
    if (spec->priority_class.len > 0 || spec->runtime_class.len > 0)
        buf_printf(text, "\nclasses %.*s %.*s", STR_ARG(spec->priority_class),
                   STR_ARG(spec->runtime_class));
}

void world_template_hash(const struct crd_model_spec *spec, char out[PLATFORM_HASH_LEN + 1])
{
    char hex[SHA256_HEX_LEN + 1];
    struct buf text;

    buf_init(&text, WORLD_PARSE_BYTES);
    buf_append_str(&text, spec->uri);
    buf_printf(&text, "\n%lld %lld %lld %lld %lld", (long long)spec->slots,
               (long long)spec->context_tokens, (long long)spec->kv_cache_mib,
               (long long)spec->threads, (long long)spec->chunk_tokens);
    append_pod_settings(&text, spec);
    (void)must(text.failed ? NULL : text.ptr);
    sha256_hex(buf_str(&text), hex);
    buf_fini(&text);
    memcpy(out, hex, PLATFORM_HASH_LEN);
    out[PLATFORM_HASH_LEN] = '\0';
}

/* --- pods ------------------------------------------------------------------------------------- */

struct world_pod *world_pod_find(const struct world *w, struct str uid)
{
    return map_get(&w->pods, uid);
}

struct world_pod *world_model_pod(const struct world_model *m, struct str name)
{
    for (size_t i = 0; i < m->pod_count; i++) {
        if (str_eq(m->pods[i]->view.name, name))
            return m->pods[i];
    }
    return NULL;
}

bool world_pod_ready(const struct world_pod *pod)
{
    return pod->view.phase == PLATFORM_POD_RUNNING && pod->answered && pod->probe_failures == 0 &&
           !pod->stalled && strcmp(pod->status.state, "ready") == 0;
}

bool world_pod_drains(const struct world_pod *pod)
{
    return pod->answered && strcmp(pod->status.state, "draining") == 0;
}

/* The texts lie in one allocation, each with a NUL; namespace and owner are those of the model's
 * key. There may be a hundred thousand pods. */
static void copy_view(struct world_pod *pod, const struct platform_pod *view)
{
    struct platform_pod *v = &pod->view;
    struct str *places[] = {&v->name,          &v->uid,     &v->resource_version, &v->owner_uid,
                            &v->template_hash, &v->address, &v->message};
    size_t bytes = 0;
    char *at;

    *v = *view;
    v->name_space = (struct str){pod->model->key, view->name_space.len};
    v->owner_name = str_of(pod->model->key + view->name_space.len + 1);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        bytes += places[i]->len + 1;
    at = must(mem_alloc(bytes));
    mem_free(pod->texts);
    pod->texts = at;
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        size_t length = places[i]->len;

        if (length > 0)
            memcpy(at, places[i]->ptr, length);
        *places[i] = (struct str){at, length};
        at += length + 1;
    }
}

void world_pod_answered(struct world_pod *pod, const struct stream_status *status)
{
    struct world_agent *agent = &pod->status;

    memcpy(agent->state, status->state, sizeof(agent->state));
    memcpy(agent->digest, status->digest, sizeof(agent->digest));
    world_text_set(&agent->detail, str_of(status->detail));
    agent->slots = status->slots;
    agent->context_max = status->context_max;
    agent->running = status->running;
    agent->waiting = status->waiting;
    agent->unacknowledged = status->unacknowledged;
    agent->ready_ms = status->ready_ms;
}

static void pod_free(struct world_pod *pod)
{
    mem_free(pod->status.detail);
    mem_free(pod->texts);
    mem_free(pod);
}

void world_pod_forget_agent(struct world_pod *pod)
{
    pod->answered = false;
    pod->probe_failures = 0;
    pod->failing_since_ms = 0;
    pod->probe_due_ms = 0;
    pod->probing = false;
    pod->stalled = false;
    pod->suspect = false;
    pod->restart_asked = false;
    pod->drain_told_ms = 0;
    pod->drain_ticket = 0;
}

static struct world_pod *pod_new(struct world *w, const struct platform_pod *view)
{
    char key[2 * PLATFORM_NAME_MAX + 2];
    struct world_model *m;
    struct world_pod *pod;

    snprintf(key, sizeof(key), "%.*s/%.*s", STR_ARG(view->name_space), STR_ARG(view->owner_name));
    m = model_get(w, str_of(key));
    if (m == NULL)
        return NULL;
    pod = must(mem_alloc(sizeof(*pod)));
    if (map_put(&w->pods, view->uid, pod, NULL) < 0) {
        mem_free(pod);
        return NULL;
    }
    pod->model = m;
    if (m->pod_count == m->pod_cap) {
        m->pod_cap = m->pod_cap == 0 ? 4 : 2 * m->pod_cap;
        m->pods = must(mem_resize(m->pods, m->pod_cap, sizeof(*m->pods)));
    }
    m->pods[m->pod_count++] = pod;
    return pod;
}

struct world_pod *world_pod_set(struct world *w, const struct platform_pod *view)
{
    struct world_pod *pod = world_pod_find(w, view->uid);
    struct world_create *create;

    if (pod == NULL)
        pod = pod_new(w, view);
    else if (pod->view.restarts != view->restarts || !str_eq(pod->view.address, view->address))
        world_pod_forget_agent(pod); /* that run of it is gone */
    if (pod == NULL)
        return NULL;
    copy_view(pod, view);
    create = world_create_find(pod->model, pod->view.name);
    if (create != NULL)
        create->shown = true;
    return pod;
}

void world_pod_remove(struct world *w, struct world_pod *pod)
{
    struct world_model *m = pod->model;

    for (size_t i = 0; i < m->pod_count; i++) {
        if (m->pods[i] == pod) {
            m->pods[i] = m->pods[--m->pod_count];
            break;
        }
    }
    map_remove(&w->pods, pod->view.uid);
    pod_free(pod);
}

/* --- creations under way ---------------------------------------------------------------------- */

struct world_create *world_create_find(const struct world_model *m, struct str name)
{
    for (size_t i = 0; i < m->create_count; i++) {
        if (str_is(name, m->creates[i].name))
            return &m->creates[i];
    }
    return NULL;
}

struct world_create *world_create_add(struct world_model *m, struct str name)
{
    struct world_create *create;

    if (m->create_count == m->create_cap) {
        m->create_cap = m->create_cap == 0 ? 4 : 2 * m->create_cap;
        m->creates = must(mem_resize(m->creates, m->create_cap, sizeof(*m->creates)));
    }
    create = &m->creates[m->create_count++];
    *create = (struct world_create){.name = must_text(name)};
    return create;
}

void world_create_remove(struct world_model *m, struct world_create *create)
{
    mem_free(create->name);
    *create = m->creates[--m->create_count];
}

/* --- cold starts ------------------------------------------------------------------------------ */

void world_cold_start_add(struct world_model *m, int64_t ms)
{
    m->cold_starts[m->cold_start_count++ % WORLD_COLD_STARTS] = ms;
}

int64_t world_cold_start_percentile(const struct world_model *m, int percent)
{
    size_t count = m->cold_start_count < WORLD_COLD_STARTS ? (size_t)m->cold_start_count
                                                           : (size_t)WORLD_COLD_STARTS;
    int64_t sorted[WORLD_COLD_STARTS];

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) { /* insertion sort: 16 at most */
        size_t j = i;

        for (; j > 0 && sorted[j - 1] > m->cold_starts[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = m->cold_starts[i];
    }
    return sorted[(count - 1) * (size_t)percent / 100];
}

/* --- the end ---------------------------------------------------------------------------------- */

void world_book_free(struct world_book *book)
{
    if (book == NULL)
        return;
    crd_object_unref(book->object);
    ready_fini(&book->ready);
    mem_free(book->refusal);
    mem_free(book);
}

void world_fini(struct world *w)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&w->pods, &at)) != NULL;)
        pod_free(entry->value);
    map_fini(&w->pods);
    for (size_t at = 0; (entry = map_next(&w->models, &at)) != NULL;)
        model_free(w, entry->value);
    map_fini(&w->models);
    for (size_t at = 0; (entry = map_next(&w->routes, &at)) != NULL;)
        world_route_free(w, entry->value);
    map_fini(&w->routes);
    map_fini(&w->claims);
    for (size_t at = 0; (entry = map_next(&w->tenants, &at)) != NULL;)
        world_tenant_free(entry->value);
    map_fini(&w->tenants);
    map_fini(&w->payers);
    for (size_t at = 0; (entry = map_next(&w->books, &at)) != NULL;)
        world_book_free(entry->value);
    map_fini(&w->books);
    for (size_t i = 0; i < w->gateway_count; i++)
        mem_free(w->gateways[i].name);
    *w = (struct world){0};
}
