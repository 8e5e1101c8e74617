/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each of our programs begins: its command line, its help, its log. Called by main, before
 * there are threads.
 *
 *     int r = program_arguments(&agent_command, argc, argv, &settings, NULL);
 *
 *     if (r != PROGRAM_RUN)
 *         return r;
 *     program_log(&agent_command, settings.log_level, settings.log_format);
 */
#ifndef SPATE_BASE_PROGRAM_H
#define SPATE_BASE_PROGRAM_H

#include "base/args.h"

/* Choices of --log-level and --log-format, NULL-ended. */
extern const char *const program_log_levels[];
extern const char *const program_log_formats[];

/* PROGRAM_USAGE is the exit status of a wrong command line. */
enum { PROGRAM_RUN = -1, PROGRAM_USAGE = 2 };

/* Fills `values`. Prints the help if asked for, or one line about what is wrong. Returns
 * PROGRAM_RUN, or what main returns. `positionals` may be NULL for a program that has none. */
int program_arguments(const struct arg_command *command, int argc, char **argv, void *values,
                      int *positionals);

/* Sets up the log on stderr, by names of the lists above, and the JSON library. */
void program_log(const struct arg_command *command, const char *level, const char *format);

/* One line on stderr, "<program>: <message>"; returns `status`. */
int program_fail(const struct arg_command *command, int status, const char *message);

#endif
