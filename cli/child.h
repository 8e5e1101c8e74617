/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child process that `spate up` keeps alive: started, logged to a file, started again with
 * back-off when it ends. A record on disk (pid and start time) lets a later `spate up` end a child
 * that an earlier one, killed, left behind.
 *
 *     STOPPED --start--> RUNNING --exit--> WAITING (back-off) --timer--> RUNNING
 *     any --stop--> ENDING (SIGTERM, then SIGKILL) --exit--> STOPPED
 */
#ifndef SPATE_CLI_CHILD_H
#define SPATE_CLI_CHILD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

enum {
    CHILD_ARGS_MAX = 32,
    CHILD_BACKOFF_FIRST_MS = 200,
    CHILD_BACKOFF_MAX_MS = 10000,
    CHILD_STEADY_MS = 30000, /* after so long the back-off starts anew */
    CHILD_GRACE_MS = 20000,  /* between SIGTERM and SIGKILL */
    CHILD_LEFTOVER_MS = 5000,
};

enum child_state { CHILD_STOPPED, CHILD_RUNNING, CHILD_WAITING, CHILD_ENDING };

struct child {
    const char *name;               /* "gateway": of the log and the record */
    char *args[CHILD_ARGS_MAX + 1]; /* owned; args[0] is the path of the program */
    int arg_count;
    char *log_path;    /* owned */
    char *record_path; /* owned */
    /* Called on the loop whenever it ended by itself (not after child_stop). */
    void (*on_exit)(void *user, struct child *child, int64_t status, int signal_number);
    /* Called when it ended after child_stop. */
    void (*on_stopped)(void *user, struct child *child);
    void *user;

    struct loop *loop;
    enum child_state state;
    uv_process_t process;
    struct loop_timer timer;
    uint64_t started_ms;
    uint64_t backoff_ms;
    int restart_count;
};

/* Paths are copied. `folder` is the state folder: logs go to folder/logs/NAME.log, records to
 * folder/run/NAME.pid. */
int child_init(struct child *c, struct loop *loop, const char *name, const char *program,
               const char *folder, struct err *err);
int child_add_arg(struct child *c, const char *arg, struct err *err);
/* Only when STOPPED and the loop has turned. */
void child_fini(struct child *c);

/* Ends what an earlier `spate up` left behind, blocking up to CHILD_LEFTOVER_MS. */
int child_end_leftover(const struct child *c, struct err *err);

/* The first start; a failure is an error, later ones lead to back-off. */
int child_start(struct child *c, struct err *err);
/* SIGTERM now, SIGKILL after the grace; on_stopped follows, maybe inside the call. */
void child_stop(struct child *c);
void child_kill(struct child *c);

/* One `spate up` per folder: takes the lock, which is held while the process lives, whatever way it
 * dies. *fd is closed by the caller at the end. -ERR_EXISTS if another one holds it. */
int child_folder_lock(int *fd, const char *folder, struct err *err);
/* True while another process holds it. */
bool child_folder_is_watched(const char *folder);

/* pid and start time (clock ticks since boot, of /proc) of a process that has not ended;
 * -ERR_NOT_FOUND. */
int process_start_time(int pid, uint64_t *start, struct err *err);

#endif
