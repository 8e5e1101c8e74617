/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's usage log on its way to the ledger: billing/meter/ship with this gateway's token.
 */
#ifndef SPATE_GATEWAY_SHIPPING_H
#define SPATE_GATEWAY_SHIPPING_H

#include "base/err.h"

struct gateway;
struct usage_shipping;

int shipping_new(struct usage_shipping **out, struct gateway *g, struct err *err);
void shipping_free(struct usage_shipping *s); /* NULL is allowed */
/* There is something new and durable in the log. */
void shipping_wake(struct usage_shipping *s);

#endif
