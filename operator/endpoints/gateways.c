/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways call: tokens for their secret, routes by long poll, load reports. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/endpoints/endpoints.h"
#include "operator/reconcile/must.h"

#define SUBJECT_PREFIX "gateway/"

static void refuse_gateway(struct http_exchange *x, const char *why)
{
    endpoints_refuse(x, 401, "Unauthorized", why);
}

/* --- tokens ----------------------------------------------------------------------------------- */

static bool knows_secret(const struct endpoints *e, const struct http_exchange *x)
{
    struct str given = http_bearer_token(&x->headers);
    uint8_t a[SHA256_BYTES], b[SHA256_BYTES];

    sha256(local_gateway_secret(e->local), a);
    sha256(given, b);
    return given.len > 0 && bytes_equal_secret(a, b, SHA256_BYTES);
}

static int add_token(struct endpoints *e, struct json_writer *w, const char *audience,
                     struct str gateway, struct err *err)
{
    int64_t now_s = clock_wall_ms(clock_system()) / 1000;
    struct token_claims claims = {.issued_s = now_s, .expires_s = now_s + TOKEN_LIFETIME_S};
    CLEANUP(buf_fini) struct buf text = {0};
    int r;

    snprintf(claims.audience, sizeof(claims.audience), "%s", audience);
    snprintf(claims.subject, sizeof(claims.subject), SUBJECT_PREFIX "%.*s", STR_ARG(gateway));
    buf_init(&text, TOKEN_TEXT_MAX);
    r = token_sign(&text, local_token_key(e->local), &claims, err);
    if (r == 0)
        json_put_str(w, audience, buf_str(&text));
    return r;
}

static int write_tokens(struct endpoints *e, struct str gateway, struct buf *body, struct err *err)
{
    static const char *const audiences[] = {TOKEN_AUDIENCE_AGENT, TOKEN_AUDIENCE_LEDGER,
                                            TOKEN_AUDIENCE_OPERATOR};
    struct json_writer w;
    int r = 0;

    json_writer_init(&w, body);
    json_open(&w, '{');
    json_key(&w, "tokens");
    json_open(&w, '{');
    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(audiences); i++)
        r = add_token(e, &w, audiences[i], gateway, err);
    json_close(&w, '}');
    json_close(&w, '}');
    return r;
}

void endpoints_tokens(struct endpoints *e, struct http_exchange *x)
{
    CLEANUP(buf_fini) struct buf body = {0};
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct str gateway;
    int r;

    buf_init(&body, 4 * TOKEN_TEXT_MAX);
    if (!knows_secret(e, x)) {
        refuse_gateway(x, "the gateway's secret is missing or wrong: use STATE/gateway-secret");
        return;
    }
    r = json_read(&tree, x->body, &json_limits_default, "request body", &err);
    if (r == 0)
        r = json_get_str(tree, "gateway", true, &gateway, &err);
    if (r == 0)
        r = local_gateway_register(e->local, gateway, &err);
    if (r == 0)
        r = write_tokens(e, gateway, &body, &err);
    if (r < 0)
        endpoints_fail(x, r, &err);
    else
        endpoints_send(x, 200, &body);
}

/* The gateway that the token speaks for; refuses the exchange and returns false if none. */
static bool authenticate(struct endpoints *e, struct http_exchange *x, struct token_claims *claims,
                         struct str *gateway)
{
    struct err err = {0};
    struct str subject;
    int r =
        token_verify(claims, http_bearer_token(&x->headers), local_token_key(e->local)->public_key,
                     TOKEN_AUDIENCE_OPERATOR, clock_wall_ms(clock_system()) / 1000, &err);

    if (r < 0) {
        refuse_gateway(x, err_message(&err));
        return false;
    }
    subject = str_of(claims->subject);
    if (!str_starts(subject, STR(SUBJECT_PREFIX))) {
        refuse_gateway(x, "the token is not a gateway's");
        return false;
    }
    *gateway = str_slice(subject, strlen(SUBJECT_PREFIX), subject.len);
    return true;
}

/* --- routes ----------------------------------------------------------------------------------- */

struct routes_waiter {
    struct endpoints *e;
    struct http_exchange *x;
    struct loop_timer timer;
    struct routes_waiter *next, **back;
};

static void waiter_free(struct routes_waiter *waiter)
{
    *waiter->back = waiter->next;
    if (waiter->next != NULL)
        waiter->next->back = waiter->back;
    loop_timer_stop(&waiter->timer);
    mem_free(waiter);
}

static void waited_enough(void *object)
{
    struct routes_waiter *waiter = object;
    struct http_exchange *x = waiter->x;

    waiter_free(waiter);
    x->on_disconnect = NULL;
    http_respond(x, 204, NULL, STR_NONE);
}

static void waiter_left(struct http_exchange *x)
{
    waiter_free(x->user);
    http_abort(x);
}

static void wait_for_newer(struct endpoints *e, struct http_exchange *x)
{
    struct routes_waiter *waiter = must(mem_alloc(sizeof(*waiter)));

    waiter->e = e;
    waiter->x = x;
    waiter->next = e->waiters;
    waiter->back = &e->waiters;
    if (waiter->next != NULL)
        waiter->next->back = &waiter->next;
    e->waiters = waiter;
    x->user = waiter;
    x->on_disconnect = waiter_left;
    loop_timer_init(&waiter->timer, waited_enough, waiter);
    loop_timer_start(e->loop, &waiter->timer, ROUTES_WAIT_MS);
}

void endpoints_publish(struct endpoints *e, struct routes *routes)
{
    struct json_writer w;

    buf_clear(&e->routes);
    json_writer_init(&w, &e->routes);
    routes_write(&w, routes);
    if (e->routes.failed) {
        log_error("the route snapshot is too large; gateways keep the last one");
        routes_free(routes);
        return;
    }
    e->version = routes->version;
    snprintf(e->installation, sizeof(e->installation), "%.*s",
             STR_ARG(routes->version.installation));
    e->version.installation = str_of(e->installation);
    e->has_routes = true;
    routes_free(routes);
    while (e->waiters != NULL) {
        struct http_exchange *x = e->waiters->x;

        waiter_free(e->waiters);
        x->on_disconnect = NULL;
        http_respond(x, 200, "application/json", buf_str(&e->routes));
    }
}

void endpoints_routes(struct endpoints *e, struct http_exchange *x)
{
    struct routes_version have = {0};
    struct str text = STR_NONE, run_text = STR_NONE, gateway;
    struct token_claims claims;
    struct id128 run = {{0}};
    struct err err = {0};
    bool has = false;

    if (!authenticate(e, x, &claims, &gateway))
        return;
    http_query_get(x->query, "run", x->arena, &run_text);
    if (!id_parse(run_text, &run)) {
        endpoints_refuse(x, 400, "BadRequest", "run: the id of the gateway's run is missing");
        return;
    }
    if (http_query_get(x->query, "have", x->arena, &text) && text.len > 0) {
        int r = routes_version_parse(&have, text, &err);

        if (r < 0) {
            endpoints_fail(x, r, &err);
            return;
        }
        has = true;
    }
    if (has && e->has_routes && routes_version_compare(&e->version, &have) <= 0)
        wait_for_newer(e, x);
    else if (!e->has_routes)
        wait_for_newer(e, x);
    else
        http_respond(x, 200, "application/json", buf_str(&e->routes));
    if (has) /* last: it may publish, which answers those that wait */
        local_ack(e->local, gateway, run, &have);
}

/* --- load ------------------------------------------------------------------------------------- */

void endpoints_load(struct endpoints *e, struct http_exchange *x)
{
    struct token_claims claims;
    struct load_report report;
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct str gateway;
    int r;

    if (!authenticate(e, x, &claims, &gateway))
        return;
    r = json_read(&tree, x->body, &json_limits_default, "load report", &err);
    if (r == 0)
        r = load_report_read(&report, tree, x->arena, &err);
    if (r == 0 && !str_eq(report.gateway, gateway))
        r = err_set(&err, ERR_DENIED, "gateway: the token is another gateway's");
    if (r < 0) {
        endpoints_fail(x, r, &err);
        return;
    }
    local_load(e->local, &report);
    http_respond(x, 200, "application/json", STR("{}"));
}
