/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs that a bench starts: they stand beside its own binary, write the address that they
 * listen on into a file of the bench's folder, and log into another one there. And a blocking
 * request that stops at the first token. One thread.
 */
#ifndef SPATE_TESTS_BENCH_COMMON_PROCESS_H
#define SPATE_TESTS_BENCH_COMMON_PROCESS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    BENCH_ARGS_MAX = 40,
    BENCH_ADDRESS_MAX = 64,
    BENCH_PATH_MAX = 512,
    BENCH_START_MS = 20000, /* until a program has written its address */
    BENCH_STOP_MS = 30000,  /* after SIGTERM; then SIGKILL */
};

/* A folder of its own under $TMPDIR, removed by bench_folder_remove. */
int bench_folder_make(char out[BENCH_PATH_MAX], struct err *err);
void bench_folder_remove(const char *folder);

/* The path of another program beside the running one; -ERR_NOT_FOUND with the cure. */
int bench_program(char out[BENCH_PATH_MAX], const char *name, struct err *err);

struct bench_process {
    pid_t pid; /* 0: not running */
    char name[32];
    char address_file[BENCH_PATH_MAX];
    char log[BENCH_PATH_MAX];
};

/* Starts args[0] (a program's name) with the other arguments; the list ends with NULL. It runs on
 * core `cpu` only, or anywhere with -1. The log is folder/NAME.log; --address-file is not added. */
int bench_process_start(struct bench_process *p, const char *folder, const char *const *args,
                        int cpu, struct err *err);
/* Waits for the file (its address file), at most BENCH_START_MS; fails if the program ended. */
int bench_process_wait_file(const struct bench_process *p, const char *path, struct err *err);
/* The first line of p->address_file. */
int bench_process_address(const struct bench_process *p, char out[BENCH_ADDRESS_MAX],
                          struct err *err);
/* SIGTERM, then SIGKILL after BENCH_STOP_MS; waits. Harmless if it does not run. */
void bench_process_stop(struct bench_process *p);
/* Runs a program to its end and gives its stdout; its stderr goes to folder/NAME.err. An exit code
 * other than 0 is -ERR_INTERNAL. */
int bench_process_output(struct buf *out, const char *folder, const char *const *args,
                         struct err *err);
/* User and system time of a running process so far, in seconds; -1 if it is not known. */
double bench_process_cpu_s(const struct bench_process *p);

/*
 * POSTs `body` to path and waits for the first server-sent event with data; *status is the HTTP
 * status, and a status other than 200 is no error. -ERR_NETWORK if there was no connection or it
 * broke. Blocks up to timeout_ms.
 */
int bench_first_event(const char *address, const char *path, const char *key, struct str body,
                      int timeout_ms, int *status, struct err *err);

#endif
