/* SPDX-License-Identifier: Apache-2.0 */
/* API keys and the tenants that hold them: see keys.h. */
#include "cli/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/fetch.h"
#include "base/mem.h"
#include "cli/cli.h"

#define KEY_PREFIX "sk-spate-"

enum { KEY_ASK_MS = 10, ANSWER_MAX = 32 << 20, CHANGE_TRIES = 20 };

void key_of_text(struct key *out, const char *text)
{
    snprintf(out->text, sizeof(out->text), "%s", text);
    sha256_hex(str_of(out->text), out->sha256);
}

int key_make(struct key *out, const struct rng *rng, struct err *err)
{
    uint8_t random[KEY_RANDOM_BYTES];
    CLEANUP(buf_fini) struct buf text = {0};
    const char *plain;

    rng_fill(rng, random, sizeof(random));
    buf_init(&text, KEY_TEXT_MAX);
    buf_append_text(&text, KEY_PREFIX);
    base64url_append(&text, random, sizeof(random));
    plain = buf_cstr(&text);
    if (plain == NULL || text.failed)
        return err_no_memory(err);
    key_of_text(out, plain);
    return 0;
}

static json_t *keys_of(const json_t *tenant)
{
    return json_object_get(json_object_get(tenant, "spec"), "keys");
}

bool key_is_listed(const json_t *tenant, const char *sha256)
{
    const json_t *key;
    size_t i;

    json_array_foreach (keys_of(tenant), i, key) {
        if (str_is(json_str(json_object_get(key, "sha256")), sha256))
            return true;
    }
    return false;
}

static bool find_id(const json_t *keys, const char *id, size_t *index)
{
    for (size_t i = 0; i < json_array_size(keys); i++) {
        if (str_is(json_str(json_object_get(json_array_get(keys, i), "id")), id)) {
            *index = i;
            return true;
        }
    }
    return false;
}

int key_add(json_t *tenant, const char *id, const char *sha256, struct err *err)
{
    json_t *spec = json_object_get(tenant, "spec");
    json_t *keys = json_object_get(spec, "keys");
    size_t index;

    if (find_id(keys, id, &index))
        return err_set(err, ERR_EXISTS, "the tenant has a key \"%s\" already; choose another --id",
                       id);
    if (keys == NULL) {
        keys = json_array();
        if (json_object_set_new(spec, "keys", keys) < 0)
            return err_no_memory(err);
    }
    if (json_array_append_new(keys, json_pack("{s:s, s:s}", "id", id, "sha256", sha256)) < 0)
        return err_no_memory(err);
    return 0;
}

int key_remove(json_t *tenant, const char *id, struct err *err)
{
    json_t *keys = keys_of(tenant);
    size_t index;

    if (!find_id(keys, id, &index))
        return err_set(err, ERR_NOT_FOUND,
                       "the tenant has no key \"%s\"; list them with `spate tenant key list`", id);
    return json_array_remove(keys, index) < 0 ? err_no_memory(err) : 0;
}

/* The status of a call that only needs a key, or a negative error. */
static int ask_gateway(const struct api *api, const char *text, uint64_t timeout_ms,
                       struct err *err)
{
    CLEANUP(buf_fini) struct buf body = {0};
    char url[512];
    struct fetch_options options = {
        .url = url,
        .bearer_token = text,
        .connect_timeout_ms = timeout_ms,
        .timeout_ms = timeout_ms,
    };

    snprintf(url, sizeof(url), "%s/v1/models", api->endpoints.gateway_url);
    buf_init(&body, ANSWER_MAX);
    return fetch_wait(&options, &body, err);
}

int key_wait(const struct api *api, const char *text, int64_t patience_ms, struct err *err)
{
    int64_t end_ms = clock_mono_ms(clock_system()) + patience_ms;
    int64_t left_ms = patience_ms;
    int status;

    if (api->endpoints.gateway_url == NULL)
        return err_set(err, ERR_NETWORK, "no gateway runs yet");
    while (left_ms > 0) {
        status = ask_gateway(api, text, (uint64_t)left_ms, err);
        if (status == 200)
            return 0;
        if (status < 0 && status != -ERR_TIMEOUT)
            return err_wrap(err, status, "the gateway at %s", api->endpoints.gateway_url);
        cli_sleep_ms(KEY_ASK_MS);
        left_ms = end_ms - clock_mono_ms(clock_system());
    }
    return err_set(err, ERR_TIMEOUT, "the gateway at %s does not take the key yet",
                   api->endpoints.gateway_url);
}

int tenant_fetch(json_t **out, const struct api *api, const char *name, struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    int r = api_path(&path, api_resource_of(crd_kinds[CRD_TENANT]), "", name, err);

    return r < 0 ? r : api_get(api, path, out, err);
}

int tenant_store(const struct api *api, const char *name, const json_t *tenant, struct err *err)
{
    CLEANUP(mem_freep) char *path = NULL;
    int r = api_path(&path, api_resource_of(crd_kinds[CRD_TENANT]), "", name, err);

    return r < 0 ? r : api_apply(api, path, tenant, NULL, err);
}

static int change_once(const struct api *api, const char *name, tenant_change_fn change, void *user,
                       struct err *err)
{
    json_auto_t *tenant = NULL;
    int r = tenant_fetch(&tenant, api, name, err);

    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    r = change(user, &tenant, err);
    if (r != 0)
        return r;
    r = tenant_store(api, name, tenant, err);
    return r < 0 ? r : 0;
}

int tenant_change(const struct api *api, const char *name, tenant_change_fn change, void *user,
                  struct err *err)
{
    int r = -ERR_CONFLICT;

    for (int i = 0; i < CHANGE_TRIES && r == -ERR_CONFLICT; i++)
        r = change_once(api, name, change, user, err);
    return r;
}
