/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-crd-mutants SEED COUNT: manifests that are almost right, one JSON line each, with the
 * verdict of our own check:
 *
 *     {"what": "...", "resource": "tenants", "object": {...}, "accepted": true, "spec": {...}}
 *
 * Each begins as a right one and is changed in one to three places that the tables name. "spec" is
 * what it is with the defaults filled in; "line" what is said of a refused one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "crd/kinds.h"
#include "crd/object.h"
#include "values.h"

enum { PLACES_MAX = 512, WHAT_MAX = 1024, PATH_MAX_BYTES = 128, LINE_MAX_BYTES = 1 << 20 };

static const char bases[] =
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelDeployment\n"
    "metadata: {name: brook, namespace: default, labels: {team: red, example.com/a: b}}\n"
    "spec:\n"
    "  model: {uri: \"file:///models/brook\", name: brook}\n"
    "  engine: {slots: 8, contextTokens: 4096, kvCacheMiB: 64, threads: 2, chunkTokens: 256}\n"
    "  scaling:\n"
    "    mode: Auto\n"
    "    minReplicas: 1\n"
    "    maxReplicas: 4\n"
    "    targetUtilizationPercent: 70\n"
    "    idle: {afterSeconds: 60}\n"
    "    scaleDownDelaySeconds: 5\n"
    "    warmup:\n"
    "    - {name: office, schedule: \"0 8 * * *\", timeZone: Asia/Shanghai, replicas: 3}\n"
    "    - {schedule: \"0 20 * * 1-5\", replicas: 2, durationSeconds: 600}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelDeployment\n"
    "metadata: {name: brook, namespace: default}\n"
    "spec: {model: {uri: \"file:///m\"}, scaling: {mode: Manual, replicas: 2},\n"
    "       routing: {fromNamespaces: [team-a, \"*\"]}}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: ModelRoute\n"
    "metadata: {name: chat, namespace: default}\n"
    "spec:\n"
    "  name: chat:latest\n"
    "  targets: [{model: brook, weight: 90}, {model: team-a/next, weight: 10}, {model: off}]\n"
    "  fallback: {models: [small, team-b/large], afterSeconds: 5}\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: Tenant\n"
    "metadata: {name: acme, annotations: {example.com/note: any text}}\n"
    "spec:\n"
    "  keys:\n"
    "  - {id: a, sha256: ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}\n"
    "  - {id: b, sha256: aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad}\n"
    "  namespaces: [default, team-a]\n"
    "  models: [default/brook, team-a/r1]\n"
    "  limits: {requestsPerMinute: 60, concurrency: 4}\n"
    "  priority: 5\n"
    "  priceBook: list\n"
    "---\n"
    "apiVersion: spate.dev/v1alpha1\n"
    "kind: PriceBook\n"
    "metadata: {name: list}\n"
    "spec:\n"
    "  currency: USD\n"
    "  prices:\n"
    "  - {model: \"*\", input: \"0.55\", output: \"2.19\"}\n"
    "  - {model: \"*\", input: \"1\", output: \"2\", effectiveFrom: \"2026-11-22T15:04:05Z\"}\n"
    "  - {model: team-a/*, input: \"0.1\", cachedInput: \"0.01\", output: \"1\", reasoning: "
    "\"2\"}\n";

/* Where a value is or could be. */
struct spot {
    json_t *parent;  /* object or array; borrowed */
    const char *key; /* in an object */
    size_t index;    /* in an array */
    const struct crd_field *field;
};

struct spots {
    const struct crd_kind *kind;
    struct spot items[PLACES_MAX];
    size_t count;
};

struct mutation {
    json_t *object;
    const struct crd_kind *kind;
    const struct rng *rng;
    struct buf *what;
};

/* --- finding places --------------------------------------------------------------------------- */

static void add_spot(struct spots *s, struct spot spot)
{
    if (s->count < PLACES_MAX)
        s->items[s->count++] = spot;
}

static void find_below(struct spots *s, const char *path, json_t *value);

static void find_member(struct spots *s, json_t *object, const char *name,
                        const struct crd_field *field)
{
    add_spot(s, (struct spot){.parent = object, .key = name, .field = field});
    find_below(s, field->path, json_object_get(object, name));
}

static void find_elements(struct spots *s, const char *path, json_t *list)
{
    char element[PATH_MAX_BYTES];
    const struct crd_field *field;

    snprintf(element, sizeof(element), "%s[]", path);
    field = crd_field_find(s->kind, str_of(element));
    /* No row: an earlier change put a list where none belongs. */
    for (size_t i = 0; field != NULL && i < json_array_size(list); i++) {
        add_spot(s, (struct spot){.parent = list, .index = i, .field = field});
        find_below(s, element, json_array_get(list, i));
    }
}

static void find_below(struct spots *s, const char *path, json_t *value)
{
    const struct crd_field *field;

    if (json_is_array(value))
        find_elements(s, path, value);
    if (!json_is_object(value))
        return;
    for (size_t i = 0; (field = crd_field_at(s->kind, i)) != NULL; i++) {
        const char *name = crd_field_name_below(field, path);

        if (name != NULL)
            find_member(s, value, name, field);
    }
}

/* Everything below spec, and what of metadata a person writes. */
static void find_spots(struct spots *s, const struct crd_kind *kind, json_t *object)
{
    json_t *metadata = json_object_get(object, "metadata");

    s->kind = kind;
    s->count = 0;
    find_member(s, object, "spec", crd_field_find(kind, STR("spec")));
    if (!json_is_object(metadata))
        return;
    find_member(s, metadata, "name", crd_field_find(kind, STR("metadata.name")));
    add_spot(s, (struct spot){.parent = metadata,
                              .key = "labels",
                              .field = crd_field_find(kind, STR("metadata.labels"))});
}

/* --- changing one ----------------------------------------------------------------------------- */

static json_t *value_at(const struct spot *spot)
{
    return spot->key != NULL ? json_object_get(spot->parent, spot->key)
                             : json_array_get(spot->parent, spot->index);
}

/* Takes the value over. */
static void set_at(const struct spot *spot, json_t *value)
{
    if (spot->key != NULL)
        json_object_set_new(spot->parent, spot->key, value);
    else
        json_array_set_new(spot->parent, spot->index, value);
}

static void remove_at(const struct spot *spot)
{
    if (spot->key != NULL)
        json_object_del(spot->parent, spot->key);
    else
        json_array_remove(spot->parent, spot->index);
}

static void change_list(const struct mutation *m, const struct spot *spot, json_t *list)
{
    size_t size = json_array_size(list);
    size_t wanted = spot->field->max_length + rng_below(m->rng, 2);

    switch (rng_below(m->rng, 4)) {
    case 0:
        json_array_clear(list);
        break;
    case 1: /* twice the same */
        if (size > 0)
            json_array_append_new(list,
                                  json_deep_copy(json_array_get(list, rng_below(m->rng, size))));
        break;
    case 2: /* as many as there may be, or one more */
        for (size_t i = size; size > 0 && i < wanted; i++)
            json_array_append_new(list, json_deep_copy(json_array_get(list, i % size)));
        break;
    default:
        json_array_append_new(list, value_of_any_type(m->rng));
    }
}

static void change_object(const struct mutation *m, json_t *object)
{
    static const char *const unknown[] = {"colour", "replica", "spec.model", "Mode", "names",
                                          "uri ",   "status",  "input",      "id[]"};

    json_object_set_new(object, unknown[rng_below(m->rng, ARRAY_COUNT(unknown))],
                        value_of_any_type(m->rng));
}

static void change_map(const struct mutation *m, const struct spot *spot)
{
    json_t *map = json_object();

    json_object_set_new(map, value_odd_text(m->rng),
                        rng_below(m->rng, 4) == 0 ? json_integer(4)
                                                  : json_string(value_odd_text(m->rng)));
    set_at(spot, map);
}

static void change_value(const struct mutation *m, const struct spot *spot)
{
    json_t *value = value_at(spot);

    if (spot->field->type == CRD_MAP)
        change_map(m, spot);
    else if (json_is_array(value))
        change_list(m, spot, value);
    else if (json_is_object(value))
        change_object(m, value);
    else if ((value = value_near(spot->field, m->rng)) != NULL)
        set_at(spot, value);
}

static void mutate(struct mutation *m)
{
    static struct spots spots;
    const struct spot *spot;
    const char *how = "changed";

    find_spots(&spots, m->kind, m->object);
    spot = &spots.items[rng_below(m->rng, spots.count)];
    switch (rng_below(m->rng, 8)) {
    case 0:
        how = "removed";
        remove_at(spot);
        break;
    case 1:
        how = "of another type";
        set_at(spot, value_of_any_type(m->rng));
        break;
    default:
        change_value(m, spot);
    }
    buf_printf(m->what, "%s%s %s", m->what->len > 0 ? "; " : "", spot->field->path, how);
}

/* --- the verdict ------------------------------------------------------------------------------ */

static void print_verdict(const struct mutation *m)
{
    CLEANUP(crd_object_unrefp) struct crd_object *object = NULL;
    CLEANUP(buf_fini) struct buf line = {0};
    struct json_writer w;
    struct err err = {0};
    int r = crd_object_read(&object, m->object, NULL, NULL, &err);

    if (r < 0 && r != -ERR_INVALID)
        abort();
    buf_init(&line, 2 * LINE_MAX_BYTES);
    json_writer_init(&w, &line);
    json_open(&w, '{');
    json_put_str(&w, "what", buf_str(m->what));
    json_put_text(&w, "resource", m->kind->plural);
    json_put_bool(&w, "namespaced", m->kind->namespaced);
    json_key(&w, "object");
    json_add_tree(&w, m->object);
    json_put_bool(&w, "accepted", r == 0);
    if (r == 0) {
        json_key(&w, "spec");
        json_add_tree(&w, object->spec);
    } else {
        json_put_text(&w, "line", err_message(&err));
    }
    json_close(&w, '}');
    if (line.failed)
        abort();
    printf("%.*s\n", STR_ARG(buf_str(&line)));
}

static void make_one(json_t *documents, const struct rng *rng)
{
    const json_t *base = json_array_get(documents, rng_below(rng, json_array_size(documents)));
    json_auto_t *object = json_deep_copy(base);
    CLEANUP(buf_fini) struct buf what = {0};
    struct mutation m = {.object = object, .rng = rng, .what = &what};
    /* One change mostly: with each more, fewer are right. */
    uint64_t changes = 1 + (rng_below(rng, 4) == 0 ? rng_below(rng, 3) : 0);

    buf_init(&what, WHAT_MAX);
    m.kind = crd_kind_find(json_str(json_object_get(object, "kind")));
    for (uint64_t i = 0; i < changes; i++)
        mutate(&m);
    print_verdict(&m);
}

int main(int argc, char **argv)
{
    json_auto_t *documents = NULL;
    struct rng_seeded seeded;
    struct err err = {0};
    uint64_t seed, count;

    if (argc != 3 || !str_to_u64(str_of(argv[1]), &seed) || !str_to_u64(str_of(argv[2]), &count)) {
        fprintf(stderr, "usage: spate-crd-mutants SEED COUNT\n");
        return 2;
    }
    if (yaml_read(&documents, STR(bases), "bases", &err) < 0) {
        fprintf(stderr, "spate-crd-mutants: %s\n", err_message(&err));
        return 1;
    }
    rng_seeded_init(&seeded, seed);
    for (uint64_t i = 0; i < count; i++)
        make_one(documents, &seeded.rng);
    return fflush(stdout) == 0 ? 0 : 1;
}
