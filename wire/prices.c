/* SPDX-License-Identifier: Apache-2.0 */
/* Price versions: see prices.h. */
#include "wire/prices.h"

#include <string.h>

#include "base/mem.h"

static const char *const class_names[PRICE_CLASS_COUNT] = {
#define PRICE_CLASS_NAME(name, key) [name] = key,
    PRICE_CLASSES(PRICE_CLASS_NAME)
#undef PRICE_CLASS_NAME
};

const char *price_class_name(enum price_class class)
{
    return class_names[class];
}

void prices_fini(struct prices *prices)
{
    mem_free(prices->lines);
    *prices = (struct prices){0};
}

static int read_text(const json_t *object, const char *key, char *out, size_t max, struct err *err)
{
    struct str text;
    int r = json_get_str(object, key, true, &text, err);

    if (r < 0)
        return r;
    if (text.len == 0 || text.len > max)
        return err_set(err, ERR_INVALID, "'%s' must have 1 to %zu characters", key, max);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "'%s' has a character that names may not have", key);
    }
    memset(out, 0, max + 1);
    memcpy(out, text.ptr, text.len);
    return 0;
}

static int read_line(struct price_line *line, const json_t *object, struct err *err)
{
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "a price must be an object, not %s",
                       json_type_name(object));
    r = read_text(object, "model", line->model, USAGE_MODEL_MAX, err);
    for (int i = 0; i < PRICE_CLASS_COUNT && r == 0; i++) {
        line->nano_usd[i] = PRICE_NONE;
        r = json_get_i64(object, class_names[i], false, 0, PRICES_NANO_USD_MAX, &line->nano_usd[i],
                         err);
        if (r == -ERR_NOT_FOUND)
            r = 0;
    }
    return r;
}

static int read_lines(struct prices *p, const json_t *array, struct err *err)
{
    size_t count = json_array_size(array);

    if (count > PRICES_LINES_MAX)
        return err_set(err, ERR_LIMIT, "%zu prices; the limit is %d", count, PRICES_LINES_MAX);
    p->lines = mem_array(count, sizeof(*p->lines));
    if (p->lines == NULL)
        return err_no_memory(err);
    p->line_count = (int)count;
    for (size_t i = 0; i < count; i++) {
        int r = read_line(&p->lines[i], json_array_get(array, i), err);

        if (r < 0)
            return err_wrap(err, r, "prices[%zu]", i);
    }
    return 0;
}

int prices_read(struct prices *out, const json_t *object, struct err *err)
{
    struct prices p = {0};
    json_t *array = NULL;
    int64_t id = 0;
    int r;

    if (!json_is_object(object))
        return err_set(err, ERR_INVALID, "a price version must be an object, not %s",
                       json_type_name(object));
    if ((r = json_get_i64(object, "id", true, 1, INT64_MAX, &id, err)) < 0 ||
        (r = read_text(object, "name", p.name, PRICES_NAME_MAX, err)) < 0 ||
        (r = json_get_i64(object, "effective_ms", true, 0, (int64_t)1 << 53, &p.effective_ms,
                          err)) < 0 ||
        (r = json_get_array(object, "prices", true, &array, err)) < 0)
        return r;
    p.id = (uint64_t)id;
    r = read_lines(&p, array, err);
    if (r < 0) {
        prices_fini(&p);
        return r;
    }
    *out = p;
    return 0;
}

void prices_write(struct json_writer *w, const struct prices *p)
{
    json_open(w, '{');
    json_put_u64(w, "id", p->id);
    json_put_text(w, "name", p->name);
    json_put_i64(w, "effective_ms", p->effective_ms);
    json_key(w, "prices");
    json_open(w, '[');
    for (int i = 0; i < p->line_count; i++) {
        const struct price_line *line = &p->lines[i];

        json_open(w, '{');
        json_put_text(w, "model", line->model);
        for (int class = 0; class < PRICE_CLASS_COUNT; class ++) {
            if (line->nano_usd[class] != PRICE_NONE)
                json_put_i64(w, class_names[class], line->nano_usd[class]);
        }
        json_close(w, '}');
    }
    json_close(w, ']');
    json_close(w, '}');
}

static bool pattern_fits(struct str pattern, struct str model)
{
    if (!str_ends(pattern, STR("*")))
        return str_eq(pattern, model);
    return str_starts(model, str_slice(pattern, 0, pattern.len - 1));
}

const struct price_line *prices_find(const struct prices *prices, struct str model)
{
    for (int i = 0; i < prices->line_count; i++) {
        if (pattern_fits(str_of(prices->lines[i].model), model))
            return &prices->lines[i];
    }
    return NULL;
}
