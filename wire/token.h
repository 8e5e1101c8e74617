/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal tokens: JWT (RFC 7519) signed with Ed25519 by the operator, checked with its public key.
 * Valid for a day, renewed each hour. Claims: iss "spate", aud, sub (who: "gateway/NAME"), iat,
 * exp. Nothing else is accepted: no other algorithm, no missing claim.
 */
#ifndef SPATE_WIRE_TOKEN_H
#define SPATE_WIRE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define TOKEN_AUDIENCE_AGENT    "agent"
#define TOKEN_AUDIENCE_LEDGER   "ledger"
#define TOKEN_AUDIENCE_OPERATOR "operator"

enum {
    TOKEN_LIFETIME_S = 86400,
    TOKEN_RENEW_S = 3600,
    TOKEN_SKEW_S = 60,
    TOKEN_TEXT_MAX = 1024,
    TOKEN_KEY_BYTES = 32,
};

struct token_key {
    uint8_t private_key[TOKEN_KEY_BYTES];
    uint8_t public_key[TOKEN_KEY_BYTES];
};

struct token_claims {
    char audience[16];
    char subject[128];
    int64_t issued_s;
    int64_t expires_s;
};

int token_key_make(struct token_key *out, struct err *err);
/* From the private key as hex digits; -ERR_CORRUPT if they are none. */
int token_key_read(struct token_key *out, struct str hex, struct err *err);
/* The private key file (hex, one line, mode 0600): loaded, or made if absent. */
int token_key_load_or_make(struct token_key *out, const char *path, struct err *err);
/* The public key file (hex, one line). */
int token_public_load(uint8_t out[TOKEN_KEY_BYTES], const char *path, struct err *err);

int token_sign(struct buf *out, const struct token_key *key, const struct token_claims *claims,
               struct err *err);
/* Checks signature, issuer, audience and time. -ERR_DENIED with the reason (never the token). */
int token_verify(struct token_claims *out, struct str text,
                 const uint8_t public_key[TOKEN_KEY_BYTES], const char *audience, int64_t now_s,
                 struct err *err);

#endif
