/* SPDX-License-Identifier: Apache-2.0 */
/* spate report: what tenants used and owe, from the ledger by way of the operator. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/http.h"
#include "base/mem.h"
#include "cli/api.h"
#include "cli/cli.h"

enum { QUERY_MAX = 4096 };

struct settings {
    const char *state;
    const char *by;
    const char *from;
    const char *to;
    const char *tenant;
    const char *output;
    bool json;
};

static const char *const outputs[] = {"table", "csv", "json", NULL};

static const struct arg_option options[] = {
    {"by", 0, ARG_TEXT, offsetof(struct settings, by), "WORDS", "tenant,model",
     "one row for each: tenant, model, key, day, in any combination"},
    {"from", 0, ARG_TEXT, offsetof(struct settings, from), "TIME", NULL,
     "first moment, 2026-11-01 or 2026-11-01T08:00:00Z (default: 30 days before --to)"},
    {"to", 0, ARG_TEXT, offsetof(struct settings, to), "TIME", NULL,
     "first moment that does not count any more (default: now)"},
    {"tenant", 0, ARG_TEXT, offsetof(struct settings, tenant), "NAME", NULL, "only this one"},
    {"output", 'o', ARG_TEXT, offsetof(struct settings, output), "FORMAT", "table", "how to print",
     .choices = outputs},
    {"json", 0, ARG_FLAG, offsetof(struct settings, json), NULL, NULL, "the same as -o json"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate report",
    .summary = "Prints what tenants used and what it costs",
    .usage = "[options]",
    .examples = "spate report\n"
                "spate report --by tenant,day --from 2026-11-01 -o csv\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

static void add_parameter(struct buf *url, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(url, "%c%s=", str_find_char(buf_str(url), '?') < 0 ? '?' : '&', name);
    http_escape(url, str_of(value));
}

/* A day is its first moment; a time is checked here, where the option can be named. */
static int add_time(struct buf *url, const char *name, const char *text, struct err *err)
{
    char full[64];
    int64_t ms;

    if (text == NULL)
        return 0;
    snprintf(full, sizeof(full), strlen(text) == 10 ? "%sT00:00:00Z" : "%s", text);
    if (clock_parse_utc(full, strlen(full), &ms) < 0)
        return err_set(err, ERR_INVALID,
                       "--%s %.40s: write a day as 2026-11-01, or a time as 2026-11-01T08:00:00Z",
                       name, text);
    add_parameter(url, name, full);
    return 0;
}

static int print_bytes(void *user, struct str bytes)
{
    (void)user;
    return fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len ? 0 : -ERR_IO;
}

static int report(const struct settings *settings, struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    CLEANUP(buf_fini) struct buf url = {0};
    const char *path;
    int r;

    buf_init(&url, QUERY_MAX);
    buf_append_text(&url, "/internal/v1/report");
    add_parameter(&url, "group_by", settings->by);
    add_parameter(&url, "tenant", settings->tenant);
    add_parameter(&url, "format", settings->output);
    r = add_time(&url, "from", settings->from, err);
    if (r == 0)
        r = add_time(&url, "to", settings->to, err);
    if (r == 0)
        r = buf_check(&url, "the request", err);
    path = buf_cstr(&url);
    if (r == 0 && path == NULL)
        r = err_no_memory(err);
    if (r == 0)
        r = api_open(&api, settings->state, err);
    if (r == 0)
        r = api_stream(&api, path, print_bytes, NULL, err);
    return r < 0 ? r : 0;
}

static int run(int argc, char **argv)
{
    struct settings settings = {0};
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    if (settings.json)
        settings.output = "json";
    if (report(&settings, &err) < 0)
        return cli_fail(&err);
    return fflush(stdout) == 0 ? CLI_OK : CLI_ERROR;
}

const struct cli_command cli_report = {&arguments, run, NULL};
