/* SPDX-License-Identifier: Apache-2.0 */
/* Where a pod finds its model: see kube_source.h. */
#include "operator/kube/kube_source.h"

enum { IMAGE_NAME_MAX = 512 };

static struct str after(struct str s, struct str prefix)
{
    return str_slice(s, prefix.len, s.len);
}

/* No way up, no control characters, nothing that only looks like a path. */
static bool is_plain_path(struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];

        if (c < 0x20 || c == 0x7f || c == ':')
            return false;
    }
    while (path.ptr != NULL) {
        if (str_is(str_cut(&path, '/'), ".."))
            return false;
    }
    return true;
}

static bool is_image_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_word && str_find_char(STR("._-/:@"), c) < 0)
            return false;
    }
    return name.len > 0 && name.len <= IMAGE_NAME_MAX && name.ptr[0] != '-' &&
           str_find_char(name, '/') > 0 && !str_ends(name, STR("/"));
}

static int read_file(struct kube_source *out, struct str uri, struct err *err)
{
    *out = (struct kube_source){.kind = KUBE_SOURCE_FILE, .path = after(uri, STR("file://"))};
    if (str_starts(out->path, STR("/")) && is_plain_path(out->path))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%.*s: write file:// and an absolute path, without '..', of the agent's image",
                   STR_ARG(uri));
}

static int read_pvc(struct kube_source *out, struct str uri, struct err *err)
{
    struct str rest = after(uri, STR("pvc://"));

    *out = (struct kube_source){.kind = KUBE_SOURCE_PVC};
    out->claim = str_cut(&rest, '/');
    out->path = rest;
    if (str_is_dns_subdomain(out->claim) && is_plain_path(out->path) &&
        !str_starts(out->path, STR("/")))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%.*s: write pvc://CLAIM/path with a PersistentVolumeClaim of the model's "
                   "namespace, and a path in it without '..'",
                   STR_ARG(uri));
}

static int read_oci(struct kube_source *out, struct str uri, struct err *err)
{
    struct str rest = after(uri, STR("oci://"));

    *out = (struct kube_source){.kind = KUBE_SOURCE_OCI};
    out->image = str_cut(&rest, '#');
    out->path = rest;
    if (is_image_name(out->image) && is_plain_path(out->path) && !str_starts(out->path, STR("/")))
        return 0;
    return err_set(err, ERR_INVALID,
                   "%.*s: write oci://HOST/NAME:TAG, and #path where the model is not at the "
                   "image's root",
                   STR_ARG(uri));
}

int kube_source_read(struct kube_source *out, struct str uri, struct err *err)
{
    if (str_starts(uri, STR("file://")))
        return read_file(out, uri, err);
    if (str_starts(uri, STR("pvc://")))
        return read_pvc(out, uri, err);
    if (str_starts(uri, STR("oci://")))
        return read_oci(out, uri, err);
    return err_set(err, ERR_UNSUPPORTED,
                   "%.*s: on Kubernetes a model comes from pvc://CLAIM/path, oci://HOST/NAME:TAG "
                   "or file:///path in the agent's image: put it there",
                   STR_ARG(uri));
}
