/* SPDX-License-Identifier: Apache-2.0 */
/* The views of models; pods are in world_pods.c, gateways and load in world_load.c. */
#include "operator/reconcile/world.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "operator/common/must.h"

void world_init(struct world *w)
{
    *w = (struct world){0};
    map_init(&w->models, WORLD_MODELS_MAX);
    world_pods_init(w);
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

struct world_model *world_model_get(struct world *w, struct str key)
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
    struct world_model *m = object != NULL ? world_model_get(w, key) : world_model_find(w, key);

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
    m->cold_starts_ms[m->cold_start_count++ % WORLD_COLD_STARTS] =
        ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
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

        for (; j > 0 && sorted[j - 1] > m->cold_starts_ms[i]; j--)
            sorted[j] = sorted[j - 1];
        sorted[j] = m->cold_starts_ms[i];
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

    world_pods_fini(w);
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
