/* SPDX-License-Identifier: Apache-2.0 */
/* Reports and runs: asked of the ledger under the operator's own token, passed on as they come. */
#include "base/hash.h"
#include "base/mem.h"
#include "operator/endpoints/endpoints.h"

enum { LEDGER_URL_MAX = 8192, LEDGER_TIMEOUT_MS = 60 * 1000 };

bool endpoints_secret_is(struct str given, struct str wanted)
{
    uint8_t a[SHA256_BYTES], b[SHA256_BYTES];

    sha256(wanted, a);
    sha256(given, b);
    return given.len > 0 && wanted.len > 0 && bytes_equal_secret(a, b, SHA256_BYTES);
}

static const char *type_of(struct http_exchange *x)
{
    if (endpoints_query_is(x, "format", "csv"))
        return "text/csv; charset=utf-8";
    if (endpoints_query_is(x, "format", "table"))
        return "text/plain; charset=utf-8";
    return "application/json";
}

static void ledger_answered(void *user, int status, struct str body, const struct err *err)
{
    struct http_exchange *x = user;

    if (err != NULL) {
        struct err failure = *err;

        endpoints_fail(x, err_wrap(&failure, -ERR_NETWORK, "the ledger does not answer"), &failure);
        return;
    }
    http_respond(x, status, status == 200 ? type_of(x) : "application/json", body);
}

void endpoints_ask_ledger(struct http_exchange *x, struct fetcher *fetcher, struct signer *signer,
                          struct str ledger_url)
{
    CLEANUP(buf_fini) struct buf url = {0};
    struct err err = {0};
    int r;

    buf_init(&url, LEDGER_URL_MAX);
    buf_append_str(&url, ledger_url);
    buf_append_str(&url, x->path);
    if (x->query.len > 0) {
        buf_append_char(&url, '?');
        buf_append_str(&url, x->query);
    }
    r = buf_check(&url, "the request to the ledger", &err);
    if (r == 0)
        r = fetch_start(NULL, fetcher,
                        &(struct fetch_options){
                            .url = buf_cstr(&url),
                            .bearer_token = signer_token(signer, TOKEN_AUDIENCE_LEDGER),
                            .timeout_ms = LEDGER_TIMEOUT_MS,
                            .max_bytes = ENDPOINTS_ANSWER_MAX,
                            .on_done = ledger_answered,
                            .user = x,
                        },
                        &err);
    if (r < 0)
        endpoints_fail(x, r, &err);
}
