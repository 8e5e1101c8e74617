/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the API, as requests: see kube_api.h. */
#include "operator/kube/client/kube_api.h"

#include "base/mem.h"

enum { DELETE_OPTIONS_MAX = 2048 };

static int send_request(struct kube_api *api, struct kube_request *request, struct buf *target,
                        struct kube_reply reply, struct err *err)
{
    request->target = buf_cstr(target);
    if (request->target == NULL)
        return err_no_memory(err);
    if (target->failed)
        return buf_check(target, "the path of a request", err);
    request->patient = true;
    request->ahead = reply.ahead;
    request->may_send = reply.may_send;
    request->on_done = reply.on_done;
    request->user = reply.user;
    return kube_api_send(reply.call, api, request, err);
}

static int send_to(struct kube_api *api, const struct kube_target *target,
                   struct kube_request *request, struct kube_reply reply, struct err *err)
{
    CLEANUP(buf_fini) struct buf path = {0};
    int r;

    buf_init(&path, KUBE_PATH_MAX);
    r = kube_path(&path, target, err);
    return r < 0 ? r : send_request(api, request, &path, reply, err);
}

/* A write in the name of a field manager; empty: that of the program, by its user agent. */
static int send_write(struct kube_api *api, const struct kube_target *target,
                      const char *field_manager, struct kube_request *request,
                      struct kube_reply reply, struct err *err)
{
    CLEANUP(buf_fini) struct buf path = {0};
    int r;

    buf_init(&path, KUBE_PATH_MAX);
    r = kube_path(&path, target, err);
    if (r < 0)
        return r;
    if (field_manager[0] != '\0')
        (void)kube_query(&path, "fieldManager", str_of(field_manager));
    return send_request(api, request, &path, reply, err);
}

int kube_get(struct kube_api *api, const struct kube_target *target, struct kube_reply reply,
             struct err *err)
{
    struct kube_request request = {.method = "GET"};

    return send_to(api, target, &request, reply, err);
}

int kube_create(struct kube_api *api, const struct kube_target *target, const char *field_manager,
                struct str json, struct kube_reply reply, struct err *err)
{
    struct kube_request request = {.method = "POST", .body = json};

    return send_write(api, target, field_manager, &request, reply, err);
}

int kube_update(struct kube_api *api, const struct kube_target *target, const char *field_manager,
                struct str json, struct kube_reply reply, struct err *err)
{
    struct kube_request request = {.method = "PUT", .body = json};

    return send_write(api, target, field_manager, &request, reply, err);
}

int kube_merge_patch(struct kube_api *api, const struct kube_target *target,
                     const char *field_manager, struct str json, struct kube_reply reply,
                     struct err *err)
{
    struct kube_request request = {
        .method = "PATCH",
        .body = json,
        .content_type = "application/merge-patch+json",
    };

    return send_write(api, target, field_manager, &request, reply, err);
}

int kube_apply(struct kube_api *api, const struct kube_target *target, const char *field_manager,
               bool force, struct str json, struct kube_reply reply, struct err *err)
{
    struct kube_request request = {
        .method = "PATCH",
        .body = json,
        .content_type = "application/apply-patch+yaml", /* JSON is YAML */
    };
    CLEANUP(buf_fini) struct buf path = {0};
    int r;

    buf_init(&path, KUBE_PATH_MAX);
    r = kube_path(&path, target, err);
    if (r < 0)
        return r;
    (void)kube_query(&path, "fieldManager", str_of(field_manager));
    (void)kube_query(&path, "force", force ? STR("true") : STR("false"));
    return send_request(api, &request, &path, reply, err);
}

static void write_preconditions(struct json_writer *w, const struct kube_delete_options *o)
{
    if (o->uid.len == 0 && o->resource_version.len == 0)
        return;
    json_key(w, "preconditions");
    json_open(w, '{');
    if (o->uid.len > 0)
        json_put_str(w, "uid", o->uid);
    if (o->resource_version.len > 0)
        json_put_str(w, "resourceVersion", o->resource_version);
    json_close(w, '}');
}

int kube_delete(struct kube_api *api, const struct kube_target *target,
                const struct kube_delete_options *options, struct kube_reply reply, struct err *err)
{
    struct kube_request request = {.method = "DELETE"};
    CLEANUP(buf_fini) struct buf body = {0};
    struct json_writer w;

    buf_init(&body, DELETE_OPTIONS_MAX);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "kind", "DeleteOptions");
    json_put_text(&w, "apiVersion", "v1");
    write_preconditions(&w, options);
    if (options->grace_s >= 0)
        json_put_i64(&w, "gracePeriodSeconds", options->grace_s);
    if (options->propagation != NULL)
        json_put_text(&w, "propagationPolicy", options->propagation);
    json_close(&w, '}');
    if (body.failed)
        return buf_check(&body, "delete options", err);
    request.body = buf_str(&body);
    return send_to(api, target, &request, reply, err);
}
