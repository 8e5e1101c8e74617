/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines from a table: each program or subcommand declares its options once; parsing, help
 * and the reference page come from the same rows.
 *
 *     struct settings { const char *listen; int64_t drain_ms; bool verbose; };
 *     static const struct arg_option options[] = {
 *         {"listen", 'l', ARG_TEXT, offsetof(struct settings, listen), "ADDRESS",
 *          "127.0.0.1:8000", "address to listen on"},
 *         {"drain", 0, ARG_DURATION, offsetof(struct settings, drain_ms), "TIME", "15s", "..."},
 *         {"verbose", 'v', ARG_FLAG, offsetof(struct settings, verbose), NULL, NULL, "..."},
 *     };
 */
#ifndef SPATE_BASE_ARGS_H
#define SPATE_BASE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum arg_kind {
    ARG_FLAG,     /* bool; --name, also --no-name */
    ARG_TEXT,     /* const char *: borrowed from argv or from the table */
    ARG_ADDRESS,  /* the same: "127.0.0.1:8000", "[::1]:0", "localhost:80" */
    ARG_URL,      /* the same: http:// or https:// and a host */
    ARG_INT,      /* int64_t */
    ARG_REAL,     /* double */
    ARG_DURATION, /* int64_t milliseconds: "250ms", "15s", "5m", "2h" */
    ARG_BYTES,    /* int64_t: "4096", "64Ki", "32Mi", "1Gi" */
    ARG_LIST,     /* struct arg_list: may be given more than once */
};

enum { ARG_LIST_MAX = 64 };
struct arg_list {
    const char *items[ARG_LIST_MAX];
    int count;
};

struct arg_option {
    const char *name;
    char letter; /* 0: none */
    enum arg_kind kind;
    size_t offset;          /* of the member in the caller's struct */
    const char *value_name; /* "ADDRESS" */
    const char *initial;    /* default, as a user would write it; NULL: zero, false, NULL */
    const char *help;
    int64_t min, max;           /* ARG_INT, ARG_DURATION, ARG_BYTES: range if max > 0; else >= 0 */
    const char *const *choices; /* ARG_TEXT: NULL-ended list of what is accepted, or NULL */
    bool required;
};

struct arg_command {
    const char *name;     /* "spate-agent", "spate run" */
    const char *summary;  /* one line */
    const char *usage;    /* after the name: "[options] MODEL [PROMPT]" */
    const char *examples; /* lines; help begins with them */
    const struct arg_option *options;
    size_t option_count;
    int positional_min, positional_max; /* -1: no maximum */
};

enum { ARGS_RUN = 0, ARGS_HELP = 1 };

/*
 * Parses argv[1..]. Options and positionals may mix; "--" ends the options. Fills `values`
 * (defaults first), moves the positionals to the front of argv (from argv[1]) and sets *positionals
 * to their number. Returns ARGS_RUN, ARGS_HELP if -h or --help was given, or a negative error of
 * one line that says what is wrong and, for an unknown option, which one is close.
 */
int args_parse(const struct arg_command *command, int argc, char **argv, void *values,
               int *positionals, struct err *err);

/* Appends the help: summary, examples, usage, options with their defaults. */
int args_help(const struct arg_command *command, struct buf *out);
/* Appends the same as a Markdown section: for the reference page. */
int args_document(const struct arg_command *command, struct buf *out);

/* The word of the NULL-ended list that is closest to `word` (at most a third of it wrong), or NULL:
 * for "did you mean" of subcommands and fields. */
const char *args_closest(const char *word, const char *const *words);

/* "250ms", "15s", "5m", "2h" to milliseconds; "64Ki" and so on to bytes. False if malformed. */
bool args_duration_parse(struct str text, int64_t *ms);
bool args_bytes_parse(struct str text, int64_t *bytes);

#endif
