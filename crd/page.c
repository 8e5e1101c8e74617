/* SPDX-License-Identifier: Apache-2.0 */
/* The reference page of a kind, as Markdown, from the tables that check its objects. */
#include <inttypes.h>
#include <string.h>

#include "crd/kinds.h"
#include "crd/schema.h"

static const char *const type_names[] = {
    [CRD_OBJECT] = "object",   [CRD_LIST] = "list",   [CRD_MAP] = "map of strings",
    [CRD_STRING] = "string",   [CRD_ENUM] = "string", [CRD_INTEGER] = "integer",
    [CRD_BOOLEAN] = "boolean", [CRD_TIME] = "time",   [CRD_SHA256] = "string",
    [CRD_USD] = "decimal text"};

void crd_bounds(const struct crd_field *field, struct buf *out)
{
    if (field->type == CRD_INTEGER && field->max < INT64_MAX)
        buf_printf(out, " %" PRId64 " to %" PRId64 ".", field->min, field->max);
    if (field->type == CRD_ENUM) {
        buf_append_text(out, " One of");
        for (int i = 0; field->values[i] != NULL; i++)
            buf_printf(out, "%s `%s`", i > 0 ? "," : "", field->values[i]);
        buf_append_char(out, '.');
    }
    if ((field->type == CRD_STRING || field->type == CRD_TIME) && field->pattern_means != NULL)
        buf_printf(out, " Form: %s; at most %zu characters.", field->pattern_means,
                   field->max_length);
    if (field->type == CRD_LIST)
        buf_printf(out, " At most %zu entries.", field->max_length);
    if (field->type == CRD_LIST && field->list_keys[0] != NULL) {
        buf_append_text(out, " No two with the same");
        for (int i = 0; field->list_keys[i] != NULL; i++)
            buf_printf(out, "%s %s", i > 0 ? " and" : "", field->list_keys[i]);
        buf_append_char(out, '.');
    }
    if (field->type == CRD_LIST && field->is_set)
        buf_append_text(out, " None twice.");
}

/* "|" would end a cell of the table. */
static void add_cell(struct buf *page, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '|')
            buf_append_char(page, '\\');
        buf_append_char(page, text.ptr[i]);
    }
}

static void add_row(struct buf *page, const struct crd_field *field)
{
    const char *initial = "";

    if (field->required)
        initial = "required";
    else if (field->default_json != NULL)
        initial = field->default_json;
    buf_printf(page, "| `%s` | %s | ", field->path, type_names[field->type]);
    add_cell(page, str_of(initial));
    buf_append_text(page, " | ");
    add_cell(page, str_of(field->describe));
    crd_bounds(field, page);
    buf_append_text(page, " |\n");
}

/* The rows below a path, each with what lies below it. */
static void add_rows(struct buf *page, const struct crd_kind *kind, const char *path)
{
    const struct crd_field *field;

    for (size_t i = 0; (field = crd_field_at(kind, i)) != NULL; i++) {
        size_t length = strlen(path);
        bool is_element = strncmp(field->path, path, length) == 0 &&
                          strcmp(field->path + length, "[]") == 0 && length > 0;

        if (!is_element && crd_field_name_below(field, path) == NULL)
            continue;
        add_row(page, field);
        add_rows(page, kind, field->path);
    }
}

void crd_page(const struct crd_kind *kind, struct buf *out)
{
    buf_printf(out, "## %s\n\n%s\n\n", kind->kind, kind->describe);
    buf_printf(out, "Names: `%s`, `%s`, short `%s`. %s\n\n", kind->plural, kind->singular,
               kind->short_name, kind->namespaced ? "Namespaced." : "Cluster-scoped.");
    buf_append_text(out, "| field | type | default | meaning |\n|---|---|---|---|\n");
    add_rows(out, kind, "");
    if (kind->rule_count > 0)
        buf_append_text(out, "\nRules:\n\n");
    for (size_t i = 0; i < kind->rule_count; i++)
        buf_printf(out, "* `%s.%s`: %s.\n", kind->rules[i].path, kind->rules[i].member,
                   kind->rules[i].message);
    buf_append_char(out, '\n');
}
