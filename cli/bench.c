/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spate bench: runs the bench programs that stand beside this one, one after the other, and lets
 * them print. They measure; none fails by being slow.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/catalog.h"
#include "cli/cli.h"
#include "cli/state.h"

enum { BENCH_ARGS_MAX = 16 };

struct bench {
    const char *name;  /* of `spate bench NAME`; the program is bench_NAME */
    bool takes_models; /* --model PATH for each model of this machine */
};

/* In the order in which they run. */
static const struct bench benches[] = {
    {"start", true}, {"wake", false}, {"gateway", false}, {"engine_math", true}, {"ledger", false},
};

struct settings {
    bool json;
};

static const struct arg_option options[] = {
    {"json", 0, ARG_FLAG, offsetof(struct settings, json), NULL, NULL,
     "print one JSON line for each figure"},
};

static const struct arg_command arguments = {
    .name = "spate bench",
    .summary = "Measures Spate on this machine: start, wake, gateway, engine_math, ledger",
    .usage = "[options] [NAME...]",
    .examples = "spate bench\n"
                "spate bench gateway --json\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_max = ARRAY_COUNT(benches),
};

static const struct bench *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(benches); i++) {
        if (strcmp(benches[i].name, name) == 0)
            return &benches[i];
    }
    return NULL;
}

static int unknown(const char *name)
{
    const char *names[ARRAY_COUNT(benches) + 1] = {NULL};
    const char *close;

    for (size_t i = 0; i < ARRAY_COUNT(benches); i++)
        names[i] = benches[i].name;
    close = args_closest(name, names);
    if (close != NULL)
        return cli_fail_text(CLI_USAGE, "unknown bench \"%.40s\"; did you mean %s?", name, close);
    return cli_fail_text(CLI_USAGE, "unknown bench \"%.40s\"; `spate bench -h` names them", name);
}

/* The arguments; the paths of models are owned by the caller, from `models`. */
struct command {
    char *args[BENCH_ARGS_MAX + 1];
    int count;
    char *models[BENCH_ARGS_MAX];
    int model_count;
};

static void command_fini(struct command *c)
{
    for (int i = 0; i < c->model_count; i++)
        mem_free(c->models[i]);
}

static char json_option[] = "--json";
static char model_option[] = "--model";

/* The shipped model must be there; one that would have to be pulled is measured if it was. */
static int add_models(struct command *c, struct err *err)
{
    const struct catalog_model *model;

    for (size_t i = 0; (model = catalog_at(i)) != NULL; i++) {
        char *path = NULL;
        struct err missing = {0};
        int r = catalog_path(&path, model, &missing);

        if (r < 0 && model->shipped) {
            *err = missing;
            return r;
        }
        if (r < 0 || c->count + 2 > BENCH_ARGS_MAX)
            continue;
        c->models[c->model_count++] = path;
        c->args[c->count++] = model_option;
        c->args[c->count++] = path;
    }
    return 0;
}

/* Waits for it; its exit code, or 1 if a signal ended it. */
static int start_and_wait(char *const *args, struct err *err)
{
    pid_t pid;
    int status;
    int r;

    fflush(stdout);
    r = posix_spawn(&pid, args[0], NULL, NULL, args, environ);
    if (r != 0)
        return err_errno(err, r, "can't start %s", args[0]);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return err_errno(err, errno, "can't wait for %s", args[0]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run_bench(const struct bench *bench, bool json)
{
    CLEANUP(mem_freep) char *program = NULL;
    struct command c = {0};
    struct err err = {0};
    char name[64];
    int r;

    snprintf(name, sizeof(name), "bench_%s", bench->name);
    r = state_binary(&program, name, &err);
    if (r == -ERR_NOT_FOUND)
        return cli_fail_text(CLI_NOT_READY,
                             "the bench program %s is not beside spate; build it from the source "
                             "tree: ./dev bench %s",
                             name, bench->name);
    c.args[c.count++] = program;
    if (json)
        c.args[c.count++] = json_option;
    if (r == 0 && bench->takes_models)
        r = add_models(&c, &err);
    if (r == 0)
        r = start_and_wait(c.args, &err);
    command_fini(&c);
    return r < 0 ? cli_fail(&err) : r;
}

/* All that were named, or all; the first failure is the exit code, the others still run. */
static int run(int argc, char **argv)
{
    struct settings settings = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    for (int i = 1; i <= positionals; i++) {
        if (find(argv[i]) == NULL)
            return unknown(argv[i]);
    }
    exit_code = CLI_OK;
    for (int i = 0; i < (positionals > 0 ? positionals : (int)ARRAY_COUNT(benches)); i++) {
        const struct bench *bench = positionals > 0 ? find(argv[i + 1]) : &benches[i];
        int code = run_bench(bench, settings.json);

        if (exit_code == CLI_OK)
            exit_code = code;
    }
    return exit_code;
}

const struct cli_command cli_bench = {&arguments, run, NULL};
