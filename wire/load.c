/* SPDX-License-Identifier: Apache-2.0 */
/* Load reports: see load.h. */
#include "wire/load.h"

#include "wire/field.h"

enum { LOAD_SUSPECTS_MAX = 4096 };

static int read_model(struct load_model *m, const json_t *object, struct arena *arena,
                      struct err *err)
{
    int r;

    if ((r = wire_get_copy(object, "name", arena, &m->name, err)) < 0 ||
        (r = wire_get_u64(object, "in_flight", &m->in_flight, err)) < 0 ||
        (r = wire_get_u64(object, "queued", &m->queued, err)) < 0 ||
        (r = wire_get_u64(object, "arrived", &m->arrived, err)) < 0 ||
        (r = json_get_i64(object, "idle_ms", true, 0, INT64_MAX, &m->idle_ms, err)) < 0)
        return r;
    return json_get_i64(object, "oldest_wait_ms", true, 0, INT64_MAX, &m->oldest_wait_ms, err);
}

static int read_models(struct load_report *out, const json_t *object, struct arena *arena,
                       struct err *err)
{
    struct wire_list list;
    int r =
        wire_get_list(object, "models", LOAD_MODELS_MAX, sizeof(*out->models), arena, &list, err);

    if (r < 0)
        return r;
    out->models = list.items;
    out->model_count = list.count;
    for (int i = 0; i < list.count; i++) {
        r = read_model(&out->models[i], json_array_get(list.members, (size_t)i), arena, err);
        if (r < 0)
            return err_wrap(err, r, "models[%d]", i);
    }
    return 0;
}

static int read_suspects(struct load_report *out, const json_t *object, struct arena *arena,
                         struct err *err)
{
    struct wire_list list;
    int r = wire_get_list(object, "suspects", LOAD_SUSPECTS_MAX, sizeof(*out->suspects), arena,
                          &list, err);

    if (r < 0)
        return r;
    out->suspects = list.items;
    out->suspect_count = list.count;
    for (int i = 0; i < list.count; i++) {
        const json_t *suspect = json_array_get(list.members, (size_t)i);

        if ((r = wire_get_copy(suspect, "pod_uid", arena, &out->suspects[i].pod_uid, err)) < 0 ||
            (r = wire_get_copy(suspect, "reason", arena, &out->suspects[i].reason, err)) < 0)
            return err_wrap(err, r, "suspects[%d]", i);
    }
    return 0;
}

int load_report_read(struct load_report *out, const json_t *object, struct arena *arena,
                     struct err *err)
{
    struct load_report report = {0};
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "a load report must be an object, not %s",
                       json_type_name(object));
    if ((r = wire_get_copy(object, "gateway", arena, &report.gateway, err)) < 0 ||
        (r = wire_get_id(object, "run_id", &report.run_id, err)) < 0 ||
        (r = wire_get_u64(object, "sequence", &report.sequence, err)) < 0 ||
        (r = json_get_i64(object, "uptime_ms", true, 0, INT64_MAX, &report.uptime_ms, err)) < 0 ||
        (r = wire_get_copy(object, "routes_version", arena, &report.routes_version, err)) < 0 ||
        (r = read_models(&report, object, arena, err)) < 0 ||
        (r = read_suspects(&report, object, arena, err)) < 0)
        return r;
    *out = report;
    return 0;
}

static void write_model(struct json_writer *w, const struct load_model *m)
{
    json_open(w, '{');
    json_put_str(w, "name", m->name);
    json_put_u64(w, "in_flight", m->in_flight);
    json_put_u64(w, "queued", m->queued);
    json_put_u64(w, "arrived", m->arrived);
    json_put_i64(w, "idle_ms", m->idle_ms);
    json_put_i64(w, "oldest_wait_ms", m->oldest_wait_ms);
    json_close(w, '}');
}

void load_report_write(struct json_writer *w, const struct load_report *report)
{
    json_open(w, '{');
    json_put_str(w, "gateway", report->gateway);
    wire_put_id(w, "run_id", report->run_id);
    json_put_u64(w, "sequence", report->sequence);
    json_put_i64(w, "uptime_ms", report->uptime_ms);
    json_put_str(w, "routes_version", report->routes_version);
    json_key(w, "models");
    json_open(w, '[');
    for (int i = 0; i < report->model_count; i++)
        write_model(w, &report->models[i]);
    json_close(w, ']');
    json_key(w, "suspects");
    json_open(w, '[');
    for (int i = 0; i < report->suspect_count; i++) {
        json_open(w, '{');
        json_put_str(w, "pod_uid", report->suspects[i].pod_uid);
        json_put_str(w, "reason", report->suspects[i].reason);
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}
