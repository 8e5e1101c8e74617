/* SPDX-License-Identifier: Apache-2.0 */
/* Programs under measurement: see process.h. */
#include "tests/bench/common/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "tests/bench/common/bench.h"

enum { POLL_US = 100, READ_BYTES = 4096, STAT_MAX = 4096, STAT_UTIME_FIELD = 14 };

int bench_folder_make(char out[BENCH_PATH_MAX], struct err *err)
{
    const char *parent = getenv("TMPDIR");

    snprintf(out, BENCH_PATH_MAX, "%s/spate-bench-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(out) == NULL)
        return err_errno(err, errno, "can't make the folder %s", out);
    return 0;
}

void bench_folder_remove(const char *folder)
{
    struct err err = {0};

    if (file_remove_tree(folder, &err) < 0)
        fprintf(stderr, "bench: %s\n", err_message(&err));
}

int bench_program(char out[BENCH_PATH_MAX], const char *name, struct err *err)
{
    char self[BENCH_PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int written;

    if (length < 0)
        return err_errno(err, errno, "can't read /proc/self/exe");
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    written = snprintf(out, BENCH_PATH_MAX, "%s/%s", self, name);
    if (written >= BENCH_PATH_MAX)
        return err_set(err, ERR_LIMIT, "the path of %s is too long", name);
    if (access(out, X_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "%s is missing; build it: ./dev build --release", out);
    return 0;
}

/* In the child: never returns. */
static void become(const char *program, const char *const *args, int out, int errors, int cpu)
{
    char *argv[BENCH_ARGS_MAX + 1];
    cpu_set_t set;
    int count = 0;

    while (args[count] != NULL && count < BENCH_ARGS_MAX) {
        argv[count] = mem_strdup(args[count]);
        count++;
    }
    argv[count] = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing outlives a bench that was interrupted */
    CPU_ZERO(&set);
    CPU_SET((unsigned)(cpu < 0 ? 0 : cpu), &set);
    if (cpu >= 0)
        (void)sched_setaffinity(0, sizeof(set), &set);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execv(program, argv);
    _exit(127);
}

static int open_log(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    return fd < 0 ? err_errno(err, errno, "can't open %s", path) : fd;
}

int bench_process_start(struct bench_process *p, const char *folder, const char *const *args,
                        int cpu, struct err *err)
{
    CLEANUP(fd_closep) int log = -1;
    char program[BENCH_PATH_MAX];
    int r = bench_program(program, args[0], err);

    if (r < 0)
        return r;
    snprintf(p->name, sizeof(p->name), "%s", args[0]);
    snprintf(p->log, sizeof(p->log), "%.400s/%s.log", folder, p->name);
    log = open_log(p->log, err);
    if (log < 0)
        return log;
    fflush(stdout);
    p->pid = fork();
    if (p->pid < 0) {
        p->pid = 0;
        return err_errno(err, errno, "can't start %s", program);
    }
    if (p->pid == 0)
        become(program, args, log, log, cpu);
    return 0;
}

int bench_process_output(struct buf *out, const char *folder, const char *const *args,
                         struct err *err)
{
    CLEANUP(fd_closep) int log = -1;
    char program[BENCH_PATH_MAX];
    char path[BENCH_PATH_MAX];
    int ends[2];
    ssize_t got = 1;
    int status = 0;
    pid_t pid;
    int r = bench_program(program, args[0], err);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%.400s/%s.err", folder, args[0]);
    log = open_log(path, err);
    if (log < 0)
        return log;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "can't make a pipe");
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        become(program, args, ends[1], log, -1);
    close(ends[1]);
    while (pid > 0 && got > 0) {
        char *room = buf_reserve(out, READ_BYTES);

        got = room == NULL ? -1 : read(ends[0], room, READ_BYTES);
        out->len += got > 0 ? (size_t)got : 0;
    }
    close(ends[0]);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        return err_set(err, ERR_INTERNAL, "%s %s failed; see %s", args[0], args[1], path);
    return 0;
}

static int ended(const struct bench_process *p, struct err *err)
{
    char last[256] = "";
    struct buf log;

    buf_init(&log, 16 << 20);
    if (file_read(p->log, &log, NULL) == 0) {
        struct str text = str_trim(buf_str(&log));
        const char *line = text.len == 0 ? NULL : memrchr(text.ptr, '\n', text.len);

        if (line != NULL)
            text = str_slice(text, (size_t)(line - text.ptr) + 1, text.len);
        snprintf(last, sizeof(last), "%.*s", STR_ARG(str_slice(text, 0, sizeof(last) - 1)));
    }
    buf_fini(&log);
    return err_set(err, ERR_INTERNAL, "%s did not start: %s", p->name, last);
}

int bench_process_wait_file(const struct bench_process *p, const char *path, struct err *err)
{
    double end = bench_now_ms() + BENCH_START_MS;

    while (access(path, R_OK) != 0) {
        if (kill(p->pid, 0) != 0 || waitpid(p->pid, NULL, WNOHANG) == p->pid)
            return ended(p, err);
        if (bench_now_ms() > end)
            return err_set(err, ERR_TIMEOUT, "%s did not listen within %d ms", p->name,
                           BENCH_START_MS);
        bench_sleep_us(POLL_US);
    }
    return 0;
}

int bench_process_address(const struct bench_process *p, char out[BENCH_ADDRESS_MAX],
                          struct err *err)
{
    struct buf text;
    int r = bench_process_wait_file(p, p->address_file, err);

    buf_init(&text, 4096);
    if (r == 0)
        r = file_read(p->address_file, &text, err);
    if (r == 0) {
        struct str rest = buf_str(&text);
        struct str line = str_trim(str_cut(&rest, '\n'));

        snprintf(out, BENCH_ADDRESS_MAX, "%.*s", STR_ARG(line));
    }
    buf_fini(&text);
    return r;
}

void bench_process_stop(struct bench_process *p)
{
    double end = bench_now_ms() + BENCH_STOP_MS;

    if (p->pid == 0)
        return;
    kill(p->pid, SIGTERM);
    while (waitpid(p->pid, NULL, WNOHANG) == 0) {
        if (bench_now_ms() > end) {
            kill(p->pid, SIGKILL);
            waitpid(p->pid, NULL, 0);
            break;
        }
        bench_sleep_us(POLL_US);
    }
    p->pid = 0;
}

/* Fields 14 and 15 of /proc/PID/stat, in clock ticks; the name in field 2 may have spaces. */
double bench_process_cpu_s(const struct bench_process *p)
{
    char path[64];
    struct buf text;
    struct str rest;
    uint64_t user = 0;
    uint64_t system = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)p->pid);
    buf_init(&text, STAT_MAX);
    if (file_read(path, &text, NULL) < 0 || str_find(buf_str(&text), STR(") ")) < 0) {
        buf_fini(&text);
        return -1;
    }
    rest = buf_str(&text);
    rest = str_slice(rest, (size_t)str_find(rest, STR(") ")) + 2, rest.len);
    for (int field = 3; field < STAT_UTIME_FIELD; field++)
        (void)str_cut(&rest, ' ');
    (void)str_to_u64(str_cut(&rest, ' '), &user);
    (void)str_to_u64(str_cut(&rest, ' '), &system);
    buf_fini(&text);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}
