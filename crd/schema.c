/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CustomResourceDefinitions from the tables: a structural schema with the bounds, defaults and
 * descriptions of the rows, and the rules in CEL. Kubernetes estimates what a rule may cost from
 * the bounds, so every list and text has some.
 */
#include "crd/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "crd/kinds.h"
#include "crd/object.h"

enum { DESCRIPTION_MAX = 4096, COLUMN_PATH_MAX = 128 };

#define SHA256_PATTERN "^[0-9a-f]{64}$"
/* What crd_usd_parse takes. */
#define USD_PATTERN "^((0|[1-9][0-9]{0,5})([.][0-9]{1,9})?|1000000([.]0{1,9})?)$"

/* Lack of memory is noted and told at the end. */
struct maker {
    const struct crd_kind *kind;
    bool failed;
};

static json_t *schema_of(struct maker *m, const struct crd_field *field);

/* Takes the value over. */
static void put(struct maker *m, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0)
        m->failed = true;
}

static void put_text(struct maker *m, json_t *object, const char *key, const char *text)
{
    put(m, object, key, json_string(text));
}

static void put_size(struct maker *m, json_t *object, const char *key, size_t size)
{
    put(m, object, key, json_integer((json_int_t)size));
}

static void append(struct maker *m, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0)
        m->failed = true;
}

/* --- the parts of a schema -------------------------------------------------------------------- */

static void put_description(struct maker *m, json_t *schema, const struct crd_field *field)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, DESCRIPTION_MAX);
    buf_append_text(&text, field->describe);
    crd_bounds(field, &text);
    if (field->default_json != NULL && field->type != CRD_OBJECT)
        buf_printf(&text, " Default: %s.", field->default_json);
    m->failed |= text.failed;
    put_text(m, schema, "description", buf_cstr(&text));
}

static void put_text_bounds(struct maker *m, json_t *schema, const struct crd_field *field)
{
    const char *pattern = field->pattern;

    if (field->type == CRD_TIME)
        put_text(m, schema, "format", "date-time");
    if (field->type == CRD_SHA256)
        pattern = SHA256_PATTERN;
    if (field->type == CRD_USD)
        pattern = USD_PATTERN;
    if (field->min_length > 0)
        put_size(m, schema, "minLength", field->min_length);
    put_size(m, schema, "maxLength", field->max_length);
    if (pattern != NULL)
        put_text(m, schema, "pattern", pattern);
}

static void put_enum(struct maker *m, json_t *schema, const struct crd_field *field)
{
    json_t *values = json_array();

    for (int i = 0; field->values[i] != NULL; i++)
        append(m, values, json_string(field->values[i]));
    put(m, schema, "enum", values);
}

static void put_integer_bounds(struct maker *m, json_t *schema, const struct crd_field *field)
{
    bool is_small = field->min >= INT32_MIN && field->max <= INT32_MAX;

    put_text(m, schema, "format", is_small ? "int32" : "int64");
    put(m, schema, "minimum", json_integer(field->min));
    if (field->max < INT64_MAX)
        put(m, schema, "maximum", json_integer(field->max));
}

static void put_rules(struct maker *m, json_t *schema, const char *path)
{
    json_auto_t *rules = json_array();

    for (size_t i = 0; i < m->kind->rule_count; i++) {
        const struct crd_rule *rule = &m->kind->rules[i];
        char field_path[COLUMN_PATH_MAX];
        json_t *out;

        if (strcmp(rule->path, path) != 0)
            continue;
        snprintf(field_path, sizeof(field_path), ".%s", rule->member);
        out = json_object();
        put_text(m, out, "rule", rule->cel);
        put_text(m, out, "message", rule->message);
        put_text(m, out, "reason", rule->reason);
        put_text(m, out, "fieldPath", field_path);
        append(m, rules, out);
    }
    if (json_array_size(rules) > 0)
        put(m, schema, "x-kubernetes-validations", json_incref(rules));
}

/* What lies directly below the path: the required names, then the properties. */
static void put_members(struct maker *m, json_t *schema, const char *path)
{
    json_auto_t *required = json_array();
    json_t *properties = json_object();
    struct crd_members members = crd_members(m->kind, str_of(path));

    for (size_t i = 0; i < members.count; i++) {
        const struct crd_member *member = &members.all[i];

        put(m, properties, member->name, schema_of(m, member->field));
        if (member->field->required)
            append(m, required, json_string(member->name));
    }
    if (json_array_size(required) > 0)
        put(m, schema, "required", json_incref(required));
    put(m, schema, "properties", properties);
}

/* The type of the list decides how server-side apply joins the lists of several owners. */
static void put_list(struct maker *m, json_t *schema, const struct crd_field *field)
{
    char path[COLUMN_PATH_MAX];

    put_size(m, schema, "maxItems", field->max_length);
    if (field->list_keys[0] != NULL) {
        json_t *keys = json_array();

        for (int i = 0; field->list_keys[i] != NULL; i++)
            append(m, keys, json_string(field->list_keys[i]));
        put_text(m, schema, "x-kubernetes-list-type", "map");
        put(m, schema, "x-kubernetes-list-map-keys", keys);
    } else {
        put_text(m, schema, "x-kubernetes-list-type", field->is_set ? "set" : "atomic");
    }
    snprintf(path, sizeof(path), "%s[]", field->path);
    put(m, schema, "items", schema_of(m, crd_field_find(m->kind, str_of(path))));
}

static const char *type_name(const struct crd_field *field)
{
    switch (field->type) {
    case CRD_OBJECT:
    case CRD_MAP:
        return "object";
    case CRD_LIST:
        return "array";
    case CRD_INTEGER:
        return "integer";
    case CRD_BOOLEAN:
        return "boolean";
    default:
        return "string";
    }
}

/* The API server checks a default by the rules before the defaults below it are filled in, so that
 * of an object is written out whole. */
static json_t *default_of(struct maker *m, const struct crd_field *field)
{
    struct crd_members members = crd_members(m->kind, str_of(field->path));
    json_t *whole;

    if (field->type != CRD_OBJECT)
        return json_loads(field->default_json, JSON_DECODE_ANY, NULL);
    whole = json_object();
    for (size_t i = 0; i < members.count; i++) {
        const struct crd_member *member = &members.all[i];

        if (member->field->default_json != NULL)
            put(m, whole, member->name, default_of(m, member->field));
    }
    return whole;
}

static void put_default(struct maker *m, json_t *schema, const struct crd_field *field)
{
    if (field->default_json != NULL)
        put(m, schema, "default", default_of(m, field));
}

/* A new reference. */
static json_t *schema_of(struct maker *m, const struct crd_field *field)
{
    json_t *schema = json_object();

    put_text(m, schema, "type", type_name(field));
    put_description(m, schema, field);
    put_default(m, schema, field);
    switch (field->type) {
    case CRD_OBJECT:
        put_members(m, schema, field->path);
        put_rules(m, schema, field->path);
        break;
    case CRD_LIST:
        put_list(m, schema, field);
        break;
    case CRD_ENUM:
        put_enum(m, schema, field);
        break;
    case CRD_INTEGER:
        put_integer_bounds(m, schema, field);
        break;
    case CRD_MAP: /* labels and annotations alone, which the API server knows */
    case CRD_BOOLEAN:
        break;
    default:
        put_text_bounds(m, schema, field);
    }
    return schema;
}

/* --- the object as a whole -------------------------------------------------------------------- */

/* Of metadata a schema may say only what names look like. */
static json_t *metadata_schema(struct maker *m)
{
    json_t *metadata = json_object();
    json_t *properties = json_object();

    put(m, properties, "name", schema_of(m, crd_field_find(m->kind, STR("metadata.name"))));
    put_text(m, metadata, "type", "object");
    put(m, metadata, "properties", properties);
    return metadata;
}

static json_t *plain_text_schema(struct maker *m, const char *path)
{
    json_t *schema = json_object();

    put_text(m, schema, "type", "string");
    put_text(m, schema, "description", crd_field_find(m->kind, str_of(path))->describe);
    return schema;
}

static json_t *root_schema(struct maker *m)
{
    const struct crd_field *spec = crd_field_find(m->kind, STR("spec"));
    const struct crd_field *status = crd_field_find(m->kind, STR("status"));
    json_t *schema = json_object();
    json_t *properties = json_object();

    put_text(m, schema, "type", "object");
    put_text(m, schema, "description", m->kind->describe);
    if (spec->required)
        put(m, schema, "required", json_pack("[s]", "spec"));
    put(m, properties, "apiVersion", plain_text_schema(m, "apiVersion"));
    put(m, properties, "kind", plain_text_schema(m, "kind"));
    put(m, properties, "metadata", metadata_schema(m));
    put(m, properties, "spec", schema_of(m, spec));
    if (status != NULL)
        put(m, properties, "status", schema_of(m, status));
    put(m, schema, "properties", properties);
    return schema;
}

/* --- the definition --------------------------------------------------------------------------- */

/* The row behind the column's path, if it is a plain one. */
static const char *column_type(const struct maker *m, const struct crd_column *column)
{
    const struct crd_field *field = crd_field_find(m->kind, str_of(column->path + 1));

    if (field != NULL && (field->type == CRD_INTEGER || field->type == CRD_BOOLEAN))
        return type_name(field);
    return field != NULL && field->type == CRD_TIME ? "date" : "string";
}

static void append_column(struct maker *m, json_t *columns, const char *title, const char *type,
                          const char *path, bool wide)
{
    json_t *column = json_object();

    put_text(m, column, "name", title);
    put_text(m, column, "type", type);
    put_text(m, column, "jsonPath", path);
    put(m, column, "priority", json_integer(wide ? 1 : 0));
    append(m, columns, column);
}

/* Those that are always shown first, then the age, then the wide ones. */
static json_t *columns_of(struct maker *m)
{
    json_t *columns = json_array();

    for (int wide = 0; wide <= 1; wide++) {
        for (size_t i = 0; i < m->kind->column_count; i++) {
            const struct crd_column *column = &m->kind->columns[i];

            if (column->wide == wide)
                append_column(m, columns, column->title, column_type(m, column), column->path,
                              wide);
        }
        if (!wide)
            append_column(m, columns, "AGE", "date", ".metadata.creationTimestamp", false);
    }
    return columns;
}

static json_t *subresources_of(struct maker *m)
{
    const struct crd_scale *scale = m->kind->scale;
    json_t *subresources = json_object();
    json_t *paths;

    if (m->kind->status != NULL)
        put(m, subresources, "status", json_object());
    if (scale != NULL) {
        paths = json_object();
        put_text(m, paths, "specReplicasPath", scale->spec_replicas);
        put_text(m, paths, "statusReplicasPath", scale->status_replicas);
        put_text(m, paths, "labelSelectorPath", scale->selector);
        put(m, subresources, "scale", paths);
    }
    return subresources;
}

static json_t *version_of(struct maker *m)
{
    json_t *version = json_object();
    json_t *schema = json_object();

    put_text(m, version, "name", CRD_VERSION);
    put(m, version, "served", json_true());
    put(m, version, "storage", json_true());
    put(m, version, "additionalPrinterColumns", columns_of(m));
    put(m, version, "subresources", subresources_of(m));
    put(m, schema, "openAPIV3Schema", root_schema(m));
    put(m, version, "schema", schema);
    return version;
}

static json_t *names_of(struct maker *m)
{
    json_t *names = json_object();
    char list_kind[CRD_NAME_MAX + 1];

    snprintf(list_kind, sizeof(list_kind), "%sList", m->kind->kind);
    put_text(m, names, "kind", m->kind->kind);
    put_text(m, names, "listKind", list_kind);
    put_text(m, names, "plural", m->kind->plural);
    put_text(m, names, "singular", m->kind->singular);
    put(m, names, "shortNames", json_pack("[s]", m->kind->short_name));
    put(m, names, "categories", json_pack("[s]", CRD_CATEGORY));
    return names;
}

json_t *crd_definition(const struct crd_kind *kind)
{
    struct maker m = {.kind = kind};
    json_auto_t *definition = json_object();
    json_t *metadata = json_object();
    json_t *spec = json_object();
    json_t *versions = json_array();
    char name[2 * CRD_NAME_MAX];

    snprintf(name, sizeof(name), "%s." CRD_GROUP, kind->plural);
    put_text(&m, metadata, "name", name);
    put_text(&m, spec, "group", CRD_GROUP);
    put(&m, spec, "names", names_of(&m));
    put_text(&m, spec, "scope", kind->namespaced ? "Namespaced" : "Cluster");
    put(&m, spec, "conversion", json_pack("{s:s}", "strategy", "None"));
    append(&m, versions, version_of(&m));
    put(&m, spec, "versions", versions);
    put_text(&m, definition, "apiVersion", "apiextensions.k8s.io/v1");
    put_text(&m, definition, "kind", "CustomResourceDefinition");
    put(&m, definition, "metadata", metadata);
    put(&m, definition, "spec", spec);
    return m.failed ? NULL : STEAL(definition);
}

static void add_definition(const struct crd_kind *kind, struct buf *out)
{
    json_auto_t *definition = crd_definition(kind);

    if (out->len > 0)
        buf_append_text(out, "---\n");
    buf_append_text(out, "# Generated by spate-crd from the tables in crd/.\n");
    if (definition == NULL || yaml_write(out, definition) < 0)
        out->failed = true;
}

void crd_definitions(const struct crd_kind *only, struct buf *out)
{
    for (int i = 0; i < CRD_KIND_COUNT; i++) {
        if (only == NULL || only == crd_kinds[i])
            add_definition(crd_kinds[i], out);
    }
}

void crd_definition_file(const struct crd_kind *kind, struct buf *out)
{
    buf_printf(out, CRD_GROUP "_%s.yaml", kind->plural);
}
