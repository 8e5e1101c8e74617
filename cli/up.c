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

#include "base/clock.h"
#include "base/fetch.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/ports.h"
#include "crd/object.h"

#define GATEWAY_LISTEN_DEFAULT "127.0.0.1:8080"

enum {
    POLL_MS = 20,
    READY_TIMEOUT_MS = 30000,
    PODS_END_TIMEOUT_MS = 30000, /* draining takes up to 15 s */
    SECRET_BYTES = 32,
};

enum { PROGRAM_OPERATOR, PROGRAM_LEDGER, PROGRAM_GATEWAY, PROGRAM_COUNT };

static const char *const program_names[PROGRAM_COUNT] = {"operator", "ledger", "gateway"};

struct settings {
    const char *state;
    const char *gateway_listen;
    bool quiet;
};

static const struct arg_option options[] = {
    {"gateway-listen", 0, ARG_ADDRESS, offsetof(struct settings, gateway_listen), "ADDRESS", NULL,
     "address for clients (default: the last one, else " GATEWAY_LISTEN_DEFAULT
     " or a free port); beyond loopback only with API keys"},
    {"quiet", 'q', ARG_FLAG, offsetof(struct settings, quiet), NULL, NULL,
     "print the addresses only"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
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

struct up {
    const struct settings *settings;
    struct loop loop;
    char *folder;
    int lock_fd;
    char addresses[PROGRAM_COUNT][PORTS_ADDRESS_MAX];
    char *address_files[PROGRAM_COUNT];
    struct child children[PROGRAM_COUNT];
    struct fetcher *fetcher;
    struct loop_timer poll;
    uint64_t deadline_ms;
    bool started[PROGRAM_COUNT];
    bool announced;
    int interrupts;
    int exit_code;
};

/* --- the folder ------------------------------------------------------------------------------ */

/* A file with a random secret, made if it is missing. */
static int ensure_secret(const struct up *up, const char *name, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(up->folder, name);
    uint8_t random[SECRET_BYTES];
    char hex[2 * SECRET_BYTES + 1];
    char line[2 * SECRET_BYTES + 2];

    if (path == NULL)
        return err_no_memory(err);
    if (file_exists(path))
        return 0;
    rng_fill(rng_system(), random, sizeof(random));
    hex_format(random, sizeof(random), hex);
    snprintf(line, sizeof(line), "%s\n", hex);
    return file_write_atomic(path, str_of(line), 0600, err);
}

/* What programs that were killed left; the other folders have owners of their own. */
static int sweep(const struct up *up, struct err *err)
{
    CLEANUP(mem_freep) char *run = path_join(up->folder, "run");

    return run == NULL ? err_no_memory(err) : file_sweep_temporaries(run, err);
}

static int make_folders(struct up *up, struct err *err)
{
    static const char *const below[] = {"logs", "run", "gateway", "ledger"};
    int r = file_make_folder(up->folder, err);

    for (size_t i = 0; r == 0 && i < ARRAY_COUNT(below); i++) {
        CLEANUP(mem_freep) char *path = path_join(up->folder, below[i]);

        r = path == NULL ? err_no_memory(err) : file_make_folder(path, err);
    }
    if (r == 0)
        r = child_folder_lock(&up->lock_fd, up->folder, err);
    if (r == 0)
        r = sweep(up, err);
    if (r == 0)
        r = ensure_secret(up, STATE_TOKEN, err);
    if (r == 0)
        r = ensure_secret(up, "gateway-secret", err);
    return r;
}

/* --- addresses ------------------------------------------------------------------------------- */

static void last_address(const char *url, char out[PORTS_ADDRESS_MAX])
{
    const char *scheme = "http://";

    out[0] = '\0';
    if (url != NULL && strncmp(url, scheme, strlen(scheme)) == 0)
        snprintf(out, PORTS_ADDRESS_MAX, "%s", url + strlen(scheme));
}

/* The last address if it is free, else a free port of loopback. */
static int choose_inner(struct up *up, int program, const char *last_url, struct err *err)
{
    char last[PORTS_ADDRESS_MAX];

    last_address(last_url, last);
    if (last[0] != '\0' && ports_is_free(last)) {
        snprintf(up->addresses[program], PORTS_ADDRESS_MAX, "%s", last);
        return 0;
    }
    return ports_pick("127.0.0.1:0", up->addresses[program], err);
}

static int choose_gateway(struct up *up, const char *last_url, struct err *err)
{
    char last[PORTS_ADDRESS_MAX];

    if (up->settings->gateway_listen != NULL) {
        int r = ports_pick(up->settings->gateway_listen, up->addresses[PROGRAM_GATEWAY], err);

        return r < 0 ? err_wrap(err, r, "--gateway-listen %s", up->settings->gateway_listen) : 0;
    }
    last_address(last_url, last);
    if (last[0] == '\0' || !ports_is_loopback(last))
        snprintf(last, sizeof(last), "%s", GATEWAY_LISTEN_DEFAULT);
    if (!ports_is_free(last))
        return ports_pick("127.0.0.1:0", up->addresses[PROGRAM_GATEWAY], err);
    snprintf(up->addresses[PROGRAM_GATEWAY], PORTS_ADDRESS_MAX, "%s", last);
    return 0;
}

static int choose_addresses(struct up *up, struct err *err)
{
    CLEANUP(state_endpoints_fini) struct state_endpoints last = {0};
    int r;

    state_endpoints_read(&last, up->folder, NULL); /* none: the first start */
    r = choose_inner(up, PROGRAM_OPERATOR, last.operator_url, err);
    if (r == 0)
        r = choose_inner(up, PROGRAM_LEDGER, last.ledger_url, err);
    if (r == 0)
        r = choose_gateway(up, last.gateway_url, err);
    return r;
}

static void url_of(const struct up *up, int program, char out[PORTS_ADDRESS_MAX + 8])
{
    snprintf(out, PORTS_ADDRESS_MAX + 8, "http://%s", up->addresses[program]);
}

static int write_endpoints(const struct up *up, struct err *err)
{
    char urls[PROGRAM_COUNT][PORTS_ADDRESS_MAX + 8];
    struct state_endpoints endpoints = {urls[PROGRAM_OPERATOR], urls[PROGRAM_GATEWAY],
                                        urls[PROGRAM_LEDGER]};

    for (int i = 0; i < PROGRAM_COUNT; i++)
        url_of(up, i, urls[i]);
    return state_endpoints_write(&endpoints, up->folder, err);
}

/* --- command lines --------------------------------------------------------------------------- */

/* Adds "--option value"; with `below` the value is a path below the state folder. */
static int add_option(struct up *up, int program, const char *option, const char *value, bool below,
                      struct err *err)
{
    CLEANUP(mem_freep) char *path = below ? path_join(up->folder, value) : mem_strdup(value);
    int r;

    if (path == NULL)
        return err_no_memory(err);
    r = child_add_arg(&up->children[program], option, err);
    return r < 0 ? r : child_add_arg(&up->children[program], path, err);
}

static int add_operator_options(struct up *up, struct err *err)
{
    CLEANUP(mem_freep) char *agent = NULL;
    int r = state_binary(&agent, "spate-agent", err);

    if (r == 0)
        r = add_option(up, PROGRAM_OPERATOR, "--platform", "local", false, err);
    if (r == 0)
        r = add_option(up, PROGRAM_OPERATOR, "--state", up->folder, false, err);
    if (r == 0)
        r = add_option(up, PROGRAM_OPERATOR, "--agent-binary", agent, false, err);
    return r;
}

static int add_ledger_options(struct up *up, struct err *err)
{
    int r = add_option(up, PROGRAM_LEDGER, "--db", "ledger/ledger.db", true, err);

    if (r == 0)
        r = add_option(up, PROGRAM_LEDGER, "--token-public-key", "token.pub", true, err);
    return r;
}

static int add_gateway_options(struct up *up, struct err *err)
{
    char operator_url[PORTS_ADDRESS_MAX + 8];
    char ledger_url[PORTS_ADDRESS_MAX + 8];
    int r;

    url_of(up, PROGRAM_OPERATOR, operator_url);
    url_of(up, PROGRAM_LEDGER, ledger_url);
    r = add_option(up, PROGRAM_GATEWAY, "--state", "gateway", true, err);
    if (r == 0)
        r = add_option(up, PROGRAM_GATEWAY, "--operator", operator_url, false, err);
    if (r == 0)
        r = add_option(up, PROGRAM_GATEWAY, "--credential-file", "gateway-secret", true, err);
    if (r == 0)
        r = add_option(up, PROGRAM_GATEWAY, "--ledger", ledger_url, false, err);
    if (r == 0)
        r = add_option(up, PROGRAM_GATEWAY, "--name", "gateway-0", false, err);
    return r;
}

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
    static int (*const add_options[PROGRAM_COUNT])(struct up *up, struct err *err) = {
        [PROGRAM_OPERATOR] = add_operator_options,
        [PROGRAM_LEDGER] = add_ledger_options,
        [PROGRAM_GATEWAY] = add_gateway_options,
    };
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
        r = add_options[program](up, err);
    if (r == 0)
        r = add_option(up, program, "--listen", up->addresses[program], false, err);
    snprintf(name, sizeof(name), "run/%s.address", program_names[program]);
    if (r == 0)
        r = add_option(up, program, "--address-file", name, true, err);
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
    int r = make_folders(up, err);

    for (int i = 0; r == 0 && i < PROGRAM_COUNT; i++) {
        struct child old = {.name = program_names[i]};
        char record[4096];

        snprintf(record, sizeof(record), "%s/run/%s.pid", up->folder, program_names[i]);
        old.record_path = record;
        r = child_end_leftover(&old, err);
    }
    if (r == 0)
        r = choose_addresses(up, err);
    for (int i = 0; r == 0 && i < PROGRAM_COUNT; i++)
        r = prepare_child(up, i, err);
    if (r == 0)
        r = write_endpoints(up, err);
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
    struct settings settings = {0};
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
