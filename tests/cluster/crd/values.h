/* SPDX-License-Identifier: Apache-2.0 */
/* Values to put into the place of a row: right ones, wrong ones, and those at the edges. */
#ifndef SPATE_TESTS_CRD_VALUES_H
#define SPATE_TESTS_CRD_VALUES_H

#include "base/clock.h"
#include "base/json.h"
#include "crd/field.h"

/* A new reference to a value that is near what the row allows: inside, at or just beyond a bound.
 * NULL where the row's type has none of its own (objects and lists). */
json_t *value_near(const struct crd_field *field, const struct rng *rng);

/* A new reference to a value of any type. */
json_t *value_of_any_type(const struct rng *rng);

/* A text that has made trouble for somebody: hostile, odd or merely wrong. */
const char *value_odd_text(const struct rng *rng);

#endif
