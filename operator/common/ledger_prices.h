/* SPDX-License-Identifier: Apache-2.0 */
/* A price version to the ledger, and its answer as the result of a command. Loop thread. */
#ifndef SPATE_OPERATOR_COMMON_LEDGER_PRICES_H
#define SPATE_OPERATOR_COMMON_LEDGER_PRICES_H

#include "base/fetch.h"
#include "operator/common/results.h"
#include "operator/common/signer.h"

/* The url is the ledger's, without a path. Whatever happens, `results` gets one result. */
void ledger_prices_post(struct fetcher *fetcher, struct signer *signer, struct results *results,
                        uint64_t ticket, struct str url, struct str json);

#endif
