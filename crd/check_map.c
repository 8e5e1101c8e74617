/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks labels and annotations by the syntax of Kubernetes: a key is "name" or "prefix/name", the
 * prefix a DNS name; the values of labels are names too, those of annotations any text.
 */
#include <string.h>

#include "crd/check.h"

enum { KEY_NAME_MAX = 63, KEY_PREFIX_MAX = 253 };

#define KEY_NAME   "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
#define KEY_PREFIX "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"

static bool is_key(struct checker *c, struct str key)
{
    struct str name = key;
    struct str prefix = str_cut(&name, '/');

    if (name.ptr == NULL) {
        name = prefix;
        prefix = STR("none");
    }
    return name.len <= KEY_NAME_MAX && prefix.len <= KEY_PREFIX_MAX &&
           check_matches(c, KEY_PREFIX, prefix) && check_matches(c, KEY_NAME, name);
}

static void check_entry(struct checker *c, const struct check_place *at,
                        const struct crd_field *field, const char *key, const json_t *value)
{
    struct check_place below = check_below(at, key);
    char quoted[CHECK_QUOTE_MAX];

    if (!json_is_string(value))
        check_fault(c, &below, "is of type %s; write a string in quotes", json_type_name(value));
    else if (!is_key(c, str_of(key)))
        check_fault(c, &below,
                    "is no key; write a name of letters, digits and inner '-', '_' and '.', with "
                    "or without a prefix such as example.com/");
    else if (field->pattern != NULL && (json_string_length(value) > KEY_NAME_MAX ||
                                        !check_matches(c, field->pattern, json_str(value))))
        check_fault(c, &below, "\"%s\" is not %s; correct it", check_quote(json_str(value), quoted),
                    field->pattern_means);
}

void check_map(struct checker *c, const struct check_place *at, const struct crd_field *field,
               const json_t *map)
{
    size_t bytes = 0;
    const char *key;
    const json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)map, key, value) {
        bytes += strlen(key) + json_string_length(value);
        check_entry(c, at, field, key, value);
    }
    if (bytes > field->max_length)
        check_fault(c, at, "has %zu bytes; at most %zu are allowed: keep large texts elsewhere",
                    bytes, field->max_length);
}
