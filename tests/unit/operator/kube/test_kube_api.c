/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of requests: who is sent when, against a server in the same loop. The rate limit runs
 * by a clock that stands still, so that what waits for it waits until a test moves it. */
#include "cmocka_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/http_server.h"
#include "base/json.h"
#include "base/mem.h"
#include "operator/kube/client/kube_api.h"

enum { TEXT_MAX = 4096, TURN_MS = 10, TURNS_MAX = 1000, IDLE_TURNS = 10, SLOT_MS = 10 };

struct stage {
    struct loop loop;
    struct clock_manual clock;
    struct http_server *server;
    struct kube_api *api;
    struct buf asked;    /* paths that the server was asked for, in order */
    struct buf answered; /* codes that came back, in order */
    bool leads;          /* what fenced calls are told */
    const int *refusals; /* NULL, or what is answered first; 0 at the end */
};

static void serve(struct http_exchange *x, void *user)
{
    struct stage *s = user;
    int status = s->refusals != NULL ? *s->refusals : 0;

    buf_printf(&s->asked, "%.*s ", STR_ARG(x->path));
    if (status == 0) {
        http_respond(x, 200, NULL, STR("{}"));
        return;
    }
    s->refusals++;
    http_respond(x, status, NULL,
                 STR("{\"kind\":\"Status\",\"details\":{\"retryAfterSeconds\":1}}"));
}

static struct kube_config *config_of(int port)
{
    struct kube_config *config = NULL;
    char text[TEXT_MAX];

    snprintf(
        text, sizeof(text),
        "{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"k\","
        "\"user\":\"u\"}}],\"clusters\":[{\"name\":\"k\",\"cluster\":{\"server\":"
        "\"http://127.0.0.1:%d\"}}],\"users\":[{\"name\":\"u\",\"user\":{}}]}",
        port);
    assert_int_equal(kube_config_read(&config, str_of(text), "/", NULL, "a test", NULL), 0);
    return config;
}

static void begin(struct stage *s)
{
    const struct http_server_options server = {.handler = serve, .user = s};
    struct kube_api_options options = {
        .loop = &s->loop,
        .clock = &s->clock.clock,
        .rng = rng_system(),
        .user_agent = "test/1",
        .rate_per_s = 1000 / SLOT_MS,
        .burst = 1,
        .credentials_ms = 3600 * 1000,
    };
    int port;

    *s = (struct stage){0};
    buf_init(&s->asked, TEXT_MAX);
    buf_init(&s->answered, TEXT_MAX);
    clock_manual_init(&s->clock, 0);
    assert_int_equal(loop_init(&s->loop, NULL), 0);
    assert_int_equal(http_server_new(&s->server, &s->loop, &server, NULL), 0);
    port = http_server_listen(s->server, "127.0.0.1:0", NULL);
    assert_true(port > 0);
    options.config = config_of(port);
    assert_int_equal(kube_api_new(&s->api, &options, NULL), 0);
}

static void end(struct stage *s)
{
    kube_api_close(s->api);
    http_server_close(s->server);
    for (int i = 0; i < IDLE_TURNS; i++)
        loop_turn(&s->loop, 0);
    loop_fini(&s->loop);
    buf_fini(&s->asked);
    buf_fini(&s->answered);
}

static void on_done(void *user, const struct kube_answer *answer)
{
    struct stage *s = user;

    buf_printf(&s->answered, "%d ", answer->code == 0 ? answer->http_status : answer->code);
}

static int send_call(struct stage *s, struct kube_request request, const char *target)
{
    request.method = "GET";
    request.target = target;
    request.on_done = on_done;
    request.user = s;
    return kube_api_send(NULL, s->api, &request, NULL);
}

/* Until the server was asked for so much. */
static void wait_asked(struct stage *s, const char *paths)
{
    for (int i = 0; i < TURNS_MAX && s->asked.len < strlen(paths); i++)
        loop_turn(&s->loop, TURN_MS);
    assert_int_equal(s->asked.len, strlen(paths));
}

static void wait_answered(struct stage *s, const char *codes)
{
    for (int i = 0; i < TURNS_MAX && s->answered.len < strlen(codes); i++)
        loop_turn(&s->loop, TURN_MS);
    assert_string_equal(buf_cstr(&s->answered), codes);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void a_full_queue_takes_urgent_calls(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    for (int i = 0; i < KUBE_API_QUEUE_MAX; i++)
        assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), -ERR_BUSY);
    assert_int_equal(send_call(&s, (struct kube_request){.urgent = true}, "/lease"), 0);
    wait_asked(&s, "/lease /write "); /* one by the burst, in whatever order they come */
    assert_non_null(strstr(buf_cstr(&s.asked), "/lease "));
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), -ERR_BUSY);
    end(&s);
}

/* Without moving the clock nothing goes, and each slot lets one go. */
static void watches_pass_by_writes(void **state)
{
    static const char *const order[] = {"/write0 ", "/watch0 ", "/watch1 ", "/write1 ", "/write2 "};
    CLEANUP(buf_fini) struct buf expected = {0};
    struct stage s;

    (void)state;
    begin(&s);
    buf_init(&expected, TEXT_MAX);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write0"), 0);
    wait_asked(&s, "/write0 "); /* by the burst; and its answer is on its way */
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write1"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write2"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){.ahead = true}, "/watch0"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){.ahead = true}, "/watch1"), 0);
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        buf_append_text(&expected, order[i]);
        wait_asked(&s, buf_cstr(&expected));
        assert_string_equal(buf_cstr(&s.asked), buf_cstr(&expected));
        clock_manual_advance_ms(&s.clock, SLOT_MS);
    }
    end(&s);
}

static void a_full_queue_takes_watches(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    for (int i = 0; i < KUBE_API_QUEUE_MAX; i++)
        assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){.ahead = true}, "/watch"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/write"), -ERR_BUSY);
    wait_asked(&s, "/watch ");
    assert_string_equal(buf_cstr(&s.asked), "/watch ");
    end(&s);
}

static bool is_leader(void *user)
{
    const struct stage *s = user;

    return s->leads;
}

/* Leadership may be in doubt long after a write was queued: it waits, and others pass by. */
static void a_write_waits_for_its_fence(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    assert_int_equal(send_call(&s, (struct kube_request){.may_send = is_leader}, "/write"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){0}, "/event"), 0);
    wait_asked(&s, "/event ");
    clock_manual_advance_ms(&s.clock, SLOT_MS);
    for (int i = 0; i < IDLE_TURNS; i++)
        loop_turn(&s.loop, TURN_MS);
    assert_string_equal(buf_cstr(&s.asked), "/event ");
    s.leads = true;
    wait_asked(&s, "/event /write ");
    wait_answered(&s, "200 200 ");
    end(&s);
}

/* One that could go at first is asked anew when the rate limit lets it. */
static void a_fence_is_asked_when_its_turn_comes(void **state)
{
    struct stage s;

    (void)state;
    begin(&s);
    s.leads = true;
    assert_int_equal(send_call(&s, (struct kube_request){.may_send = is_leader}, "/write0"), 0);
    assert_int_equal(send_call(&s, (struct kube_request){.may_send = is_leader}, "/write1"), 0);
    wait_asked(&s, "/write0 ");
    s.leads = false;
    clock_manual_advance_ms(&s.clock, SLOT_MS);
    for (int i = 0; i < IDLE_TURNS; i++)
        loop_turn(&s.loop, TURN_MS);
    assert_string_equal(buf_cstr(&s.asked), "/write0 ");
    end(&s);
}

/* The credentials are not looked at again for an hour: Retry-After alone says when. */
static void retry_after_holds_after_a_401_too(void **state)
{
    static const int refusals[] = {401, 429, 0};
    struct stage s;

    (void)state;
    begin(&s);
    s.refusals = refusals;
    assert_int_equal(send_call(&s, (struct kube_request){.urgent = true, .patient = true}, "/x"),
                     0);
    wait_answered(&s, "200 ");
    assert_string_equal(buf_cstr(&s.asked), "/x /x /x ");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_takes_urgent_calls),
        cmocka_unit_test(watches_pass_by_writes),
        cmocka_unit_test(a_full_queue_takes_watches),
        cmocka_unit_test(a_write_waits_for_its_fence),
        cmocka_unit_test(a_fence_is_asked_when_its_turn_comes),
        cmocka_unit_test(retry_after_holds_after_a_401_too),
    };

    json_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
