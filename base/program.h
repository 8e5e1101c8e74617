/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each of our programs begins: its command line, its help, its log, and telling where it
 * listens. Called by main, before there are threads.
 *
 *     struct agent_settings { const char *model; struct program_settings program; };
 *     static const struct arg_option options[] = {
 *         {.name = "model", ...},
 *         PROGRAM_OPTIONS(struct agent_settings, program),
 *     };
 *     int r = program_arguments(&agent_command, argc, argv, &settings, NULL);
 *
 *     if (r != PROGRAM_RUN)
 *         return r;
 *     program_log(&agent_command, &settings.program);
 */
#ifndef SPATE_BASE_PROGRAM_H
#define SPATE_BASE_PROGRAM_H

#include "base/args.h"
#include "base/http.h"

/* What every server is told in the same words. Texts are borrowed. */
struct program_settings {
    const char *address_file; /* NULL: none */
    const char *log_level;
    const char *log_format;
};

/* Choices of --log-level and --log-format, NULL-ended. */
extern const char *const program_log_levels[];
extern const char *const program_log_formats[];

/* clang-format off */
/* Their rows in a table of options; `member` of `type` is the struct above. */
#define PROGRAM_OPTIONS(type, member)                                                              \
    {"address-file", 0, ARG_TEXT, offsetof(type, member.address_file), "FILE", NULL,               \
     "write the bound address here once listening"},                                               \
    {"log-level", 0, ARG_TEXT, offsetof(type, member.log_level), "LEVEL", "info",                  \
     "lowest level that is logged", .choices = program_log_levels},                                \
    {"log-format", 0, ARG_TEXT, offsetof(type, member.log_format), "FORMAT", "text",               \
     "form of a log line", .choices = program_log_formats}
/* clang-format on */

/* PROGRAM_USAGE is the exit status of a wrong command line. */
enum { PROGRAM_RUN = -1, PROGRAM_USAGE = 2 };

/* Fills `values`. Prints the help if asked for, or one line about what is wrong. Returns
 * PROGRAM_RUN, or what main returns. `positionals` may be NULL for a program that has none. */
int program_arguments(const struct arg_command *command, int argc, char **argv, void *values,
                      int *positionals);

/* Sets up the log on stderr, and the JSON library. */
void program_log(const struct arg_command *command, const struct program_settings *settings);

/* Where a program listens: "host:port", by its --listen and the port that it got. Writes it into
 * --address-file, if there is one, as a line. */
enum { PROGRAM_ADDRESS_MAX = HTTP_HOST_MAX + 16 };
int program_tell_address(const struct program_settings *settings, const char *listen, int port,
                         char out[PROGRAM_ADDRESS_MAX], struct err *err);

/* One line on stderr, "<program>: <message>"; returns `status`. */
int program_fail(const struct arg_command *command, int status, const char *message);

#endif
