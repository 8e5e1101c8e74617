/* SPDX-License-Identifier: Apache-2.0 */
/* spate definitions: what a Kubernetes API server has to know of our objects, as this release means
 * them. It is in the operator's image, so that a cluster can be given what its operator needs. */
#include "base/mem.h"
#include "cli/cli.h"
#include "crd/schema.h"

enum { DEFINITIONS_MAX = 4 << 20 };

static const struct arg_command arguments = {
    .name = "spate definitions",
    .summary = "Prints the CustomResourceDefinitions for a Kubernetes cluster",
    .usage = "[options]",
    .examples = "spate definitions | kubectl apply --server-side --force-conflicts --filename -\n",
};

static int run(int argc, char **argv)
{
    CLEANUP(buf_fini) struct buf out = {0};
    char unused; /* there are no options */
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &unused, &positionals, &exit_code))
        return exit_code;
    buf_init(&out, DEFINITIONS_MAX);
    crd_definitions(NULL, &out);
    return cli_print(&out);
}

const struct cli_command cli_definitions = {&arguments, run, NULL};
