/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a tree against the table of its kind and fills in the defaults. Every fault becomes one
 * line: where, what, and the cure. Walks the tree and the table side by side:
 *
 *     shown  spec.scaling.warmup[2].schedule     for people
 *     path   spec.scaling.warmup[].schedule      for the table
 */
#include <ctype.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "crd/kinds.h"
#include "crd/object.h"
#include "crd/tenant.h"

enum { PATH_MAX_BYTES = 128, SHOWN_MAX_BYTES = 256, SIBLINGS_MAX = 32, QUOTE_MAX = 40 };

struct place {
    char path[PATH_MAX_BYTES];
    char shown[SHOWN_MAX_BYTES];
};

struct checker {
    const struct crd_kind *kind;
    struct buf *faults;
    int count;
    bool no_memory;
};

static void check_value(struct checker *c, const struct place *at, const struct crd_field *field,
                        json_t *value);

static void fault(struct checker *c, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fault(struct checker *c, const struct place *at, const char *format, ...)
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

/* What a manifest holds may be hostile: control characters and overlong text stay out. */
static const char *quote(struct str s, char out[QUOTE_MAX])
{
    size_t length = s.len < QUOTE_MAX - 4 ? s.len : QUOTE_MAX - 4;

    for (size_t i = 0; i < length; i++)
        out[i] = isprint((unsigned char)s.ptr[i]) ? s.ptr[i] : '?';
    snprintf(out + length, 4, "%s", length < s.len ? "..." : "");
    return out;
}

static struct place place_below(const struct place *at, const char *name)
{
    struct place below;
    char safe[QUOTE_MAX];
    const char *dot = at->path[0] == '\0' ? "" : ".";

    /* A path that is cut matches no row: the table's own paths are all shorter. */
    if (snprintf(below.path, sizeof(below.path), "%s%s%s", at->path, dot, name) < 0)
        below.path[0] = '\0';
    if (snprintf(below.shown, sizeof(below.shown), "%s%s%s", at->shown, dot,
                 quote(str_of(name), safe)) < 0)
        below.shown[0] = '\0';
    return below;
}

static struct place place_element(const struct place *at, size_t index)
{
    struct place element;

    if (snprintf(element.path, sizeof(element.path), "%s[]", at->path) < 0)
        element.path[0] = '\0';
    if (snprintf(element.shown, sizeof(element.shown), "%s[%zu]", at->shown, index) < 0)
        element.shown[0] = '\0';
    return element;
}

/* Names that are known at this place, NULL-ended. */
static void siblings(const struct checker *c, const struct place *at,
                     const char *names[SIBLINGS_MAX + 1])
{
    const struct crd_field *field;
    int count = 0;

    for (size_t i = 0; (field = crd_field_at(c->kind, i)) != NULL && count < SIBLINGS_MAX; i++) {
        const char *name = crd_field_name_below(field, at->path);

        if (name != NULL)
            names[count++] = name;
    }
    names[count] = NULL;
}

static void fault_unknown(struct checker *c, const struct place *parent, const char *key)
{
    const char *names[SIBLINGS_MAX + 1];
    struct place at = place_below(parent, key);
    char known[256] = "";
    const char *close;

    siblings(c, parent, names);
    close = args_closest(key, names);
    if (close != NULL) {
        fault(c, &at, "unknown field; did you mean %s?", close);
        return;
    }
    for (int i = 0; names[i] != NULL; i++) {
        size_t used = strlen(known);

        snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    fault(c, &at, "unknown field; remove it, or use one of %s", known);
}

static void check_unknown(struct checker *c, const struct place *at, json_t *object)
{
    const char *key;
    const json_t *value;

    json_object_foreach (object, key, value) {
        struct place below = place_below(at, key);

        if (crd_field_find(c->kind, str_of(below.path)) == NULL)
            fault_unknown(c, at, key);
    }
}

/* Absent and null are the same. Returns the value that is there afterwards, or NULL. */
static json_t *value_or_default(struct checker *c, json_t *object, const char *name,
                                const struct crd_field *field)
{
    json_t *value = json_object_get(object, name);

    if (json_is_null(value)) {
        json_object_del(object, name);
        value = NULL;
    }
    if (value != NULL || field->default_json == NULL)
        return value;
    value = json_loads(field->default_json, JSON_DECODE_ANY, NULL);
    if (json_object_set_new(object, name, value) < 0) {
        c->no_memory = true;
        return NULL;
    }
    return value;
}

static void check_object(struct checker *c, const struct place *at, json_t *object)
{
    const struct crd_field *field;

    check_unknown(c, at, object);
    for (size_t i = 0; (field = crd_field_at(c->kind, i)) != NULL; i++) {
        const char *name = crd_field_name_below(field, at->path);
        struct place below;
        json_t *value;

        if (name == NULL)
            continue;
        below = place_below(at, name);
        value = value_or_default(c, object, name, field);
        if (value != NULL)
            check_value(c, &below, field, value);
        else if (field->required)
            fault(c, &below, "is required; add it: %s", field->describe);
    }
}

static void check_list_key(struct checker *c, const struct place *at, const char *key,
                           const json_t *list)
{
    const json_t *element;
    size_t i;

    json_array_foreach (list, i, element) {
        struct str name = json_str(json_object_get(element, key));

        for (size_t k = 0; k < i && name.len > 0; k++) {
            char quoted[QUOTE_MAX];

            if (!str_eq(name, json_str(json_object_get(json_array_get(list, k), key))))
                continue;
            fault(c, at, "entries %zu and %zu have the same %s \"%s\"; rename or remove one", k, i,
                  key, quote(name, quoted));
            return;
        }
    }
}

static void check_list(struct checker *c, const struct place *at, const struct crd_field *field,
                       json_t *list)
{
    const struct crd_field *row;
    struct place element = place_element(at, 0);
    json_t *value;
    size_t i;

    if (json_array_size(list) > field->max_length) {
        fault(c, at, "has %zu entries; at most %zu are allowed", json_array_size(list),
              field->max_length);
        return;
    }
    row = crd_field_find(c->kind, str_of(element.path));
    json_array_foreach (list, i, value) {
        element = place_element(at, i);
        check_value(c, &element, row, value);
    }
    if (field->list_key != NULL)
        check_list_key(c, at, field->list_key, list);
}

static void check_map(struct checker *c, const struct place *at, const struct crd_field *field,
                      json_t *map)
{
    enum { KEY_MAX = 253, VALUE_MAX = 4096 };
    const char *key;
    const json_t *value;

    if (json_object_size(map) > field->max_length)
        fault(c, at, "has %zu entries; at most %zu are allowed", json_object_size(map),
              field->max_length);
    json_object_foreach (map, key, value) {
        struct place below = place_below(at, key);

        if (!json_is_string(value))
            fault(c, &below, "is of type %s; write a string in quotes", json_type_name(value));
        else if (key[0] == '\0' || strlen(key) > KEY_MAX || json_string_length(value) > VALUE_MAX)
            fault(c, &below, "is too long or has no name; keys have 1 to %d bytes, values up to %d",
                  KEY_MAX, VALUE_MAX);
    }
}

static size_t characters(struct str s)
{
    size_t count = 0;

    for (size_t i = 0; i < s.len; i++)
        count += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return count;
}

static bool matches(struct checker *c, const char *pattern, struct str text)
{
    regex_t compiled;
    int r;

    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        c->no_memory = true;
        return false;
    }
    r = regexec(&compiled, text.ptr, 0, NULL, 0);
    regfree(&compiled);
    return r == 0;
}

/* Length and pattern; true if the text may be looked at further. */
static bool check_text(struct checker *c, const struct place *at, const struct crd_field *field,
                       struct str text)
{
    char quoted[QUOTE_MAX];
    size_t length = characters(text);

    if (length > field->max_length) {
        fault(c, at, "has %zu characters; at most %zu are allowed", length, field->max_length);
        return false;
    }
    if (length == 0 && field->min_length > 0) {
        fault(c, at, "is empty; leave it out, or write %s",
              field->pattern_means != NULL ? field->pattern_means : "a value");
        return false;
    }
    if (field->pattern != NULL && !matches(c, field->pattern, text)) {
        fault(c, at, "\"%s\" is not %s; correct it", quote(text, quoted), field->pattern_means);
        return false;
    }
    if (length < field->min_length) {
        fault(c, at, "\"%s\" is too short; at least %zu characters are needed", quote(text, quoted),
              field->min_length);
        return false;
    }
    return true;
}

static void check_enum(struct checker *c, const struct place *at, const struct crd_field *field,
                       struct str text)
{
    char quoted[QUOTE_MAX];
    char known[160] = "";

    for (int i = 0; field->values[i] != NULL; i++) {
        size_t used = strlen(known);

        if (str_is(text, field->values[i]))
            return;
        snprintf(known + used, sizeof(known) - used, "%s%s", i > 0 ? ", " : "", field->values[i]);
    }
    fault(c, at, "\"%s\" is not known; use %s", quote(text, quoted), known);
}

static bool is_sha256(struct str text)
{
    uint8_t bytes[SHA256_BYTES];

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F')
            return false;
    }
    return hex_parse(text, bytes, sizeof(bytes));
}

static void check_string_kind(struct checker *c, const struct place *at,
                              const struct crd_field *field, struct str text)
{
    char quoted[QUOTE_MAX];
    int64_t number;

    if (field->type == CRD_ENUM) {
        check_enum(c, at, field, text);
        return;
    }
    if (!check_text(c, at, field, text))
        return;
    if (field->type == CRD_TIME && clock_parse_utc(text.ptr, text.len, &number) < 0)
        fault(c, at, "\"%s\" is not a time; write it as 2026-11-22T15:04:05Z", quote(text, quoted));
    if (field->type == CRD_SHA256 && !is_sha256(text))
        fault(c, at, "is not a SHA-256; write 64 lower-case hexadecimal digits");
    if (field->type == CRD_USD && !crd_usd_parse(text, &number))
        fault(c, at,
              "\"%s\" is not a price; write dollars from \"0\" to \"1000000\" with at most 9 "
              "decimals, such as \"0.55\"",
              quote(text, quoted));
}

static void check_integer(struct checker *c, const struct place *at, const struct crd_field *field,
                          const json_t *value)
{
    json_int_t number = json_integer_value(value);

    if (number < field->min && field->max < INT64_MAX)
        fault(c, at, "%" PRId64 " is below %" PRId64 "; use %" PRId64 " to %" PRId64,
              (int64_t)number, field->min, field->min, field->max);
    else if (number < field->min)
        fault(c, at, "%" PRId64 " is below %" PRId64 "; use a larger number", (int64_t)number,
              field->min);
    else if (number > field->max)
        fault(c, at, "%" PRId64 " is above %" PRId64 "; use %" PRId64 " to %" PRId64,
              (int64_t)number, field->max, field->min, field->max);
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

static void check_value(struct checker *c, const struct place *at, const struct crd_field *field,
                        json_t *value)
{
    if (!type_fits(field, value)) {
        fault(c, at, "is of type %s; write %s", json_type_name(value), type_wanted(field));
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
        check_string_kind(c, at, field, json_str(value));
    }
}

/* Asks the rule about the value at `rest` below `node`; rules stand on objects, never in lists. */
static void check_rule(struct checker *c, const struct crd_rule *rule, const json_t *tree)
{
    struct str rest = str_of(rule->path);
    struct place at;
    const json_t *node = tree;

    while (rest.ptr != NULL && node != NULL) {
        struct str part = str_cut(&rest, '.');

        node = json_object_getn(node, part.ptr, part.len);
    }
    if (node == NULL || rule->holds(node))
        return;
    snprintf(at.shown, sizeof(at.shown), "%s", rule->path);
    fault(c, &at, "%s", rule->message);
}

int crd_check(const struct crd_kind *kind, json_t *tree, struct buf *faults)
{
    struct checker c = {.kind = kind, .faults = faults};
    struct place top = {"", ""};

    if (!json_is_object(tree)) {
        fault(&c, &top, "is of type %s; write an object with apiVersion, kind, metadata and spec",
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
