/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's HTTP face and the shipper together: usage log -> ship -> server -> store -> reports.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "billing/ledger/server.h"
#include "billing/meter/ship.h"
#include "records.h"
#include "wire/token.h"

enum { TURNS_MAX = 20000, SETTLE_MS = 300 };

struct house {
    char folder[32];
    char db[64];
    char key_path[64];
    char url[64];
    struct loop loop;
    struct ledger *ledger;
    struct ledger_server server;
    struct http_server *http;
    struct fetcher *fetcher;
    struct token_key key;
    struct buf token;
    int port;
    /* of the last call */
    bool done;
    int status;
    struct buf body;
};

static void must(int r, const struct err *err)
{
    if (r < 0)
        fail_msg("%s", err_message(err));
}

static void make_token(struct house *h, const char *audience)
{
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    struct token_claims claims = {
        .subject = "gateway/test", .issued_s = now_s, .expires_s = now_s + 600};
    struct err err;

    snprintf(claims.audience, sizeof(claims.audience), "%s", audience);
    buf_clear(&h->token);
    must(token_sign(&h->token, &h->key, &claims, &err), &err);
}

static void write_public_key(struct house *h)
{
    char hex[2 * TOKEN_KEY_BYTES + 1];
    struct err err;

    hex_format(h->key.public_key, TOKEN_KEY_BYTES, hex);
    must(file_write_atomic(h->key_path, str_of(hex), 0644, &err), &err);
}

static void start_server(struct house *h)
{
    struct ledger_options options = {.path = h->db, .settle_ms = SETTLE_MS};
    struct http_server_limits limits = http_server_limits_default;
    struct http_server_options http = {
        .handler = ledger_server_handle, .user = &h->server, .limits = &limits};
    char address[32];
    struct err err;

    limits.body_bytes = INGEST_BYTES_MAX;
    must(ledger_open(&h->ledger, &options, &err), &err);
    h->server = (struct ledger_server){.loop = &h->loop,
                                       .ledger = h->ledger,
                                       .public_key_path = h->key_path,
                                       .clock = clock_system()};
    must(metrics_new(&h->server.metrics, &err), &err);
    must(writer_new(&h->server.writer, h->ledger, &h->loop, &err), &err);
    must(query_open(&h->server.query, h->db, NULL, &err), &err);
    must(ledger_server_init(&h->server, &err), &err);
    must(http_server_new(&h->http, &h->loop, &http, &err), &err);
    snprintf(address, sizeof(address), "127.0.0.1:%d", h->port);
    h->port = http_server_listen(h->http, address, &err);
    must(h->port, &err);
    snprintf(h->url, sizeof(h->url), "http://127.0.0.1:%d", h->port);
}

static void stop_server(struct house *h)
{
    writer_close(STEAL(h->server.writer));
    http_server_close(h->http);
    for (int i = 0; i < 50; i++)
        loop_turn(&h->loop, 1);
    query_close(h->server.query);
    metrics_free(h->server.metrics);
    ledger_close(h->ledger);
}

static void begin(struct house *h)
{
    struct err err;

    memset(h, 0, sizeof(*h));
    snprintf(h->folder, sizeof(h->folder), "service-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->db, sizeof(h->db), "%s/ledger.db", h->folder);
    snprintf(h->key_path, sizeof(h->key_path), "%s/operator.pub", h->folder);
    buf_init(&h->body, 64 << 20);
    buf_init(&h->token, TOKEN_TEXT_MAX);
    must(token_key_make(&h->key, &err), &err);
    write_public_key(h);
    make_token(h, TOKEN_AUDIENCE_LEDGER);
    must(loop_init(&h->loop, &err), &err);
    must(fetcher_new(&h->fetcher, &h->loop, &err), &err);
    start_server(h);
}

static void end(struct house *h)
{
    fetcher_close(h->fetcher);
    stop_server(h);
    loop_fini(&h->loop);
    buf_fini(&h->body);
    buf_fini(&h->token);
    file_remove_tree(h->folder, NULL);
}

static void answered(void *user, int status, struct str body, const struct err *err)
{
    struct house *h = user;

    h->done = true;
    h->status = err == NULL ? status : -(int)err->code;
    buf_clear(&h->body);
    buf_append_str(&h->body, body);
}

/* One call; its status. The body is in h->body. */
static int call(struct house *h, const char *method, const char *path, const char *body)
{
    char url[512];
    struct fetch_options options = {.method = method,
                                    .url = url,
                                    .body = body == NULL ? STR_NONE : str_of(body),
                                    .bearer_token = buf_cstr(&h->token),
                                    .timeout_ms = 5000,
                                    .on_done = answered,
                                    .user = h};
    struct err err;

    snprintf(url, sizeof(url), "%s%s", h->url, path);
    h->done = false;
    must(fetch_start(NULL, h->fetcher, &options, &err), &err);
    for (int i = 0; i < TURNS_MAX && !h->done; i++)
        loop_turn(&h->loop, 1);
    assert_true(h->done);
    return h->status;
}

static bool body_has(struct house *h, const char *text)
{
    return str_find(buf_str(&h->body), str_of(text)) >= 0;
}

static void post_records(struct house *h, const struct usage_record *records, size_t count)
{
    struct json_writer w;
    struct buf body;

    buf_init(&body, INGEST_BYTES_MAX);
    ingest_begin(&body);
    for (size_t i = 0; i < count; i++) {
        struct buf json;

        buf_init(&json, USAGE_RECORD_BYTES_MAX);
        json_writer_init(&w, &json);
        usage_write(&w, &records[i]);
        ingest_add(&body, buf_str(&json));
        buf_fini(&json);
    }
    ingest_end(&body);
    assert_int_equal(call(h, "POST", LEDGER_INGEST_PATH, buf_cstr(&body)), 200);
    buf_fini(&body);
}

static void only_its_own_tokens_open_the_ledger(void **state)
{
    struct house h;

    (void)state;
    begin(&h);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 200);
    make_token(&h, TOKEN_AUDIENCE_AGENT);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 401);
    assert_int_equal(call(&h, "POST", LEDGER_INGEST_PATH, "{\"records\":[]}"), 401);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs/abc", NULL), 401);
    assert_int_equal(call(&h, "GET", "/health", NULL), 200);
    assert_int_equal(call(&h, "GET", "/metrics", NULL), 200);
    assert_true(body_has(&h, "spate_ledger_records_total{result=\"refused\"} 0"));
    end(&h);
}

static void broken_calls_get_one_line(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *body;
        int status;
        const char *says;
    } cases[] = {
        {"POST", LEDGER_INGEST_PATH, "{", 400, "the batch is not valid JSON"},
        {"POST", LEDGER_INGEST_PATH, "[]", 400, "the batch must be an object"},
        {"POST", LEDGER_INGEST_PATH, "{}", 400, "'records' is missing"},
        {"POST", LEDGER_INGEST_PATH, "{\"records\":[7]}", 200, "must be an object, not integer"},
        {"POST", PRICES_PATH, "{\"id\":0}", 400, "'id' is 0"},
        {"POST", PRICES_PATH, "{\"id\":1,\"name\":\"a\",\"effective_ms\":1,\"prices\":[{}]}", 400,
         "prices[0]: 'model' is missing"},
        {"POST", PRICES_PATH,
         "{\"id\":1,\"name\":\"a\",\"effective_ms\":1,\"prices\":[{\"model\":\"*\",\"input\":-1}]}",
         400, "'input' is -1"},
        {"GET", "/internal/v1/report?from=x", NULL, 400, "'from' is no time"},
        {"GET", "/internal/v1/report?from=2026-11-22T00:07:00Z", NULL, 400, "quarter of an hour"},
        {"GET", "/internal/v1/report?from=2026-11-22&to=2026-11-22", NULL, 400, "before 'to'"},
        {"GET", "/internal/v1/report?group_by=pod", NULL, 400, "tenant, model, key, day"},
        {"GET", "/internal/v1/report?format=xml", NULL, 400, "json, table or csv"},
        {"GET", "/internal/v1/runs/nope", NULL, 400, "26-character id"},
        {"GET", "/internal/v1/runs/00000000000000000000000000", NULL, 404, "no record of this run"},
        {"GET", "/internal/v1/nothing", NULL, 404, "is not served here"},
        {"DELETE", PRICES_PATH, NULL, 404, "is not served here"},
    };
    struct house h;

    (void)state;
    begin(&h);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int status = call(&h, cases[i].method, cases[i].path, cases[i].body);

        if (status != cases[i].status || !body_has(&h, cases[i].says))
            fail_msg("%s %s: %d %s", cases[i].method, cases[i].path, status, buf_cstr(&h.body));
    }
    end(&h);
}

static void the_report_prices_what_has_a_price(void **state)
{
    struct usage_record records[4] = {records_final(1), records_final(2), records_final(3),
                                      records_final(4)};
    struct house h;

    (void)state;
    begin(&h);
    assert_int_equal(call(&h, "POST", PRICES_PATH,
                          "{\"id\":1,\"name\":\"standard\",\"effective_ms\":1,\"prices\":["
                          "{\"model\":\"team-a/*\",\"input\":3000000001,\"output\":2190000000,"
                          "\"reasoning\":2190000000}]}"),
                     201);
    snprintf(records[2].tenant, sizeof(records[2].tenant), "=cmd");
    snprintf(records[3].tenant, sizeof(records[3].tenant), "guest");
    snprintf(records[3].model, sizeof(records[3].model), "team-b/unlisted");
    post_records(&h, records, 4);
    assert_string_equal(buf_cstr(&h.body), "{\"results\":[\"ok\",\"ok\",\"ok\",\"ok\"]}");

    assert_int_equal(call(&h, "GET",
                          "/internal/v1/report?from=2026-11-22&to=2026-11-23&tenant=acme"
                          "&group_by=tenant,day",
                          NULL),
                     200);
    /* 20 input at 3000.000001 nano-USD, 12 output at 2190; 8 cached have no price */
    assert_true(body_has(&h, "\"cost_nano_usd\":86280,\"cost_usd\":\"0.000086280\""));
    assert_true(body_has(&h, "\"unpriced\":true,\"requests\":0,\"estimated\":0,\"input\":0,"
                             "\"cached\":8"));
    assert_true(body_has(&h, "\"cost_nano_usd\":null"));
    assert_true(body_has(&h, "\"day\":\"2026-11-22\""));

    assert_int_equal(call(&h, "GET",
                          "/internal/v1/report?from=2026-11-22&to=2026-11-23&format=table"
                          "&group_by=tenant",
                          NULL),
                     200);
    assert_true(body_has(&h, "TENANT   REQUESTS   INPUT   CACHED   VISIBLE   REASONING   WASTE   "
                             "PENDING     COST-USD\n"));
    assert_true(body_has(&h, "acme            2      20        0         8           4       0   "
                             "      0     0.000086\n"));
    assert_true(body_has(&h, "<unpriced>"));
    /* a model without any price: one row, with its request beside its tokens */
    assert_true(body_has(&h, "guest           1      10        4         4           2       0   "
                             "      0   <unpriced>\n"));
    assert_int_equal(
        call(&h, "GET", "/internal/v1/report?from=2026-11-22&to=2026-11-23&format=csv", NULL), 200);
    assert_true(body_has(&h, "\n\"'=cmd\",\"team-a/r1\",\"\",,false,1,0,10,"));
    assert_int_equal(call(&h, "GET", "/internal/v1/prices", NULL), 200);
    assert_true(body_has(&h, "\"cached_input\"") == false);
    end(&h);
}

static void runs_can_be_reconciled(void **state)
{
    struct usage_record records[2] = {records_final(1), records_running(2, 3)};
    char path[100];
    char id[ID_TEXT_LEN + 1];
    struct house h;

    (void)state;
    begin(&h);
    post_records(&h, records, 2);
    id_format(records[0].run_id, id);
    snprintf(path, sizeof(path), "/internal/v1/runs/%s", id);
    assert_int_equal(call(&h, "GET", path, NULL), 200);
    assert_true(body_has(&h, "\"input\":10,\"cached\":4,\"visible\":4,\"reasoning\":2"));
    assert_true(body_has(&h, "\"pending\":{\"input\":10,\"cached\":4,\"visible\":1,"
                             "\"reasoning\":2,\"recomputed\":0}"));
    snprintf(path, sizeof(path), "/internal/v1/runs/%s/lost", id);
    assert_int_equal(call(&h, "POST", path,
                          "{\"input_computed\":25,\"input_cached\":8,\"output\":12,"
                          "\"recomputed\":0}"),
                     200);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 200);
    assert_true(body_has(&h, "\"unreported\":{\"input_computed\":5,\"input_cached\":0,"
                             "\"output\":3,\"recomputed\":0}"));
    for (int i = 0; i < 3000 && !body_has(&h, "\"visible\":5"); i++) /* settled by time */
        assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 200);
    assert_true(body_has(&h, "\"estimated\":1"));
    end(&h);
}

/* --- shipping ------------------------------------------------------------------------------- */

static const char *give_token(void *user)
{
    struct house *h = user;

    return h->token.len == 0 ? NULL : buf_cstr(&h->token);
}

static bool wait_acked(struct house *h, struct meter *m, uint64_t sequence)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        struct meter_stats stats;

        meter_stats(m, &stats);
        if (stats.acked >= sequence)
            return true;
        loop_turn(&h->loop, 1);
    }
    return false;
}

static void the_log_is_shipped_through_an_outage(void **state)
{
    struct usage_record other = records_final(3);
    char folder[64];
    struct meter_options meter_options = {.folder = folder, .segment_bytes = 65536};
    struct ship_options ship_options;
    struct meter_stats stats;
    struct meter *m = NULL;
    struct ship *ship = NULL;
    struct house h;
    struct err err;

    (void)state;
    begin(&h);
    snprintf(folder, sizeof(folder), "%s/usage", h.folder);
    must(meter_open(&m, &meter_options, &err), &err);
    stop_server(&h); /* down from the start */
    ship_options = (struct ship_options){.meter = m,
                                         .loop = &h.loop,
                                         .fetcher = h.fetcher,
                                         .ledger_url = h.url,
                                         .token = give_token,
                                         .user = &h};
    must(ship_new(&ship, &ship_options, &err), &err);
    for (uint64_t i = 1; i <= 1500; i++) { /* snapshots of one attempt are joined */
        struct usage_record record = i % 3 == 0 ? records_final(i / 3) : records_running(i / 3, 1);

        must(meter_append(m, &record, NULL, &err), &err);
    }
    snprintf(other.tenant, sizeof(other.tenant), "thief"); /* contradicts request 3 */
    must(meter_append(m, &other, NULL, &err), &err);
    must(meter_flush(m, 5000, &err), &err);
    for (int i = 0; i < 400; i++)
        loop_turn(&h.loop, 1);
    assert_true(ship_stats(ship)->failing);
    meter_stats(m, &stats);
    assert_int_equal(stats.acked, 0);

    start_server(&h);
    assert_true(wait_acked(&h, m, 1501));
    assert_false(ship_stats(ship)->failing);
    assert_true(ship_stats(ship)->shipped < 1200);
    assert_int_equal(ship_stats(ship)->refused, 1);
    meter_stats(m, &stats);
    assert_int_equal(stats.quarantined, 1);
    assert_int_equal(
        call(&h, "GET", "/internal/v1/report?from=2026-11-22&to=2026-11-23&group_by=tenant", NULL),
        200);
    assert_true(body_has(&h, "\"tenant\":\"acme\",\"unpriced\":true"));
    assert_false(body_has(&h, "thief"));
    assert_int_equal(call(&h, "GET", "/metrics", NULL), 200);
    assert_true(body_has(&h, "spate_ledger_records_total{result=\"refused\"} 1"));
    ship_close(ship);
    end(&h);
    meter_close(m);
}

static void a_key_made_later_is_found(void **state)
{
    struct house h;
    int status = 0;

    (void)state;
    begin(&h);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 200);
    must(token_key_make(&h.key, NULL), NULL); /* a new operator */
    make_token(&h, TOKEN_AUDIENCE_LEDGER);
    assert_int_equal(call(&h, "GET", "/internal/v1/runs", NULL), 401);
    write_public_key(&h);
    for (int i = 0; i < 1000 && status != 200; i++) {
        loop_turn(&h.loop, 10);
        status = call(&h, "GET", "/internal/v1/runs", NULL);
    }
    assert_int_equal(status, 200);
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_its_own_tokens_open_the_ledger),
        cmocka_unit_test(broken_calls_get_one_line),
        cmocka_unit_test(the_report_prices_what_has_a_price),
        cmocka_unit_test(runs_can_be_reconciled),
        cmocka_unit_test(the_log_is_shipped_through_an_outage),
        cmocka_unit_test(a_key_made_later_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
