/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential plug-ins: a program that writes an ExecCredential to its output. Started by
 * posix_spawn (no shell, no fork of a process with threads), with nothing on its input and our
 * standard error, read until it closes its output, killed when its time is up. Blocks: worker
 * threads only.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "operator/kube/client/kube_credentials.h"

extern char **environ;

enum { INFO_MAX = 1 << 20, REAP_POLL_MS = 5 };

/* --- the answer ------------------------------------------------------------------------------- */

static int take(char **out, const json_t *status, const char *key, struct err *err)
{
    struct str text = STR_NONE;
    int r = json_get_str(status, key, false, &text, err);

    if (r == -ERR_NOT_FOUND || (r == 0 && text.len == 0))
        return 0;
    if (r < 0)
        return r;
    *out = mem_strndup(text.ptr, text.len);
    return *out == NULL ? err_no_memory(err) : 0;
}

static int read_status(struct kube_credentials *c, const json_t *status, struct err *err)
{
    struct str expires = STR_NONE;
    int r = take(&c->token, status, "token", err);

    if (r == 0)
        r = take(&c->cert_pem, status, "clientCertificateData", err);
    if (r == 0)
        r = take(&c->key_pem, status, "clientKeyData", err);
    if (r == 0)
        r = json_get_str(status, "expirationTimestamp", false, &expires, err);
    if (r < 0 && r != -ERR_NOT_FOUND)
        return r;
    if (expires.len > 0 && clock_parse_utc(expires.ptr, expires.len, &c->expires_ms) < 0)
        return err_set(err, ERR_INVALID, "'expirationTimestamp' is no time");
    if ((c->cert_pem == NULL) != (c->key_pem == NULL))
        return err_set(err, ERR_INVALID, "certificate and key are needed together");
    if (c->token == NULL && c->cert_pem == NULL)
        return err_set(err, ERR_INVALID, "neither a token nor a certificate is in it");
    return 0;
}

int kube_exec_answer_read(struct kube_credentials *out, struct str text, const char *api_version,
                          struct err *err)
{
    static const struct json_limits limits = {KUBE_CREDENTIAL_BYTES_MAX, 16};
    json_auto_t *tree = NULL;
    json_t *status = NULL;
    struct str version = STR_NONE;
    struct err inner = {0};
    int r = json_read(&tree, text, &limits, "the answer", &inner);

    /* The text of a syntax error could show a piece of the secret. */
    if (r < 0)
        return r == -ERR_NO_MEMORY ? err_no_memory(err)
                                   : err_set(err, ERR_SYNTAX, "the answer is no JSON");
    r = json_get_str(tree, "apiVersion", true, &version, err);
    if (r == 0 && !str_is(version, api_version))
        r = err_set(err, ERR_INVALID, "the answer's apiVersion is not %s", api_version);
    if (r == 0)
        r = json_get_object(tree, "status", true, &status, err);
    return r < 0 ? r : read_status(out, status, err);
}

/* --- what it is told -------------------------------------------------------------------------- */

static int put_authority(struct json_writer *w, const struct kube_config *config,
                         const char *ca_pem, struct err *err)
{
    CLEANUP(buf_fini) struct buf encoded = {0};

    json_key(w, "cluster");
    json_open(w, '{');
    json_put_text(w, "server", config->server);
    if (ca_pem != NULL) {
        buf_init(&encoded, INFO_MAX);
        if (base64_append(&encoded, str_of(ca_pem)) < 0)
            return buf_check(&encoded, "certificate-authority-data", err);
        json_put_str(w, "certificate-authority-data", buf_str(&encoded));
    }
    json_close(w, '}');
    return 0;
}

/* "KUBERNETES_EXEC_INFO={...}" */
static int write_info(struct buf *out, const struct kube_config *config, const char *ca_pem,
                      struct err *err)
{
    struct json_writer w;
    int r = 0;

    buf_init(out, INFO_MAX);
    (void)buf_append_text(out, "KUBERNETES_EXEC_INFO=");
    json_writer_init(&w, out);
    json_open(&w, '{');
    json_put_text(&w, "apiVersion", config->exec->api_version);
    json_put_text(&w, "kind", "ExecCredential");
    json_key(&w, "spec");
    json_open(&w, '{');
    json_put_bool(&w, "interactive", false);
    if (config->exec->provide_cluster_info)
        r = put_authority(&w, config, ca_pem, err);
    if (r < 0)
        return r;
    json_close(&w, '}');
    json_close(&w, '}');
    if (buf_cstr(out) == NULL)
        return err_no_memory(err);
    return buf_check(out, "what a credential plug-in is told", err);
}

static size_t word_count(const char *const *words)
{
    size_t count = 0;

    while (words != NULL && words[count] != NULL)
        count++;
    return count;
}

static bool overrides(const char *const *env, const char *variable)
{
    size_t length = strcspn(variable, "=") + 1;

    for (size_t i = 0; env != NULL && env[i] != NULL; i++) {
        if (strncmp(env[i], variable, length) == 0)
            return true;
    }
    return strncmp(variable, "KUBERNETES_EXEC_INFO=", length) == 0;
}

/* Our own environment, what the configuration adds, and the information. The array is the caller's,
 * the texts are not. */
static const char **make_environment(const struct kube_exec *exec, const char *info)
{
    size_t own = 0;
    size_t count = 0;
    const char **all;

    while (environ[own] != NULL)
        own++;
    all = mem_array(own + word_count(exec->env) + 2, sizeof(*all));
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < own; i++) {
        if (!overrides(exec->env, environ[i]))
            all[count++] = environ[i];
    }
    for (size_t i = 0; exec->env != NULL && exec->env[i] != NULL; i++)
        all[count++] = exec->env[i];
    all[count] = info;
    return all;
}

static const char **make_arguments(const struct kube_exec *exec)
{
    size_t count = word_count(exec->args);
    const char **all = mem_array(count + 2, sizeof(*all));

    if (all == NULL)
        return NULL;
    all[0] = exec->command;
    for (size_t i = 0; i < count; i++)
        all[i + 1] = exec->args[i];
    return all;
}

/* --- running it ------------------------------------------------------------------------------- */

/* In a process group of its own, so that its children end with it. */
static int spawn(pid_t *pid, const struct kube_exec *exec, const char **argv, const char **envp,
                 int out_fd)
{
    union {
        const char **in;
        char **out;
    } arguments = {.in = argv}, environment = {.in = envp}; /* neither is written to */
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int r = posix_spawn_file_actions_init(&actions);

    if (r != 0)
        return r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return r;
    }
    sigemptyset(&none);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    if (r == 0)
        r = posix_spawnp(pid, exec->command, &actions, &attributes, arguments.out, environment.out);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return r;
}

/* Until the end of its output, or the end of its time. */
static int read_output(int fd, struct buf *out, int64_t deadline_ms, struct err *err)
{
    for (;;) {
        int64_t left = deadline_ms - clock_mono_ms(clock_system());
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        char piece[4096];
        ssize_t size;

        if (left <= 0)
            return err_set(err, ERR_TIMEOUT, "it did not end in time");
        if (poll(&ready, 1, (int)left) <= 0)
            continue;
        size = read(fd, piece, sizeof(piece));
        if (size == 0)
            return 0;
        if (size < 0 && errno != EINTR && errno != EAGAIN)
            return err_errno(err, errno, "reading its output");
        if (size > 0 && buf_append(out, piece, (size_t)size) < 0)
            return buf_check(out, "its output", err);
    }
}

/* It may go on after closing its output; the same deadline holds. */
static int wait_for_end(pid_t pid, int64_t deadline_ms, struct err *err)
{
    int status = 0;

    for (;;) {
        pid_t gone = waitpid(pid, &status, WNOHANG);

        if (gone == pid)
            break;
        if (gone < 0 && errno != EINTR)
            return err_errno(err, errno, "waiting for its end");
        if (clock_mono_ms(clock_system()) >= deadline_ms)
            return err_set(err, ERR_TIMEOUT, "it did not end in time");
        (void)poll(NULL, 0, REAP_POLL_MS);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return err_set(err, ERR_DENIED, "it ended with status %d; its standard error says why",
                       WEXITSTATUS(status));
    return err_set(err, ERR_DENIED, "it was ended by signal %d", WTERMSIG(status));
}

static void kill_group(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static int start(pid_t *pid, int *read_fd, const struct kube_exec *exec, const char *info,
                 struct err *err)
{
    CLEANUP(mem_freep) const char **argv = make_arguments(exec);
    CLEANUP(mem_freep) const char **envp = make_environment(exec, info);
    int ends[2];
    int r;

    if (argv == NULL || envp == NULL)
        return err_no_memory(err);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, errno, "a pipe");
    r = spawn(pid, exec, argv, envp, ends[1]);
    close(ends[1]);
    if (r == 0) {
        *read_fd = ends[0];
        return 0;
    }
    close(ends[0]);
    return err_errno(err, r, "it can't be started%s%s", exec->install_hint[0] != '\0' ? "; " : "",
                     exec->install_hint);
}

static int run(struct buf *output, const struct kube_exec *exec, const char *info,
               uint64_t timeout_ms, struct err *err)
{
    int64_t deadline_ms = clock_mono_ms(clock_system()) + (int64_t)timeout_ms;
    CLEANUP(fd_closep) int read_fd = -1;
    pid_t pid = -1;
    int r = start(&pid, &read_fd, exec, info, err);

    if (r < 0)
        return r;
    r = read_output(read_fd, output, deadline_ms, err);
    if (r < 0) {
        kill_group(pid);
        return r;
    }
    r = wait_for_end(pid, deadline_ms, err);
    if (r == -ERR_TIMEOUT)
        kill_group(pid);
    return r;
}

int kube_exec_run(struct kube_credentials *out, const struct kube_config *config,
                  uint64_t timeout_ms, struct err *err)
{
    CLEANUP(buf_fini) struct buf info = {0};
    CLEANUP(buf_fini) struct buf output = {0};
    int r;

    r = write_info(&info, config, out->ca_pem, err);
    buf_init(&output, KUBE_CREDENTIAL_BYTES_MAX);
    if (r == 0)
        r = run(&output, config->exec, info.ptr, timeout_ms, err);
    if (r == 0)
        r = kube_exec_answer_read(out, buf_str(&output), config->exec->api_version, err);
    if (output.ptr != NULL)
        explicit_bzero(output.ptr, output.cap);
    return r < 0 ? err_wrap(err, r, "credential plug-in %s", config->exec->command) : 0;
}
