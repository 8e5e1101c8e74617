/* SPDX-License-Identifier: Apache-2.0 */
/* A function with its first, second, third ... allocation failing: each time it must say that
 * memory is missing, and leave nothing behind (which a run under ASan sees). */
#ifndef SPATE_TESTS_MEMORY_CHECK_H
#define SPATE_TESTS_MEMORY_CHECK_H

#include "cmocka_plain.h"

#include "base/err.h"
#include "base/mem.h"

enum { MEMORY_ATTEMPTS_MAX = 100000 };

/* 0, or negative with the error set. */
typedef int memory_attempt_fn(struct err *err);

static inline void memory_check(const char *name, memory_attempt_fn *function)
{
    for (int64_t n = 0; n < MEMORY_ATTEMPTS_MAX; n++) {
        struct err err = {0};
        int seen;
        int r;

        mem_fail_after(n);
        r = function(&err);
        seen = mem_fail_seen();
        mem_fail_after(-1);
        if (!seen) {
            if (r != 0)
                fail_msg("%s: without a failure: %s", name, err_message(&err));
            assert_true(n > 0);
            return;
        }
        if (r != -ERR_NO_MEMORY)
            fail_msg("%s: allocation %d failed: result %d: %s", name, (int)n, r, err_message(&err));
    }
    fail_msg("%s: allocates for ever", name);
}

#endif
