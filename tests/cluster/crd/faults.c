/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-crd-faults: each promise of each row of spec, and each rule across fields, broken once: one
 * JSON line each (verdict.h). Where no right manifest has a value to break, or no manifest breaks a
 * rule, it says so and fails: a new row or rule is tried from its first day.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "bases.h"
#include "crd/object.h"
#include "verdict.h"

enum { WHAT_MAX = 256, TEXT_MAX = 8192 };

static bool is_text(const struct crd_field *field)
{
    return field->type == CRD_STRING || field->type == CRD_TIME || field->type == CRD_SHA256 ||
           field->type == CRD_USD;
}

/* --- one promise of one row: whether there is it, and how it is broken ------------------------ */

static bool is_required(const struct crd_field *field)
{
    return field->required;
}

static bool has_type(const struct crd_field *field)
{
    (void)field;
    return true;
}

static void break_type(const struct spot *spot)
{
    spot_set(spot, is_text(spot->field) || spot->field->type == CRD_ENUM ? json_true()
                                                                         : json_string("x"));
}

static bool has_members(const struct crd_field *field)
{
    return field->type == CRD_OBJECT;
}

static void add_member(const struct spot *spot)
{
    json_object_set_new(spot_value(spot), "colour", json_string("blue"));
}

static bool has_bounds(const struct crd_field *field)
{
    return field->type == CRD_INTEGER;
}

static void set_least(const struct spot *spot)
{
    spot_set(spot, json_integer(spot->field->min));
}

static void set_below(const struct spot *spot)
{
    spot_set(spot, json_integer(spot->field->min - 1));
}

static void set_most(const struct spot *spot)
{
    spot_set(spot, json_integer(spot->field->max));
}

static void set_above(const struct spot *spot)
{
    spot_set(spot, json_integer(spot->field->max + 1));
}

/* The first `length` characters of the present text, followed by as many more as it takes. */
static void set_length(const struct spot *spot, size_t length, char more)
{
    struct str present = json_str(spot_value(spot));
    char text[TEXT_MAX];

    if (length >= sizeof(text))
        abort();
    memset(text, more, length);
    memcpy(text, present.ptr, present.len < length ? present.len : length);
    spot_set(spot, json_stringn(text, length));
}

static void set_too_long(const struct spot *spot)
{
    set_length(spot, spot->field->max_length + 1, 'a');
}

static void set_longest(const struct spot *spot)
{
    set_length(spot, spot->field->max_length, 'a');
}

static bool has_most_length(const struct crd_field *field)
{
    return field->type == CRD_STRING;
}

static bool has_least_length(const struct crd_field *field)
{
    return is_text(field) && field->min_length > 0;
}

static void set_too_short(const struct spot *spot)
{
    set_length(spot, spot->field->min_length - 1, 'a');
}

static bool has_pattern(const struct crd_field *field)
{
    return is_text(field) && field->pattern != NULL;
}

static void break_pattern(const struct spot *spot)
{
    spot_set(spot, json_string(""));
    set_length(spot, spot->field->min_length > 0 ? spot->field->min_length : 1, '!');
}

static bool has_form(const struct crd_field *field)
{
    return field->type == CRD_TIME || field->type == CRD_SHA256 || field->type == CRD_USD;
}

static void break_form(const struct spot *spot)
{
    if (spot->field->type == CRD_TIME)
        spot_set(spot, json_string("2026-02-30T00:00:00Z"));
    else if (spot->field->type == CRD_USD)
        spot_set(spot, json_string("-1"));
    else
        spot_set(spot, json_string("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"
                                   "0015ad"));
}

static bool has_values(const struct crd_field *field)
{
    return field->type == CRD_ENUM;
}

static void set_unknown(const struct spot *spot)
{
    spot_set(spot, json_string("auto"));
}

static bool is_list(const struct crd_field *field)
{
    return field->type == CRD_LIST;
}

static void set_too_many(const struct spot *spot)
{
    json_t *list = spot_value(spot);

    while (json_array_size(list) <= spot->field->max_length)
        json_array_append_new(list, json_deep_copy(json_array_get(list, 0)));
}

static bool has_unique_entries(const struct crd_field *field)
{
    return is_list(field) && (field->is_set || field->list_keys[0] != NULL);
}

static void add_same(const struct spot *spot)
{
    json_t *list = spot_value(spot);

    json_array_append_new(list, json_deep_copy(json_array_get(list, 0)));
}

/* Those without words are right as far as the row goes: the verdicts need only agree. */
static const struct promise {
    const char *what;
    bool (*is_there)(const struct crd_field *field);
    void (*break_it)(const struct spot *spot);
    const char *ours, *theirs;
} promises[] = {
    {"removed", is_required, spot_remove, "is required", "Required value"},
    {"of another type", has_type, break_type, "is of type", "must be of type"},
    {"with an unknown member", has_members, add_member, "unknown field", "unknown field"},
    {"at its least", has_bounds, set_least, NULL, NULL},
    {"below its least", has_bounds, set_below, "is below", "should be greater than or equal to"},
    {"at its most", has_bounds, set_most, NULL, NULL},
    {"above its most", has_bounds, set_above, "is above", "should be less than or equal to"},
    {"as long as may be", has_most_length, set_longest, NULL, NULL},
    {"too long", is_text, set_too_long, "characters; at most", "Too long"},
    {"too short", has_least_length, set_too_short, "", "should be at least"},
    {"not of its pattern", has_pattern, break_pattern, "is not", "should match"},
    {"not of its form", has_form, break_form, "is not a", "Invalid value"},
    {"not one of its values", has_values, set_unknown, "is not known", "Unsupported value"},
    {"with too many entries", is_list, set_too_many, "entries; at most", "Too many"},
    {"with the same entry twice", has_unique_entries, add_same, "have the same", "Duplicate value"},
};

/* --- rules across fields ---------------------------------------------------------------------- */

/* In the order of the rules of each kind: what is laid over the spec of its first right manifest.
 */
static const struct {
    enum crd_kind_id kind;
    const char *spec;
} rule_breakers[] = {
    {CRD_MODEL_DEPLOYMENT, "{\"scaling\": {\"replicas\": 2}}"},
    {CRD_MODEL_DEPLOYMENT, "{\"scaling\": {\"minReplicas\": 5}}"},
    {CRD_MODEL_DEPLOYMENT,
     "{\"scaling\": {\"warmup\": [{\"schedule\": \"0 8 * * *\", \"replicas\": 5}]}}"},
    {CRD_MODEL_DEPLOYMENT, "{\"model\": {\"uri\": \"s3://bucket/brook\"}}"},
    {CRD_MODEL_DEPLOYMENT, "{\"model\": {\"uri\": \"file:///models/../brook\"}}"},
    {CRD_MODEL_ROUTE, "{\"targets\": [{\"model\": \"brook\", \"weight\": 0}]}"},
    {CRD_PRICE_BOOK, "{\"prices\": [{\"model\": \"*\", \"input\": \"1\", \"output\": \"1\", "
                     "\"effectiveFrom\": \"1969-12-31T23:59:59Z\"}]}"},
};

static const char *rule_breaker(enum crd_kind_id kind, size_t rule)
{
    for (size_t i = 0; i < ARRAY_COUNT(rule_breakers); i++) {
        if (rule_breakers[i].kind == kind && rule-- == 0)
            return rule_breakers[i].spec;
    }
    return NULL;
}

static json_t *first_of_kind(json_t *bases, const struct crd_kind *kind)
{
    json_t *base;
    size_t i;

    json_array_foreach (bases, i, base) {
        if (base_kind(base) == kind)
            return base;
    }
    return NULL;
}

static bool break_rule(json_t *bases, const struct crd_kind *kind, size_t rule)
{
    const char *text = rule_breaker(kind->id, rule);
    const char *message = kind->rules[rule].message;
    json_auto_t *object = json_deep_copy(first_of_kind(bases, kind));
    json_auto_t *spec = text != NULL ? json_loads(text, 0, NULL) : NULL;
    char what[WHAT_MAX];

    if (spec == NULL || json_object_update_recursive(json_object_get(object, "spec"), spec) < 0) {
        fprintf(stderr, "faults.c: no manifest breaks the rule of %s: %s\n", kind->kind, message);
        return false;
    }
    snprintf(what, sizeof(what), "%s, rule %zu", kind->kind, rule);
    verdict_print(
        &(struct verdict_case){.object = object, .what = what, .ours = message, .theirs = message});
    return true;
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Breaks it in the first right manifest that has a value there. */
static bool break_promise(json_t *bases, const struct crd_kind *kind, const struct crd_field *field,
                          const struct promise *promise)
{
    static struct spots spots;
    char what[WHAT_MAX];
    json_t *base;
    size_t i;

    snprintf(what, sizeof(what), "%s: %s %s", kind->kind, field->path, promise->what);
    json_array_foreach (bases, i, base) {
        json_auto_t *object = json_deep_copy(base);

        if (base_kind(base) != kind)
            continue;
        spots_find(&spots, kind, object);
        for (size_t k = 0; k < spots.count; k++) {
            json_t *value = spot_value(&spots.items[k]);

            if (spots.items[k].field != field || value == NULL ||
                (is_list(field) && json_array_size(value) == 0))
                continue;
            promise->break_it(&spots.items[k]);
            verdict_print(&(struct verdict_case){
                .object = object, .what = what, .ours = promise->ours, .theirs = promise->theirs});
            return true;
        }
    }
    fprintf(stderr, "bases.c: no %s has a value at %s\n", kind->kind, field->path);
    return false;
}

static bool break_kind(json_t *bases, const struct crd_kind *kind)
{
    bool ok = true;

    for (size_t row = 0; row < kind->spec->count; row++) {
        const struct crd_field *field = &kind->spec->rows[row];

        for (size_t i = 0; i < ARRAY_COUNT(promises); i++) {
            if (promises[i].is_there(field))
                ok = break_promise(bases, kind, field, &promises[i]) && ok;
        }
    }
    for (size_t rule = 0; rule < kind->rule_count; rule++)
        ok = break_rule(bases, kind, rule) && ok;
    return ok;
}

/* What is built on a manifest that is refused anyway shows nothing. */
static bool are_right(const json_t *bases)
{
    const json_t *base;
    bool ok = true;
    size_t i;

    json_array_foreach (bases, i, base) {
        CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
        struct err err = {0};

        if (crd_object_read(&object, base, NULL, NULL, &err) == 0)
            continue;
        fprintf(stderr, "bases.c: manifest %zu: %s\n", i, err_message(&err));
        ok = false;
    }
    return ok;
}

int main(void)
{
    json_auto_t *bases = bases_read();
    bool ok = are_right(bases);

    for (int i = 0; i < CRD_KIND_COUNT; i++)
        ok = break_kind(bases, crd_kinds[i]) && ok;
    return fflush(stdout) == 0 && ok ? 0 : 1;
}
