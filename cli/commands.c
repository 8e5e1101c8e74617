/* SPDX-License-Identifier: Apache-2.0 */
/* The table of subcommands, the overview, and finding one by its word. */
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

enum { COMMANDS_MAX = 32 };

/* In the order of the help. */
static const struct cli_command *const commands[] = {
    &cli_up,          &cli_run,     &cli_apply,      &cli_get,   &cli_describe, &cli_delete,
    &cli_logs,        &cli_report,  &cli_tenant,     &cli_model, &cli_doctor,   &cli_bench,
    &cli_definitions, &cli_version, &cli_completion, &cli_help,
};

static const char *const overview_examples =
    "  spate up                                 # start Spate on this machine\n"
    "  spate run brook \"What is 345 + 678?\"     # ask a model; it wakes from zero\n"
    "  spate apply -f docs/examples/quickstart.yaml\n"
    "  spate get md --watch\n"
    "  spate report --by tenant,model\n";

const struct cli_command *const *cli_commands(size_t *count)
{
    *count = ARRAY_COUNT(commands);
    return commands;
}

const char *cli_command_word(const struct cli_command *command)
{
    return command->arguments->name + strlen("spate ");
}

const struct cli_command *cli_command_find(const char *word)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(cli_command_word(commands[i]), word) == 0)
            return commands[i];
    }
    return NULL;
}

void cli_overview(struct buf *out)
{
    buf_append_text(out, overview_examples);
    buf_append_text(out, "\nspate: serves large language models and bills them by the token.\n\n"
                         "usage: spate COMMAND [options]\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        buf_printf(out, "  %-12s %s\n", cli_command_word(commands[i]),
                   commands[i]->arguments->summary);
    buf_append_text(out, "\nspate COMMAND -h explains a command.\n");
}

int cli_command_unknown(const char *word)
{
    const char *words[COMMANDS_MAX + 1] = {NULL};
    const char *close;

    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        words[i] = cli_command_word(commands[i]);
    close = args_closest(word, words);
    if (close != NULL)
        return cli_fail_text(CLI_USAGE, "unknown command \"%.40s\"; did you mean %s?", word, close);
    return cli_fail_text(CLI_USAGE, "unknown command \"%.40s\"; `spate help` lists them", word);
}
