/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate-crd-mutants SEED COUNT: manifests that are almost right, one JSON line each, with the
 * verdict of our own check (verdict.h). Each begins as a right one and is changed in one to three
 * places that the tables name.
 */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "bases.h"
#include "values.h"
#include "verdict.h"

enum { WHAT_MAX = 1024 };

struct mutation {
    json_t *object;
    const struct crd_kind *kind;
    const struct rng *rng;
    struct buf *what;
};

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
    spot_set(spot, map);
}

static void change_value(const struct mutation *m, const struct spot *spot)
{
    json_t *value = spot_value(spot);

    if (spot->field->type == CRD_MAP)
        change_map(m, spot);
    else if (json_is_array(value))
        change_list(m, spot, value);
    else if (json_is_object(value))
        change_object(m, value);
    else if ((value = value_near(spot->field, m->rng)) != NULL)
        spot_set(spot, value);
}

static void mutate(struct mutation *m)
{
    static struct spots spots;
    const struct spot *spot;
    const char *how = "changed";

    spots_find(&spots, m->kind, m->object);
    spot = &spots.items[rng_below(m->rng, spots.count)];
    switch (rng_below(m->rng, 8)) {
    case 0:
        how = "removed";
        spot_remove(spot);
        break;
    case 1:
        how = "of another type";
        spot_set(spot, value_of_any_type(m->rng));
        break;
    default:
        change_value(m, spot);
    }
    buf_printf(m->what, "%s%s %s", m->what->len > 0 ? "; " : "", spot->field->path, how);
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
    m.kind = base_kind(object);
    for (uint64_t i = 0; i < changes; i++)
        mutate(&m);
    verdict_print(&(struct verdict_case){.object = object, .what = buf_cstr(&what)});
}

int main(int argc, char **argv)
{
    json_auto_t *documents = NULL;
    struct rng_seeded seeded;
    uint64_t seed, count;

    if (argc != 3 || !str_to_u64(str_of(argv[1]), &seed) || !str_to_u64(str_of(argv[2]), &count)) {
        fprintf(stderr, "usage: spate-crd-mutants SEED COUNT\n");
        return 2;
    }
    documents = bases_read();
    rng_seeded_init(&seeded, seed);
    for (uint64_t i = 0; i < count; i++)
        make_one(documents, &seeded.rng);
    return fflush(stdout) == 0 ? 0 : 1;
}
