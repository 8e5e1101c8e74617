/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that the operator signs: for itself, kept an hour each, and for gateways. Loop thread. */
#ifndef SPATE_OPERATOR_COMMON_SIGNER_H
#define SPATE_OPERATOR_COMMON_SIGNER_H

#include "base/clock.h"
#include "wire/token.h"

enum { SIGNER_OWN_TOKENS = 3 };

struct signer {
    const struct clock *clock;
    struct token_key key;
    struct signer_token { /* private */
        const char *audience;
        char text[TOKEN_TEXT_MAX + 1];
        int64_t made_s;
    } own[SIGNER_OWN_TOKENS];
};

/* A token of the operator for one of the TOKEN_AUDIENCE_*. Valid until the loop turns; NULL without
 * memory. */
const char *signer_token(struct signer *signer, const char *audience);
/* Appends a token for `subject`. */
int signer_sign(const struct signer *signer, const char *audience, const char *subject,
                struct buf *out, struct err *err);

#endif
