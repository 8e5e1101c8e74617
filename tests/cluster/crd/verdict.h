/* SPDX-License-Identifier: Apache-2.0 */
/* One manifest and what our own check says of it, as a line of JSON. */
#ifndef SPATE_TESTS_CRD_VERDICT_H
#define SPATE_TESTS_CRD_VERDICT_H

#include "base/json.h"

struct verdict_case {
    const json_t *object;
    const char *what;   /* was done to it */
    const char *ours;   /* must be in our line about it; NULL: nothing is asked */
    const char *theirs; /* must be in what the API server says; the same */
};

/*
 * Prints {"what": "...", "resource": "tenants", "object": {...}, "accepted": true, "spec": {...}}:
 * "spec" is what it is with the defaults filled in. Of a refused one "line" is what is said of it;
 * "ours" and "theirs" are there if given.
 */
void verdict_print(const struct verdict_case *c);

#endif
