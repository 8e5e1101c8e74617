/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: what a tenant may still do now. admit gives a ticket, which is settled when the
 * request ended or voided when nothing came of it; budgets will come behind the same three calls.
 * Pure.
 */
#ifndef SPATE_GATEWAY_ADMIT_H
#define SPATE_GATEWAY_ADMIT_H

#include "gateway/table.h"

struct ticket {
    struct gw_tenant *tenant; /* NULL: no ticket */
};

/* 0, or -1 with *error and *retry_after_ms (at least 1) set. */
int admit(struct ticket *out, struct gw_tenant *tenant, int64_t now_ms, struct openai_error *error,
          int64_t *retry_after_ms);
/* The request ended, having used tokens. Twice is harmless. */
void settle(struct ticket *ticket);
/* Nothing came of the request, by our fault: its place in the rate is given back too. */
void void_ticket(struct ticket *ticket);

#endif
