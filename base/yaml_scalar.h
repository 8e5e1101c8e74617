/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the YAML reader and writer: what a plain scalar means. */
#ifndef SPATE_BASE_YAML_SCALAR_H
#define SPATE_BASE_YAML_SCALAR_H

#include <jansson.h>

#include "base/str.h"

enum yaml_scalar {
    YAML_SCALAR_VALUE, /* *out is a new reference */
    YAML_SCALAR_NO_MEMORY,
    YAML_SCALAR_TOO_BIG,    /* an integer beyond 64 bits, signed */
    YAML_SCALAR_NOT_FINITE, /* .inf, .nan */
};
enum yaml_scalar yaml_scalar_resolve(struct str text, json_t **out);

/* Whether a plain scalar of this text would be read as that string (and not as a number ...). */
bool yaml_scalar_is_string(struct str text);

#endif
