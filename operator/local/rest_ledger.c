/* SPDX-License-Identifier: Apache-2.0 */
/* Reports and runs: where this machine's ledger is. */
#include "base/mem.h"
#include "operator/local/rest.h"

enum { LEDGER_URL_MAX = 4096 };

void rest_ledger(struct rest *rest, struct http_exchange *x)
{
    CLEANUP(buf_fini) struct buf url = {0};
    struct err err = {0};
    int r;

    buf_init(&url, LEDGER_URL_MAX);
    r = local_ledger_url(rest->local, &url, &err);
    if (r == 0)
        r = buf_check(&url, "the address of the ledger", &err);
    if (r < 0)
        endpoints_fail(x, r, &err);
    else
        endpoints_ask_ledger(x, local_fetcher(rest->local), local_signer(rest->local),
                             buf_str(&url));
}
