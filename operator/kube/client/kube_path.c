/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the API server: see kube_path.h. Everything is checked before anything is written. */
#include "operator/kube/client/kube_path.h"

#include "base/http.h"

static int check(struct str text, bool ok, const char *what, struct err *err)
{
    if (ok)
        return 0;
    return err_set(err, ERR_INVALID,
                   "%s '%.*s' is no name of Kubernetes (a-z, 0-9, '-' and '.') and meets no URL",
                   what, STR_ARG(text));
}

/* Group, version and plural are constants of ours; checked all the same, since they are paths. */
static int check_resource(const struct kube_resource *r, struct err *err)
{
    int result = check(str_of(r->version), str_is_dns_label(str_of(r->version)), "version", err);

    if (result == 0)
        result = check(str_of(r->plural), str_is_dns_label(str_of(r->plural)), "resource", err);
    if (result == 0 && r->group[0] != '\0')
        result = check(str_of(r->group), str_is_dns_subdomain(str_of(r->group)), "group", err);
    return result;
}

static int check_target(const struct kube_target *t, struct err *err)
{
    int r = check_resource(t->resource, err);

    if (r == 0 && t->name_space.len > 0)
        r = check(t->name_space, str_is_dns_label(t->name_space), "namespace", err);
    if (r == 0 && t->name.len > 0)
        r = check(t->name, str_is_dns_subdomain(t->name), "name", err);
    if (r == 0 && t->subresource != NULL)
        r = check(str_of(t->subresource), str_is_dns_label(str_of(t->subresource)), "subresource",
                  err);
    if (r < 0)
        return r;
    if (t->name_space.len > 0 && !t->resource->namespaced)
        return err_set(err, ERR_INVALID, "%s have no namespace, but '%.*s' is given",
                       t->resource->plural, STR_ARG(t->name_space));
    if (t->name.len > 0 && t->name_space.len == 0 && t->resource->namespaced)
        return err_set(err, ERR_INVALID, "%s '%.*s' needs a namespace", t->resource->plural,
                       STR_ARG(t->name));
    if (t->subresource != NULL && t->name.len == 0)
        return err_set(err, ERR_INVALID, "'%s' needs the name of an object", t->subresource);
    return 0;
}

int kube_path(struct buf *out, const struct kube_target *target, struct err *err)
{
    const struct kube_resource *resource = target->resource;
    int r = check_target(target, err);

    if (r < 0)
        return r;
    if (resource->group[0] == '\0')
        (void)buf_printf(out, "/api/%s", resource->version);
    else
        (void)buf_printf(out, "/apis/%s/%s", resource->group, resource->version);
    if (target->name_space.len > 0)
        (void)buf_printf(out, "/namespaces/%.*s", STR_ARG(target->name_space));
    (void)buf_printf(out, "/%s", resource->plural);
    if (target->name.len > 0)
        (void)buf_printf(out, "/%.*s", STR_ARG(target->name));
    if (target->subresource != NULL)
        (void)buf_printf(out, "/%s", target->subresource);
    return buf_check(out, "the path of a request", err);
}

int kube_query(struct buf *out, const char *name, struct str value)
{
    bool first = str_find_char(buf_str(out), '?') < 0;

    (void)buf_append_char(out, first ? '?' : '&');
    (void)buf_append_text(out, name);
    (void)buf_append_char(out, '=');
    return http_escape(out, value);
}
