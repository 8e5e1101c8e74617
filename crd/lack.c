/* SPDX-License-Identifier: Apache-2.0 */
/* What a definition in a cluster lacks of the tables: see crd_lack in schema.h. An API server drops
 * what its schema does not know without a word, so this is the only place where it is seen. */
#include <string.h>

#include "crd/kinds.h"
#include "crd/schema.h"

enum { NAMED_MAX = 8 }; /* fields that are named; the others are counted */

/* The schema of one member, or of the entries of a list: "warmup[]". */
static const json_t *member_schema(const json_t *schema, struct str part)
{
    bool entries = str_ends(part, STR("[]"));
    struct str name = str_slice(part, 0, entries ? part.len - 2 : part.len);

    schema = json_object_getn(json_object_get(schema, "properties"), name.ptr, name.len);
    return entries ? json_object_get(schema, "items") : schema;
}

static const json_t *schema_at(const json_t *schema, struct str path)
{
    struct str rest = path;

    while (schema != NULL && rest.ptr != NULL)
        schema = member_schema(schema, str_cut(&rest, '.'));
    return schema;
}

/* A value that an old schema does not list is refused. */
static bool has_values(const json_t *schema, const struct crd_field *field)
{
    const json_t *values = json_object_get(schema, "enum");

    for (int i = 0; field->type == CRD_ENUM && field->values[i] != NULL; i++) {
        size_t at = 0;

        while (at < json_array_size(values) &&
               !str_is(json_str(json_array_get(values, at)), field->values[i]))
            at++;
        if (at == json_array_size(values))
            return false;
    }
    return true;
}

/* What the path stands in: "a.b" of "a.b.c" and of "a.b[]". */
static struct str parent_of(const char *path)
{
    size_t length = strlen(path);

    while (length > 0 && path[length] != '.' && path[length] != '[')
        length--;
    return (struct str){path, length};
}

/* Members of what is missing do not count. */
static bool is_missing(const json_t *schema, const struct crd_field *field)
{
    struct str parent = parent_of(field->path);
    const json_t *found = schema_at(schema, str_of(field->path));

    if (str_starts(str_of(field->path), STR("metadata"))) /* not ours */
        return false;
    if (parent.len > 0 && schema_at(schema, parent) == NULL)
        return false;
    return found == NULL || !has_values(found, field);
}

int crd_lack(const struct crd_kind *kind, const json_t *schema, struct buf *out)
{
    const struct crd_field *field;
    int count = 0;

    for (size_t i = 0; (field = crd_field_at(kind, i)) != NULL; i++) {
        if (is_missing(schema, field) && count++ < NAMED_MAX)
            buf_printf(out, "%s%s", count > 1 ? ", " : "", field->path);
    }
    if (count > NAMED_MAX)
        buf_printf(out, " and %d more", count - NAMED_MAX);
    return count;
}
