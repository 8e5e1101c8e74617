/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that the operator signs: see signer.h. */
#include "operator/common/signer.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

static struct signer_token *slot_of(struct signer *signer, const char *audience)
{
    for (size_t i = 0; i < ARRAY_COUNT(signer->own); i++) {
        struct signer_token *slot = &signer->own[i];

        if (slot->audience == NULL || strcmp(slot->audience, audience) == 0) {
            slot->audience = audience;
            return slot;
        }
    }
    return NULL;
}

int signer_sign(const struct signer *signer, const char *audience, const char *subject,
                struct buf *out, struct err *err)
{
    int64_t now_s = clock_wall_ms(signer->clock) / 1000;
    struct token_claims claims = {.issued_s = now_s, .expires_s = now_s + TOKEN_LIFETIME_S};

    snprintf(claims.audience, sizeof(claims.audience), "%s", audience);
    snprintf(claims.subject, sizeof(claims.subject), "%s", subject);
    return token_sign(out, &signer->key, &claims, err);
}

const char *signer_token(struct signer *signer, const char *audience)
{
    struct signer_token *slot = slot_of(signer, audience);
    int64_t now_s = clock_wall_ms(signer->clock) / 1000;
    CLEANUP(buf_fini) struct buf text = {0};

    if (slot == NULL)
        return NULL;
    if (slot->text[0] != '\0' && now_s - slot->made_s < TOKEN_RENEW_S)
        return slot->text;
    buf_init(&text, TOKEN_TEXT_MAX);
    if (signer_sign(signer, audience, "operator", &text, NULL) < 0)
        return NULL;
    snprintf(slot->text, sizeof(slot->text), "%.*s", STR_ARG(buf_str(&text)));
    slot->made_s = now_s;
    return slot->text;
}
