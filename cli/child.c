/* SPDX-License-Identifier: Apache-2.0 */
/* Children of `spate up`: see child.h. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"

enum { STAT_FIELDS_BEFORE_START = 19, RECORD_MAX = 256, STAT_MAX = 4096 };

int process_start_time(int pid, uint64_t *start, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    char path[64];
    struct str rest;
    int64_t name_end = -1;
    int r;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    buf_init(&text, STAT_MAX);
    r = file_read(path, &text, err);
    if (r < 0)
        return r;
    /* "pid (name) state ppid ...": the name may hold anything, so count from its last ')'. */
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ')')
            name_end = (int64_t)i;
    }
    if (name_end < 0)
        return err_set(err, ERR_CORRUPT, "%s cannot be understood", path);
    rest = str_slice(buf_str(&text), (size_t)name_end + 2, text.len);
    if (str_starts(rest, STR("Z")))
        return err_set(err, ERR_NOT_FOUND, "process %d has ended", pid);
    for (int i = 0; i < STAT_FIELDS_BEFORE_START; i++)
        str_cut(&rest, ' ');
    if (!str_to_u64(str_cut(&rest, ' '), start))
        return err_set(err, ERR_CORRUPT, "%s cannot be understood", path);
    return 0;
}

int child_folder_lock(int *fd, const char *folder, struct err *err)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "up.lock");
    CLEANUP(fd_closep) int lock = -1;

    if (path == NULL)
        return err_no_memory(err);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0)
        return err_errno(err, errno, "cannot open %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_EXISTS,
                       "`spate up` runs for %s already; use it, or choose another --state", folder);
    *fd = lock;
    lock = -1;
    return 0;
}

bool child_folder_is_watched(const char *folder)
{
    CLEANUP(mem_freep) char *path = path_join(folder, "up.lock");
    CLEANUP(fd_closep) int lock = -1;

    if (path == NULL)
        return false;
    lock = open(path, O_RDWR | O_CLOEXEC);
    return lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) < 0;
}

static int make_path(char **out, const char *folder, const char *below, const char *file,
                     struct err *err)
{
    CLEANUP(mem_freep) char *sub = path_join(folder, below);
    int r;

    if (sub == NULL)
        return err_no_memory(err);
    r = file_make_folder(sub, err);
    if (r < 0)
        return r;
    *out = path_join(sub, file);
    return *out == NULL ? err_no_memory(err) : 0;
}

static void restart(void *object);

int child_init(struct child *c, struct loop *loop, const char *name, const char *program,
               const char *folder, struct err *err)
{
    char file[64];
    int r;

    *c = (struct child){.name = name, .loop = loop, .backoff_ms = CHILD_BACKOFF_FIRST_MS};
    loop_timer_init(&c->timer, restart, c);
    snprintf(file, sizeof(file), "%s.log", name);
    r = make_path(&c->log_path, folder, "logs", file, err);
    if (r < 0)
        return r;
    snprintf(file, sizeof(file), "%s.pid", name);
    r = make_path(&c->record_path, folder, "run", file, err);
    return r < 0 ? r : child_add_arg(c, program, err);
}

int child_add_arg(struct child *c, const char *arg, struct err *err)
{
    if (c->arg_count == CHILD_ARGS_MAX)
        return err_set(err, ERR_LIMIT, "%s has more than %d arguments", c->name, CHILD_ARGS_MAX);
    c->args[c->arg_count] = mem_strdup(arg);
    if (c->args[c->arg_count] == NULL)
        return err_no_memory(err);
    c->arg_count++;
    return 0;
}

void child_fini(struct child *c)
{
    loop_timer_stop(&c->timer);
    for (int i = 0; i < c->arg_count; i++)
        mem_free(c->args[i]);
    mem_free(c->log_path);
    mem_free(c->record_path);
    *c = (struct child){0};
}

/* --- what an earlier run left ---------------------------------------------------------------- */

static void save_record(const struct child *c)
{
    char text[RECORD_MAX];
    uint64_t start = 0;

    if (process_start_time(c->process.pid, &start, NULL) < 0)
        return; /* gone already */
    snprintf(text, sizeof(text), "%d %llu\n", c->process.pid, (unsigned long long)start);
    file_write_atomic(c->record_path, str_of(text), 0600, NULL);
}

/* The pid of the record if that very process still runs, else 0. */
static int leftover_pid(const struct child *c)
{
    CLEANUP(buf_fini) struct buf text = {0};
    struct str rest;
    uint64_t pid;
    uint64_t start;
    uint64_t running;

    buf_init(&text, RECORD_MAX);
    if (file_read(c->record_path, &text, NULL) < 0)
        return 0;
    rest = str_trim(buf_str(&text));
    if (!str_to_u64(str_cut(&rest, ' '), &pid) || !str_to_u64(rest, &start) || pid > INT32_MAX ||
        pid < 2)
        return 0;
    if (process_start_time((int)pid, &running, NULL) < 0 || running != start)
        return 0;
    return (int)pid;
}

int child_end_leftover(const struct child *c, struct err *err)
{
    enum { PAUSE_MS = 50 };
    int pid = leftover_pid(c);

    if (pid == 0)
        return 0;
    cli_note("ending the %s that an earlier `spate up` left behind (pid %d)", c->name, pid);
    kill(pid, SIGTERM);
    for (int waited = 0; waited < CHILD_LEFTOVER_MS && leftover_pid(c) == pid; waited += PAUSE_MS)
        cli_sleep_ms(PAUSE_MS);
    if (leftover_pid(c) == pid)
        kill(pid, SIGKILL);
    for (int waited = 0; waited < CHILD_LEFTOVER_MS && leftover_pid(c) == pid; waited += PAUSE_MS)
        cli_sleep_ms(PAUSE_MS);
    if (leftover_pid(c) == pid)
        return err_set(err, ERR_BUSY, "the old %s (pid %d) does not end; end it by hand", c->name,
                       pid);
    return 0;
}

/* --- life ------------------------------------------------------------------------------------ */

static void exited(uv_process_t *process, int64_t status, int signal_number);

static int spawn(struct child *c, struct err *err)
{
    CLEANUP(fd_closep) int log = open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}};
    uv_process_options_t options = {
        .exit_cb = exited,
        .file = c->args[0],
        .args = c->args,
        .flags = UV_PROCESS_DETACHED, /* Ctrl-C reaches only us: we end them in order */
        .stdio_count = 3,
        .stdio = stdio,
    };
    int r;

    if (log < 0)
        return err_errno(err, errno, "cannot open %s", c->log_path);
    stdio[1] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = log};
    stdio[2] = stdio[1];
    r = uv_spawn(&c->loop->uv, &c->process, &options);
    if (r < 0) {
        uv_close((uv_handle_t *)&c->process, NULL);
        return err_set(err, ERR_IO, "%s cannot be started: %s", c->args[0], uv_strerror(r));
    }
    c->process.data = c;
    c->state = CHILD_RUNNING;
    c->started_ms = loop_now_ms(c->loop);
    save_record(c);
    return 0;
}

static void wait_and_restart(struct child *c)
{
    c->state = CHILD_WAITING;
    loop_timer_start(c->loop, &c->timer, c->backoff_ms);
    c->backoff_ms *= 2;
    if (c->backoff_ms > CHILD_BACKOFF_MAX_MS)
        c->backoff_ms = CHILD_BACKOFF_MAX_MS;
}

static void restart(void *object)
{
    struct child *c = object;
    struct err err = {0};

    if (c->state == CHILD_ENDING) { /* the grace is over */
        child_kill(c);
        return;
    }
    c->restart_count++;
    if (spawn(c, &err) < 0) {
        cli_note("spate: %s", err_message(&err));
        wait_and_restart(c);
    }
}

/* The handle is closed: it may be used for the next process. */
static void closed(uv_handle_t *handle)
{
    struct child *c = handle->data;

    if (c->state == CHILD_ENDING) {
        c->state = CHILD_STOPPED;
        loop_timer_stop(&c->timer);
        c->on_stopped(c->user, c);
        return;
    }
    if (loop_now_ms(c->loop) - c->started_ms > CHILD_STEADY_MS)
        c->backoff_ms = CHILD_BACKOFF_FIRST_MS;
    wait_and_restart(c);
}

static void exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct child *c = process->data;

    if (c->state != CHILD_ENDING)
        c->on_exit(c->user, c, status, signal_number);
    unlink(c->record_path);
    uv_close((uv_handle_t *)process, closed);
}

int child_start(struct child *c, struct err *err)
{
    return spawn(c, err);
}

void child_stop(struct child *c)
{
    if (c->state == CHILD_RUNNING && !uv_is_closing((uv_handle_t *)&c->process)) {
        c->state = CHILD_ENDING;
        uv_process_kill(&c->process, SIGTERM);
        loop_timer_start(c->loop, &c->timer, CHILD_GRACE_MS);
    } else if (c->state == CHILD_RUNNING) {
        c->state = CHILD_ENDING; /* it has just exited; closed() will come */
    } else if (c->state != CHILD_ENDING) {
        loop_timer_stop(&c->timer);
        c->state = CHILD_STOPPED;
        c->on_stopped(c->user, c);
    }
}

void child_kill(struct child *c)
{
    if (c->state == CHILD_ENDING && uv_is_active((uv_handle_t *)&c->process))
        uv_process_kill(&c->process, SIGKILL);
}
