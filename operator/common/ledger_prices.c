/* SPDX-License-Identifier: Apache-2.0 */
/* A price version to the ledger: see ledger_prices.h. */
#include "operator/common/ledger_prices.h"

#include "base/json.h"
#include "operator/common/must.h"
#include "wire/prices.h"

enum { LEDGER_URL_MAX = 4096, LEDGER_TIMEOUT_MS = 10 * 1000, ANSWER_SHOWN = 200 };

/* What the ledger will not think better of. */
enum { STATUS_BAD = 400, STATUS_EXISTS = 409, STATUS_TOO_LARGE = 413 };

struct posting {
    struct results *results;
    uint64_t ticket;
};

/* The words of {"error": {"message": "..."}}, or the answer as it is. */
static int refusal(int status, struct str body, struct err *err)
{
    bool for_good = status == STATUS_BAD || status == STATUS_EXISTS || status == STATUS_TOO_LARGE;
    json_auto_t *tree = NULL;
    struct str words = STR_NONE;

    if (json_read(&tree, body, &json_limits_default, "answer", NULL) == 0)
        words = json_str(json_object_get(json_object_get(tree, "error"), "message"));
    if (for_good && words.len > 0)
        return err_set(err, ERR_INVALID, "%.*s", STR_ARG(str_slice(words, 0, ANSWER_SHOWN)));
    return err_set(err, for_good ? ERR_INVALID : ERR_NETWORK,
                   "the ledger answered with status %d: %.*s", status,
                   STR_ARG(str_slice(words.len > 0 ? words : body, 0, ANSWER_SHOWN)));
}

static void posted(void *user, int status, struct str body, const struct err *err)
{
    struct posting *posting = user;
    struct err failure = {0};
    int r = 0;

    if (err != NULL)
        r = err_set(&failure, err->code, "%s", err_message(err));
    else if (status != 200 && status != 201)
        r = refusal(status, body, &failure);
    results_add(posting->results, posting->ticket, r, &failure, STR_NONE);
    mem_free(posting);
}

void ledger_prices_post(struct fetcher *fetcher, struct signer *signer, struct results *results,
                        uint64_t ticket, struct str url, struct str json)
{
    struct posting *posting = must(mem_alloc(sizeof(*posting)));
    const struct http_header type = {STR("content-type"), STR("application/json")};
    CLEANUP(buf_fini) struct buf full = {0};
    struct err err = {0};
    int r;

    *posting = (struct posting){.results = results, .ticket = ticket};
    buf_init(&full, LEDGER_URL_MAX);
    buf_append_str(&full, url);
    buf_append_text(&full, PRICES_PATH);
    r = buf_check(&full, "the ledger's URL", &err);
    if (r == 0)
        r = fetch_start(NULL, fetcher,
                        &(struct fetch_options){
                            .method = "POST",
                            .url = buf_cstr(&full),
                            .headers = &type,
                            .header_count = 1,
                            .body = json,
                            .bearer_token = signer_token(signer, TOKEN_AUDIENCE_LEDGER),
                            .timeout_ms = LEDGER_TIMEOUT_MS,
                            .on_done = posted,
                            .user = posting,
                        },
                        &err);
    if (r == 0)
        return;
    results_add(results, ticket, r, &err, STR_NONE);
    mem_free(posting);
}
