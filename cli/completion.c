/* SPDX-License-Identifier: Apache-2.0 */
/* spate completion: scripts for shells, which complete commands, kinds and names of models. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

enum { SCRIPT_MAX = 64 * 1024 };

static const struct arg_command arguments = {
    .name = "spate completion",
    .summary = "Prints a completion script for bash, zsh or fish",
    .usage = "(bash | zsh | fish)",
    .examples = "source <(spate completion bash)\n"
                "spate completion fish > ~/.config/fish/completions/spate.fish\n",
    .positional_min = 1,
    .positional_max = 1,
};

static void add_words(struct buf *out)
{
    size_t count;
    const struct cli_command *const *commands = cli_commands(&count);

    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s", i > 0 ? " " : "", cli_command_word(commands[i]));
}

/* zsh runs the same script by its compatibility layer. */
static void add_bash(struct buf *out)
{
    buf_append_text(out, "_spate() {\n"
                         "    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
                         "    local words=\"\"\n"
                         "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                         "        words=\"");
    add_words(out);
    buf_append_text(
        out, "\"\n"
             "    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n"
             "        case $command in\n"
             "        get | describe | delete) words=\"md tenants pricebooks pods events\" ;;\n"
             "        run) words=$(spate get md -o name 2>/dev/null | sed 's,.*/,,') ;;\n"
             "        logs) words=$(spate get md -o name 2>/dev/null | sed 's,.*/,md/,') ;;\n"
             "        model) words=\"list pull path\" ;;\n"
             "        tenant) words=\"create key\" ;;\n"
             "        completion) words=\"bash zsh fish\" ;;\n"
             "        help) words=\"");
    add_words(out);
    buf_append_text(out,
                    "\" ;;\n"
                    "        esac\n"
                    "    elif [ \"$COMP_CWORD\" -eq 3 ]; then\n"
                    "        case $command in\n"
                    "        get | describe | delete)\n"
                    "            words=$(spate get \"${COMP_WORDS[2]}\" -o name 2>/dev/null |\n"
                    "                sed 's,.*/,,') ;;\n"
                    "        esac\n"
                    "    fi\n"
                    "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                    "}\n"
                    "complete -o default -F _spate spate\n");
}

static void add_fish(struct buf *out)
{
    size_t count;
    const struct cli_command *const *commands = cli_commands(&count);

    for (size_t i = 0; i < count; i++)
        buf_printf(out, "complete -c spate -n __fish_use_subcommand -f -a %s -d '%s'\n",
                   cli_command_word(commands[i]), commands[i]->arguments->summary);
    buf_append_text(out,
                    "complete -c spate -n '__fish_seen_subcommand_from get describe delete' "
                    "-f -a 'md tenants pricebooks pods events'\n"
                    "complete -c spate -n '__fish_seen_subcommand_from run' -f "
                    "-a '(spate get md -o name 2>/dev/null | string replace -r \".*/\" \"\")'\n"
                    "complete -c spate -n '__fish_seen_subcommand_from apply' -s f -r\n");
}

static int run(int argc, char **argv)
{
    CLEANUP(buf_fini) struct buf out = {0};
    char unused = 0;
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &unused, &positionals, &exit_code))
        return exit_code;
    buf_init(&out, SCRIPT_MAX);
    if (strcmp(argv[1], "zsh") == 0)
        buf_append_text(&out, "autoload -U +X bashcompinit && bashcompinit\n");
    if (strcmp(argv[1], "bash") == 0 || strcmp(argv[1], "zsh") == 0)
        add_bash(&out);
    else if (strcmp(argv[1], "fish") == 0)
        add_fish(&out);
    else
        return cli_fail_text(CLI_USAGE, "no completion for \"%.20s\"; use bash, zsh or fish",
                             argv[1]);
    return cli_print(&out);
}

const struct cli_command cli_completion = {&arguments, run, NULL};
