/* SPDX-License-Identifier: Apache-2.0 */
/*
 * API keys: "sk-spate-" and 32 random bytes as base64url. Only the SHA-256 of the whole text goes
 * into a Tenant; the text is shown once.
 */
#ifndef SPATE_CLI_KEYS_H
#define SPATE_CLI_KEYS_H

#include "base/clock.h"
#include "base/hash.h"
#include "cli/api.h"

enum { KEY_TEXT_MAX = 64, KEY_RANDOM_BYTES = 32 };

struct key {
    char text[KEY_TEXT_MAX];
    char sha256[SHA256_HEX_LEN + 1];
};

int key_make(struct key *out, const struct rng *rng, struct err *err);
/* From a text that is known already. */
void key_of_text(struct key *out, const char *text);

/* True if a Tenant's tree lists the digest. */
bool key_is_listed(const json_t *tenant, const char *sha256);
/* Adds or removes a key in the tree of a Tenant. -ERR_EXISTS, -ERR_NOT_FOUND by its id. */
int key_add(json_t *tenant, const char *id, const char *sha256, struct err *err);
int key_remove(json_t *tenant, const char *id, struct err *err);

/* Waits until the gateway of the installation takes the key, which reaches it a moment after the
 * Tenant is stored. -ERR_TIMEOUT: not within patience_ms; -ERR_NETWORK: there is no gateway to ask.
 */
int key_wait(const struct api *api, const char *text, int64_t patience_ms, struct err *err);

/* Changes the tree of a Tenant that was read. *tenant is NULL if there is none (err says so): it
 * may be made. Positive: there is nothing to write. */
typedef int (*tenant_change_fn)(void *user, json_t **tenant, struct err *err);
/* Reads the Tenant, changes it and writes it back: again if it was changed meanwhile, as by the
 * operator, which writes its status. */
int tenant_change(const struct api *api, const char *name, tenant_change_fn change, void *user,
                  struct err *err);

/* Reads a Tenant, or writes it back (a conflict if it was changed meanwhile). */
int tenant_fetch(json_t **out, const struct api *api, const char *name, struct err *err);
int tenant_store(const struct api *api, const char *name, const json_t *tenant, struct err *err);

#endif
