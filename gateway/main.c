/* SPDX-License-Identifier: Apache-2.0 */
/* spate-gateway: command line. */
#include "base/json.h"
#include "base/mem.h"
#include "base/program.h"
#include "gateway/gateway.h"
#include "gateway/gateway_options.h"

static const struct arg_option options[] = {
    {
        .name = "state",
        .kind = ARG_TEXT,
        .offset = offsetof(struct gateway_settings, state),
        .value_name = "FOLDER",
        .help = "folder for the usage log, the last routes and the tokens",
        .required = true,
    },
    {
        .name = "operator",
        .kind = ARG_URL,
        .offset = offsetof(struct gateway_settings, operator_url),
        .value_name = "URL",
        .help = "the operator's endpoint",
        .required = true,
    },
    {
        .name = "credential-file",
        .kind = ARG_TEXT,
        .offset = offsetof(struct gateway_settings, credential_file),
        .value_name = "FILE",
        .help = "what proves this gateway to the operator",
        .required = true,
    },
    {
        .name = "ledger",
        .kind = ARG_URL,
        .offset = offsetof(struct gateway_settings, ledger_url),
        .value_name = "URL",
        .help = "the ledger's endpoint",
        .required = true,
    },
    {
        .name = "listen",
        .kind = ARG_ADDRESS,
        .offset = offsetof(struct gateway_settings, listen),
        .value_name = "ADDRESS",
        .initial = "127.0.0.1:8080",
        .help = "address to listen on",
    },
    {
        .name = "metrics-listen",
        .kind = ARG_ADDRESS,
        .offset = offsetof(struct gateway_settings, metrics_listen),
        .value_name = "ADDRESS",
        .help = "address for /metrics alone, which clients then do not reach",
    },
    {
        .name = "name",
        .kind = ARG_TEXT,
        .offset = offsetof(struct gateway_settings, name),
        .value_name = "NAME",
        .initial = "gateway-0",
        .help = "name of this gateway",
    },
    {
        .name = "collect-after",
        .kind = ARG_DURATION,
        .offset = offsetof(struct gateway_settings, collect_after_ms),
        .value_name = "TIME",
        .initial = "10s",
        .help = "collect final usage records from agents that are older than this",
        .min = 0,
        .max = 3600000,
    },
    {
        .name = "drain",
        .kind = ARG_DURATION,
        .offset = offsetof(struct gateway_settings, drain_ms),
        .value_name = "TIME",
        .initial = "15s",
        .help = "after SIGTERM: how long running requests may take",
        .min = 0,
        .max = 3600000,
    },
    {
        .name = "usage-log-bytes",
        .kind = ARG_BYTES,
        .offset = offsetof(struct gateway_settings, log_bytes),
        .value_name = "BYTES",
        .initial = "1Gi",
        .help = "disk space for usage that the ledger has not taken",
        .min = 32 << 10,
        .max = INT64_MAX,
    },
    PROGRAM_OPTIONS(struct gateway_settings, program),
};

const struct arg_command gateway_command = {
    .name = "spate-gateway",
    .summary = "Takes the requests of clients to the pods of their models.",
    .usage = "--state FOLDER --operator URL --credential-file FILE --ledger URL [options]",
    .examples = "spate-gateway --state /var/lib/spate/gateway --operator http://127.0.0.1:7001 \\\n"
                "    --credential-file /etc/spate/gateway-secret --ledger http://127.0.0.1:7002\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

int main(int argc, char **argv)
{
    struct gateway_settings settings = {0};
    struct err err = {0};
    int r = program_arguments(&gateway_command, argc, argv, &settings, NULL);

    if (r != PROGRAM_RUN)
        return r;
    if (!str_is_dns_label(str_of(settings.name))) {
        err_set(&err, ERR_INVALID, "--name %.80s: expected a DNS label: a-z, 0-9 and '-'",
                settings.name);
        return program_fail(&gateway_command, PROGRAM_USAGE, err_message(&err));
    }
    program_log(&gateway_command, &settings.program);
    return gateway_run(&settings);
}
