/* SPDX-License-Identifier: Apache-2.0 */
/* spate-gateway: command line. */
#include <stdio.h>

#include "base/args.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/gateway.h"
#include "gateway/gateway_options.h"

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const format_names[] = {"text", "json", NULL};

#define OPTION(name_, kind_, member, value, initial_, help_)                               \
    {                                                                                      \
        .name = name_, .kind = kind_, .offset = offsetof(struct gateway_settings, member), \
        .value_name = value, .initial = initial_, .help = help_

static const struct arg_option
    options[] = {OPTION("state", ARG_TEXT, state, "FOLDER", NULL,
                        "folder for the usage log, the last routes and the tokens"),
                 .required = true},
    OPTION("operator", ARG_TEXT, operator_url, "URL", NULL, "the operator's endpoint"),
    .required = true
}
,
    OPTION("credential-file", ARG_TEXT, credential_file, "FILE", NULL,
           "what proves this gateway to the operator"),
    .required = true
}
, OPTION("ledger", ARG_TEXT, ledger_url, "URL", NULL, "the ledger's endpoint"), .required = true
}
, OPTION("listen", ARG_TEXT, listen, "ADDRESS", "127.0.0.1:8080", "address to listen on")
}
, OPTION("address-file", ARG_TEXT, address_file, "FILE", NULL,
         "write the bound address here once listening")
}
, OPTION("name", ARG_TEXT, name, "NAME", "gateway-0", "name of this gateway")
}
,
    OPTION("collect-after", ARG_DURATION, collect_after_ms, "TIME", "10s",
           "collect final usage records from agents that are older than this"),
    .min = 0, .max = 3600000
}
,
    OPTION("drain", ARG_DURATION, drain_ms, "TIME", "15s",
           "after SIGTERM: how long running requests may take"),
    .min = 0, .max = 3600000
}
,
    OPTION("usage-log-bytes", ARG_BYTES, log_bytes, "BYTES", "1Gi",
           "disk space for usage that the ledger has not taken"),
    .min = 32 << 10, .max = INT64_MAX
}
, OPTION("log-level", ARG_TEXT, log_level, "LEVEL", "info", "debug, info, warn or error"),
    .choices = level_names
}
, OPTION("log-format", ARG_TEXT, log_format, "FORMAT", "text", "text or json"),
    .choices = format_names
}
,
}
;

const struct arg_command gateway_command = {
    .name = "spate-gateway",
    .summary = "Takes the requests of clients to the pods of their models.",
    .usage = "--state FOLDER --operator URL --credential-file FILE --ledger URL [options]",
    .examples = "spate-gateway --state /var/lib/spate/gateway --operator http://127.0.0.1:7001 \\\n"
                "    --credential-file /etc/spate/gateway-secret --ledger http://127.0.0.1:7002\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static int print_help(void)
{
    struct buf text;

    buf_init(&text, 65536);
    if (args_help(&gateway_command, &text) == 0)
        fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
    return 0;
}

int main(int argc, char **argv)
{
    struct gateway_settings settings = {0};
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_TEXT;
    struct err err = {0};
    int positionals;
    int r = args_parse(&gateway_command, argc, argv, &settings, &positionals, &err);

    if (r == ARGS_HELP)
        return print_help();
    if (r < 0 || !str_is_dns_label(str_of(settings.name))) {
        fprintf(stderr, "spate-gateway: %s\n",
                r < 0 ? err_message(&err) : "--name must be a DNS label: a-z, 0-9 and '-'");
        return 2;
    }
    (void)log_level_parse(str_of(settings.log_level), &level);
    (void)log_format_parse(str_of(settings.log_format), &format);
    log_setup("spate-gateway", level, format, 2);
    json_object_seed(0); /* before there are threads */
    return gateway_run(&settings);
}
