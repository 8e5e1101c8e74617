/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: fork, exec, and a pidfd each, which tells the end of adopted ones as well. */
#include "operator/local/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

enum { RECORD_MAX = 128, STAT_MAX = 4096, PATH_BYTES = 4096 };

/* Owns the descriptor until its handle is closed. */
struct process_watch {
    uv_poll_t poll;
    int fd;
    struct process *process; /* NULL: released */
};

/* --- start times ------------------------------------------------------------------------------ */

/* Field 22, counted after the ')' that ends the program's name; field 3 is the state. */
bool process_stat_parse(const char *text, uint64_t *start)
{
    const char *at = strrchr(text, ')');
    uint64_t value = 0;
    int field = 2;

    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return false;
    for (at++; *at != '\0' && field < 22; at++)
        field += *at == ' ' ? 1 : 0;
    if (field < 22)
        return false;
    for (; *at >= '0' && *at <= '9'; at++)
        value = 10 * value + (uint64_t)(*at - '0');
    *start = value;
    return value > 0;
}

/* Only calls that are allowed between fork and exec. */
static bool read_start_time(const char *path, uint64_t *start)
{
    char text[STAT_MAX];
    ssize_t size;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return process_stat_parse(text, start);
}

bool process_start_time(pid_t pid, uint64_t *start)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    return read_start_time(path, start);
}

/* --- the child's side of the fork ------------------------------------------------------------- */

static char *put_number(char *out, uint64_t value)
{
    char digits[24];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *out++ = digits[--count];
    return out;
}

/* Written before the exec, so that no process runs that no record names. */
static bool write_record(const char *temporary, const char *path)
{
    char text[RECORD_MAX];
    char *end = text;
    uint64_t start;
    bool ok;
    int fd;

    if (!read_start_time("/proc/self/stat", &start))
        return false;
    end = put_number(end, (uint64_t)getpid());
    *end++ = ' ';
    end = put_number(end, start);
    *end++ = '\n';
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    ok = write(fd, text, (size_t)(end - text)) == end - text;
    close(fd);
    return ok && rename(temporary, path) == 0;
}

static void __attribute__((noreturn)) become(const struct process_options *options,
                                             const char *temporary)
{
    union {
        const char *const *in;
        char *const *out;
    } argv = {.in = options->argv}; /* execv does not write to it */
    sigset_t none;
    int null_fd = open("/dev/null", O_RDONLY);
    int log_fd = open(options->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (setsid() < 0 || null_fd < 0 || log_fd < 0 || dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 ||
        dup2(log_fd, 2) < 0)
        _exit(126);
    if (!write_record(temporary, options->record_path))
        _exit(125);
    close_range(3, ~0U, 0);
    execv(options->argv[0], argv.out);
    _exit(127);
}

/* --- watching --------------------------------------------------------------------------------- */

static void closed(uv_handle_t *handle)
{
    struct process_watch *watch = handle->data;

    close(watch->fd);
    mem_free(watch);
}

void process_release(struct process *p)
{
    if (p->watch != NULL) {
        p->watch->process = NULL;
        uv_close((uv_handle_t *)&p->watch->poll, closed);
    }
    p->watch = NULL;
    p->pid = 0;
}

static void ended(uv_poll_t *handle, int status, int events)
{
    struct process_watch *watch = handle->data;
    struct process *p = watch->process;
    struct loop *loop = handle->loop->data;
    int how = -1;

    (void)status;
    (void)events;
    if (p == NULL)
        return;
    if (p->is_child && waitpid(p->pid, &how, WNOHANG) == 0)
        return; /* not yet */
    loop_enter(loop);
    process_release(p);
    p->on_exit(p->user, how);
    loop_leave(loop);
}

static int watch(struct process *p, struct err *err)
{
    struct process_watch *w = mem_alloc(sizeof(*w));
    int r;

    if (w == NULL)
        return err_no_memory(err);
    w->fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (w->fd < 0) {
        r = err_errno(err, errno, "pid %lld", (long long)p->pid);
        mem_free(w);
        return r;
    }
    r = uv_poll_init(&p->loop->uv, &w->poll, w->fd);
    if (r < 0) {
        close(w->fd);
        mem_free(w);
        return err_set(err, ERR_IO, "pid %lld can't be watched: %s", (long long)p->pid,
                       uv_strerror(r));
    }
    w->poll.data = w;
    w->process = p;
    p->watch = w;
    uv_poll_start(&w->poll, UV_READABLE, ended);
    return 0;
}

/* --- starting and adopting -------------------------------------------------------------------- */

int process_start(struct process *p, const struct process_options *options, struct err *err)
{
    char temporary[PATH_BYTES];
    pid_t pid;
    int r;

    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", options->record_path) >=
        sizeof(temporary))
        return err_set(err, ERR_LIMIT, "%s: the path is too long", options->record_path);
    pid = fork();
    if (pid < 0)
        return err_errno(err, errno, "fork");
    if (pid == 0)
        become(options, temporary);
    p->pid = pid;
    p->is_child = true;
    if (!process_start_time(pid, &p->start))
        p->start = 0; /* it ended already: the watch says so */
    r = watch(p, err);
    if (r < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        p->pid = 0;
    }
    return r;
}

bool process_record_parse(struct str text, pid_t *pid, uint64_t *start)
{
    struct str rest = str_trim(text);
    struct str pid_text = str_cut(&rest, ' ');
    uint64_t number = 0;

    if (!str_to_u64(pid_text, &number) || !str_to_u64(rest, start) || number == 0 ||
        number > INT32_MAX)
        return false;
    *pid = (pid_t)number;
    return true;
}

int process_adopt(struct process *p, const char *record_path, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    uint64_t start = 0, present = 0;
    pid_t pid = 0;
    int r;

    buf_init(&text, RECORD_MAX);
    r = file_read(record_path, &text, err);
    if (r < 0)
        return r;
    if (!process_record_parse(buf_str(&text), &pid, &start))
        return err_set(err, ERR_CORRUPT, "%s does not name a process", record_path);
    p->pid = pid;
    p->start = start;
    p->is_child = false;
    r = watch(p, err);
    if (r < 0) {
        p->pid = 0;
        return err_set(err, ERR_NOT_FOUND, "pid %lld has ended", (long long)pid);
    }
    /* Checked after the descriptor was opened: the pid can't come to mean another one between. */
    if (!process_start_time(p->pid, &present) || present != start) {
        process_release(p);
        return err_set(err, ERR_NOT_FOUND, "pid %lld has ended", (long long)pid);
    }
    return 0;
}

bool process_signal(const struct process *p, int signal_number)
{
    if (p->pid == 0 || p->watch == NULL)
        return false;
    return syscall(SYS_pidfd_send_signal, p->watch->fd, signal_number, NULL, 0) == 0;
}
