/* SPDX-License-Identifier: Apache-2.0 */
/* spate version. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "crd/field.h"

struct settings {
    bool json;
};

static const struct arg_option options[] = {
    {"json", 0, ARG_FLAG, offsetof(struct settings, json), NULL, NULL, "print JSON"},
};

static const struct arg_command arguments = {
    .name = "spate version",
    .summary = "Prints the version",
    .usage = "[options]",
    .examples = "spate version\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (settings.json)
        printf("{\"version\":\"%s\",\"apiVersion\":\"%s\"}\n", SPATE_VERSION, CRD_API_VERSION);
    else
        printf("spate %s (objects: %s)\n", SPATE_VERSION, CRD_API_VERSION);
    return fflush(stdout) == 0 ? CLI_OK : CLI_ERROR;
}

const struct cli_command cli_version = {&arguments, run, NULL};
