/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reconciler under faults, over many seeds: commands that fail, or work and say that they
 * failed; views that lag; agents that crash and freeze; pods deleted by others; silent gateways; an
 * operator that is killed at any point. The simulator watches the promises at every instant. Once
 * the faults stop, the wanted state is reached and kept.
 */
#include "cmocka_plain.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "operator/reconcile/reconciler.h"
#include "operator/sim/sim.h"

enum { SEEDS = 15, MODELS = 3, STEPS = 60 };

static const struct sim_faults faults = {
    .refuse = 50,
    .lose = 50,
    .stall_view = 100,
    .stall_ms = 4000,
    .crash = 10,
    .vanish = 5,
    .freeze = 5,
    .mute = 20,
};

static void apply(struct sim *sim, int model, const char *folder, int64_t min, int64_t max)
{
    char text[1024];
    struct err err = {0};

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"m%d\",\"namespace\":\"team\"},\"spec\":{\"model\":{\"uri\":"
             "\"file:///%s\"},\"scaling\":{\"minReplicas\":%lld,\"maxReplicas\":%lld,"
             "\"idle\":{\"afterSeconds\":10},\"scaleDownDelaySeconds\":5}}}",
             model, folder, (long long)min, (long long)max);
    if (sim_apply(sim, text, &err) < 0)
        fail_msg("%s", err_message(&err));
}

static struct reconciler *restart(struct sim *sim, struct reconciler *r)
{
    struct reconciler *fresh = NULL;

    sim_stop(sim);
    reconciler_free(r);
    assert_int_equal(reconciler_new(&fresh, sim_platform(sim), NULL), 0);
    sim_start(sim);
    return fresh;
}

/* What a user, the load or a killer does next. */
static struct reconciler *step(struct sim *sim, struct reconciler *r, const struct rng *chance)
{
    static const char *const folders[] = {"brook", "river"};
    int model = (int)rng_below(chance, MODELS);
    char key[16];

    snprintf(key, sizeof(key), "team/m%d", model);
    switch (rng_below(chance, 8)) {
    case 0:
    case 1:
    case 2:
        sim_demand(sim, key, rng_below(chance, 20));
        break;
    case 3:
        sim_demand(sim, key, 0);
        break;
    case 4: {
        int64_t min = (int64_t)rng_below(chance, 3);

        apply(sim, model, folders[rng_below(chance, 2)], min,
              1 + min + (int64_t)rng_below(chance, 4));
        break;
    }
    case 5:
        r = restart(sim, r);
        break;
    case 6:
        if (rng_below(chance, 4) == 0)
            sim_delete(sim, key);
        break;
    default:
        sim_reclaim(sim, key);
        break;
    }
    sim_run(sim, (int64_t)rng_below(chance, 6000));
    return r;
}

static void check(struct sim *sim, uint64_t seed)
{
    if (sim_violation(sim) != NULL)
        fail_msg("seed %llu: %s", (unsigned long long)seed, sim_violation(sim));
}

static void reaches_and_keeps(struct sim *sim, uint64_t seed)
{
    for (int model = 0; model < MODELS; model++) {
        char key[16];

        snprintf(key, sizeof(key), "team/m%d", model);
        apply(sim, model, "brook", 0, 5);
        sim_run(sim, 100); /* a deleted one comes back */
        sim_demand(sim, key, (uint64_t)(3 * model));
    }
    sim_run(sim, 200 * 1000);
    check(sim, seed);
    for (int t = 0; t < 60; t++) {
        for (int model = 0; model < MODELS; model++) {
            char key[16];
            int wanted = model; /* four slots, 80 %: 3 requests need 1 pod, 6 need 2 */

            snprintf(key, sizeof(key), "team/m%d", model);
            if (sim_pod_count(sim, key) != wanted || sim_ready_count(sim, key) != wanted)
                fail_msg("seed %llu: %s has %d pods, %d ready, wanted %d", (unsigned long long)seed,
                         key, sim_pod_count(sim, key), sim_ready_count(sim, key), wanted);
        }
        sim_run(sim, 1000);
    }
    check(sim, seed);
}

static uint32_t run_seed(uint64_t seed)
{
    struct sim_options options = {
        .seed = seed,
        .start_ms = 2000,
        .load_ms = 3000,
        .api_ms = 200,
        .watch_ms = 300,
        .wall_ms = 1795000000000,
        .gateways = 2,
    };
    struct rng_seeded chance;
    struct reconciler *r = NULL;
    struct sim *sim = NULL;
    uint32_t digest;

    rng_seeded_init(&chance, seed + 1000000);
    assert_int_equal(sim_new(&sim, &options, NULL), 0);
    sim_platform(sim)->status_interval_ms = seed % 2 == 0 ? 0 : 5000;
    assert_int_equal(reconciler_new(&r, sim_platform(sim), NULL), 0);
    sim_start(sim);
    for (int model = 0; model < MODELS; model++)
        apply(sim, model, "brook", 0, 4);
    sim_set_faults(sim, &faults);
    for (int i = 0; i < STEPS; i++) {
        r = step(sim, r, &chance.rng);
        check(sim, seed);
    }
    sim_set_faults(sim, NULL);
    reaches_and_keeps(sim, seed);
    digest = sim_digest(sim);
    reconciler_free(r);
    sim_free(sim);
    return digest;
}

static void promises_hold_over_all_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed);
}

static void a_seed_is_one_history(void **state)
{
    (void)state;
    assert_int_equal(run_seed(5), run_seed(5));
    assert_int_not_equal(run_seed(5), run_seed(6));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promises_hold_over_all_seeds),
        cmocka_unit_test(a_seed_is_one_history),
    };
    uint64_t seed;

    if (argc == 2 && str_to_u64(str_of(argv[1]), &seed)) { /* one history, told in full */
        log_setup("test", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, 2);
        run_seed(seed);
        return 0;
    }
    if (argc == 3) { /* from one seed to another */
        uint64_t last = 0;

        log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
        if (!str_to_u64(str_of(argv[1]), &seed) || !str_to_u64(str_of(argv[2]), &last))
            return 2;
        for (; seed <= last; seed++)
            run_seed(seed);
        return 0;
    }
    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
