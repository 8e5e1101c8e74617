/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, values and ages: see table.h. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/yaml.h"

static const char gap[] = "   ";

void table_init(struct table *t, int column_count)
{
    *t = (struct table){.column_count = column_count};
    buf_init(&t->cells, TABLE_BYTES_MAX);
}

void table_fini(struct table *t)
{
    buf_fini(&t->cells);
}

void table_add(struct table *t, struct str cell)
{
    size_t width = 0;

    for (size_t i = 0; i < cell.len; i++) {
        unsigned char c = (unsigned char)cell.ptr[i];

        buf_append_char(&t->cells, c < 0x20 || c == 0x7f ? '?' : (char)c);
        width += (c & 0xc0) != 0x80;
    }
    buf_append_char(&t->cells, '\0');
    if (width > t->widths[t->column])
        t->widths[t->column] = width;
    t->column = (t->column + 1) % t->column_count;
    if (t->column == 0)
        t->row_count++;
}

void table_add_text(struct table *t, const char *cell)
{
    table_add(t, str_of(cell));
}

static size_t width_of(const char *cell)
{
    size_t width = 0;

    for (; *cell != '\0'; cell++)
        width += ((unsigned char)*cell & 0xc0) != 0x80;
    return width;
}

void table_write_from(const struct table *t, int first_row, struct buf *out)
{
    const char *cell = t->cells.ptr;

    if (t->cells.failed) {
        out->failed = true;
        return;
    }
    for (int row = 0; row < t->row_count; row++) {
        for (int column = 0; column < t->column_count; column++, cell += strlen(cell) + 1) {
            if (row < first_row)
                continue;
            buf_append_text(out, cell);
            if (column + 1 == t->column_count)
                continue;
            for (size_t width = width_of(cell); width < t->widths[column]; width++)
                buf_append_char(out, ' ');
            buf_append_text(out, gap);
        }
        while (row >= first_row && out->len > 0 && out->ptr[out->len - 1] == ' ')
            out->len--;
        if (row >= first_row)
            buf_append_char(out, '\n');
    }
}

void table_write(const struct table *t, struct buf *out)
{
    table_write_from(t, 0, out);
}

static void add_scalar(const json_t *value, struct buf *out)
{
    if (json_is_string(value))
        buf_append_str(out, json_str(value));
    else if (json_is_integer(value))
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        buf_append_text(out, json_is_true(value) ? "true" : "false");
    else if (json_is_real(value))
        buf_printf(out, "%g", json_real_value(value));
    else if (value != NULL && !json_is_null(value))
        buf_printf(out, "<%s>", json_type_name(value));
}

/* The member name at the path: up to an unescaped dot or bracket; "\\." is a dot. */
static const char *read_name(const char *path, char *name, size_t size)
{
    size_t length = 0;

    while (*path != '\0' && *path != '.' && *path != '[') {
        if (path[0] == '\\' && path[1] != '\0')
            path++;
        if (length + 1 < size)
            name[length++] = *path;
        path++;
    }
    name[length] = '\0';
    return path;
}

/* Takes the text up to `end` and steps behind it; false if it is not there. */
static bool take_until(struct str *rest, struct str end, struct str *taken)
{
    int64_t at = str_find(*rest, end);

    if (at < 0)
        return false;
    *taken = str_slice(*rest, 0, (size_t)at);
    *rest = str_slice(*rest, (size_t)at + end.len, rest->len);
    return true;
}

/* The element of the list whose member `key` is `wanted`, by [?(@.key=="wanted")]. */
static const json_t *find_element(const json_t *list, const char *filter)
{
    struct str rest = str_of(filter);
    struct str skipped;
    struct str key;
    struct str wanted;
    const json_t *element;
    size_t i;

    if (!take_until(&rest, STR("[?(@."), &skipped) || !take_until(&rest, STR("==\""), &key) ||
        !take_until(&rest, STR("\")]"), &wanted))
        return NULL;
    json_array_foreach (list, i, element) {
        if (str_eq(json_str(json_object_getn(element, key.ptr, key.len)), wanted))
            return element;
    }
    return NULL;
}

static void add_at(const json_t *value, const char *path, struct buf *out)
{
    char name[128];
    const json_t *element;
    size_t i;

    if (*path == '\0') {
        add_scalar(value, out);
    } else if (*path == '.') {
        path = read_name(path + 1, name, sizeof(name));
        add_at(json_object_get(value, name), path, out);
    } else if (strncmp(path, "[*]", 3) == 0) {
        json_array_foreach (value, i, element) {
            if (i > 0)
                buf_append_char(out, ',');
            add_at(element, path + 3, out);
        }
    } else if (*path == '[' && strchr(path, ']') != NULL) {
        add_at(find_element(value, path), strchr(path, ']') + 1, out);
    }
}

void table_value(const json_t *object, const char *path, struct buf *out)
{
    size_t before = out->len;

    add_at(object, path, out);
    if (out->len == before)
        buf_append_text(out, "<none>");
}

void table_age(struct str created, int64_t now_ms, char out[TABLE_AGE_MAX])
{
    int64_t created_ms;
    int64_t s;

    if (created.len == 0 || clock_parse_utc(created.ptr, created.len, &created_ms) < 0) {
        snprintf(out, TABLE_AGE_MAX, "<unknown>");
        return;
    }
    s = now_ms > created_ms ? (now_ms - created_ms) / 1000 : 0;
    if (s < 120)
        snprintf(out, TABLE_AGE_MAX, "%" PRId64 "s", s);
    else if (s < 600 && s % 60 != 0)
        snprintf(out, TABLE_AGE_MAX, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else if (s < 7200)
        snprintf(out, TABLE_AGE_MAX, "%" PRId64 "m", s / 60);
    else if (s < 2 * 86400)
        snprintf(out, TABLE_AGE_MAX, "%" PRId64 "h", s / 3600);
    else
        snprintf(out, TABLE_AGE_MAX, "%" PRId64 "d", s / 86400);
}

int table_tree(struct buf *out, const json_t *tree, bool yaml, struct err *err)
{
    char *text;
    int r;

    if (yaml) {
        r = yaml_write(out, tree);
        return r < 0 ? err_set(err, (enum err_code)(-r), "the object cannot be written as YAML")
                     : buf_check(out, "the answer", err);
    }
    text = json_dumps(tree, JSON_INDENT(4) | JSON_ENCODE_ANY);
    if (text == NULL)
        return err_no_memory(err);
    buf_append_text(out, text);
    buf_append_char(out, '\n');
    free(text);
    return buf_check(out, "the answer", err);
}
