/* SPDX-License-Identifier: Apache-2.0 */
/* What gateways call: tokens for their secret, routes by long poll, load reports. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "operator/common/must.h"
#include "operator/endpoints/endpoints.h"

#define SUBJECT_PREFIX "gateway/"

enum { GATEWAY_NAME_MAX = 63 };

static void refuse_gateway(struct http_exchange *x, const char *why)
{
    endpoints_refuse(x, 401, "Unauthorized", why);
}

/* --- tokens ----------------------------------------------------------------------------------- */

static int add_token(const struct endpoints *e, struct json_writer *w, const char *audience,
                     struct str gateway, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char subject[GATEWAY_NAME_MAX + sizeof(SUBJECT_PREFIX)];
    int r;

    snprintf(subject, sizeof(subject), SUBJECT_PREFIX "%.*s", STR_ARG(gateway));
    buf_init(&text, TOKEN_TEXT_MAX);
    r = signer_sign(e->host.signer, audience, subject, &text, err);
    if (r == 0)
        json_put_str(w, audience, buf_str(&text));
    return r;
}

static int write_tokens(const struct endpoints *e, struct str gateway, struct buf *body,
                        struct err *err)
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

/* A gateway that has shown its credential, and waits to hear whether it is taken. */
struct admission {
    struct endpoints *e;
    struct http_exchange *x;
    char gateway[GATEWAY_NAME_MAX + 1];
};

static void admitted(void *user, int code, const struct err *err)
{
    struct admission *admission = user;
    struct http_exchange *x = admission->x;
    CLEANUP(buf_fini) struct buf body = {0};
    struct err failure = {0};

    buf_init(&body, 4 * TOKEN_TEXT_MAX);
    if (code == 0)
        code = write_tokens(admission->e, str_of(admission->gateway), &body, &failure);
    else
        failure = *err;
    mem_free(admission);
    if (code == -ERR_DENIED)
        refuse_gateway(x, err_message(&failure));
    else if (code < 0)
        endpoints_fail(x, code, &failure);
    else
        endpoints_send(x, 200, &body);
}

void endpoints_tokens(struct endpoints *e, struct http_exchange *x)
{
    struct str credential = http_bearer_token(&x->headers);
    struct admission *admission;
    json_auto_t *tree = NULL;
    struct err err = {0};
    struct str gateway;
    int r;

    if (credential.len == 0) {
        refuse_gateway(x, "the gateway's credential is missing: send it as bearer token");
        return;
    }
    r = json_read(&tree, x->body, &json_limits_default, "request body", &err);
    if (r == 0)
        r = json_get_str(tree, "gateway", true, &gateway, &err);
    if (r == 0 && !str_is_dns_label(gateway))
        r = err_set(&err, ERR_INVALID,
                    "gateway: its name must be a DNS label of lower-case letters, digits and '-'");
    if (r < 0) {
        endpoints_fail(x, r, &err);
        return;
    }
    admission = must(mem_alloc(sizeof(*admission)));
    admission->e = e;
    admission->x = x;
    snprintf(admission->gateway, sizeof(admission->gateway), "%.*s", STR_ARG(gateway));
    e->host.gateway_admit(e->host.user, credential, gateway, admitted, admission);
}

/* The gateway that the token speaks for; refuses the exchange and returns false if none. */
static bool authenticate(const struct endpoints *e, struct http_exchange *x,
                         struct token_claims *claims, struct str *gateway)
{
    struct err err = {0};
    struct str subject;
    int r =
        token_verify(claims, http_bearer_token(&x->headers), e->host.signer->key.public_key,
                     TOKEN_AUDIENCE_OPERATOR, clock_wall_ms(e->host.signer->clock) / 1000, &err);

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

void endpoints_release(struct endpoints *e)
{
    e->has_routes = false;
    buf_clear(&e->routes);
    while (e->waiters != NULL)
        waited_enough(e->waiters);
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
    if (e->host.relay != NULL && e->host.relay(e->host.user, x))
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
        e->host.ack(e->host.user, gateway, run, &have);
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
    if (e->host.relay != NULL && e->host.relay(e->host.user, x))
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
    e->host.load(e->host.user, &report);
    http_respond(x, 200, "application/json", STR("{}"));
}
