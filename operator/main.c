/* SPDX-License-Identifier: Apache-2.0 */
/* spate-operator: command line, start and end. On SIGTERM it ends at once; its pods run on. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "operator/endpoints/endpoints.h"
#include "operator/kube/kube.h"
#include "operator/local/rest.h"
#include "operator/operator_options.h"

struct ending {
    struct loop *loop;
    bool asked;
};

struct settings {
    const char *platform, *listen, *ledger;
    struct program_settings program;
    /* local */
    const char *state, *agent_binary, *ledger_address_file;
    char agent[PATH_MAX]; /* agent_binary as an absolute path, wherever a pod is started from */
    /* kube */
    const char *kubeconfig, *context, *name_space, *name, *advertise, *release;
    const char *watch_namespaces, *gateway_account;
    const char *agent_image, *agent_pull_policy, *agent_pull_secret;
    int64_t lease_ms;
    char own_name[HOST_NAME_MAX + 1];
    char address[PROGRAM_ADDRESS_MAX]; /* that we listen at */
    struct ending ending;              /* no setting: whether a signal asked for it */
};

#define SETTING(form, member) ARG_##form, .offset = offsetof(struct settings, member)

static const char *const platforms[] = {"local", "kube", NULL};
static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};

static const struct arg_option options[] = {
    {.name = "platform",
     .kind = SETTING(TEXT, platform),
     .value_name = "NAME",
     .initial = "local",
     .choices = platforms,
     .help = "where pods run: local is this machine, kube a Kubernetes cluster"},
    {.name = "listen",
     .kind = SETTING(ADDRESS, listen),
     .value_name = "ADDRESS",
     .initial = "127.0.0.1:0",
     .help = "address for the CLI and the gateways"},
    {.name = "ledger",
     .kind = SETTING(URL, ledger),
     .value_name = "URL",
     .help = "the ledger (default with local: the one in endpoints.json of the state folder)"},
    {.name = "state",
     .kind = SETTING(TEXT, state),
     .value_name = "FOLDER",
     .help = "local: folder for objects, pods and secrets (required); kube: folder for what "
             "`spate report` needs beside this program (default: it can't be used)"},
    {.name = "agent-binary",
     .kind = SETTING(TEXT, agent_binary),
     .value_name = "FILE",
     .help = "local: the program that runs in each pod (required)"},
    {.name = "ledger-address-file",
     .kind = SETTING(TEXT, ledger_address_file),
     .value_name = "FILE",
     .help = "local: file that the ledger writes its address to, instead of --ledger"},
    {.name = "agent-image",
     .kind = SETTING(TEXT, agent_image),
     .value_name = "IMAGE",
     .help = "kube: the image of each pod; it starts spate-agent (required)"},
    {.name = "agent-pull-policy",
     .kind = SETTING(TEXT, agent_pull_policy),
     .value_name = "POLICY",
     .choices = pull_policies,
     .help = "kube: when that image, and one with a model, is pulled (default: IfNotPresent)"},
    {.name = "agent-pull-secret",
     .kind = SETTING(TEXT, agent_pull_secret),
     .value_name = "NAME",
     .help = "kube: Secret of the model's namespace for pulling them; begins with spate-"},
    {.name = "kubeconfig",
     .kind = SETTING(TEXT, kubeconfig),
     .value_name = "FILE",
     .help = "kube: how to reach the cluster (default: as the pod that this runs in)"},
    {.name = "context",
     .kind = SETTING(TEXT, context),
     .value_name = "NAME",
     .help = "kube: the context of --kubeconfig (default: its current one)"},
    {.name = "namespace",
     .kind = SETTING(TEXT, name_space),
     .value_name = "NAME",
     .help = "kube: where the operator and the gateways live (default: that of the credentials)"},
    {.name = "watch-namespaces",
     .kind = SETTING(TEXT, watch_namespaces),
     .value_name = "A,B",
     .help = "kube: the only namespaces whose models are looked after (default: all)"},
    {.name = "name",
     .kind = SETTING(TEXT, name),
     .value_name = "NAME",
     .help = "kube: of this process in the Lease (default: the name of the host)"},
    {.name = "advertise",
     .kind = SETTING(ADDRESS, advertise),
     .value_name = "ADDRESS",
     .help = "kube: where other operators reach --listen (default: the same)"},
    {.name = "release",
     .kind = SETTING(TEXT, release),
     .value_name = "NAME",
     .help = "kube: the Lease is NAME-operator, the Secret with the signing key NAME-token-key "
             "(default: spate)"},
    {.name = "lease-duration",
     .kind = SETTING(DURATION, lease_ms),
     .value_name = "TIME",
     .min = KUBE_LEASE_MS,
     .max = KUBE_LEASE_MS_MAX,
     .help = "kube: how long a leader may be silent until another takes over (default: 4s). It "
             "stops leading when no renewal was answered for 5/8 of that: set more where the API "
             "server is often so slow"},
    {.name = "gateway-service-account",
     .kind = SETTING(TEXT, gateway_account),
     .value_name = "NAME",
     .help = "kube: the service account of gateways, in --namespace (default: spate-gateway)"},
    PROGRAM_OPTIONS(struct settings, program),
};

const struct arg_command operator_command = {
    .name = "spate-operator",
    .summary = "Keeps the right pods running for every ModelDeployment",
    .usage = "[options]",
    .examples =
        "spate-operator --state /var/lib/spate --agent-binary /usr/bin/spate-agent\n"
        "spate-operator --platform kube --kubeconfig ~/.kube/config --namespace spate-system \\\n"
        "    --agent-image example.com/spate/agent:0.1.0\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static void on_routes(void *user, struct routes *routes)
{
    endpoints_publish(user, routes);
}

/* A signal may come while the platform still waits for what it needs at its start. */
static void on_signal(void *object, int signum)
{
    struct ending *ending = object;

    (void)signum;
    ending->asked = true;
    loop_quit(ending->loop);
}

static void on_standby(void *user)
{
    endpoints_release(user);
}

/* What every platform is joined to. */
static int open_reconciler(struct endpoints *e, struct platform *platform, struct err *err)
{
    return reconciler_new(&e->reconciler, platform, err);
}

static int listen_and_tell(struct settings *settings, struct endpoints *e, struct err *err)
{
    int port = endpoints_open(e, settings->listen, err);

    return port < 0 ? port
                    : program_tell_address(&settings->program, settings->listen, port,
                                           settings->address, err);
}

static int serve_local(struct settings *settings, struct endpoints *e, struct err *err)
{
    struct local_options local = {
        .loop = e->loop,
        .state = settings->state,
        .agent_binary = settings->agent,
        .ledger_url = settings->ledger,
        .ledger_address_file = settings->ledger_address_file,
        .on_routes = on_routes,
        .user = e,
    };
    struct rest rest = {0};
    int r = local_new(&rest.local, &local, err);

    if (r == 0)
        r = open_reconciler(e, local_platform(rest.local), err);
    if (r == 0) {
        rest.reconciler = e->reconciler;
        e->host = rest_host(&rest);
        r = listen_and_tell(settings, e, err);
    }
    if (r == 0) {
        local_start(rest.local);
        log_info("operator is up", LOG_STR("address", settings->address),
                 LOG_STR("state", settings->state));
        loop_run(e->loop);
        if (rest.ends_for_good)
            local_pods_stop_reports(local_pods(rest.local));
        log_info("operator ends; its pods run on");
    }
    if (e->server != NULL)
        endpoints_close(e);
    for (int i = 0; i < 100 && rest.shutdown != NULL; i++)
        loop_turn(e->loop, 1); /* who waits is told that its client is gone */
    local_free(rest.local);
    return r;
}

static int serve_kube(struct settings *settings, struct endpoints *e, struct err *err)
{
    const struct kube_options kube_settings = {
        .loop = e->loop,
        .metrics = e->metrics,
        .kubeconfig = settings->kubeconfig,
        .context = settings->context,
        .name_space = settings->name_space,
        .name = settings->name,
        .release = settings->release,
        .watch_namespaces = settings->watch_namespaces,
        .gateway_account = settings->gateway_account,
        .lease_ms = settings->lease_ms,
        .ledger_url = settings->ledger,
        .state = settings->state,
        .agent_image = settings->agent_image,
        .agent_pull_policy = settings->agent_pull_policy,
        .agent_pull_secret = settings->agent_pull_secret,
        .ending = &settings->ending.asked,
        .on_routes = on_routes,
        .on_standby = on_standby,
        .user = e,
    };
    struct kube *kube = NULL;
    int r = kube_new(&kube, &kube_settings, err);

    if (r == 0)
        r = open_reconciler(e, kube_platform(kube), err);
    if (r == 0) {
        e->host = kube_host(kube);
        r = listen_and_tell(settings, e, err);
    }
    if (r == 0)
        r = kube_start(kube, settings->advertise != NULL ? settings->advertise : settings->address,
                       err);
    if (r == 0) {
        log_info("operator is up", LOG_STR("address", settings->address));
        loop_run(e->loop);
        log_info("operator ends; its pods run on");
    }
    if (e->server != NULL)
        endpoints_close(e);
    kube_free(kube);
    return r;
}

/* --- settings --------------------------------------------------------------------------------- */

/* What only one platform obeys is refused with the other. */
static int check_foreign(const struct settings *settings, bool is_kube, struct err *err)
{
    const struct {
        const char *name, *value;
        bool for_kube;
    } rows[] = {
        {"agent-binary", settings->agent_binary, false},
        {"ledger-address-file", settings->ledger_address_file, false},
        {"agent-image", settings->agent_image, true},
        {"agent-pull-secret", settings->agent_pull_secret, true},
        {"kubeconfig", settings->kubeconfig, true},
        {"context", settings->context, true},
        {"namespace", settings->name_space, true},
        {"watch-namespaces", settings->watch_namespaces, true},
        {"name", settings->name, true},
        {"advertise", settings->advertise, true},
        {"agent-pull-policy", settings->agent_pull_policy, true},
        {"release", settings->release, true},
        {"gateway-service-account", settings->gateway_account, true},
        {"lease-duration", settings->lease_ms > 0 ? "" : NULL, true},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].value != NULL && rows[i].for_kube != is_kube)
            return err_set(err, ERR_INVALID,
                           "--%s is of platform %s: leave it out, or set "
                           "--platform %s",
                           rows[i].name, is_kube ? "local" : "kube", is_kube ? "local" : "kube");
    }
    return 0;
}

/* Required on one platform only, so the table of options can't say it. */
static int is_missing(const char *option, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s is required: see %s --help", option,
                   operator_command.name);
}

static int check_local(struct settings *settings, struct err *err)
{
    if (settings->state == NULL)
        return is_missing("--state", err);
    if (settings->agent_binary == NULL)
        return is_missing("--agent-binary", err);
    if (realpath(settings->agent_binary, settings->agent) == NULL ||
        access(settings->agent, X_OK) < 0)
        return err_set(err, ERR_NOT_FOUND,
                       "--agent-binary %s: no such program: give the path of spate-agent",
                       settings->agent_binary);
    return 0;
}

/* Not in the table of options: a default would look like a setting that local can't obey. */
static void set_kube_defaults(struct settings *settings)
{
    if (settings->agent_pull_policy == NULL)
        settings->agent_pull_policy = "IfNotPresent";
    if (settings->release == NULL)
        settings->release = "spate";
    if (settings->gateway_account == NULL)
        settings->gateway_account = "spate-gateway";
}

static int check_kube(struct settings *settings, struct err *err)
{
    set_kube_defaults(settings);
    if (settings->agent_image == NULL)
        return is_missing("--agent-image", err);
    if (settings->agent_pull_secret != NULL &&
        (!str_is_dns_subdomain(str_of(settings->agent_pull_secret)) ||
         !str_starts(str_of(settings->agent_pull_secret), STR("spate-"))))
        return err_set(err, ERR_INVALID, "--agent-pull-secret %s: its name must begin with spate-",
                       settings->agent_pull_secret);
    if (!str_is_dns_label(str_of(settings->release)))
        return err_set(err, ERR_INVALID, "--release %s: write a DNS label", settings->release);
    if (settings->advertise == NULL && (str_starts(str_of(settings->listen), STR("0.0.0.0:")) ||
                                        str_starts(str_of(settings->listen), STR("[::]:"))))
        return err_set(err, ERR_INVALID,
                       "--listen %s: other operators can't reach that: set --advertise too",
                       settings->listen);
    if (settings->name == NULL) {
        gethostname(settings->own_name, sizeof(settings->own_name) - 1);
        settings->name = settings->own_name;
    }
    return 0;
}

static bool is_kube(const struct settings *settings)
{
    return strcmp(settings->platform, "kube") == 0;
}

static int check_settings(struct settings *settings, struct err *err)
{
    int r = check_foreign(settings, is_kube(settings), err);

    if (r < 0)
        return r;
    return is_kube(settings) ? check_kube(settings, err) : check_local(settings, err);
}

static int serve(struct settings *settings, struct endpoints *e, struct err *err)
{
    int r = metrics_new(&e->metrics, err);

    if (r == 0)
        r = is_kube(settings) ? serve_kube(settings, e, err) : serve_local(settings, e, err);
    return r;
}

static int run(struct settings *settings, struct err *err)
{
    struct endpoints e = {0};
    struct loop loop;
    int r = loop_init(&loop, err);

    if (r < 0)
        return r;
    e.loop = settings->ending.loop = &loop;
    r = loop_on_signal(&loop, SIGTERM, on_signal, &settings->ending, err);
    if (r == 0)
        r = loop_on_signal(&loop, SIGINT, on_signal, &settings->ending, err);
    if (r == 0)
        r = serve(settings, &e, err);
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
    r = check_settings(&settings, &err);
    if (r < 0)
        return program_fail(&operator_command, r == -ERR_INVALID ? PROGRAM_USAGE : 1,
                            err_message(&err));
    program_log(&operator_command, &settings.program);
    umask(077);
    r = run(&settings, &err);
    if (settings.ending.asked && r == -ERR_CANCELLED)
        r = 0;
    return r < 0 ? program_fail(&operator_command, 1, err_message(&err)) : 0;
}
