/* SPDX-License-Identifier: Apache-2.0 */
/* spate-ledger: the program. Serves until SIGTERM or SIGINT, then ends what is running. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "billing/ledger/db.h"
#include "billing/ledger/ledger_options.h"
#include "billing/ledger/server.h"

enum { DRAIN_MS = 10000, BODY_BYTES_MAX = INGEST_BYTES_MAX };

static const struct arg_option options[] = {
    {.name = "listen",
     .kind = ARG_ADDRESS,
     .offset = offsetof(struct ledger_settings, listen),
     .value_name = "ADDRESS",
     .initial = "127.0.0.1:8002",
     .help = "address to listen on"},
    {.name = "db",
     .kind = ARG_TEXT,
     .offset = offsetof(struct ledger_settings, db),
     .value_name = "PATH",
     .help = "the ledger's file; made if missing",
     .required = true},
    {.name = "token-public-key",
     .kind = ARG_TEXT,
     .offset = offsetof(struct ledger_settings, token_public_key),
     .value_name = "FILE",
     .help = "the operator's public key, which signs the tokens of all callers"},
    {.name = "settle-time",
     .kind = ARG_DURATION,
     .offset = offsetof(struct ledger_settings, settle_ms),
     .value_name = "TIME",
     .initial = "15m",
     .help = "silence after which a request without its last record is settled",
     .min = 1,
     .max = 7LL * 86400000},
    {.name = "verify",
     .kind = ARG_FLAG,
     .offset = offsetof(struct ledger_settings, verify),
     .help = "recompute all sums from the raw rows, print the result and exit"},
    PROGRAM_OPTIONS(struct ledger_settings, program),
};

const struct arg_command ledger_command = {
    .name = "spate-ledger",
    .summary = "Keeps what was computed, charges for it, and reports.",
    .usage = "--db PATH --token-public-key FILE [options]",
    .examples = "spate-ledger --db /var/lib/spate/ledger.db --token-public-key operator.pub\n"
                "spate-ledger --db /var/lib/spate/ledger.db --verify\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

struct program {
    const struct ledger_settings *settings;
    struct loop loop;
    struct ledger *ledger;
    struct ledger_server server;
    struct http_server *http;
    bool draining;
};

static void drained(void *object)
{
    struct program *p = object;

    loop_quit(&p->loop);
}

static void on_signal(void *object, int signum)
{
    struct program *p = object;

    if (p->draining)
        return;
    p->draining = true;
    log_info("stopping", LOG_I64("signal", signum));
    http_server_drain(p->http, DRAIN_MS, drained, p);
}

static int open_parts(struct program *p, struct err *err)
{
    struct ledger_server *s = &p->server;
    int r;

    *s = (struct ledger_server){.loop = &p->loop,
                                .ledger = p->ledger,
                                .public_key_path = p->settings->token_public_key,
                                .clock = clock_system()};
    if ((r = metrics_new(&s->metrics, err)) < 0 ||
        (r = metrics_declare_loop(s->metrics, &p->loop, err)) < 0 ||
        (r = metrics_declare_process(s->metrics, err)) < 0 ||
        (r = writer_new(&s->writer, p->ledger, &p->loop, err)) < 0 ||
        (r = query_open(&s->query, p->settings->db, NULL, err)) < 0)
        return r;
    return ledger_server_init(s, err);
}

static int listen_and_serve(struct program *p, struct err *err)
{
    struct http_server_limits limits = http_server_limits_default;
    struct http_server_options http = {.handler = ledger_server_handle,
                                       .user = &p->server,
                                       .limits = &limits,
                                       .metrics = p->server.metrics};
    char address[PROGRAM_ADDRESS_MAX];
    int port;
    int r;

    limits.body_bytes = BODY_BYTES_MAX;
    if ((r = http_server_new(&p->http, &p->loop, &http, err)) < 0 ||
        (r = loop_on_signal(&p->loop, SIGTERM, on_signal, p, err)) < 0 ||
        (r = loop_on_signal(&p->loop, SIGINT, on_signal, p, err)) < 0)
        return r;
    port = http_server_listen(p->http, p->settings->listen, err);
    if (port < 0)
        return port;
    r = program_tell_address(&p->settings->program, p->settings->listen, port, address, err);
    if (r < 0)
        return r;
    log_info("listening", LOG_STR("address", address), LOG_STR("db", p->settings->db));
    loop_run(&p->loop);
    return 0;
}

static int serve(const struct ledger_settings *settings, struct ledger *ledger, struct err *err)
{
    struct program *p = mem_alloc(sizeof(*p));
    int r;

    if (p == NULL)
        return err_no_memory(err);
    p->settings = settings;
    p->ledger = ledger;
    r = loop_init(&p->loop, err);
    if (r < 0) {
        mem_free(p);
        return r;
    }
    r = open_parts(p, err);
    if (r == 0)
        r = listen_and_serve(p, err);
    writer_close(STEAL(p->server.writer)); /* bodies still being parsed find none */
    if (p->http != NULL)
        http_server_close(p->http);
    loop_fini(&p->loop);
    query_close(p->server.query);
    metrics_free(p->server.metrics);
    mem_free(p);
    return r;
}

/* SQLite's own words would be "unable to open database file". */
static int check_db(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : slash > path ? (size_t)(slash - path) : 1;
    CLEANUP(mem_freep) char *folder = mem_strndup(length > 0 ? path : ".", length > 0 ? length : 1);
    struct stat info;

    if (folder == NULL)
        return err_no_memory(err);
    if (access(folder, W_OK | X_OK) < 0)
        return disk_explain(
            err, err_errno(err, errno, "--db %s: its folder must be there and writable", path),
            folder, 0);
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return err_set(err, ERR_INVALID, "--db %s: it is no file: name the ledger's file", path);
    return 0;
}

static int run(const struct ledger_settings *settings, struct err *err)
{
    struct ledger_options ledger_options = {.path = settings->db, .settle_ms = settings->settle_ms};
    struct ledger *ledger = NULL;
    int r;

    if (!settings->verify && settings->token_public_key == NULL)
        return err_set(err, ERR_INVALID,
                       "--token-public-key is missing; give the operator's public key file");
    r = check_db(settings->db, err);
    if (r < 0)
        return r;
    r = ledger_open(&ledger, &ledger_options, err);
    if (r < 0)
        return r;
    if (settings->verify) {
        r = ledger_verify(ledger, err);
        if (r == 0)
            puts("all sums equal the raw rows");
    } else {
        r = serve(settings, ledger, err);
    }
    ledger_close(ledger);
    return r;
}

int main(int argc, char **argv)
{
    struct ledger_settings settings = {0};
    struct err err = {0};
    int r = program_arguments(&ledger_command, argc, argv, &settings, NULL);

    if (r != PROGRAM_RUN)
        return r;
    program_log(&ledger_command, &settings.program);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* unused, and a lock at each allocation */
    r = run(&settings, &err);
    return r < 0 ? program_fail(&ledger_command, 1, err_message(&err)) : 0;
}
