/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members that several messages have in the same form: ids as text, counts, texts that outlive the
 * message, lists. All are required; a fault is a recorded error that names the key. Inside wire/
 * only.
 */
#ifndef SPATE_WIRE_FIELD_H
#define SPATE_WIRE_FIELD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/json.h"

void wire_put_id(struct json_writer *w, const char *key, struct id128 id);

int wire_get_id(const json_t *object, const char *key, struct id128 *out, struct err *err);
int wire_get_u64(const json_t *object, const char *key, uint64_t *out, struct err *err);
/* A copy in the arena. */
int wire_get_copy(const json_t *object, const char *key, struct arena *arena, struct str *out,
                  struct err *err);
/* A copy with its NUL in out[size]; the rest of `out` is zero. */
int wire_get_text(const json_t *object, const char *key, char *out, size_t size, struct err *err);
/* A list of at most `max` members, and room for as many items of item_size bytes in the arena: the
 * caller reads them. */
struct wire_list {
    const json_t *members;
    void *items;
    int count;
};
int wire_get_list(const json_t *object, const char *key, size_t max, size_t item_size,
                  struct arena *arena, struct wire_list *out, struct err *err);

#endif
