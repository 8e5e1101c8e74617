/* SPDX-License-Identifier: Apache-2.0 */
/* A Lease object: see kube_lease_record.h. */
#include "operator/kube/client/kube_lease_record.h"

#include <string.h>

enum { MS_PER_S = 1000 };

static int read_text(const json_t *object, const char *key, char *out, size_t size, struct err *err)
{
    struct str text = STR_NONE;
    int r = json_get_str(object, key, false, &text, err);

    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if (text.len >= size)
        return err_set(err, ERR_LIMIT, "'%s' is longer than %zu bytes", key, size - 1);
    memcpy(out, text.ptr != NULL ? text.ptr : "", text.len);
    out[text.len] = '\0';
    return 0;
}

static int read_number(const json_t *spec, const char *key, int64_t max, int64_t *out,
                       struct err *err)
{
    int r = json_get_i64(spec, key, false, 0, max, out, err);

    return r == -ERR_NOT_FOUND ? 0 : r;
}

static int read_spec(struct kube_lease_record *out, const json_t *spec, int64_t least_ms,
                     struct err *err)
{
    int64_t seconds = 0;
    int64_t transitions = 0;
    int r = read_text(spec, "holderIdentity", out->holder, sizeof(out->holder), err);

    if (r == 0)
        r = read_number(spec, "leaseDurationSeconds", KUBE_LEASE_S_MAX, &seconds, err);
    if (r == 0)
        r = read_number(spec, "leaseTransitions", INT32_MAX, &transitions, err);
    if (r < 0)
        return r;
    /* Never shorter than our own: the shorter one of two configurations must not win a race. */
    out->lease_ms = seconds * MS_PER_S > least_ms ? seconds * MS_PER_S : least_ms;
    out->transitions = (uint64_t)transitions;
    return 0;
}

int kube_lease_record_read(struct kube_lease_record *out, struct str body, int64_t least_ms,
                           struct err *err)
{
    struct kube_lease_record record = {0};
    json_auto_t *tree = NULL;
    const json_t *metadata;
    int r = kube_object_read(&tree, body, "the lease", err);

    if (r < 0)
        return r;
    metadata = json_object_get(tree, "metadata");
    r = read_text(metadata, "resourceVersion", record.version, sizeof(record.version), err);
    if (r == 0)
        r = read_text(metadata, "uid", record.uid, sizeof(record.uid), err);
    if (r == 0 && record.version[0] == '\0')
        r = err_set(err, ERR_PROTOCOL, "it has no resourceVersion");
    if (r == 0)
        r = read_spec(&record, json_object_get(tree, "spec"), least_ms, err);
    if (r == 0)
        *out = record;
    return r;
}

static void write_spec(struct json_writer *w, const struct kube_lease_change *c)
{
    char now[KUBE_TIME_MAX];

    kube_time_format(c->now_ms, now);
    json_key(w, "spec");
    json_open(w, '{');
    if (c->holder != NULL)
        json_put_text(w, "holderIdentity", c->holder);
    else
        json_put_null(w, "holderIdentity");
    json_put_text(w, "renewTime", now);
    if (c->acquire) {
        json_put_text(w, "acquireTime", now);
        json_put_u64(w, "leaseTransitions", c->transitions);
    }
    json_put_u64(w, "leaseDurationSeconds", (c->lease_ms + MS_PER_S - 1) / MS_PER_S);
    json_close(w, '}');
}

void kube_lease_record_write(struct buf *out, const struct kube_lease_change *change)
{
    struct json_writer w;

    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "coordination.k8s.io/v1");
    json_put_text(&w, "kind", "Lease");
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_put_text(&w, "name", change->name);
    json_put_text(&w, "namespace", change->name_space);
    if (change->version != NULL)
        json_put_text(&w, "resourceVersion", change->version);
    json_close(&w, '}');
    write_spec(&w, change);
    json_close(&w, '}');
}
