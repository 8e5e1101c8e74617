/* SPDX-License-Identifier: Apache-2.0 */
/* The step thread: see runner.h. */
#include "agent/runner.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

enum command_kind { COMMAND_SUBMIT, COMMAND_CANCEL, COMMAND_RELEASE };

struct command {
    struct command *next;
    enum command_kind kind;
    uint64_t handle;
    struct engine_request request; /* SUBMIT: its pointers lead into `payload` */
    unsigned char payload[];
};

struct refusal {
    struct refusal *next;
    uint64_t handle;
    int code;
    struct err err;
};

struct batch_slot {
    struct engine_event *events;
    int count;
};

struct runner {
    struct loop *loop;
    struct loop_waker waker;
    const struct runner_handler *handler;
    void *user;
    struct engine_config config;
    char *model_path;
    char *counters_path;
    struct engine_progress progress;
    int event_capacity;

    pthread_t thread;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t changed;
    bool stopping;
    bool ready_told; /* to the loop */
    bool ready;
    bool failed;
    struct err failure;
    struct engine_plan plan;
    struct engine_stats stats;
    struct command *first, *last;
    struct refusal *refusals;
    struct batch_slot ring[RUNNER_BATCHES];
    unsigned produced; /* batches ever; the difference is what the loop has not taken yet */
    unsigned consumed;
};

static void free_commands(struct command *c)
{
    while (c != NULL) {
        struct command *next = c->next;

        mem_free(c);
        c = next;
    }
}

static void runner_free(struct runner *r)
{
    free_commands(r->first);
    while (r->refusals != NULL) {
        struct refusal *next = r->refusals->next;

        mem_free(r->refusals);
        r->refusals = next;
    }
    for (int i = 0; i < RUNNER_BATCHES; i++)
        mem_free(r->ring[i].events);
    mem_free(r->model_path);
    mem_free(r->counters_path);
    mem_free(r);
}

/* --- on the step thread --------------------------------------------------------------------- */

static void tell_failure(struct runner *r, const struct err *err)
{
    pthread_mutex_lock(&r->lock);
    r->failed = true;
    r->failure = *err;
    pthread_mutex_unlock(&r->lock);
    loop_wake(&r->waker);
}

/* A refusal needs memory; without it the step thread reports a failure of the whole engine. */
static bool tell_refusal(struct runner *r, uint64_t handle, int code, const struct err *err)
{
    struct refusal *refusal = mem_alloc(sizeof(*refusal));

    if (refusal == NULL)
        return false;
    *refusal = (struct refusal){.handle = handle, .code = code, .err = *err};
    pthread_mutex_lock(&r->lock);
    refusal->next = r->refusals;
    r->refusals = refusal;
    pthread_mutex_unlock(&r->lock);
    loop_wake(&r->waker);
    return true;
}

static bool execute(struct runner *r, struct engine *engine, const struct command *c)
{
    struct err err = {0};
    int code;

    switch (c->kind) {
    case COMMAND_SUBMIT:
        code = engine_submit(engine, &c->request, &err);
        return code >= 0 || tell_refusal(r, c->handle, code, &err);
    case COMMAND_CANCEL:
        engine_cancel(engine, c->handle);
        return true;
    case COMMAND_RELEASE:
        engine_release(engine, c->handle);
        return true;
    }
    return true;
}

/* Takes all commands; when `wait`, sleeps until there is one or the runner stops. */
static struct command *take_commands(struct runner *r, bool wait, bool *stopping)
{
    struct command *commands;

    pthread_mutex_lock(&r->lock);
    while (wait && r->first == NULL && !r->stopping)
        pthread_cond_wait(&r->changed, &r->lock);
    commands = r->first;
    r->first = r->last = NULL;
    *stopping = r->stopping;
    pthread_mutex_unlock(&r->lock);
    return commands;
}

/* The next free slot of the ring; NULL when the runner stops meanwhile. */
static struct batch_slot *wait_slot(struct runner *r)
{
    struct batch_slot *slot = NULL;

    pthread_mutex_lock(&r->lock);
    while (r->produced - r->consumed == RUNNER_BATCHES && !r->stopping)
        pthread_cond_wait(&r->changed, &r->lock);
    if (!r->stopping)
        slot = &r->ring[r->produced % RUNNER_BATCHES];
    pthread_mutex_unlock(&r->lock);
    return slot;
}

static void publish(struct runner *r, struct engine *engine, struct batch_slot *slot, int count)
{
    struct engine_stats stats;

    engine_stats(engine, &stats);
    pthread_mutex_lock(&r->lock);
    r->stats = stats;
    slot->count = count;
    if (count > 0)
        r->produced++;
    pthread_mutex_unlock(&r->lock);
    if (count > 0)
        loop_wake(&r->waker);
}

static void step_until_stopped(struct runner *r, struct engine *engine)
{
    bool idle = true;
    bool stopping = false;

    while (!stopping) {
        struct command *commands = take_commands(r, idle, &stopping);
        struct batch_slot *slot;
        struct err err = {0};
        bool executed = true;
        int count;

        for (const struct command *c = commands; c != NULL && executed; c = c->next)
            executed = execute(r, engine, c);
        free_commands(commands);
        if (!executed) {
            (void)err_no_memory(&err);
            tell_failure(r, &err);
            return;
        }
        slot = stopping ? NULL : wait_slot(r);
        if (slot == NULL)
            return;
        count = engine_step(engine, slot->events, r->event_capacity, &idle, &err);
        if (count < 0) {
            tell_failure(r, &err);
            return;
        }
        publish(r, engine, slot, count);
    }
}

static int make_ring(struct runner *r, const struct engine_plan *plan, struct err *err)
{
    r->event_capacity = plan->slots + r->config.queue_max;
    for (int i = 0; i < RUNNER_BATCHES; i++) {
        r->ring[i].events = mem_array((size_t)r->event_capacity, sizeof(struct engine_event));
        if (r->ring[i].events == NULL)
            return err_no_memory(err);
    }
    return 0;
}

static void *run(void *object)
{
    struct runner *r = object;
    struct engine *engine = NULL;
    struct err err = {0};
    int code = engine_open(&engine, &r->config, &r->progress, &err);

    if (code == 0)
        code = make_ring(r, engine_plan_of(engine), &err);
    if (code < 0) {
        tell_failure(r, &err);
    } else {
        pthread_mutex_lock(&r->lock);
        r->plan = *engine_plan_of(engine);
        r->ready = true;
        pthread_mutex_unlock(&r->lock);
        loop_wake(&r->waker);
        step_until_stopped(r, engine);
    }
    engine_close(engine);
    return NULL;
}

/* --- on the loop ---------------------------------------------------------------------------- */

static void deliver_state(struct runner *r)
{
    bool tell_ready;
    bool failed;

    pthread_mutex_lock(&r->lock);
    tell_ready = r->ready && !r->ready_told;
    r->ready_told = r->ready;
    failed = r->failed;
    r->failed = false;
    pthread_mutex_unlock(&r->lock);
    if (tell_ready)
        r->handler->on_ready(r->user, &r->plan);
    if (failed)
        r->handler->on_failed(r->user, &r->failure);
}

static void deliver_refusals(struct runner *r)
{
    struct refusal *refusals;

    pthread_mutex_lock(&r->lock);
    refusals = r->refusals;
    r->refusals = NULL;
    pthread_mutex_unlock(&r->lock);
    while (refusals != NULL) {
        struct refusal *refusal = refusals;

        refusals = refusal->next;
        r->handler->on_refused(r->user, refusal->handle, refusal->code, &refusal->err);
        mem_free(refusal);
    }
}

static void deliver_batches(struct runner *r)
{
    unsigned produced;

    pthread_mutex_lock(&r->lock);
    produced = r->produced;
    pthread_mutex_unlock(&r->lock);
    while (r->consumed != produced) {
        const struct batch_slot *slot = &r->ring[r->consumed % RUNNER_BATCHES];

        r->handler->on_events(r->user, slot->events, slot->count);
        pthread_mutex_lock(&r->lock);
        r->consumed++;
        pthread_cond_signal(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
}

static void on_wake(void *object)
{
    struct runner *r = object;

    deliver_refusals(r);
    deliver_batches(r);
    deliver_state(r);
}

int runner_start(struct runner **out, struct loop *loop, const struct engine_config *config,
                 const struct runner_handler *handler, void *user, struct err *err)
{
    struct runner *r = mem_alloc(sizeof(*r));

    if (r == NULL)
        return err_no_memory(err);
    r->loop = loop;
    r->handler = handler;
    r->user = user;
    r->config = *config;
    r->model_path = mem_strdup(config->model_path);
    r->counters_path = mem_strdup(config->counters_path);
    if (r->model_path == NULL || r->counters_path == NULL) {
        runner_free(r);
        return err_no_memory(err);
    }
    r->config.model_path = r->model_path;
    r->config.counters_path = r->counters_path;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    loop_waker_init(&r->waker, loop, on_wake, r);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        loop_waker_fini(&r->waker);
        runner_free(r);
        return err_set(err, ERR_IO, "cannot start the engine's thread");
    }
    pthread_setname_np(r->thread, "engine"); /* for top -H, debuggers and tests */
    *out = r;
    return 0;
}

void runner_stop(struct runner *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    loop_waker_fini(&r->waker);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    runner_free(r);
}

static void enqueue(struct runner *r, struct command *c)
{
    pthread_mutex_lock(&r->lock);
    if (r->last == NULL)
        r->first = c;
    else
        r->last->next = c;
    r->last = c;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Appends `size` bytes to the payload and returns where they are. */
static void *put(struct command *c, size_t *at, const void *bytes, size_t size)
{
    void *place = c->payload + *at;

    if (size > 0)
        memcpy(place, bytes, size);
    *at += size;
    return place;
}

int runner_submit(struct runner *r, const struct engine_request *q, struct err *err)
{
    size_t prompt_bytes = (size_t)q->prompt_count * sizeof(*q->prompt);
    size_t output_bytes = (size_t)q->output_count * sizeof(*q->output);
    size_t bias_bytes = (size_t)q->sampling.bias_count * sizeof(*q->sampling.bias);
    struct command *c = mem_alloc(sizeof(*c) + prompt_bytes + output_bytes + bias_bytes);
    size_t at = 0;

    if (c == NULL)
        return err_no_memory(err);
    c->kind = COMMAND_SUBMIT;
    c->handle = q->handle;
    c->request = *q;
    c->request.prompt = put(c, &at, q->prompt, prompt_bytes);
    c->request.output = put(c, &at, q->output, output_bytes);
    c->request.sampling.bias = put(c, &at, q->sampling.bias, bias_bytes);
    enqueue(r, c);
    return 0;
}

static void enqueue_simple(struct runner *r, enum command_kind kind, uint64_t handle)
{
    struct command *c = mem_alloc(sizeof(*c));

    /* Without memory for 300 bytes the process can only fail; its successor reports its usage. */
    if (c == NULL)
        __builtin_trap();
    c->kind = kind;
    c->handle = handle;
    enqueue(r, c);
}

void runner_cancel(struct runner *r, uint64_t handle)
{
    enqueue_simple(r, COMMAND_CANCEL, handle);
}

void runner_release(struct runner *r, uint64_t handle)
{
    enqueue_simple(r, COMMAND_RELEASE, handle);
}

void runner_progress(const struct runner *r, uint64_t *bytes_done, uint64_t *bytes_total)
{
    *bytes_done = atomic_load(&r->progress.bytes_done);
    *bytes_total = atomic_load(&r->progress.bytes_total);
}

void runner_stats(struct runner *r, struct engine_stats *out)
{
    pthread_mutex_lock(&r->lock);
    *out = r->stats;
    pthread_mutex_unlock(&r->lock);
}
