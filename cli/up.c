/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate up: operator, ledger and gateway on this machine, as child processes that are started again
 * when they die. Ports are chosen before the start and remembered, so that every program can be
 * told the addresses of the others, and clients find the same ones after a restart.
 *
 *     operator (makes the keys) --ready--> ledger (needs its public key), gateway (needs both URLs)
 *
 * They end in the other order: first the pods, which the operator drains while the gateway still
 * takes their usage records; then gateway, operator, ledger.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/up_parts.h"
#include "crd/object.h"

enum {
    POLL_MS = 20,
    READY_TIMEOUT_MS = 30000,
    PODS_END_TIMEOUT_MS = 30000, /* draining takes up to 15 s */
};

static const char *const program_names[PROGRAM_COUNT] = {"operator", "ledger", "gateway"};

static const struct arg_option options[] = {
    {"gateway-listen", 0, ARG_ADDRESS, offsetof(struct up_settings, gateway_listen), "ADDRESS",
     NULL,
     "address for clients (default: the last one, else " GATEWAY_LISTEN_DEFAULT
     " or a free port); beyond loopback only with API keys"},
    {"quiet", 'q', ARG_FLAG, offsetof(struct up_settings, quiet), NULL, NULL,
     "print the addresses only"},
    {"state", 0, ARG_TEXT, offsetof(struct up_settings, state), "DIR", NULL,
     "folder for everything that is kept (default: SPATE_STATE, else ~/.local/state/spate)"},
};

static const struct arg_command arguments = {
    .name = "spate up",
    .summary = "Runs Spate on this machine until interrupted",
    .usage = "[options]",
    .examples = "spate up\n"
                "spate up --state /srv/spate --gateway-listen 0.0.0.0:8080\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static void child_exited(void *user, struct child *child, int64_t status, int signal_number)
{
    (void)user;
    if (signal_number != 0)
        cli_note("spate: the %s was ended by signal %d; starting it again", child->name,
                 signal_number);
    else
        cli_note("spate: the %s ended with status %lld; starting it again (log: %s)", child->name,
                 (long long)status, child->log_path);
}

static void child_stopped(void *user, struct child *child);

static int prepare_child(struct up *up, int program, struct err *err)
{
    struct child *child = &up->children[program];
    CLEANUP(mem_freep) char *binary = NULL;
    char name[64];
    int r;

    snprintf(name, sizeof(name), "spate-%s", program_names[program]);
    r = state_binary(&binary, name, err);
    if (r == 0)
        r = child_init(child, &up->loop, program_names[program], binary, up->folder, err);
    child->on_exit = child_exited;
    child->on_stopped = child_stopped;
    child->user = up;
    if (r == 0)
        r = up_add_options(up, program, err);
    if (r == 0)
        r = up_add_option(up, program, "--listen", up->addresses[program], false, err);
    snprintf(name, sizeof(name), "run/%s.address", program_names[program]);
    if (r == 0)
        r = up_add_option(up, program, "--address-file", name, true, err);
    if (r < 0)
        return r;
    up->address_files[program] = path_join(up->folder, name);
    return up->address_files[program] == NULL ? err_no_memory(err) : 0;
}

/* --- going up and down ----------------------------------------------------------------------- */

static void stop_from(struct up *up, int order);

/* Gateway first: it takes the requests; the ledger last: it takes their records. */
static const int stop_order[PROGRAM_COUNT] = {PROGRAM_GATEWAY, PROGRAM_OPERATOR, PROGRAM_LEDGER};

static void child_stopped(void *user, struct child *child)
{
    struct up *up = user;

    for (int i = 0; i < PROGRAM_COUNT; i++) {
        if (child == &up->children[stop_order[i]])
            stop_from(up, i + 1);
    }
}

static void stop_from(struct up *up, int order)
{
    if (order == PROGRAM_COUNT)
        loop_quit(&up->loop);
    else
        child_stop(&up->children[stop_order[order]]);
}

static void shut_down(struct up *up, int exit_code)
{
    up->exit_code = exit_code;
    loop_timer_stop(&up->poll);
    if (up->interrupts == 0)
        up->interrupts = 1;
    stop_from(up, 0);
}

static void pods_ended(void *user, int status, struct str body, const struct err *err)
{
    struct up *up = user;

    (void)body;
    if (err != NULL || status != 200)
        cli_note("spate: not all pods have ended; the next `spate up` finds them again");
    if (up->interrupts == 1)
        shut_down(up, CLI_OK);
}

/* Asks the operator to drain and delete all pods: pods_ended. */
static int end_pods(struct up *up, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    char url[PORTS_ADDRESS_MAX + 64];
    int r = api_open(&api, up->folder, err);

    if (r == 0)
        r = fetcher_new(&up->fetcher, &up->loop, err);
    if (r < 0)
        return r;
    snprintf(url, sizeof(url), "http://%s/internal/v1/shutdown", up->addresses[PROGRAM_OPERATOR]);
    return fetch_start(NULL, up->fetcher,
                       &(struct fetch_options){
                           .method = "POST",
                           .url = url,
                           .body = STR("{}"),
                           .bearer_token = api.token,
                           .timeout_ms = PODS_END_TIMEOUT_MS,
                           .on_done = pods_ended,
                           .user = up,
                       },
                       err);
}

static void interrupted(void *object, int signal_number)
{
    struct up *up = object;
    struct err err = {0};

    (void)signal_number;
    up->interrupts++;
    if (up->interrupts == 1) {
        if (!up->settings->quiet)
            cli_note("\nspate: ending; once more to end at once");
        if (!up->announced || end_pods(up, &err) < 0)
            shut_down(up, CLI_OK);
        return;
    }
    shut_down(up, CLI_OK);
    for (int i = 0; i < PROGRAM_COUNT; i++)
        child_kill(&up->children[i]);
}

static int start_child(struct up *up, int program, struct err *err)
{
    unlink(up->address_files[program]);
    up->started[program] = true;
    return child_start(&up->children[program], err);
}

static bool is_ready(const struct up *up, int program)
{
    return up->started[program] && file_exists(up->address_files[program]);
}

/* At least one API key of any tenant, asked of the operator that is running now. */
static int require_keys(const struct up *up, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    CLEANUP(mem_freep) char *path = NULL;
    json_auto_t *answer = NULL;
    const json_t *tenant;
    size_t i;
    int r = api_open(&api, up->folder, err);

    if (r == 0)
        r = api_path(&path, api_resource_of(crd_kinds[CRD_TENANT]), "", NULL, err);
    if (r == 0)
        r = api_get(&api, path, &answer, err);
    if (r < 0)
        return r;
    json_array_foreach (json_object_get(answer, "items"), i, tenant) {
        const json_t *spec = json_object_get(tenant, "spec");

        if (json_array_size(json_object_get(spec, "keys")) > 0)
            return 0;
    }
    return err_set(err, ERR_DENIED,
                   "refusing to listen on %s without API keys: run `spate up` on loopback, make a "
                   "key with `spate tenant create` and `spate tenant key create`, then try again",
                   up->addresses[PROGRAM_GATEWAY]);
}

static void announce(struct up *up)
{
    up->announced = true;
    printf("gateway   http://%s/v1\n", up->addresses[PROGRAM_GATEWAY]);
    printf("operator  http://%s\n", up->addresses[PROGRAM_OPERATOR]);
    printf("ledger    http://%s\n", up->addresses[PROGRAM_LEDGER]);
    printf("state     %s\n", up->folder);
    if (!up->settings->quiet) {
        const char *option = up->settings->state == NULL ? "" : " --state ";
        const char *value = up->settings->state == NULL ? "" : up->settings->state;

        printf("\nIn another terminal:\n"
               "  spate run%s%s brook \"What is 345 + 678?\"\n"
               "  spate get%s%s md --watch\n"
               "  spate report%s%s\n",
               option, value, option, value, option, value);
    }
    fflush(stdout);
}

/* Starts what can be started by now; negative to give up. */
static int advance(struct up *up, struct err *err)
{
    int r = 0;

    if (!up->started[PROGRAM_LEDGER] && is_ready(up, PROGRAM_OPERATOR)) {
        if (!ports_is_loopback(up->addresses[PROGRAM_GATEWAY]))
            r = require_keys(up, err);
        if (r == 0)
            r = start_child(up, PROGRAM_LEDGER, err);
        if (r == 0)
            r = start_child(up, PROGRAM_GATEWAY, err);
        if (r < 0)
            return r;
    }
    if (is_ready(up, PROGRAM_LEDGER) && is_ready(up, PROGRAM_GATEWAY) && !up->announced)
        announce(up);
    if (!up->announced && loop_now_ms(&up->loop) > up->deadline_ms)
        return err_set(err, ERR_TIMEOUT,
                       "not everything came up within %d s; see the logs in %s/logs",
                       READY_TIMEOUT_MS / 1000, up->folder);
    return 0;
}

static void poll_ready(void *object)
{
    struct up *up = object;
    struct err err = {0};

    if (advance(up, &err) < 0) {
        shut_down(up, cli_fail(&err));
        return;
    }
    if (!up->announced)
        loop_timer_start(&up->loop, &up->poll, POLL_MS);
}

static int bring_up(struct up *up, struct err *err)
{
    int r = up_make_folders(up, err);

    for (int i = 0; r == 0 && i < PROGRAM_COUNT; i++) {
        struct child old = {.name = program_names[i]};
        char record[4096];

        snprintf(record, sizeof(record), "%s/run/%s.pid", up->folder, program_names[i]);
        old.record_path = record;
        r = child_end_leftover(&old, err);
    }
    if (r == 0)
        r = up_choose_addresses(up, err);
    for (int i = 0; r == 0 && i < PROGRAM_COUNT; i++)
        r = prepare_child(up, i, err);
    if (r == 0)
        r = up_write_endpoints(up, err);
    if (r == 0)
        r = loop_on_signal(&up->loop, SIGINT, interrupted, up, err);
    if (r == 0)
        r = loop_on_signal(&up->loop, SIGTERM, interrupted, up, err);
    if (r == 0)
        r = start_child(up, PROGRAM_OPERATOR, err);
    if (r < 0)
        return r;
    up->deadline_ms = loop_now_ms(&up->loop) + READY_TIMEOUT_MS;
    loop_timer_init(&up->poll, poll_ready, up);
    loop_timer_start(&up->loop, &up->poll, POLL_MS);
    return 0;
}

static void up_fini(struct up *up)
{
    for (int i = 0; i < PROGRAM_COUNT; i++) {
        child_fini(&up->children[i]);
        mem_free(up->address_files[i]);
    }
    if (up->lock_fd >= 0)
        close(up->lock_fd);
    mem_free(up->folder);
}

static int run(int argc, char **argv)
{
    struct up_settings settings = {0};
    struct up up = {.settings = &settings, .lock_fd = -1, .exit_code = CLI_OK};
    struct err err = {0};
    int positionals;
    int exit_code;
    int r;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    umask(077);
    if (state_folder(&up.folder, settings.state, &err) < 0 || loop_init(&up.loop, &err) < 0)
        return cli_fail(&err);
    r = bring_up(&up, &err);
    if (r == 0)
        loop_run(&up.loop);
    else
        up.exit_code = cli_fail(&err);
    loop_timer_stop(&up.poll);
    fetcher_close(up.fetcher);
    loop_fini(&up.loop);
    up_fini(&up);
    return up.exit_code;
}

const struct cli_command cli_up = {&arguments, run, NULL};
