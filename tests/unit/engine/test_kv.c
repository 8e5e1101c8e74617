/* SPDX-License-Identifier: Apache-2.0 */
/* KV blocks: sharing, exact keys, eviction order. */
#include "cmocka_plain.h"

#include "base/clock.h"
#include "engine/kv.h"

enum { BLOCKS = 8 };

static struct kv *kv;

static int set_up(void **state)
{
    (void)state;
    return kv_new(&kv, BLOCKS, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    kv_free(kv);
    return 0;
}

/* Sixteen tokens, the first of them `first`. */
static const int32_t *tokens_of(int32_t first)
{
    static int32_t tokens[KV_BLOCK_TOKENS];

    tokens[0] = first;
    return tokens;
}

static int publish_new(uint64_t parent, uint64_t salt, int32_t first)
{
    int block = kv_take(kv);

    assert_int_equal(kv_publish(kv, block, parent, salt, tokens_of(first)), block);
    return block;
}

static void gives_each_block_once(void **state)
{
    bool given[BLOCKS] = {false};

    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        int block = kv_take(kv);

        assert_in_range(block, 0, BLOCKS - 1);
        assert_false(given[block]);
        given[block] = true;
        assert_int_equal(kv_available(kv), BLOCKS - 1 - i);
    }
    assert_int_equal(kv_take(kv), -1);
    kv_release(kv, 3);
    assert_int_equal(kv_take(kv), 3);
}

static void finds_only_the_exact_content(void **state)
{
    int block = publish_new(KV_ROOT, 1, 7);
    int child = publish_new(kv_serial(kv, block), 1, 8);

    (void)state;
    assert_int_equal(kv_find(kv, KV_ROOT, 1, tokens_of(7)), block);
    assert_int_equal(kv_find(kv, KV_ROOT, 2, tokens_of(7)), -1);
    assert_int_equal(kv_find(kv, KV_ROOT, 1, tokens_of(8)), -1);
    assert_int_equal(kv_find(kv, 99, 1, tokens_of(7)), -1);
    assert_int_equal(kv_find(kv, kv_serial(kv, block), 1, tokens_of(8)), child);
}

static void shares_a_block_computed_twice(void **state)
{
    int first = publish_new(KV_ROOT, 0, 7);
    int second = kv_take(kv);

    (void)state;
    assert_int_equal(kv_publish(kv, second, KV_ROOT, 0, tokens_of(7)), first);
    assert_int_equal(kv_refs(kv, first), 2);
    assert_int_equal(kv_available(kv), BLOCKS - 1);
    kv_release(kv, first);
    kv_release(kv, first);
    assert_int_equal(kv_available(kv), BLOCKS);
    assert_int_equal(kv_find(kv, KV_ROOT, 0, tokens_of(7)), first);
}

static void forgets_the_least_recently_used(void **state)
{
    int blocks[BLOCKS];

    (void)state;
    for (int32_t i = 0; i < BLOCKS; i++)
        blocks[i] = publish_new(KV_ROOT, 0, i);
    for (int i = 0; i < BLOCKS; i++)
        kv_release(kv, blocks[i]);
    kv_ref(kv, blocks[0]); /* used again: now the youngest */
    kv_release(kv, blocks[0]);
    assert_int_equal(kv_take(kv), blocks[1]);
    assert_int_equal(kv_find(kv, KV_ROOT, 0, tokens_of(1)), -1);
    assert_int_equal(kv_find(kv, KV_ROOT, 0, tokens_of(0)), blocks[0]);
    for (int i = 2; i < BLOCKS; i++)
        assert_int_equal(kv_take(kv), blocks[i]);
    assert_int_equal(kv_take(kv), blocks[0]);
}

/* An evicted parent that comes back is another parent: its old children are not its own. */
static void never_confuses_prefixes(void **state)
{
    int parent = publish_new(KV_ROOT, 0, 1);
    uint64_t serial = kv_serial(kv, parent);
    int again;

    (void)state;
    kv_release(kv, publish_new(serial, 0, 2));
    kv_release(kv, parent);
    for (int i = 0; i < BLOCKS; i++)
        kv_take(kv);
    kv_release(kv, parent);
    again = publish_new(KV_ROOT, 0, 1);
    assert_int_not_equal(kv_serial(kv, again), serial);
    assert_int_equal(kv_find(kv, serial, 0, tokens_of(2)), -1);
}

static void keeps_its_count_under_random_use(void **state)
{
    int held[BLOCKS];
    int count = 0;
    struct rng_seeded chance;

    (void)state;
    rng_seeded_init(&chance, 3);
    for (int step = 0; step < 100000; step++) {
        int32_t first = (int32_t)rng_below(&chance.rng, 12);

        if (count > 0 && rng_below(&chance.rng, 2) == 0) {
            int index = (int)rng_below(&chance.rng, (uint64_t)count);

            kv_release(kv, held[index]);
            held[index] = held[--count];
        } else if (count < BLOCKS && kv_available(kv) > 0) {
            int known = kv_find(kv, KV_ROOT, 0, tokens_of(first));

            if (known >= 0)
                kv_ref(kv, known);
            else
                known = kv_publish(kv, kv_take(kv), KV_ROOT, 0, tokens_of(first));
            held[count++] = known;
            assert_int_equal(kv_find(kv, KV_ROOT, 0, tokens_of(first)), known);
        }
    }
    while (count > 0)
        kv_release(kv, held[--count]);
    assert_int_equal(kv_available(kv), BLOCKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_each_block_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_only_the_exact_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shares_a_block_computed_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forgets_the_least_recently_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(never_confuses_prefixes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_its_count_under_random_use, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
