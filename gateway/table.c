/* SPDX-License-Identifier: Apache-2.0 */
/* The table: see table.h. Applying a snapshot marks what is listed and sweeps the rest. */
#include "gateway/table.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "gateway/names.h"

int table_init(struct table *t)
{
    *t = (struct table){0};
    map_init(&t->tenants, ROUTES_TENANTS_MAX * 2);
    map_init(&t->models, ROUTES_MODELS_MAX * 2);
    map_init(&t->names, ROUTES_MODELS_MAX * 2);
    map_init(&t->pods, ROUTES_PODS_MAX * 2);
    map_init(&t->keys, (size_t)ROUTES_TENANTS_MAX * ROUTES_KEYS_PER_TENANT_MAX);
    map_init(&t->route_names, ROUTES_ROUTES_MAX * 2);
    return 0;
}

static void tenant_free(struct gw_tenant *tenant)
{
    mem_free(tenant->name);
    mem_free(tenant);
}

static void pod_free(struct gw_pod *pod)
{
    mem_free(pod->name);
    mem_free(pod->uid);
    mem_free(pod);
}

static void model_free(struct gw_model *m)
{
    while (m->pods != NULL) {
        struct gw_pod *next = m->pods->next;

        pod_free(m->pods);
        m->pods = next;
    }
    mem_free(m->name);
    mem_free(m->name_space);
    mem_free(m->short_name);
    mem_free(m->hold_reason);
    mem_free(m);
}

void table_fini(struct table *t)
{
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&t->tenants, &at)) != NULL;)
        tenant_free(e->value);
    for (size_t at = 0; (e = map_next(&t->models, &at)) != NULL;)
        model_free(e->value);
    map_fini(&t->tenants);
    map_fini(&t->models);
    map_fini(&t->names);
    map_fini(&t->pods);
    map_fini(&t->keys);
    map_fini(&t->route_names);
    mem_free(t->key_items);
    routes_free(t->routes);
}

/* --- applying a snapshot -------------------------------------------------------------------- */

static int replace_text(char **kept, struct str text)
{
    char *copy;

    if (*kept != NULL && str_is(text, *kept))
        return 0;
    copy = mem_strndup(text.len == 0 ? "" : text.ptr, text.len);
    if (copy == NULL)
        return -ERR_NO_MEMORY;
    mem_free(*kept);
    *kept = copy;
    return 0;
}

static struct gw_tenant *tenant_of(struct table *t, struct str name)
{
    struct gw_tenant *tenant = map_get(&t->tenants, name);

    if (tenant != NULL)
        return tenant;
    tenant = mem_alloc(sizeof(*tenant));
    if (tenant == NULL)
        return NULL;
    tenant->bucket = UINT64_MAX; /* full: cut to the limit at its first use */
    if (replace_text(&tenant->name, name) < 0 || map_put(&t->tenants, name, tenant, NULL) < 0) {
        tenant_free(tenant);
        return NULL;
    }
    return tenant;
}

static struct gw_model *model_of(struct table *t, struct str name)
{
    struct gw_model *m = map_get(&t->models, name);

    if (m != NULL)
        return m;
    m = mem_alloc(sizeof(*m));
    if (m == NULL)
        return NULL;
    if (replace_text(&m->name, name) < 0 || map_put(&t->models, name, m, NULL) < 0) {
        model_free(m);
        return NULL;
    }
    return m;
}

static struct gw_pod *pod_of(struct table *t, struct gw_model *m, const struct routes_pod *spec)
{
    struct gw_pod *pod = map_get(&t->pods, spec->uid);

    if (pod != NULL)
        return pod->model == m ? pod : NULL;
    pod = mem_alloc(sizeof(*pod));
    if (pod == NULL)
        return NULL;
    pod->model = m;
    if (replace_text(&pod->uid, spec->uid) < 0 || replace_text(&pod->name, spec->name) < 0 ||
        map_put(&t->pods, spec->uid, pod, NULL) < 0) {
        pod_free(pod);
        return NULL;
    }
    pod->next = m->pods;
    m->pods = pod;
    return pod;
}

static void set_pod(struct gw_pod *pod, const struct routes_pod *spec)
{
    char address[TABLE_ADDRESS_MAX];

    snprintf(address, sizeof(address), "%.*s", STR_ARG(spec->address));
    if (strcmp(address, pod->address) != 0) { /* a new run */
        pod->hold_until_ms = 0;
        pod->failures = 0;
    }
    memcpy(pod->address, address, sizeof(address));
    snprintf(pod->digest, sizeof(pod->digest), "%.*s", STR_ARG(spec->digest));
    pod->slots = spec->slots;
    pod->draining = spec->draining;
    pod->listed = true;
}

static int set_short_name(struct table *t, struct gw_model *m, const struct routes_model *spec)
{
    if (m->created_s != spec->created_s || m->short_name == NULL ||
        !str_is(spec->short_name, m->short_name)) {
        names_leave(&t->names, m);
        m->created_s = spec->created_s;
        if (replace_text(&m->short_name, spec->short_name) < 0)
            return -ERR_NO_MEMORY;
    }
    return names_enter(&t->names, m);
}

static int set_model(struct table *t, struct gw_model *m, const struct routes_model *spec)
{
    if (replace_text(&m->name_space, spec->name_space) < 0 ||
        replace_text(&m->hold_reason, spec->hold_reason) < 0 || set_short_name(t, m, spec) < 0)
        return -ERR_NO_MEMORY;
    m->context_max = spec->context_max;
    m->can_wake = spec->can_wake;
    m->listed = true;
    for (int i = 0; i < spec->pod_count; i++) {
        struct gw_pod *pod = pod_of(t, m, &spec->pods[i]);

        if (pod == NULL)
            return -ERR_NO_MEMORY;
        set_pod(pod, &spec->pods[i]);
    }
    return 0;
}

static void unlist_all(struct table *t)
{
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&t->tenants, &at)) != NULL;)
        ((struct gw_tenant *)e->value)->spec = NULL;
    for (size_t at = 0; (e = map_next(&t->models, &at)) != NULL;)
        ((struct gw_model *)e->value)->listed = false;
    for (size_t at = 0; (e = map_next(&t->pods, &at)) != NULL;)
        ((struct gw_pod *)e->value)->listed = false;
}

static void sweep_pods(struct table *t, struct gw_model *m)
{
    struct gw_pod **link = &m->pods;

    while (*link != NULL) {
        struct gw_pod *pod = *link;

        if (pod->listed || pod->in_flight > 0) {
            link = &pod->next;
            continue;
        }
        *link = pod->next;
        map_remove(&t->pods, str_of(pod->uid));
        pod_free(pod);
    }
}

static bool sweep_model(struct table *t, struct gw_model *m)
{
    sweep_pods(t, m);
    if (m->listed || m->refs > 0 || m->pods != NULL)
        return false;
    names_leave(&t->names, m);
    map_remove(&t->models, str_of(m->name));
    model_free(m);
    return true;
}

static bool sweep_tenant(struct table *t, struct gw_tenant *tenant)
{
    if (tenant->spec != NULL || tenant->refs > 0)
        return false;
    map_remove(&t->tenants, str_of(tenant->name));
    tenant_free(tenant);
    return true;
}

/* A removal may shift an entry into its place, so that is looked at again. */
static void sweep_all(struct table *t)
{
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&t->models, &at)) != NULL;) {
        if (sweep_model(t, e->value))
            at--;
    }
    for (size_t at = 0; (e = map_next(&t->tenants, &at)) != NULL;) {
        if (sweep_tenant(t, e->value))
            at--;
    }
}

static size_t count_keys(const struct routes *routes)
{
    size_t count = 0;

    for (int i = 0; i < routes->tenant_count; i++)
        count += (size_t)routes->tenants[i].key_count;
    return count;
}

/* The new key map, built beside the old one. */
static int make_keys(struct table *t, const struct routes *routes, struct map *keys,
                     struct gw_key **items)
{
    size_t used = 0;

    *items = mem_array(count_keys(routes), sizeof(**items));
    if (*items == NULL)
        return -ERR_NO_MEMORY;
    for (int i = 0; i < routes->tenant_count; i++) {
        const struct routes_tenant *spec = &routes->tenants[i];
        struct gw_tenant *tenant = tenant_of(t, spec->name);

        if (tenant == NULL)
            return -ERR_NO_MEMORY;
        for (int k = 0; k < spec->key_count; k++) {
            struct str digest = {(const char *)spec->keys[k].sha256, SHA256_BYTES};
            struct gw_key *key = &(*items)[used++];

            *key = (struct gw_key){tenant, spec->keys[k].id};
            if (map_put(keys, digest, key, NULL) < 0)
                return -ERR_NO_MEMORY;
        }
    }
    return 0;
}

static int set_all(struct table *t, const struct routes *routes)
{
    for (int i = 0; i < routes->tenant_count; i++) {
        struct gw_tenant *tenant = tenant_of(t, routes->tenants[i].name);

        if (tenant == NULL)
            return -ERR_NO_MEMORY;
        tenant->spec = &routes->tenants[i];
    }
    for (int i = 0; i < routes->model_count; i++) {
        struct gw_model *m = model_of(t, routes->models[i].name);

        if (m == NULL || set_model(t, m, &routes->models[i]) < 0)
            return -ERR_NO_MEMORY;
    }
    return 0;
}

int table_apply(struct table *t, struct routes *routes, struct err *err)
{
    struct map keys, route_names;
    struct gw_key *items = NULL;
    struct routes *old = t->routes;

    if (old != NULL && !t->incomplete &&
        routes_version_compare(&routes->version, &old->version) <= 0) {
        routes_free(routes);
        return 0;
    }
    map_init(&keys, t->keys.max);
    map_init(&route_names, t->route_names.max);
    if (make_keys(t, routes, &keys, &items) < 0 || table_map_routes(routes, &route_names) < 0) {
        map_fini(&keys);
        map_fini(&route_names);
        mem_free(items);
        routes_free(routes);
        return err_no_memory(err);
    }
    unlist_all(t);
    map_fini(&t->keys);
    map_fini(&t->route_names);
    mem_free(t->key_items);
    t->keys = keys;
    t->route_names = route_names;
    t->key_items = items;
    t->routes = routes;
    t->incomplete = set_all(t, routes) < 0;
    sweep_all(t);
    routes_free(old);
    return t->incomplete ? err_no_memory(err) : 1;
}

/* --- looking up ----------------------------------------------------------------------------- */

const struct gw_key *table_key(const struct table *t, struct str secret)
{
    uint8_t digest[SHA256_BYTES];

    sha256(secret, digest);
    return map_get(&t->keys, (struct str){(const char *)digest, sizeof(digest)});
}

bool table_in_list(const struct str *list, int count, struct str name)
{
    for (int i = 0; i < count; i++) {
        if (str_is(list[i], "*") || str_eq(list[i], name))
            return true;
    }
    return false;
}

bool table_may_use(const struct gw_tenant *tenant, const struct gw_model *m)
{
    const struct routes_tenant *spec = tenant->spec;

    if (spec == NULL || !m->listed)
        return false;
    if (!table_in_list(spec->namespaces, spec->namespace_count, str_of(m->name_space)))
        return false;
    return spec->model_count == 0 ||
           table_in_list(spec->models, spec->model_count, str_of(m->name));
}

struct gw_model *table_model(const struct table *t, const struct gw_tenant *tenant, struct str name)
{
    struct gw_model *m = map_get(&t->models, name);

    if (m != NULL)
        return table_may_use(tenant, m) ? m : NULL;
    m = names_first(&t->names, name);
    while (m != NULL && !table_may_use(tenant, m))
        m = m->next_claim;
    return m;
}

void table_list_names(const struct table *t, const struct gw_tenant *tenant, int max,
                      struct buf *out)
{
    struct map_entry *e;
    int count = 0;

    for (size_t at = 0; (e = map_next(&t->models, &at)) != NULL && count < max;) {
        const struct gw_model *m = e->value;

        if (!table_may_use(tenant, m))
            continue;
        buf_printf(out, "%s%s", count > 0 ? ", " : "",
                   m->short_name[0] != '\0' ? m->short_name : m->name);
        count++;
    }
    for (int i = 0; t->routes != NULL && i < t->routes->route_count && count < max; i++) {
        const struct routes_route *route = &t->routes->routes[i];

        if (!table_may_use_route(tenant, route))
            continue;
        buf_printf(out, "%s%.*s", count > 0 ? ", " : "",
                   STR_ARG(route->short_name.len > 0 ? route->short_name : route->name));
        count++;
    }
}

struct gw_pod *table_pick(const struct gw_model *m, const char *digest, int64_t now_ms)
{
    struct gw_pod *best = NULL;

    for (struct gw_pod *pod = m->pods; pod != NULL; pod = pod->next) {
        if (!pod->listed || pod->draining || pod->address[0] == '\0' ||
            pod->hold_until_ms > now_ms || pod->in_flight >= pod->slots + TABLE_SLOTS_SPARE)
            continue;
        if (digest[0] != '\0' && strcmp(digest, pod->digest) != 0)
            continue;
        if (best == NULL || pod->in_flight < best->in_flight)
            best = pod;
    }
    return best;
}

void table_tenant_unref(struct table *t, struct gw_tenant *tenant)
{
    tenant->refs--;
    sweep_tenant(t, tenant);
}

void table_model_unref(struct table *t, struct gw_model *m)
{
    m->refs--;
    if (!m->listed)
        sweep_model(t, m);
}

void table_pod_done(struct table *t, struct gw_pod *pod)
{
    pod->in_flight--;
    if (!pod->listed)
        sweep_pods(t, pod->model);
}
