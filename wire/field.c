/* SPDX-License-Identifier: Apache-2.0 */
/* Members of messages: see field.h. */
#include "wire/field.h"

#include <string.h>

void wire_put_id(struct json_writer *w, const char *key, struct id128 id)
{
    char text[ID_TEXT_LEN + 1];

    id_format(id, text);
    json_put_text(w, key, text);
}

int wire_get_id(const json_t *object, const char *key, struct id128 *out, struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    if (!id_parse(text, out))
        return err_set(err, ERR_INVALID, "'%s' is not a 26-character id", key);
    return 0;
}

int wire_get_u64(const json_t *object, const char *key, uint64_t *out, struct err *err)
{
    int64_t value = 0;
    int r = json_get_i64(object, key, true, 0, INT64_MAX, &value, err);

    if (r == 0)
        *out = (uint64_t)value;
    return r;
}

int wire_get_copy(const json_t *object, const char *key, struct arena *arena, struct str *out,
                  struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    text = arena_str(arena, text);
    if (text.ptr == NULL)
        return err_no_memory(err);
    *out = text;
    return 0;
}

int wire_get_text(const json_t *object, const char *key, char *out, size_t size, struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    if (text.len >= size)
        return err_set(err, ERR_INVALID, "'%s' is longer than %zu bytes", key, size - 1);
    memset(out, 0, size);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    return 0;
}

int wire_get_list(const json_t *object, const char *key, size_t max, size_t item_size,
                  struct arena *arena, struct wire_list *out, struct err *err)
{
    json_t *members = NULL;
    size_t count;
    void *items;
    int r = json_get_array(object, key, true, &members, err);

    if (r < 0)
        return r;
    count = json_array_size(members);
    if (count > max)
        return err_set(err, ERR_LIMIT, "'%s' has %zu members; the limit is %zu", key, count, max);
    items = arena_array(arena, count, item_size);
    if (items == NULL)
        return err_no_memory(err);
    *out = (struct wire_list){members, items, (int)count};
    return 0;
}
