/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cluster's own API does not have: reports of the ledger, for `spate report` beside this
 * process (`kubectl exec`). It finds address and token in a folder that only this pod has, as on
 * one machine. Whoever may exec here may read what tenants used and owe.
 */
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "operator/common/must.h"
#include "operator/kube/kube_private.h"

#define REPORT_PATH "/internal/v1/report"

enum { ENDPOINTS_FILE_MAX = 1024, SECRET_BYTES = KUBE_SECRET_HEX / 2 };

static int write_file(const struct kube *kube, const char *name, const struct buf *text,
                      struct err *err)
{
    CLEANUP(mem_freep) char *path = must(path_join(kube->options.state, name));
    int r = buf_check(text, path, err);

    return r < 0 ? r : file_write_atomic(path, buf_str(text), 0600, err);
}

/* As `spate up` writes it: see cli/state.h. */
static int write_endpoints(const struct kube *kube, const char *address, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char url[sizeof("http://") + KUBE_LEASE_IDENTITY_MAX];
    struct json_writer w;

    snprintf(url, sizeof(url), "http://%s", address);
    buf_init(&text, ENDPOINTS_FILE_MAX);
    json_writer_init(&w, &text);
    json_open(&w, '{');
    json_put_text(&w, "operator", url);
    json_close(&w, '}');
    buf_append_char(&text, '\n');
    return write_file(kube, "endpoints.json", &text, err);
}

static int write_token(const struct kube *kube, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, KUBE_SECRET_HEX + 1);
    buf_printf(&text, "%s\n", kube->admin_token);
    return write_file(kube, "admin-token", &text, err);
}

int kube_report_open(struct kube *kube, const char *address, struct err *err)
{
    uint8_t random[SECRET_BYTES];
    int r;

    if (kube->options.state == NULL)
        return 0;
    rng_fill(kube->platform.rng, random, sizeof(random));
    hex_format(random, sizeof(random), kube->admin_token);
    r = file_make_folder(kube->options.state, err);
    if (r == 0)
        r = write_token(kube, err);
    if (r == 0)
        r = write_endpoints(kube, address, err);
    return r < 0 ? err_wrap(err, r, "--state") : 0;
}

bool kube_handle(void *user, struct http_exchange *x)
{
    struct kube *kube = user;

    if (!str_is(x->path, REPORT_PATH))
        return false;
    if (!endpoints_secret_is(http_bearer_token(&x->headers), str_of(kube->admin_token)))
        endpoints_refuse(x, 401, "Unauthorized",
                         "the bearer token is missing or wrong: run `spate report` in a pod of the "
                         "operator, by kubectl exec");
    else if (!str_is(x->method, "GET"))
        endpoints_refuse(x, 405, "MethodNotAllowed", "this path takes GET only");
    else if (kube->options.ledger_url == NULL)
        endpoints_refuse(x, 503, "ServiceUnavailable", "no ledger is known: set --ledger");
    else
        endpoints_ask_ledger(x, kube->fetcher, &kube->signer, str_of(kube->options.ledger_url));
    return true;
}
