/* SPDX-License-Identifier: Apache-2.0 */
/* Route snapshots: see routes.h. Everything read is copied into the snapshot's arena. */
#include "wire/routes.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

enum { ROUTES_ARENA_BYTES_MAX = 256 << 20 };

int routes_version_compare(const struct routes_version *a, const struct routes_version *b)
{
    if (!str_eq(a->installation, b->installation))
        return 1;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->counter != b->counter)
        return a->counter < b->counter ? -1 : 1;
    return 0;
}

void routes_version_format(const struct routes_version *version, struct buf *out)
{
    buf_printf(out, "%.*s:%" PRIu64 ":%" PRIu64, STR_ARG(version->installation), version->epoch,
               version->counter);
}

int routes_version_parse(struct routes_version *out, struct str text, struct err *err)
{
    struct routes_version v;
    struct str rest = text;

    v.installation = str_cut(&rest, ':');
    if (!str_is_dns_label(v.installation) || !str_to_u64(str_cut(&rest, ':'), &v.epoch) ||
        !str_to_u64(rest, &v.counter))
        return err_set(err, ERR_INVALID,
                       "a version is written installation:epoch:counter, not '%.*s'",
                       STR_ARG(str_slice(text, 0, 80)));
    *out = v;
    return 0;
}

/* A reader that stops at the first fault and remembers it. */
struct reader {
    struct arena *arena;
    struct err *err;
    int result;
};

static void fail(struct reader *r, int result)
{
    if (r->result == 0)
        r->result = result;
}

static struct str read_text(struct reader *r, const json_t *object, const char *key)
{
    struct str text = STR_NONE;
    int result;

    if (r->result < 0)
        return STR_NONE;
    result = json_get_str(object, key, true, &text, r->err);
    if (result < 0) {
        fail(r, result);
        return STR_NONE;
    }
    text = arena_str(r->arena, text);
    if (text.ptr == NULL)
        fail(r, err_no_memory(r->err));
    return text;
}

static uint64_t read_u64(struct reader *r, const json_t *object, const char *key)
{
    int64_t value = 0;

    if (r->result == 0)
        fail(r, json_get_i64(object, key, true, 0, INT64_MAX, &value, r->err));
    return (uint64_t)value;
}

static bool read_bool(struct reader *r, const json_t *object, const char *key)
{
    bool value = false;

    if (r->result == 0)
        fail(r, json_get_bool(object, key, true, &value, r->err));
    return value;
}

/* The array under `key` with at most `max` members, and room for as many items of `size` bytes. */
static void *read_array(struct reader *r, const json_t *object, const char *key, size_t max,
                        size_t size, json_t **array, int *count)
{
    void *items;

    *count = 0;
    if (r->result < 0)
        return NULL;
    fail(r, json_get_array(object, key, true, array, r->err));
    if (r->result < 0)
        return NULL;
    if (json_array_size(*array) > max) {
        fail(r, err_set(r->err, ERR_LIMIT, "'%s' has %zu members; the limit is %zu", key,
                        json_array_size(*array), max));
        return NULL;
    }
    items = arena_array(r->arena, json_array_size(*array), size);
    if (items == NULL) {
        fail(r, err_no_memory(r->err));
        return NULL;
    }
    *count = (int)json_array_size(*array);
    return items;
}

static void read_names(struct reader *r, const json_t *object, const char *key, struct str **out,
                       int *count)
{
    json_t *array = NULL;
    struct str *names =
        read_array(r, object, key, ROUTES_NAMES_PER_TENANT_MAX, sizeof(*names), &array, count);

    for (int i = 0; r->result == 0 && i < *count; i++) {
        const json_t *name = json_array_get(array, (size_t)i);

        if (!json_is_string(name)) {
            fail(r, err_set(r->err, ERR_INVALID, "'%s[%d]' must be a string", key, i));
            return;
        }
        names[i] = arena_str(r->arena, json_str(name));
        if (names[i].ptr == NULL)
            fail(r, err_no_memory(r->err));
    }
    *out = names;
}

static void read_pod(struct reader *r, const json_t *object, struct routes_pod *pod)
{
    pod->name = read_text(r, object, "name");
    pod->uid = read_text(r, object, "uid");
    pod->address = read_text(r, object, "address");
    pod->draining = read_bool(r, object, "draining");
    pod->slots = read_u64(r, object, "slots");
    pod->digest = read_text(r, object, "digest");
}

static void read_model(struct reader *r, const json_t *object, struct routes_model *model)
{
    json_t *pods = NULL;
    int64_t slash;

    model->name = read_text(r, object, "name");
    model->short_name = read_text(r, object, "short_name");
    model->created_s = (int64_t)read_u64(r, object, "created");
    model->context_max = read_u64(r, object, "context_max");
    model->can_wake = read_bool(r, object, "can_wake");
    model->hold_reason = read_text(r, object, "hold_reason");
    model->pods = read_array(r, object, "pods", ROUTES_PODS_MAX, sizeof(*model->pods), &pods,
                             &model->pod_count);
    for (int i = 0; r->result == 0 && i < model->pod_count; i++)
        read_pod(r, json_array_get(pods, (size_t)i), &model->pods[i]);
    if (r->result < 0)
        return;
    slash = str_find_char(model->name, '/');
    if (slash <= 0) {
        fail(r, err_set(r->err, ERR_INVALID, "model name '%.*s' is not namespace/name",
                        STR_ARG(model->name)));
        return;
    }
    model->name_space = str_slice(model->name, 0, (size_t)slash);
}

static void read_key(struct reader *r, const json_t *object, struct routes_key *key)
{
    struct str digest;

    key->id = read_text(r, object, "id");
    digest = read_text(r, object, "sha256");
    if (r->result == 0 && !hex_parse(digest, key->sha256, sizeof(key->sha256)))
        fail(r, err_set(r->err, ERR_INVALID, "'sha256' of key '%.*s' is not 64 hex digits",
                        STR_ARG(key->id)));
}

static void read_tenant(struct reader *r, const json_t *object, struct routes_tenant *tenant)
{
    json_t *keys = NULL;
    int64_t priority = 0;

    tenant->name = read_text(r, object, "name");
    if (r->result == 0)
        fail(r, json_get_i64(object, "priority", true, INT32_MIN, INT32_MAX, &priority, r->err));
    tenant->priority = (int)priority;
    tenant->requests_per_minute = read_u64(r, object, "requests_per_minute");
    tenant->concurrency = read_u64(r, object, "concurrency");
    tenant->price_version = read_u64(r, object, "price_version");
    read_names(r, object, "namespaces", &tenant->namespaces, &tenant->namespace_count);
    read_names(r, object, "models", &tenant->models, &tenant->model_count);
    tenant->keys = read_array(r, object, "keys", ROUTES_KEYS_PER_TENANT_MAX, sizeof(*tenant->keys),
                              &keys, &tenant->key_count);
    for (int i = 0; r->result == 0 && i < tenant->key_count; i++)
        read_key(r, json_array_get(keys, (size_t)i), &tenant->keys[i]);
}

static void read_leavers(struct reader *r, const json_t *object, struct routes *routes)
{
    json_t *leavers = NULL;

    if (json_object_get(object, "leavers") == NULL)
        return;
    routes->leavers = read_array(r, object, "leavers", ROUTES_PODS_MAX, sizeof(*routes->leavers),
                                 &leavers, &routes->leaver_count);
    for (int i = 0; r->result == 0 && i < routes->leaver_count; i++) {
        const json_t *leaver = json_array_get(leavers, (size_t)i);

        routes->leavers[i].name = read_text(r, leaver, "name");
        routes->leavers[i].uid = read_text(r, leaver, "uid");
        routes->leavers[i].address = read_text(r, leaver, "address");
        if (r->result < 0)
            (void)err_wrap(r->err, r->result, "leavers[%d]", i);
    }
}

static void read_all(struct reader *r, const json_t *object, struct routes *routes)
{
    json_t *models = NULL;
    json_t *tenants = NULL;
    struct str version = read_text(r, object, "version");

    if (r->result == 0)
        fail(r, routes_version_parse(&routes->version, version, r->err));
    routes->models = read_array(r, object, "models", ROUTES_MODELS_MAX, sizeof(*routes->models),
                                &models, &routes->model_count);
    for (int i = 0; r->result == 0 && i < routes->model_count; i++) {
        read_model(r, json_array_get(models, (size_t)i), &routes->models[i]);
        if (r->result < 0)
            (void)err_wrap(r->err, r->result, "models[%d]", i);
    }
    read_leavers(r, object, routes);
    routes->tenants = read_array(r, object, "tenants", ROUTES_TENANTS_MAX, sizeof(*routes->tenants),
                                 &tenants, &routes->tenant_count);
    for (int i = 0; r->result == 0 && i < routes->tenant_count; i++) {
        read_tenant(r, json_array_get(tenants, (size_t)i), &routes->tenants[i]);
        if (r->result < 0)
            (void)err_wrap(r->err, r->result, "tenants[%d]", i);
    }
}

static void routes_freep(struct routes **routes)
{
    routes_free(*routes);
}

int routes_read(struct routes **out, const json_t *object, struct err *err)
{
    CLEANUP(routes_freep) struct routes *routes = mem_alloc(sizeof(*routes));
    struct reader r = {.err = err};

    if (routes == NULL)
        return err_no_memory(err);
    arena_init(&routes->arena, ROUTES_ARENA_BYTES_MAX);
    r.arena = &routes->arena;
    read_all(&r, object, routes);
    if (r.result < 0)
        return err_wrap(err, r.result, "route snapshot");
    *out = STEAL(routes);
    return 0;
}

void routes_free(struct routes *routes)
{
    if (routes == NULL)
        return;
    arena_fini(&routes->arena);
    mem_free(routes);
}

static void write_pod(struct json_writer *w, const struct routes_pod *pod)
{
    json_open(w, '{');
    json_put_str(w, "name", pod->name);
    json_put_str(w, "uid", pod->uid);
    json_put_str(w, "address", pod->address);
    json_put_bool(w, "draining", pod->draining);
    json_put_u64(w, "slots", pod->slots);
    json_put_str(w, "digest", pod->digest);
    json_close(w, '}');
}

static void write_model(struct json_writer *w, const struct routes_model *model)
{
    json_open(w, '{');
    json_put_str(w, "name", model->name);
    json_put_str(w, "short_name", model->short_name);
    json_put_i64(w, "created", model->created_s);
    json_put_u64(w, "context_max", model->context_max);
    json_put_bool(w, "can_wake", model->can_wake);
    json_put_str(w, "hold_reason", model->hold_reason);
    json_key(w, "pods");
    json_open(w, '[');
    for (int i = 0; i < model->pod_count; i++)
        write_pod(w, &model->pods[i]);
    json_close(w, ']');
    json_close(w, '}');
}

static void write_leaver(struct json_writer *w, const struct routes_leaver *leaver)
{
    json_open(w, '{');
    json_put_str(w, "name", leaver->name);
    json_put_str(w, "uid", leaver->uid);
    json_put_str(w, "address", leaver->address);
    json_close(w, '}');
}

static void write_names(struct json_writer *w, const char *key, const struct str *names, int count)
{
    json_key(w, key);
    json_open(w, '[');
    for (int i = 0; i < count; i++)
        json_add_str(w, names[i]);
    json_close(w, ']');
}

static void write_tenant(struct json_writer *w, const struct routes_tenant *tenant)
{
    json_open(w, '{');
    json_put_str(w, "name", tenant->name);
    json_put_i64(w, "priority", tenant->priority);
    json_put_u64(w, "requests_per_minute", tenant->requests_per_minute);
    json_put_u64(w, "concurrency", tenant->concurrency);
    json_put_u64(w, "price_version", tenant->price_version);
    write_names(w, "namespaces", tenant->namespaces, tenant->namespace_count);
    write_names(w, "models", tenant->models, tenant->model_count);
    json_key(w, "keys");
    json_open(w, '[');
    for (int i = 0; i < tenant->key_count; i++) {
        char digest[SHA256_HEX_LEN + 1];

        hex_format(tenant->keys[i].sha256, SHA256_BYTES, digest);
        json_open(w, '{');
        json_put_str(w, "id", tenant->keys[i].id);
        json_put_text(w, "sha256", digest);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

void routes_write(struct json_writer *w, const struct routes *routes)
{
    struct buf version;

    buf_init(&version, 256);
    routes_version_format(&routes->version, &version);
    json_open(w, '{');
    json_put_str(w, "version", buf_str(&version));
    json_key(w, "models");
    json_open(w, '[');
    for (int i = 0; i < routes->model_count; i++)
        write_model(w, &routes->models[i]);
    json_close(w, ']');
    json_key(w, "leavers");
    json_open(w, '[');
    for (int i = 0; i < routes->leaver_count; i++)
        write_leaver(w, &routes->leavers[i]);
    json_close(w, ']');
    json_key(w, "tenants");
    json_open(w, '[');
    for (int i = 0; i < routes->tenant_count; i++)
        write_tenant(w, &routes->tenants[i]);
    json_close(w, ']');
    json_close(w, '}');
    buf_fini(&version);
}
