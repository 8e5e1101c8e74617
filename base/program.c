/* SPDX-License-Identifier: Apache-2.0 */
/* How programs begin: see program.h. */
#include "base/program.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

enum { HELP_BYTES_MAX = 64 << 10 };

const char *const program_log_levels[] = {"debug", "info", "warn", "error", NULL};
const char *const program_log_formats[] = {"text", "json", NULL};

static int print_help(const struct arg_command *command)
{
    CLEANUP(buf_fini) struct buf text = {0};

    buf_init(&text, HELP_BYTES_MAX);
    if (args_help(command, &text) < 0)
        return program_fail(command, 1, "no memory for the help");
    if (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
        return 1;
    return 0;
}

int program_arguments(const struct arg_command *command, int argc, char **argv, void *values,
                      int *positionals)
{
    struct err err = {0};
    int count = 0;
    int r = args_parse(command, argc, argv, values, &count, &err);

    if (r == ARGS_HELP)
        return print_help(command);
    if (r < 0)
        return program_fail(command, PROGRAM_USAGE, err_message(&err));
    if (positionals != NULL)
        *positionals = count;
    return PROGRAM_RUN;
}

void program_log(const struct arg_command *command, const struct program_settings *settings)
{
    enum log_level lowest = LOG_LEVEL_INFO;
    enum log_format form = LOG_FORMAT_TEXT;

    (void)log_level_parse(str_of(settings->log_level),
                          &lowest); /* the table lets no other names through */
    (void)log_format_parse(str_of(settings->log_format), &form);
    log_setup(command->name, lowest, form, STDERR_FILENO);
    json_begin();
}

int program_tell_address(const struct program_settings *settings, const char *listen, int port,
                         char out[PROGRAM_ADDRESS_MAX], struct err *err)
{
    struct http_address address;
    char line[PROGRAM_ADDRESS_MAX + 1];
    int r = http_address_parse(str_of(listen), &address, err);

    if (r < 0)
        return r;
    snprintf(out, PROGRAM_ADDRESS_MAX, "%s:%d", address.host, port);
    if (settings->address_file == NULL)
        return 0;
    snprintf(line, sizeof(line), "%s\n", out);
    r = file_write_atomic(settings->address_file, str_of(line), 0644, err);
    return r < 0 ? err_wrap(err, r, "--address-file %s", settings->address_file) : 0;
}

int program_fail(const struct arg_command *command, int status, const char *message)
{
    fprintf(stderr, "%s: %s\n", command->name, message);
    return status;
}
