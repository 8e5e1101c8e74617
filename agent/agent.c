/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's life: start, load, serve, drain. See agent.h. */
#include "agent/agent.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/request.h"
#include "base/disk.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "billing/meter/meter.h"

void agent_status(struct agent *a, struct stream_status *out)
{
    static const char *const names[] = {"loading", "ready", "draining", "failed"};
    struct engine_stats stats = {0};

    *out = (struct stream_status){
        .run_id = a->run_id,
        .slots = (uint64_t)a->plan.slots,
        .context_max = (uint64_t)a->plan.context_max,
        .unacknowledged = a->book == NULL ? 0 : book_count(a->book),
        .started_ms = a->started_ms,
        .ready_ms = a->ready_ms,
    };
    if (a->runner != NULL) {
        runner_stats(a->runner, &stats);
        runner_progress(a->runner, &out->bytes_done, &out->bytes_total);
    }
    out->running = (uint64_t)a->request_count;
    out->waiting = (uint64_t)stats.waiting;
    snprintf(out->state, sizeof(out->state), "%s", names[a->state]);
    snprintf(out->detail, sizeof(out->detail), "%s", a->detail);
    snprintf(out->digest, sizeof(out->digest), "%s", a->digest);
}

/* --- the engine's word ---------------------------------------------------------------------- */

static void on_ready(void *user, const struct engine_plan *plan)
{
    struct agent *a = user;

    a->plan = *plan;
    a->ready_ms = clock_wall_ms(a->clock);
    hex_format(plan->digest, sizeof(plan->digest), a->digest);
    if (a->state == AGENT_LOADING)
        a->state = AGENT_READY;
    agent_memory_tell_context(a);
    agent_metrics_ready(&a->counters, plan, (double)(a->ready_ms - a->started_ms) / 1000);
    log_info("ready", LOG_STR("model", a->model_name), LOG_STR("kernels", plan->isa),
             LOG_I64("slots", plan->slots), LOG_I64("context", plan->context_max),
             LOG_I64("after_ms", a->ready_ms - a->started_ms),
             LOG_I64("weights_bytes", (int64_t)plan->memory.weights),
             LOG_I64("kv_bytes", (int64_t)plan->memory.kv),
             LOG_I64("work_bytes", (int64_t)plan->memory.work));
}

static void on_failed(void *user, const struct err *err)
{
    struct agent *a = user;
    struct err told = *err;

    if (err->code == ERR_NO_SPACE) /* the engine writes nothing but its counters */
        (void)disk_explain(&told, -ERR_NO_SPACE, a->settings->data, 0);
    if (err->code == ERR_NO_MEMORY)
        agent_memory_explain(a, &told);
    log_error("the engine failed", LOG_ERR(&told));
    a->state = AGENT_FAILED;
    snprintf(a->detail, sizeof(a->detail), "%.255s", err_message(&told));
    request_fail_all(a);
}

static void on_events(void *user, const struct engine_event *events, int count)
{
    struct agent *a = user;

    for (int i = 0; i < count; i++) {
        struct request *r = request_by_handle(a, events[i].handle);

        if (r != NULL)
            request_on_event(r, &events[i]);
    }
}

static void on_refused(void *user, uint64_t handle, int code, const struct err *err)
{
    struct request *r = request_by_handle(user, handle);

    if (r != NULL)
        request_on_refused(r, code, err);
}

static const struct runner_handler runner_handler = {on_ready, on_failed, on_events, on_refused};

static void on_durable(void *user, uint64_t handle)
{
    struct agent *a = user;

    runner_release(a->runner, handle);
}

/* --- heartbeats ----------------------------------------------------------------------------- */

/* The step thread's own figures lack what it has not taken up yet; if it is stuck it never will,
 * and that must not look like having nothing to do. */
static void add_not_taken_up(const struct agent *a, struct engine_stats *stats)
{
    int submitted = 0;

    for (const struct request *r = a->requests; r != NULL; r = r->next)
        submitted += r->submitted;
    if (submitted > stats->running + stats->waiting)
        stats->waiting = submitted - stats->running;
}

static void on_heartbeat(void *object)
{
    struct agent *a = object;
    struct engine_stats stats;

    runner_stats(a->runner, &stats);
    add_not_taken_up(a, &stats);
    for (struct request *r = a->requests; r != NULL; r = r->next)
        request_heartbeat(r, &stats);
    loop_timer_start(&a->loop, &a->heartbeat, STREAM_HEARTBEAT_MS);
}

/* --- going away ----------------------------------------------------------------------------- */

void agent_drain(struct agent *a)
{
    if (a->state == AGENT_READY || a->state == AGENT_LOADING)
        a->state = AGENT_DRAINING;
}

static bool is_terminating(const struct agent *a)
{
    return loop_timer_running(&a->drain_exit);
}

static size_t unreported(const struct agent *a)
{
    return a->book == NULL ? 0 : book_count(a->book) + (size_t)a->request_count;
}

void agent_check_drained(struct agent *a)
{
    if (!is_terminating(a) && !a->settings->report_only)
        return;
    if (a->request_count == 0 && unreported(a) == 0)
        loop_quit(&a->loop);
}

/* What is still running is handed over: its gateways go on elsewhere. */
static void on_drain_cancel(void *object)
{
    struct agent *a = object;

    log_info("handing over what still runs", LOG_I64("requests", a->request_count));
    for (struct request *r = a->requests; r != NULL; r = r->next) {
        if (r->submitted)
            request_cancel(r, USAGE_END_OURS);
    }
}

static void on_drain_exit(void *object)
{
    struct agent *a = object;

    loop_quit(&a->loop);
}

static void on_signal(void *object, int signum)
{
    struct agent *a = object;

    if (is_terminating(a) || a->settings->report_only) {
        loop_quit(&a->loop); /* asked twice, or nothing runs that could end first */
        return;
    }
    log_info("draining", LOG_I64("signal", signum), LOG_I64("requests", a->request_count));
    agent_drain(a);
    loop_timer_start(&a->loop, &a->drain_cancel, AGENT_DRAIN_CANCEL_MS);
    loop_timer_start(&a->loop, &a->drain_exit, AGENT_DRAIN_EXIT_MS);
    agent_check_drained(a);
}

/* --- start ---------------------------------------------------------------------------------- */

static int load_text(struct agent *a, struct err *err)
{
    struct err refusal = {0};
    struct str source;
    int r = tokenizer_open(&a->tokenizer, a->settings->model, err);

    if (r < 0)
        return r;
    source = tokenizer_chat_template(a->tokenizer);
    snprintf(a->chat_refusal, sizeof(a->chat_refusal), "it has no chat template");
    if (source.ptr == NULL)
        return 0;
    r = template_compile(&a->chat_template, source, "chat template", &refusal);
    if (r < 0) {
        log_warn("chat is refused for this model", LOG_ERR(&refusal));
        snprintf(a->chat_refusal, sizeof(a->chat_refusal), "%s", err_message(&refusal));
    }
    return r == -ERR_NO_MEMORY ? err_no_memory(err) : 0;
}

static bool is_loopback(const char *listen)
{
    static const char *const prefixes[] = {"127.", "[::1]:", "localhost:"};

    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        if (str_starts(str_of(listen), str_of(prefixes[i])))
            return true;
    }
    return false;
}

static int load_trust(struct agent *a, struct err *err)
{
    const struct agent_settings *s = a->settings;

    if (s->token_public_key == NULL) {
        if (!is_loopback(s->listen))
            return err_set(err, ERR_DENIED,
                           "refusing to listen on %s without keys: give --token-public-key, or "
                           "listen on 127.0.0.1",
                           s->listen);
        return 0;
    }
    a->trusts_gateways = true;
    return token_public_load(a->public_key, s->token_public_key, err);
}

static int start_book(struct agent *a, struct err *err)
{
    struct book_options options = {
        .loop = &a->loop,
        .clock = a->clock,
        .data_folder = a->settings->data,
        .pod_name = a->settings->pod_name,
        .metrics = a->metrics,
        .durable = on_durable,
        .user = a,
    };

    if (a->trusts_gateways)
        return book_open(&a->book, &options, err);
    return options.data_folder == NULL ? 0 : file_make_folder(options.data_folder, err);
}

static char *counters_path(struct agent *a)
{
    char name[64];
    char id[ID_TEXT_LEN + 1];

    if (a->book != NULL)
        return book_counters_path(a->book, a->run_id);
    id_format(a->run_id, id);
    snprintf(name, sizeof(name), "spate-%s.counters", id);
    return path_join(a->settings->data == NULL ? "/dev/shm" : a->settings->data, name);
}

static enum engine_isa isa_of(const char *name)
{
    if (strcmp(name, "scalar") == 0)
        return ENGINE_ISA_SCALAR;
    return strcmp(name, "avx2") == 0 ? ENGINE_ISA_AVX2 : ENGINE_ISA_AUTO;
}

static int start_engine(struct agent *a, struct err *err)
{
    const struct agent_settings *s = a->settings;
    CLEANUP(mem_freep) char *path = counters_path(a);
    struct engine_config config = {
        .model_path = s->model,
        .threads = (int)s->threads,
        .isa = isa_of(s->isa),
        .slots = (int)s->slots,
        .queue_max = AGENT_QUEUE_ALONE,
        .context_max = (int)s->context,
        .chunk_tokens = (int)s->chunk_tokens,
        .kv_bytes = (uint64_t)s->kv_mib << 20,
        .memory_bytes = a->memory.bytes,
        .memory_used = mem_in_use(), /* the tokenizer above all */
        .prefix_reuse = s->prefix_reuse,
        .counters_path = path,
    };

    if (path == NULL)
        return err_no_memory(err);
    memcpy(config.run_id, a->run_id.bytes, sizeof(config.run_id));
    return runner_start(&a->runner, &a->loop, &config, &runner_handler, a, err);
}

static int listen_and_tell(struct agent *a, struct err *err)
{
    struct http_server_options options = {
        .handler = agent_handle, .user = a, .metrics = a->metrics};
    char address[PROGRAM_ADDRESS_MAX];
    int port;
    int r = http_server_new(&a->server, &a->loop, &options, err);

    if (r < 0)
        return r;
    port = http_server_listen(a->server, a->settings->listen, err);
    if (port < 0)
        return port;
    r = program_tell_address(&a->settings->program, a->settings->listen, port, address, err);
    if (r == 0)
        log_info("listening", LOG_STR("address", address), LOG_STR("model", a->settings->model));
    return r;
}

static int start_metrics(struct agent *a, struct err *err)
{
    int r;

    if ((r = metrics_new(&a->metrics, err)) < 0 ||
        (r = agent_metrics_init(&a->counters, a->metrics, a->model_name, err)) < 0 ||
        (r = metrics_declare_loop(a->metrics, &a->loop, err)) < 0)
        return r;
    return metrics_declare_process(a->metrics, err);
}

static int start_common(struct agent *a, struct err *err)
{
    int r = load_trust(a, err);

    if (r == 0 && a->settings->data != NULL)
        r = disk_explain(err, file_make_folder(a->settings->data, err), a->settings->data, 0);
    if (r < 0 || (r = start_metrics(a, err)) < 0 ||
        (r = loop_on_signal(&a->loop, SIGTERM, on_signal, a, err)) < 0 ||
        (r = loop_on_signal(&a->loop, SIGINT, on_signal, a, err)) < 0)
        return r;
    r = start_book(a, err);
    return r < 0 ? disk_explain(err, r, a->settings->data, METER_SEGMENT_BYTES) : 0;
}

/* The model may be gone by now: it is not looked at. */
static int start_report(struct agent *a, struct err *err)
{
    if (!a->trusts_gateways)
        return err_set(err, ERR_INVALID,
                       "--report-only needs --token-public-key: gateways collect the usage");
    a->state = AGENT_DRAINING;
    log_info("reporting what earlier runs left", LOG_I64("records", (int64_t)unreported(a)));
    agent_check_drained(a);
    return listen_and_tell(a, err);
}

static int start(struct agent *a, struct err *err)
{
    int r = start_common(a, err);

    if (r < 0)
        return r;
    if (a->settings->report_only)
        return start_report(a, err);
    agent_memory_find(a);
    if ((r = load_text(a, err)) < 0 || (r = start_engine(a, err)) < 0)
        return r;
    loop_timer_start(&a->loop, &a->heartbeat, STREAM_HEARTBEAT_MS);
    return listen_and_tell(a, err);
}

static int status_at_end(const struct agent *a)
{
    if (unreported(a) == 0)
        return 0;
    log_warn("leaving with usage that no gateway has acknowledged; the next agent on this folder "
             "reports it",
             LOG_I64("records", (int64_t)unreported(a)));
    return STREAM_EXIT_UNREPORTED;
}

static void stop(struct agent *a)
{
    if (a->server != NULL)
        http_server_close(a->server);
    runner_stop(a->runner);
    a->runner = NULL;
    book_close(a->book);
    loop_timer_stop(&a->heartbeat);
    loop_timer_stop(&a->drain_cancel);
    loop_timer_stop(&a->drain_exit);
    loop_fini(&a->loop);
    metrics_free(a->metrics);
    template_free(a->chat_template);
    tokenizer_free(a->tokenizer);
}

int agent_run(const struct agent_settings *settings)
{
    struct agent a = {
        .settings = settings,
        .clock = clock_system(),
        .started_ms = clock_wall_ms(clock_system()),
        .run_id = id_make(clock_system(), rng_system()),
        .model_name = settings->served_model,
    };
    struct err err = {0};
    int status = 0;

    if (loop_init(&a.loop, &err) < 0) {
        log_error("cannot start", LOG_ERR(&err));
        return 1;
    }
    loop_timer_init(&a.heartbeat, on_heartbeat, &a);
    loop_timer_init(&a.drain_cancel, on_drain_cancel, &a);
    loop_timer_init(&a.drain_exit, on_drain_exit, &a);
    if (start(&a, &err) < 0) {
        log_error("cannot start", LOG_ERR(&err));
        status = 1;
    } else {
        loop_run(&a.loop);
        status = status_at_end(&a);
        log_info("stopped");
    }
    stop(&a);
    return status;
}
