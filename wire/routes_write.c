/* SPDX-License-Identifier: Apache-2.0 */
/* Route snapshots as JSON: see routes.h. */
#include "base/hash.h"
#include "wire/routes.h"

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

static void write_route(struct json_writer *w, const struct routes_route *route)
{
    json_open(w, '{');
    json_put_str(w, "name", route->name);
    json_put_str(w, "short_name", route->short_name);
    json_put_i64(w, "created", route->created_s);
    json_key(w, "targets");
    json_open(w, '[');
    for (int i = 0; i < route->target_count; i++) {
        json_open(w, '{');
        json_put_str(w, "model", route->targets[i].model);
        json_put_u64(w, "weight", route->targets[i].weight);
        json_close(w, '}');
    }
    json_close(w, ']');
    write_names(w, "fallbacks", route->fallbacks, route->fallback_count);
    json_put_u64(w, "fallback_after_ms", route->fallback_after_ms);
    json_close(w, '}');
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
    json_key(w, "routes");
    json_open(w, '[');
    for (int i = 0; i < routes->route_count; i++)
        write_route(w, &routes->routes[i]);
    json_close(w, ']');
    json_key(w, "tenants");
    json_open(w, '[');
    for (int i = 0; i < routes->tenant_count; i++)
        write_tenant(w, &routes->tenants[i]);
    json_close(w, ']');
    json_close(w, '}');
    buf_fini(&version);
}
