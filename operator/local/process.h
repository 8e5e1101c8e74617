/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes that outlive their parent. Each runs in a session of its own, writes its pid and
 * start time to a file before it becomes the program, and its output to a log file. A later parent
 * finds it by that file: pid and start time together never mean another process. Loop thread.
 */
#ifndef SPATE_OPERATOR_PROCESS_H
#define SPATE_OPERATOR_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/str.h"

struct process {
    struct loop *loop;
    pid_t pid;      /* 0: none */
    uint64_t start; /* field 22 of /proc/PID/stat, in ticks since boot */
    bool is_child;  /* ours to reap; an adopted one is not */
    struct process_watch *watch;
    void (*on_exit)(void *user, int status); /* as waitpid says it; -1: not known (adopted) */
    void *user;
};

struct process_options {
    const char *const *argv; /* argv[0] is the program's path */
    const char *log_path;    /* appended to */
    const char *record_path; /* "PID START\n" */
};

/* Starts it; on_exit is told its end, never inside this call. */
int process_start(struct process *p, const struct process_options *options, struct err *err);
/* Takes over what the record names, if that process still runs: 0, or -ERR_NOT_FOUND. */
int process_adopt(struct process *p, const char *record_path, struct err *err);
/* False if there is none any more. */
bool process_signal(const struct process *p, int signal_number);
/* Forgets it: it runs on, nobody is told its end. */
void process_release(struct process *p);

/* Parses a record: "PID START\n". False if it does not name a process. */
bool process_record_parse(struct str text, pid_t *pid, uint64_t *start);
/* Parses /proc/PID/stat, NUL-terminated. False for a zombie, or if it can't be understood. */
bool process_stat_parse(const char *text, uint64_t *start);

/* The start time of a pid; false if no such process runs (a zombie counts as none). */
bool process_start_time(pid_t pid, uint64_t *start);

#endif
