/* SPDX-License-Identifier: Apache-2.0 */
/* A calm simulated cluster: see reconcile_play.h. */
#include "reconcile_play.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"

static int64_t status_interval_ms;

void play_begin_with(struct fixture *f, bool spot, int64_t stream_ms)
{
    const struct sim_options options = {
        .seed = 1,
        .start_ms = 300,
        .load_ms = 500,
        .api_ms = 5,
        .watch_ms = 10,
        .wall_ms = 1795000000000,
        .gateways = 2,
        .spot = spot,
        .stream_ms = stream_ms,
    };

    assert_int_equal(sim_new(&f->sim, &options, NULL), 0);
    sim_platform(f->sim)->status_interval_ms = status_interval_ms;
    assert_int_equal(reconciler_new(&f->r, sim_platform(f->sim), NULL), 0);
    arena_init(&f->arena, 16 << 20);
    sim_start(f->sim);
}

void play_begin_on(struct fixture *f, bool spot)
{
    play_begin_with(f, spot, 0);
}

void play_begin(struct fixture *f)
{
    play_begin_on(f, false);
}

void play_end(struct fixture *f)
{
    assert_null(sim_violation(f->sim));
    reconciler_free(f->r);
    sim_free(f->sim);
    arena_fini(&f->arena);
}

void play_apply(struct fixture *f, const char *name, const char *model, const char *scaling)
{
    char text[2048];
    struct err err = {0};

    snprintf(text, sizeof(text),
             "{\"apiVersion\":\"spate.dev/v1alpha1\",\"kind\":\"ModelDeployment\",\"metadata\":{"
             "\"name\":\"%s\",\"namespace\":\"team\"},\"spec\":{\"model\":{%s},\"scaling\":{%s}}}",
             name, model, scaling);
    if (sim_apply(f->sim, text, &err) < 0)
        fail_msg("%s", err_message(&err));
}

struct crd_model_status play_status(struct fixture *f, const char *key)
{
    struct crd_model_status status = {0};

    assert_non_null(sim_object(f->sim, key));
    assert_int_equal(crd_model_status_read(&status, sim_object(f->sim, key), &f->arena, NULL), 0);
    return status;
}

const struct crd_condition *play_condition(struct fixture *f, const char *key, const char *type)
{
    struct crd_model_status status = play_status(f, key);

    for (int i = 0; i < status.condition_count; i++) {
        if (str_is(status.conditions[i].type, type))
            return &status.conditions[i];
    }
    fail_msg("%s has no condition %s", key, type);
    return NULL;
}

static int hold_writes(int64_t interval_ms)
{
    log_setup("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
    status_interval_ms = interval_ms;
    return 0;
}

int play_writes_at_once(void **state)
{
    (void)state;
    return hold_writes(0);
}

int play_writes_held_back(void **state)
{
    (void)state;
    return hold_writes(5 * SECOND);
}
