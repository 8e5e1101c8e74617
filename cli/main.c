/* SPDX-License-Identifier: Apache-2.0 */
/* spate: calls the subcommand that the first argument names. */
#include <signal.h>
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "help";
    const struct cli_command *command;

    json_begin();
    signal(SIGPIPE, SIG_IGN); /* `spate get | head` ends by a failed write */
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0)
        word = "help";
    if (strcmp(word, "--version") == 0)
        word = "version";
    command = cli_command_find(word);
    if (command == NULL)
        return cli_command_unknown(word);
    if (argc < 2)
        return command->run(1, argv);
    return command->run(argc - 1, argv + 1);
}
