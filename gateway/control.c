/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and routes: see control.h. The load is in control_load.c. */
#include "gateway/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/control_private.h"

const char *control_token(const struct control *c, const char *audience)
{
    for (int i = 0; i < CONTROL_TOKENS; i++) {
        if (strcmp(c->tokens[i].audience, audience) == 0)
            return c->tokens[i].text[0] == '\0' ? NULL : c->tokens[i].text;
    }
    return NULL;
}

bool control_has_routes(const struct control *c)
{
    return c->g->table.routes != NULL;
}

char *control_url(const struct control *c, const char *path)
{
    size_t size = strlen(c->g->settings->operator_url) + strlen(path) + 1;
    char *url = mem_alloc(size);

    if (url != NULL)
        snprintf(url, size, "%s%s", c->g->settings->operator_url, path);
    return url;
}

/* --- tokens --------------------------------------------------------------------------------- */

static int take_tokens(struct control *c, struct str text, struct err *err)
{
    json_auto_t *tree = NULL;
    json_t *tokens = NULL;
    int r = json_read(&tree, text, &json_limits_default, "tokens", err);

    if (r == 0)
        r = json_get_object(tree, "tokens", true, &tokens, err);
    for (int i = 0; r == 0 && i < CONTROL_TOKENS; i++) {
        struct str token;

        r = json_get_str(tokens, c->tokens[i].audience, true, &token, err);
        if (r == 0 && token.len >= sizeof(c->tokens[i].text))
            r = err_set(err, ERR_LIMIT, "a token is longer than %zu bytes",
                        sizeof(c->tokens[i].text) - 1);
        if (r == 0)
            snprintf(c->tokens[i].text, sizeof(c->tokens[i].text), "%.*s", STR_ARG(token));
    }
    return r;
}

static void on_tokens(void *user, int status, struct str body, const struct err *failure)
{
    struct control *c = user;
    struct err err = {0};

    c->token_fetch = NULL;
    if (failure != NULL || status != 200 || take_tokens(c, body, &err) < 0) {
        if (!c->token_trouble)
            log_warn("no tokens from the operator", LOG_I64("status", status),
                     LOG_ERR(failure != NULL ? failure : &err));
        c->token_trouble = true;
        loop_timer_start(&c->g->loop, &c->token_timer, CONTROL_RETRY_MS);
        return;
    }
    c->token_trouble = false;
    keep_put(&c->tokens_kept, body);
    loop_timer_start(&c->g->loop, &c->token_timer, (uint64_t)TOKEN_RENEW_S * 1000);
    control_poll_soon(c, 0);
    control_load_changed(c);
}

/* The credential is read each time: it may be replaced while we run. */
static void ask_tokens(void *object)
{
    struct control *c = object;
    CLEANUP(mem_freep) char *url = control_url(c, ROUTES_TOKEN_PATH);
    char body[160];
    struct buf credential;
    struct err err = {0};
    int r;

    buf_init(&credential, 4096);
    r = file_read(c->g->settings->credential_file, &credential, &err);
    if (r == 0 && (url == NULL || buf_cstr(&credential) == NULL))
        r = err_no_memory(&err);
    if (r == 0) {
        credential.len = str_trim(buf_str(&credential)).len;
        snprintf(body, sizeof(body), "{\"gateway\":\"%s\"}", c->g->settings->name);
        r = fetch_start(&c->token_fetch, c->g->fetcher,
                        &(struct fetch_options){
                            .method = "POST",
                            .url = url,
                            .body = str_of(body),
                            .bearer_token = buf_cstr(&credential),
                            .timeout_ms = 5000,
                            .on_done = on_tokens,
                            .user = c,
                        },
                        &err);
    }
    buf_fini(&credential);
    if (r < 0) {
        if (!c->token_trouble)
            log_warn("the operator can't be asked for tokens", LOG_ERR(&err));
        c->token_trouble = true;
        loop_timer_start(&c->g->loop, &c->token_timer, CONTROL_RETRY_MS);
    }
}

/* --- routes --------------------------------------------------------------------------------- */

static void dispatch_all(struct gateway *g)
{
    struct map_entry *e;

    for (size_t at = 0; (e = map_next(&g->table.models, &at)) != NULL;) {
        struct gw_model *m = e->value;

        if (m->queued > 0)
            flight_dispatch(g, m);
    }
}

static int take_routes(struct control *c, struct str text, struct err *err)
{
    static const struct json_limits limits = {.max_bytes = KEEP_BYTES_MAX, .max_depth = 12};
    json_auto_t *tree = NULL;
    struct routes *routes = NULL;
    int r = json_read(&tree, text, &limits, "route snapshot", err);

    if (r == 0)
        r = routes_read(&routes, tree, err);
    if (r == 0)
        r = table_apply(&c->g->table, routes, err);
    return r;
}

static void note_version(struct control *c)
{
    buf_clear(&c->version);
    if (c->g->table.routes != NULL)
        routes_version_format(&c->g->table.routes->version, &c->version);
}

static void on_routes(void *user, int status, struct str body, const struct err *failure)
{
    struct control *c = user;
    struct err err = {0};
    int r = 0;

    c->routes_fetch = NULL;
    if (failure == NULL && status == 200) {
        r = take_routes(c, body, &err);
        if (r > 0) {
            note_version(c);
            keep_put(&c->routes_kept, body);
            dispatch_all(c->g);
        }
    } else if (failure != NULL || status != 204) {
        r = err_set(&err, ERR_NETWORK, "%s",
                    failure != NULL ? err_message(failure) : "the operator refused");
    }
    if (status == 401)
        loop_timer_start(&c->g->loop, &c->token_timer, CONTROL_RETRY_MS);
    if (r < 0 && !c->routes_trouble)
        log_warn("no routes from the operator; serving with those in force",
                 LOG_I64("status", status), LOG_ERR(&err));
    if (r >= 0 && c->routes_trouble)
        log_info("routes from the operator again");
    c->routes_trouble = r < 0;
    /* An operator that answers with what is not newer must not be asked in a tight circle. */
    control_poll_soon(c, r < 0 || (r == 0 && status == 200) ? CONTROL_RETRY_MS : 0);
}

/* Asks for what is newer than the version in force, and so acknowledges that one. */
static void poll_routes(void *object)
{
    struct control *c = object;
    const char *token = control_token(c, TOKEN_AUDIENCE_OPERATOR);
    CLEANUP(mem_freep) char *url = NULL;
    char run[ID_TEXT_LEN + 1];
    char path[512];
    struct err err = {0};

    if (token == NULL || c->routes_fetch != NULL)
        return;
    id_format(c->g->run_id, run);
    snprintf(path, sizeof(path), ROUTES_PATH "?gateway=%s&run=%s&have=%.*s", c->g->settings->name,
             run, STR_ARG(buf_str(&c->version)));
    url = control_url(c, path);
    if (url == NULL || fetch_start(&c->routes_fetch, c->g->fetcher,
                                   &(struct fetch_options){
                                       .url = url,
                                       .bearer_token = token,
                                       .stall_timeout_ms = ROUTES_WAIT_MS + CONTROL_HUNG_MS,
                                       .timeout_ms = ROUTES_WAIT_MS + CONTROL_TRANSFER_MS,
                                       .max_bytes = KEEP_BYTES_MAX,
                                       .on_done = on_routes,
                                       .user = c,
                                   },
                                   &err) < 0)
        control_poll_soon(c, CONTROL_RETRY_MS);
}

void control_poll_soon(struct control *c, uint64_t delay_ms)
{
    loop_timer_start(&c->g->loop, &c->routes_timer, delay_ms);
}

/* --- start ---------------------------------------------------------------------------------- */

/* What an earlier run kept; a damaged file is as good as none. After a crash the routes may be
 * older than those that were in force, by the time of a write: a key that was revoked in that time
 * is good again until the operator, who is asked at once, has answered. */
static void read_kept(struct control *c)
{
    struct err err = {0};
    struct buf text;

    buf_init(&text, KEEP_BYTES_MAX);
    if (keep_read(&c->tokens_kept, &text, &err) > 0 && take_tokens(c, buf_str(&text), &err) < 0)
        log_warn("kept tokens are unreadable", LOG_ERR(&err));
    buf_clear(&text);
    if (keep_read(&c->routes_kept, &text, &err) > 0 && take_routes(c, buf_str(&text), &err) < 0)
        log_warn("the kept route snapshot is unreadable", LOG_ERR(&err));
    buf_fini(&text);
    note_version(c);
}

static void control_freep(struct control **c)
{
    control_free(*c);
}

int control_new(struct control **out, struct gateway *g, struct err *err)
{
    static const char *const audiences[CONTROL_TOKENS] = {
        TOKEN_AUDIENCE_AGENT, TOKEN_AUDIENCE_LEDGER, TOKEN_AUDIENCE_OPERATOR};
    CLEANUP(control_freep) struct control *c = mem_alloc(sizeof(*c));
    int r;

    if (c == NULL)
        return err_no_memory(err);
    c->g = g;
    for (int i = 0; i < CONTROL_TOKENS; i++)
        c->tokens[i].audience = audiences[i];
    buf_init(&c->version, 256);
    loop_timer_init(&c->token_timer, ask_tokens, c);
    loop_timer_init(&c->routes_timer, poll_routes, c);
    control_load_init(c);
    if ((r = keep_init(&c->tokens_kept, &g->loop, g->settings->state, "tokens.json", err)) < 0 ||
        (r = keep_init(&c->routes_kept, &g->loop, g->settings->state, "routes.json", err)) < 0)
        return r;
    read_kept(c);
    loop_timer_start(&g->loop, &c->token_timer, 0);
    control_poll_soon(c, 0);
    *out = STEAL(c);
    return 0;
}

static void stop_asking(struct control *c)
{
    loop_timer_stop(&c->token_timer);
    loop_timer_stop(&c->routes_timer);
    fetch_cancel(c->token_fetch);
    fetch_cancel(c->routes_fetch);
    c->token_fetch = c->routes_fetch = NULL;
}

void control_finish(struct control *c)
{
    stop_asking(c);
    keep_finish(&c->tokens_kept);
    keep_finish(&c->routes_kept);
}

void control_free(struct control *c)
{
    if (c == NULL)
        return;
    stop_asking(c);
    control_load_fini(c);
    buf_fini(&c->version);
    keep_fini(&c->tokens_kept);
    keep_fini(&c->routes_kept);
    mem_free(c);
}
