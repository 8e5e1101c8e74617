/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways are told of routes while leaders come and go. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "operator/endpoints/endpoints.h"

enum { TEXT_MAX = 4096, TURN_MS = 10, TURNS_MAX = 500, TURNS_OF_A_WAIT = 20 };

struct stage {
    struct loop loop;
    struct http_server *server;
    struct fetcher *client;
    struct signer signer;
    struct endpoints endpoints;
    char url[128], token[TOKEN_TEXT_MAX + 1];
    int status; /* of the answer; 0: none yet */
    char answer[TEXT_MAX];
};

static void take_ack(void *user, struct str gateway, struct id128 run,
                     const struct routes_version *have)
{
    (void)user;
    (void)gateway;
    (void)run;
    (void)have;
}

static void serve(struct http_exchange *x, void *user)
{
    endpoints_routes(user, x);
}

static void begin(struct stage *s)
{
    const struct http_server_options options = {.handler = serve, .user = &s->endpoints};
    struct buf token = {0};
    int port;

    assert_int_equal(loop_init(&s->loop, NULL), 0);
    assert_int_equal(fetcher_new(&s->client, &s->loop, NULL), 0);
    assert_int_equal(http_server_new(&s->server, &s->loop, &options, NULL), 0);
    port = http_server_listen(s->server, "127.0.0.1:0", NULL);
    assert_true(port > 0);
    snprintf(s->url, sizeof(s->url),
             "http://127.0.0.1:%d/internal/v1/routes?run=00000000000000000000000001", port);
    s->signer.clock = clock_system();
    assert_int_equal(token_key_make(&s->signer.key, NULL), 0);
    buf_init(&token, TOKEN_TEXT_MAX);
    assert_int_equal(
        signer_sign(&s->signer, TOKEN_AUDIENCE_OPERATOR, "gateway/gateway-0", &token, NULL), 0);
    snprintf(s->token, sizeof(s->token), "%.*s", STR_ARG(buf_str(&token)));
    buf_fini(&token);
    s->endpoints.loop = &s->loop;
    s->endpoints.host = (struct endpoints_host){.signer = &s->signer, .ack = take_ack};
    buf_init(&s->endpoints.routes, ENDPOINTS_ANSWER_MAX);
}

static void end(struct stage *s)
{
    http_server_close(s->server);
    fetcher_close(s->client);
    loop_turn(&s->loop, 1);
    buf_fini(&s->endpoints.routes);
    loop_fini(&s->loop);
}

static void publish(struct stage *s, const char *version)
{
    struct routes *routes = NULL;
    json_auto_t *tree =
        json_pack("{s:s, s:[], s:[], s:[]}", "version", version, "models", "routes", "tenants");

    assert_int_equal(routes_read(&routes, tree, NULL), 0);
    endpoints_publish(&s->endpoints, routes);
}

static void answered(void *user, int status, struct str body, const struct err *err)
{
    struct stage *s = user;

    s->status = err == NULL ? status : -1;
    snprintf(s->answer, sizeof(s->answer), "%.*s", STR_ARG(body));
}

static void ask(struct stage *s)
{
    const struct fetch_options options = {
        .url = s->url, .bearer_token = s->token, .on_done = answered, .user = s};

    s->status = 0;
    assert_int_equal(fetch_start(NULL, s->client, &options, NULL), 0);
}

static void turn(struct stage *s, int turns)
{
    for (int i = 0; i < turns && s->status == 0; i++)
        loop_turn(&s->loop, TURN_MS);
}

static void assert_version(const struct stage *s, const char *version)
{
    assert_int_equal(s->status, 200);
    if (strstr(s->answer, version) == NULL)
        fail_msg("%s is not of version %s", s->answer, version);
}

static void who_has_no_routes_gets_the_newest(void **state)
{
    struct stage s = {0};

    (void)state;
    begin(&s);
    publish(&s, "inst:1:4");
    ask(&s);
    turn(&s, TURNS_MAX);
    assert_version(&s, "inst:1:4");
    end(&s);
}

/* In the meantime another led: keys were revoked, pods replaced. */
static void a_leader_that_returns_has_no_routes_at_first(void **state)
{
    struct stage s = {0};

    (void)state;
    begin(&s);
    publish(&s, "inst:1:4");
    endpoints_release(&s.endpoints);
    ask(&s);
    turn(&s, TURNS_OF_A_WAIT);
    assert_int_equal(s.status, 0);
    publish(&s, "inst:3:1");
    turn(&s, TURNS_MAX);
    assert_version(&s, "inst:3:1");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_no_routes_gets_the_newest),
        cmocka_unit_test(a_leader_that_returns_has_no_routes_at_first),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
