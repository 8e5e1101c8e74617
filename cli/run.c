/* SPDX-License-Identifier: Apache-2.0 */
/* spate run: one question to a model, or a conversation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/catalog.h"
#include "cli/chat.h"
#include "cli/cli.h"
#include "cli/local.h"
#include "crd/object.h"

enum { PATIENCE_MS = 10000, PROMPT_MAX = 4 << 20 };

/* For a model that recommends no temperature. The API's own default is 1, at which small models
 * talk nonsense; this is what the R1 family recommends. */
#define DEFAULT_TEMPERATURE 0.6

struct settings {
    const char *state;
    const char *name_space;
    const char *gateway;
    const char *key;
    const char *system;
    int64_t max_tokens;
    double temperature;
    int64_t seed;
    bool thinking;
    bool verbose;
};

static const struct arg_option options[] = {
    {"verbose", 'v', ARG_FLAG, offsetof(struct settings, verbose), NULL, NULL,
     "print counts and tokens per second afterwards"},
    {"thinking", 0, ARG_FLAG, offsetof(struct settings, thinking), NULL, "true",
     "print what the model thinks, dimmed (only the answer goes into a pipe)"},
    {"system", 0, ARG_TEXT, offsetof(struct settings, system), "TEXT", NULL, "system message"},
    {"max-tokens", 0, ARG_INT, offsetof(struct settings, max_tokens), "N", "0",
     "longest answer; 0: the model's own limit", .max = 1 << 24},
    {"temperature", 0, ARG_REAL, offsetof(struct settings, temperature), "T", "-1",
     "0 is greedy; negative: the model's own (0.6 if it recommends none)"},
    {"seed", 0, ARG_INT, offsetof(struct settings, seed), "N", "-1",
     "makes sampling repeatable; negative: chosen by the server", .min = -1, .max = INT64_MAX},
    {"namespace", 'n', ARG_TEXT, offsetof(struct settings, name_space), "NAME",
     CRD_NAMESPACE_DEFAULT, "namespace of the model"},
    {"gateway", 0, ARG_URL, offsetof(struct settings, gateway), "URL", NULL,
     "ask this gateway (needs --key or SPATE_API_KEY)"},
    {"key", 0, ARG_TEXT, offsetof(struct settings, key), "KEY", NULL,
     "API key (default: SPATE_API_KEY, else the one of tenant local)"},
    {"state", 0, ARG_TEXT, offsetof(struct settings, state), "DIR", NULL,
     "state folder of the installation"},
};

static const struct arg_command arguments = {
    .name = "spate run",
    .summary = "Asks a model; without a prompt it is a conversation",
    .usage = "[options] MODEL [PROMPT]",
    .examples = "spate run brook \"What is 345 + 678?\"\n"
                "spate run smollm2 --verbose\n"
                "echo \"What is 12 - 5?\" | spate run brook -\n",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .positional_min = 1,
    .positional_max = 2,
};

/* Who is asked, and by which key. */
struct target {
    char *url;
    char *key;
    bool made; /* key or model are new: the gateway may not know them yet */
};

static void target_fini(struct target *t)
{
    mem_free(t->url);
    mem_free(t->key);
}

static int find_target(struct target *out, const struct settings *settings, const char *model,
                       struct err *err)
{
    CLEANUP(api_fini) struct api api = {0};
    const char *key = settings->key != NULL ? settings->key : getenv("SPATE_API_KEY");
    int r;

    if (key != NULL)
        out->key = mem_strdup(key);
    if (settings->gateway != NULL) {
        out->url = mem_strdup(settings->gateway);
        if (key == NULL)
            return err_set(err, ERR_DENIED,
                           "--gateway needs an API key: give --key, or set "
                           "SPATE_API_KEY");
        return out->url == NULL || out->key == NULL ? err_no_memory(err) : 0;
    }
    r = api_open(&api, settings->state, err);
    if (r == 0)
        r = local_model(&api, settings->name_space, model, &out->made, err);
    if (r == 0 && key == NULL)
        r = local_key(&out->key, &api, &out->made, err);
    if (r < 0)
        return r;
    if (api.endpoints.gateway_url == NULL)
        return err_set(err, ERR_NETWORK, "the gateway does not run yet; see `spate doctor`");
    out->url = mem_strdup(api.endpoints.gateway_url);
    return out->url == NULL || out->key == NULL ? err_no_memory(err) : 0;
}

static int add_message(json_t *messages, const char *role, struct str text, struct err *err)
{
    json_t *message = json_pack("{s:s, s:s%}", "role", role, "content", text.ptr, text.len);

    if (message == NULL)
        return err_set(err, ERR_INVALID, "the prompt is no valid UTF-8");
    return json_array_append_new(messages, message) < 0 ? err_no_memory(err) : 0;
}

static void print_figures(const struct chat_result *result)
{
    int64_t decode_ms = result->total_ms - result->first_token_ms;
    double rate = decode_ms > 0 && result->completion_tokens > 1
                      ? (double)(result->completion_tokens - 1) * 1000.0 / (double)decode_ms
                      : 0;

    cli_note("prompt %lld tokens, answer %lld tokens, first after %lld ms, %.1f tokens/s",
             (long long)result->prompt_tokens, (long long)result->completion_tokens,
             (long long)result->first_token_ms, rate);
}

/* Asks, prints, and adds the answer to the conversation. An exit code. */
static int ask(const struct chat_options *chat, const struct settings *settings, json_t *messages)
{
    struct chat_result result = {0};
    struct err err = {0};
    int r;

    buf_init(&result.answer, CHAT_ANSWER_MAX);
    r = chat_ask(&result, chat, messages, &err);
    if (result.first_token_ms > 0)
        putchar('\n');
    fflush(stdout);
    if (r == 0 && settings->verbose)
        print_figures(&result);
    if (r == 0)
        r = add_message(messages, "assistant", buf_str(&result.answer), &err);
    if (r < 0) {
        cli_fail(&err);
        if (result.exit_code == CLI_OK)
            result.exit_code = CLI_ERROR;
    }
    buf_fini(&result.answer);
    return result.exit_code;
}

/* Line by line until the end of the input or "/bye". */
static int converse(const struct chat_options *chat, const struct settings *settings,
                    json_t *messages)
{
    bool prompt = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char *line = NULL;
    size_t size = 0;
    int exit_code = CLI_OK;

    if (prompt)
        cli_note("Type a question; /bye or Ctrl-D ends.");
    for (;;) {
        struct str text;
        ssize_t length;
        struct err err = {0};

        if (prompt) {
            fputs(">>> ", stdout);
            fflush(stdout);
        }
        length = getline(&line, &size, stdin);
        if (length < 0)
            break;
        text = str_trim((struct str){line, (size_t)length});
        if (str_is(text, "/bye"))
            break;
        if (text.len == 0)
            continue;
        if (add_message(messages, "user", text, &err) < 0) {
            exit_code = cli_fail(&err);
            continue;
        }
        exit_code = ask(chat, settings, messages);
        if (exit_code != CLI_OK)
            json_array_remove(messages, json_array_size(messages) - 1);
    }
    free(line);
    return exit_code;
}

static int read_prompt(struct buf *out, const char *word, struct err *err)
{
    char block[4096];
    size_t got;

    if (strcmp(word, "-") != 0)
        return buf_append_text(out, word) < 0 ? buf_check(out, "the prompt", err) : 0;
    while ((got = fread(block, 1, sizeof(block), stdin)) > 0)
        buf_append(out, block, got);
    return buf_check(out, "the prompt", err);
}

static double default_temperature(const char *model)
{
    const struct catalog_model *known = catalog_find(model);

    return known != NULL && known->temperature > 0 ? known->temperature : DEFAULT_TEMPERATURE;
}

static int ask_or_converse(const struct settings *settings, const struct target *target,
                           const char *model, const char *prompt, struct err *err)
{
    CLEANUP(buf_fini) struct buf text = {0};
    json_auto_t *messages = json_array();
    bool colour = cli_colour(STDOUT_FILENO);
    char temperature[32];
    struct chat_options chat = {
        .url = target->url,
        .key = target->key,
        .model = model,
        .max_tokens = settings->max_tokens,
        .temperature = settings->temperature >= 0 ? temperature : NULL,
        .default_temperature = default_temperature(model),
        .seed = settings->seed,
        .show_thinking = settings->thinking && (colour || isatty(STDOUT_FILENO)),
        .dim_thinking = colour,
        .plain = colour || isatty(STDOUT_FILENO),
        .patience_ms = target->made ? PATIENCE_MS : 0,
    };
    int r = 0;

    buf_init(&text, PROMPT_MAX);
    snprintf(temperature, sizeof(temperature), "%.4f", settings->temperature);
    if (settings->system != NULL)
        r = add_message(messages, "system", str_of(settings->system), err);
    if (r == 0 && prompt == NULL)
        return converse(&chat, settings, messages);
    if (r == 0)
        r = read_prompt(&text, prompt, err);
    if (r == 0)
        r = add_message(messages, "user", str_trim(buf_str(&text)), err);
    return r < 0 ? cli_fail(err) : ask(&chat, settings, messages);
}

static int run(int argc, char **argv)
{
    CLEANUP(target_fini) struct target target = {0};
    struct settings settings = {0};
    char model[256];
    struct err err = {0};
    int positionals;
    int exit_code;

    if (!cli_parse(&arguments, argc, argv, &settings, &positionals, &exit_code))
        return exit_code;
    /* A model of another namespace is only known by its whole name. */
    if (strchr(argv[1], '/') == NULL && strcmp(settings.name_space, CRD_NAMESPACE_DEFAULT) != 0)
        snprintf(model, sizeof(model), "%s/%s", settings.name_space, argv[1]);
    else
        snprintf(model, sizeof(model), "%s", argv[1]);
    if (find_target(&target, &settings, argv[1], &err) < 0)
        return cli_fail(&err);
    return ask_or_converse(&settings, &target, model, positionals > 1 ? argv[2] : NULL, &err);
}

const struct cli_command cli_run = {&arguments, run, NULL};
