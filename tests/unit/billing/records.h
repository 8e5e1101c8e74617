/* SPDX-License-Identifier: Apache-2.0 */
/* Usage records for tests. */
#ifndef SPATE_TESTS_RECORDS_H
#define SPATE_TESTS_RECORDS_H

#include "wire/usage.h"

/* 2026-11-22T12:00:00Z, the start of a 15-minute bucket. */
#define RECORDS_NOON_MS 1795348800000

/* Request number `request` of tenant "acme", its attempt 1: 10 input tokens computed, 4 cached, 6
 * output of which 2 reasoning, all delivered, ended by the model, everything final. */
struct usage_record records_final(uint64_t request);
/* The same attempt while it runs: `output` tokens so far, all delivered. */
struct usage_record records_running(uint64_t request, uint64_t output);

#endif
