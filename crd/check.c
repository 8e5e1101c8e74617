/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a tree against the table of its kind and fills in the defaults. Every fault becomes one
 * line: where, what, and the cure. Walks the tree and the table side by side:
 *
 *     shown  spec.scaling.warmup[2].schedule     for people
 *     path   spec.scaling.warmup[].schedule      for the table
 */
#include "crd/check.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/mem.h"
#include "crd/kinds.h"

enum { SIBLINGS_MAX = 32 };

static void check_value(struct checker *c, const struct check_place *at,
                        const struct crd_field *field, json_t *value);

void check_fault(struct checker *c, const struct check_place *at, const char *format, ...)
{
    va_list args;

    c->count++;
    if (c->count > CRD_FAULTS_MAX)
        return;
    if (c->faults->len > 0)
        buf_append_char(c->faults, '\n');
    buf_printf(c->faults, "%s: ", at->shown[0] == '\0' ? "object" : at->shown);
    va_start(args, format);
    buf_vprintf(c->faults, format, args);
    va_end(args);
}

const char *check_quote(struct str s, char out[CHECK_QUOTE_MAX])
{
    size_t length = s.len < CHECK_QUOTE_MAX - 4 ? s.len : CHECK_QUOTE_MAX - 4;

    for (size_t i = 0; i < length; i++)
        out[i] = isprint((unsigned char)s.ptr[i]) ? s.ptr[i] : '?';
    snprintf(out + length, 4, "%s", length < s.len ? "..." : "");
    return out;
}

struct check_place check_below(const struct check_place *at, const char *name)
{
    struct check_place below;
    char safe[CHECK_QUOTE_MAX];
    const char *dot = at->path[0] == '\0' ? "" : ".";

    /* A path that is cut matches no row: the table's own paths are all shorter. */
    if (snprintf(below.path, sizeof(below.path), "%s%s%s", at->path, dot, name) < 0)
        below.path[0] = '\0';
    if (snprintf(below.shown, sizeof(below.shown), "%s%s%s", at->shown, dot,
                 check_quote(str_of(name), safe)) < 0)
        below.shown[0] = '\0';
    return below;
}

static struct check_place place_element(const struct check_place *at, size_t index)
{
    struct check_place element;

    if (snprintf(element.path, sizeof(element.path), "%s[]", at->path) < 0)
        element.path[0] = '\0';
    if (snprintf(element.shown, sizeof(element.shown), "%s[%zu]", at->shown, index) < 0)
        element.shown[0] = '\0';
    return element;
}

/* Names that are known at this place, NULL-ended. */
static void siblings(const struct checker *c, const struct check_place *at,
                     const char *names[SIBLINGS_MAX + 1])
{
    struct crd_members members = crd_members(c->kind, str_of(at->path));
    size_t count = members.count < SIBLINGS_MAX ? members.count : SIBLINGS_MAX;

    for (size_t i = 0; i < count; i++)
        names[i] = members.all[i].name;
    names[count] = NULL;
}

static void fault_unknown(struct checker *c, const struct check_place *parent, const char *key)
{
    const char *names[SIBLINGS_MAX + 1];
    struct check_place at = check_below(parent, key);
    char known[256] = "";
    const char *close;

    siblings(c, parent, names);
    close = args_closest(key, names);
    if (close != NULL) {
        check_fault(c, &at, "unknown field; did you mean %s?", close);
        return;
    }
    for (int i = 0; names[i] != NULL; i++) {
        size_t used = strlen(known);

        snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    check_fault(c, &at, "unknown field; remove it, or use one of %s", known);
}

static bool is_member(const struct crd_members *members, const char *key)
{
    for (size_t i = 0; i < members->count; i++) {
        if (strcmp(members->all[i].name, key) == 0)
            return true;
    }
    return false;
}

static void check_unknown(struct checker *c, const struct check_place *at,
                          const struct crd_members *members, json_t *object)
{
    const char *key;
    const json_t *value;

    json_object_foreach (object, key, value) {
        if (!is_member(members, key))
            fault_unknown(c, at, key);
    }
}

/* 4.0 is the integer 4, as it is to kubectl. Beyond 2^53 a double does not tell integers apart. */
static json_t *whole_number(const json_t *value)
{
    static const double max = 9007199254740991.0;
    double number = json_real_value(value);

    if (!json_is_real(value) || number != floor(number) || number > max || number < -max)
        return NULL;
    return json_integer((json_int_t)number);
}

/* Absent and null are the same. Returns the value that is there afterwards, or NULL. */
static json_t *settle_value(struct checker *c, json_t *object, const char *name,
                            const struct crd_field *field)
{
    json_t *value = json_object_get(object, name);
    json_t *whole;

    if (json_is_null(value)) {
        json_object_del(object, name);
        value = NULL;
    }
    if (value == NULL && field->default_json != NULL)
        value = json_loads(field->default_json, JSON_DECODE_ANY, NULL);
    else if (field->type == CRD_INTEGER && json_is_real(value) && (whole = whole_number(value)))
        value = whole;
    else
        return value;
    if (json_object_set_new(object, name, value) < 0) {
        c->no_memory = true;
        return NULL;
    }
    return value;
}

static void check_object(struct checker *c, const struct check_place *at, json_t *object)
{
    struct crd_members members = crd_members(c->kind, str_of(at->path));

    check_unknown(c, at, &members, object);
    for (size_t i = 0; i < members.count; i++) {
        const struct crd_field *field = members.all[i].field;
        json_t *value = settle_value(c, object, members.all[i].name, field);
        struct check_place below;

        if (value == NULL && !field->required)
            continue;
        below = check_below(at, members.all[i].name);
        if (value != NULL)
            check_value(c, &below, field, value);
        else
            check_fault(c, &below, "is required; add it: %s", field->describe);
    }
}

/* Two entries that are the same by the members that should tell them apart. */
static bool same_entry(const struct crd_field *field, const json_t *a, const json_t *b)
{
    if (field->is_set)
        return json_equal(a, b) == 1;
    for (int i = 0; field->list_keys[i] != NULL; i++) {
        const char *key = field->list_keys[i];

        if (json_equal(json_object_get(a, key), json_object_get(b, key)) != 1)
            return false;
    }
    return true;
}

/* "model "brook" and effectiveFrom "..."", or the text of the entry itself. */
static void describe_entry(const struct crd_field *field, const json_t *entry, struct buf *out)
{
    char quoted[CHECK_QUOTE_MAX];

    if (field->is_set)
        buf_printf(out, "text \"%s\"", check_quote(json_str(entry), quoted));
    for (int i = 0; field->list_keys[i] != NULL; i++)
        buf_printf(out, "%s%s \"%s\"", i > 0 ? " and " : "", field->list_keys[i],
                   check_quote(json_str(json_object_get(entry, field->list_keys[i])), quoted));
}

static void check_unique(struct checker *c, const struct check_place *at,
                         const struct crd_field *field, const json_t *list)
{
    CLEANUP(buf_fini) struct buf same = {0};

    buf_init(&same, CHECK_SHOWN_MAX);
    for (size_t i = 1; i < json_array_size(list); i++) {
        for (size_t k = 0; k < i; k++) {
            if (!same_entry(field, json_array_get(list, i), json_array_get(list, k)))
                continue;
            describe_entry(field, json_array_get(list, i), &same);
            check_fault(c, at, "entries %zu and %zu have the same %s; change or remove one", k, i,
                        buf_cstr(&same));
            return;
        }
    }
}

static void check_list(struct checker *c, const struct check_place *at,
                       const struct crd_field *field, json_t *list)
{
    const struct crd_field *row;
    struct check_place element = place_element(at, 0);
    int before = c->count;
    json_t *value;
    size_t i;

    if (json_array_size(list) > field->max_length) {
        check_fault(c, at, "has %zu entries; at most %zu are allowed", json_array_size(list),
                    field->max_length);
        return;
    }
    row = crd_field_find(c->kind, str_of(element.path));
    json_array_foreach (list, i, value) {
        element = place_element(at, i);
        check_value(c, &element, row, value);
    }
    if (c->count == before && (field->is_set || field->list_keys[0] != NULL))
        check_unique(c, at, field, list);
}

static bool type_fits(const struct crd_field *field, const json_t *value)
{
    switch (field->type) {
    case CRD_OBJECT:
    case CRD_MAP:
        return json_is_object(value);
    case CRD_LIST:
        return json_is_array(value);
    case CRD_INTEGER:
        return json_is_integer(value);
    case CRD_BOOLEAN:
        return json_is_boolean(value);
    default:
        return json_is_string(value);
    }
}

static const char *type_wanted(const struct crd_field *field)
{
    switch (field->type) {
    case CRD_OBJECT:
    case CRD_MAP:
        return "an object (name: value lines below it)";
    case CRD_LIST:
        return "a list (lines with a dash)";
    case CRD_INTEGER:
        return "an integer, without quotes";
    case CRD_BOOLEAN:
        return "true or false";
    case CRD_USD:
        return "a decimal number in quotes, such as \"0.55\"";
    default:
        return "a string; put it in quotes";
    }
}

static void check_value(struct checker *c, const struct check_place *at,
                        const struct crd_field *field, json_t *value)
{
    if (!type_fits(field, value)) {
        check_fault(c, at, "is of type %s; write %s", json_type_name(value), type_wanted(field));
        return;
    }
    switch (field->type) {
    case CRD_OBJECT:
        check_object(c, at, value);
        break;
    case CRD_MAP:
        check_map(c, at, field, value);
        break;
    case CRD_LIST:
        check_list(c, at, field, value);
        break;
    case CRD_INTEGER:
        check_integer(c, at, field, value);
        break;
    case CRD_BOOLEAN:
        break;
    default:
        check_text(c, at, field, json_str(value));
    }
}

/* Asks the rule about the value at `rest` below `node`; rules stand on objects, never in lists. */
static void check_rule(struct checker *c, const struct crd_rule *rule, const json_t *tree)
{
    struct str rest = str_of(rule->path);
    struct check_place at;
    const json_t *node = tree;

    while (rest.ptr != NULL && node != NULL) {
        struct str part = str_cut(&rest, '.');

        node = json_object_getn(node, part.ptr, part.len);
    }
    if (node == NULL || rule->holds(node))
        return;
    snprintf(at.shown, sizeof(at.shown), "%s.%s", rule->path, rule->member);
    check_fault(c, &at, "%s", rule->message);
}

int crd_check(const struct crd_kind *kind, json_t *tree, struct buf *faults)
{
    struct checker c = {.kind = kind, .faults = faults};
    struct check_place top = {"", ""};

    if (!json_is_object(tree)) {
        check_fault(&c, &top,
                    "is of type %s; write an object with apiVersion, kind, metadata and spec",
                    json_type_name(tree));
        return c.count;
    }
    check_object(&c, &top, tree);
    if (c.no_memory)
        return -ERR_NO_MEMORY;
    /* The predicates rely on types that were found right. */
    for (size_t i = 0; i < kind->rule_count && c.count == 0; i++)
        check_rule(&c, &kind->rules[i], tree);
    if (c.count > CRD_FAULTS_MAX)
        buf_printf(faults, "\nand %d more", c.count - CRD_FAULTS_MAX);
    return c.count;
}
