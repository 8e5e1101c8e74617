/* SPDX-License-Identifier: Apache-2.0 */
/* spate tenant: makes tenants, and makes, lists and revokes their API keys. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/keys.h"
#include "cli/table.h"
#include "crd/object.h"

enum { KEY_PATIENCE_MS = 5000 }; /* until a new key works at the gateway */

struct settings {
    const char *state;
    const char *id;
    struct arg_list namespaces;
    struct arg_list models;
    int64_t requests_per_minute;
    int64_t concurrency;
    int64_t priority;
    const char *price_book;
};

#define STATE_OPTION                   \
    {"state",                          \
     0,                                \
     ARG_TEXT,                         \
     offsetof(struct settings, state), \
     "DIR",                            \
     NULL,                             \
     "state folder of the installation"}

static const struct arg_option create_options[] = {
    {"namespace", 'n', ARG_LIST, offsetof(struct settings, namespaces), "NAME", NULL,
     "namespace whose models it may use; * is all (default: default)"},
    {"model", 0, ARG_LIST, offsetof(struct settings, models), "NAMESPACE/NAME", NULL,
     "restrict it to this model"},
    {"requests-per-minute", 0, ARG_INT, offsetof(struct settings, requests_per_minute), "N", "0",
     "request rate; 0: no limit", .max = 1000000000},
    {"concurrency", 0, ARG_INT, offsetof(struct settings, concurrency), "N", "0",
     "requests at once; 0: no limit", .max = 1000000},
    {"priority", 0, ARG_INT, offsetof(struct settings, priority), "N", "0",
     "larger goes first when memory is short", .min = -1000, .max = 1000},
    {"price-book", 0, ARG_TEXT, offsetof(struct settings, price_book), "NAME", NULL,
     "PriceBook that its tokens are charged by"},
    STATE_OPTION,
};

static const struct arg_option key_create_options[] = {
    {"id", 0, ARG_TEXT, offsetof(struct settings, id), "ID", NULL,
     "name of the key in reports and logs (default: TENANT-N)"},
    STATE_OPTION,
};

static const struct arg_option plain_options[] = {STATE_OPTION};

static const struct arg_command create_arguments = {
    .name = "spate tenant create",
    .summary = "Makes a tenant",
    .usage = "[options] NAME",
    .examples = "spate tenant create acme --requests-per-minute 600 --price-book list\n"
                "spate tenant key create acme\n",
    .options = create_options,
    .option_count = ARRAY_COUNT(create_options),
    .positional_min = 1,
    .positional_max = 1,
};

static const struct arg_command key_create_arguments = {
    .name = "spate tenant key create",
    .summary = "Makes an API key and prints it, this once",
    .usage = "[options] TENANT",
    .examples = "export OPENAI_API_KEY=$(spate tenant key create acme)\n",
    .options = key_create_options,
    .option_count = ARRAY_COUNT(key_create_options),
    .positional_min = 1,
    .positional_max = 1,
};

static const struct arg_command key_list_arguments = {
    .name = "spate tenant key list",
    .summary = "Lists the keys of a tenant by id and digest",
    .usage = "[options] TENANT",
    .examples = "spate tenant key list acme\n",
    .options = plain_options,
    .option_count = ARRAY_COUNT(plain_options),
    .positional_min = 1,
    .positional_max = 1,
};

static const struct arg_command key_revoke_arguments = {
    .name = "spate tenant key revoke",
    .summary = "Makes a key invalid within seconds",
    .usage = "[options] TENANT ID",
    .examples = "spate tenant key revoke acme acme-1\n",
    .options = plain_options,
    .option_count = ARRAY_COUNT(plain_options),
    .positional_min = 2,
    .positional_max = 2,
};

static json_t *list_of(const struct arg_list *words)
{
    json_t *list = json_array();

    for (int i = 0; i < words->count; i++)
        json_array_append_new(list, json_string(words->items[i]));
    return list;
}

/* The intended object out of the options. */
static json_t *tenant_tree(const struct settings *settings, const char *name)
{
    struct arg_list namespaces = settings->namespaces;
    json_auto_t *tree = NULL;
    json_t *spec;

    if (namespaces.count == 0)
        namespaces.items[namespaces.count++] = CRD_NAMESPACE_DEFAULT;
    tree = json_pack("{s:s, s:s, s:{s:s}, s:{s:o, s:{s:I, s:I}, s:I}}", "apiVersion",
                     CRD_API_VERSION, "kind", "Tenant", "metadata", "name", name, "spec",
                     "namespaces", list_of(&namespaces), "limits", "requestsPerMinute",
                     (json_int_t)settings->requests_per_minute, "concurrency",
                     (json_int_t)settings->concurrency, "priority", (json_int_t)settings->priority);
    spec = json_object_get(tree, "spec");
    if (spec == NULL ||
        (settings->models.count > 0 &&
         json_object_set_new(spec, "models", list_of(&settings->models)) < 0) ||
        (settings->price_book != NULL &&
         json_object_set_new(spec, "priceBook", json_string(settings->price_book)) < 0))
        return NULL;
    return STEAL(tree);
}

static int create(const struct settings *settings, char **words, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *checked = NULL;
    CLEANUP(api_fini) struct api api = {0};
    json_auto_t *existing = NULL;
    json_auto_t *tree = tenant_tree(settings, words[0]);
    int r = tree == NULL ? err_no_memory(err) : crd_object_read(&checked, tree, NULL, NULL, err);

    if (r == 0)
        r = api_open(&api, settings->state, err);
    if (r < 0)
        return r;
    if (tenant_fetch(&existing, &api, words[0], err) >= 0)
        return err_set(err, ERR_EXISTS,
                       "tenant %s exists already; change it with `spate apply`, or make a key with "
                       "`spate tenant key create %s`",
                       words[0], words[0]);
    r = tenant_store(&api, words[0], tree, err);
    if (r < 0)
        return r;
    printf("tenant.%s/%s created\n", CRD_GROUP, words[0]);
    cli_note("Make a key with `spate tenant key create %s`.", words[0]);
    return 0;
}

/* TENANT-N with the first N that is free. */
static int free_id(const json_t *tenant, const char *name, char id[80], struct err *err)
{
    const json_t *keys = json_object_get(json_object_get(tenant, "spec"), "keys");

    for (size_t n = 1; n <= json_array_size(keys) + 1; n++) {
        bool taken = false;
        const json_t *key;
        size_t i;

        snprintf(id, 80, "%.50s-%zu", name, n);
        json_array_foreach (keys, i, key)
            taken = taken || str_is(json_str(json_object_get(key, "id")), id);
        if (!taken)
            return 0;
    }
    return err_set(err, ERR_INTERNAL, "no key id is free");
}

struct new_key {
    const char *tenant;
    const char *wanted_id; /* NULL: the first that is free */
    char id[80];
    struct key key;
};

static int add_new_key(void *user, json_t **tenant, struct err *err)
{
    CLEANUP(crd_object_unrefp) struct crd_object *checked = NULL;
    struct new_key *made = user;
    int r = 0;

    if (*tenant == NULL)
        return err_wrap(err, -ERR_NOT_FOUND, "make it first with `spate tenant create %s`",
                        made->tenant);
    if (made->wanted_id == NULL)
        r = free_id(*tenant, made->tenant, made->id, err);
    else
        snprintf(made->id, sizeof(made->id), "%s", made->wanted_id);
    if (r == 0)
        r = key_add(*tenant, made->id, made->key.sha256, err);
    if (r == 0)
        r = crd_object_read(&checked, *tenant, NULL, NULL, err);
    return r;
}

static int key_create(const struct settings *settings, char **words, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    struct new_key made = {.tenant = words[0], .wanted_id = settings->id};
    int r = api_open(&api, settings->state, err);

    if (r == 0)
        r = key_make(&made.key, rng_system(), err);
    if (r == 0)
        r = tenant_change(&api, words[0], add_new_key, &made, err);
    if (r < 0)
        return r;
    printf("%s\n", made.key.text);
    fflush(stdout); /* whatever comes now, the key is not lost */
    cli_note("Key %s of tenant %s; it is not shown again.", made.id, words[0]);
    if (key_wait(&api, made.key.text, KEY_PATIENCE_MS, err) < 0)
        cli_note("%s: the key works as soon as it does; `spate doctor` says what is wrong.",
                 err_message(err));
    return 0;
}

static int key_list(const struct settings *settings, char **words, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    CLEANUP(buf_fini) struct buf out = {0};
    json_auto_t *tenant = NULL;
    const json_t *key;
    struct table t;
    size_t i;
    int r = api_open(&api, settings->state, err);

    if (r == 0)
        r = tenant_fetch(&tenant, &api, words[0], err);
    if (r < 0)
        return r;
    buf_init(&out, TABLE_BYTES_MAX);
    table_init(&t, 2);
    table_add_text(&t, "ID");
    table_add_text(&t, "SHA256");
    json_array_foreach (json_object_get(json_object_get(tenant, "spec"), "keys"), i, key) {
        table_add(&t, json_str(json_object_get(key, "id")));
        table_add(&t, json_str(json_object_get(key, "sha256")));
    }
    table_write(&t, &out);
    table_fini(&t);
    return cli_print(&out) == CLI_OK ? 0 : err_set(err, ERR_IO, "stdout is closed");
}

static int remove_key(void *user, json_t **tenant, struct err *err)
{
    return *tenant == NULL ? -ERR_NOT_FOUND : key_remove(*tenant, user, err);
}

static int key_revoke(const struct settings *settings, char **words, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    int r = api_open(&api, settings->state, err);

    if (r == 0)
        r = tenant_change(&api, words[0], remove_key, words[1], err);
    if (r < 0)
        return r;
    printf("key %s of tenant %s revoked\n", words[1], words[0]);
    return 0;
}

static const struct verb {
    const char *first;
    const char *second; /* NULL: one word only */
    const struct arg_command *arguments;
    int (*run)(const struct settings *settings, char **words, struct err *err);
} verbs[] = {
    {"create", NULL, &create_arguments, create},
    {"key", "create", &key_create_arguments, key_create},
    {"key", "list", &key_list_arguments, key_list},
    {"key", "revoke", &key_revoke_arguments, key_revoke},
};

static const struct arg_command arguments = {
    .name = "spate tenant",
    .summary = "Makes tenants and their API keys",
    .usage = "(create NAME | key create TENANT | key list TENANT | key revoke TENANT ID) [options]",
    .examples = "spate tenant create acme\n"
                "spate tenant key create acme\n"
                "spate tenant key revoke acme acme-1\n",
};

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(verb->arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    return verb->run(&settings, argv + 1, &err) < 0 ? cli_fail(&err) : CLI_OK;
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    int positionals;
    int exit_code;

    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        int words = verbs[i].second == NULL ? 1 : 2;

        if (argc <= words || strcmp(argv[1], verbs[i].first) != 0)
            continue;
        if (words == 2 && strcmp(argv[2], verbs[i].second) != 0)
            continue;
        return run_verb(&verbs[i], argc - words, argv + words);
    }
    if (argc > 1 && argv[1][0] != '-')
        return cli_fail_text(CLI_USAGE,
                             "unknown: tenant %.40s; use create, key create, key list "
                             "or key revoke",
                             argv[1]);
    if (cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return cli_fail_text(CLI_USAGE, "use create, key create, key list or key revoke");
    return exit_code;
}

static const struct arg_command *const verb_arguments[] = {
    &create_arguments, &key_create_arguments, &key_list_arguments, &key_revoke_arguments, NULL,
};

const struct cli_command cli_tenant = {&arguments, run, verb_arguments};
