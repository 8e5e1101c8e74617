/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that internal tokens are signed with: one Secret in our own namespace, made by the first
 * operator that starts and shared by all. The ledger mounts its public half.
 *
 *     GET -> there: read it
 *        \-> missing: make one, POST -> made, or another was faster: GET again
 */
#include <stdio.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "operator/kube/kube_private.h"

enum {
    KEY_BYTES_MAX = 8 << 10,
    KEY_RETRY_MS = 1000,
    KEY_WAIT_MS = 60 * 1000, /* for an API server that answers */
};

static const struct kube_resource secrets_resource = {"", "v1", "secrets", true};

struct key_fetch {
    struct kube *kube;
    char name[KUBE_NAME_TEXT_MAX + 1];
    struct loop_timer retry;
    struct kube_call *call;
    bool done;
    int code; /* of what can't be mended by waiting; else 0 */
    struct err err;
};

static void ask(void *object);

static void again(struct key_fetch *f)
{
    loop_timer_start(f->kube->loop, &f->retry, KEY_RETRY_MS);
}

static int take_key(struct key_fetch *f, struct str body, struct err *err)
{
    CLEANUP(buf_fini) struct buf hex = {0};
    json_auto_t *tree = NULL;
    struct str encoded;
    int r = json_read(&tree, body, &json_limits_default, "Secret", err);

    buf_init(&hex, KEY_BYTES_MAX);
    encoded = json_str(json_object_get(json_object_get(tree, "data"), "token.key"));
    if (r == 0)
        r = base64_decode(&hex, encoded, err);
    if (r == 0)
        r = token_key_read(&f->kube->signer.key, buf_str(&hex), err);
    if (r < 0)
        err_wrap(err, r, "Secret %s: delete it, and a new one is made", f->name);
    return r;
}

/* Refused for good only where waiting can't help. */
static void failed(struct key_fetch *f, const struct kube_answer *answer)
{
    f->err = *answer->err;
    if (answer->code == -ERR_DENIED || answer->code == -ERR_INVALID)
        f->code = answer->code;
    else
        again(f);
}

static void on_created(void *user, const struct kube_answer *answer)
{
    struct key_fetch *f = user;

    f->call = NULL;
    if (answer->code == 0)
        log_info("made the key that internal tokens are signed with", LOG_STR("secret", f->name));
    if (answer->code == 0 || answer->code == -ERR_EXISTS)
        ask(f); /* what the server holds is what counts */
    else
        failed(f, answer);
}

static void put_encoded(struct json_writer *w, const char *key,
                        const uint8_t bytes[TOKEN_KEY_BYTES])
{
    char hex[2 * TOKEN_KEY_BYTES + 1];

    hex_format(bytes, TOKEN_KEY_BYTES, hex);
    json_put_text(w, key, hex);
}

static void make(struct key_fetch *f)
{
    const struct kube_target target = {.resource = &secrets_resource,
                                       .name_space = str_of(f->kube->name_space)};
    CLEANUP(buf_fini) struct buf body = {0};
    struct token_key key;
    struct json_writer w;
    int r = token_key_make(&key, &f->err);

    buf_init(&body, KEY_BYTES_MAX);
    json_writer_init(&w, &body);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", "v1");
    json_put_text(&w, "kind", "Secret");
    json_key(&w, "metadata");
    json_open(&w, '{');
    json_put_text(&w, "name", f->name);
    json_key(&w, "labels");
    json_open(&w, '{');
    json_put_text(&w, "app.kubernetes.io/managed-by", "spate-operator");
    json_close(&w, '}');
    json_close(&w, '}');
    json_key(&w, "stringData");
    json_open(&w, '{');
    put_encoded(&w, "token.key", key.private_key);
    put_encoded(&w, "token.pub", key.public_key);
    json_close(&w, '}');
    json_close(&w, '}');
    if (r == 0)
        r = buf_check(&body, "the Secret", &f->err);
    if (r == 0)
        r = kube_create(f->kube->api, &target, KUBE_MANAGER_KEY, buf_str(&body),
                        (struct kube_reply){on_created, f, &f->call}, &f->err);
    if (r < 0)
        f->code = r;
}

static void on_read(void *user, const struct kube_answer *answer)
{
    struct key_fetch *f = user;

    f->call = NULL;
    if (answer->code == -ERR_NOT_FOUND)
        make(f);
    else if (answer->code < 0)
        failed(f, answer);
    else if ((f->code = take_key(f, answer->body, &f->err)) == 0)
        f->done = true;
}

static void ask(void *object)
{
    struct key_fetch *f = object;
    const struct kube_target target = {.resource = &secrets_resource,
                                       .name_space = str_of(f->kube->name_space),
                                       .name = str_of(f->name)};

    f->code = kube_get(f->kube->api, &target, (struct kube_reply){on_read, f, &f->call}, &f->err);
}

int kube_key_fetch(struct kube *kube, struct err *err)
{
    struct key_fetch f = {.kube = kube};
    int64_t until_ms = clock_mono_ms(kube->platform.clock) + KEY_WAIT_MS;

    snprintf(f.name, sizeof(f.name), "%s-token-key", kube->options.release);
    loop_timer_init(&f.retry, ask, &f);
    ask(&f);
    while (!f.done && f.code == 0 && !*kube->options.ending &&
           clock_mono_ms(kube->platform.clock) < until_ms)
        loop_turn(kube->loop, KEY_RETRY_MS);
    loop_timer_stop(&f.retry);
    kube_call_cancel(f.call);
    if (!f.done && *kube->options.ending)
        return err_set(err, ERR_CANCELLED, "ended while it waited for the signing key");
    if (!f.done) {
        *err = f.err;
        return err_wrap(err, f.code != 0 ? f.code : -ERR_TIMEOUT,
                        "the key for internal tokens can't be had from Secret %s/%s",
                        kube->name_space, f.name);
    }
    hex_format(kube->signer.key.public_key, TOKEN_KEY_BYTES, kube->public_key);
    return 0;
}
