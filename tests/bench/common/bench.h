/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benches share: the machine they ran on, figures as text or as JSON lines, statistics.
 * A bench measures and reports; it fails only when it could not measure. One thread.
 */
#ifndef SPATE_TESTS_BENCH_COMMON_BENCH_H
#define SPATE_TESTS_BENCH_COMMON_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/args.h"
#include "base/err.h"

struct bench {
    const char *name; /* "gateway" */
    bool json;        /* one JSON line for each figure, instead of text */
};

/* One thing measured. Texts that are NULL are left out. */
struct bench_figure {
    const char *what; /* "agent start to first token, brook" */
    double value;
    const char *unit;     /* "ms", "requests/s" */
    const char *workload; /* what was done to get it, and how often */
    const char *aim;      /* of the design, for people: "<= 100 ms" */
    const char *peer;     /* what ran beside it in the same run */
    double peer_value;    /* in the same unit; ratio = value / peer_value */
};

/* Row of an option table: every bench has --json. */
#define BENCH_OPTION_JSON(settings) \
    {"json", 0, ARG_FLAG, offsetof(settings, json), NULL, NULL, "print JSON lines"}

/* Parses the command line; true: go on. False: help or a message was printed, end with *exit_code.
 */
bool bench_parse(const struct arg_command *command, int argc, char **argv, void *settings,
                 int *positionals, int *exit_code);

/* Prints the machine and its load average (in text; in JSON each figure carries them). */
void bench_begin(const struct bench *b);
void bench_report(const struct bench *b, const struct bench_figure *figure);
/* Prints "bench_NAME: message" to stderr; returns 1. */
int bench_fail(const struct bench *b, const struct err *err);

/* Sorts `values`, then the value below which `share` of them lie: 0.5 is the median. */
double bench_quantile(double *values, size_t count, double share);

double bench_now_ms(void);
void bench_sleep_us(long microseconds);

#endif
