/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine killed at any time: what it has handed out is in its counter file. A child runs
 * requests and tells through a pipe, after each step, how many tokens its events have carried so
 * far. Since a step commits before it returns, the file has at least those, and at most one step
 * more.
 */
#include "cmocka_plain.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine_rig.h"

enum { KILLS = 60, SLOTS = 6, PROMPT = 40, REQUESTS = 200 };

static struct rig rig;
static int32_t prompts[8][RIG_TOKENS_MAX];

static void submit(uint64_t handle)
{
    struct engine_request request = rig_request(handle, prompts[handle % 8], PROMPT);

    request.max_output = 50;
    request.priority = (int)(handle % 3);
    (void)engine_submit(rig.engine, &request, NULL);
}

static _Noreturn void child_main(int out)
{
    uint64_t delivered = 0;
    uint64_t next = 0;
    bool idle;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int count;

        if (next < REQUESTS)
            submit(next++);
        count = engine_step(rig.engine, rig.events, RIG_EVENTS_MAX, &idle, NULL);
        for (int i = 0; i < count; i++)
            delivered += (uint64_t)rig.events[i].id_count;
        if (count < 0 || write(out, &delivered, sizeof(delivered)) != sizeof(delivered))
            _exit(1);
        if (idle && next == REQUESTS)
            pause();
    }
}

/* The last number that came through the pipe. */
static uint64_t drain(int in)
{
    uint64_t last = 0;
    uint64_t value;

    while (read(in, &value, sizeof(value)) == sizeof(value))
        last = value;
    return last;
}

static void check_file(uint64_t delivered)
{
    struct counters_view view;
    struct engine_counts sum = {0};
    struct err err = {0};

    if (counters_read(&view, rig.counters_path, &err) < 0)
        fail_msg("counters_read: %s", err.message);
    for (int i = 0; i < view.row_count; i++) {
        const struct engine_counts *c = &view.rows[i].counts;

        assert_true(c->input_computed + c->input_cached <= PROMPT);
        assert_true(c->output == 0 || c->input_computed + c->input_cached == PROMPT);
        counts_sum(&sum, c);
    }
    assert_true(counts_equal(&sum, &view.total));
    assert_in_range(view.total.output, delivered, delivered + SLOTS);
    counters_view_fini(&view);
}

static void has_counted_what_it_handed_out(void **state)
{
    struct rng_seeded chance;
    uint64_t total = 0;

    (void)state;
    tiny_reset();
    rng_seeded_init(&chance, 8);
    for (int i = 0; i < 8; i++)
        rig_fill(prompts[i], RIG_TOKENS_MAX, (uint32_t)i);
    for (int i = 0; i < KILLS; i++) {
        struct timespec wait = {0, (long)rng_below(&chance.rng, 8000000)};
        uint64_t delivered;
        int ends[2];
        pid_t child;

        rig_open(&rig, &(struct engine_config){
                           .slots = SLOTS, .kv_bytes = 24 * 1000, .prefix_reuse = true});
        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            child_main(ends[1]);
        close(ends[1]);
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        delivered = drain(ends[0]);
        close(ends[0]);
        check_file(delivered);
        total += delivered;
        rig_close(&rig);
    }
    assert_true(total > KILLS * 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_counted_what_it_handed_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
