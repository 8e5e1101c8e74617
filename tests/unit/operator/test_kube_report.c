/* SPDX-License-Identifier: Apache-2.0 */
/* Reports by way of an operator's pod: who may ask, and what becomes of the ledger's answer. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "operator/kube/kube_private.h"

enum { TEXT_MAX = 4096, TURN_MS = 10, TURNS_MAX = 500 };

struct stage {
    struct loop loop;
    struct http_server *operator_server, *ledger_server;
    struct fetcher *client;
    struct kube kube;
    char folder[64], token_file[96], url[96], ledger_url[64];
    int status; /* of the answer; 0: none yet */
    char answer[TEXT_MAX];
};

/* The ledger says what it was asked. */
static void serve_ledger(struct http_exchange *x, void *user)
{
    (void)user;
    http_respond(x, http_bearer_token(&x->headers).len > 0 ? 200 : 401, NULL,
                 str_of(arena_printf(x->arena, "%.*s?%.*s", STR_ARG(x->path), STR_ARG(x->query))));
}

static void serve_operator(struct http_exchange *x, void *user)
{
    if (!kube_handle(user, x))
        http_respond(x, 404, NULL, STR("no such path"));
}

static struct http_server *serve(struct stage *s, http_handler handler, int *port)
{
    const struct http_server_options options = {.handler = handler, .user = &s->kube};
    struct http_server *server = NULL;

    assert_int_equal(http_server_new(&server, &s->loop, &options, NULL), 0);
    *port = http_server_listen(server, "127.0.0.1:0", NULL);
    assert_true(*port > 0);
    return server;
}

static void begin(struct stage *s)
{
    char address[32];
    int port;

    assert_int_equal(loop_init(&s->loop, NULL), 0);
    assert_int_equal(fetcher_new(&s->client, &s->loop, NULL), 0);
    assert_int_equal(fetcher_new(&s->kube.fetcher, &s->loop, NULL), 0);
    snprintf(s->folder, sizeof(s->folder), "/tmp/spate-report-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->token_file, sizeof(s->token_file), "%s/admin-token", s->folder);
    s->kube.platform.rng = rng_system();
    s->kube.signer.clock = clock_system();
    s->kube.options.state = s->folder;
    s->ledger_server = serve(s, serve_ledger, &port);
    snprintf(s->ledger_url, sizeof(s->ledger_url), "http://127.0.0.1:%d", port);
    s->kube.options.ledger_url = s->ledger_url;
    s->operator_server = serve(s, serve_operator, &port);
    snprintf(address, sizeof(address), "127.0.0.1:%d", port);
    snprintf(s->url, sizeof(s->url), "http://%s/internal/v1/report?by=tenant", address);
    assert_int_equal(kube_report_open(&s->kube, address, NULL), 0);
}

static void end(struct stage *s)
{
    http_server_close(s->operator_server);
    http_server_close(s->ledger_server);
    fetcher_close(s->client);
    fetcher_close(s->kube.fetcher);
    loop_fini(&s->loop);
    assert_int_equal(file_remove_tree(s->folder, NULL), 0);
}

static void answered(void *user, int status, struct str body, const struct err *err)
{
    struct stage *s = user;

    s->status = err == NULL ? status : -1;
    snprintf(s->answer, sizeof(s->answer), "%.*s", STR_ARG(body));
}

static int ask(struct stage *s, const char *method, const char *token)
{
    const struct fetch_options options = {
        .method = method, .url = s->url, .bearer_token = token, .on_done = answered, .user = s};

    s->status = 0;
    assert_int_equal(fetch_start(NULL, s->client, &options, NULL), 0);
    for (int i = 0; i < TURNS_MAX && s->status == 0; i++)
        loop_turn(&s->loop, TURN_MS);
    return s->status;
}

static void read_token(const struct stage *s, char token[TEXT_MAX])
{
    struct buf text = {0};

    buf_init(&text, TEXT_MAX - 1);
    assert_int_equal(file_read(s->token_file, &text, NULL), 0);
    snprintf(token, TEXT_MAX, "%.*s", STR_ARG(str_trim(buf_str(&text))));
    buf_fini(&text);
}

static void only_who_reads_the_folder_gets_reports(void **state)
{
    struct stage s = {0};
    char token[TEXT_MAX];
    struct stat about;

    (void)state;
    begin(&s);
    read_token(&s, token);
    assert_int_equal(strlen(token), KUBE_SECRET_HEX);
    assert_int_equal(stat(s.token_file, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);

    assert_int_equal(ask(&s, NULL, NULL), 401);
    assert_non_null(strstr(s.answer, "kubectl exec"));
    assert_int_equal(ask(&s, NULL, "wrong"), 401);
    assert_int_equal(ask(&s, "POST", token), 405);
    assert_int_equal(ask(&s, NULL, token), 200);
    assert_string_equal(s.answer, "/internal/v1/report?by=tenant");

    s.kube.options.ledger_url = NULL;
    assert_int_equal(ask(&s, NULL, token), 503);
    end(&s);
}

/* Without --state there is no token, so nobody has it: an empty one least of all. */
static void without_a_folder_nobody_gets_any(void **state)
{
    struct stage s = {0};

    (void)state;
    begin(&s);
    memset(s.kube.admin_token, 0, sizeof(s.kube.admin_token));
    assert_int_equal(ask(&s, NULL, NULL), 401);
    assert_int_equal(ask(&s, NULL, ""), 401);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_reads_the_folder_gets_reports),
        cmocka_unit_test(without_a_folder_nobody_gets_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
