/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of a model: fair between tenants, in order within one, and it loses nobody. */
#include "cmocka_plain.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/queue.h"

enum { TENANTS = 4, FLIGHTS = 64 };

struct rig {
    struct table table;
    struct gw_model model;
    struct gw_tenant tenants[TENANTS];
    struct flight *flights; /* FLIGHTS of them; number i is of tenant i % TENANTS */
};

static void rig_init(struct rig *r)
{
    *r = (struct rig){0};
    r->flights = mem_array(FLIGHTS, sizeof(*r->flights));
    assert_non_null(r->flights);
    for (int i = 0; i < FLIGHTS; i++) {
        r->flights[i].model = &r->model;
        r->flights[i].tenant = &r->tenants[i % TENANTS];
        r->flights[i].body = STR("12345");
        r->flights[i].arrived_mono_ms = i;
    }
}

static void rig_fini(struct rig *r)
{
    assert_int_equal(r->model.queued, 0);
    assert_int_equal(r->table.queued_bytes, 0);
    assert_null(r->model.lines);
    assert_null(r->model.front_first);
    assert_null(r->model.front_last);
    mem_free(r->flights);
}

static bool any(const struct flight *f, void *user)
{
    (void)f;
    (void)user;
    return true;
}

static bool none(const struct flight *f, void *user)
{
    ++*(int *)user;
    return f == NULL;
}

static bool not_of_tenant(const struct flight *f, void *user)
{
    return f->tenant != user;
}

/* The number of the next flight, or -1. */
static int take(struct rig *r)
{
    struct flight *f = gw_queue_take(&r->table, &r->model, any, NULL);

    return f == NULL ? -1 : (int)(f - r->flights);
}

static void add(struct rig *r, int number)
{
    assert_int_equal(gw_queue_add(&r->table, &r->flights[number]), 0);
}

/* One tenant's thousand does not delay another's one. */
static void tenants_are_served_in_turn(void **state)
{
    static const int expected[] = {0, 1, 2, 4, 5, 8, 12, 16, -1};
    struct rig r;

    (void)state;
    rig_init(&r);
    for (int i = 0; i < 5; i++)
        add(&r, i * TENANTS); /* five of tenant 0 come first */
    add(&r, 1);
    add(&r, 5); /* two of tenant 1 */
    add(&r, 2); /* one of tenant 2 */
    assert_int_equal(r.model.queued, 8);
    assert_int_equal(r.table.queued_bytes, 40);
    for (size_t i = 0; i < ARRAY_COUNT(expected); i++)
        assert_int_equal(take(&r), expected[i]);
    rig_fini(&r);
}

/* A tenant that comes back does not overtake those who wait. */
static void a_new_line_comes_last(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    add(&r, 0);
    add(&r, 1);
    add(&r, 5);
    assert_int_equal(take(&r), 0);
    add(&r, 4); /* tenant 0 again: tenant 1 has its turn first */
    add(&r, 2);
    assert_int_equal(take(&r), 1);
    assert_int_equal(take(&r), 4);
    assert_int_equal(take(&r), 2);
    assert_int_equal(take(&r), 5);
    assert_int_equal(take(&r), -1);
    rig_fini(&r);
}

static void what_was_put_back_is_first(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    for (int i = 0; i < 6; i++)
        add(&r, i);
    assert_int_equal(take(&r), 0);
    assert_int_equal(take(&r), 1);
    gw_queue_put_back(&r.table, &r.flights[0]);
    gw_queue_put_back(&r.table, &r.flights[1]);
    assert_int_equal(r.model.queued, 6);
    assert_ptr_equal(gw_queue_oldest(&r.model), &r.flights[0]);
    for (int i = 0; i < 6; i++)
        assert_int_equal(take(&r), i);
    rig_fini(&r);
}

/* One whose pod is not there (another digest) must not block the others. */
static void a_head_that_may_not_start_is_passed_over(void **state)
{
    struct rig r;
    struct flight *f;
    int looked = 0;

    (void)state;
    rig_init(&r);
    add(&r, 0);
    add(&r, 1);
    add(&r, 3);
    f = gw_queue_take(&r.table, &r.model, any, NULL);
    gw_queue_put_back(&r.table, f);
    assert_null(gw_queue_take(&r.table, &r.model, none, &looked));
    assert_int_equal(looked, 3); /* each is looked at once */
    assert_int_equal(r.model.queued, 3);
    f = gw_queue_take(&r.table, &r.model, not_of_tenant, &r.tenants[0]);
    assert_ptr_equal(f, &r.flights[1]);
    assert_int_equal(take(&r), 0);
    assert_int_equal(take(&r), 3);
    rig_fini(&r);
}

static void removal_works_anywhere(void **state)
{
    struct rng_seeded seeded;

    (void)state;
    rng_seeded_init(&seeded, 3);
    for (int round = 0; round < 200; round++) {
        bool waits[FLIGHTS] = {false};
        struct rig r;
        int count = 0;

        rig_init(&r);
        for (int step = 0; step < 300; step++) {
            int i = (int)rng_below(&seeded.rng, FLIGHTS);

            if (waits[i])
                gw_queue_remove(&r.table, &r.flights[i]);
            else if (rng_below(&seeded.rng, 4) == 0)
                gw_queue_put_back(&r.table, &r.flights[i]);
            else
                add(&r, i);
            waits[i] = !waits[i];
            count += waits[i] ? 1 : -1;
            assert_int_equal(r.model.queued, count);
            if (rng_below(&seeded.rng, 8) == 0 && count > 0) {
                int taken = take(&r);

                assert_true(taken >= 0 && waits[taken]);
                waits[taken] = false;
                count--;
            }
        }
        /* Each that waits comes once, and a tenant's own in the order of their lines. */
        for (; count > 0; count--) {
            int taken = take(&r);

            assert_true(taken >= 0 && waits[taken]);
            waits[taken] = false;
        }
        assert_int_equal(take(&r), -1);
        rig_fini(&r);
    }
}

static void the_oldest_is_known(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r);
    assert_null(gw_queue_oldest(&r.model));
    add(&r, 7);
    add(&r, 2);
    add(&r, 6);
    assert_ptr_equal(gw_queue_oldest(&r.model), &r.flights[2]);
    gw_queue_remove(&r.table, &r.flights[2]);
    assert_ptr_equal(gw_queue_oldest(&r.model), &r.flights[6]);
    gw_queue_remove(&r.table, &r.flights[6]);
    gw_queue_remove(&r.table, &r.flights[7]);
    rig_fini(&r);
}

/* Bounded by number and by bytes; what is put back is let in beyond them: it was admitted. */
static void the_queue_is_bounded(void **state)
{
    struct flight *f;
    struct rig r;

    (void)state;
    rig_init(&r);
    r.table.queued_bytes = TABLE_QUEUE_BYTES_MAX - 4;
    f = &r.flights[0];
    assert_int_equal(gw_queue_add(&r.table, f), -ERR_LIMIT);
    r.table.queued_bytes--;
    assert_int_equal(gw_queue_add(&r.table, f), 0);
    gw_queue_put_back(&r.table, &r.flights[1]);
    gw_queue_remove(&r.table, f);
    gw_queue_remove(&r.table, &r.flights[1]);
    r.table.queued_bytes = 0;
    r.model.queued = TABLE_QUEUE_MAX;
    assert_int_equal(gw_queue_add(&r.table, f), -ERR_LIMIT);
    r.model.queued = 0;
    mem_fail_after(0);
    assert_int_equal(gw_queue_add(&r.table, f), -ERR_NO_MEMORY);
    mem_fail_after(-1);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenants_are_served_in_turn),
        cmocka_unit_test(a_new_line_comes_last),
        cmocka_unit_test(what_was_put_back_is_first),
        cmocka_unit_test(a_head_that_may_not_start_is_passed_over),
        cmocka_unit_test(removal_works_anywhere),
        cmocka_unit_test(the_oldest_is_known),
        cmocka_unit_test(the_queue_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
