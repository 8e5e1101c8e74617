/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the template interpreter. All lie in one arena with a ceiling, or point into the input
 * trees; nothing is freed singly. Only namespaces change after they are made. */
#ifndef SPATE_ENGINE_TEXT_TEMPLATE_VALUE_H
#define SPATE_ENGINE_TEXT_TEMPLATE_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum value_type {
    VALUE_UNDEFINED, /* name says of what */
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_REAL,
    VALUE_TEXT,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_NAMESPACE, /* a dict that `set ns.x` changes */
    VALUE_MACRO,
};

struct node;
struct value_list;
struct value_dict;

struct value {
    enum value_type type;
    bool is_tuple; /* of a list: how it prints */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct str text; /* also the name of what is undefined */
        struct value_list *list;
        struct value_dict *dict;
        const struct node *macro;
    };
};

struct value_list {
    struct value *items;
    size_t count;
    size_t cap;
};

struct value_pair {
    struct value key;
    struct value value;
};

struct value_dict {
    struct value_pair *pairs; /* in order of insertion */
    size_t count;
    size_t cap;
};

enum { VALUE_DEPTH_MAX = 128 }; /* of values inside values, when printed or compared */

struct value value_none(void);
struct value value_bool(bool b);
struct value value_int(int64_t i);
struct value value_real(double d);
struct value value_text(struct str s);
struct value value_undefined(struct str name);

/* NULL without memory. */
struct value_list *value_list_new(struct arena *a);
struct value_dict *value_dict_new(struct arena *a);
bool value_list_add(struct arena *a, struct value_list *list, struct value item);
struct value value_of_list(struct value_list *list);
struct value value_of_dict(struct value_dict *dict);

/* Steps are charged here, because looking through a long dict is not one step. */
struct value *value_dict_get(const struct value_dict *d, struct value key, uint64_t *steps);
bool value_dict_put(struct arena *a, struct value_dict *d, struct value key, struct value v,
                    uint64_t *steps);

bool value_true(struct value v);
/* Python's ==. */
bool value_equal(struct value a, struct value b, uint64_t *steps);
/* "a string", "a list" ... for messages. */
const char *value_type_name(struct value v);

/* A tree of the input; texts are borrowed from it. False: no memory. */
bool value_from_json(struct arena *a, const json_t *json, struct value *out);

/* As Python's str() and repr() write it; failures stay in the buffer. */
void value_print(struct buf *out, struct value v);
void value_repr(struct buf *out, struct value v);
/* As json.dumps(ensure_ascii=False) does; indent < 0: on one line. False: not serialisable. */
bool value_to_json(struct buf *out, struct value v, int indent);

#endif
