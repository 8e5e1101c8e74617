/* SPDX-License-Identifier: Apache-2.0 */
/* spate-operator: command line, start and end. On SIGTERM it ends at once; its pods run on. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "operator/endpoints/endpoints.h"
#include "operator/operator_options.h"

struct settings {
    const char *platform, *state, *listen, *agent_binary;
    const char *ledger, *ledger_address_file;
    struct program_settings program;
    char agent[PATH_MAX]; /* agent_binary as an absolute path, wherever a pod is started from */
};

static const char *const platforms[] = {"local", NULL};

static const struct arg_option options[] = {
    {.name = "platform",
     .kind = ARG_TEXT,
     .offset = offsetof(struct settings, platform),
     .value_name = "NAME",
     .initial = "local",
     .choices = platforms,
     .help = "where pods run: local is this machine"},
    {.name = "state",
     .kind = ARG_TEXT,
     .offset = offsetof(struct settings, state),
     .value_name = "FOLDER",
     .required = true,
     .help = "folder for objects, pods and secrets"},
    {.name = "listen",
     .kind = ARG_ADDRESS,
     .offset = offsetof(struct settings, listen),
     .value_name = "ADDRESS",
     .initial = "127.0.0.1:0",
     .help = "address for the CLI and the gateways"},
    {.name = "agent-binary",
     .kind = ARG_TEXT,
     .offset = offsetof(struct settings, agent_binary),
     .value_name = "FILE",
     .required = true,
     .help = "the program that runs in each pod"},
    {.name = "ledger",
     .kind = ARG_URL,
     .offset = offsetof(struct settings, ledger),
     .value_name = "URL",
     .help = "the ledger (default: the one in endpoints.json of the state folder)"},
    {.name = "ledger-address-file",
     .kind = ARG_TEXT,
     .offset = offsetof(struct settings, ledger_address_file),
     .value_name = "FILE",
     .help = "file that the ledger writes its address to, instead of --ledger"},
    PROGRAM_OPTIONS(struct settings, program),
};

const struct arg_command operator_command = {
    .name = "spate-operator",
    .summary = "Keeps the right pods running for every ModelDeployment",
    .usage = "[options]",
    .examples = "spate-operator --state /var/lib/spate --agent-binary /usr/bin/spate-agent\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static void on_routes(void *user, struct routes *routes)
{
    endpoints_publish(user, routes);
}

static void on_signal(void *object, int signum)
{
    (void)signum;
    loop_quit(object);
}

static int serve(const struct settings *settings, struct loop *loop, struct endpoints *e,
                 struct err *err)
{
    struct local_options local = {
        .loop = loop,
        .state = settings->state,
        .agent_binary = settings->agent,
        .ledger_url = settings->ledger,
        .ledger_address_file = settings->ledger_address_file,
        .on_routes = on_routes,
        .user = e,
    };
    char address[PROGRAM_ADDRESS_MAX];
    int port;
    int r = local_new(&e->local, &local, err);

    if (r == 0)
        r = reconciler_new(&e->reconciler, local_platform(e->local), err);
    if (r == 0)
        r = metrics_new(&e->metrics, err);
    if (r < 0)
        return r;
    port = endpoints_open(e, settings->listen, err);
    if (port < 0)
        return port;
    local_start(e->local);
    r = program_tell_address(&settings->program, settings->listen, port, address, err);
    if (r < 0)
        return r;
    log_info("operator is up", LOG_STR("address", address), LOG_STR("state", settings->state));
    loop_run(loop);
    if (e->ends_for_good)
        local_pods_stop_reports(local_pods(e->local));
    log_info("operator ends; its pods run on");
    return 0;
}

static int check_settings(struct settings *settings, struct err *err)
{
    if (realpath(settings->agent_binary, settings->agent) == NULL ||
        access(settings->agent, X_OK) < 0)
        return err_set(err, ERR_NOT_FOUND,
                       "--agent-binary %s: no such program: give the path of spate-agent",
                       settings->agent_binary);
    return 0;
}

static int run(struct settings *settings, struct err *err)
{
    struct endpoints e = {0};
    struct loop loop;
    int r = check_settings(settings, err);

    if (r == 0)
        r = loop_init(&loop, err);
    if (r < 0)
        return r;
    e.loop = &loop;
    r = loop_on_signal(&loop, SIGTERM, on_signal, &loop, err);
    if (r == 0)
        r = loop_on_signal(&loop, SIGINT, on_signal, &loop, err);
    if (r == 0)
        r = serve(settings, &loop, &e, err);
    if (e.server != NULL)
        endpoints_close(&e);
    local_free(e.local);
    reconciler_free(e.reconciler);
    loop_fini(&loop);
    metrics_free(e.metrics); /* closing connections still count */
    return r;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    int r = program_arguments(&operator_command, argc, argv, &settings, NULL);

    if (r != PROGRAM_RUN)
        return r;
    program_log(&operator_command, &settings.program);
    umask(077);
    r = run(&settings, &err);
    return r < 0 ? program_fail(&operator_command, 1, err_message(&err)) : 0;
}
