/* SPDX-License-Identifier: Apache-2.0 */
/* Operator and ledger of the gateway's bench: see control_plane.h. */
#include "control_plane.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/ingest.h"
#include "wire/load.h"
#include "wire/routes.h"

enum { BODY_MAX = 16 << 20 };

#define VERSION "bench:1:1"

static void put_tenant(struct buf *out)
{
    char hash[SHA256_HEX_LEN + 1];

    sha256_hex(STR(CONTROL_PLANE_KEY), hash);
    buf_printf(out,
               "{\"name\":\"bench\",\"priority\":0,\"requests_per_minute\":0,\"concurrency\":0,"
               "\"price_version\":1,\"namespaces\":[\"default\"],\"models\":[],"
               "\"keys\":[{\"id\":\"bench-key\",\"sha256\":\"%s\"}]}",
               hash);
}

static void put_pods(struct buf *out, struct str addresses, int slots)
{
    int index = 0;

    while (addresses.len > 0) {
        struct str line = str_cut(&addresses, '\n');

        buf_printf(out,
                   "%s{\"name\":\"stub-%d\",\"uid\":\"stub-%d\",\"address\":\"%.*s\","
                   "\"draining\":false,\"slots\":%d,\"digest\":\"\"}",
                   index > 0 ? "," : "", index, index, STR_ARG(line), slots);
        index++;
    }
}

static int make_routes(struct buf *out, struct str addresses, int slots, struct err *err)
{
    buf_append_text(out, "{\"version\":\"" VERSION "\",\"tenants\":[");
    put_tenant(out);
    buf_append_text(out, "],\"models\":[{\"name\":\"default/stub\",\"short_name\":\"stub\","
                         "\"created\":1700000000,\"context_max\":0,\"can_wake\":true,"
                         "\"hold_reason\":\"\",\"pods\":[");
    put_pods(out, addresses, slots);
    buf_append_text(out, "]}]}");
    return buf_check(out, "the route snapshot", err);
}

static void respond_nothing_new(void *object)
{
    struct control_plane *p = object;

    if (p->waiting == NULL)
        return;
    http_respond(p->waiting, 204, NULL, STR_NONE);
    p->waiting = NULL;
}

static void on_gateway_gone(struct http_exchange *x)
{
    struct control_plane *p = x->user;

    loop_timer_stop(&p->timer);
    p->waiting = NULL;
    http_abort(x);
}

static void routes(struct control_plane *p, struct http_exchange *x)
{
    if (str_find(x->query, STR("have=" VERSION)) < 0) {
        http_respond(x, 200, "application/json", buf_str(&p->routes));
        return;
    }
    p->acknowledged = true;
    respond_nothing_new(p);
    p->waiting = x;
    x->user = p;
    x->on_disconnect = on_gateway_gone;
    loop_timer_start(p->loop, &p->timer, ROUTES_WAIT_MS / 2);
}

static void ingest(struct control_plane *p, struct http_exchange *x)
{
    struct str rest = x->body;
    struct buf body;
    int64_t at;

    buf_init(&body, BODY_MAX);
    buf_append_text(&body, "{\"results\":[");
    for (int i = 0; (at = str_find(rest, STR("\"request_id\""))) >= 0; i++) {
        buf_append_text(&body, i > 0 ? ",\"ok\"" : "\"ok\"");
        rest = str_slice(rest, (size_t)at + 1, rest.len);
        p->records++;
    }
    buf_append_text(&body, "]}");
    http_respond(x, 200, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void handle(struct http_exchange *x, void *user)
{
    struct control_plane *p = user;

    if (str_is(x->path, ROUTES_PATH))
        routes(p, x);
    else if (str_is(x->path, ROUTES_TOKEN_PATH))
        http_respond(x, 200, "application/json",
                     STR("{\"tokens\":{\"agent\":\"a\",\"ledger\":\"l\",\"operator\":\"o\"}}"));
    else if (str_is(x->path, LEDGER_INGEST_PATH))
        ingest(p, x);
    else
        http_respond(x, 200, "application/json", STR("{}"));
}

int control_plane_init(struct control_plane *p, struct loop *loop, struct str addresses, int slots,
                       struct err *err)
{
    int r;

    *p = (struct control_plane){.loop = loop};
    buf_init(&p->routes, BODY_MAX);
    loop_timer_init(&p->timer, respond_nothing_new, p);
    if ((r = make_routes(&p->routes, addresses, slots, err)) < 0 ||
        (r = http_server_new(&p->server, loop,
                             &(struct http_server_options){.handler = handle, .user = p}, err)) < 0)
        return r;
    p->port = http_server_listen(p->server, "127.0.0.1:0", err);
    return p->port < 0 ? p->port : 0;
}

void control_plane_fini(struct control_plane *p)
{
    loop_timer_stop(&p->timer);
    respond_nothing_new(p);
    http_server_close(p->server);
    buf_fini(&p->routes);
}
