/* SPDX-License-Identifier: Apache-2.0 */
/* See control_rig.h. */
#include "control_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "wire/stream.h"

enum { WAIT_MS = 10000, SNAPSHOT_BYTES_MAX = 16 << 20 };

static void give_tokens(struct http_exchange *x)
{
    http_respond(x, 200, "application/json",
                 STR("{\"tokens\":{\"" TOKEN_AUDIENCE_AGENT "\":\"a\",\"" TOKEN_AUDIENCE_LEDGER
                     "\":\"l\",\"" TOKEN_AUDIENCE_OPERATOR "\":\"o\"}}"));
}

static void write_pods(const struct control_rig *r, int model, struct buf *text)
{
    for (int i = 0; i < r->pods; i++)
        buf_printf(text,
                   "%s{\"name\":\"p%d-%d\",\"uid\":\"u%d-%d\",\"address\":\"%s\",\"slots\":8,"
                   "\"digest\":\"\",\"draining\":false}",
                   i == 0 ? "" : ",", model, i, model, i, r->url + strlen("http://"));
}

static void give_snapshot(struct control_rig *r, struct http_exchange *x)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, SNAPSHOT_BYTES_MAX);
    buf_printf(&text, "{\"version\":\"inst:1:%d\",\"tenants\":[],\"models\":[", ++r->version);
    for (int i = 0; i < r->models; i++) {
        buf_printf(&text,
                   "%s{\"name\":\"team/m%d\",\"short_name\":\"\",\"created\":1,\"context_max\":0,"
                   "\"can_wake\":true,\"hold_reason\":\"\",\"pods\":[",
                   i == 0 ? "" : ",", i);
        write_pods(r, i, &text);
        buf_append_text(&text, "]}");
    }
    buf_append_text(&text, "]}");
    http_respond(x, 200, "application/json", buf_str(&text));
}

static void take_load(struct control_rig *r, struct http_exchange *x)
{
    r->loads++;
    if (r->on_load != NULL)
        r->on_load(r, x->body);
    http_respond(x, r->load_status, "application/json", STR("{}"));
}

static void handle(struct http_exchange *x, void *user)
{
    struct control_rig *r = user;

    if (str_is(x->path, ROUTES_TOKEN_PATH)) {
        give_tokens(x);
    } else if (str_is(x->path, LOAD_PATH)) {
        take_load(r, x);
    } else if (str_is(x->path, STREAM_PATH_USAGE)) {
        r->usage_asked++;
        http_respond(x, 200, "application/json", STR("{\"records\":[]}"));
    } else if (r->version < r->snapshots) {
        give_snapshot(r, x);
    } else {
        assert_null(r->held);
        r->held = x;
    }
}

static void start_operator(struct control_rig *r)
{
    const struct http_server_options options = {.handler = handle, .user = r};
    struct err err = {0};
    int port;

    assert_int_equal(http_server_new(&r->operator, & r->g.loop, &options, &err), 0);
    port = http_server_listen(r->operator, "127.0.0.1:0", &err);
    assert_true(port > 0);
    snprintf(r->url, sizeof(r->url), "http://127.0.0.1:%d", port);
}

static void start_gateway(struct control_rig *r)
{
    struct err err = {0};

    r->settings = (struct gateway_settings){.state = r->folder,
                                            .operator_url = r->url,
                                            .credential_file = r->credential,
                                            .name = "gateway-0"};
    r->g.settings = &r->settings;
    r->g.clock = clock_system();
    r->g.rng = rng_system();
    r->g.run_id = id_make(r->g.clock, r->g.rng);
    assert_int_equal(table_init(&r->g.table), 0);
    assert_int_equal(control_new(&r->g.control, &r->g, &err), 0);
}

static void stop_gateway(struct control_rig *r)
{
    control_finish(r->g.control);
    control_free(r->g.control);
    table_fini(&r->g.table);
    if (r->held != NULL)
        http_respond(r->held, 204, NULL, STR(""));
    r->held = NULL;
}

void control_rig_start(struct control_rig *r)
{
    struct err err = {0};

    snprintf(r->folder, sizeof(r->folder), "control-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->credential, sizeof(r->credential), "%s/credential", r->folder);
    assert_int_equal(file_write_atomic(r->credential, STR("secret"), 0600, &err), 0);
    assert_int_equal(loop_init(&r->g.loop, &err), 0);
    assert_int_equal(fetcher_new(&r->g.fetcher, &r->g.loop, &err), 0);
    start_operator(r);
    start_gateway(r);
}

void control_rig_restart(struct control_rig *r)
{
    stop_gateway(r);
    start_gateway(r);
}

void control_rig_stop(struct control_rig *r)
{
    struct err err = {0};

    stop_gateway(r);
    fetcher_close(r->g.fetcher);
    http_server_close(r->operator);
    loop_turn(&r->g.loop, 0);
    loop_fini(&r->g.loop);
    assert_int_equal(file_remove_tree(r->folder, &err), 0);
}

void control_rig_wait(struct control_rig *r, bool (*is_true)(const struct control_rig *r))
{
    int64_t end_ms = clock_mono_ms(clock_system()) + WAIT_MS;

    while (!is_true(r)) {
        assert_true(clock_mono_ms(clock_system()) < end_ms);
        loop_turn(&r->g.loop, 100);
    }
}
