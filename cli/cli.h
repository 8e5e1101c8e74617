/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands of `spate` share: the table of commands, exit codes, messages. Data goes to
 * stdout, messages to stderr; nothing is coloured in a pipe.
 */
#ifndef SPATE_CLI_CLI_H
#define SPATE_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/buf.h"
#include "base/err.h"

/* X(enum, number, meaning) */
#define CLI_EXITS(X)                                           \
    X(CLI_OK, 0, "done")                                       \
    X(CLI_ERROR, 1, "an error")                                \
    X(CLI_USAGE, 2, "wrong usage: an option or argument")      \
    X(CLI_NOT_READY, 3, "not ready, not reachable or timeout") \
    X(CLI_AUTH, 4, "not authenticated or not allowed")         \
    X(CLI_NO_FIT, 5, "no GPU, or the model does not fit")      \
    X(CLI_DOWNLOAD, 6, "a download failed")                    \
    X(CLI_QUOTA, 7, "a quota is used up")

enum cli_exit {
#define CLI_EXIT_ENUM(name, number, meaning) name = number,
    CLI_EXITS(CLI_EXIT_ENUM)
#undef CLI_EXIT_ENUM
};

struct cli_command {
    const struct arg_command *arguments;    /* arguments->name is "spate get" */
    int (*run)(int argc, char **argv);      /* argv[0] is the subcommand; returns an exit code */
    const struct arg_command *const *verbs; /* of a command with words of its own, NULL-ended; for
                                               the reference page; or NULL */
};

/* All subcommands in the order of the help, and the word that calls one. */
const struct cli_command *const *cli_commands(size_t *count);
const char *cli_command_word(const struct cli_command *command);
/* NULL if there is none; then the other one says so, with "did you mean", and gives the exit code.
 */
const struct cli_command *cli_command_find(const char *word);
int cli_command_unknown(const char *word);
/* Appends what `spate help` says. */
void cli_overview(struct buf *out);

/* Defined by one file each. */
extern const struct cli_command cli_apply, cli_bench, cli_completion, cli_definitions, cli_delete,
    cli_describe, cli_doctor, cli_get, cli_help, cli_logs, cli_model, cli_report, cli_run,
    cli_tenant, cli_up, cli_version;

/*
 * Parses the arguments of a subcommand into `values` and moves the positionals to argv[1]. False if
 * there is nothing more to do: help was printed, or a message about wrong usage; *exit_code says
 * which.
 */
bool cli_parse(const struct arg_command *command, int argc, char **argv, void *values,
               int *positionals, int *exit_code);

/* Prints "spate: message" and returns the exit code that fits the error. */
int cli_fail(const struct err *err);
/* The same with the message of the caller. */
int cli_fail_text(enum cli_exit code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A remark for people, to stderr. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

void cli_sleep_ms(int64_t ms);

/* Writes the buffer to stdout, whole; an exit code. */
int cli_print(const struct buf *out);

/* True if escape sequences are welcome on the stream: a terminal, no NO_COLOR, TERM is not dumb;
 * CLICOLOR_FORCE says yes for pipes too. */
bool cli_colour(int fd);

#endif
