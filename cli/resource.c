/* SPDX-License-Identifier: Apache-2.0 */
/* The resources that commands can name, and their paths at the endpoint. */
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/http.h"
#include "base/mem.h"
#include "cli/api.h"

enum { PATH_BYTES_MAX = 1024, NAMES_MAX = 32 };

static const struct crd_column pod_columns[] = {
    {"PHASE", ".status.phase", false},     {"MODEL", ".metadata.labels.spate\\.dev/model", false},
    {"ADDRESS", ".status.address", false}, {"PID", ".status.pid", true},
    {"MESSAGE", ".status.message", true},
};

static const struct crd_column event_columns[] = {
    {"TYPE", ".type", false},
    {"REASON", ".reason", false},
    {"OBJECT", ".regarding.name", false},
    {"MESSAGE", ".note", false},
};

static const struct api_resource plain_resources[] = {
    {
        .kind = "Pod",
        .plural = "pods",
        .singular = "pod",
        .short_name = "po",
        .group = "",
        .root = "/api/v1",
        .namespaced = true,
        .columns = pod_columns,
        .column_count = ARRAY_COUNT(pod_columns),
    },
    {
        .kind = "Event",
        .plural = "events",
        .singular = "event",
        .short_name = "ev",
        .group = "events.k8s.io",
        .root = "/apis/events.k8s.io/v1",
        .namespaced = true,
        .columns = event_columns,
        .column_count = ARRAY_COUNT(event_columns),
    },
};

const struct api_resource *api_resource_of(const struct crd_kind *kind)
{
    static struct api_resource made[CRD_KIND_COUNT];
    struct api_resource *resource = &made[kind->id];

    *resource = (struct api_resource){
        .kind = kind->kind,
        .plural = kind->plural,
        .singular = kind->singular,
        .short_name = kind->short_name,
        .group = CRD_GROUP,
        .root = "/apis/" CRD_API_VERSION,
        .namespaced = kind->namespaced,
        .columns = kind->columns,
        .column_count = kind->column_count,
    };
    return resource;
}

const struct api_resource *api_resource_at(size_t index)
{
    if (index < CRD_KIND_COUNT)
        return api_resource_of(crd_kinds[index]);
    index -= CRD_KIND_COUNT;
    return index < ARRAY_COUNT(plain_resources) ? &plain_resources[index] : NULL;
}

int api_resource_find(const struct api_resource **out, const char *name, struct err *err)
{
    const struct crd_kind *kind = crd_kind_find(str_of(name));
    const struct api_resource *resource;
    const char *names[NAMES_MAX + 1] = {NULL};
    const char *close;
    int count = 0;

    if (kind != NULL) {
        *out = api_resource_of(kind);
        return 0;
    }
    for (size_t i = 0; (resource = api_resource_at(i)) != NULL; i++) {
        if (str_eq_nocase(str_of(name), str_of(resource->plural)) ||
            str_eq_nocase(str_of(name), str_of(resource->singular)) ||
            str_eq_nocase(str_of(name), str_of(resource->short_name))) {
            *out = resource;
            return 0;
        }
        names[count++] = resource->plural;
        names[count++] = resource->short_name;
    }
    close = args_closest(name, names);
    if (close != NULL)
        return err_set(err, ERR_NOT_FOUND, "no resource \"%.40s\"; did you mean %s?", name, close);
    return err_set(err, ERR_NOT_FOUND,
                   "no resource \"%.40s\"; use modeldeployments (md), tenants (tn), pricebooks "
                   "(pb), pods (po) or events (ev)",
                   name);
}

int api_path(char **out, const struct api_resource *resource, const char *name_space,
             const char *name, struct err *err)
{
    CLEANUP(buf_fini) struct buf path = {0};
    int r;

    buf_init(&path, PATH_BYTES_MAX);
    buf_append_text(&path, resource->root);
    if (resource->namespaced && name_space[0] != '\0') {
        buf_append_text(&path, "/namespaces/");
        http_escape(&path, str_of(name_space));
    }
    buf_printf(&path, "/%s", resource->plural);
    if (name != NULL) {
        buf_append_char(&path, '/');
        http_escape(&path, str_of(name));
    }
    r = buf_check(&path, "the name", err);
    if (r < 0)
        return r;
    *out = mem_strndup(path.ptr, path.len);
    return *out == NULL ? err_no_memory(err) : 0;
}
