/* SPDX-License-Identifier: Apache-2.0 */
/* spate model: lists, fetches and finds the models that are known by name. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/catalog.h"
#include "cli/cli.h"
#include "cli/table.h"

struct settings {
    const char *from;
};

static const struct arg_option pull_options[] = {
    {"from", 0, ARG_TEXT, offsetof(struct settings, from), "FILE.whl", NULL,
     "take this package instead of fetching it"},
};

static const struct arg_command pull_arguments = {
    .name = "spate model pull",
    .summary = "Fetches a model into the cache folder",
    .usage = "[options] NAME",
    .examples = "spate model pull smollm2\n"
                "spate run smollm2 \"What is the capital of France?\"\n",
    .options = pull_options,
    .option_count = ARRAY_COUNT(pull_options),
    .positional_min = 1,
    .positional_max = 1,
};

static const struct arg_command list_arguments = {
    .name = "spate model list",
    .summary = "Lists the models that are known by name",
    .usage = "",
    .examples = "spate model list\n",
};

static const struct arg_command path_arguments = {
    .name = "spate model path",
    .summary = "Prints where a model is on this machine",
    .usage = "NAME",
    .examples = "spate-agent --model $(spate model path smollm2)\n",
    .positional_min = 1,
    .positional_max = 1,
};

static int find(const struct catalog_model **out, const char *name, struct err *err)
{
    *out = catalog_find(name);
    if (*out == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "no model \"%.40s\" is known by name; `spate model list` shows which", name);
    return 0;
}

static int pull(const struct settings *settings, char **words, struct err *err)
{
    const struct catalog_model *model;
    CLEANUP(mem_freep) char *path = NULL;
    int r = find(&model, words[0], err);

    if (r < 0)
        return r;
    if (model->shipped) {
        cli_note("%s ships with Spate; nothing to fetch", model->name);
        return 0;
    }
    r = catalog_pull(&path, model, settings->from, err);
    if (r == 0)
        printf("%s\n", path);
    return r;
}

static int list(const struct settings *settings, char **words, struct err *err)
{
    const struct catalog_model *model;
    CLEANUP(buf_fini) struct buf out = {0};
    struct table t;

    (void)settings;
    (void)words;
    buf_init(&out, TABLE_BYTES_MAX);
    table_init(&t, 3);
    table_add_text(&t, "NAME");
    table_add_text(&t, "WHERE");
    table_add_text(&t, "WHAT");
    for (size_t i = 0; (model = catalog_at(i)) != NULL; i++) {
        CLEANUP(mem_freep) char *path = NULL;

        table_add_text(&t, model->name);
        table_add_text(&t, catalog_path(&path, model, NULL) == 0 ? path : "<not fetched>");
        table_add_text(&t, model->describe);
    }
    table_write(&t, &out);
    table_fini(&t);
    return cli_print(&out) == CLI_OK ? 0 : err_set(err, ERR_IO, "stdout is closed");
}

static int print_path(const struct settings *settings, char **words, struct err *err)
{
    const struct catalog_model *model;
    CLEANUP(mem_freep) char *path = NULL;
    int r = find(&model, words[0], err);

    (void)settings;
    if (r == 0)
        r = catalog_path(&path, model, err);
    if (r == 0)
        printf("%s\n", path);
    return r;
}

static const struct verb {
    const char *word;
    const struct arg_command *arguments;
    int (*run)(const struct settings *settings, char **words, struct err *err);
} verbs[] = {
    {"list", &list_arguments, list},
    {"pull", &pull_arguments, pull},
    {"path", &path_arguments, print_path},
};

static const struct arg_command arguments = {
    .name = "spate model",
    .summary = "Lists, fetches and finds models",
    .usage = "(list | pull NAME | path NAME)",
    .examples = "spate model list\n"
                "spate model pull smollm2\n",
};

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;
    int r;

    if (!cli_parse(verb->arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    r = verb->run(&settings, argv + 1, &err);
    if (r == 0)
        return CLI_OK;
    exit_code = cli_fail(&err);
    return verb->run == pull && r != -ERR_NOT_FOUND ? CLI_DOWNLOAD : exit_code;
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    int positionals;
    int exit_code;

    for (size_t i = 0; argc > 1 && i < ARRAY_COUNT(verbs); i++) {
        if (strcmp(argv[1], verbs[i].word) == 0)
            return run_verb(&verbs[i], argc - 1, argv + 1);
    }
    if (argc > 1 && argv[1][0] != '-')
        return cli_fail_text(CLI_USAGE, "unknown: model %.40s; use list, pull or path", argv[1]);
    if (cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return cli_fail_text(CLI_USAGE, "use list, pull or path");
    return exit_code;
}

static const struct arg_command *const verb_arguments[] = {
    &list_arguments,
    &pull_arguments,
    &path_arguments,
    NULL,
};

const struct cli_command cli_model = {&arguments, run, verb_arguments};
