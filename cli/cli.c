/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments, messages and exit codes: see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { HELP_MAX = 64 * 1024 };

static int print_help(const struct arg_command *command)
{
    CLEANUP(buf_fini) struct buf help = {0};

    buf_init(&help, HELP_MAX);
    args_help(command, &help);
    return cli_print(&help);
}

bool cli_parse(const struct arg_command *command, int argc, char **argv, void *values,
               int *positionals, int *exit_code)
{
    struct err err = {0};
    int r = args_parse(command, argc, argv, values, positionals, &err);

    if (r == ARGS_RUN)
        return true;
    if (r == ARGS_HELP) {
        *exit_code = print_help(command);
        return false;
    }
    fprintf(stderr, "%s: %s\n", command->name, err_message(&err));
    *exit_code = CLI_USAGE;
    return false;
}

static enum cli_exit exit_of(enum err_code code)
{
    switch (code) {
    case ERR_DENIED:
        return CLI_AUTH;
    case ERR_NETWORK:
    case ERR_TIMEOUT:
    case ERR_BUSY:
        return CLI_NOT_READY;
    default:
        return CLI_ERROR;
    }
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "spate: %s\n", err_message(err));
    return exit_of(err->code);
}

int cli_fail_text(enum cli_exit code, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "spate: %s\n", text);
    return code;
}

void cli_note(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_sleep_ms(int64_t ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

int cli_print(const struct buf *out)
{
    if (out->failed)
        return cli_fail_text(CLI_ERROR, "the answer is too large to print");
    if (out->len > 0 && fwrite(out->ptr, 1, out->len, stdout) != out->len)
        return CLI_ERROR;
    return fflush(stdout) == 0 ? CLI_OK : CLI_ERROR;
}

bool cli_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *force = getenv("CLICOLOR_FORCE");
    const char *term = getenv("TERM");

    if (no != NULL && no[0] != '\0')
        return false;
    if (force != NULL && force[0] != '\0' && strcmp(force, "0") != 0)
        return true;
    return isatty(fd) && (term == NULL || strcmp(term, "dumb") != 0);
}
